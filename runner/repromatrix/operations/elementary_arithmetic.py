"""What the elementary functions are written in: an arithmetic with or without FMA, and exact tables."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal, localcontext
from functools import cache

import numpy as np
from numpy.typing import ArrayLike

from repromatrix import floats
from repromatrix.operations import soft
from repromatrix.operations.soft import Array, Unit

# Far more than any of these few numbers needs to be rounded rightly.
_DIGITS = 60


@dataclass(frozen=True, slots=True)
class Arithmetic(Unit):
    """The operations of one dtype, each rounded once, and what is made of them.

    Attributes:
        fused: whether a product that is added to something is rounded with the sum, as one FMA instruction does.
    """

    fused: bool = True

    def scale(self, a: ArrayLike, exponent: ArrayLike) -> Array:
        """Return a 2**exponent for whole exponents."""
        return soft.scale(a, np.asarray(exponent, np.int64), self.dtype)

    def muladd(self, a: ArrayLike, b: ArrayLike, c: ArrayLike) -> Array:
        """Return a b + c."""
        return self.fma(a, b, c) if self.fused else self.add(self.mul(a, b), c)

    def horner(self, x: ArrayLike, coefficients: Sequence[float], start: ArrayLike | None = None) -> Array:
        """Return a polynomial from its highest coefficient down, or `start` carried on by further coefficients."""
        first, rest = (coefficients[0], coefficients[1:]) if start is None else (start, coefficients)
        value = np.asarray(first, np.float64)
        for each in rest:
            value = self.muladd(value, x, each)
        return value


@dataclass(frozen=True, slots=True)
class Powers:
    """2**(k/n) for k from 0 to n - 1.

    Attributes:
        nearest: rounded to the dtype.
        relative: what is missing, relative to `nearest`, in the dtype: 2**(k/n) = nearest (1 + relative).
        leading: cut off to 47 significant bits, so that a little can be added without rounding.
        trailing: what is missing there: 2**(k/n) = leading + trailing, in the dtype.
    """

    nearest: Array
    relative: Array
    leading: Array
    trailing: Array


@cache
def powers(n: int, dtype: str) -> Powers:
    """Return the table of 2**(k/n)."""
    cut = Decimal(2) ** 46
    rows = []
    with localcontext() as context:
        context.prec = _DIGITS
        for k in range(n):
            power = Decimal(2) ** (Decimal(k) / n)
            near = floats.nearest(str(power), dtype)
            lead = Decimal(int(power * cut)) / cut
            missing = (power / Decimal(near) - 1, power - lead)
            relative, trailing = (floats.nearest(str(each), dtype) for each in missing)
            rows.append((near, relative, float(lead), trailing))
    return Powers(*(np.array(column) for column in zip(*rows, strict=True)))


def single(text: str) -> float:
    """Return the float32 nearest to a decimal text: a constant as sources write it."""
    return floats.nearest(text, "float32")


def singles(texts: str) -> tuple[float, ...]:
    """Return the float32 constants of decimal texts with blanks between them."""
    return tuple(single(each) for each in texts.split())


def hexadecimal(text: str) -> tuple[float, ...]:
    """Return constants given as C99 hexadecimal text with blanks between them."""
    return tuple(float.fromhex(each) for each in text.split())


def floor_product(x: Array, factor: float, bits: int) -> Array:
    """Return the exact x times factor, cut off towards minus infinity to `bits` places after the point."""
    product, rest = soft.two_product(np.asarray(x, np.float64) * 2.0**bits, np.full_like(x, factor))
    whole = np.floor(product)
    return np.where((whole == product) & (rest < 0), whole - 1, whole) / 2.0**bits
