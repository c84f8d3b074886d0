"""A file of the matrix as text, with its size bounded."""

import errno
from pathlib import Path

from repromatrix import resources
from repromatrix.errors import MatrixError
from repromatrix.matrix.document import MAX_BYTES, too_large


def read_text(path: Path, absent: str, name: str = "", *, links: bool = False) -> str:
    """Return a file's text; `absent` is what to type where it is not there, `name` what messages call the file.

    `links`: whether it may be a link; not in a folder that somebody else may have made.

    Raises:
        MatrixError: not there, too large, or not UTF-8; with file and line.
    """
    try:
        data = resources.read_regular(path, most=MAX_BYTES, links=links)
    except FileNotFoundError as error:
        raise MatrixError("no such file", where=str(path), hint=absent) from error
    except OSError as error:
        if error.errno == errno.EFBIG:
            raise too_large(name or path.name) from error
        raise MatrixError(
            f"cannot be read: {error.strerror}", where=str(path), hint="it must be a text file"
        ) from error
    return _text(data, name or path.name)


def _text(data: bytes, name: str) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise MatrixError("not UTF-8 text", where=f"{name}:{line}", hint="save the file as UTF-8") from error
