"""A printed final prediction against the records: both forward passes that it can mean, and which one it is."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from repromatrix.compare import exact
from repromatrix.published import setups
from repromatrix.published.contradictions import Convention
from repromatrix.published.setups import Setup
from repromatrix.published.table import PrintedPrediction
from repromatrix.results.manifest import Column
from repromatrix.results.record import Record


@dataclass(frozen=True, slots=True, kw_only=True)
class Forward:
    """One forward pass at the printed digits, with its exact distances to the target, rounded likewise."""

    convention: Convention
    texts: tuple[str, ...]
    hex: tuple[str, ...]
    errors: tuple[str, ...]
    agrees: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Passes:
    """The two forward passes of one variant that a final prediction can mean; empty with a reason."""

    variant: str
    cell: str | None
    dtype: str | None
    reason: str | None
    forwards: tuple[Forward, ...]

    @property
    def agreeing(self) -> Forward | None:
        """The pass that is the printed one in every digit, the one after the last update first."""
        return next((each for each in self.forwards if each.agrees), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictionCheck:
    """One printed final prediction in one setup.

    Attributes:
        own: the passes of the column's own variant.
        by: the passes of the variant that the table names for its predictions; the same value where it names none.
    """

    printed: PrintedPrediction
    setup: Setup
    newest: bool
    own: Passes
    by: Passes

    @property
    def reproduced(self) -> bool | None:
        """Whether either forward pass of the named variant is the printed one; None: there is none."""
        return self.by.agreeing is not None if self.by.forwards else None


def check(
    column: Column, printed: PrintedPrediction, setup: Setup, records: Sequence[Record], *, newest: bool
) -> PredictionCheck:
    """Hold both forward passes of the column's variants in one setup against the printed prediction."""
    own = _passes(column.variant, printed, setup, records)
    by = own if column.predictions == column.variant else _passes(column.predictions, printed, setup, records)
    return PredictionCheck(printed=printed, setup=setup, newest=newest, own=own, by=by)


def _passes(variant: str, printed: PrintedPrediction, setup: Setup, records: Sequence[Record]) -> Passes:
    record = setups.find(records, setup, variant)
    repeats = [each.predictions for each in record.trajectories] if record else []
    forwards = [
        _forward(printed, convention, [exact.decode(each[place]) for each in repeats])
        for convention, place in ((Convention.AFTER, -1), (Convention.BEFORE, -2))
        if repeats and all(len(each) >= -place for each in repeats)
    ]
    return Passes(
        variant=variant,
        cell=record.cell.id if record else None,
        dtype=record.cell.dtype if record else None,
        reason=None if repeats else setups.absence(record, variant, setup),
        forwards=tuple(forwards),
    )


def _forward(printed: PrintedPrediction, convention: Convention, rows: Sequence[tuple[float, ...]]) -> Forward:
    texts = printed.prediction or ()

    def agrees(row: tuple[float, ...]) -> bool:
        return len(row) == len(texts) and all(map(exact.agrees, row, texts))

    shown = next((row for row in rows if not agrees(row)), rows[0])
    return Forward(
        convention=convention,
        texts=tuple(exact.printed_like(value, text) for value, text in zip(shown, texts, strict=False)),
        hex=tuple(value.hex() for value in shown),
        errors=tuple(
            _error(value, target, text) for value, target, text in zip(shown, printed.target, texts, strict=False)
        ),
        agrees=agrees(shown),
    )


def _error(value: float, target: str, like: str) -> str:
    return exact.rounded(abs(Fraction(value) - Fraction(target)), like) if math.isfinite(value) else str(value)
