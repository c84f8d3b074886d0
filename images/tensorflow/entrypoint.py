"""TensorFlow for every workload: tensors from bits and back, devices, tf.function and XLA."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List

sys.path.insert(1, str(Path(__file__).resolve().parent.parent))
import backends
from cell import Framework, Input, Settings, Task, Unavailable, Value, main
from knobs import version
from values import of_array

np: Any = None  # imported by load, after the process variables are set
tf: Any = None
library = backends.TensorFlow()


class TensorFlow(Framework):
    name = "tensorflow"
    dtypes = ("float32", "float64", "bfloat16", "float16")
    knobs = library.knobs

    def check(self, settings: Settings) -> None:
        self.knobs = library.obeyed(settings)
        self.uncapped_xla = settings.isa is not None and "XLA_FLAGS" not in self.knobs

    def load(self, settings: Settings) -> None:
        global np, tf
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
        import numpy as np
        import tensorflow as tf

        library.set_threads(settings.threads)

    def kernels(self, devices: List[str]) -> Dict[str, str]:
        return {**library.kernels(devices), "tf_keras": keras_version()}

    def threads(self) -> Dict[str, int]:
        return library.threads()

    @contextlib.contextmanager
    def at(self, task: Task) -> Iterator[None]:
        device = "/CPU:0" if task.device == "cpu" else f"/GPU:{library.gpu_index(task.device)}"
        with tf.device(device), library.float32(task):
            yield

    def tensor(self, given: Input, device: str) -> Any:
        dtype = tf.as_dtype(given.dtype).as_numpy_dtype
        return tf.constant(np.frombuffer(bytearray(given.data), dtype).reshape(given.shape))

    def value(self, tensor: Any) -> Value:
        if isinstance(tensor, tf.IndexedSlices):  # the gradient of a table
            tensor = tf.convert_to_tensor(tensor)
        return of_array(tensor if isinstance(tensor, (np.ndarray, np.generic)) else tensor.numpy())

    def compile(self, function: Callable[..., Any], mode: str) -> Callable[..., Any]:
        if mode not in ("graph", "xla"):
            raise Unavailable(f"no compile={mode} in TensorFlow, only eager, graph, xla")
        if mode == "xla" and self.uncapped_xla:
            raise Unavailable("compile=xla cannot be capped: this TensorFlow does not know --xla_cpu_max_isa")
        compiled: Callable[..., Any] = tf.function(function, jit_compile=mode == "xla")
        return compiled


def keras_version() -> str:
    legacy = os.environ.get("TF_USE_LEGACY_KERAS", "").lower() in ("1", "true") and version("tf-keras")
    return ".".join(str(part) for part in version("tf-keras" if legacy else "keras"))


if __name__ == "__main__":
    main(TensorFlow())
