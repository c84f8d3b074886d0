"""Cells -> the job document that an environment reads (docs/architecture.md, "The contract of an image").

It carries the code of the workloads and the bits of their inputs. What a cell's key holds of it is `question`: that
names code and inputs by what makes them, so that nothing need be drawn to look an answer up.
"""

import base64
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

from repromatrix.graph import Place
from repromatrix.matrix.command import filled
from repromatrix.matrix.model import DRAW, Workload
from repromatrix.operations.catalogue import CATALOGUE
from repromatrix.plan import Cell, Operation

FORMAT = 2
_WHOLE = "int32"  # of a whole number that is no input
_NO_SETTINGS: dict[str, Any] = {"name": "default", "threads": None, "isa": None, "env": {}}  # of a job without a cell
Asked = Cell | Operation
Places = Callable[[str, Path], str]  # name and path of data -> where the process has it
Fetch = Mapping[str, Iterable[tuple[int, str]]]  # cell id -> the steps and names of the values whose bits are wanted


def question(cell: Cell, *, trace: bool = False) -> dict[str, Any]:
    """Return all of a job that can change the numbers of a cell, as JSON has it."""
    return _common(cell, trace=trace) | {
        "settings": _settings(cell),
        "task": cell.workload.task,
        "code": cell.workload.code(cell.environment.framework),
        "draw": DRAW,
        "member": cell.member,
    }


def as_it_is(_name: str, path: Path) -> str:
    """Return the path of data: where nothing is mounted, it lies there."""
    return str(path)


def job(asked: Sequence[Asked], *, trace: bool = False, fetch: Fetch | None = None, places: Places = as_it_is) -> bytes:
    """Return the job of cells and operations that share environment and settings.

    Args:
        asked: what to run, in order.
        trace: whether every value of every step is wanted, not only metrics and outputs.
        fetch: values whose bits are sent along.
        places: where the process has the data of a command.
    """
    made = _Job(trace=trace, fetch=fetch or {}, places=places)
    cells = [made.entry(each) for each in asked if isinstance(each, Cell)]
    operations = [
        made.entry(each.cell) | {"id": each.id, "trace": False} | _operation(each)
        for each in asked
        if isinstance(each, Operation)
    ]
    document = {
        "format": FORMAT,
        "settings": _settings(cell_of(asked[0])) if asked else _NO_SETTINGS,
        "workloads": made.workloads,
        "data": made.data,
        "cells": cells,
        "operations": operations,
    }
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()


def _operation(asked: Operation) -> dict[str, Any]:
    places = entries(asked.places, asked.cell.workload)
    return {"operation": asked.name, "places": places, "samples": list(asked.samples)}


def entries(places: Iterable[Place], workload: Workload | None = None) -> list[dict[str, Any]]:
    """Return places as a job has them; of a workload, with the dtypes of its inputs."""
    dtypes = {each.name: each.dtype for each in workload.inputs} if workload else {}
    graph = workload.graph if workload else None
    every = [place for choices in graph.values for _, place in choices] if graph else []
    # Whole numbers come in the dtype in which the step has them, also where an operation is asked for alone.
    own = {(e.operation, argument): dtypes.get(name) for e in every for argument, name in e.given.items()}

    def takes(place: Place) -> list[list[str | None]]:
        row = CATALOGUE[place.operation]
        return [
            [
                name,
                row.takes[argument],
                own.get((place.operation, argument)) or _WHOLE if argument in row.whole else None,
            ]
            for argument, name in place.given.items()
        ]

    return [
        {
            "value": place.value,
            "operation": place.operation,
            "takes": takes(place),
            "gives": CATALOGUE[place.operation].gives,
        }
        for place in places
    ]


def cell_of(asked: Asked) -> Cell:
    """Return the cell, or that of an operation."""
    return asked.cell if isinstance(asked, Operation) else asked


class _Job:
    """Collects code and inputs, each once."""

    def __init__(self, *, trace: bool, fetch: Fetch, places: Places) -> None:
        self._trace, self._fetch, self._places = trace, fetch, places
        self.workloads: dict[str, Any] = {}
        self.data: dict[str, str] = {}

    def entry(self, cell: Cell) -> dict[str, Any]:
        workload, framework = cell.workload, cell.environment.framework
        code = f"{workload.name}:{workload.code(framework)}"
        if workload.rows:  # of which one cell may have fewer than another
            code += f":{sha256(workload.rows.encode()).hexdigest()}"
        if code not in self.workloads:
            rows = {"rows": json.loads(workload.rows)} if workload.rows else {}
            copied = {"copied": dict(workload.command.files)} if workload.command else {}
            self.workloads[code] = {"name": workload.name, "files": workload.modules(framework)} | rows | copied
        fetch = sorted([step, name] for step, name in self._fetch.get(cell.id, ()))
        own = {"workload": code, "inputs": self._inputs(cell), "fetch": fetch}
        return _common(cell, trace=self._trace) | own | self._command(cell)

    def _command(self, cell: Cell) -> dict[str, Any]:
        """Return what is run in place of modules; nothing where there are modules."""
        command = cell.workload.command
        if command is None:
            return {}
        data = {name: self._places(name, path) for name, path in command.data}
        values = {**dict(options_of(cell)), **data, "dtype": cell.variant.dtype}
        return {"command": {"words": list(filled(command.words, values)), "output": command.source}}

    def _inputs(self, cell: Cell) -> dict[str, Any]:
        from repromatrix import draw  # noqa: PLC0415 - NumPy costs time, and most answers are there already

        found = {}
        for each in cell.workload.inputs:
            dtype, member = each.dtype or cell.variant.dtype, cell.member if each.parameter else 0
            name = f"{cell.workload.name}/{each.name}/{dtype}/{member}"
            if name not in self.data:
                self.data[name] = base64.b64encode(draw.bits(each, dtype, member)).decode()
            found[each.name] = {"dtype": dtype, "shape": list(each.shape), "data": name}
        return found


def _common(cell: Cell, *, trace: bool) -> dict[str, Any]:
    workload, environment = cell.workload, cell.environment
    defaults = {
        name: values[0] for name, values in workload.options(environment.framework, environment.flavour).items()
    }
    return {
        "id": cell.id,
        "device": cell.device,
        "steps": cell.steps,
        "batch": workload.batch,
        "dtype": cell.variant.dtype,
        "options": defaults | dict(cell.variant.options),
        "numbers": dict(workload.numbers),
        "metrics": list(workload.metrics),
        "outputs": list(workload.outputs),
        "trace": trace,
    }


def _settings(cell: Cell) -> dict[str, Any]:
    settings = cell.settings
    variables = dict(cell.environment.variables) | dict(settings.variables)
    return {"name": settings.name, "threads": settings.threads, "isa": settings.isa, "env": variables}


def options_of(cell: Cell) -> tuple[tuple[str, str], ...]:
    """Return every factor of a cell with its value, sorted."""
    return tuple(sorted(_common(cell, trace=False)["options"].items()))
