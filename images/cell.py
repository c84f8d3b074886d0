"""The harness inside every measured environment: a job in, one JSON line per finished cell or operation out.

Sets the process up before the framework is imported, has the framework train each cell and prints exact values.
Standard library only, Python 3.8 or newer; what is particular to a framework lives in its entrypoint, and what
several entrypoints ask of a framework in backends.py.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any, Callable, ContextManager, Dict, List, Mapping, Optional, TextIO, Tuple

import operations
from fingerprint import VARIABLES, fingerprint
from job import MalformedJob, Settings, Task, Unavailable, describe, parse_document, parse_job, read_job
from knobs import variables
from operations import Primitives
from samples import STEP, Operation, parse_operations

# What an entrypoint needs.
__all__ = ["Framework", "Primitives", "Settings", "Task", "Unavailable", "main"]


class Framework:
    """What an entrypoint fills in. Nothing here may import the framework before `load`."""

    dtypes: Tuple[str, ...] = ()
    options: Mapping[str, Tuple[str, ...]] = MappingProxyType({})  # the values it has; the first is the default
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

    def train(self, task: Task) -> Dict[str, Any]:
        """Run one cell whose options are complete and known; give `task.result(...)`, with `Trace.told()` if traced."""
        raise NotImplementedError

    def primitives(self, task: Task) -> ContextManager[Primitives]:
        """What the cell's step is made of, on the device and at the precision of the cell while the context lasts."""
        raise Unavailable("this entrypoint has no operations")


def complete(task: Task, framework: Framework) -> Task:
    """The task with every option filled in. Raises Unavailable for what the framework does not have."""
    if task.dtype not in framework.dtypes:
        raise Unavailable(f"no dtype {task.dtype} here, only {', '.join(framework.dtypes)}")
    for key, value in sorted(task.options.items()):
        if value not in framework.options.get(key, ()):
            there = ", ".join(framework.options.get(key, ())) or "no such option"
            raise Unavailable(f"no {key}={value} here ({there})")
    filled = {key: task.options.get(key, values[0]) for key, values in framework.options.items()}
    return Task(task.id, task.device, task.trace, task.workload, task.dtype, filled)


def stop_at(obstacle: Optional[Exception]) -> None:
    if obstacle is not None:
        raise obstacle


def finished(line: Dict[str, Any], obstacle: Optional[Exception], work: Callable[[], Dict[str, Any]]) -> Dict[str, Any]:
    """The line of a cell or an operation, with what `work` tells unless something hinders all. A failure is a value."""
    line = {**line, "outcome": "ok", "reason": None}
    try:
        stop_at(obstacle)
        return {**line, **work()}
    except Unavailable as error:
        return {**line, "outcome": "unavailable", "reason": str(error)}
    except Exception as error:
        traceback.print_exc()
        return {**line, "outcome": "failed", "reason": describe(error)}


def run_cell(task: Task, framework: Framework) -> Dict[str, Any]:
    """What the cell's line tells of its run."""
    whole = complete(task, framework)
    told = framework.train(whole)
    if task.trace and "trace" not in told:
        raise Unavailable("this entrypoint does not trace")
    return {**told, "options": whole.options}


def run_operation(operation: Operation, framework: Framework) -> Dict[str, Any]:
    """What the operation's line tells of its run."""
    whole = complete(operation.task, framework)
    with framework.primitives(whole) as primitives:
        told = {} if operation.name == STEP else {"takes": operations.takes(operation, primitives)}
        return {**told, "options": whole.options, "outputs": operations.run(operation, primitives)}


def private_output() -> TextIO:
    """The real standard output; from here on whatever else prints there goes to standard error."""
    lines = os.fdopen(os.dup(1), "w", encoding="utf-8")
    sys.stdout.flush()
    os.dup2(2, 1)
    return lines


def set_up(framework: Framework, settings: Settings) -> Optional[Exception]:
    """Set the process variables; give what stands in the way of every cell."""
    try:
        framework.check(settings)
        os.environ.update(variables(settings, framework.knobs))
    except Exception as error:  # Unavailable, or a version that lacks what the check asks for
        return error
    return None


def serve(framework: Framework, settings: Settings, job: Tuple[List[Task], List[Operation]], output: TextIO) -> None:
    """Print the fingerprint, then each cell and each operation as it finishes."""
    tasks, asked = job

    def emit(line: Dict[str, Any]) -> None:
        output.write(json.dumps(line, allow_nan=False) + "\n")
        output.flush()

    obstacle = set_up(framework, settings)
    seen = {name: value for name, value in sorted(os.environ.items()) if VARIABLES.fullmatch(name)}
    try:
        framework.load(settings)
    except Exception as error:
        traceback.print_exc()
        obstacle = obstacle or error

    devices = [task.device for task in (*tasks, *(each.task for each in asked))]
    emit({"line": "fingerprint", "fingerprint": fingerprint(framework, devices, seen)})
    for task in tasks:
        emit({"line": "start", "id": task.id})
        line = {"line": "cell", "id": task.id, "dtype": task.dtype}
        emit(finished(line, obstacle, partial(run_cell, task, framework)))
    for each in asked:
        emit({"line": "start", "id": each.task.id})
        line = {"line": "operation", "id": each.task.id, "operation": each.name, "dtype": each.task.dtype}
        emit(finished(line, obstacle, partial(run_operation, each, framework)))
    emit({"line": "end", "cells": len(tasks), **({"operations": len(asked)} if asked else {})})


def main(framework: Framework) -> None:
    """Serve the job that this process was given."""
    output = private_output()
    here, folder = Path(__file__).resolve().parent, Path(sys.argv[0]).resolve().parent
    # In a checkout this folder holds others named as frameworks, which Python would take for packages.
    if here != folder:
        sys.path[:] = [path for path in sys.path if Path(path).resolve() != here]
    try:
        document = parse_document(read_job(folder, sys.argv[1:]))
        (settings, tasks), asked = parse_job(document), parse_operations(document)
    except (MalformedJob, OSError, UnicodeDecodeError) as error:
        print(f"malformed job: {error}", file=sys.stderr)
        print("the job's form is in docs/architecture.md, an example in default-job.json", file=sys.stderr)
        sys.exit(2)
    serve(framework, settings, (tasks, asked), output)
