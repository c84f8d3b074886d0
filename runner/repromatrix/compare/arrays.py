"""Whole trajectories and tensors at once: bits, ULP distances, maxima. Arrays of float64, exact in every dtype here."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from repromatrix.floats import FORMS

Values: TypeAlias = npt.NDArray[np.float64]
Bools: TypeAlias = npt.NDArray[np.bool_]
Counts: TypeAlias = npt.NDArray[np.uint64]

# What NumPy has as a dtype is rounded and read as an integer by it; the others go the general way.
_NATIVE: dict[str, tuple[type[np.floating], type[np.signedinteger]]] = {
    "float64": (np.float64, np.int64),
    "float32": (np.float32, np.int32),
    "float16": (np.float16, np.int16),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """Distances of two trajectories or tensors over their common steps (elements, for a tensor).

    Attributes:
        steps: how many steps both have.
        first_difference: the first step, from 1, whose bits differ; None: the same bits everywhere.
        max_abs: the largest |a - b|, correctly rounded to float64; the absolute tolerance that would have been needed.
        max_rel: the largest |a - b| / max(|a|, |b|); the relative tolerance that would have been needed.
        max_ulp: the largest ULP distance, in the coarser dtype.
        scaled: the largest |a - b| over the largest |value| of both: near zero a harmless difference is many ULP.
        digits: significant decimal digits in common at the worst step, -log10(max_rel); None: all of them.
        growth: the largest |a - b| over that at the first difference; None where that one is 0 (signs of zero).
        unmeasured: the first step at which one side is not finite and the other differs; then no maximum is given.
    """

    steps: int
    first_difference: int | None
    max_abs: float | None
    max_rel: float | None
    max_ulp: int | None
    scaled: float | None
    digits: float | None
    growth: float | None
    unmeasured: int | None


def decode(texts: Sequence[str]) -> Values:
    """Return the exact values of C99 hexadecimal texts (`nan`, `inf`, `-inf` included)."""
    return np.fromiter(map(float.fromhex, texts), dtype=np.float64, count=len(texts))


def values(numbers: Iterable[float]) -> Values:
    """Return numbers as an array."""
    return np.asarray(tuple(numbers), dtype=np.float64)


def same_bits(a: Values, b: Values) -> Bools:
    """Tell element by element whether both are one value: -0.0 is not 0.0, every NaN is the one NaN."""
    equal: Bools = (a.view(np.int64) == b.view(np.int64)) | (np.isnan(a) & np.isnan(b))
    return equal


def ordinals(array: Values, dtype: str) -> npt.NDArray[np.int64]:
    """Return the places of values among those of `dtype`, as `floats.ordinal` does; of NaN the place is rubbish."""
    with np.errstate(over="ignore", invalid="ignore"):
        if dtype in _NATIVE:
            kind, integer = _NATIVE[dtype]
            bits = array.astype(kind).view(integer).astype(np.int64)
            return np.where(bits < 0, -(bits & np.iinfo(integer).max), bits)
        form = FORMS[dtype]
        _, exponents = np.frexp(array)
        unit = np.maximum(exponents - form.precision, form.least).astype(np.int64)
        # Exact: no result has more bits than its value, and rint() ties to even.
        finite = np.where(np.isfinite(array), np.abs(array), 0.0)
        significand = np.rint(np.ldexp(finite, -unit)).astype(np.int64)
        place = np.minimum(significand + ((unit - form.least) << (form.precision - 1)), form.infinity)
        place = np.where(np.isinf(array), form.infinity, np.where(finite == 0, 0, place))
        return np.where(array < 0, -place, place)


def rounded(array: Values, dtype: str) -> Values:
    """Return the nearest values of `dtype`, ties to even; signs of zero and NaN stay."""
    if dtype in _NATIVE:
        with np.errstate(over="ignore"):
            return array.astype(_NATIVE[dtype][0]).astype(np.float64)
    form, places = FORMS[dtype], np.abs(ordinals(array, dtype))
    binade, rest = np.divmod(places, 1 << (form.precision - 1))
    # Subnormals are the binade 0; from 1 on the hidden bit is set.
    significand = np.where(binade > 0, rest + (1 << (form.precision - 1)), rest).astype(np.float64)
    size = np.ldexp(significand, (form.least + np.maximum(binade - 1, 0)).astype(np.int64))
    size = np.where(places >= form.infinity, np.inf, size)
    return np.where(np.isnan(array), array, np.copysign(size, array))


def ulps(a: Values, b: Values, dtype: str) -> Counts:
    """Return how many values of `dtype` lie between, element by element; only where both are finite or the same."""
    left, right = ordinals(a, dtype), ordinals(b, dtype)
    # The distance of two float64 may exceed int64; modulo 2**64 the subtraction of the larger is right all the same.
    high, low = np.maximum(left, right).view(np.uint64), np.minimum(left, right).view(np.uint64)
    return np.where(same_bits(a, b), np.uint64(0), high - low)


def distances(a: Values, b: Values) -> Values:
    """Return |a - b| element by element; IEEE subtraction rounds it correctly. The same bits give 0, NaN too."""
    with np.errstate(invalid="ignore", over="ignore"):
        return np.where(same_bits(a, b), 0.0, np.abs(a - b))


def measure(a: Values, b: Values, dtype: str) -> Measure:
    """Measure the common steps of two trajectories, or two tensors of one shape laid flat; ULPs in `dtype`."""
    steps = min(len(a), len(b))
    a, b = a[:steps], b[:steps]
    differing = np.flatnonzero(~same_bits(a, b))
    if not steps or not len(differing):
        zero = bool(steps)
        return Measure(
            steps=steps,
            first_difference=None,
            max_abs=0.0 if zero else None,
            max_rel=0.0 if zero else None,
            max_ulp=0 if zero else None,
            scaled=0.0 if zero else None,
            digits=None,
            growth=None,
            unmeasured=None,
        )
    left, right = a[differing], b[differing]
    unmeasured = np.flatnonzero(~(np.isfinite(left) & np.isfinite(right)))
    if len(unmeasured):
        return _unmeasured(steps, int(differing[0]) + 1, int(differing[unmeasured[0]]) + 1)
    absolute = distances(left, right)
    largest = float(absolute.max())
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        size = np.maximum(np.abs(left), np.abs(right))
        relative = float(np.where(size > 0, absolute / np.where(size > 0, size, 1.0), 0.0).max())
    return Measure(
        steps=steps,
        first_difference=int(differing[0]) + 1,
        max_abs=largest,
        max_rel=relative,
        max_ulp=int(ulps(left, right, dtype).max()),
        scaled=largest / _largest(a, b) if largest else 0.0,
        digits=float(-np.log10(relative)) if relative else None,
        growth=largest / float(absolute[0]) if absolute[0] else None,
        unmeasured=None,
    )


def _unmeasured(steps: int, first: int, step: int) -> Measure:
    return Measure(
        steps=steps,
        first_difference=first,
        max_abs=None,
        max_rel=None,
        max_ulp=None,
        scaled=None,
        digits=None,
        growth=None,
        unmeasured=step,
    )


def _largest(a: Values, b: Values) -> float:
    """Return the largest finite magnitude of both."""
    both = np.abs(np.concatenate((a, b)))
    return float(both[np.isfinite(both)].max())
