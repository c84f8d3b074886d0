"""Inputs that no run has met: samples of an operation from a seeded generator, the same on every machine.

Half of the calls have numbers as training meets them (weights, outputs and targets below 1, errors and gradients below
1/4, of either sign where training has both); the other half have exponents spread evenly over a wider range. Some are
chosen to tell forms apart: equal outputs and targets (the sign of zero), nearly equal ones (a loss that is subnormal in
float16), and in the short dtypes results that lie close to the middle of two values, since a form that computes in
float32 differs from another one there only. But for an `a` that has
underflown no input is zero or subnormal, and in float32 and wider no product of two
is subnormal: what a kernel does with those is not asked here.
"""

import math
import random
from functools import cache

import numpy as np

from repromatrix import floats
from repromatrix.operations import catalogue, soft, truth
from repromatrix.operations.catalogue import CATALOGUE, Constants, Sample

CALLS = 1024
# Of what is no matrix, and terms of every sum: of three, no known form gives the bits of NumPy's and PyTorch's products
# in float64.
UNITS = 2
SHORT = ("float16", "bfloat16")
# Exponents. Small numbers are rarer in training, as in an even spread.
_EVEN = (-1,) * 8 + (-2,) * 4 + (-3,) * 2 + (-4, -5)
_SMALL = tuple(exponent - 2 for exponent in _EVEN)
_WIDE = tuple(range(-10, 4))
_WIDE_Z = tuple(range(-10, 5))  # up to 32, past the point where float32 gives 1
_EQUAL, _NEAR = 16, 8  # one call in so many
_NEAR_BITS = 5


@cache
def samples(operation: str, dtype: str, seed: int = 0) -> tuple[Sample, ...]:
    """Return calls of an operation that together give at least 2048 values: 1024 calls, or 2048 of one that gives one.

    Vectors have two numbers, matrices are three by two or two by three. The `z` of `sigmoid_gradient` are those of
    `sigmoid` of the same seed, call by call, and its `a` are the correctly rounded sigmoids of them.

    Raises:
        KeyError: no such operation.
    """
    row, draw = CATALOGUE[operation], _Draw(operation, dtype, seed)
    return tuple(row.drawn(draw.call(index)) for index in range(CALLS * UNITS // row.values))


@cache
def _hard(dtype: str) -> list[list[float]]:
    """Return those numbers, for every other call, whose sigmoid lies closest to the middle of two values."""
    form, count = floats.FORMS[dtype], CALLS // 2 * UNITS
    significands = np.arange(1 << (form.precision - 1), 1 << form.precision, dtype=np.float64)
    sizes = np.concatenate([np.ldexp(significands, exponent + 1 - form.precision) for exponent in _WIDE_Z])
    every = np.concatenate([sizes, -sizes])
    # In float64 it is only nearly so: the exact order among twice as many is the same on every machine.
    about = 1 / (1 + np.exp(-every))
    rounded = soft.round_to(about, dtype)
    unit = np.ldexp(1.0, np.maximum(np.frexp(rounded)[1] - form.precision, form.least))
    near = every[np.argsort(np.abs(0.5 - np.abs(about - rounded) / unit), kind="stable")[: 2 * count]].tolist()
    chosen = sorted(near, key=lambda z: (truth.off_middle(z, dtype), z))[:count]
    return [chosen[start : start + UNITS] for start in range(0, count, UNITS)]


def _closest(e: float, factor: float, dtype: str) -> float:
    """Return the error of that sign and exponent whose product with `factor` lies closest to the middle of two values.

    float64 is near enough to exact here to choose by, and the same on every machine.
    """
    if not factor:
        return e
    below = floats.FORMS[dtype].precision - 1
    exponent = math.frexp(e)[1] - 1 - below
    errors = np.ldexp(np.arange(1 << below, 2 << below, dtype=np.float64), exponent)
    exact = errors * factor
    down, up = (soft.round_to(exact * (1 + side * 2.0 ** -(below + 3)), dtype) for side in (-1, 1))
    off = np.abs(exact - (down + up) / 2)
    off[(down == up) | (off == 0)] = np.inf  # no middle near by; a tie is one in every arithmetic that is exact
    return math.copysign(float(errors[int(np.argmin(off / np.abs(exact)))]), e)


class _Draw:
    """Draws numbers of a dtype: an exponent of those given, every significand as likely as any other."""

    def __init__(self, operation: str, dtype: str, seed: int) -> None:
        # No secret is made; seeded by text it never changes.
        self.random = random.Random(f"{seed}/{operation}/{dtype}")  # noqa: S311
        self.dtype, self.seed, self.index = dtype, seed, 0
        self.below = floats.FORMS[dtype].precision - 1

    def call(self, index: int) -> "_Draw":
        """Go on to a call; every other one has a wider range."""
        self.index = index
        return self

    @property
    def wide(self) -> bool:
        return self.index % 2 == 1

    def vector(self, count: int = UNITS, *, small: bool = False) -> list[float]:
        return self._signed(_WIDE if self.wide else _SMALL if small else _EVEN, count)

    def positive(self, count: int = UNITS) -> list[float]:
        return [self._size(_WIDE if self.wide else _EVEN) for _ in range(count)]

    def into(self, count: int = UNITS) -> list[float]:
        return self.vector(count) if self.wide else self.positive(count)

    def matrix(self, shape: tuple[int, int], *, small: bool = False) -> list[list[float]]:
        rows, columns = shape
        return [self.vector(columns, small=small) for _ in range(rows)]

    def sums(self) -> list[float]:
        drawn = self._signed(_WIDE_Z if self.wide else _EVEN, UNITS)
        return _hard(self.dtype)[self.index // 2] if self._hard else drawn

    def outputs_and_targets(self) -> Sample:
        o, t = self.positive(), self.positive()
        if self.index % _EQUAL == 1:
            return {"o": o, "t": [*o[:-1], *t[-1:]]}
        return {"o": o, "t": [self._near(each) for each in o] if self.index % _NEAR == 0 else t}

    def activated(self) -> Sample:
        z = catalogue.flat(samples("sigmoid", self.dtype, self.seed)[self.index]["z"])
        a, e = [truth.sigmoid(each, self.dtype) for each in z], self._signed(_SMALL, UNITS)
        if self._hard:
            e = [_closest(error, each * (1 - each), self.dtype) for error, each in zip(e, a, strict=True)]
        return {"z": z, "a": a, "e": e}

    def labels(self, count: int, below: int) -> list[float]:
        return [float(self.random.getrandbits(16) % below) for _ in range(count)]

    def tanh_activated(self, count: int) -> Sample:
        z = self.vector(count)
        a = truth.correct("tanh", {"z": z}, self.dtype, Constants())
        return {"z": z, "a": list(a), "e": self._signed(_SMALL, count)}

    @property
    def _hard(self) -> bool:
        """Whether to take numbers whose result lies close to the middle of two values."""
        return self.wide and self.dtype in SHORT

    def _size(self, exponents: tuple[int, ...]) -> float:
        exponent = exponents[self.random.getrandbits(16) % len(exponents)]
        return math.ldexp((1 << self.below) | self.random.getrandbits(self.below), exponent - self.below)

    def _signed(self, exponents: tuple[int, ...], count: int) -> list[float]:
        sizes = ((self._size(exponents), self.random.getrandbits(1)) for _ in range(count))
        return [-size if negative else size for size, negative in sizes]

    def _near(self, value: float) -> float:
        """Return one of the next 32 larger values."""
        return floats.at(floats.ordinal(value, self.dtype) + 1 + self.random.getrandbits(_NEAR_BITS), self.dtype)
