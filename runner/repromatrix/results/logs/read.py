"""A file -> its log, by the first reader that knows its form."""

import re
from collections.abc import Callable
from pathlib import Path

from repromatrix.errors import UsageError
from repromatrix.results.logs import arrays, events, files, json_text, lines, table, tensors
from repromatrix.results.logs.columns import Asked, Log

_MOST_NUMBERS = 3_000_000  # of a text; each takes some 100 bytes while it is read
# Told by their first bytes; nothing of them is ever run or unpickled.
_BINARY: tuple[tuple[Callable[[bytes], bool], Callable[[bytes, str, Asked], Log]], ...] = (
    (arrays.is_npy, arrays.npy),
    (arrays.is_zip, arrays.npz),
    (events.is_events, events.read),
    (tensors.is_safetensors, tensors.read),
)
_REFUSED = (
    (b"\x80\x02", "a pickle, which could run code"),
    (b"\x80\x03", "a pickle, which could run code"),
    (b"\x80\x04", "a pickle, which could run code"),
    (b"\x80\x05", "a pickle, which could run code"),
    (b"\x89HDF\r\n", "HDF5"),
    (b"PAR1", "Parquet"),
    (b"ARROW1", "Arrow"),
    (b"SQLite format 3", "an SQLite database"),
    (b"BZh", "packed with bzip2"),
    (b"\xfd7zXZ", "packed with xz"),
    (b"\x28\xb5\x2f\xfd", "packed with zstd"),
)


_TUPLES = re.compile(r"^[ \t]*\((.*)\)[ \t]*$", re.MULTILINE)  # printed by Python, one a line


def read(path: Path, asked: Asked | None = None) -> Log:
    """Read a file.

    Raises:
        UsageError: it cannot be read, or holds nothing that can be compared; with the line and what to type.
    """
    return parse(files.read(path), str(path), asked)


def parse(data: bytes, where: str, asked: Asked | None = None) -> Log:
    """Read a file's content; `where` is its path in messages.

    Raises:
        UsageError: it cannot be read, or holds nothing that can be compared; with the line and what to type.
    """
    asked = asked or Asked()
    data = files.unpacked(data, where)
    reader = next((read for knows, read in _BINARY if knows(data)), None)
    if reader:
        found = reader(data, where, asked)
    else:
        _refuse(data, where)
        try:
            found = _text(files.text(data, where), where, asked)
        except RecursionError as error:
            raise UsageError("nested too deeply", where=where, hint="give a list of losses") from error
    if not found.columns:
        raise UsageError(
            "holds no losses" + (f" (left out: {'; '.join(found.left_out)})" if found.left_out else ""),
            where=where,
            hint="give the losses as CSV, JSON or printed lines, for example: step 1 loss 0.5",
        )
    return found


def _refuse(data: bytes, where: str) -> None:
    kind = next((kind for mark, kind in _REFUSED if data.startswith(mark)), None)
    if kind:
        hint = (
            "save the losses as text, .npy or .safetensors" if "packed" not in kind else "unpack it, or pack with gzip"
        )
        raise UsageError(f"{kind}: not read", where=where, hint=hint)


def _text(text: str, where: str, asked: Asked) -> Log:
    start = text.lstrip()[:1]
    if start in ("{", "["):
        _limit(text.count(",") + text.count(":"), where)
        found = json_text.document(text, where)
        if found is not None:
            return json_text.read(found, text, where, asked)
    if start == "(":
        text = _TUPLES.sub(r"\1", text)
    layout = table.layout(text)
    if layout:
        _limit(text.count("\n") + sum(text.count(each) for each in layout.delimiter or " \t"), where)
        return table.read(text, layout, where, asked)
    return lines.read(text, where, asked)


def _limit(count: int, where: str) -> None:
    if count > _MOST_NUMBERS:
        raise UsageError(
            f"more than {_MOST_NUMBERS:,} numbers as text",
            where=where,
            hint="keep the step and the loss of each line, or save the numbers as .npy",
        )
