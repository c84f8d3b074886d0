"""A published table against itself: figures that no true values behind the printed digits can explain.

Interval arithmetic over the rounding of each printed figure; nothing computed by a framework enters.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction

from repromatrix.compare import exact
from repromatrix.compare.interval import Interval, half_sum_of_squares
from repromatrix.published.assertions import Difference
from repromatrix.published.table import PrintedPrediction, Table


class Kind(StrEnum):
    """Which two parts of the document disagree."""

    ERROR = "error"
    CLAIM = "claim"
    CONVENTION = "convention"


class Convention(StrEnum):
    """Which forward pass a final prediction is."""

    AFTER = "after the last update"
    BEFORE = "before the last update"


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A printed figure and the place where it stands."""

    name: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Contradiction:
    """A figure that the document's other figures rule out.

    Attributes:
        printed: the figure itself.
        against: the figures that rule it out.
        implied: what those allow in its place, at its own number of digits (one number, or a range).
    """

    kind: Kind
    columns: tuple[str, ...]
    printed: Figure
    against: tuple[Figure, ...]
    implied: str
    sentence: str


def contradictions(table: Table) -> tuple[Contradiction, ...]:
    """Return every contradiction of the table: errors, then claims, then conventions, in its own order."""
    return (*_errors(table.predictions), *_claims(table), *_conventions(table))


def convention(row: PrintedPrediction, losses: tuple[str, ...]) -> Convention | None:
    """Return which forward pass a printed prediction is, or None where nothing is printed.

    It is the one before the last update if the loss that it implies can be the last printed loss.
    """
    if row.prediction is None or not losses:
        return None
    return Convention.BEFORE if implied_loss(row).meets(Interval.printed(losses[-1])) else Convention.AFTER


def implied_loss(row: PrintedPrediction) -> Interval:
    """Return the losses that a printed prediction can stand for; the target is given, hence exact."""
    return half_sum_of_squares(
        Interval.printed(value) - Interval.exact(target)
        for value, target in zip(row.prediction or (), row.target, strict=True)
    )


def _errors(rows: Iterable[PrintedPrediction]) -> Iterable[Contradiction]:
    for row in rows:
        if row.prediction is None or row.error is None:
            continue
        for place, (value, target, error) in enumerate(
            zip(row.prediction, row.target, row.error, strict=True), start=1
        ):
            distance = abs(Interval.printed(value) - Interval.exact(target))
            if distance.meets(Interval.printed(error)):
                continue
            implied = _between(distance, error)
            yield Contradiction(
                kind=Kind.ERROR,
                columns=(row.column,),
                printed=Figure(name=f"error of output {place}", text=error),
                against=(
                    Figure(name=f"prediction of output {place}", text=value),
                    Figure(name=f"target of output {place}", text=target),
                ),
                implied=implied,
                sentence=f"{row.column}: the printed error of output {place} is {error}, but its printed prediction "
                f"{value} is {implied} away from the target {target}.",
            )


def _claims(table: Table) -> Iterable[Contradiction]:
    for claim in table.claims:
        a, b = (table.losses[column][claim.iteration - 1] for column in (claim.a, claim.b))
        distance = abs(Interval.printed(a) - Interval.printed(b))
        if distance.meets(claimed(claim)):
            continue
        # At the last place of a claimed "0.0" every difference would read as zero.
        implied = _between(distance, claim.value if Decimal(claim.value) else a)
        yield Contradiction(
            kind=Kind.CLAIM,
            columns=(claim.a, claim.b),
            printed=Figure(name=f"difference at iteration {claim.iteration}", text=claim.value),
            against=(Figure(name=f"loss of {claim.a}", text=a), Figure(name=f"loss of {claim.b}", text=b)),
            implied=implied,
            sentence=f"{claim.a} and {claim.b} are said to differ by {claim.value} at iteration {claim.iteration}, but "
            f"their printed losses {a} and {b} differ by {implied}.",
        )


def claimed(claim: Difference) -> Interval:
    """Return what a claimed difference can stand for; a claimed zero says that there is none."""
    return Interval.exact(claim.value) if Decimal(claim.value) == 0 else Interval.printed(claim.value)


def _conventions(table: Table) -> Iterable[Contradiction]:
    found = [(row, convention(row, table.losses.get(row.column, ()))) for row in table.predictions]
    before = [row for row, which in found if which is Convention.BEFORE]
    after = [row for row, which in found if which is Convention.AFTER]
    if not before or not after:
        return
    # The rule of a table is what most of its rows follow; with no majority, what its heading says: final.
    odd, usual = (before, after) if len(before) <= len(after) else (after, before)
    kept, broken = (Convention.AFTER, Convention.BEFORE) if usual is after else (Convention.BEFORE, Convention.AFTER)
    for row in odd:
        last = table.losses[row.column][-1]
        implied = _between(implied_loss(row), last)
        printed = f"[{', '.join(row.prediction or ())}]"
        place = f"loss of iteration {len(table.losses[row.column])}"
        others = f"those of {len(usual)} other columns are" if len(usual) > 1 else "that of the other column is"
        yield Contradiction(
            kind=Kind.CONVENTION,
            columns=(row.column,),
            printed=Figure(name="final prediction", text=printed),
            against=(Figure(name=place, text=last),),
            implied=implied,
            sentence=f"{row.column}: the printed prediction {printed} implies a loss of {implied}; the printed {place} "
            f"is {last}. It is the forward pass {broken.value}; {others} {kept.value}.",
        )


def _between(interval: Interval, like: str) -> str:
    """Return an interval at the digits of `like`: one number where it is no wider than the last place."""
    ends = (interval.low, interval.high)
    width = interval.high - interval.low
    if width <= Fraction(Decimal((0, (1,), int(Decimal(like).as_tuple().exponent)))):
        ends = ((interval.low + interval.high) / 2,) * 2
    low, high = (exact.rounded(end, like) for end in ends)
    return low if low == high else f"{low} to {high}"
