"""Two lists of exact losses -> how far they are apart and where a statement holds of them, by decimals and texts."""

import math
from collections.abc import Callable
from decimal import ROUND_HALF_EVEN, Context, Decimal
from fractions import Fraction

from repromatrix.published.verdicts import Measured
from repromatrix.results.record import Record

_EXACT = Context(prec=2000, rounding=ROUND_HALF_EVEN)
Pair = tuple[str, str]
Holds = Callable[[str, str], bool]  # of two losses as exact texts


def measured(titles: Pair, records: tuple[Record, Record], holds: Holds, at: int | None, *, own: bool) -> Measured:
    """Hold a statement against two columns in two cells, at every common step, or at one (from 1)."""
    sides = list(zip(*map(losses, records), strict=False))
    looked = {step: pair for step, pair in enumerate(sides, start=1) if at in (None, step)}
    far = [apart(*pair) for pair in looked.values()]
    known = [each for each in far if each is not None]
    whole = bool(far) and len(known) == len(far)
    return Measured(
        a=titles[0],
        b=titles[1],
        cells=(records[0].cell.id, records[1].cell.id),
        own=own,
        steps=len(looked),
        holds=tuple(step for step, pair in looked.items() if holds(*pair)),
        least=_hex(min(known)) if whole else None,
        most=_hex(max(known)) if whole else None,
    )


def losses(record: Record) -> tuple[str, ...]:
    """Return the first repeat's losses."""
    return record.trajectories[0].losses


def same(a: str, b: str) -> bool:
    """Whether two exact texts are one value."""
    return a == b  # a value has one spelling


def lower(a: str, b: str) -> bool:
    """Whether the first is the lower one; no NaN is."""
    return float.fromhex(a) < float.fromhex(b)


def apart(a: str, b: str) -> Decimal | None:
    """Return |a - b|, every digit of it; None: one is no finite number and the other another value."""
    if a == b:
        return Decimal(0)
    one, other = (Decimal(float.fromhex(each)) for each in (a, b))
    return between(one, other) if one.is_finite() and other.is_finite() else None


def is_printed(value: Decimal, printed: str) -> bool:
    """Whether a difference is a printed one in every digit."""
    return Decimal(digits(value, printed)) == Decimal(printed)


def digits(value: Decimal, like: str) -> str:
    """Return a difference at the digits of a text; at three of its own where that is a zero."""
    shape = like if Decimal(like) else f"{float(value):.2e}"
    unit = Decimal((0, (1,), int(Decimal(shape).as_tuple().exponent)))
    found = value.quantize(unit, context=_EXACT)
    if "e" not in shape.lower():
        return f"{found:f}"
    return f"{found:e}" if found else "0"


def between(a: Decimal, b: Decimal) -> Decimal:
    """Return |a - b|, every digit of it."""
    return _EXACT.subtract(a, b).copy_abs()


def _hex(value: Decimal) -> str:
    try:
        return float(Fraction(value)).hex()
    except OverflowError:
        return math.inf.hex()
