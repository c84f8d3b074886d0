"""The workload in Keras 3 on any of its backends: a compiled Sequential, trained batch by batch."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import sys
from pathlib import Path
from typing import Any, Dict, Iterator, List

sys.path.insert(1, str(Path(__file__).resolve().parent.parent))
from backends import BACKENDS, TF32, need_compiler
from cell import Framework, Primitives, Settings, Task, Unavailable, main
from probe import Probe
from tracing import Trace

keras: Any = None  # imported by load, after the process variables are set

NUMPY_KNOBS = ("NPY_DISABLE_CPU_FEATURES", "OPENBLAS_CORETYPE")
# Each backend's own words for the ways to run a step.
COMPILE = {"tensorflow": ("eager", "graph", "xla"), "jax": ("eager", "jit"), "torch": ("eager", "inductor")}


def backend() -> str:
    """The backend that the image chose, else the first that is installed."""
    there = [name for name in BACKENDS if importlib.util.find_spec(name) is not None]
    return os.environ.get("KERAS_BACKEND") or (there[0] if there else "tensorflow")


# What it has of each factor; the first is the default.
OPTIONS = {
    "gradient": ("auto",),
    "update": ("parallel",),
    "loop": ("rolled",),
    "layout": ("in_out", "in_out_untransposed"),
    "loss_form": ("half_sum", "mean"),
    "activation": ("native", "exp"),
    "compile": ("eager", "graph", "xla", "jit", "inductor"),
    "api": ("keras",),
    "optimizer": ("sgd",),
    "final_forward": ("model", "numpy"),
    "tf32": TF32,
}


class Keras(Framework):
    dtypes = ("float32", "float64", "bfloat16", "float16")
    options = OPTIONS

    def check(self, settings: Settings) -> None:
        os.environ["KERAS_BACKEND"] = backend()
        if backend() not in BACKENDS:
            raise Unavailable(f"no Keras backend {backend()} here, only {', '.join(BACKENDS)}")
        self.backend = BACKENDS[backend()]
        self.knobs = self.backend.obeyed(settings) + NUMPY_KNOBS  # NumPy too: final_forward
        self.uncapped_xla = settings.isa is not None and "XLA_FLAGS" not in self.knobs

    def load(self, settings: Settings) -> None:
        global keras
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
        import keras

        self.backend.set_threads(settings.threads)

    def kernels(self, devices: List[str]) -> Dict[str, str]:
        return {"keras_backend": keras.backend.backend(), **self.backend.kernels(devices)}

    def threads(self) -> Dict[str, int]:
        return self.backend.threads()

    @contextlib.contextmanager
    def at(self, task: Task) -> Iterator[None]:
        """The device, the dtype and the precision of a task that this entrypoint can run."""
        mode = task.options["compile"]
        if mode not in COMPILE[backend()]:
            raise Unavailable(f"no compile={mode} on the {backend()} backend ({', '.join(COMPILE[backend()])})")
        if mode == "xla" and self.uncapped_xla:
            raise Unavailable("compile=xla cannot be capped: this TensorFlow does not know --xla_cpu_max_isa")
        if mode == "inductor":
            need_compiler()
            if task.trace:
                raise Unavailable("no trace of compile=inductor: nothing can be taken out of the step that it compiles")
        # Keras says "gpu" for what every backend calls otherwise.
        device = "cpu" if task.device == "cpu" else f"gpu:{self.backend.gpu_index(task.device)}"
        library = self.backend
        with keras.device(device), floatx(task.dtype), library.wide(task.dtype), library.float32(task):
            yield

    def train(self, task: Task) -> Dict[str, Any]:
        with self.at(task):
            return train(task)

    @contextlib.contextmanager
    def primitives(self, task: Task) -> Iterator[Primitives]:
        from primitives import KerasPrimitives

        with self.at(task):
            model = build(task, OBJECTIVES[task.options["loss_form"]], Probe(task, backend(), ()))
            yield KerasPrimitives(task, model, OBJECTIVES[task.options["loss_form"]])


@contextlib.contextmanager
def floatx(dtype: str) -> Iterator[None]:
    """Everything in this dtype for one cell, Keras' losses, metrics and optimizer included."""
    before = keras.config.floatx()
    keras.config.set_floatx(dtype)
    try:
        yield
    finally:
        keras.config.set_floatx(before)


def sigmoid(z: Any) -> Any:
    return 1 / (1 + keras.ops.exp(-z))


# One number for the whole batch, which holds one sample: nothing is left for Keras to reduce.
def half_sum(t: Any, o: Any) -> Any:
    return 0.5 * keras.ops.sum(keras.ops.square(t - o))


def mean(t: Any, o: Any) -> Any:
    return keras.ops.mean(keras.ops.square(t - o))


OBJECTIVES = {"half_sum": half_sum, "mean": mean}


def build(task: Task, objective: Any, probe: Probe) -> Any:
    """The compiled model with the given kernels and fixed biases."""
    work = task.workload
    activation = "sigmoid" if task.options["activation"] == "native" else sigmoid
    units = [len(work.hidden_weights), len(work.target)]
    seen = [probe.activation(keras.activations.get(activation), layer) for layer in ("hidden", "output")]
    dense = [
        keras.layers.Dense(count, activation=each if task.trace else activation, dtype=task.dtype)
        for count, each in zip(units, seen)
    ]
    model = keras.Sequential([keras.Input((len(work.input),), dtype=task.dtype), *dense])
    for layer, kernel, bias in zip(dense, task.weights(), (work.hidden_bias, work.output_bias)):
        layer.kernel.assign(kernel)
        layer.bias.assign([bias] * layer.units)
        layer.bias.trainable = False
    optimizer = keras.optimizers.SGD(work.learning_rate)
    model.compile(
        optimizer=probe.optimizer(optimizer) if task.trace else optimizer,
        loss=probe.objective(objective) if task.trace else objective,
        run_eagerly=task.options["compile"] == "eager",
        jit_compile=task.options["compile"] in ("xla", "jit", "inductor"),
    )
    return model


def train(task: Task) -> Dict[str, Any]:
    objective = OBJECTIVES[task.options["loss_form"]]
    trace = Trace(task, BACKENDS[backend()].untraced(task))
    probe = Probe(task, backend(), trace.untraced)
    model = build(task, objective, probe)
    x, t = (array([row], task.dtype) for row in (task.workload.input, task.workload.target))
    losses, predictions = [], []
    for _ in range(task.workload.steps):
        predictions.append(model.predict_on_batch(x)[0].tolist())
        before = float(objective(keras.ops.convert_to_tensor(t), model(x))) if backend() == "torch" else None
        with probe.taking():
            reported = float(model.train_on_batch(x, t))
        # On torch, the metric that Keras reports the loss through rounds float64 to float32.
        losses.append(reported if before is None else before)
        trace.step(*probe.tensors(), *(layer.kernel for layer in reversed(model.layers)))
    hidden, output = (array(layer.kernel, task.dtype) for layer in model.layers)
    last = (
        numpy_forward(task, hidden, output) if task.options["final_forward"] == "numpy" else model.predict_on_batch(x)
    )
    predictions.append(last[0].tolist())
    return {**task.result(losses, predictions, hidden.tolist(), output.tolist()), **trace.told()}


def array(values: Any, dtype: str) -> Any:
    """A NumPy array of the dtype, bfloat16 included."""
    return keras.ops.convert_to_numpy(keras.ops.convert_to_tensor(values, dtype)).copy()


def numpy_forward(task: Task, hidden: Any, output: Any) -> Any:
    """The forward pass on the trained kernels, in NumPy."""
    import numpy as np

    v = np.array([task.workload.input], hidden.dtype)
    for kernel, bias in ((hidden, task.workload.hidden_bias), (output, task.workload.output_bias)):
        v = 1 / (1 + np.exp(-(v @ kernel + np.array(bias, kernel.dtype))))
    return v


if __name__ == "__main__":
    main(Keras())
