"""IEEE 754 arithmetic of float64, float32, float16 and bfloat16 on arrays, each result rounded once, ties to even.

A value of any of these dtypes stands in a float64 array that holds it exactly; arguments broadcast as in NumPy.
Nothing here depends on the machine: no fused instruction, no wider register, no library function but + - * /.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from repromatrix import floats

Array = NDArray[np.float64]
Ints = NDArray[np.int64]
_SPLITTER = 2.0**27 + 1
# Between these no error term of a product or a sum in float64 under- or overflows.
_LEAST, _FACTOR, _TERM = 2.0**-960, 2.0**990, 2.0**1000
_NATIVE: dict[str, type[np.floating[Any]]] = {"float32": np.float32, "float16": np.float16}


def round_to(x: ArrayLike, dtype: str) -> Array:
    """Return each float64 value rounded once to the dtype."""
    values = np.asarray(x, np.float64)
    with np.errstate(all="ignore"):
        if dtype == "float64":
            return values
        if dtype != "bfloat16":
            return values.astype(_NATIVE[dtype]).astype(np.float64)
        form = floats.FORMS[dtype]
        unit = np.maximum(np.frexp(values)[1] - form.precision, form.least)
        rounded = np.ldexp(np.rint(np.ldexp(values, -unit)), unit)
        largest = floats.at(form.infinity - 1, dtype)
        rounded = np.where(np.abs(rounded) > largest, np.copysign(np.inf, rounded), rounded)
        return np.where(np.isfinite(values), rounded, values)


# float64 has more than twice the bits of the others and two more: rounding its result once more changes nothing.
def _twice(operation: Callable[..., Any], dtype: str, *values: ArrayLike) -> Array:
    with np.errstate(all="ignore"):
        return round_to(operation(*(np.asarray(each, np.float64) for each in values)), dtype)


def add(a: ArrayLike, b: ArrayLike, dtype: str) -> Array:
    """Return a + b."""
    return _twice(np.add, dtype, a, b)


def sub(a: ArrayLike, b: ArrayLike, dtype: str) -> Array:
    """Return a - b."""
    return _twice(np.subtract, dtype, a, b)


def mul(a: ArrayLike, b: ArrayLike, dtype: str) -> Array:
    """Return a b."""
    return _twice(np.multiply, dtype, a, b)


def div(a: ArrayLike, b: ArrayLike, dtype: str) -> Array:
    """Return a / b."""
    return _twice(np.divide, dtype, a, b)


def fma(a: ArrayLike, b: ArrayLike, c: ArrayLike, dtype: str) -> Array:
    """Return a b + c, rounded once."""
    x, y, z = np.broadcast_arrays(*(np.asarray(each, np.float64) for each in (a, b, c)))
    with np.errstate(all="ignore"):
        if dtype != "float64":
            return round_to(_sum_to_odd(x * y, z), dtype)  # the product of two shorter significands is exact
        product = x * y
        size = np.abs(product)
        plain = (size >= _LEAST) & (size <= _TERM) & (np.abs(z) <= _TERM)
        plain &= (np.abs(x) <= _FACTOR) & (np.abs(y) <= _FACTOR)
        # Nothing is rounded where a factor is zero, and nothing but c or NaN can come of an infinite c.
        direct = (x == 0) | (y == 0) | ~(np.isfinite(x) & np.isfinite(y))
        found = np.where(direct, product + z, _fma_of_plain(x, y, z))
        for index in map(tuple, np.argwhere(~(plain | direct))):
            found[index] = _exactly(float(x[index]), float(y[index]), float(z[index]))
        return found


@dataclass(frozen=True, slots=True)
class Unit:
    """The arithmetic of one dtype: what a kernel computes in, which may be wider than what it is given."""

    dtype: str

    def add(self, a: ArrayLike, b: ArrayLike) -> Array:
        """Return a + b."""
        return add(a, b, self.dtype)

    def sub(self, a: ArrayLike, b: ArrayLike) -> Array:
        """Return a - b."""
        return sub(a, b, self.dtype)

    def mul(self, a: ArrayLike, b: ArrayLike) -> Array:
        """Return a b."""
        return mul(a, b, self.dtype)

    def div(self, a: ArrayLike, b: ArrayLike) -> Array:
        """Return a / b."""
        return div(a, b, self.dtype)

    def fma(self, a: ArrayLike, b: ArrayLike, c: ArrayLike) -> Array:
        """Return a b + c, rounded once."""
        return fma(a, b, c, self.dtype)


def two_sum(a: Array, b: Array) -> tuple[Array, Array]:
    """Return the float64 sum and its error, exactly, where the sum does not overflow (Knuth)."""
    total = a + b
    rest = total - a
    return total, (a - (total - rest)) + (b - rest)


def two_product(a: Array, b: Array) -> tuple[Array, Array]:
    """Return the float64 product and its error, exactly, where neither under- nor overflows (Dekker)."""
    product = a * b
    (a_high, a_low), (b_high, b_low) = _split(a), _split(b)
    return product, ((a_high * b_high - product) + a_high * b_low + a_low * b_high) + a_low * b_low


def round_sum(high: ArrayLike, low: ArrayLike, dtype: str) -> Array:
    """Return the exact sum of two float64 values, rounded once to the dtype."""
    a, b = np.broadcast_arrays(np.asarray(high, np.float64), np.asarray(low, np.float64))
    with np.errstate(all="ignore"):
        return a + b if dtype == "float64" else round_to(_sum_to_odd(a, b), dtype)


def scale(a: ArrayLike, exponent: ArrayLike, dtype: str) -> Array:
    """Return a 2**exponent, rounded once."""
    return _twice(lambda x: np.ldexp(x, np.asarray(exponent, np.int64)), dtype, a)


def to_int(a: ArrayLike) -> Ints:
    """Return the integer nearest to each finite value, ties to even."""
    return np.rint(np.asarray(a, np.float64)).astype(np.int64)


def same(a: ArrayLike, b: ArrayLike) -> NDArray[np.bool_]:
    """Return where two values have the same bits; every NaN counts as the same, the two zeros do not."""
    x, y = np.asarray(a, np.float64), np.asarray(b, np.float64)
    return np.asarray(((x == y) & (np.signbit(x) == np.signbit(y))) | (np.isnan(x) & np.isnan(y)))


def _split(a: Array) -> tuple[Array, Array]:
    big = _SPLITTER * a
    high = big - (big - a)
    return high, a - high


def _sum_to_odd(a: Array, b: Array) -> Array:
    """Return the float64 sum rounded to odd: what it is then rounded to is as if it had been exact."""
    total, error = two_sum(a, b)
    even = (np.asarray(total).view(np.uint64) & np.uint64(1)) == 0
    moved = np.nextafter(total, np.copysign(np.inf, error))
    return np.where((error != 0) & np.isfinite(total) & even, moved, total)


def _fma_of_plain(a: Array, b: Array, c: Array) -> Array:
    """Return a b + c rounded once, where nothing under- or overflows (Boldo and Melquiond, 2008)."""
    product, low = two_product(a, b)
    middle, least = two_sum(c, low)
    high, rest = two_sum(product, middle)
    return high + _sum_to_odd(least, rest)


def _exactly(a: float, b: float, c: float) -> float:
    """Return a b + c, rounded once, for finite factors, neither of which is zero."""
    if not math.isfinite(c):
        return c
    exact = Fraction(a) * Fraction(b) + Fraction(c)
    try:
        return exact.numerator / exact.denominator  # of integers: correctly rounded, subnormals too
    except OverflowError:
        return math.inf if exact > 0 else -math.inf
