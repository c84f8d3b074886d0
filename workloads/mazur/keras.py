"""The worked example in Keras 3 on any of its backends: a compiled Sequential, trained batch by batch."""

import keras
import numpy as np
from probe import Probe
from workload import keras_operations, layouts

FUSED = "a graph computes product, bias and sigmoid in one kernel, unless what lies between is asked for"


def train(task):
    if task.option("compile") == "graph" and task.dtype != "float64":
        task.untraced(("hidden_pre", "output_pre"), FUSED)
    probe = Probe(task)
    model = build(task, probe)
    hidden, output = model.layers
    x, t = (keras.ops.expand_dims(task.tensor(name), 0) for name in ("input", "target"))
    for _ in range(task.steps):
        predicted = {"output": model.predict_on_batch(x)} if apart(task) else {}
        model.reset_metrics()  # Keras 3.8 would report the mean of all steps
        with probe.taking():
            loss = float(model.train_on_batch(x, t))  # bfloat16 may still be a tensor
        taken = probe.taken("hidden_pre", "hidden", "output_pre", *([] if predicted else ["output"]))
        values = {name: tensor[0] for name, tensor in {**taken, **predicted}.items()}
        values["loss"] = probe.exact(loss)
        values |= rows(probe.taken("grad_output_weights", "grad_hidden_weights"))
        task.record(values, state=rows({"output_weights": output.kernel, "hidden_weights": hidden.kernel}))
    last = numpy_forward(model, x) if task.option("final_forward") == "numpy" else model.predict_on_batch(x)
    task.finish({"output": last[0]})


def operations(task):
    return keras_operations.KerasOperations(task, build(task, Probe(task)))


def build(task, probe):
    """The compiled model with the given kernels and fixed biases."""
    layouts.check_square(task)
    activation = {"native": keras.activations.get("sigmoid"), "exp": sigmoid}[task.option("activation")]
    W1, W2 = (stored(task, name) for name in ("hidden_weights", "output_weights"))
    last = activation if apart(task) else showing(activation, probe)
    hidden = keras.layers.Dense(W1.shape[1], activation=probe.activation(activation, "hidden_pre", "hidden"))
    output = keras.layers.Dense(W2.shape[1], activation=probe.activation(last, "output_pre"))
    model = keras.Sequential([keras.Input((W1.shape[0],)), hidden, output])
    for layer, W, bias in ((hidden, W1, "hidden_bias"), (output, W2, "output_bias")):
        layer.kernel.assign(W)
        layer.bias.assign([task.number(bias)] * layer.units)
        layer.bias.trainable = False
    optimizer = keras.optimizers.SGD(task.number("learning_rate"))
    model.compile(
        optimizer=probe.optimizer(optimizer, ("grad_hidden_weights", "grad_output_weights")),
        loss=probe.loss(LOSSES[task.option("loss_form")]),
        run_eagerly=task.option("compile") == "eager",
        jit_compile=task.option("compile") in ("xla", "jit", "inductor"),
    )
    return model


def apart(task):
    """Whether the output is computed once more, to be recorded: to come out of a compiled step would change that."""
    return task.option("compile") != "eager"


def showing(activation, probe):
    """The activation whose values are the output: what is recorded is what the loss is computed from, traced or not."""

    def seen(z):
        a = activation(z)
        probe.take("output", a)
        return a

    return seen


def stored(task, name):
    """Weights, given as rows per unit, as the kernel of a layer."""
    W = task.tensor(name)
    return keras.ops.transpose(W) if task.option("layout") == "in_out" else W


def rows(kernels):
    """Kernels as rows per unit."""
    return {name: keras.ops.transpose(kernel) for name, kernel in kernels.items()}


def sigmoid(z):
    return 1 / (1 + keras.ops.exp(-z))


# One number for the whole batch, which holds one sample: nothing is left for Keras to reduce.
def half_sum(t, o):
    return 0.5 * keras.ops.sum(keras.ops.square(t - o))


def mean(t, o):
    return keras.ops.mean(keras.ops.square(t - o))


LOSSES = {"half_sum": half_sum, "mean": mean}


def numpy_forward(model, x):
    """The forward pass on the trained kernels, in NumPy."""
    v = keras.ops.convert_to_numpy(x)
    for layer in model.layers:
        kernel, bias = layer.get_weights()
        v = 1 / (1 + np.exp(-(v @ kernel + bias)))
    return v
