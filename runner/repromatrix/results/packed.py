"""Exact floats <-> the little-endian bits of their dtype as base64: as short as text can be for thousands of values."""

import base64
import struct
from collections.abc import Sequence
from hashlib import sha256

_CODES = {"float64": "d", "float32": "f", "float16": "e"}  # bfloat16 is the upper half of a float32


def pack(values: Sequence[str], dtype: str) -> str:
    """Return values, given as hexadecimal text, as base64; every NaN becomes the quiet one.

    Raises:
        ValueError: a value that the dtype does not have.
    """
    numbers = [float.fromhex(text) for text in values]
    try:
        if dtype == "bfloat16":
            data = b"".join(struct.pack("<f", each)[2:] for each in numbers)
        else:
            data = struct.pack(f"<{len(numbers)}{_CODES[dtype]}", *numbers)
    except OverflowError as error:
        raise ValueError(f"not all values are {dtype}: {error}") from error
    text = base64.b64encode(data).decode()
    if unpack(text, dtype) != tuple(number.hex() for number in numbers):
        raise ValueError(f"not all values are {dtype}")
    return text


def digest(values: Sequence[str], dtype: str) -> str:
    """Return the SHA-256 of the bits of values, as a trace has it of a large one.

    Raises:
        ValueError: a value that the dtype does not have.
    """
    return sha256(base64.b64decode(pack(values, dtype))).hexdigest()


def unpack(text: str, dtype: str) -> tuple[str, ...]:
    """Return the values as hexadecimal text; the inverse of `pack`.

    Raises:
        ValueError: not base64 of whole values.
    """
    data = base64.b64decode(text, validate=True)
    size = 2 if dtype == "bfloat16" else struct.calcsize(_CODES[dtype])
    if len(data) % size:
        raise ValueError(f"{len(data)} bytes are no whole number of {dtype} values")
    count = len(data) // size
    if dtype == "bfloat16":
        data = b"".join(b"\0\0" + data[place : place + 2] for place in range(0, len(data), 2))
    numbers = struct.unpack(f"<{count}{_CODES.get(dtype, 'f')}", data)
    return tuple(map(float.hex, numbers))
