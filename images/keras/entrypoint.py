"""Keras 3 for every workload, on any of its backends: tensors from bits and back, the device and the dtype of a cell.

Keras compiles a model's step itself, as `model.compile` is told; probe.py takes out what such a step computes.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import os
import sys
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List

sys.path.insert(1, str(Path(__file__).resolve().parent.parent))
from backends import BACKENDS, need_compiler
from cell import Framework, Input, Settings, Task, Unavailable, Value, main
from values import of_array

keras: Any = None  # imported by load, after the process variables are set
np: Any = None

NUMPY_KNOBS = ("NPY_DISABLE_CPU_FEATURES", "OPENBLAS_CORETYPE")
# Each backend's own words for the ways to run a step.
COMPILE = {"tensorflow": ("eager", "graph", "xla"), "jax": ("eager", "jit"), "torch": ("eager", "inductor")}


def backend() -> str:
    """The backend that the image chose, else the first that is installed."""
    there = [name for name in BACKENDS if importlib.util.find_spec(name) is not None]
    return os.environ.get("KERAS_BACKEND") or (there[0] if there else "tensorflow")


class Keras(Framework):
    name = "keras"
    dtypes = ("float32", "float64", "bfloat16", "float16")

    def check(self, settings: Settings) -> None:
        os.environ["KERAS_BACKEND"] = backend()
        if backend() not in BACKENDS:
            raise Unavailable(f"no Keras backend {backend()} here, only {', '.join(BACKENDS)}")
        self.backend = BACKENDS[backend()]
        self.knobs = self.backend.obeyed(settings) + NUMPY_KNOBS  # NumPy too: modules compute with it
        self.uncapped_xla = settings.isa is not None and "XLA_FLAGS" not in self.knobs

    def load(self, settings: Settings) -> None:
        global keras, np
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
        import keras
        import ml_dtypes  # noqa: F401  NumPy's bfloat16
        import numpy as np

        self.backend.set_threads(settings.threads)

    def kernels(self, devices: List[str]) -> Dict[str, str]:
        return {"keras_backend": keras.backend.backend(), **self.backend.kernels(devices)}

    def threads(self) -> Dict[str, int]:
        return self.backend.threads()

    @contextlib.contextmanager
    def at(self, task: Task) -> Iterator[None]:
        mode = task.cell.options.get("compile", "eager")
        if mode not in COMPILE[backend()]:
            raise Unavailable(f"no compile={mode} on the {backend()} backend ({', '.join(COMPILE[backend()])})")
        if mode == "xla" and self.uncapped_xla:
            raise Unavailable("compile=xla cannot be capped: this TensorFlow does not know --xla_cpu_max_isa")
        if mode == "inductor":
            need_compiler()
        wide, float32 = self.backend.wide(task.dtype), self.backend.float32(task)
        with keras.device(self.device(task.device)), floatx(task.dtype), wide, float32:
            yield

    def device(self, name: str) -> str:
        """A device as all releases of Keras 3 call it: `cpu:0` on JAX before 3.9, `cpu` on PyTorch in all."""
        if name == "cpu":
            return "cpu" if backend() == "torch" else "cpu:0"
        return f"gpu:{self.backend.gpu_index(name)}"

    def tensor(self, given: Input, device: str) -> Any:
        array = np.frombuffer(bytearray(given.data), given.dtype).reshape(given.shape)
        return keras.ops.convert_to_tensor(array, given.dtype)

    def value(self, tensor: Any) -> Value:
        if backend() != "tensorflow" or isinstance(tensor, (np.ndarray, np.generic)):
            return of_array(keras.ops.convert_to_numpy(tensor))
        # Keras' own way breaks at a single bfloat16 of TensorFlow.
        return of_array(np.asarray(keras.ops.convert_to_tensor(tensor).numpy()))

    def compile(self, function: Callable[..., Any], mode: str) -> Callable[..., Any]:
        """A function outside Keras' own step, compiled by the backend as Keras compiles the step."""
        library: Any = importlib.import_module(backend())
        if backend() == "tensorflow":
            return library.function(function, jit_compile=mode == "xla")
        return library.jit(function) if backend() == "jax" else library.compile(function)


@contextlib.contextmanager
def floatx(dtype: str) -> Iterator[None]:
    """Everything in this dtype for one cell: Keras' layers, losses, metrics and optimizers."""
    before = keras.config.floatx()
    try:
        for switch in (keras.config.set_floatx, keras.config.set_dtype_policy):
            switch(dtype)
        yield
    finally:
        for switch in (keras.config.set_floatx, keras.config.set_dtype_policy):
            switch(before)


if __name__ == "__main__":
    main(Keras())
