"""The published columns against each other, with exact values instead of printed ones.

Recomputes what a hand-made comparison lists: closest matches, cross-method and larger differences, exact
matches. Which list a pair is in follows from its numbers alone.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations

from repromatrix.compare import arrays, exact
from repromatrix.compare.allowance import Allowances
from repromatrix.compare.difference import Verdict, judge
from repromatrix.floats import FORMS, coarser
from repromatrix.published.figures import Check, ColumnCheck
from repromatrix.results.record import Record


@dataclass(frozen=True, slots=True, kw_only=True)
class Values:
    """A published column as computed by the newest version: the trajectory, exact."""

    title: str
    cell: str
    dtype: str
    options: tuple[tuple[str, str], ...]
    factors: tuple[tuple[str, str], ...]
    losses: tuple[float, ...]
    rounded: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Two columns over their common steps.

    Attributes:
        judged_by: whose word tells rounding from more; None where nobody had to judge.
        last_abs: |a - b| at the last common step; None where it cannot be measured.
        last_ulp: likewise in ULP of `ulp_dtype`, the coarser of the two.
        same_digits: whether both round to the same printed digits at every common step.
        factors: options that differ, as `name: a / b`: those really used where both records tell them, else those
            stated; `-` where one side states none.
    """

    a: str
    b: str
    verdict: Verdict
    judged_by: str | None
    ulp_dtype: str
    steps: int
    first_difference: int | None
    last_abs: float | None
    last_ulp: int | None
    max_abs: float | None
    max_ulp: int | None
    same_digits: bool
    factors: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Near:
    """Two groups of columns at one iteration; within a group all have the same bits there."""

    a: tuple[str, ...]
    b: tuple[str, ...]
    distance: float
    ulps: int
    ulp_dtype: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Closest:
    """The columns at one iteration: which share their bits, and the nearest of those that do not."""

    iteration: int
    same: tuple[tuple[str, ...], ...]
    near: tuple[Near, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """The sections of the hand-made document, recomputed.

    Attributes:
        cross_method: pairs with different options that rounding alone may explain, the largest first.
        larger: pairs further apart than that at some step, the largest first.
        exact: pairs with the same bits at every common step.
        same_digits: pairs that only look alike: the same printed digits, different bits.
    """

    closest: tuple[Closest, ...]
    cross_method: tuple[Pair, ...]
    larger: tuple[Pair, ...]
    exact: tuple[Pair, ...]
    same_digits: tuple[Pair, ...]


def compare_columns(found: Check, records: Sequence[Record], allowed: Allowances) -> Comparison:
    """Compare the table's columns pair by pair over their common steps."""
    by_id = {each.cell.id: each for each in records}
    values = [_values(each, by_id[each.cell]) for each in found.newest if each.cell and each.reason is None]
    pairs = [_pair(a, b, allowed, found.workload) for a, b in combinations(values, 2)]
    last = max((len(each.losses) for each in values), default=0)
    return Comparison(
        closest=tuple(_closest(values, iteration) for iteration in sorted({1, 2, last}) if 0 < iteration <= last),
        cross_method=_largest(each for each in pairs if each.verdict is Verdict.ROUNDING and each.factors),
        larger=_largest(each for each in pairs if each.verdict in (Verdict.AMPLIFIED, Verdict.DIVERGENT)),
        exact=tuple(each for each in pairs if each.verdict is Verdict.IDENTICAL),
        same_digits=tuple(each for each in pairs if each.same_digits and each.verdict is not Verdict.IDENTICAL),
    )


def _values(column: ColumnCheck, record: Record) -> Values:
    return Values(
        title=column.title,
        cell=record.cell.id,
        dtype=record.cell.dtype,
        options=record.cell.options,
        factors=record.factors,
        losses=exact.decode(record.trajectories[0].losses),
        rounded=tuple(each.computed or "" for each in column.losses),
    )


def _pair(a: Values, b: Values, allowed: Allowances, workload: str) -> Pair:
    dtype = coarser(a.dtype, b.dtype)
    common = min(len(a.losses), len(b.losses))
    left, right = arrays.values(a.losses[:common]), arrays.values(b.losses[:common])
    found = arrays.measure(left, right, dtype)
    judgement = judge(left, right, found, allowed.of(workload, dtype, common), dtype)
    last_ulp = exact.ulps(a.losses[found.steps - 1], b.losses[found.steps - 1], dtype) if found.steps else None
    return Pair(
        a=a.title,
        b=b.title,
        verdict=judgement.verdict,
        judged_by=judgement.judged_by,
        ulp_dtype=dtype,
        steps=found.steps,
        first_difference=found.first_difference,
        last_abs=None if last_ulp is None else _distance(a.losses[found.steps - 1], b.losses[found.steps - 1]),
        last_ulp=last_ulp,
        max_abs=found.max_abs,
        max_ulp=found.max_ulp,
        same_digits=all(x == y for x, y in zip(a.rounded, b.rounded, strict=False)),
        factors=_factors(a, b),
    )


def _factors(a: Values, b: Values) -> tuple[str, ...]:
    # An option that one side leaves out has a value all the same, known only where both told what they used.
    told = bool(a.factors and b.factors)
    left, right = (dict(each.factors if told else each.options) for each in (a, b))
    return tuple(
        f"{name}: {left.get(name, '-')} / {right.get(name, '-')}"
        for name in sorted({*left, *right})
        if left.get(name) != right.get(name)
    )


def _largest(pairs: Iterable[Pair]) -> tuple[Pair, ...]:
    return tuple(sorted(pairs, key=lambda each: -(each.max_abs or 0.0)))


def _closest(values: Sequence[Values], iteration: int) -> Closest:
    groups: dict[str, list[Values]] = {}
    for each in values:
        if len(each.losses) >= iteration:
            groups.setdefault(each.losses[iteration - 1].hex(), []).append(each)
    near = [_near(a, b, iteration) for a, b in combinations(groups.values(), 2)]
    return Closest(
        iteration=iteration,
        same=tuple(tuple(each.title for each in group) for group in groups.values() if len(group) > 1),
        near=tuple(sorted((each for each in near if each), key=lambda each: each.distance)),
    )


def _near(a: Sequence[Values], b: Sequence[Values], iteration: int) -> Near | None:
    left, right = a[0].losses[iteration - 1], b[0].losses[iteration - 1]
    dtype = min((each.dtype for each in (*a, *b)), key=lambda name: FORMS[name].precision)
    ulps = exact.ulps(left, right, dtype)
    if ulps is None:
        return None
    return Near(
        a=tuple(each.title for each in a),
        b=tuple(each.title for each in b),
        distance=_distance(left, right),
        ulps=ulps,
        ulp_dtype=dtype,
    )


def _distance(a: float, b: float) -> float:
    """Return |a - b|; IEEE subtraction rounds the exact difference correctly. The same bits give 0, NaN too."""
    return 0.0 if exact.same_bits(a, b) else abs(a - b)
