"""Exact numbers: hexadecimal text in; bits, ULP distances and correctly rounded digits out.

Every dtype here is exact in float64, so a Python float holds any of their values. Pure, no tolerance.
"""

import math
from collections.abc import Iterable
from decimal import Decimal
from fractions import Fraction

from repromatrix.floats import FORMS, ordinal


def decode(texts: Iterable[str]) -> tuple[float, ...]:
    """Return the exact values of C99 hexadecimal texts (`nan`, `inf`, `-inf` included)."""
    return tuple(map(float.fromhex, texts))


def same_bits(a: float, b: float) -> bool:
    """Whether both are one value: -0.0 is not 0.0, every NaN is the one NaN."""
    if a != b:
        return math.isnan(a) and math.isnan(b)
    return a != 0 or math.copysign(1, a) == math.copysign(1, b)


def ulps(a: float, b: float, dtype: str) -> int | None:
    """Return how many values of `dtype` lie between; None if one is not finite and the other differs."""
    if same_bits(a, b):
        return 0
    if not (math.isfinite(a) and math.isfinite(b)):
        return None
    return abs(ordinal(a, dtype) - ordinal(b, dtype))


def pattern(value: float, dtype: str) -> str:
    """Return the bits of a value of `dtype` as hexadecimal text, sign first; the one NaN is the quiet one."""
    form = FORMS[dtype]
    size = form.infinity | 1 << (form.precision - 2) if math.isnan(value) else abs(ordinal(value, dtype))
    width = form.exponent_bits + form.precision
    sign = not math.isnan(value) and math.copysign(1, value) < 0
    return f"0x{size | sign << (width - 1):0{width // 4}x}"


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
