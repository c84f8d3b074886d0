"""The workload in Keras 3 on any of its backends: a compiled Sequential, trained batch by batch."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import shutil
import sys
from pathlib import Path
from typing import Any, Dict, Iterator, List, Optional, Tuple

sys.path.insert(1, str(Path(__file__).resolve().parent.parent))
from cell import Framework, Settings, Task, Unavailable, main, version

keras: Any = None  # imported by load, after the process variables are set

KNOBS = {
    "tensorflow": ("ONEDNN_MAX_CPU_ISA", "XLA_FLAGS", "NPY_DISABLE_CPU_FEATURES", "OPENBLAS_CORETYPE"),
    "jax": ("XLA_FLAGS",),
    "torch": ("ATEN_CPU_CAPABILITY", "ONEDNN_MAX_CPU_ISA", "MKL_ENABLE_INSTRUCTIONS"),
}
NUMPY_KNOBS = ("NPY_DISABLE_CPU_FEATURES", "OPENBLAS_CORETYPE")
# Each backend's own words for the ways to run a step.
COMPILE = {"tensorflow": ("eager", "graph", "xla"), "jax": ("eager", "jit"), "torch": ("eager", "inductor")}
FIRST_WITH_CAP = {"tensorflow": (2, 19), "jax": (0, 4, 34)}


def backend() -> str:
    """The backend that the image chose, else the first that is installed."""
    there = [name for name in KNOBS if importlib.util.find_spec(name) is not None]
    return os.environ.get("KERAS_BACKEND") or (there[0] if there else "tensorflow")


def library_version() -> Tuple[int, ...]:
    names = {"tensorflow": ("tensorflow", "tensorflow-cpu"), "jax": ("jaxlib",)}[backend()]
    return max(version(name) for name in names)


# What it has of each factor; the first is the default.
OPTIONS = {
    "gradient": ("auto",),
    "update": ("parallel",),
    "layout": ("in_out", "in_out_untransposed"),
    "loss_form": ("half_sum", "mean"),
    "activation": ("native", "exp"),
    "compile": ("eager", "graph", "xla", "jit", "inductor"),
    "api": ("keras",),
    "optimizer": ("sgd",),
    "final_forward": ("model", "numpy"),
}


class Keras(Framework):
    dtypes = ("float32", "float64", "bfloat16", "float16")
    options = OPTIONS

    def check(self, settings: Settings) -> None:
        os.environ["KERAS_BACKEND"] = backend()
        self.knobs = KNOBS.get(backend(), ()) + NUMPY_KNOBS  # NumPy too: final_forward
        # An older XLA aborts the process at a flag that it does not know.
        old = backend() in FIRST_WITH_CAP and library_version() < FIRST_WITH_CAP[backend()]
        self.uncapped_xla = settings.isa is not None and old
        if self.uncapped_xla and backend() == "jax":
            raise Unavailable(f"isa={settings.isa} needs --xla_cpu_max_isa, which this jaxlib does not know")
        if self.uncapped_xla:
            self.knobs = tuple(knob for knob in self.knobs if knob != "XLA_FLAGS")

    def load(self, settings: Settings) -> None:
        global keras
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
        import keras

        set_threads(settings.threads)

    def kernels(self, devices: List[str]) -> Dict[str, str]:
        return {"keras_backend": keras.backend.backend(), **backend_kernels()}

    def threads(self) -> Dict[str, int]:
        return backend_threads()

    def train(self, task: Task) -> Dict[str, Any]:
        mode = task.options["compile"]
        if mode not in COMPILE[backend()]:
            raise Unavailable(f"no compile={mode} on the {backend()} backend ({', '.join(COMPILE[backend()])})")
        compiler = os.environ.get("CXX", "g++")
        if mode == "xla" and self.uncapped_xla:
            raise Unavailable("compile=xla cannot be capped: this TensorFlow does not know --xla_cpu_max_isa")
        if mode == "inductor" and not shutil.which(compiler):
            raise Unavailable(f"compile=inductor needs a C++ compiler, and there is no {compiler} here")
        if task.device != "cpu":
            raise Unavailable(f"the Keras cells run on the cpu only, not on {task.device}")
        with keras.device("cpu"), floatx(task.dtype), wide(task.dtype):
            return train(task)


def set_threads(count: Optional[int]) -> None:
    if count is not None and backend() == "tensorflow":
        import tensorflow as tf

        tf.config.threading.set_intra_op_parallelism_threads(count)
        tf.config.threading.set_inter_op_parallelism_threads(count)
    elif count is not None and backend() == "torch":
        import torch

        torch.set_num_threads(count)
        torch.set_num_interop_threads(count)


def backend_threads() -> Dict[str, int]:
    if backend() == "tensorflow":
        import tensorflow as tf

        threading = tf.config.threading
        intra, inter = threading.get_intra_op_parallelism_threads(), threading.get_inter_op_parallelism_threads()
        return {"tf_intra_op": intra, "tf_inter_op": inter}
    if backend() == "torch":
        import torch

        return {"torch": torch.get_num_threads(), "torch_interop": torch.get_num_interop_threads()}
    return {}


def backend_kernels() -> Dict[str, str]:
    """The same names as the backend's own entrypoint gives."""
    if backend() == "tensorflow":
        from tensorflow.python.util import _pywrap_util_port

        return {"tf_onednn": str(_pywrap_util_port.IsMklEnabled())}
    if backend() == "torch":
        import torch

        return {"torch_cpu_capability": torch.backends.cpu.get_cpu_capability()}
    import jax

    return {"xla_cpu_platform": " ".join(jax.devices("cpu")[0].client.platform_version.split())}


@contextlib.contextmanager
def floatx(dtype: str) -> Iterator[None]:
    """Everything in this dtype for one cell, Keras' losses, metrics and optimizer included."""
    before = keras.config.floatx()
    keras.config.set_floatx(dtype)
    try:
        yield
    finally:
        keras.config.set_floatx(before)


def wide(dtype: str) -> Any:
    """On JAX, float64 switched on for one cell only; the public name of the switch moved."""
    if dtype != "float64" or backend() != "jax":
        return contextlib.nullcontext()
    import jax

    if hasattr(jax, "enable_x64"):
        return jax.enable_x64(True)
    from jax.experimental import enable_x64

    return enable_x64()


def sigmoid(z: Any) -> Any:
    return 1 / (1 + keras.ops.exp(-z))


# One number for the whole batch, which holds one sample: nothing is left for Keras to reduce.
def half_sum(t: Any, o: Any) -> Any:
    return 0.5 * keras.ops.sum(keras.ops.square(t - o))


def mean(t: Any, o: Any) -> Any:
    return keras.ops.mean(keras.ops.square(t - o))


def build(task: Task, objective: Any) -> Any:
    """The compiled model with the given kernels and fixed biases."""
    work = task.workload
    activation = "sigmoid" if task.options["activation"] == "native" else sigmoid
    units = [len(work.hidden_weights), len(work.target)]
    dense = [keras.layers.Dense(count, activation=activation, dtype=task.dtype) for count in units]
    model = keras.Sequential([keras.Input((len(work.input),), dtype=task.dtype), *dense])
    for layer, kernel, bias in zip(dense, task.weights(), (work.hidden_bias, work.output_bias)):
        layer.kernel.assign(kernel)
        layer.bias.assign([bias] * layer.units)
        layer.bias.trainable = False
    model.compile(
        optimizer=keras.optimizers.SGD(work.learning_rate),
        loss=objective,
        run_eagerly=task.options["compile"] == "eager",
        jit_compile=task.options["compile"] in ("xla", "jit", "inductor"),
    )
    return model


def train(task: Task) -> Dict[str, Any]:
    objective = half_sum if task.options["loss_form"] == "half_sum" else mean
    model = build(task, objective)
    x, t = (array([row], task.dtype) for row in (task.workload.input, task.workload.target))
    losses, predictions = [], []
    for _ in range(task.workload.steps):
        predictions.append(model.predict_on_batch(x)[0].tolist())
        before = float(objective(keras.ops.convert_to_tensor(t), model(x))) if backend() == "torch" else None
        reported = float(model.train_on_batch(x, t))
        # On torch, the metric that Keras reports the loss through rounds float64 to float32.
        losses.append(reported if before is None else before)
    hidden, output = (array(layer.kernel, task.dtype) for layer in model.layers)
    last = (
        numpy_forward(task, hidden, output) if task.options["final_forward"] == "numpy" else model.predict_on_batch(x)
    )
    predictions.append(last[0].tolist())
    return task.result(losses, predictions, hidden.tolist(), output.tolist())


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
