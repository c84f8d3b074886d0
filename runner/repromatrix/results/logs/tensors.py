"""safetensors: the length of a JSON header, the header, which says where each tensor lies; read without a library."""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from repromatrix.errors import UsageError
from repromatrix.results.logs import arrays, columns, figures
from repromatrix.results.logs.columns import Asked, Column, Log

_LENGTH = 8
_NATIVE = {
    "F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "|i1",
    "U64": "<u8", "U32": "<u4", "U16": "<u2", "U8": "|u1",
}  # fmt: skip
_BFLOAT16 = "BF16"


def is_safetensors(data: bytes) -> bool:
    """Whether its first bytes are the length of a JSON header that is there."""
    length = int.from_bytes(data[:_LENGTH], "little")
    return 2 <= length <= len(data) - _LENGTH and data[_LENGTH : _LENGTH + 1] == b"{"  # noqa: PLR2004


def read(data: bytes, where: str, asked: Asked) -> Log:
    """Return every tensor as a column, laid flat.

    Raises:
        UsageError: the header is damaged, or no tensor holds numbers.
    """
    start = _LENGTH + int.from_bytes(data[:_LENGTH], "little")
    body = memoryview(data)[start:]
    found: dict[str, npt.NDArray[Any]] = {}
    rounded: list[Column] = []
    left_out = []
    try:
        header = json.loads(data[_LENGTH:start])
        for name, entry in header.items():
            if name == "__metadata__":
                continue
            first, last = entry["data_offsets"]
            dtype, size = entry["dtype"], 1
            for each in entry["shape"]:
                size *= each
            if dtype == _BFLOAT16:
                bits = _numbers(body, (first, last), "<u2", size).astype(np.uint32) << 16
                rounded.append(columns.exact(name, bits.view(np.float32), "bfloat16"))
            elif dtype in _NATIVE:
                found[name] = _numbers(body, (first, last), _NATIVE[dtype], size)
            else:
                left_out.append(f"{name} (dtype {str(dtype)[:20]})")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, OverflowError) as error:
        hint = "save it again"
        raise UsageError(f"a damaged safetensors header ({str(error)[:60]})", where=where, hint=hint) from error
    log = arrays.of_arrays(found, "safetensors", asked)
    rounded = [each for each in rounded if len(each.values)]
    return Log(form=log.form, columns=(*log.columns, *rounded), left_out=(*log.left_out, *left_out))


def _numbers(body: memoryview, ends: tuple[int, int], dtype: str, size: int) -> npt.NDArray[Any]:
    first, last = ends
    if not 0 <= first <= last <= len(body):
        raise ValueError("a tensor lies beyond the end")
    if size * np.dtype(dtype).itemsize != last - first:
        raise ValueError("a tensor has another size than its shape")
    return np.frombuffer(body[first:last], dtype=dtype)


def replaced(data: bytes, moved: Mapping[str, Mapping[int, str]], where: str) -> bytes:
    """Return the content of a file with numbers replaced, by tensor and place, all else as it was.

    Raises:
        UsageError: a number that is no value of its dtype.
    """
    start = _LENGTH + int.from_bytes(data[:_LENGTH], "little")
    header = json.loads(data[_LENGTH:start])
    changed = bytearray(data)
    for name, places in moved.items():
        first, last = header[name]["data_offsets"]
        rounded = header[name]["dtype"] == _BFLOAT16
        own = np.frombuffer(data[start + first : start + last], "<u2" if rounded else _NATIVE[header[name]["dtype"]])
        own = own.copy()
        for place, text in places.items():
            number = figures.value(text)
            own[place] = np.float32(number).view(np.uint32) >> 16 if rounded else number
            back = np.uint32(int(own[place]) << 16).view(np.float32) if rounded else own[place]
            if float(back) != number:
                hint = "save the golden in a wider dtype"
                raise UsageError(f"{number!r} is no {header[name]['dtype']}", where=where, hint=hint)
        changed[start + first : start + last] = own.tobytes()
    return bytes(changed)
