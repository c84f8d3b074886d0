"""The workload in TensorFlow: its low-level API, or the Keras that it carries (Keras 2 or 3)."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any, Dict, List

sys.path.insert(1, str(Path(__file__).resolve().parent.parent))
import backends
from cell import Framework, Settings, Task, Unavailable, main
from knobs import version
from tracing import Trace

tf: Any = None  # imported by load, after the process variables are set
library = backends.TensorFlow()

# What it has of each factor; the first is the default.
OPTIONS = {
    "gradient": ("auto", "manual"),
    "update": ("parallel", "sequential"),
    "loop": ("rolled",),
    "layout": ("in_out", "out_in", "in_out_untransposed"),
    "loss_form": ("half_sum", "mean"),
    "activation": ("native", "exp"),
    "compile": ("eager", "graph", "xla"),
    "api": ("core", "keras"),
    "optimizer": ("plain", "sgd"),
    "final_forward": ("model", "numpy"),
    "tf32": backends.TF32,
}


class TensorFlow(Framework):
    dtypes = ("float32", "float64", "bfloat16", "float16")
    options = OPTIONS
    knobs = library.knobs

    def check(self, settings: Settings) -> None:
        self.knobs = library.obeyed(settings)
        self.uncapped_xla = settings.isa is not None and "XLA_FLAGS" not in self.knobs

    def load(self, settings: Settings) -> None:
        global tf
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
        import tensorflow as tf

        library.set_threads(settings.threads)

    def kernels(self, devices: List[str]) -> Dict[str, str]:
        return {**library.kernels(devices), "tf_keras": keras_version()}

    def threads(self) -> Dict[str, int]:
        return library.threads()

    def train(self, task: Task) -> Dict[str, Any]:
        options = task.options
        if options["gradient"] == "auto" and options["update"] == "sequential":
            raise Unavailable("update=sequential needs gradient=manual")
        if options["gradient"] == "manual" and (options["api"] == "keras" or options["optimizer"] == "sgd"):
            raise Unavailable("gradient=manual needs api=core and optimizer=plain")
        if options["api"] == "keras" and options["layout"] == "out_in":
            raise Unavailable("api=keras stores its kernels in_out")
        if options["compile"] == "xla" and self.uncapped_xla:
            raise Unavailable("compile=xla cannot be capped: this TensorFlow does not know --xla_cpu_max_isa")
        device = "/CPU:0" if task.device == "cpu" else f"/GPU:{library.gpu_index(task.device)}"
        with tf.device(device), library.float32(task):
            trace = Trace(task, library.untraced(task))
            return train(KerasNet(task, trace) if options["api"] == "keras" else CoreNet(task), task, trace)


def keras_version() -> str:
    legacy = os.environ.get("TF_USE_LEGACY_KERAS", "").lower() in ("1", "true") and version("tf-keras")
    return ".".join(str(part) for part in version("tf-keras" if legacy else "keras"))


class CoreNet:
    """Kernels, constants and matrix products; a row of one sample, as TensorFlow writes it."""

    def __init__(self, task: Task) -> None:
        work, self.options = task.workload, task.options
        dtype = tf.as_dtype(task.dtype)
        self.x, self.t = tf.constant([work.input], dtype), tf.constant([work.target], dtype)
        self.W1, self.W2 = (tf.Variable(weights, dtype=dtype) for weights in task.weights())
        self.b1 = tf.fill([len(work.hidden_weights)], tf.constant(work.hidden_bias, dtype))
        self.b2 = tf.fill([len(work.target)], tf.constant(work.output_bias, dtype))
        self.learning_rate = tf.constant(work.learning_rate, dtype)
        self.scale = 2 / len(work.target)

    def affine(self, W: Any, v: Any, b: Any) -> Any:
        return tf.matmul(v, W, transpose_b=self.options["layout"] == "out_in") + b

    def back(self, W: Any, d: Any) -> Any:
        return tf.matmul(d, W, transpose_b=self.options["layout"] != "out_in")

    def outer(self, d: Any, v: Any) -> Any:
        first, second = (d, v) if self.options["layout"] == "out_in" else (v, d)
        return tf.matmul(first, second, transpose_a=True)

    def sigmoid(self, z: Any) -> Any:
        return sigmoid(self.options["activation"])(z)

    def forward(self) -> Any:
        """Both layers, each before and after its sigmoid."""
        z1 = self.affine(self.W1, self.x, self.b1)
        h = self.sigmoid(z1)
        z2 = self.affine(self.W2, h, self.b2)
        return z1, h, z2, self.sigmoid(z2)

    def gradients(self) -> Any:
        """Forward pass, loss and both gradients, written out by hand."""
        z1, h, z2, o = self.forward()
        error = self.scale * (o - self.t) if self.options["loss_form"] == "mean" else o - self.t
        d2 = error * (o * (1 - o))
        g2 = self.outer(d2, h)
        # Sequential: the hidden gradient already sees the new output weights.
        W2 = self.W2 - self.learning_rate * g2 if self.options["update"] == "sequential" else self.W2
        d1 = self.back(W2, d2) * (h * (1 - h))
        return (z1, h, z2, o), loss_of(self, o), (self.outer(d1, self.x), g2)


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


def loss_of(net: Any, o: Any) -> Any:
    error = tf.square(net.t - o)
    return tf.reduce_mean(error) if net.options["loss_form"] == "mean" else 0.5 * tf.reduce_sum(error)


def tape_gradients(net: Any) -> Any:
    """Forward pass, loss and both gradients, by automatic differentiation."""
    with tf.GradientTape() as tape:
        forward = net.forward()
        loss = loss_of(net, forward[-1])
    return forward, loss, tape.gradient(loss, [net.W1, net.W2])


def train(net: Any, task: Task, trace: Trace) -> Dict[str, Any]:
    kernels = [net.W1, net.W2]
    optimizer = None
    if task.options["optimizer"] == "sgd":
        optimizer = tf.keras.optimizers.SGD(task.workload.learning_rate)
        optimizer.build(kernels)  # inside a tf.function it could not make its variables

    def step() -> Any:
        manual = task.options["gradient"] == "manual"
        forward, loss, gradients = net.gradients() if manual else tape_gradients(net)
        if optimizer is not None:
            optimizer.apply_gradients(zip(gradients, kernels))
        else:
            for kernel, gradient in zip(kernels, gradients):
                kernel.assign(kernel - net.learning_rate * gradient)
        # A compiled step gives out nothing more than what is asked for: each output may change how it is fused.
        return (loss, forward[-1], *(trace.only(*forward[:-1], None, None, *reversed(gradients)) if trace.on else ()))

    if task.options["compile"] != "eager":
        step = tf.function(step, jit_compile=task.options["compile"] == "xla")
    losses, predictions = [], []
    for _ in range(task.workload.steps):
        loss, o, *more = step()
        losses.append(float(loss))
        predictions.append(o.numpy()[0].tolist())
        trace.step(*more[:3], o, loss, *more[5:], net.W2, net.W1)
    hidden, output = (kernel.numpy().copy() for kernel in kernels)
    if task.options["final_forward"] == "numpy":
        predictions.append(numpy_forward(task, hidden, output))
    else:
        predictions.append(step()[1].numpy()[0].tolist())
    return {**task.result(losses, predictions, hidden.tolist(), output.tolist()), **trace.told()}


def numpy_forward(task: Task, hidden: Any, output: Any) -> List[float]:
    """The forward pass on the trained kernels, in NumPy."""
    import numpy as np

    v = np.array([task.workload.input], hidden.dtype)
    for W, bias in ((hidden, task.workload.hidden_bias), (output, task.workload.output_bias)):
        kernel = W.T if task.options["layout"] == "out_in" else W
        v = 1 / (1 + np.exp(-(v @ kernel + np.array(bias, W.dtype))))
    return v[0].tolist()


if __name__ == "__main__":
    main(TensorFlow())
