"""Exact floats at the digits of a printed figure, by decimal arithmetic."""

import math
from decimal import ROUND_HALF_EVEN, Context, Decimal

# Wide enough that no value of any dtype is rounded before it is meant to be.
_EXACT = Context(prec=2000, rounding=ROUND_HALF_EVEN)


def at_printed_digits(value: float, like: str) -> str:
    """Return the exact value of a float rounded to the last place of a decimal text, ties to even, in its notation."""
    if not math.isfinite(value):
        return str(value)
    found = Decimal(value).quantize(Decimal((0, (1,), int(Decimal(like).as_tuple().exponent))), context=_EXACT)
    if "e" not in like.lower():
        return f"{found:f}"
    return f"{found:e}" if found else "0"


def agrees(value: float, text: str) -> bool:
    """Whether a float is a printed figure in every digit."""
    return math.isfinite(value) and Decimal(at_printed_digits(value, text)) == Decimal(text)
