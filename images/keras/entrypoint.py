"""The workload in Keras 3 on any of its backends: a compiled Sequential, trained batch by batch."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import sys
from typing import Any, Dict, Iterator, List

sys.path.insert(1, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from cell import Framework, Settings, Task, Unavailable, main, version  # noqa: E402

keras: Any = None  # imported by load, after the process variables are set

KNOBS = {
    "tensorflow": ("ONEDNN_MAX_CPU_ISA", "XLA_FLAGS"),
    "jax": ("XLA_FLAGS",),
    "torch": ("ATEN_CPU_CAPABILITY", "ONEDNN_MAX_CPU_ISA", "MKL_ENABLE_INSTRUCTIONS"),
}
# The backends' own words for a compiled step.
COMPILE = {"tensorflow": ("eager", "graph", "xla"), "jax": ("eager", "jit"), "torch": ("eager",)}


def backend() -> str:
    """The backend that the image chose, else the first that is installed."""
    there = [name for name in KNOBS if importlib.util.find_spec(name) is not None]
    return os.environ.get("KERAS_BACKEND") or (there[0] if there else "tensorflow")


class Keras(Framework):
    dtypes = ("float32", "float64", "bfloat16", "float16")
    options = {
        "gradient": ("auto",),
        "update": ("parallel",),
        "layout": ("in_out", "in_out_untransposed"),
        "loss_form": ("half_sum", "mean"),
        "activation": ("native", "exp"),
        "compile": ("eager", "graph", "xla", "jit"),
        "api": ("keras",),
        "optimizer": ("sgd",),
        "final_forward": ("model", "numpy"),
    }
    knobs = ("NPY_DISABLE_CPU_FEATURES", "OPENBLAS_CORETYPE")

    def check(self, settings: Settings) -> None:
        os.environ["KERAS_BACKEND"] = backend()
        self.knobs = KNOBS.get(backend(), ()) + self.knobs
        if backend() == "jax" and settings.isa is not None and version("jaxlib") < (0, 4, 36):
            raise Unavailable(f"isa={settings.isa} needs --xla_cpu_max_isa, which this jaxlib does not know")

    def load(self, settings: Settings) -> None:
        global keras
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
        import keras

    def kernels(self, devices: List[str]) -> Dict[str, str]:
        return {"keras_backend": keras.backend.backend()}

    def train(self, task: Task) -> Dict[str, Any]:
        with floatx(task.dtype):
            return train(task)


@contextlib.contextmanager
def floatx(dtype: str) -> Iterator[None]:
    """Everything in this dtype for one cell, Keras' loss and metrics included."""
    before = keras.config.floatx()
    keras.config.set_floatx(dtype)
    try:
        if dtype == "float64" and keras.backend.backend() == "jax":
            import jax
            if hasattr(jax, "enable_x64"):
                with jax.enable_x64(True):
                    yield
            else:
                from jax.experimental import enable_x64
                with enable_x64():
                    yield
        else:
            yield
    finally:
        keras.config.set_floatx(before)


def sigmoid(z: Any) -> Any:
    return 1 / (1 + keras.ops.exp(-z))


def half_sum(t: Any, o: Any) -> Any:
    return 0.5 * keras.ops.sum(keras.ops.square(t - o), axis=-1)


def mean(t: Any, o: Any) -> Any:
    return keras.ops.mean(keras.ops.square(t - o), axis=-1)


def build(task: Task) -> Any:
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
        loss=half_sum if task.options["loss_form"] == "half_sum" else mean,
        run_eagerly=task.options["compile"] == "eager",
        jit_compile=task.options["compile"] in ("jit", "xla"),
    )
    return model


def train(task: Task) -> Dict[str, Any]:
    model = build(task)
    x = keras.ops.convert_to_numpy(keras.ops.convert_to_tensor([task.workload.input], task.dtype))
    t = keras.ops.convert_to_numpy(keras.ops.convert_to_tensor([task.workload.target], task.dtype))
    losses, predictions = [], []
    for _ in range(task.workload.steps):
        predictions.append(model.predict_on_batch(x)[0].tolist())
        out = model.train_on_batch(x, t)
        losses.append(float(out))
    predictions.append(model.predict_on_batch(x)[0].tolist())
    hidden, output = (keras.ops.convert_to_numpy(layer.kernel).tolist() for layer in model.layers)
    return task.result(losses, predictions, hidden, output)


if __name__ == "__main__":
    main(Keras())
