"""A published table's check -> rows of text: rounded, differing digits marked."""

from dataclasses import dataclass

from repromatrix.published.figures import Check, ColumnCheck, LossCheck
from repromatrix.report import wording


@dataclass(frozen=True, slots=True, kw_only=True)
class LossText:
    """One computed loss; without a value all is empty."""

    marks: tuple[wording.Mark, ...]
    hex: str
    published: str
    agrees: bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class IterationRow:
    """One iteration over all columns; None: the document prints nothing there."""

    iteration: int
    losses: tuple[LossText | None, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """How much of a column one setup reproduces."""

    cell: str | None
    reproduced: int
    total: int
    reason: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SetupRow:
    """One setup over all columns; None: the column is not this framework's, or its variant was not run here."""

    name: str
    newest: bool
    reproduced: int
    total: int
    tallies: tuple[Tally | None, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class MismatchRow:
    """A printed loss that a setup does not reproduce."""

    column: str
    setup: str
    newest: bool
    iteration: int
    published: str
    computed: tuple[wording.Mark, ...]
    hex: str


def iterations(check: Check) -> tuple[IterationRow, ...]:
    """Return the iteration table as the newest version of each framework gives it."""
    columns = check.newest
    last = max((len(each.losses) for each in columns), default=0)
    return tuple(
        IterationRow(
            iteration=number + 1,
            losses=tuple(_loss(each.losses[number]) if number < len(each.losses) else None for each in columns),
        )
        for number in range(last)
    )


def setups(check: Check) -> tuple[SetupRow, ...]:
    """Return one row for each setup: per column how many losses it reproduces."""
    titles = [each.title for each in check.newest]
    rows: dict[str, list[ColumnCheck]] = {}
    for each in check.columns:
        rows.setdefault(wording.setup(each.setup), []).append(each)
    return tuple(
        SetupRow(
            name=name,
            newest=any(each.newest for each in found),
            reproduced=sum(each.reproduced for each in found),
            total=sum(len(each.losses) for each in found),
            tallies=tuple(next((_tally(each) for each in found if each.title == title), None) for title in titles),
        )
        for name, found in rows.items()
    )


def mismatches(check: Check) -> tuple[MismatchRow, ...]:
    """Return every loss of every setup that was computed and does not agree."""
    return tuple(
        MismatchRow(
            column=column.title,
            setup=wording.setup(column.setup),
            newest=column.newest,
            iteration=loss.iteration,
            published=loss.published,
            computed=wording.marks(loss.computed or "", loss.published),
            hex=loss.hex or wording.NOTHING,
        )
        for column in check.columns
        for loss in column.losses
        if loss.agrees is False
    )


def _loss(loss: LossCheck) -> LossText:
    return LossText(
        marks=wording.marks(loss.computed, loss.published) if loss.computed else (),
        hex=loss.hex or "",
        published=loss.published,
        agrees=loss.agrees,
    )


def _tally(column: ColumnCheck) -> Tally:
    return Tally(cell=column.cell, reproduced=column.reproduced, total=len(column.losses), reason=column.reason)
