"""The view -> the data that the page's script works on: exact values, each trajectory once, shared by its cells.

A number is a JSON number that reads back as the same float64 (`nan`, `inf` and `-inf` are text). From these the script
makes decimals, hexadecimal text, ULP distances and verdicts by itself; tests hold its arithmetic against ours.
"""

import json
import math
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from itertools import product
from typing import Any

from repromatrix.compare.trace import Representative
from repromatrix.floats import FORMS
from repromatrix.report import wording
from repromatrix.report.view import View
from repromatrix.results.record import Record
from repromatrix.results.value import Column, Role, Trajectory

MOST_WEIGHTS = 64  # of a cell; beyond, a picture of single weights says nothing
MOST_TRACED = 40_000  # numbers of all traces together, under 1 MB; the largest classes come first
RESULTS_OF_A_RERUN = "again"

Numbers = list[float | str]


def embedded(view: View) -> str:
    """Return the data as JSON that may stand inside a `<script>` element: no `<`, so no end of it."""
    text = json.dumps(data(view), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def data(view: View) -> dict[str, Any]:
    """Return everything that the script needs, as JSON values.

    `tracks` holds every distinct trajectory once, `weights` every distinct state after the last update, laid flat;
    a cell names its own by their places (`track`, `repeats`, `state`; null where it has none), and those of the metrics
    beside its loss in `metrics`, for each repeat. `traced` holds, for the cells that speak for the classes, the weights
    after each step; the full traces stay in the results folder. `ledgers` holds the experiments on each pair of the
    table of pairs, in its order (see `explanations`).
    """
    tracks: dict[tuple[str, ...], int] = {}
    weights: dict[tuple[str, ...], int] = {}
    places = {cell: number for number, row in enumerate(view.environments, start=1) for cell in row.cell_ids}
    names = {cell: each.name for each in view.classes for cell in each.cells}
    cells = [
        _cell(each, names.get(each.cell.id), places.get(each.cell.id), tracks, weights) for each in view.records
    ] + [_missing(each) for each in view.missing]
    numbers = {each["id"]: place for place, each in enumerate(cells)}
    return {
        "profile": view.profile,
        "forms": {name: asdict(form) for name, form in FORMS.items()},
        "tracks": [_numbers(each) for each in tracks],
        "weights": [_numbers(each) for each in weights],
        "weight_names": _weight_names(view.records),
        "cells": cells,
        "classes": [
            {
                "workload": each.workload,
                "name": each.name,
                "cells": [numbers[cell] for cell in each.cells],
                "dtypes": list(each.dtypes),
                "rule": " ".join(wording.rule(each.rule)),
                "states": len(each.states),
            }
            for each in view.classes
        ],
        "floors": [
            {"workload": each.workload, "dtype": each.dtype, "source": each.source, "bound": list(each.bound)}
            for each in view.floors
        ],
        "tolerances": {
            dtype: {"relative": each.relative, "absolute": each.absolute, "source": each.source}
            for dtype, each in view.tolerances
        },
        "traced": _traced(view.traced, numbers),
        "ledgers": {"texts": list(view.explanations.texts), "pairs": list(view.explanations.ledgers)},
        "published": [
            {
                "columns": [
                    {"title": column.title, "cell": numbers.get(column.cell or "")} for column in each.check.newest
                ]
            }
            for each in view.published
        ],
    }


def _cell(
    record: Record,
    class_name: str | None,
    environment: int | None,
    tracks: dict[tuple[str, ...], int],
    weights: dict[tuple[str, ...], int],
) -> dict[str, Any]:
    cell, provenance = record.cell, record.provenance
    own = [tracks.setdefault(each.losses, len(tracks)) for each in record.trajectories]
    state = _state(record.trajectory)
    return {
        **{name: getattr(cell, name) for name in ("id", "workload", "framework", "version", "environment", "variant")},
        **{name: getattr(cell, name) for name in ("dtype", "device", "settings", "python")},
        "options": wording.options(cell.options),
        "outcome": record.outcome.value.replace("_", " "),
        "reason": record.reason,
        "log": record.log,
        "key": record.key,
        "deterministic": record.deterministic,
        "runs": record.repeats,
        "class": class_name,
        "track": own[0] if own else None,
        "repeats": own[1:],
        "metrics": [
            [tracks.setdefault(other.texts, len(tracks)) for other in each.metrics[1:]] for each in record.trajectories
        ],
        "state": weights.setdefault(state, len(weights)) if state else None,
        "place": environment,
        "image": provenance.image_digest if provenance else None,
        "command": command(cell.id, provenance.engine if provenance else "auto"),
    }


def _missing(cell_id: str) -> dict[str, Any]:
    workload, *rest = cell_id.split("/")
    unknown = dict.fromkeys(("framework", "version", "environment", "variant", "dtype", "device", "settings"), "")
    return unknown | {
        "id": cell_id,
        "workload": workload if rest else "",
        "python": "",
        "options": "",
        "outcome": "missing",
        "reason": "no record",
        "log": None,
        "key": None,
        "deterministic": None,
        "runs": 0,
        "class": None,
        "track": None,
        "repeats": [],
        "metrics": [],
        "state": None,
        "place": None,
        "image": None,
        "command": command(cell_id, "auto"),
    }


def command(cell_id: str, engine: str) -> str:
    """Return what to type to run a cell again: into a folder of its own, for the records at hand would answer it."""
    return f"repromatrix cell {shlex.quote(cell_id)} --engine {engine} --results {RESULTS_OF_A_RERUN}"


def _layers(trajectory: Trajectory | None) -> tuple[Column, ...]:
    """Return the state's tensors, where all of them are told in full and few enough for a picture of each element."""
    layers = () if trajectory is None else trajectory.of(Role.STATE)
    few = sum(each.size for each in layers) <= MOST_WEIGHTS
    return layers if few and all(each.inline for each in layers) else ()


def _state(trajectory: Trajectory | None) -> tuple[str, ...]:
    return tuple(value for each in _layers(trajectory) for value in each.rows[-1])


def _traced(found: Iterable[Representative], numbers: Mapping[str, int]) -> dict[str, Any]:
    """Return the weights over the steps, step by step as a state lays them flat, and how many classes have no place."""
    kept: list[dict[str, Any]] = []
    room, left_out = MOST_TRACED, 0
    for each in found:
        layers = _layers(each.trace.trajectory)
        if not layers:
            continue
        steps = [[text for row in rows for text in row] for rows in zip(*(layer.rows for layer in layers), strict=True)]
        size = sum(map(len, steps))
        if size > room:
            left_out += 1
            continue
        room -= size
        kept.append({"cell": numbers[each.trace.cell.id], "class": each.of, "weights": [_numbers(s) for s in steps]})
    return {"cells": kept, "left_out": left_out}


def _weight_names(records: Iterable[Record]) -> Mapping[str, list[str]]:
    """Return workload -> the names of its state's elements, in the order of a state: tensor and place from 1."""
    found: dict[str, list[str]] = {}
    for record in records:
        if record.cell.workload not in found and (layers := _layers(record.trajectory)):
            found[record.cell.workload] = [
                f"{layer.name} {','.join(str(place + 1) for place in places)}".strip()
                for layer in layers
                for places in product(*map(range, layer.shape))
            ]
    return found


def _numbers(texts: Iterable[str]) -> Numbers:
    values = map(float.fromhex, texts)
    return [value if math.isfinite(value) else str(value) for value in values]
