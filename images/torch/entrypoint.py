"""PyTorch for every workload: tensors from bits and back, TF32, and Inductor."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from types import FunctionType
from typing import Any, Callable, ContextManager, Dict, List

sys.path.insert(1, str(Path(__file__).resolve().parent.parent))
import backends
import compiler
from cell import Framework, Input, Settings, Task, Value, main
from values import of_array

torch: Any = None  # imported by load, after the process variables are set
library = backends.Torch()


class PyTorch(Framework):
    name = "torch"
    dtypes = ("float32", "float64", "bfloat16", "float16")
    knobs = library.knobs

    def load(self, settings: Settings) -> None:
        global torch
        if compiler.available():
            compiler.install(Path(tempfile.gettempdir()) / "repromatrix-compiler")
        import torch

        library.set_threads(settings.threads)

    def kernels(self, devices: List[str]) -> Dict[str, str]:
        return {**library.kernels(devices), **compiler.described()}

    def threads(self) -> Dict[str, int]:
        return library.threads()

    def at(self, task: Task) -> ContextManager[Any]:
        if task.device != "cpu":
            library.gpu_index(task.device)
        if compiles(task):
            backends.need_compiler()
            from torch._inductor import metrics

            torch.compiler.reset()  # another cell's compiled code is no part of this one
            metrics.reset()
        precision: ContextManager[Any] = library.float32(task)
        return precision

    def tensor(self, given: Input, device: str) -> Any:
        dtype = getattr(torch, given.dtype)
        # A copy, for memory that is aligned as all of PyTorch's is.
        flat = torch.frombuffer(bytearray(given.data), dtype=dtype) if given.data else torch.empty(0, dtype=dtype)
        return flat.reshape(given.shape).to(device, copy=True)

    def value(self, tensor: Any) -> Value:
        if tensor.dtype == torch.bfloat16:  # which NumPy does not have
            one_nan = tensor.detach().masked_fill(tensor.isnan(), float("nan"))
            return Value("bfloat16", tuple(tensor.shape), one_nan.view(torch.int16).numpy(force=True).tobytes())
        if tensor.dtype == torch.complex32:  # nor this
            return Value("complex32", tuple(tensor.shape), of_array(torch.view_as_real(tensor).numpy(force=True)).data)
        return of_array(tensor.numpy(force=True))

    def compile(self, function: Callable[..., Any], mode: str) -> Callable[..., Any]:
        if mode != "inductor":
            return super().compile(function, mode)
        # Whole or not at all, and for these shapes alone.
        return torch.compile(with_own_code(function), fullgraph=True, backend="inductor", dynamic=False)

    def ran(self, task: Task) -> None:
        if compiles(task):
            from torch._inductor import metrics

            # Scalar kernels can give eager bits: only the count shows that they were there.
            if not metrics.generated_kernel_count:
                raise RuntimeError("torch.compile gave no Inductor kernel: the cell ran eagerly")


def compiles(task: Task) -> bool:
    return task.cell.options.get("compile", "eager") == "inductor"


def with_own_code(function: Any) -> Callable[..., Any]:
    """The same function on a code object of its own: of one code, in whatever closures, PyTorch compiles only a few."""
    code, defaults, closure = function.__code__.replace(), function.__defaults__, function.__closure__
    return FunctionType(code, function.__globals__, function.__name__, defaults, closure)


if __name__ == "__main__":
    main(PyTorch())
