"""Printed figures: which two can be one number, which differ as they are written, and where digits do not tell."""

from decimal import Decimal
from fractions import Fraction

import numpy as np

from repromatrix.compare import arrays, series
from repromatrix.compare.arrays import Bools, Values
from repromatrix.compare.interval import Interval
from repromatrix.compare.series import Series


def agree(a: Series, b: Series, steps: int) -> Bools:
    """Tell step by step whether one number can be what both sides show; zeros of two signs are two figures."""
    left, right = _values(a)[:steps], _values(b)[:steps]
    halves = series.half_units(a)[:steps] + series.half_units(b)[:steps]
    with np.errstate(invalid="ignore", over="ignore"):
        gap = np.abs(left - right) - halves
        doubt = np.abs(gap) <= 2.0**-49 * (np.abs(left) + np.abs(right) + halves)  # float64 cannot tell here
    finite = np.isfinite(left) & np.isfinite(right)
    same: Bools = np.where(finite, gap < 0, arrays.same_bits(left, right))
    for place in np.flatnonzero(doubt & finite):
        same[place] = _meet(a, b, int(place))
    signs = (left == 0) & (right == 0) & (np.signbit(left) != np.signbit(right))
    found: Bools = same & ~signs
    return found


def rewritten(a: Series, b: Series, steps: int) -> Bools:
    """Tell step by step whether two texts are two numbers, whatever they are read as; never of an exact side."""
    found: Bools = np.zeros(steps, dtype=np.bool_)
    if a.joined is None or b.joined is None or a.joined == b.joined:
        return found
    left, right = a.texts or (), b.texts or ()
    other = np.fromiter((one != two for one, two in zip(left, right, strict=False)), dtype=np.bool_, count=steps)
    other &= series.shown(a).decimal[:steps] & series.shown(b).decimal[:steps]
    found = other & ~arrays.same_bits(_values(a)[:steps], _values(b)[:steps])
    for place in np.flatnonzero(other & ~found):  # one float64 is nearest to both
        found[place] = Decimal(left[place]) != Decimal(right[place])
    return found


def of_one_precision(a: Series, b: Series, place: int) -> bool:
    """Whether two texts show their digits to the same place."""
    if a.joined is None or b.joined is None:
        return False
    return bool(series.shown(a).last_place[place] == series.shown(b).last_place[place])


def written(of: Series, place: int) -> str | None:
    """Return the number as its source has it in decimal digits, else None."""
    texts = of.texts
    return None if texts is None or "x" in texts[place] else texts[place]


def _meet(a: Series, b: Series, place: int) -> bool:
    one, other = _interval(a, place), _interval(b, place)
    if one.high == other.low or one.low == other.high:
        # Two figures of one place that touch are two figures; an exact number half way may be rounded to either.
        return one.low == one.high or other.low == other.high
    return one.meets(other)


def _interval(of: Series, place: int) -> Interval:
    text = written(of, place)
    if text is None:
        value = Fraction(float(_values(of)[place]))
        return Interval(low=value, high=value)
    return Interval.printed(text)


def _values(of: Series) -> Values:
    return arrays.values(()) if of.values is None else of.values
