"""Rounding of exact fractions by search among the values of a dtype: shares nothing with the code under test."""

import math
from fractions import Fraction

from repromatrix import floats


def rounded(exact: Fraction, dtype: str) -> float:
    """The value of the dtype nearest to a fraction, ties to even; zero has no sign."""
    infinity = floats.FORMS[dtype].infinity
    top, below_top = (Fraction(floats.at(infinity - step, dtype)) for step in (1, 2))
    if abs(exact) >= top + (top - below_top) / 2:
        return math.inf if exact > 0 else -math.inf
    low, high = 1 - infinity, infinity
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if Fraction(floats.at(middle, dtype)) <= exact else (low, middle)
    below, above = floats.at(low, dtype), floats.at(min(high, infinity - 1), dtype)
    gaps = exact - Fraction(below), Fraction(above) - exact
    if gaps[0] != gaps[1]:
        return below if gaps[0] < gaps[1] else above
    return below if low % 2 == 0 else above
