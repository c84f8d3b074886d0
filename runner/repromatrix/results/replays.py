"""Whose operations were replayed, and which traces and replays tell of them (schemas/replays.json, format 2).

Only names: what they say is read from the traces and replays themselves, so that the report and verify find the same.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import NoReturn

from repromatrix.errors import NewerFormatError, ResultsError
from repromatrix.results import document as documents
from repromatrix.results.record import Record, fields_of, refuse_other_format
from repromatrix.results.replay import Replay
from repromatrix.results.trace import Trace

FORMAT = 2
FILE = "replays.json"
FORMER = "studies.json"  # where format 1 stood
_AGAIN = "delete that file and ask again: repromatrix explain or repromatrix operations"
Keys = tuple[tuple[str, str], ...]  # operation -> key of its replay


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayedCell:
    """One of two cells whose operations are held against each other.

    Attributes:
        cell: its id.
        record: key of its record.
        trace: key of its trace.
        own: key of the replay of its own trace, step by step.
        other: key of its replay of the other cell's trace.
        recorded: operation -> key of its replay on what was recorded of both cells; the inputs are those of the other
            cell's.
        fresh: operation -> key of its replay on fresh inputs.
    """

    cell: str
    record: str
    trace: str
    own: str
    other: str
    recorded: Keys
    fresh: Keys


@dataclass(frozen=True, slots=True, kw_only=True)
class CellReplays:
    """What the files hold that a `ReplayedCell` names.

    Attributes:
        recorded: by operation.
        fresh: by operation.
    """

    record: Record
    trace: Trace
    own: Replay
    other: Replay
    recorded: Mapping[str, Replay]
    fresh: Mapping[str, Replay]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayedPair:
    """Two cells whose operations were replayed, or were to be.

    Attributes:
        a: id of a cell that was asked for.
        b: the other's.
        left: what was replayed for `a`: the cell itself, or the one that has the options and the dtype of `b` in the
            environment and settings of `a`. None: nothing was replayed.
        right: what was replayed for `b`.
        reason: why nothing was replayed, else None.
    """

    a: str
    b: str
    left: ReplayedCell | None
    right: ReplayedCell | None
    reason: str | None

    @property
    def cells(self) -> tuple[ReplayedCell, ...]:
        """What was replayed."""
        return tuple(each for each in (self.left, self.right) if each is not None)

    def is_of(self, keys: Mapping[str, str | None]) -> bool:
        """Whether no cell of it has another record in a run (cell id -> key), and the run has one of `a` and `b`."""
        same = all(keys.get(each.cell) in (None, each.record) for each in self.cells)
        return same and any(keys.get(each) is not None for each in (self.a, self.b))


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedCell:
    """The operations of one cell on fresh inputs: what `repromatrix operations` lists.

    Attributes:
        environment: its environment's name.
        fresh: operation -> key of the replay.
    """

    cell: str
    environment: str
    fresh: Keys


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayIndex:
    """All of them; a pair or a cell stands once."""

    pairs: tuple[ReplayedPair, ...] = ()
    listed: tuple[ListedCell, ...] = ()

    def with_pairs(self, pairs: Iterable[ReplayedPair]) -> "ReplayIndex":
        """Return these with other pairs added; a newer one of the same two cells takes the place of the older."""
        found = {(pair.a, pair.b): pair for pair in (*self.pairs, *pairs)}
        return replace(self, pairs=tuple(found.values()))

    def with_listed(self, listed: Iterable[ListedCell]) -> "ReplayIndex":
        """Return these with other cells added; a newer entry of a cell takes the place of the older."""
        found = {entry.cell: entry for entry in (*self.listed, *listed)}
        return replace(self, listed=tuple(found.values()))


@dataclass(frozen=True, slots=True, kw_only=True)
class Document(ReplayIndex):
    """An index as it stands in its file."""

    format: int = FORMAT


def encode(index: ReplayIndex) -> bytes:
    """Return the index as canonical JSON: sorted keys, one trailing newline."""
    return documents.canonical(Document(**fields_of(index, ReplayIndex)))


def decode(data: bytes, where: str) -> ReplayIndex:
    """Read an index; `where` is its path in messages.

    Raises:
        ResultsError: damaged, or written by another release.
    """
    try:
        refuse_other_format(data, FORMAT, "a list of replayed operations", where)
        found = documents.strict(data, Document)
        if any((pair.left is None) != (pair.reason is not None) or len(pair.cells) == 1 for pair in found.pairs):
            raise ValueError("a pair is replayed, or there is a reason why not")  # noqa: TRY301 - one way out
    except ValueError as error:
        raise ResultsError(
            f"not a readable list of replayed operations ({error})",
            where=where,
            hint=_AGAIN,
        ) from error
    return ReplayIndex(**fields_of(found, ReplayIndex))


def refuse_former(where: str) -> NoReturn:
    """Refuse the file in which an older release kept this.

    Raises:
        NewerFormatError: always.
    """
    what = f"a list of replayed operations of format 1, this release reads format {FORMAT}"
    raise NewerFormatError(what, where=where, hint=_AGAIN)
