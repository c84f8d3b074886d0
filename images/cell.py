"""The harness inside every measured environment: a job in, one JSON line per finished cell out.

Sets the process up before the framework is imported, has the framework train each cell and prints exact values.
Standard library only, Python 3.8 or newer; what is particular to a framework lives in its entrypoint, and what
several entrypoints ask of a framework in backends.py.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from pathlib import Path
from types import MappingProxyType
from typing import Any, Callable, Dict, List, Mapping, Optional, TextIO, Tuple

from fingerprint import VARIABLES, fingerprint
from job import MalformedJob, Settings, Task, Unavailable, describe, parse_job, read_job
from knobs import variables

# What an entrypoint needs.
__all__ = ["Framework", "Settings", "Task", "Unavailable", "main"]


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


def run_cell(task: Task, train: Callable[[Task], Dict[str, Any]]) -> Dict[str, Any]:
    """The cell's line. A failure is a value."""
    line = {"line": "cell", "id": task.id, "outcome": "ok", "reason": None, "dtype": task.dtype}
    try:
        return {**line, **train(task)}
    except Unavailable as error:
        return {**line, "outcome": "unavailable", "reason": str(error)}
    except Exception as error:
        traceback.print_exc()
        return {**line, "outcome": "failed", "reason": describe(error)}


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


def serve(framework: Framework, settings: Settings, tasks: List[Task], output: TextIO) -> None:
    """Print the fingerprint, then each cell as it finishes."""

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

    def train(task: Task) -> Dict[str, Any]:
        if obstacle is not None:
            raise obstacle
        whole = complete(task, framework)
        told = framework.train(whole)
        if task.trace and "trace" not in told:
            raise Unavailable("this entrypoint does not trace")
        return {**told, "options": whole.options}

    emit({"line": "fingerprint", "fingerprint": fingerprint(framework, [task.device for task in tasks], seen)})
    for task in tasks:
        emit({"line": "start", "id": task.id})
        emit(run_cell(task, train))
    emit({"line": "end", "cells": len(tasks)})


def main(framework: Framework) -> None:
    """Serve the job that this process was given."""
    output = private_output()
    # In a checkout this folder holds others named as frameworks, which Python would take for packages.
    here = Path(__file__).resolve().parent
    sys.path[:] = [path for path in sys.path if Path(path).resolve() != here]
    folder = Path(sys.argv[0]).resolve().parent
    try:
        settings, tasks = parse_job(read_job(folder, sys.argv[1:]))
    except (MalformedJob, OSError, UnicodeDecodeError) as error:
        print(f"malformed job: {error}", file=sys.stderr)
        print("the job's form is in docs/architecture.md, an example in default-job.json", file=sys.stderr)
        sys.exit(2)
    serve(framework, settings, tasks, output)
