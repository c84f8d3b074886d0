"""The process's own streams: the result on standard output, messages on standard error.

A message that cannot be written is lost, and nothing else happens. A result that cannot be written does not stop the
work either; the command's end then tells it.
"""

import contextlib
import errno
import io
import os
import sys
from typing import TextIO

from repromatrix.errors import ReaderGoneError, ResultLostError


class _Stream(io.TextIOWrapper):
    """A standard stream like the one that Python made for its number, or makes where nothing is closed.

    What its encoding does not have is shown by its escape.
    """

    def __init__(self, number: int, former: TextIO | None, *, lines: bool) -> None:
        super().__init__(
            io.BufferedWriter(io.FileIO(number, "wb", closefd=False)),
            encoding=former.encoding if former else "utf-8",
            errors="backslashreplace",
            newline="\n",
            line_buffering=lines,
        )


class _Messages(_Stream):
    """Takes every message, whether or not it arrives."""

    def write(self, text: str, /) -> int:
        with contextlib.suppress(OSError):
            super().write(text)
        return len(text)

    def flush(self) -> None:
        with contextlib.suppress(OSError):
            super().flush()


class Result(_Stream):
    """Takes everything until something is lost, and keeps why; what follows a gap would mislead."""

    _failure: OSError | None = None

    def write(self, text: str, /) -> int:
        """Write, or at least remember that it failed."""
        if self._failure is None:
            try:
                super().write(text)
            except OSError as error:
                self._failure = error
        return len(text)

    def flush(self) -> None:
        """Write what is held back, or at least remember that it failed."""
        if self._failure is None:
            try:
                super().flush()
            except OSError as error:
                self._failure = error

    def require_written(self) -> None:
        """Write what is held back.

        Raises:
            ReaderGoneError: whoever reads standard output went away.
            ResultLostError: it is closed, or its disk is full.
        """
        self.flush()
        if isinstance(self._failure, BrokenPipeError):
            raise ReaderGoneError
        if self._failure is not None:
            closed = self._failure.errno == errno.EBADF
            raise ResultLostError("it is closed" if closed else os.strerror(self._failure.errno or 0))


def take_over() -> Result:
    """Make the standard streams those of this module."""
    _fill_gaps()
    result = Result(1, sys.stdout, lines=os.isatty(1))
    sys.stdout = result
    sys.stderr = _Messages(2, sys.stderr, lines=True)
    return result


def _fill_gaps() -> None:
    """Open what is closed to nothing, so that no file takes its number; being for reading alone, it fails a write."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDONLY), True)
