"""The exact result of an operation, as pairs of float64 whose sum has twice their digits. No framework computes it.

Arb (python-flint) encloses every result; a truth is kept once its enclosure is narrower than 1 in 2**90. Elements
without an exact result (an infinite argument without a limit, say) are said to have none.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeAlias, TypeVar

import flint
import numpy as np

from repromatrix.operations.exact_result import Argument, Exact

MadeT = TypeVar("MadeT")
FIRST, LAST = 128, 4096  # bits that Arb works with: more where an enclosure is too wide, and no more than that
_ENOUGH = 90  # bits to which an exact result is known
_NOTHING = 2.0**-_ENOUGH
_LEAST, _MOST = flint.arb(2) ** -1076, flint.arb(2) ** 1024


class TooWideError(ArithmeticError):
    """An enclosure that is too wide to tell the result; more bits may narrow it."""


def narrow(compute: Callable[[], MadeT]) -> MadeT:
    """Return what a computation gives with as many bits as it needs.

    Raises:
        TooWideError: the last number of bits does not suffice.
    """
    bits = FIRST
    while True:
        try:
            with flint.ctx.workprec(bits):
                return compute()
        except TooWideError:
            bits *= 4
            if bits > LAST:
                raise


def split(ball: flint.arb) -> tuple[float, float]:
    """Return an enclosure's middle as a pair.

    Raises:
        TooWideError: the enclosure is too wide.
    """
    if not ball.is_finite():
        raise TooWideError("not finite")
    middle = ball.mid()
    if not ball.is_exact() and ball.rel_accuracy_bits() < _ENOUGH and not (middle == 0 and ball.rad() < _LEAST):
        raise TooWideError(f"{ball.rel_accuracy_bits()} bits")
    if not _LEAST < abs(middle) < _MOST:  # beyond float64, where a conversion may give anything
        return (0.0 if abs(middle) < 1 else math.copysign(math.inf, 1 if middle > 0 else -1)), 0.0
    high = float(middle)
    return high, float((ball - high).mid())


def of_balls(
    balls: Iterable[flint.arb], *, terms: int = 0, sizes: Sequence[float] | None = None, scale: float = 0.0
) -> Exact:
    """Return the exact result that enclosures give.

    What is zero because its terms cancel is enclosed and never known to be zero: beside terms so large it has no exact
    result of its own.

    Args:
        balls: the enclosures.
        terms: as in `Exact`.
        sizes: as in `Exact`.
        scale: how large the terms are, where no `sizes` tell it.

    Raises:
        TooWideError: one is too wide.
    """
    balls = list(balls)
    scales = [scale] * len(balls) if sizes is None else sizes
    nothing = [_is_nothing(ball, size) for ball, size in zip(balls, scales, strict=True)]
    pairs = [(0.0, 0.0) if nil else split(ball) for ball, nil in zip(balls, nothing, strict=True)]
    high, low = (np.array(each, np.float64) for each in (zip(*pairs, strict=True) if pairs else ((), ())))
    told = None if sizes is None else np.array(sizes, np.float64)
    return Exact(high=high, low=low, known=~np.array(nothing, bool), terms=terms, sizes=told)


def _is_nothing(ball: flint.arb, scale: float) -> bool:
    """Whether an enclosure of zero is too narrow to be anything else beside terms of that size."""
    return bool(scale and not ball.is_exact() and ball.contains(0) and ball.rad() < scale * _NOTHING)


def of_complex(balls: Iterable[flint.acb], *, terms: int = 0, sizes: Sequence[float] | None = None) -> Exact:
    """Return the exact result of complex numbers; `sizes` has one number for each of them.

    Raises:
        TooWideError: one is too wide.
    """
    parts = [part for each in balls for part in (each.real, each.imag)]
    doubled = None if sizes is None else [size for size in sizes for _ in range(2)]
    return of_balls(parts, terms=terms, sizes=doubled)


def of_numbers(numbers: Iterable[float]) -> Exact:
    """Return the exact result of what needs no rounding, such as a place or a largest element: any other is wrong."""
    high = np.array(list(numbers), np.float64)
    none = np.zeros_like(high)
    return Exact(high=high, low=none, known=np.ones(len(high), bool), sizes=none)


# A truth: arguments and options -> the exact result of each output by the end of its name, "" for the only one.
Truth: TypeAlias = Callable[[Sequence[Argument], Mapping[str, object]], Mapping[str, Exact]]
