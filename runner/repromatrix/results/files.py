"""The files of a results folder, whatever they hold: read if they are there, written atomically, errors with a path."""

import errno
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from repromatrix import resources
from repromatrix.errors import ResultsError
from repromatrix.results.record import Description

MOST_BYTES = 512 << 20  # of one file


class Keyed(Protocol):
    """What belongs to one cell and stands under a key of its own."""

    @property
    def cell(self) -> Description:
        """The cell."""

    @property
    def key(self) -> str:
        """The key."""


KeyedT = TypeVar("KeyedT", bound=Keyed)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sort(Generic[KeyedT]):
    """One sort of files, each with one thing of one cell.

    Attributes:
        name: of such a thing, in messages.
        encode: it -> a file's content.
        decode: a file's content and its path in messages -> it.
        again: what to type where a file is not what it should be.
    """

    name: str
    encode: Callable[[KeyedT], bytes]
    decode: Callable[[bytes, str], KeyedT]
    again: str

    def write(self, path: Path, thing: KeyedT) -> None:
        """Write a thing atomically.

        Raises:
            ResultsError: the disk is full, or the folder cannot be written to.
        """
        write(path, self.encode(thing), f"the {self.name}")

    def read(self, path: Path, cell_id: str, key: str, sha256: str | None = None) -> KeyedT | None:
        """Return what stands there, or None; `sha256`: the file's digest, where a manifest tells it.

        Raises:
            ResultsError: it cannot be read, or is of another cell or key.
        """
        data = read(path, f"the {self.name}")
        if data is None:
            return None
        if sha256 is not None and hashlib.sha256(data).hexdigest() != sha256:
            raise ResultsError(
                f"the {self.name} of {cell_id} is not the one of the run: its bytes have changed since",
                where=str(path),
                hint=self.again,
            )
        found = self.decode(data, str(path))
        if found.key != key or found.cell.id != cell_id:
            raise ResultsError(
                f"holds the {self.name} of {found.cell.id}, not of {cell_id}", where=str(path), hint=self.again
            )
        return found


def write(path: Path, data: bytes, what: str) -> None:
    """Write a file atomically; `what` it is in messages.

    Raises:
        ResultsError: the disk is full, or the folder cannot be written to.
    """
    try:
        resources.write_atomically(path, data)
    except OSError as error:
        raise ResultsError(
            f"{what} cannot be written: {error}", where=str(path), hint="check the disk: repromatrix doctor"
        ) from error


def read(path: Path, what: str) -> bytes | None:
    """Return the content of a file, None if there is none; `what` it is in messages.

    Raises:
        ResultsError: it is there and cannot be read.
    """
    try:
        return resources.read_regular(path, most=MOST_BYTES, links=False)
    except FileNotFoundError:
        return None
    except OSError as error:
        foreign = error.errno in (errno.EINVAL, errno.EFBIG, errno.ELOOP)
        raise ResultsError(
            f"{what} cannot be read: {error.strerror}",
            where=str(path),
            hint="these results were not written by repromatrix; do not use them"
            if foreign
            else "check its owner and the disk: repromatrix doctor",
        ) from error
