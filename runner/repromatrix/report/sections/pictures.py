"""Pictures of losses, differences and weights, drawn by the page's script."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from repromatrix.compare.trace import Representative, representatives
from repromatrix.floats import FORMS
from repromatrix.report.run import Run
from repromatrix.report.section import Nothing, Section
from repromatrix.report.sections.cells import layers, numbers

PLACE = 40
Document = Nothing
MOST_TRACED = 40_000  # numbers of all traces together, under 1 MB; the largest classes come first


@dataclass(frozen=True, slots=True, kw_only=True)
class Pictures(Section):
    """What the template needs: the dtypes of the cells, the finest first, and whether there are traces."""

    dtypes: tuple[str, ...]
    traced: bool


def build(run: Run) -> Pictures:
    """Make the section."""
    speakers = representatives(run.classes, run.records, run.traces)
    return Pictures(
        data={"traced": _data(speakers, run)},
        links=(("pictures", "Pictures"),) if run.classes else (),
        dtypes=tuple(name for name in FORMS if any(record.cell.dtype == name for record in run.records)),
        traced=bool(speakers),
    )


def _data(found: Sequence[Representative], run: Run) -> Mapping[str, Any]:
    """Return the weights over the steps of the cells that speak for the classes, and how many classes have no place."""
    places = {record.cell.id: place for place, record in enumerate(run.records)}
    kept: list[dict[str, Any]] = []
    room, left_out = MOST_TRACED, 0
    for speaker in found:
        own = layers(speaker.trace.trajectory)
        if not own:
            continue
        steps = [[text for row in rows for text in row] for rows in zip(*(layer.rows for layer in own), strict=True)]
        size = sum(map(len, steps))
        if size > room:
            left_out += 1
            continue
        room -= size
        cell = places[speaker.trace.cell.id]
        kept.append({"cell": cell, "class": speaker.of, "weights": [numbers(step) for step in steps]})
    return {"cells": kept, "left_out": left_out}
