"""A file of the matrix as text, with its size bounded."""

from pathlib import Path

from repromatrix.errors import MatrixError
from repromatrix.matrix.document import MAX_BYTES, too_large


def read_text(path: Path, absent: str, name: str = "") -> str:
    """Return a file's text; `absent` is what to type where it is not there, `name` what messages call the file.

    Raises:
        MatrixError: not there, too large, or not UTF-8; with file and line.
    """
    try:
        with path.open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
    except FileNotFoundError as error:
        raise MatrixError("no such file", where=str(path), hint=absent) from error
    except OSError as error:
        raise MatrixError(
            f"cannot be read: {error.strerror}", where=str(path), hint="it must be a text file"
        ) from error
    if len(data) > MAX_BYTES:
        raise too_large(name or path.name)
    return _text(data, name or path.name)


def _text(data: bytes, name: str) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise MatrixError("not UTF-8 text", where=f"{name}:{line}", hint="save the file as UTF-8") from error
