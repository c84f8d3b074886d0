"""The job in TensorFlow: variables that a step updates in place."""

import tensorflow as tf


def train(task):
    w1, w2 = tf.Variable(task.tensor("w1")), tf.Variable(task.tensor("w2"))
    rate = tf.constant(task.number("rate"), w1.dtype)

    def step(x, y):
        with tf.GradientTape() as tape:
            hidden = tf.tanh(x @ w1)
            loss = tf.reduce_mean(tf.square(hidden @ w2 - y))
        grad_w2, grad_w1 = tape.gradient(loss, [w2, w1])
        w1.assign_sub(rate * grad_w1)
        w2.assign_sub(rate * grad_w2)
        return None, {"hidden": hidden, "loss": loss, "grad/w2": grad_w2, "grad/w1": grad_w1}

    step = task.compile(step)
    for x, y in task.batches("x", "y"):
        _, values = step(x, y)
        task.record(values, state={"w1": w1, "w2": w2})
