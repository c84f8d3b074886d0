"""The bits of a workload's inputs. No framework's generator makes them, and no harness: the runner does, once.

A draw is a counter hash: element i of an input depends on the input's name, its place i, and nothing else, so it is
the same on every machine, in every release and however much else is drawn. It has 53 random bits and is rounded once
into the dtype: with 24 bits all products of float32 values would be exact in float64, and the order of a sum would
become invisible there. A normal draw is a sum of twelve uniform integers (Irwin-Hall, variance 1 without scaling), so
that no library's logarithm has a part in it.
"""

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from hashlib import sha256
from math import prod

import numpy as np
import numpy.typing as npt

from repromatrix.floats import FORMS, at, nearest, ordinal
from repromatrix.matrix.model import NOT_FINITE, SEEDS, Input, Nested

_TERMS = 12
_BITS = 53
_NATIVE = {"float64": "<f8", "float32": "<f4", "float16": "<f2", "int32": "<i4", "int64": "<i8"}
_TEXT = {"float64": np.float64, "float32": np.float32, "float16": np.float16}
_Words = npt.NDArray[np.uint64]


@np.errstate(over="ignore", under="ignore")  # what is beyond a dtype is infinite or zero there
def bits(given: Input, dtype: str, member: int = 0) -> bytes:
    """Return an input in a dtype as little-endian bits, row by row.

    Args:
        given: the input.
        dtype: the cell's; an input with a dtype of its own ignores it.
        member: of the one-ULP ensemble: from 1 on every element of a parameter is moved by one unit in the last place,
            in 1 all up, in 2 all down, from 3 on by chance; 0: as it is. Above `SEEDS` the parameters that are drawn
            are drawn anew, from another seed for each.
    """
    if member > SEEDS:
        fresh = given.parameter and given.draw is not None
        given, member = replace(given, name=f"{given.name}#{member - SEEDS}") if fresh else given, 0
    dtype = given.dtype or dtype
    if given.draw == "patterns":
        return _patterns(dtype)
    if given.decimal is not None and dtype not in FORMS:
        return np.array([int(Decimal(text)) for text in _texts(given.decimal)], _NATIVE[dtype]).tobytes()
    values = _values(given, dtype)
    if member and given.parameter:
        values = _moved(values, given.name, dtype, member)
    if dtype == "bfloat16":
        return (values.astype(np.float32).view(np.uint32) >> np.uint32(16)).astype("<u2").tobytes()
    return values.astype(_NATIVE[dtype]).tobytes()


def _patterns(dtype: str) -> bytes:
    """Return the 65,536 numbers that have only zeros below their first sixteen bits, each NaN the same one."""
    width = FORMS[dtype].precision + FORMS[dtype].exponent_bits
    words = np.arange(1 << 16, dtype=np.uint64) << np.uint64(width - 16)
    native = words.astype(f"<u{width // 8}")
    if dtype == "bfloat16":
        nan = (native & np.uint16(0x7FFF)) > np.uint16(0x7F80)
        native[nan] = 0x7FC0
    else:
        numbers = native.view(_NATIVE[dtype])
        numbers[np.isnan(numbers)] = np.nan
    return native.tobytes()


def _values(given: Input, dtype: str) -> npt.NDArray[np.float64]:
    """Return the elements, each a value of the dtype."""
    count = prod(given.shape)
    if given.decimal is not None:
        return _numbers(tuple(_texts(given.decimal)), dtype)
    if given.draw == "integers":
        return (_hash(given.name, count) % np.uint64(given.below)).astype(np.float64)
    if given.draw == "uniform":
        low, high = float(given.low), float(given.high)
        unit = (_hash(given.name, count) >> np.uint64(64 - _BITS)).astype(np.float64) / 2.0**_BITS
        return _rounded(low + (high - low) * unit, dtype)
    if given.draw == "normal":
        words = _hash(given.name, count * _TERMS).reshape(count, _TERMS) >> np.uint64(64 - _BITS)
        # Twelve integers below 2**53 sum to less than 2**57: exact, whatever the order.
        total = words.astype(np.int64).sum(axis=1) - np.int64(_TERMS // 2) * np.int64(1 << _BITS)
        return _rounded(total.astype(np.float64) / 2.0**_BITS * float(given.scale), dtype)
    return np.zeros(count)


def _numbers(texts: tuple[str, ...], dtype: str) -> npt.NDArray[np.float64]:
    """Return the nearest values of a dtype to decimal texts.

    By way of float64 where that rounds to the same: it does but halfway between two values, and near the ends of a
    range, where each text is read exactly.
    """
    values = np.array([float(text) for text in texts])
    if dtype == "float64":
        return values
    form = FORMS[dtype]
    _, exponents = np.frexp(values)
    halves = np.ldexp(values, form.precision + 1 - exponents)  # in halves of a unit in the last place
    with np.errstate(invalid="ignore"):  # of infinities and NaN, which are read exactly
        odd = halves % 2 == 1
    unsure = ~np.isfinite(values) | odd | (exponents - form.precision < form.least)
    unsure |= np.abs(values) > float(np.finfo(np.float16).max) / 2
    found = _rounded(values, dtype)
    for place in np.flatnonzero(unsure):
        found[place] = _number(texts[place], dtype)
    return found


def _number(text: str, dtype: str) -> float:
    return float(text) if text in NOT_FINITE else nearest(text, dtype)


def _texts(entry: Nested) -> Iterator[str]:
    if isinstance(entry, str):
        yield entry
    else:
        for part in entry:
            yield from _texts(part)


def _hash(seed: str, count: int) -> _Words:
    """Return `count` words of 64 bits: splitmix64 (Steele et al., 2014), its counter begins at the seed's digest."""
    start = np.uint64(int.from_bytes(sha256(seed.encode()).digest()[:8], "little"))
    with np.errstate(over="ignore"):
        word = start + np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        word = (word ^ (word >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        word = (word ^ (word >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return np.asarray(word ^ (word >> np.uint64(31)))


def _rounded(values: npt.NDArray[np.float64], dtype: str) -> npt.NDArray[np.float64]:
    """Return the nearest values of a dtype, ties to even, rounded once."""
    if dtype in _TEXT:
        return values.astype(_TEXT[dtype]).astype(np.float64)
    form = FORMS[dtype]
    _, exponents = np.frexp(values)
    unit = np.maximum(exponents - form.precision, form.least)
    return np.asarray(np.ldexp(np.rint(np.ldexp(values, -unit)), unit))


def _moved(values: npt.NDArray[np.float64], name: str, dtype: str, member: int) -> npt.NDArray[np.float64]:
    """Return the values, each one unit in the last place up or down."""
    if member <= 2:  # noqa: PLR2004 - the first two go one way in every element
        directions = np.full(len(values), 1 if member == 1 else -1)
    else:
        directions = np.where(_hash(f"{name}~{member}", len(values)) & np.uint64(1), 1, -1)
    if dtype in _TEXT:
        kind = _TEXT[dtype]
        toward = np.where(directions > 0, np.inf, -np.inf).astype(kind)
        return np.asarray(np.nextafter(values.astype(kind), toward), np.float64)
    last = FORMS[dtype].infinity
    places = (ordinal(value, dtype) + move for value, move in zip(values.tolist(), directions.tolist(), strict=True))
    return np.array([at(max(-last, min(last, place)), dtype) for place in places])
