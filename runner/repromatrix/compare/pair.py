"""Two series -> a `Pair`: a `Difference`, whether bits could be told, and the values where they part.

Exact numbers are compared bit by bit. Where one side was printed with too few digits to tell its values apart, a step
differs only if no number prints as the one and can be the other. Two texts of one precision are two numbers.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from repromatrix.compare import arrays, caveats, printed, series, steps
from repromatrix.compare.allowance import Allowance, Allowances
from repromatrix.compare.arrays import Bools, Measure, Values
from repromatrix.compare.difference import Difference, Judged, Judgement, Verdict, judge, metrics, worst
from repromatrix.compare.series import Reading, Rule, Series
from repromatrix.floats import coarser


@dataclass(frozen=True, slots=True, kw_only=True)
class Value:
    """One side's number at a step.

    Attributes:
        dtype: what it was read in.
        number: its value there.
        written: its decimal text as the source has it; None where the source is exact.
        told: whether the source tells the value's bits.
    """

    dtype: str
    number: float
    written: str | None
    told: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """A step, from 1, at which two series differ.

    Attributes:
        logged: the number that their sources give it; None: they give none, or not one alone.
        label: what their sources call it, in words, where that is another step than its place.
    """

    step: int
    logged: int | None
    label: str | None
    a: Value
    b: Value


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What passes.

    Attributes:
        verdicts: fine beside `identical`.
        printed: whether a pair passes too whose digits do not tell all numbers that are written otherwise.
        state: whether other weights after the last update fail.
    """

    verdicts: tuple[Verdict, ...] = ()
    printed: bool = False
    state: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Two series, or two classes of equal ones.

    Attributes:
        exact: False: too few digits were printed to tell bits apart, so the pair is compared at the printed digits.
        untold: at how many steps the two numbers are not the same, and the digits do not tell whether they could be.
        other_state: whether it speaks for a pair whose weights after the last update are known to be others.
        deterministic: False: a side's repeats differ, so its first one proves nothing about the pair.
        first: the first differing step; None: none, or nothing was measured.
        metric: the name of the numbers in a log; None: of cells.
        rule: how the pair counts.
        stands_for: how many pairs of series it speaks for.
        cells: ids that it speaks for, where the same cell of two folders is compared.
    """

    difference: Difference
    exact: bool
    untold: int
    other_state: bool
    deterministic: bool
    first: Point | None
    metric: str | None = None
    rule: Rule = Rule.JUDGED
    stands_for: int = 1
    cells: tuple[str, ...] = ()

    def passes(self, terms: Terms) -> bool:
        """Whether it is identical or of an allowed verdict, and nothing else stands against it."""
        if self.rule is Rule.SHOWN:
            return True
        fine = {Rule.JUDGED: terms.verdicts, Rule.ROUNDING: (Verdict.ROUNDING,)}.get(self.rule, ())
        told = terms.printed or not self.untold
        state = not (terms.state and self.other_state)
        return told and state and self.deterministic and self.difference.verdict in {Verdict.IDENTICAL, *fine}

    def flat(self) -> dict[str, Any]:
        """Return everything but the values of the first differing step as JSON values without nesting."""
        own: dict[str, Any] = {"exact": self.exact, "untold": self.untold, "other_state": self.other_state}
        own |= {"deterministic": self.deterministic, "pairs": self.stands_for}
        own |= {"metric": self.metric, "rule": self.rule.value}
        ulps = {} if self.exact else {"max_ulp": None}
        return self.difference.flat() | ulps | own | {"cells": list(self.cells)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One side of a pair: a series, or a class of which it is one.

    Attributes:
        name: the series' name, or the class's.
        states: digests of the weights at the end of all its members, None among them where one is unknown.
        cpu_classes: likewise the hosts' instruction sets.
    """

    name: str
    series: Series
    states: frozenset[str | None]
    cpu_classes: frozenset[str | None]


def side(members: Iterable[Series], name: str | None = None) -> Side:
    """Return one series, or equal ones under the name of their class, as a side."""
    every = tuple(members)
    return Side(
        name=name or every[0].name,
        series=every[0],
        states=frozenset(each.state for each in every),
        cpu_classes=frozenset(each.provenance.cpu_class if each.provenance else None for each in every),
    )


def pair(left: Side, right: Side, allowed: Allowances, dtype: str | None = None, *, common_steps: bool = False) -> Pair:
    """Compare two sides.

    Args:
        left: `a` of the difference.
        right: its `b`.
        allowed: judges a pair of one workload; its tolerances judge all others.
        dtype: what numbers of no stated dtype are read in; None: the other side's if it can be, else float64.
        common_steps: whether two logs of other steps are compared at those that both have.
    """
    a, b = left.series, right.series
    said = caveats.of_series(a, b, same_cpu_class=_same(left.cpu_classes, right.cpu_classes))
    if a.absent or b.absent:
        reason = "; ".join(f"{each.name}: {each.absent}" for each in (a, b) if each.absent)
        return _pair(left, right, Judgement(verdict=Verdict.MISSING, reason=reason), said)
    if a.workload and b.workload and a.workload != b.workload:
        reason = f"workload {a.workload} against {b.workload}"
        return _pair(left, right, Judgement(verdict=Verdict.INCOMPARABLE, reason=reason), said)
    if common_steps and (both := steps.common(a, b)):
        counts = f"{both[0].steps:,} steps that both have, of {a.steps:,} and {b.steps:,}"
        said += [f"compared at the {counts} (--common-steps)"] if both[0].steps < max(a.steps, b.steps) else []
        a, b = both
    if parted := steps.parted(a, b):
        return _pair(left, right, Judgement(verdict=Verdict.INCOMPARABLE, reason=parted), said)
    a_dtype, b_dtype = _dtype(a, b, dtype), _dtype(b, a, dtype)
    said += [*caveats.of_reading(a, b, a_dtype), *caveats.of_reading(b, a, b_dtype)]
    if a_dtype != b_dtype:
        said.append(f"{a_dtype} against {b_dtype}: ULPs in {coarser(a_dtype, b_dtype)}")
    one, other = series.read(a, a_dtype), series.read(b, b_dtype)
    count, coarse = min(a.steps, b.steps), coarser(a_dtype, b_dtype)
    exact = one.told_apart and other.told_apart
    texts = printed.rewritten(a, b, count)
    values, untold = (one.values, 0) if exact else _as_printed(a, b, one.values, other.values, texts)
    found = arrays.measure(values, other.values, coarse)
    judgement = judge(values, other.values, found, _allowance(a, b, allowed, coarse, found.steps), coarse)
    if not exact:
        said += caveats.of_digits(((a, one), (b, other)))
        if judgement.verdict is Verdict.IDENTICAL:
            judgement = Judgement(verdict=Verdict.IDENTICAL, reason="in all printed digits; bits cannot be told")
    texts &= arrays.same_bits(values[:count], other.values[:count])
    found, judgement = _as_written(a, b, texts, found, judgement)
    others = metrics(a.metrics, b.metrics, allowed.tolerances.get(coarse), coarse)
    chosen = worst((Judged(metric=None, measure=found, judgement=judgement), *others))
    if chosen.metric is not None:  # shown and judged by the metric that differs the most
        found, judgement = chosen.measure, chosen.judgement
        one, other = (_of_metric(each, chosen.metric) for each in (a, b))
    point = None if found.first_difference is None else _point(found.first_difference, a, b, one, other)
    return Pair(
        difference=_difference(left, right, judgement, said, measure=found, ulp_dtype=coarse),
        exact=exact,
        untold=untold,
        other_state=_other(left.states, right.states),
        deterministic=_deterministic(a, b),
        first=point,
        metric=a.metric or b.metric,
        rule=a.rule,
    )


def _of_metric(series: Series, name: str) -> Reading:
    """Return another metric than the loss; those of cells are exact."""
    column = next(each for each in series.metrics if each.name == name)
    return Reading(dtype=column.dtype, values=arrays.decode(column.texts), told_apart=True)


def _as_printed(a: Series, b: Series, left: Values, right: Values, texts: Bools) -> tuple[Values, int]:
    """Return the left values, those that can be the right ones in all printed digits replaced, and how many are not.

    Of two texts of one precision none is replaced.
    """
    count = len(texts)
    same = printed.agree(a, b, count)
    doubtful = same & (texts | ~arrays.same_bits(left[:count], right[:count]))
    for place in np.flatnonzero(doubtful & texts):
        doubtful[place] = not printed.of_one_precision(a, b, int(place))
    changed = left.copy()
    changed[:count] = np.where(same, right[:count], left[:count])
    return changed, int(doubtful.sum())


def _as_written(
    a: Series, b: Series, rewritten: Bools, found: Measure, judgement: Judgement
) -> tuple[Measure, Judgement]:
    """Count two texts of one precision that are two numbers as a difference, though they are read as one value."""
    place = next((int(each) for each in np.flatnonzero(rewritten) if printed.of_one_precision(a, b, int(each))), None)
    if place is None:
        return found, judgement
    if found.first_difference is None or place + 1 < found.first_difference:
        found = replace(found, first_difference=place + 1)
    if judgement.verdict is not Verdict.IDENTICAL:
        return found, judgement
    reason = f"step {place + 1}: {printed.written(a, place)} against {printed.written(b, place)} are read as one value"
    return found, Judgement(verdict=Verdict.ROUNDING, reason=reason)


def _point(step: int, a: Series, b: Series, one: Reading, other: Reading) -> Point:
    at = step - 1
    counting = a if a.logged is not None else b
    label = steps.label(counting, at) if counting.logged is not None else None
    left, right = (
        Value(
            dtype=reading.dtype,
            number=float(reading.values[at]),
            written=printed.written(of, at),
            told=reading.told_apart or printed.written(of, at) is None,
        )
        for of, reading in ((a, one), (b, other))
    )
    told = label if label != f"step {step}" else None
    return Point(step=step, logged=counting.step(at), label=told, a=left, b=right)


def _pair(left: Side, right: Side, judgement: Judgement, said: list[str]) -> Pair:
    return Pair(
        difference=_difference(left, right, judgement, said),
        exact=True,
        untold=0,
        other_state=_other(left.states, right.states),
        deterministic=_deterministic(left.series, right.series),
        first=None,
        metric=left.series.metric or right.series.metric,
        rule=left.series.rule,
    )


def _difference(left: Side, right: Side, judgement: Judgement, said: list[str], **measured: Any) -> Difference:
    return Difference(
        a=left.name,
        b=right.name,
        verdict=judgement.verdict,
        reason=judgement.reason,
        judged_by=judgement.judged_by,
        ulp_dtype=measured.get("ulp_dtype"),
        measure=measured.get("measure"),
        same_state=_same(left.states, right.states),
        same_cpu_class=_same(left.cpu_classes, right.cpu_classes),
        caveats=tuple(said),
    )


def _same(a: frozenset[str | None], b: frozenset[str | None]) -> bool | None:
    """Whether all of both are the same (True), all differ (False), or neither, or unknown (None)."""
    if None in a | b:
        return None
    if len(a | b) == 1:
        return True
    return None if a & b else False


def _other(a: frozenset[str | None], b: frozenset[str | None]) -> bool:
    """Whether one of both is known to be another."""
    return any(one != other for one in a - {None} for other in b - {None})


def _deterministic(a: Series, b: Series) -> bool:
    return a.deterministic is not False and b.deterministic is not False


def _dtype(own: Series, other: Series, asked: str | None) -> str:
    """Return what a series is read in: its own dtype, the one asked for, or the other side's if it can be that."""
    if own.dtype or asked:
        return own.dtype or asked or ""
    if own.told:
        return own.told
    known = other.dtype or other.told
    return known if known and series.fits(own, known) else "float64"


def _allowance(a: Series, b: Series, allowed: Allowances, dtype: str, steps: int) -> Allowance | None:
    if a.workload and a.workload == b.workload:
        return allowed.of(a.workload, dtype, steps)
    return allowed.tolerances.get(dtype)
