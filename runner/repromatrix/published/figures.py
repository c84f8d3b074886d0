"""A published table against the records: every printed figure beside the exact value, per framework version.

The newest version of each framework in the run answers for the table; a cell without a trajectory is
"not computed", with its reason, and never counts as reproduced.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from repromatrix.compare import exact
from repromatrix.published import predictions, setups
from repromatrix.published.contradictions import Contradiction, contradictions
from repromatrix.published.predictions import PredictionCheck
from repromatrix.published.setups import Setup
from repromatrix.published.table import Table, parse
from repromatrix.results.manifest import Column, Published
from repromatrix.results.record import Record


@dataclass(frozen=True, slots=True, kw_only=True)
class LossCheck:
    """One printed loss.

    Attributes:
        iteration: from 1.
        computed: the exact value rounded to the printed digits; None: there is no value.
        hex: the exact value.
        agrees: in every printed digit, for every repeat; None: there is no value.
    """

    iteration: int
    published: str
    computed: str | None
    hex: str | None
    agrees: bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnCheck:
    """One printed column in one setup; `reason` says why there are no values, `cell` is None without a record."""

    title: str
    setup: Setup
    newest: bool
    cell: str | None
    dtype: str | None
    reason: str | None
    losses: tuple[LossCheck, ...]

    @property
    def reproduced(self) -> int:
        """How many of its losses agree."""
        return sum(each.agrees is True for each in self.losses)


@dataclass(frozen=True, slots=True, kw_only=True)
class NotRun:
    """A printed column that no setup of the run answers for, and why."""

    title: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """A whole table against the records; columns and predictions in the table's order, newest setup first."""

    workload: str
    table: Table
    columns: tuple[ColumnCheck, ...]
    predictions: tuple[PredictionCheck, ...]
    contradictions: tuple[Contradiction, ...]
    not_run: tuple[NotRun, ...]

    @property
    def newest(self) -> tuple[ColumnCheck, ...]:
        """The columns as the newest version of each framework gives them."""
        return tuple(each for each in self.columns if each.newest)


def check(published: Published, records: Sequence[Record]) -> Check:
    """Hold the records of the table's workload against every figure of the table."""
    table = parse(published.data, published.workload, [column.title for column in published.columns])
    own = [each for each in records if each.cell.workload == published.workload]
    mapped = {column.title: column for column in published.columns}
    columns, finals = [], []
    rows = {row.column: row for row in table.predictions if row.prediction is not None}
    for title in table.losses:
        if title not in mapped:
            continue
        column = mapped[title]
        for place, setup in enumerate(setups.setups(column, own)):
            columns.append(_column(column, table.losses[title], setup, own, newest=place == 0))
            if title in rows:
                finals.append(predictions.check(column, rows[title], setup, own, newest=place == 0))
    return Check(
        workload=published.workload,
        table=table,
        columns=tuple(columns),
        predictions=tuple(finals),
        contradictions=contradictions(table),
        not_run=tuple(
            NotRun(title=title, reason=_not_run(mapped.get(title), records, published.workload))
            for title in table.losses
            if title not in {each.title for each in columns}
        ),
    )


def _not_run(column: Column | None, records: Sequence[Record], workload: str) -> str:
    if column is None:
        return "no variant is named for it"
    if any(each.cell.framework == column.framework for each in records):
        return f"no record of {column.framework} with the workload {workload} in this run"
    return f"no record of {column.framework} in this run"


def _column(
    column: Column, printed: Sequence[str], setup: Setup, records: Sequence[Record], *, newest: bool
) -> ColumnCheck:
    record = setups.find(records, setup, column.variant)
    repeats = [exact.decode(each.losses) for each in record.trajectories] if record else []
    return ColumnCheck(
        title=column.title,
        setup=setup,
        newest=newest,
        cell=record.cell.id if record else None,
        dtype=record.cell.dtype if record else None,
        reason=None if repeats else setups.absence(record, column.variant, setup),
        losses=tuple(
            _loss(iteration, text, [each[iteration - 1] for each in repeats if len(each) >= iteration])
            for iteration, text in enumerate(printed, start=1)
        ),
    )


def _loss(iteration: int, text: str, values: Sequence[float]) -> LossCheck:
    if not values:
        return LossCheck(iteration=iteration, published=text, computed=None, hex=None, agrees=None)
    # Of several repeats the one that fails speaks for the cell.
    shown = next((each for each in values if not exact.agrees(each, text)), values[0])
    return LossCheck(
        iteration=iteration,
        published=text,
        computed=exact.printed_like(shown, text),
        hex=shown.hex(),
        agrees=exact.agrees(shown, text),
    )
