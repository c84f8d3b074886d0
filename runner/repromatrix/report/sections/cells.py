"""Every cell: how it ended, what it computed, whether it repeats; what was not run, and why."""

import math
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Annotated, Any, Literal

import msgspec

from repromatrix.compare.versions import version_key
from repromatrix.floats import FORMS
from repromatrix.report import section as base
from repromatrix.report import wording
from repromatrix.report.run import Run
from repromatrix.report.section import Brief, Headline, Hex, Part, Section
from repromatrix.report.sentence import Sentence, sentence
from repromatrix.results.accepted import bits
from repromatrix.results.manifest import Entry
from repromatrix.results.record import Outcome, Record
from repromatrix.results.value import Column, Role, Trajectory

PLACE = 80
DIFFER = "repeats differ"
MISSING, NO_RECORD, NO_REASON = "missing", "no record", "no reason was recorded"
MOST_WEIGHTS = 64  # of a cell; beyond, a picture of single weights says nothing
RESULTS_OF_A_RERUN = "again"
_FIRST = 5  # failures that the first screen names
_DETERMINISTIC = {True: "same bits", False: DIFFER, None: wording.NOTHING}

Numbers = list[float | str]


class CellPart(Part, frozen=True, kw_only=True):
    """A cell with everything that it computed, exact."""

    id: str
    workload: str
    framework: str
    version: str
    flavour: str
    python: str
    environment: str
    variant: str
    dtype: str
    device: str
    settings: str
    steps: int
    options: dict[str, str]
    factors: Annotated[dict[str, str], msgspec.Meta(description="every option as it was really used; empty: not told")]
    engine: str | None
    pinned: Annotated[bool | None, msgspec.Meta(description="false: no lock; null: nothing ran")]
    cpu_class: str | None
    key: str
    outcome: Literal["ok", "failed", "timed_out", "skipped", "unavailable"]
    reason: str | None
    log: str | None
    repeats: int
    deterministic: bool | None
    class_: str | None = msgspec.field(name="class")
    losses: Annotated[list[Hex], msgspec.Meta(description="empty unless the outcome is ok")]
    predictions: list[list[Hex]]
    metrics: Annotated[dict[str, list[str]], msgspec.Meta(description="name -> its exact value at each step")]
    bits: Annotated[str | None, msgspec.Meta(description="SHA-256 over all that the cell computed")]
    other_losses: list[list[Hex]]


class LeftOutPart(Part, frozen=True, kw_only=True):
    """A cell that the plan leaves out."""

    id: str
    reason: str | None


class Document(Part, frozen=True, kw_only=True):
    """The cells of the run; `missing`: those without a record."""

    cells: list[CellPart]
    missing: list[str]
    left_out: list[LeftOutPart]


@dataclass(frozen=True, slots=True, kw_only=True)
class Number:
    """A value in decimal, enough digits to identify it in its dtype, and exact."""

    text: str
    hex: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CellRow:
    """One cell; `losses` is empty unless it ran, `repeats` holds the other trajectories where repeats differ."""

    id: str
    environment: str
    variant: str
    dtype: str
    device: str
    settings: str
    pinned: bool
    outcome: str
    reason: str | None
    log: str | None
    deterministic: str
    class_name: str
    losses: tuple[Number, ...]
    repeats: tuple[tuple[Number, ...], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cells(Section):
    """All cells.

    Attributes:
        troubles: cells without a trajectory, and those whose repeats differ.
        failures: cells that failed or ran out of time.
        steps: the largest number of losses of any cell.
    """

    rows: tuple[CellRow, ...]
    troubles: tuple[CellRow, ...]
    failures: tuple[CellRow, ...]
    missing: tuple[str, ...]
    left_out: tuple[Entry, ...]
    steps: int


def build(run: Run) -> Cells:
    """Make the section."""
    names, missing = run.class_names, run.evidence.missing
    left_out = tuple(entry for entry in run.evidence.manifest.entries if entry.key is None)
    rows = tuple(_row(record, names.get(record.cell.id, wording.NOTHING)) for record in run.records)
    troubles = tuple(row for row in rows if not row.losses or row.deterministic == DIFFER)
    steps = max((len(row.losses) for row in rows), default=0)
    shown = [("cells", "All cells")] if rows or missing else []
    failed = {record.cell.id for record in run.records if record.outcome in (Outcome.FAILED, Outcome.TIMED_OUT)}
    return Cells(
        part=Document(
            cells=[_part(record, names.get(record.cell.id)) for record in run.records],
            missing=list(missing),
            left_out=[LeftOutPart(id=entry.id, reason=entry.reason) for entry in left_out],
        ),
        sentences=tuple(_sentences(run, left_out)),
        data=_data(run),
        links=(*shown, *([("troubles", "Not run")] if troubles or missing or left_out else [])),
        headlines=tuple(_headlines(run, left_out, steps)),
        briefs=(*_counts(run), *_troubles(troubles, missing)),
        rows=rows,
        troubles=troubles,
        failures=tuple(row for row in rows if row.id in failed),
        missing=missing,
        left_out=left_out,
        steps=steps,
    )


def number(hexadecimal: str, dtype: str) -> Number:
    """Return an exact value with as many decimal digits as tell its dtype's values apart."""
    return Number(text=wording.decimal(hexadecimal, dtype), hex=hexadecimal)


def command(cell_id: str, engine: str) -> str:
    """Return what to type to run a cell again: into a folder of its own, for the records at hand would answer it."""
    return f"repromatrix cell {shlex.quote(cell_id)} --engine {engine} --results {RESULTS_OF_A_RERUN}"


def layers(trajectory: Trajectory | None) -> tuple[Column, ...]:
    """Return the state's tensors, where all of them are told in full and few enough for a picture of each element."""
    found = () if trajectory is None else trajectory.of(Role.STATE)
    few = sum(each.size for each in found) <= MOST_WEIGHTS
    return found if few and all(each.inline for each in found) else ()


def numbers(texts: Iterable[str]) -> Numbers:
    """Return exact texts as JSON numbers that read back as the same float64; what is not finite stays text."""
    values = map(float.fromhex, texts)
    return [value if math.isfinite(value) else str(value) for value in values]


def _row(record: Record, class_name: str) -> CellRow:
    cell = record.cell
    trajectories = [tuple(number(text, cell.dtype) for text in each.losses) for each in record.trajectories]
    return CellRow(
        id=cell.id,
        environment=cell.environment,
        variant=cell.variant,
        dtype=cell.dtype,
        device=cell.device,
        settings=cell.settings,
        pinned=record.pinned is not False,
        outcome=record.outcome.value.replace("_", " "),
        reason=(record.reason or NO_REASON) if record.trajectory is None else None,
        log=record.log,
        deterministic=_DETERMINISTIC[record.deterministic],
        class_name=class_name,
        losses=trajectories[0] if trajectories else (),
        repeats=tuple(trajectories[1:]),
    )


def _part(record: Record, class_name: str | None) -> CellPart:
    cell, provenance = record.cell, record.provenance
    first, *others = record.trajectories or (None,)
    names = ("id", "workload", "framework", "version", "flavour", "python", "environment", "variant", "dtype")
    return CellPart(
        **{name: getattr(cell, name) for name in (*names, "device", "settings", "steps")},
        options=dict(cell.options),
        factors=dict(record.factors),
        engine=provenance.engine if provenance else None,
        pinned=record.pinned,
        cpu_class=provenance.cpu_class if provenance else None,
        key=record.key,
        outcome=record.outcome.value,
        reason=record.reason,
        log=record.log,
        repeats=record.repeats,
        deterministic=record.deterministic,
        class_=class_name,
        losses=list(first.losses) if first else [],
        predictions=[list(row) for row in first.predictions] if first else [],
        metrics={each.name: list(each.texts) for each in first.metrics} if first else {},
        bits=bits(record),
        other_losses=[list(each.losses) for each in others if each],
    )


def _sentences(run: Run, left_out: Iterable[Entry]) -> Iterable[Sentence]:
    records, missing = run.records, run.evidence.missing
    yield _count(records, missing)
    yield from _frameworks([record for record in records if record.trajectory is not None])
    yield from _outcomes(records, missing)
    yield _deterministic([record for record in records if record.deterministic is not None])
    for record in records:
        if record.trajectory is None:
            yield _without(record.cell.id, record.outcome.value, record.reason or NO_REASON)
    for name in missing:
        yield _without(name, MISSING, NO_RECORD)
    for entry in left_out:
        reason = entry.reason or NO_REASON
        text = f"{entry.id} was left out of the plan: {reason}"
        yield sentence("left_out", f"left-out/{entry.id}", text, (entry.id,), shown=False, reason=reason)


def _count(records: Sequence[Record], missing: Sequence[str]) -> Sentence:
    cells = (*(record.cell.id for record in records), *missing)
    environments = len({record.cell.environment for record in records})
    text = f"{wording.cells(len(cells))} in {wording.counted(environments, 'environment')}"
    return sentence("cell_count", "cells", text, cells, count=len(cells), environments=environments)


def _frameworks(records: Sequence[Record]) -> Iterable[Sentence]:
    ran: dict[tuple[str, str], set[str]] = {}
    for record in records:
        ran.setdefault((record.cell.framework, record.cell.flavour), set()).add(record.cell.version)
    versions = [(*where, tuple(sorted(found, key=version_key))) for where, found in ran.items()]
    if versions:
        said = "; ".join(wording.framework(name, flavour, ", ".join(found)) for name, flavour, found in versions)
        cells = tuple(record.cell.id for record in records)
        yield sentence("frameworks_ran", "frameworks", f"Frameworks that ran: {said}", cells, ran=versions)


def _outcomes(records: Sequence[Record], missing: Sequence[str]) -> Iterable[Sentence]:
    every = {each.value: [record.cell.id for record in records if record.outcome is each] for each in Outcome}
    for outcome, cells in (every | {MISSING: list(missing)}).items():
        if cells:
            text = f"{wording.cells(len(cells))} {outcome.replace('_', ' ')}"
            yield sentence("outcome_count", f"outcome/{outcome}", text, tuple(cells), outcome=outcome, count=len(cells))


def _deterministic(repeated: Sequence[Record]) -> Sentence:
    differ = [record.cell.id for record in repeated if record.deterministic is False]
    same, cells = len(repeated) - len(differ), tuple(record.cell.id for record in repeated)
    but = f"; these did not: {wording.listed(differ)}" if differ else ""
    text = f"{same} of {len(repeated)} cells that ran more than once gave the same bits every time{but}"
    return sentence("deterministic", "deterministic", text, cells, repeated=len(repeated), same=same, differ=differ)


def _without(cell: str, outcome: str, reason: str) -> Sentence:
    text = f"{cell}: {outcome.replace('_', ' ')}, {reason}"
    return sentence(
        "without_result", f"without-result/{cell}", text, (cell,), shown=False, outcome=outcome, reason=reason
    )


def _headlines(run: Run, left_out: Sequence[Entry], steps: int) -> Iterable[Headline]:
    records, missing = run.records, run.evidence.missing
    counts = [(each.value, sum(record.outcome is each for record in records)) for each in Outcome]
    said = ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in (*counts, (MISSING, len(missing))) if count)
    asked = len(records) + len(missing)
    more = f", up to {wording.counted(steps, 'step')} each: {said or 'none'}"
    yield Headline(group="ran", count=str(asked), words="cell" if asked == 1 else "cells", link="cells", more=more)
    for each in _frameworks([record for record in records if record.trajectory is not None]):
        yield Headline(group="ran", words=each.text, link="cells")
    if left_out:
        yield Headline(group="ran", count=str(len(left_out)), words="left out", link="troubles", more=" of the plan")
    again = [record for record in records if record.deterministic is not None]
    same = sum(record.deterministic is True for record in again)
    if again:
        yield Headline(
            group="agrees",
            count=f"{same} of {len(again)}",
            words="repeated cells" if len(again) > 1 else "repeated cell",
            link="troubles",
            more=" gave the same bits again",
            look="good" if same == len(again) else "bad",
        )


def _counts(run: Run) -> tuple[Brief, ...]:
    kinds = ("cell_count", "outcome_count", "frameworks_ran", "deterministic")
    return base.brief("What ran", [each for each in _sentences(run, ()) if each.kind in kinds])


def _troubles(troubles: Sequence[CellRow], missing: Sequence[str]) -> tuple[Brief, ...]:
    title = "Not run, not finished, not deterministic"
    rows = [(row.id, row.outcome, row.reason or row.deterministic, row.log or wording.NOTHING) for row in troubles]
    rows += [(name, MISSING, NO_RECORD, wording.NOTHING) for name in missing]
    none = Brief(title=title, lines=("Every cell ran, with the same bits in all its repeats.",))
    return base.table(title, ("cell", "outcome", "reason", "log"), rows) or (none,)


def _data(run: Run) -> dict[str, Any]:
    """Return the cells for the script.

    `tracks` holds every distinct trajectory once, `weights` every distinct state after the last update, laid flat; a
    cell names its own by their places (`track`, `repeats`, `state`; null where it has none), and those of the metrics
    beside its loss in `metrics`, for each repeat.
    """
    tracks: dict[tuple[str, ...], int] = {}
    weights: dict[tuple[str, ...], int] = {}
    names, places = run.class_names, environment_places(run.records)
    cells = [
        _cell(record, names.get(record.cell.id), places.get(record.cell.id), tracks, weights) for record in run.records
    ]
    return {
        "forms": {name: msgspec.to_builtins(shape) for name, shape in FORMS.items()},
        "tracks": [numbers(track) for track in tracks],
        "weights": [numbers(state) for state in weights],
        "weight_names": _weight_names(run.records),
        "cells": [*cells, *map(_missing, run.evidence.missing)],
    }


def environment_places(records: Iterable[Record]) -> dict[str, int]:
    """Return cell id -> the place, from 1, of what it ran in: environment, provenance and fingerprint."""
    places: dict[Any, int] = {}
    return {record.cell.id: places.setdefault(wording.environment_of(record), len(places) + 1) for record in records}


def _cell(
    record: Record,
    class_name: str | None,
    environment: int | None,
    tracks: dict[tuple[str, ...], int],
    weights: dict[tuple[str, ...], int],
) -> dict[str, Any]:
    cell, provenance = record.cell, record.provenance
    own = [tracks.setdefault(each.losses, len(tracks)) for each in record.trajectories]
    state = tuple(value for layer in layers(record.trajectory) for value in layer.rows[-1])
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
    empty = ("framework", "version", "environment", "variant", "dtype", "device", "settings", "python", "options")
    nothing = ("log", "key", "deterministic", "class", "track", "state", "place", "image")
    return {
        **dict.fromkeys(empty, ""),
        **dict.fromkeys(nothing),
        "id": cell_id,
        "workload": workload if rest else "",
        "outcome": MISSING,
        "reason": NO_RECORD,
        "runs": 0,
        "repeats": [],
        "metrics": [],
        "command": command(cell_id, "auto"),
    }


def _weight_names(records: Iterable[Record]) -> dict[str, list[str]]:
    """Return workload -> the names of its state's elements, in the order of a state: tensor and place from 1."""
    found: dict[str, list[str]] = {}
    for record in records:
        if record.cell.workload not in found and (own := layers(record.trajectory)):
            found[record.cell.workload] = [
                f"{layer.name} {','.join(str(place + 1) for place in places)}".strip()
                for layer in own
                for places in product(*map(range, layer.shape))
            ]
    return found
