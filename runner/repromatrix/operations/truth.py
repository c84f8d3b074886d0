"""What is exactly true of an operation: enclosures by ball arithmetic (Arb), correct rounding, distances.

The inputs are taken as they are: exact numbers. `sigmoid_gradient` is e a (1 - a) of the given `a`.
"""

import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import flint
import numpy as np
from numpy.typing import ArrayLike

from repromatrix import floats
from repromatrix.operations.catalogue import CATALOGUE, Constants, Sample, Tensor
from repromatrix.operations.soft import Array

# Bits to work with, doubled until an enclosure decides: the longest sum of exact products of float64 needs less than
# the last, and what is not rational comes no nearer to the middle of two values.
_FIRST, _LAST = 128, 1 << 15
_ACCURATE = 53  # bits of a distance
_DecidedT = TypeVar("_DecidedT")


def correct(operation: str, sample: Sample, dtype: str, constants: Constants) -> tuple[float, ...]:
    """Return the correctly rounded outputs of an operation, laid flat row by row; ties to even.

    Raises:
        ValueError: an input that is infinite or NaN has no true result.
    """
    return _decide(operation, sample, constants, lambda _, ball: _rounded(ball, dtype))


def ulps(
    operation: str, sample: Sample, values: Sequence[float], dtype: str, constants: Constants
) -> tuple[float, ...]:
    """Return how far each value is from the true one, in units in the last place of the dtype at the rounded truth.

    Infinite for an infinite value, NaN for NaN. The distances themselves are right to 15 digits.

    Raises:
        ValueError: an input that is infinite or NaN has no true result.
    """
    units = [_unit(each, dtype) for each in correct(operation, sample, dtype, constants)]

    def distance(index: int, ball: flint.arb) -> float | None:
        if not math.isfinite(values[index]):
            return abs(values[index])
        off = abs(flint.arb(values[index]) - ball) / flint.arb(units[index])
        return float(off) if off.rel_accuracy_bits() >= _ACCURATE or off == 0 else None

    return _decide(operation, sample, constants, distance)


@dataclass(frozen=True, slots=True)
class Truths:
    """The true results of many calls of one shape, a row a call; made once, many environments can be held against it.

    Attributes:
        correct: the true results correctly rounded.
        beyond: how far the true result lies above that (above 0 where that is infinite), to 53 bits.
        unit: that in the last place of the dtype, as in `ulps`.
    """

    correct: Array
    beyond: Array
    unit: Array

    def distances(self, values: ArrayLike) -> Array:
        """Return how far values are from the true ones, in units in the last place, as `ulps` does, to 14 digits."""
        with np.errstate(invalid="ignore"):
            off = np.abs((np.asarray(values, np.float64) - self.correct) - self.beyond) / self.unit
            # Past the largest value `beyond` is all of the true result.
            return np.where(
                np.isinf(self.correct), np.abs(np.asarray(values, np.float64) - self.beyond) / self.unit, off
            )

    def measured(self, values: ArrayLike) -> tuple[int, float]:
        """Return how many values are the correctly rounded ones, and the largest distance; NaN is infinitely far."""
        off = self.distances(values)
        right = int(np.count_nonzero(np.asarray(values, np.float64) == self.correct))
        return right, float(np.max(np.where(np.isnan(off), np.inf, off), initial=0.0))


def truths(operation: str, samples: Sequence[Sample], dtype: str, constants: Constants) -> Truths:
    """Return the true results of calls of one shape.

    Raises:
        ValueError: an input that is infinite or NaN has no true result.
    """

    def decided(_: int, ball: flint.arb) -> tuple[float, float, float] | None:
        value = _rounded(ball, dtype)
        if value is None:
            return None
        off = ball - flint.arb(value if math.isfinite(value) else 0.0)
        sure = off.rel_accuracy_bits() >= _ACCURATE or off == 0
        return (value, float(off), _unit(value, dtype)) if sure else None

    found = np.array([_decide(operation, each, constants, decided) for each in samples], np.float64)
    return Truths(*np.moveaxis(found, -1, 0))


def sigmoid(z: float, dtype: str) -> float:
    """Return the correctly rounded sigmoid of a finite number."""
    return correct("sigmoid", {"z": [z]}, dtype, Constants())[0]


def off_middle(z: float, dtype: str) -> float:
    """Return how far the sigmoid of a number is from the middle of two neighbours, in units in the last place."""
    return abs(0.5 - ulps("sigmoid", {"z": [z]}, [sigmoid(z, dtype)], dtype, Constants())[0])


def _decide(
    operation: str, sample: Sample, constants: Constants, of: Callable[[int, flint.arb], _DecidedT | None]
) -> tuple[_DecidedT, ...]:
    """Return `of` each output's enclosure, which gets ever narrower until `of` is the same for all that it encloses."""
    bits = _FIRST
    while bits <= _LAST:
        with flint.ctx.workprec(bits):
            balls = CATALOGUE[operation].exact(_exact(sample, CATALOGUE[operation].whole), constants)
            found = [of(index, ball) for index, ball in enumerate(balls)]
        if None not in found:
            return tuple(each for each in found if each is not None)
        bits *= 2
    raise ArithmeticError(f"{operation}: {_LAST} bits do not decide how the result is rounded")


def _exact(sample: Sample, whole: Collection[str]) -> dict[str, Any]:
    return {name: _numbers(tensor, int if name in whole else flint.arb) for name, tensor in sample.items()}


def _numbers(tensor: Tensor, made: Callable[[float], Any]) -> Any:
    if isinstance(tensor, list):
        return [_numbers(each, made) for each in tensor]
    if not math.isfinite(tensor):
        raise ValueError("an input that is not finite has no true result")
    return made(tensor)


def _ends(ball: flint.arb) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return the ends of an enclosure, each as (m, e): m 2**e."""
    low, high = ((int(each) for each in end.man_exp()) for end in (ball.lower(), ball.upper()))
    return (next(low), next(low)), (next(high), next(high))


def _rounded(ball: flint.arb, dtype: str) -> float | None:
    if not ball.is_finite():
        return None
    low, high = (_nearest(*end, dtype) for end in _ends(ball))
    return low if low == high else None


def _unit(value: float, dtype: str) -> float:
    """Return the distance from a correctly rounded result to the next larger value, as if there were no largest."""
    infinity = floats.FORMS[dtype].infinity
    place = min(abs(floats.ordinal(value, dtype)), infinity - 2)
    return floats.at(place + 1, dtype) - floats.at(place, dtype)


def _nearest(significand: int, exponent: int, dtype: str) -> float:
    """Return the value of the dtype nearest to significand 2**exponent."""
    form, size = floats.FORMS[dtype], abs(significand)
    if not size:
        return 0.0
    unit = max(exponent + size.bit_length() - form.precision, form.least)
    shift = unit - exponent
    if shift <= 0:
        rounded = size << -shift
    elif shift > size.bit_length() + 1:
        rounded = 0
    else:
        rounded, rest = size >> shift, size & ((1 << shift) - 1)
        half = 1 << (shift - 1)
        rounded += rest > half or (rest == half and rounded & 1)
    place = min(rounded + ((unit - form.least) << (form.precision - 1)), form.infinity)
    return floats.at(place if significand >= 0 else -place, dtype)
