"""NumPy for every workload: arrays from bits and back; nothing is compiled."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from typing import Any, ContextManager

sys.path.insert(1, str(Path(__file__).resolve().parent.parent))
from cell import Framework, Input, Settings, Task, Unavailable, Value, main
from values import of_array

np: Any = None  # imported by load, after the process variables are set


class NumPy(Framework):
    name = "numpy"
    dtypes = ("float64", "float32", "float16")
    knobs = ("NPY_DISABLE_CPU_FEATURES", "OPENBLAS_CORETYPE")

    def load(self, settings: Settings) -> None:
        global np
        import numpy as np

    def at(self, task: Task) -> ContextManager[Any]:
        if task.device != "cpu":
            raise Unavailable(f"NumPy has no device {task.device}")
        return contextlib.nullcontext()

    def tensor(self, given: Input, device: str) -> Any:
        return np.frombuffer(bytearray(given.data), given.dtype).reshape(given.shape)

    def value(self, tensor: Any) -> Value:
        return of_array(np.asarray(tensor))


if __name__ == "__main__":
    main(NumPy())
