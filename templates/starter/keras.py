"""The job in Keras 3 on any of its backends: a compiled model, trained batch by batch."""

import keras


def train(task):
    hidden = keras.layers.Dense(16, activation="tanh", use_bias=False, dtype=task.dtype)
    output = keras.layers.Dense(1, use_bias=False, dtype=task.dtype)
    model = keras.Sequential([keras.layers.Input((8,), dtype=task.dtype), hidden, output])
    hidden.kernel.assign(task.tensor("w1"))
    output.kernel.assign(task.tensor("w2"))
    model.compile(optimizer=keras.optimizers.SGD(task.number("rate")), loss="mse", run_eagerly=True)
    for x, y in task.batches("x", "y"):
        model.reset_metrics()  # older releases report the mean of all steps so far
        loss = model.train_on_batch(x, y)
        task.record({"loss": float(loss)}, state={"w1": hidden.kernel, "w2": output.kernel})
