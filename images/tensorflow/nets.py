"""What a step is made of in TensorFlow's low-level API and in the Keras that it carries; imported when it is there."""

from __future__ import annotations

from typing import Any, Callable, List

import tensorflow as tf
from job import Task
from tracing import Trace


class CoreNet:
    """Kernels, constants and what a step is made of; a row of one sample, as TensorFlow writes it."""

    def __init__(self, task: Task) -> None:
        work, self.options = task.workload, task.options
        dtype = tf.as_dtype(task.dtype)
        self.x, self.t = tf.constant([work.input], dtype), tf.constant([work.target], dtype)
        self.W1, self.W2 = (tf.Variable(weights, dtype=dtype) for weights in task.weights())
        self.b1 = tf.fill([len(work.hidden_weights)], tf.constant(work.hidden_bias, dtype))
        self.b2 = tf.fill([len(work.target)], tf.constant(work.output_bias, dtype))
        self.learning_rate = tf.constant(work.learning_rate, dtype)
        self.scale = 2 / len(work.target)

    def product(self, W: Any, v: Any) -> Any:
        return tf.matmul(v, W, transpose_b=self.options["layout"] == "out_in")

    def back(self, W: Any, d: Any) -> Any:
        return tf.matmul(d, W, transpose_b=self.options["layout"] != "out_in")

    def outer(self, d: Any, v: Any) -> Any:
        first, second = (d, v) if self.options["layout"] == "out_in" else (v, d)
        return tf.matmul(first, second, transpose_a=True)

    def sigmoid(self, z: Any) -> Any:
        return sigmoid(self.options["activation"])(z)

    def error(self, o: Any, t: Any) -> Any:
        return self.scale * (o - t) if self.options["loss_form"] == "mean" else o - t

    def forward(self) -> Any:
        """Both layers, each before and after its sigmoid."""
        z1 = bias(self.product(self.W1, self.x), self.b1)
        h = self.sigmoid(z1)
        z2 = bias(self.product(self.W2, h), self.b2)
        return z1, h, z2, self.sigmoid(z2)

    def gradients(self) -> Any:
        """Forward pass, loss and both gradients, written out by hand."""
        z1, h, z2, o = self.forward()
        d2 = sigmoid_gradient(o, self.error(o, self.t))
        g2 = self.outer(d2, h)
        # Sequential: the hidden gradient already sees the new output weights.
        W2 = updated(self, self.W2, g2) if self.options["update"] == "sequential" else self.W2
        d1 = sigmoid_gradient(h, self.back(W2, d2))
        return (z1, h, z2, o), loss_of(self, o, self.t), (self.outer(d1, self.x), g2)


class KerasNet:
    """A Sequential of two Dense layers with the given kernels."""

    def __init__(self, task: Task, trace: Trace) -> None:
        work, self.options = task.workload, task.options
        self.seen: List[Any] = []
        self.x, self.t = tf.constant([work.input], task.dtype), tf.constant([work.target], task.dtype)
        self.learning_rate = tf.constant(work.learning_rate, task.dtype)
        activation = "sigmoid" if task.options["activation"] == "native" else sigmoid("exp")
        if trace.on:
            activation = seeing(tf.keras.activations.get(activation), self.seen)
        weights, biases = task.weights(), (work.hidden_bias, work.output_bias)
        units = [len(work.hidden_weights), len(work.target)]
        dense = [tf.keras.layers.Dense(count, activation=activation, dtype=task.dtype) for count in units]
        self.model = tf.keras.Sequential([tf.keras.Input((len(work.input),), dtype=task.dtype), *dense])
        for layer, kernel, bias, count in zip(dense, weights, biases, units):
            layer.kernel.assign(kernel)
            layer.bias.assign([bias] * count)
        self.W1, self.W2 = (layer.kernel for layer in dense)

    def forward(self) -> Any:
        """Both layers, each before and after its sigmoid, if that is traced; always the last."""
        self.seen.clear()  # of what building the model has put there
        o = self.model(self.x)
        return (*self.seen[:-1], o)


def seeing(activation: Any, seen: List[Any]) -> Any:
    """The activation, which also shows what goes in and what comes out."""

    def seen_through(z: Any) -> Any:
        a = activation(z)
        seen.extend((z, a))
        return a

    return seen_through


def sigmoid(form: str) -> Any:
    return (lambda z: 1 / (1 + tf.exp(-z))) if form == "exp" else tf.sigmoid


def bias(p: Any, b: Any) -> Any:
    return p + b


def sigmoid_gradient(a: Any, e: Any) -> Any:
    return e * (a * (1 - a))


def loss_of(net: Any, o: Any, t: Any) -> Any:
    error = tf.square(t - o)
    return tf.reduce_mean(error) if net.options["loss_form"] == "mean" else 0.5 * tf.reduce_sum(error)


def updated(net: Any, kernel: Any, gradient: Any) -> Any:
    return kernel - net.learning_rate * gradient


def tape_gradients(net: Any) -> Any:
    """Forward pass, loss and both gradients, by automatic differentiation."""
    with tf.GradientTape() as tape:
        forward = net.forward()
        loss = loss_of(net, forward[-1], net.t)
    return forward, loss, tape.gradient(loss, [net.W1, net.W2])


def sgd(task: Task, kernels: List[Any]) -> Any:
    optimizer = tf.keras.optimizers.SGD(task.workload.learning_rate)
    optimizer.build(kernels)  # inside a tf.function it could not make its variables
    return optimizer


def compiled(function: Callable[..., Any], task: Task) -> Callable[..., Any]:
    mode = task.options["compile"]
    compiled: Callable[..., Any] = tf.function(function, jit_compile=mode == "xla") if mode != "eager" else function
    return compiled
