"""The harness inside every measured environment: a job in, JSON lines with exact values out.

Sets the process up before the framework is imported, runs the workload of each cell and prints what it records.
Standard library only, Python 3.9 or newer; what is particular to a framework lives in its entrypoint, what several
entrypoints ask of a framework in backends.py, and what is trained in the workload, which comes with the job.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import json
import os
import sys
from pathlib import Path
from typing import Any, Callable, ContextManager, Dict, List, Optional, TextIO, Tuple

import command
from fingerprint import fingerprint, told_variable
from job import Cell, Input, Job, MalformedJob, Operation, Settings, Unavailable, parse_job, read_job
from knobs import variables
from modules import Modules, blamed, function_of, print_traceback
from replay import replayed  # here, as modules of workloads import it where this folder is no longer on the path
from task import Line, Task
from values import Value

# What an entrypoint needs.
__all__ = ["Framework", "Input", "Settings", "Task", "Unavailable", "Value", "main"]


class Framework:
    """What an entrypoint fills in, once for all workloads. Nothing here may import the framework before `load`."""

    name = ""  # of the framework, and of a workload's module for it
    dtypes: Tuple[str, ...] = ()
    knobs: Tuple[str, ...] = ()  # the keys of SPELLINGS that it obeys

    def check(self, settings: Settings) -> None:
        """Raise Unavailable if this version cannot do what the settings ask."""

    def load(self, settings: Settings) -> None:
        """Import the framework."""

    def kernels(self, devices: List[str]) -> Dict[str, str]:
        """The code paths really taken; a name ending in `_requested` was only declared."""
        return {}

    def threads(self) -> Dict[str, int]:
        """Thread counts as the libraries report them."""
        return {}

    def at(self, task: Task) -> ContextManager[Any]:
        """The device and the precision in which a cell runs. Raises Unavailable for what it cannot have here."""
        return contextlib.nullcontext()

    def tensor(self, given: Input, device: str) -> Any:
        """The framework's own tensor with these bits."""
        raise NotImplementedError

    def value(self, tensor: Any) -> Value:
        """The exact bits of a tensor, each NaN the same one."""
        raise NotImplementedError

    def compile(self, function: Callable[..., Any], mode: str) -> Callable[..., Any]:
        """A function compiled in a mode of the factor `compile` other than `eager`."""
        raise Unavailable(f"no compile={mode} here")

    def ran(self, task: Task) -> None:
        """Look, after a cell, whether it ran as it was asked to. Raises RuntimeError if not."""


Emit = Callable[[Line], None]


def stop_at(obstacle: Optional[Exception]) -> None:
    """Raise what stands in the way of every cell."""
    if obstacle is not None:
        raise obstacle


class Server:
    """Runs the cells and the operations of one job and prints their lines."""

    def __init__(self, framework: Framework, job: Job, emit: Emit) -> None:
        self.framework, self.job, self.emit = framework, job, emit
        self.modules = Modules(job.codes, framework.name)

    def serve(self) -> None:
        """Print the fingerprint, then what each cell and each operation gives, as it comes."""
        obstacle = self.set_up()
        asked = [*self.job.cells, *(operation.cell for operation in self.job.operations)]
        seen = {name: value for name, value in sorted(os.environ.items()) if told_variable(name)}
        try:
            self.framework.load(self.job.settings)
        except Exception as error:
            print_traceback()
            obstacle = obstacle or error
        told = fingerprint(self.framework, [cell.device for cell in asked], seen)
        self.emit({"line": "fingerprint", "fingerprint": told})
        for cell in self.job.cells:
            self.emit({"line": "start", "id": cell.id})
            self.emit(self.finished({"line": "cell", "id": cell.id}, cell, obstacle, lambda cell=cell: self.run(cell)))
        for operation in self.job.operations:
            cell = operation.cell
            self.emit({"line": "start", "id": cell.id})
            line = {"line": "operation", "id": cell.id, "operation": operation.name, "dtype": cell.dtype}
            self.emit(self.finished(line, cell, obstacle, lambda each=operation: self.replay(each)))
        self.emit({"line": "end", "cells": len(self.job.cells), "operations": len(self.job.operations)})

    def set_up(self) -> Optional[Exception]:
        """Set the process variables; give what stands in the way of every cell."""
        try:
            self.framework.check(self.job.settings)
            os.environ.update(variables(self.job.settings, self.framework.knobs))
        except Exception as error:  # Unavailable, or a version that lacks what the check asks for
            return error
        return None

    def finished(self, line: Line, cell: Cell, obstacle: Optional[Exception], work: Callable[[], Line]) -> Line:
        """The last line of a cell or an operation, with what `work` tells. A failure is a value."""
        try:
            stop_at(obstacle)
            return {**line, "outcome": "ok", "reason": None, **work()}
        except Unavailable as error:
            return {**line, "outcome": "unavailable", "reason": str(error)}
        except Exception as error:
            print_traceback()
            reason = blamed(error, self.modules.folders.get(cell.workload), self.job.codes[cell.workload].name)
            return {**line, "outcome": "failed", "reason": reason}

    def run(self, cell: Cell) -> Line:
        """Train; what the last line of the cell tells beside its outcome."""
        if cell.words:
            return command.run(cell, self.job.codes[cell.workload], self.emit)
        task = self.task(cell)
        with self.framework.at(task):
            function_of(self.modules.take(cell.workload), "train")(task)
            self.framework.ran(task)
        return {"untraced": task.ended(), **task.lost()}

    def replay(self, operation: Operation) -> Line:
        """Compute an operation, or a step, on the given samples; what its line tells beside the outcome."""
        task = self.task(operation.cell)
        with self.framework.at(task):
            module = self.modules.take(operation.cell.workload)
            if not hasattr(module, "operations"):
                raise Unavailable(f"{module.__name__.partition('.')[2]}.py has no function operations(task)")
            own = function_of(module, "operations")(task)
            return {"outputs": replayed(own, operation.places, operation.samples)}

    def task(self, cell: Cell) -> Task:
        if cell.dtype not in self.framework.dtypes:
            raise Unavailable(f"no dtype {cell.dtype} here, only {', '.join(self.framework.dtypes)}")
        code = self.job.codes[cell.workload]

        def blame(error: BaseException) -> str:
            print_traceback()
            return blamed(error, self.modules.folders.get(cell.workload), code.name)

        return Task(cell, self.framework, self.emit, rows=code.rows, blame=blame)


def private_output() -> TextIO:
    """The real standard output; from here on whatever else prints there goes to standard error."""
    lines = os.fdopen(os.dup(1), "w", encoding="utf-8")
    sys.stdout.flush()
    os.dup2(2, 1)
    return lines


def end() -> None:
    """End the process, all being told: to take the interpreter apart takes 11 ms, and libraries crash in it."""
    try:
        atexit._run_exitfuncs()  # noqa: SLF001 - there is no public way
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        ctypes.CDLL(None).fflush(None)  # what libraries printed without Python
    finally:
        os._exit(0)


def main(framework: Framework) -> None:
    """Serve the job that this process was given."""
    output = private_output()
    here, folder = Path(__file__).resolve().parent, Path(sys.argv[0]).resolve().parent
    # In a checkout this folder holds others named as frameworks, which Python would take for packages.
    if here != folder:
        sys.path[:] = [path for path in sys.path if Path(path).resolve() != here]
    try:
        job = parse_job(read_job(folder, sys.argv[1:]))
    except (MalformedJob, OSError, UnicodeDecodeError) as error:
        print(f"malformed job: {error}", file=sys.stderr)
        print("the job's form is in docs/architecture.md, an example in default-job.json", file=sys.stderr)
        sys.exit(2)

    encode = json.JSONEncoder(allow_nan=False).encode

    def emit(line: Line) -> None:
        output.write(encode(line) + "\n")
        output.flush()

    Server(framework, job, emit).serve()
    end()
