"""Where cells part: the first step, tensor and element of their traces that differs."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated

import msgspec

from repromatrix.compare.classes import Class
from repromatrix.compare.trace import Divergence, Point, divergences
from repromatrix.report import section as base
from repromatrix.report import wording
from repromatrix.report.run import Run
from repromatrix.report.section import Part, Section
from repromatrix.report.sentence import Sentence, sentence
from repromatrix.results.record import Record
from repromatrix.results.trace import Trace

PLACE = 50
NOT_THERE = "its file is not there"


class DivergencePart(Part, frozen=True, kw_only=True):
    """Two cells that speak for their classes, and where their traces part."""

    workload: str
    a: str
    b: str
    point: Annotated[Point | None, msgspec.Meta(description="the first element that differs; null: none, or no answer")]
    steps: int
    tensors: list[str]
    reason: Annotated[str | None, msgspec.Meta(description="why they could not be compared")]
    caveats: list[str]
    same: Annotated[bool, msgspec.Meta(description="the same bits in every traced tensor of every common step")]


class Document(Part, frozen=True, kw_only=True):
    """Where each class differs from the one of its dtype most like it, and the states of a class."""

    divergences: list[DivergencePart]


@dataclass(frozen=True, slots=True, kw_only=True)
class DivergenceRow:
    """Two cells that speak for their classes.

    Attributes:
        classes: the names of their classes; of one class where its states are compared.
        a_cell: the id of the cell in the larger class.
        place: tensor and element, or what was found instead.
        a: decimal, hexadecimal and bits of the value, or nothing.
        notes: why there is no answer, and caveats.
    """

    workload: str
    classes: str
    a_cell: str
    b_cell: str
    step: str
    place: str
    a: tuple[str, ...]
    b: tuple[str, ...]
    ulps: str
    dtype: str
    notes: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Divergences(Section):
    """All pairs; `traced`: whether there are traces at all."""

    rows: tuple[DivergenceRow, ...]
    traced: bool


def build(run: Run) -> Divergences:
    """Make the section."""
    parted = divergences(run.classes, run.records, run.traces, run.evidence.bits)
    found = tuple(_sentences(run, parted))
    return Divergences(
        part=Document(divergences=[_part(each) for each in parted]),
        sentences=found,
        links=(("divergences", "Where they first differ"),),
        briefs=base.brief("Where they first differ (the first traced tensor that differs)", found),
        rows=_rows(parted, run.classes),
        traced=bool(run.traces),
    )


def _part(found: Divergence) -> DivergencePart:
    names = ("workload", "a", "b", "point", "steps", "reason", "same")
    return DivergencePart(
        **{name: getattr(found, name) for name in names}, tensors=list(found.tensors), caveats=list(found.caveats)
    )


def _rows(found: Iterable[Divergence], classes: Sequence[Class]) -> tuple[DivergenceRow, ...]:
    """Return every divergence as a row: the workloads in order, by the smaller class, then by the larger one."""
    places = {cell: place for place, each in enumerate(classes) for cell in each.cells}
    ordered = sorted(found, key=lambda each: (places[each.b], places[each.a]))
    return tuple(_row(each, classes[places[each.a]].name, classes[places[each.b]].name) for each in ordered)


def _row(found: Divergence, a: str, b: str) -> DivergenceRow:
    point = found.point
    told = [value for value in (point.a, point.b) if value is not None] if point else []
    values: list[tuple[str, ...]] = [(value.decimal, value.hexadecimal, value.bits) for value in told] or [(), ()]
    same = f"same in {found.steps} steps" if found.same else "not compared"
    return DivergenceRow(
        workload=found.workload,
        classes=a if a == b else f"{a} · {b}",
        a_cell=found.a,
        b_cell=found.b,
        step=str(point.step) if point else wording.NOTHING,
        place=f"{point.tensor}{_index(point)}" if point else same,
        a=values[0],
        b=values[1],
        ulps=_ulps(point),
        dtype=point.ulp_dtype if point else wording.NOTHING,
        notes="; ".join([*([found.reason] if found.reason else []), *found.caveats]),
    )


def _ulps(point: Point | None) -> str:
    if point is None or point.a is None:
        return wording.NOTHING
    return "not finite" if point.ulps is None else wording.count(point.ulps)


def _index(point: Point) -> str:
    return "".join(f"[{place}]" for place in point.index)


def _sentences(run: Run, parted: Iterable[Divergence]) -> Iterable[Sentence]:
    """Yield what is said of traces; nothing where none was asked for."""
    known = [(record, run.traces[record.cell.id]) for record in run.records if record.cell.id in run.traces]
    changed = [(record, trace) for record, trace in known if not trace.tells_of(record)]
    if known:
        text = f"{wording.cells(len(known))} traced; tracing changes the bits of {len(changed) or 'none'} of them"
        cells = tuple(record.cell.id for record, _ in known)
        yield sentence("traced", "traced", text, cells, count=len(known), changed=len(changed))
    yield from map(_divergence, parted)
    yield from (_changes(record, trace) for record, trace in changed)
    yield from _untraced([trace for _, trace in known])
    yield from _without(run)


def _divergence(found: Divergence) -> Sentence:
    point = found.point
    a, b = (point.a, point.b) if point else (None, None)
    return sentence(
        "first_divergence",
        f"first-divergence/{found.a}/{found.b}",
        _divergence_text(found),
        (found.a, found.b),
        workload=found.workload,
        steps=found.steps,
        tensors=found.tensors,
        step=point.step if point else None,
        tensor=point.tensor if point else None,
        index=point.index if point else None,
        a=a.hexadecimal if a else None,
        a_bits=a.bits if a else None,
        b=b.hexadecimal if b else None,
        b_bits=b.bits if b else None,
        ulps=point.ulps if point else None,
        ulp_dtype=point.ulp_dtype if point else None,
        reason=found.reason,
        caveats=found.caveats,
    )


def _divergence_text(found: Divergence) -> str:
    pair, point = f"{found.a} and {found.b}", found.point
    more = "".join(f"; {each}" for each in found.caveats)
    if found.reason is not None:
        return f"{pair} cannot be compared: {found.reason}"
    if point is None:
        return f"{pair} are the same in every traced tensor of {wording.counted(found.steps, 'step')}{more}"
    before = "every traced tensor before it is the same"
    if point.a is None or point.b is None:
        return f"{pair} first differ at step {point.step} in {point.tensor}; {before}{more}"
    far = f"{wording.count(point.ulps)} ULP of {point.ulp_dtype}" if point.ulps is not None else "not finite"
    return (
        f"{pair} first differ at step {point.step} in {point.tensor}{_index(point)}: {point.a.hexadecimal} "
        f"({point.a.bits}) against {point.b.hexadecimal} ({point.b.bits}), {far}; {before}{more}"
    )


def _changes(record: Record, trace: Trace) -> Sentence:
    """Say that a cell's traced run differs from its record."""
    cell = record.cell.id
    runs = zip(record.trajectories[0].losses if record.trajectories else (), trace.trajectory.losses, strict=False)
    first = next((step for step, (a, b) in enumerate(runs, start=1) if a != b), None)
    where = "in its predictions or weights" if first is None else f"from the loss of step {first} on"
    text = f"tracing changes {cell} {where}, so its trace explains nothing"
    return sentence("tracing_changes", f"tracing-changes/{cell}", text, (cell,), first_loss=first)


def _untraced(traces: Iterable[Trace]) -> Iterable[Sentence]:
    """Group the cells that leave out the same tensors for the same reason."""
    groups: dict[tuple[tuple[str, ...], str], list[str]] = {}
    for trace in traces:
        by_reason: dict[str, list[str]] = {}
        for name, reason in trace.untraced:
            by_reason.setdefault(reason, []).append(name)
        for reason, names in by_reason.items():
            groups.setdefault((tuple(names), reason), []).append(trace.cell.id)
    for (tensors, reason), cells in groups.items():
        text = f"{wording.listed(tensors)} of {wording.cells(len(cells))} not traced: {reason}"
        name = f"untraced-tensors/{cells[0]}/{tensors[0]}"
        yield sentence("untraced_tensors", name, text, tuple(cells), tensors=tensors, reason=reason)


def _without(run: Run) -> Iterable[Sentence]:
    """Say which cells were to be traced and have no trace."""
    own = {record.cell.id for record in run.records}
    for entry in run.evidence.manifest.entries:
        if entry.id in own and entry.id not in run.traces and (entry.trace or entry.untraced):
            reason = entry.untraced or NOT_THERE
            text = f"{entry.id} has no trace: {reason}"
            yield sentence("without_trace", f"without-trace/{entry.id}", text, (entry.id,), reason=reason)
