"""Exact numbers: hexadecimal text in; bits, ULP distances and correctly rounded digits out.

Every dtype here is exact in float64, so a Python float holds any of their values. Pure, no tolerance.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """A binary floating-point format (IEEE 754-2019, table 3.5; bfloat16 is the upper half of binary32).

    Attributes:
        precision: significant bits, the hidden one included.
        exponent_bits: width of the exponent field.
        digits: significant decimal digits that tell any two of its values apart.
    """

    precision: int
    exponent_bits: int
    digits: int

    @property
    def least(self) -> int:
        """The exponent of the smallest subnormal: it is 2**least."""
        return 3 - (1 << (self.exponent_bits - 1)) - self.precision

    @property
    def infinity(self) -> int:
        """The place of infinity among the ordered bit patterns."""
        return ((1 << self.exponent_bits) - 1) << (self.precision - 1)


FORMS = {
    "float64": Form(precision=53, exponent_bits=11, digits=17),
    "float32": Form(precision=24, exponent_bits=8, digits=9),
    "float16": Form(precision=11, exponent_bits=5, digits=5),
    "bfloat16": Form(precision=8, exponent_bits=8, digits=4),
}


def decode(texts: Iterable[str]) -> tuple[float, ...]:
    """Return the exact values of C99 hexadecimal texts (`nan`, `inf`, `-inf` included)."""
    return tuple(map(float.fromhex, texts))


def same_bits(a: float, b: float) -> bool:
    """Whether both are one value: -0.0 is not 0.0, every NaN is the one NaN."""
    if a != b:
        return math.isnan(a) and math.isnan(b)
    return a != 0 or math.copysign(1, a) == math.copysign(1, b)


def first_difference(a: Sequence[float], b: Sequence[float]) -> int | None:
    """Return the first step, from 1, at which the bits differ over the common steps, or None."""
    for step, (left, right) in enumerate(zip(a, b, strict=False), start=1):
        if not same_bits(left, right):
            return step
    return None


def coarser(a: str, b: str) -> str:
    """Return the dtype with fewer significant bits; ULPs across dtypes are counted in it."""
    return min(a, b, key=lambda name: FORMS[name].precision)


def ordinal(value: float, dtype: str) -> int:
    """Return the place of `value` among the values of `dtype`, negative below zero; both zeros are 0.

    Neighbours differ by one, through the subnormals and up to infinity. A value that the dtype lacks is
    first rounded to it, ties to even.

    Raises:
        ValueError: NaN has no place.
    """
    if math.isnan(value):
        raise ValueError("NaN has no place among the ordered values")
    form = FORMS[dtype]
    if value == 0:
        return 0
    if math.isinf(value):
        place = form.infinity
    else:
        unit = max(math.frexp(value)[1] - form.precision, form.least)
        # ldexp is exact here: the result has no more bits than `value`, and round() ties to even.
        significand = round(math.ldexp(abs(value), -unit))
        place = min(significand + ((unit - form.least) << (form.precision - 1)), form.infinity)
    return place if value > 0 else -place


def ulps(a: float, b: float, dtype: str) -> int | None:
    """Return how many values of `dtype` lie between; None if one is not finite and the other differs."""
    if same_bits(a, b):
        return 0
    if not (math.isfinite(a) and math.isfinite(b)):
        return None
    return abs(ordinal(a, dtype) - ordinal(b, dtype))


def rounded(value: Fraction, like: str) -> str:
    """Return a number rounded to the last place of the decimal `like`, in its notation, ties to even."""
    unit = Decimal((0, (1,), int(Decimal(like).as_tuple().exponent)))
    count = round(value / Fraction(unit))  # exact, ties to even
    if "e" not in like.lower():
        return f"{count * unit:f}"
    return f"{count * unit:e}" if count else "0"


def printed_like(value: float, like: str) -> str:
    """Return the exact binary value rounded to the last place of the decimal `like`, ties to even."""
    if not math.isfinite(value):
        return str(value)
    if "e" in like.lower():
        return rounded(Fraction(value), like)
    # The same, faster: CPython's format rounds the exact binary value correctly (Python/dtoa.c).
    return f"{value:.{len(like.partition('.')[2])}f}"


def agrees(value: float, text: str) -> bool:
    """Whether `value` is `text` in every digit that `text` shows."""
    return math.isfinite(value) and Decimal(printed_like(value, text)) == Decimal(text)
