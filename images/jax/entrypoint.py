"""JAX for every workload: arrays from bits and back, on which device and how wide; jit."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List

sys.path.insert(1, str(Path(__file__).resolve().parent.parent))
import backends
from cell import Framework, Input, Settings, Task, Unavailable, Value, main
from values import of_array

jax: Any = None  # imported by load, after the process variables are set
np: Any = None
library = backends.Jax()


class Jax(Framework):
    name = "jax"
    dtypes = ("float32", "float64", "bfloat16", "float16")
    knobs = library.knobs

    def check(self, settings: Settings) -> None:
        self.knobs = library.obeyed(settings)

    def load(self, settings: Settings) -> None:
        global jax, np
        import jax
        import numpy as np

    def kernels(self, devices: List[str]) -> Dict[str, str]:
        return library.kernels(devices)

    @contextlib.contextmanager
    def at(self, task: Task) -> Iterator[None]:
        with jax.default_device(library.device(task.device)), library.wide(task.dtype), library.float32(task):
            yield

    def tensor(self, given: Input, device: str) -> Any:
        array = np.frombuffer(given.data, jax.numpy.dtype(given.dtype)).reshape(given.shape)
        made = jax.device_put(array, library.device(device))
        if made.dtype != array.dtype:  # without x64 a wide one is cut
            raise Unavailable(f"JAX holds {given.dtype} only in a cell of dtype float64")
        return made

    def value(self, tensor: Any) -> Value:
        if not isinstance(tensor, (jax.Array, np.ndarray, np.generic)):
            raise TypeError("no array of JAX")  # NumPy would make an array of anything
        return of_array(np.asarray(tensor))

    def compile(self, function: Callable[..., Any], mode: str) -> Callable[..., Any]:
        if mode != "jit":
            raise Unavailable(f"no compile={mode} here, only eager, jit")
        compiled: Callable[..., Any] = jax.jit(function)
        return compiled


if __name__ == "__main__":
    main(Jax())
