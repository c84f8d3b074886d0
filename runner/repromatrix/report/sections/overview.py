"""The head of the page: what ran, and in a picture which cells agree, by workload and environment."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

import msgspec

from repromatrix.compare.classes import Class
from repromatrix.floats import FORMS
from repromatrix.report import wording
from repromatrix.report.run import Run
from repromatrix.report.section import Brief, Part, Section
from repromatrix.results.record import Description, Outcome, Record

PLACE = 0  # the first section is the head of the page
_COLOURS = 8  # classes with a colour of their own; more, and nobody tells them apart
_FIRST = 5  # failures that are named


class SummaryPart(Part, frozen=True, kw_only=True):
    """How many cells ran, where, and into how many classes their losses fall."""

    environments: int
    cells: int
    ok: int
    health: Annotated[
        Literal["good", "note", "bad"],
        msgspec.Meta(description="bad: a cell failed, ran out of time or has no record; note: one was not run"),
    ]
    outcomes: dict[str, int]
    repeated: int
    not_deterministic: int
    left_out: int
    classes: int
    engines: list[str]
    bases: list[str]
    cpu_classes: list[str]
    not_pinned: Annotated[list[str], msgspec.Meta(description="environments that were taken as they were found")]


class Document(Part, frozen=True, kw_only=True):
    """The run in numbers."""

    summary: SummaryPart


@dataclass(frozen=True, slots=True, kw_only=True)
class GridCell:
    """A cell of the picture.

    Attributes:
        id: of the cell of the run.
        label: the name of its class; what became of it where it has none.
        state: which of the states of its class it ends in, from 1; 0: its class has one.
        look: `k1` to `k8` for the largest classes, `few` for a smaller one, `own` for losses that no other cell has,
            `lost` without losses.
    """

    id: str
    label: str
    state: int
    look: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GridRow:
    """One way to write the workload; None: this environment was not asked for it."""

    name: str
    dtype: str
    cells: tuple[GridCell | None, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """The picture of a workload.

    Attributes:
        columns: what the cells ran in, in words.
        key: (look, class, how many cells, whether their last weights are the same too, rule) of the coloured classes.
    """

    workload: str
    columns: tuple[str, ...]
    rows: tuple[GridRow, ...]
    key: tuple[tuple[str, str, int, bool, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview(Section):
    """The head of the page.

    Attributes:
        title: the whole run in a sentence.
        failures: (cell, what happened) of the first cells that failed or have no record.
    """

    title: str
    summary: SummaryPart
    grids: tuple[Grid, ...]
    failures: tuple[tuple[str, str], ...]


def build(run: Run) -> Overview:
    """Make the section."""
    summary = _summary(run)
    return Overview(
        part=Document(summary=summary),
        briefs=(Brief(title="Where it ran", lines=tuple(_where(summary))),),
        title=_title(summary),
        summary=summary,
        grids=tuple(_grids(run.jobs, run.classes)),
        failures=tuple(_failures(run)),
    )


def _summary(run: Run) -> SummaryPart:
    records, missing = run.records, run.evidence.missing
    counts = Counter(record.outcome for record in records)
    outcomes = {each.value.replace("_", " "): counts[each] for each in Outcome if counts[each]}
    broken = len(missing) + counts[Outcome.FAILED] + counts[Outcome.TIMED_OUT]
    made = [record.provenance for record in records if record.provenance]
    return SummaryPart(
        environments=len({record.cell.environment for record in records}),
        cells=len(records) + len(missing),
        ok=counts[Outcome.OK],
        health="bad" if broken else "good" if counts[Outcome.OK] == len(records) else "note",
        outcomes=outcomes | ({"missing": len(missing)} if missing else {}),
        repeated=sum(record.deterministic is not None for record in records),
        not_deterministic=sum(record.deterministic is False for record in records),
        left_out=sum(entry.key is None for entry in run.evidence.manifest.entries),
        classes=len(run.classes),
        engines=sorted({each.engine for each in made}),
        bases=sorted({each.base_kind for each in made}),
        cpu_classes=sorted({each.cpu_class for each in made}),
        not_pinned=sorted({record.cell.environment for record in records if record.pinned is False}),
    )


def _title(summary: SummaryPart) -> str:
    ran = "" if summary.ok == summary.cells else f"{summary.ok} of "
    places = wording.counted(summary.environments, "environment")
    if not summary.classes:
        return f"{ran}{wording.cells(summary.cells)} ran in {places}"
    fall = (
        "the losses of all are identical"
        if summary.classes == 1
        else f"their losses fall into {summary.classes} classes"
    )
    return f"{ran}{wording.cells(summary.cells)} ran in {places}: {fall}"


def _where(summary: SummaryPart) -> Iterable[str]:
    engines, bases = " and ".join(summary.engines), " and ".join(map(wording.base, summary.bases))
    yield f"{wording.cells(summary.cells)} in {wording.counted(summary.environments, 'environment')}"
    yield f"engine {engines or wording.NOTHING}: {bases or wording.NOTHING}"
    yield f"CPU class {'; '.join(summary.cpu_classes) or wording.NOTHING}"
    if summary.not_pinned:
        yield f"not pinned, taken as found with no lock: {', '.join(summary.not_pinned)}"
    if summary.left_out:
        yield f"{wording.cells(summary.left_out)} left out of the plan"


def _failures(run: Run) -> Iterable[tuple[str, str]]:
    broken = [record for record in run.records if record.outcome in (Outcome.FAILED, Outcome.TIMED_OUT)]
    for record in broken[:_FIRST]:
        yield record.cell.id, f"{record.outcome.value.replace('_', ' ')}, {record.reason or 'no reason was recorded'}"
    yield from ((name, "no record") for name in run.evidence.missing[:_FIRST])


def _grids(records: Sequence[Record], classes: Sequence[Class]) -> Iterable[Grid]:
    for workload in dict.fromkeys(record.cell.workload for record in records):
        own = [record for record in records if record.cell.workload == workload]
        yield _grid(workload, own, [found for found in classes if found.workload == workload])


def _grid(workload: str, records: Sequence[Record], classes: Sequence[Class]) -> Grid:
    looks = _looks(classes)
    cells = {cell: found for found in classes for cell in found.cells}
    columns = _columns(records)
    rows: dict[tuple[str, str], dict[str, GridCell]] = {}
    for record in records:
        row = rows.setdefault((record.cell.variant, record.cell.dtype), {})
        row[_column(record)] = _cell(record, cells.get(record.cell.id), looks)
    dtypes = tuple(FORMS)
    ordered = sorted(rows.items(), key=lambda item: dtypes.index(item[0][1]))
    return Grid(
        workload=workload,
        columns=tuple(columns.values()),
        rows=tuple(
            GridRow(name=name, dtype=dtype, cells=tuple(row.get(column) for column in columns))
            for (name, dtype), row in ordered
        ),
        key=tuple(_key(found, looks[found.name]) for found in classes if looks[found.name].startswith("k")),
    )


def _looks(classes: Sequence[Class]) -> dict[str, str]:
    """Return class name -> its look; the classes come the largest first."""
    return {
        found.name: "own" if len(found.cells) == 1 else f"k{place}" if place <= _COLOURS else "few"
        for place, found in enumerate(classes, start=1)
    }


def _columns(records: Sequence[Record]) -> dict[str, str]:
    """Return what a column is of -> its head in words, with its Python where that tells two apart."""
    heads = {_column(record): _head(record.cell) for record in records}
    twice = {head for head, count in Counter(heads.values()).items() if count > 1}
    pythons = {_column(record): record.cell.python for record in records}
    return {column: f"{head}, Python {pythons[column]}" if head in twice else head for column, head in heads.items()}


def _head(cell: Description) -> str:
    return wording.place(wording.framework(cell.framework, cell.flavour, cell.version), cell.device, cell.settings)


def _column(record: Record) -> str:
    return wording.place(record.cell.environment, record.cell.device, record.cell.settings)


def _cell(record: Record, found: Class | None, looks: Mapping[str, str]) -> GridCell:
    if found is None:
        lost = record.outcome.value.replace("_", " ") if record.trajectory is None else "repeats differ"
        return GridCell(id=record.cell.id, label=lost, state=0, look="lost")
    states = [place for place, state in enumerate(found.states, start=1) if record.cell.id in state]
    return GridCell(
        id=record.cell.id,
        label=found.name,
        state=states[0] if len(found.states) > 1 and states else 0,
        look=looks[found.name],
    )


def _key(found: Class, look: str) -> tuple[str, str, int, bool, str]:
    rule = wording.brief([term.factors for term in found.rule.terms], len(found.rule.without))
    return look, found.name, len(found.cells), found.same_state, rule
