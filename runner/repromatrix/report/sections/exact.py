"""The workload `operations`: each operation in each environment, by its distance from the exact result."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

import msgspec

from repromatrix.operations.overview import Kind, Result, names, word
from repromatrix.report.run import Run
from repromatrix.report.section import Brief, Headline, Number, Part, Section, table
from repromatrix.results.record import Record

PLACE = 65
# Distances from the exact result, in units in the last place, up to which a cell has the next colour.
_STEPS = (0.5001, 1.0, 2.0, 4.0, 64.0)
_LOOKS = {Kind.ABSENT: "none", Kind.BROKEN: "broken"}
_MOST_ROWS = 40  # of report.md


class OperationPart(Part, frozen=True, kw_only=True):
    """An operation in a cell."""

    name: str
    kind: Kind
    dtype: str
    largest: Annotated[Number, msgspec.Meta(description="ULP from the exact result; null: none is known")]
    mean: Number
    wrong: int
    reason: str | None


class CellPart(Part, frozen=True, kw_only=True):
    """A cell of the workload `operations`."""

    cell: str
    dtype: str
    operations: list[OperationPart]


class Document(Part, frozen=True, kw_only=True):
    """Operations beside their exact results."""

    computed: list[CellPart]


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """What the table shows of one operation in one cell.

    Attributes:
        text: the distance, or a word.
        look: the class of its colour.
        more: what a pointer over it tells.
    """

    text: str
    look: str
    more: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """The operations in one dtype.

    Attributes:
        heads: the cells, without their workload.
        rows: operation -> what each cell has of it.
    """

    dtype: str
    heads: tuple[str, ...]
    rows: tuple[tuple[str, tuple[Place, ...]], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Exact(Section):
    """Operations beside their exact results."""

    tables: tuple[Table, ...]


def build(run: Run) -> Exact:
    """Make the section; it is empty where no such cell was run."""
    by_dtype: dict[str, list[tuple[Record, Mapping[str, Result]]]] = {}
    for record, found in run.evidence.computed:
        by_dtype.setdefault(record.cell.dtype, []).append((record, found))
    tables = tuple(_table(dtype, cells) for dtype, cells in by_dtype.items())
    return Exact(
        part=Document(computed=[_part(record, found) for record, found in run.evidence.computed]),
        links=(("exact", "Operations"),) if tables else (),
        headlines=_headlines(run.evidence.computed),
        briefs=tuple(brief for each in tables for brief in _brief(each)),
        tables=tables,
    )


def _table(dtype: str, cells: Sequence[tuple[Record, Mapping[str, Result]]]) -> Table:
    columns = [dict(found) for _, found in cells]
    rows = ((name, tuple(_place(each.get(name), columns[0].get(name)) for each in columns)) for name in names(columns))
    heads = tuple(record.cell.id.partition("/")[2] for record, _ in cells)
    return Table(dtype=dtype, heads=heads, rows=tuple(rows))


def _place(result: Result | None, first: Result | None) -> Place:
    told = word(result, first if first is not result else None)
    if result is None:
        return Place(text=told, look="none", more="not in this cell")
    if result.kind is not Kind.GIVEN:
        return Place(text=told, look=_LOOKS[result.kind], more=result.reason or "")
    kind = f"{result.dtype}{list(result.shape)}"
    if result.errors is None:
        return Place(text=told, look="plain", more=f"{kind}, no exact result is known")
    errors = result.errors
    more = f"{kind}, mean {errors.mean:.3g} ULP, {errors.wrong} of {errors.judged} wrong"
    return Place(text=told, look="wrong" if errors.wrong else f"u{_step(errors.largest)}", more=more)


def _step(largest: float) -> int:
    return sum(largest > step for step in _STEPS)


def _headlines(computed: Sequence[tuple[Record, Mapping[str, Result]]]) -> tuple[Headline, ...]:
    if not computed:
        return ()
    operations = {name.partition("/")[0] for _, found in computed for name in found}
    environments = {record.cell.environment for record, _ in computed}
    more = f", in {len(environments)} environments" if len(environments) > 1 else ""
    words = "operations beside their exact results"
    return (Headline(group="ran", count=str(len(operations)), words=words, link="exact", more=more),)


def _brief(each: Table) -> tuple[Brief, ...]:
    rows = [(name, *(place.text for place in places)) for name, places in each.rows]
    return table(f"Operations in {each.dtype}: ULP from the exact result", ("operation", *each.heads), rows, _MOST_ROWS)


def _part(record: Record, found: Mapping[str, Result]) -> CellPart:
    return CellPart(
        cell=record.cell.id, dtype=record.cell.dtype, operations=[_operation(each) for each in found.values()]
    )


def _operation(result: Result) -> OperationPart:
    errors = result.errors
    return OperationPart(
        name=result.name,
        kind=result.kind,
        dtype=result.dtype,
        largest=_number(errors.largest) if errors else None,
        mean=_number(errors.mean) if errors else None,
        wrong=errors.wrong if errors else 0,
        reason=result.reason,
    )


def _number(value: float) -> Number:
    return value if value < float("inf") else "inf"
