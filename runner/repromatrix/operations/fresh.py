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
from collections.abc import Callable
from functools import cache

import numpy as np

from repromatrix import floats
from repromatrix.operations import soft, truth
from repromatrix.operations.catalogue import Sample

CALLS = 1024
UNITS = 2  # of what is no matrix, and terms of every sum
# Rows and columns, unequal, so that a matrix that is taken for its transpose cannot pass. Sums keep two terms, as in
# the worked example: of three, no known form gives the bits of NumPy's and PyTorch's products in float64.
SHAPES = {"product": (3, UNITS), "outer": (3, UNITS), "back": (UNITS, 3), "update": (3, UNITS)}
SHORT = ("float16", "bfloat16")
# Exponents. Small numbers are rarer in training, as in an even spread.
_EVEN = (-1,) * 8 + (-2,) * 4 + (-3,) * 2 + (-4, -5)
_SMALL = tuple(exponent - 2 for exponent in _EVEN)
_WIDE = tuple(range(-10, 4))
_WIDE_Z = tuple(range(-10, 5))  # up to 32, past the point where float32 gives 1
_EQUAL, _NEAR = 16, 8  # one call in so many
_NEAR_BITS = 5


@cache
def samples(primitive: str, dtype: str, seed: int = 0) -> tuple[Sample, ...]:
    """Return calls of a primitive that together give at least 2048 values: 1024 calls, or 2048 of `loss`.

    Vectors have two numbers, matrices the rows and columns of `SHAPES`. The `z` of `sigmoid_gradient` are those of
    `sigmoid` of the same seed, call by call, and its `a` are the correctly rounded sigmoids of them.

    Raises:
        KeyError: no such primitive.
    """
    draw = _Draw(f"{seed}/{primitive}/{dtype}", dtype)
    if primitive == "sigmoid_gradient":
        return tuple(
            _gradient(each, draw, dtype, hard=dtype in SHORT and index % 2 == 1)
            for index, each in enumerate(samples("sigmoid", dtype, seed))
        )
    count = CALLS * UNITS if primitive == "loss" else CALLS
    found = tuple(_sample(primitive, draw, index) for index in range(count))
    if primitive != "sigmoid" or dtype not in SHORT:
        return found
    hard = _hard(dtype)
    return tuple({"z": hard[index // 2]} if index % 2 else each for index, each in enumerate(found))


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


def _gradient(sample: Sample, draw: "_Draw", dtype: str, *, hard: bool) -> Sample:
    z = [each for each in sample["z"] if isinstance(each, float)]
    a, e = [truth.sigmoid(each, dtype) for each in z], draw.vector(_SMALL)
    if hard:
        e = [_closest(error, each * (1 - each), dtype) for error, each in zip(e, a, strict=True)]
    return {"z": z, "a": a, "e": e}


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

    def __init__(self, seed: str, dtype: str) -> None:
        self.random = random.Random(seed)  # noqa: S311  (no secret is made; seeded by text it never changes)
        self.dtype = dtype
        self.below = floats.FORMS[dtype].precision - 1

    def positive(self, exponents: tuple[int, ...]) -> float:
        exponent = exponents[self.random.getrandbits(16) % len(exponents)]
        return math.ldexp((1 << self.below) | self.random.getrandbits(self.below), exponent - self.below)

    def signed(self, exponents: tuple[int, ...]) -> float:
        size = self.positive(exponents)
        return -size if self.random.getrandbits(1) else size

    def near(self, value: float) -> float:
        """Return one of the next 32 larger values."""
        return floats.at(floats.ordinal(value, self.dtype) + 1 + self.random.getrandbits(_NEAR_BITS), self.dtype)

    def outputs(self, exponents: tuple[int, ...], count: int = UNITS) -> list[float]:
        return [self.positive(exponents) for _ in range(count)]

    def vector(self, exponents: tuple[int, ...], count: int = UNITS) -> list[float]:
        return [self.signed(exponents) for _ in range(count)]

    def matrix(self, exponents: tuple[int, ...], rows: int, columns: int) -> list[list[float]]:
        return [self.vector(exponents, columns) for _ in range(rows)]


def _sample(primitive: str, draw: _Draw, index: int) -> Sample:
    wide = index % 2 == 1
    usual, small = (_WIDE, _WIDE) if wide else (_EVEN, _SMALL)
    if primitive in {"loss", "error"}:
        return _outputs(draw, usual, index)
    rows, columns = SHAPES.get(primitive, (UNITS, UNITS))

    def into() -> list[float]:
        return draw.vector(usual, columns) if wide else draw.outputs(usual, columns)

    makers: dict[str, Callable[[], Sample]] = {
        "product": lambda: {"W": draw.matrix(usual, rows, columns), "v": into()},
        "bias": lambda: {"p": draw.vector(usual), "b": draw.vector(usual)},
        "sigmoid": lambda: {"z": draw.vector(_WIDE_Z if wide else _EVEN)},
        "outer": lambda: {"d": draw.vector(small, rows), "v": draw.outputs(usual, columns)},
        "back": lambda: {"W": draw.matrix(usual, rows, columns), "d": draw.vector(small, rows)},
        "update": lambda: {"W": draw.matrix(usual, rows, columns), "g": draw.matrix(small, rows, columns)},
    }
    return makers[primitive]()


def _outputs(draw: _Draw, usual: tuple[int, ...], index: int) -> Sample:
    o, t = draw.outputs(usual), draw.outputs(usual)
    if index % _EQUAL == 1:
        return {"o": o, "t": [*o[:-1], *t[-1:]]}
    return {"o": o, "t": [draw.near(each) for each in o] if index % _NEAR == 0 else t}
