"""The published columns against each other, with exact values instead of printed ones."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Any

import msgspec

from repromatrix.published.columns import Closest, Comparison, Pair
from repromatrix.report import wording
from repromatrix.report.run import Run, Table
from repromatrix.report.section import Brief, Number, Part, Section
from repromatrix.report.sentence import Sentence, hexadecimal, measured, sentence

PLACE = 110
NEAREST = 12
_LISTS = ("cross_method", "larger", "exact", "same_digits")


class ColumnPairPart(Part, frozen=True, kw_only=True):
    """Two published columns over their common steps."""

    a: str
    b: str
    verdict: str
    judged_by: Annotated[str | None, msgspec.Meta(description="who tells rounding from more; null: nobody had to")]
    ulp_dtype: str
    steps: int
    first_difference: int | None
    last_abs: Number
    last_ulp: int | None
    max_abs: Number
    max_ulp: int | None
    same_digits: bool
    factors: list[str]


class ComparisonPart(Part, frozen=True, kw_only=True):
    """The columns of one published table against each other."""

    workload: str
    closest: list[Closest]
    cross_method: list[ColumnPairPart]
    larger: list[ColumnPairPart]
    exact: list[ColumnPairPart]
    same_digits: list[ColumnPairPart]


class Document(Part, frozen=True, kw_only=True):
    """The columns of each published table against each other."""

    comparisons: list[ComparisonPart]


@dataclass(frozen=True, slots=True, kw_only=True)
class PairRow:
    """Two columns, all in text."""

    a: str
    b: str
    verdict: str
    first: str
    steps: str
    last_abs: str
    last_ulp: str
    max_abs: str
    max_ulp: str
    dtype: str
    factors: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ClosestRow:
    """The columns at one iteration; `more`: how many wider pairs of groups are left out."""

    iteration: int
    same: tuple[str, ...]
    near: tuple[tuple[str, str, str, str], ...]
    more: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TableColumns:
    """The columns of one table."""

    closest: tuple[ClosestRow, ...]
    cross_method: tuple[PairRow, ...]
    larger: tuple[PairRow, ...]
    exact: tuple[PairRow, ...]
    same_digits: tuple[PairRow, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns(Section):
    """The columns of all tables."""

    tables: tuple[TableColumns, ...]


def build(run: Run) -> Columns:
    """Make the section."""
    tables = tuple(_table(table.comparison) for table in run.tables)
    return Columns(
        part=Document(comparisons=[_part(table) for table in run.tables]),
        sentences=tuple(each for table in run.tables for each in _sentences(table)),
        links=tuple(
            (f"p{place}-closest", "Column pairs") for place, each in enumerate(tables, start=1) if each.closest
        ),
        briefs=tuple(each for table in run.tables for each in _briefs(table.comparison)),
        tables=tables,
    )


def _table(found: Comparison) -> TableColumns:
    pairs = {name: tuple(map(_row, getattr(found, name))) for name in _LISTS}
    return TableColumns(closest=tuple(map(_closest_row, found.closest)), **pairs)


def _row(found: Pair) -> PairRow:
    return PairRow(
        a=found.a,
        b=found.b,
        verdict=found.verdict.value,
        first=wording.step(found.first_difference),
        steps=str(found.steps),
        last_abs=wording.distance(found.last_abs),
        last_ulp=wording.count(found.last_ulp),
        max_abs=wording.distance(found.max_abs),
        max_ulp=wording.count(found.max_ulp),
        dtype=found.ulp_dtype,
        factors="; ".join(found.factors) or wording.NOTHING,
    )


def _closest_row(found: Closest) -> ClosestRow:
    near = [
        (
            wording.listed(each.a),
            wording.listed(each.b),
            wording.distance(each.distance),
            f"{wording.count(each.ulps)} {each.ulp_dtype}",
        )
        for each in found.near[:NEAREST]
    ]
    return ClosestRow(
        iteration=found.iteration,
        same=tuple(wording.listed(group) for group in found.same),
        near=tuple(near),
        more=max(0, len(found.near) - NEAREST),
    )


def _part(table: Table) -> ComparisonPart:
    found = table.comparison
    pairs = {name: [_pair_part(pair) for pair in getattr(found, name)] for name in _LISTS}
    return ComparisonPart(workload=table.check.workload, closest=list(found.closest), **pairs)


def _pair_part(pair: Pair) -> ColumnPairPart:
    names = [name for name in Pair.__dataclass_fields__ if name not in ("verdict", "factors")]
    own = {name: getattr(pair, name) for name in names}
    return ColumnPairPart(**own, verdict=pair.verdict.value, factors=list(pair.factors))


def _sentences(table: Table) -> Iterable[Sentence]:
    workload, comparison = table.check.workload, table.comparison
    cells = {column.title: column.cell for column in table.check.newest if column.cell}
    for found in comparison.closest:
        yield _closest(found, tuple(cells.values()), workload)
    lists: dict[tuple[str, str], list[str]] = {}
    pairs: dict[tuple[str, str], Pair] = {}
    for name in _LISTS:
        for pair in getattr(comparison, name):
            pairs[pair.a, pair.b] = pair
            lists.setdefault((pair.a, pair.b), []).append(name)
    for titles, pair in pairs.items():
        yield _pair(pair, lists[titles], tuple(cells[title] for title in titles if title in cells), workload)


def _closest(found: Closest, cells: tuple[str, ...], workload: str) -> Sentence:
    same = " | ".join(wording.listed(group) for group in found.same) or "no two columns"
    nearest = ""
    if found.near:
        near = found.near[0]
        far = f"{wording.distance(near.distance)}, {near.ulps} ULP of {near.ulp_dtype}"
        nearest = f"; nearest of the others: {wording.listed(near.a)} and {wording.listed(near.b)}, {far}"
    values: dict[str, Any] = {
        "same": found.same,
        "near": [(near.a, near.b, near.distance.hex(), near.ulps, near.ulp_dtype) for near in found.near],
    }
    text = f"iteration {found.iteration}: the same bits in {same}{nearest}"
    name = f"closest/{workload}/{found.iteration}"
    return sentence("closest", name, text, cells, shown=False, workload=workload, iteration=found.iteration, **values)


def _pair(pair: Pair, lists: list[str], cells: tuple[str, ...], workload: str) -> Sentence:
    far = hexadecimal(pair.max_abs)
    said = measured(pair.first_difference, far, pair.max_ulp, dtype=pair.ulp_dtype, judged=pair.judged_by)
    look = "; the same printed digits" if pair.same_digits and pair.verdict != "identical" else ""
    return sentence(
        "pair_verdict",
        f"pair/{workload}/{pair.a}/{pair.b}",
        f"{pair.a} and {pair.b} over {pair.steps} steps: {pair.verdict.value}{said}{look}",
        cells,
        shown=False,
        workload=workload,
        a=pair.a,
        b=pair.b,
        lists=lists,
        verdict=pair.verdict,
        judged_by=pair.judged_by,
        ulp_dtype=pair.ulp_dtype,
        steps=pair.steps,
        first_difference=pair.first_difference,
        last_abs=hexadecimal(pair.last_abs),
        last_ulp=pair.last_ulp,
        max_abs=far,
        max_ulp=pair.max_ulp,
        same_digits=pair.same_digits,
        factors=pair.factors,
    )


def _briefs(found: Comparison) -> Iterable[Brief]:
    lines = tuple(f"{pair.a} and {pair.b}, {pair.steps} common steps" for pair in found.exact[:60])
    title, left = "Published columns with the same bits", max(0, len(found.exact) - 60)
    yield Brief(title=title, lines=lines or ("None.",), left_out=left)
