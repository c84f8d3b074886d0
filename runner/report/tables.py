"""A published table's check and comparison -> rows of text: rounded, sorted, differing digits marked."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from runner.compare.columns import Closest, Comparison, Pair
from runner.compare.predictions import Passes, PredictionCheck
from runner.compare.published import Check, ColumnCheck, LossCheck
from runner.report import wording

NEAREST = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """A run of digits that agree with the published ones, or that differ."""

    text: str
    differs: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class LossText:
    """One computed loss; without a value all is empty."""

    marks: tuple[Mark, ...]
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
    computed: tuple[Mark, ...]
    hex: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PassText:
    """One forward pass: each output's digits with those marked that differ from the printed ones."""

    convention: str
    outputs: tuple[tuple[Mark, ...], ...]
    errors: tuple[str, ...]
    hex: str
    agrees: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictionRow:
    """A printed final prediction beside what one setup computes."""

    column: str
    setup: str
    newest: bool
    published: tuple[str, ...]
    published_errors: tuple[str, ...]
    contradicted: tuple[bool, ...]
    reproduced: bool
    which: str
    variants: tuple[tuple[str, str, str, tuple[PassText, ...]], ...]


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
    """The columns at one iteration."""

    iteration: int
    same: tuple[str, ...]
    near: tuple[tuple[str, str, str, str], ...]
    more: int


def marks(computed: str, published: str) -> tuple[Mark, ...]:
    """Split computed digits where they differ from the published ones; of another length: all differ."""
    if len(computed) != len(published):
        return (Mark(text=computed, differs=True),)
    pairs = [(character, character != other) for character, other in zip(computed, published, strict=True)]
    runs = groupby(pairs, key=lambda pair: pair[1])
    return tuple(Mark(text="".join(character for character, _ in run), differs=differs) for differs, run in runs)


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
            computed=marks(loss.computed or "", loss.published),
            hex=loss.hex or wording.NOTHING,
        )
        for column in check.columns
        for loss in column.losses
        if loss.agrees is False
    )


def predictions(check: Check, *, newest: bool) -> tuple[PredictionRow, ...]:
    """Return the final predictions of the newest setups, or those of all others."""
    ruled_out = {(name, figure.printed.name) for figure in check.contradictions for name in figure.columns}
    return tuple(_prediction(each, ruled_out) for each in check.predictions if each.newest is newest)


def pair(found: Pair) -> PairRow:
    """Return a pair of columns as text."""
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


def closest(comparison: Comparison) -> tuple[ClosestRow, ...]:
    """Return the nearest columns of each iteration that is looked at, bounded; `more` says how many are left."""
    return tuple(_closest(each) for each in comparison.closest)


def _closest(found: Closest) -> ClosestRow:
    return ClosestRow(
        iteration=found.iteration,
        same=tuple(wording.listed(group) for group in found.same),
        near=tuple(
            (
                wording.listed(each.a),
                wording.listed(each.b),
                wording.distance(each.distance),
                f"{wording.count(each.ulps)} {each.ulp_dtype}",
            )
            for each in found.near[:NEAREST]
        ),
        more=max(0, len(found.near) - NEAREST),
    )


def _loss(loss: LossCheck) -> LossText:
    return LossText(
        marks=marks(loss.computed, loss.published) if loss.computed else (),
        hex=loss.hex or "",
        published=loss.published,
        agrees=loss.agrees,
    )


def _tally(column: ColumnCheck) -> Tally:
    return Tally(cell=column.cell, reproduced=column.reproduced, total=len(column.losses), reason=column.reason)


def _prediction(check: PredictionCheck, ruled_out: set[tuple[str, str]]) -> PredictionRow:
    printed = check.printed
    shown = [check.own] if check.own == check.by else [check.own, check.by]
    agreeing = check.by.agreeing
    return PredictionRow(
        column=printed.column,
        setup=wording.setup(check.setup),
        newest=check.newest,
        published=printed.prediction or (),
        published_errors=printed.error or (),
        contradicted=tuple(
            (printed.column, f"error of output {place}") in ruled_out
            for place in range(1, len(printed.error or ()) + 1)
        ),
        reproduced=check.reproduced,
        which=agreeing.convention.value if agreeing else wording.NOTHING,
        variants=tuple(_variant(each, printed.prediction or ()) for each in shown),
    )


def _variant(passes: Passes, published: Sequence[str]) -> tuple[str, str, str, tuple[PassText, ...]]:
    texts = tuple(
        PassText(
            convention=each.convention.value,
            # Where one of the two passes is the printed one, the other is not expected to be.
            outputs=tuple(
                (Mark(text=text, differs=False),) if passes.agreeing else marks(text, other)
                for text, other in zip(each.texts, published, strict=False)
            ),
            errors=each.errors,
            hex=" ".join(each.hex),
            agrees=each.agrees,
        )
        for each in passes.forwards
    )
    return passes.variant, passes.dtype or wording.NOTHING, passes.reason or "", texts
