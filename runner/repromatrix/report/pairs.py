"""Pairs of published columns -> rows of text: rounded, bounded where there are many."""

from dataclasses import dataclass

from repromatrix.published.columns import Closest, Comparison, Pair
from repromatrix.report import wording

NEAREST = 12


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
