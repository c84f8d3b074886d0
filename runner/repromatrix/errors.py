"""The errors a person can meet: one base, one subclass per exit code, the message written inside.

Every message says what happened, where (file and line, or the log's path) and what to type next.
"""

from enum import IntEnum


class ExitCode(IntEnum):
    """What the process tells its caller; part of the public interface."""

    OK = 0
    DIFFERENCE = 1
    USAGE = 2
    NOTHING_SELECTED = 3
    ENVIRONMENT = 4
    CELL_FAILED = 5
    NO_ENGINE = 6
    INTERNAL = 70
    RESULT_LOST = 74
    INTERRUPTED = 130
    READER_GONE = 141


class RepromatrixError(Exception):
    """Base of every error that is reported without a traceback.

    Args:
        what: what happened, naming the cell or the file.
        where: file and line, or a log's path.
        hint: what to type or change next.
    """

    exit_code = ExitCode.USAGE

    def __init__(self, what: str, *, where: str = "", hint: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.hint = hint

    def __str__(self) -> str:
        """Return the whole message, a line each for what, where and the next step."""
        lines = [f"{self.where}: {self.what}" if self.where else self.what]
        if self.hint:
            lines.append(f"  next: {self.hint}")
        return "\n".join(lines)


class UsageError(RepromatrixError):
    """The command line or a file given to it cannot be used."""


class MatrixError(UsageError):
    """matrix.yaml cannot be used; `where` is file and line."""


class ResultsError(UsageError):
    """A results folder cannot be read: missing, damaged, or written by a newer release."""


class NewerFormatError(ResultsError):
    """A file of a results folder was written by a newer release; it must not be replaced."""


class NothingSelectedError(RepromatrixError):
    """The selection leaves no cell."""

    exit_code = ExitCode.NOTHING_SELECTED


class EnvironmentFailedError(RepromatrixError):
    """An environment could not be locked, fetched or built."""

    exit_code = ExitCode.ENVIRONMENT


class AbsentError(EnvironmentFailedError):
    """What an environment stands on is not on this machine, and nothing here can make it."""


class NoEngineError(RepromatrixError):
    """The engine that was asked for does not answer."""

    exit_code = ExitCode.NO_ENGINE


class ResultLostError(RepromatrixError):
    """The result could not be written to standard output.

    Args:
        why: what is wrong with standard output.
    """

    exit_code = ExitCode.RESULT_LOST

    def __init__(self, why: str) -> None:
        super().__init__(
            f"the result could not be written to standard output: {why}",
            hint="the work is done; send the result to a file on a disk with room: > FILE",
        )


class ReaderGoneError(RepromatrixError):
    """Whoever read the result went away before its end."""

    exit_code = ExitCode.READER_GONE

    def __init__(self) -> None:
        super().__init__("the reader of standard output went away before the result's end")
