"""Bytes <-> plain JSON data, the same way for records, manifests and the lines of an entrypoint.

What is read can be written again, and what is written can be read by every JSON reader: no NaN, no half
characters, sorted keys. Knows nothing of what the documents mean.
"""

import binascii
import json
import re
from typing import Any, NoReturn, TypeVar

import msgspec

KindT = TypeVar("KindT")
_HALF = re.compile(rb"\\u[dD][89a-fA-F]")


def read(data: bytes) -> Any:
    """Return the data of a JSON document; half a surrogate pair, which no file takes, becomes `?`.

    Raises:
        ValueError: not JSON, or nested too deeply to be ours.
    """
    try:
        document = json.loads(data, parse_constant=_refuse)
        return json.loads(write(document)) if _HALF.search(data) else document
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def write(document: Any) -> bytes:
    """Return canonical JSON: sorted keys, one trailing newline."""
    return json.dumps(document, sort_keys=True, indent=1, ensure_ascii=False).encode(errors="replace") + b"\n"


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")


def canonical(value: Any) -> bytes:
    """Return a typed value as canonical JSON: sorted keys, an indent that a person can read, one trailing newline.

    Half a surrogate pair becomes `?`, as in `write`.
    """
    try:
        data = msgspec.json.encode(value, order="sorted")
    except UnicodeEncodeError:  # half a character, which no file takes
        data = msgspec.json.encode(read(write(msgspec.to_builtins(value))), order="sorted")
    return msgspec.json.format(data, indent=1) + b"\n"


def strict(data: bytes, kind: type[KindT]) -> KindT:
    """Return the value that canonical JSON of a type holds.

    Raises:
        ValueError: it is not JSON of that type, or not as `canonical` writes it.
    """
    try:
        found = msgspec.json.decode(data, type=kind)
        if canonical(found) == data:
            return found
    except (msgspec.MsgspecError, RecursionError) as error:
        raise ValueError(str(error)) from error
    raise ValueError("not as repromatrix writes it")


def rewritten(document: Any, kind: type[Any]) -> bytes:
    """Return plain data as canonical JSON of a type.

    Raises:
        ValueError: it is no document of that type.
    """
    try:
        return canonical(msgspec.convert(document, kind))
    except msgspec.MsgspecError as error:
        raise ValueError(str(error)) from error


def base64(text: str) -> bytes:
    """Return the bytes of base64 text.

    Raises:
        ValueError: it is none.
    """
    return binascii.a2b_base64(text, strict_mode=True)
