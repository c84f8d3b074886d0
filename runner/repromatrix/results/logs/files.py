"""A path -> the bytes of a regular file; unpacked, never more than a limit; bytes -> text."""

import codecs
import os
import stat
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

from repromatrix.errors import UsageError

Encode: TypeAlias = Callable[[str], bytes]
MOST_BYTES = 64 << 20
_GZIP = b"\x1f\x8b"
_KINDS = (
    (stat.S_ISDIR, "a directory"),
    (stat.S_ISFIFO, "a FIFO"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)


def read(path: Path) -> bytes:
    """Return the content of a regular file.

    Raises:
        UsageError: it is not there, is no regular file, is too large, or may not be read.
    """
    try:
        # A FIFO without a writer and a device that waits would keep an ordinary open from returning.
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    except FileNotFoundError as error:
        hint = "name a file, a results folder, or a cell of the results"
        raise UsageError("no such file", where=str(path), hint=hint) from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise UsageError(f"cannot be read: {reason}", where=str(path), hint="name a file that you may read") from error
    try:
        _check(os.fstat(descriptor), str(path))
    except UsageError:
        os.close(descriptor)
        raise
    with os.fdopen(descriptor, "rb") as file:
        try:
            data = file.read(MOST_BYTES + 1)
        except OSError as error:
            hint = "name a file that you may read"
            raise UsageError(f"cannot be read: {error.strerror}", where=str(path), hint=hint) from error
    if len(data) > MOST_BYTES:
        raise _too_large(str(path))
    return data


def _check(found: os.stat_result, where: str) -> None:
    if not stat.S_ISREG(found.st_mode):
        kind = next((name for test, name in _KINDS if test(found.st_mode)), "something else")
        raise UsageError(f"{kind}, not a regular file", where=where, hint="save what it gives in a file and name that")
    if found.st_size > MOST_BYTES:
        raise _too_large(where)


def _too_large(where: str) -> UsageError:
    return UsageError(
        f"larger than {MOST_BYTES >> 20} MiB", where=where, hint="keep the step and the loss of each line"
    )


def unpacked(data: bytes, where: str) -> bytes:
    """Return what is gzipped unpacked, all else as it is.

    Raises:
        UsageError: it is damaged, or too large when unpacked.
    """
    if not data.startswith(_GZIP):
        return data
    unpack = zlib.decompressobj(wbits=31)
    try:
        found = unpack.decompress(data, MOST_BYTES + 1)
        while unpack.eof and unpack.unused_data.startswith(_GZIP) and len(found) <= MOST_BYTES:
            rest, unpack = unpack.unused_data, zlib.decompressobj(wbits=31)
            found += unpack.decompress(rest, MOST_BYTES + 1)
    except zlib.error as error:
        raise UsageError(f"damaged gzip ({error})", where=where, hint="pack it again") from error
    if len(found) > MOST_BYTES:
        raise _too_large(where)
    if not unpack.eof:
        raise UsageError("damaged gzip (cut short)", where=where, hint="copy the file again")
    return found


def text(data: bytes, where: str) -> str:
    """Return a text in UTF-8, or in UTF-16 or UTF-32 with a byte order mark; every line ends in a line feed.

    Raises:
        UsageError: it is no text.
    """
    return decoded(data, where)[0].replace("\r\n", "\n")


def decoded(data: bytes, where: str) -> tuple[str, Encode]:
    """Return a text as it stands there, and what makes bytes of one like it.

    Raises:
        UsageError: it is no text.
    """
    mark, code = next(((mark, code) for mark, code in _MARKS if data.startswith(mark)), (b"", "utf-8"))
    try:
        found = data[len(mark) :].decode(code)
    except UnicodeDecodeError as error:
        at = f"{where}:{data.count(10, 0, len(mark) + error.start) + 1}"
        hint = "write it as UTF-8: iconv -f latin1 -t utf-8"
        raise UsageError("not a text file", where=at if code.startswith("utf-8") else where, hint=hint) from error
    if "\0" in found:
        raise UsageError("not a text file", where=where, hint="give the losses as CSV, JSON or plain numbers")
    return found, lambda text: mark + text.encode(code)
