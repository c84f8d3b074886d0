"""The injector's own arithmetic on the bits of floats, standard library only."""

import math
import struct

# name -> bytes of its bits, struct's letters of the float and of its bits
_FORMS = {"float64": (8, "d", "Q"), "float32": (4, "f", "I"), "float16": (2, "e", "H"), "bfloat16": (2, "f", "I")}
LOWER = {
    "float64": ("float32", "float16", "bfloat16"),
    "float32": ("float16", "bfloat16"),
    "float16": (),
    "bfloat16": (),
}
_NATIVE = {"float64": "d", "float32": "f", "float16": "e"}
_HALF = 16  # a bfloat16 is the upper half of a float32


def width(dtype: str) -> int:
    """Return how many bits a value has."""
    return 8 * _FORMS[dtype][0]


def pattern(value: float, dtype: str) -> int:
    """Return the bits of a value of the dtype, or of the one nearest to it."""
    _, letter, whole = _FORMS[dtype]
    try:
        (found,) = struct.unpack("<" + whole, struct.pack("<" + letter, value))
    except OverflowError:
        (found,) = struct.unpack("<" + whole, struct.pack("<" + letter, math.copysign(math.inf, value)))
    if dtype != "bfloat16":
        return int(found)
    if math.isnan(value):
        return 0x7FC0
    return (int(found) + 0x7FFF + (int(found) >> _HALF & 1)) >> _HALF


def of_pattern(bits: int, dtype: str) -> float:
    """Return the value that has these bits."""
    _, letter, whole = _FORMS[dtype]
    raw = bits << _HALF if dtype == "bfloat16" else bits
    (value,) = struct.unpack("<" + letter, struct.pack("<" + whole, raw))
    return float(value)


def rounded(value: float, dtype: str) -> float:
    """Return the value nearest to it in the dtype."""
    return of_pattern(pattern(value, dtype), dtype)


def flipped(value: float, bit: int, dtype: str) -> float:
    """Return the value with one bit turned over; bit 0 is the lowest."""
    return of_pattern(pattern(value, dtype) ^ (1 << bit), dtype)


def moved(value: float, places: int, dtype: str) -> float:
    """Return the value that lies so many places further from zero (nearer for a negative number), of the same sign."""
    if not math.isfinite(value):
        return value
    top = width(dtype) - 1
    bits = pattern(value, dtype)
    size = max(0, (bits & ~(1 << top)) + places)
    return of_pattern((bits & (1 << top)) | size, dtype)


def packed(values: list[float], dtype: str) -> bytes:
    """Return values as little-endian bits."""
    if dtype in _NATIVE:
        try:
            return struct.pack(f"<{len(values)}{_NATIVE[dtype]}", *values)
        except OverflowError:
            pass  # one by one
    return b"".join(
        pattern(value, dtype).to_bytes(_FORMS[dtype][0] if dtype != "bfloat16" else 2, "little") for value in values
    )


def text(values: list[float]) -> tuple[int, ...]:
    """Return what tells values apart bit by bit, one NaN aside."""
    if math.isnan(sum(values)):  # there may be one
        values = [math.nan if math.isnan(value) else value for value in values]
    found: tuple[int, ...] = struct.unpack(f"<{len(values)}q", struct.pack(f"<{len(values)}d", *values))
    return found
