"""Records, traces and replays of several results folders: which folder each is taken from. Loses no result unseen."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TypeAlias

from repromatrix.errors import ResultsError
from repromatrix.results.record import Outcome, Record
from repromatrix.results.replay import Replay
from repromatrix.results.store import KEY_CHARACTERS, Store
from repromatrix.results.trace import Trace

Thing: TypeAlias = Record | Trace | Replay


class Kind(StrEnum):
    """What a piece is."""

    RECORD = "record"
    TRACE = "trace"
    REPLAY = "replay"


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """A file of a results folder, named as there."""

    kind: Kind
    cell: str
    key: str


class Pieces:
    """What goes into one folder, and where from.

    Args:
        sources: the folders that are merged, for messages.
    """

    def __init__(self, sources: Sequence[Path]) -> None:
        self._sources = tuple(sources)
        self._held: dict[Piece, Store] = {}
        self._names: dict[str, tuple[Record, Store]] = {}

    def __contains__(self, piece: Piece) -> bool:
        """Whether one of the folders has it."""
        return piece in self._held

    def add(self, piece: Piece, store: Store) -> None:
        """Take a piece from a folder if it is there; of two folders the one where it ran.

        Raises:
            ResultsError: it is damaged, another folder has it with other numbers, or it is of an environment that is
                not pinned, and another folder means something else by its name.
        """
        known = self._held.get(piece)
        if known is store:
            return
        thing = read(piece, store)
        if thing is None:
            return
        if isinstance(thing, Record):
            self.check_name(thing, store)
        before = read(piece, known) if known is not None else None
        if known is None or before is None:
            self._held[piece] = store
            return
        if contradict(before, thing):
            raise self.conflict((piece, known), (piece, store))
        if rank(thing) < rank(before):
            self._held[piece] = store

    def check(self, a: tuple[Piece, Store], b: tuple[Piece, Store]) -> None:
        """Hold two answers of one cell to one question against each other.

        Raises:
            ResultsError: they have other numbers.
        """
        first, second = (read(*each) for each in (a, b))
        if first is not None and second is not None and contradict(first, second):
            raise self.conflict(a, b)

    def check_name(self, record: Record, store: Store) -> None:
        """Hold an environment against that of the same name before it; a lock answers for a name, else nobody does.

        Raises:
            ResultsError: they are not the same and one of them is not pinned.
        """
        if record.provenance is None:
            return
        environment = record.cell.environment
        other, known = self._names.setdefault(environment, (record, store))
        if other.provenance is None or known.folder == store.folder or False not in (record.pinned, other.pinned):
            return
        if (record.provenance.lock_digest, record.provenance.base_digest) != (
            other.provenance.lock_digest,
            other.provenance.base_digest,
        ):
            raise ResultsError(
                f"two different environments are named {environment}: one in {known.folder}, one in {store.folder}",
                hint=f"give one of them a name of its own: repromatrix run --here {record.cell.framework} --label NAME",
            )

    def conflict(self, a: tuple[Piece, Store], b: tuple[Piece, Store]) -> ResultsError:
        """Return the error that two folders have other numbers: taking either would lose the other unseen."""
        (first, one), (second, two) = a, b
        what = first.cell if first.kind is Kind.RECORD else f"a {first.kind} of {first.cell}"
        rest = " ".join(str(each) for each in self._sources if each != two.folder)
        return ResultsError(
            f"two different results of {what} (keys {first.key[:KEY_CHARACTERS]} and "
            f"{second.key[:KEY_CHARACTERS]}): one in {one.folder}, one in {two.folder}",
            hint=f"leave one of the two out, and report it on its own: repromatrix merge {rest}",
        )

    def write(self, target: Store) -> None:
        """Write all that was taken.

        Raises:
            ResultsError: something is damaged, or cannot be written.
        """
        for piece, store in self._held.items():
            thing = read(piece, store)
            if isinstance(thing, Record):
                target.adopt(thing, store)
            elif isinstance(thing, Trace):
                target.write_trace(thing)
            elif thing is not None:
                target.write_replay(thing)


def read(piece: Piece, store: Store) -> Thing | None:
    """Return what a folder has, None if nothing.

    Raises:
        ResultsError: it is damaged.
    """
    if piece.kind is Kind.RECORD:
        return store.read(piece.cell, piece.key)
    return (store.read_trace if piece.kind is Kind.TRACE else store.read_replay)(piece.cell, piece.key)


def rank(thing: Thing) -> int:
    """Return the less the better: ran, failed, not run."""
    if isinstance(thing, Trace):
        return 0
    return {Outcome.OK: 0, Outcome.FAILED: 1, Outcome.TIMED_OUT: 1}.get(thing.outcome, 2)


def contradict(a: Thing, b: Thing) -> bool:
    """Whether two answers to one question have other numbers; one that has none contradicts nobody."""
    if isinstance(a, Record) and isinstance(b, Record):
        return bool(a.trajectories and b.trajectories) and set(a.trajectories) != set(b.trajectories)
    if isinstance(a, Trace) and isinstance(b, Trace):
        return (a.trajectory, a.tensors) != (b.trajectory, b.tensors)
    if isinstance(a, Replay) and isinstance(b, Replay):
        return a.ok and b.ok and a.inputs == b.inputs and a.outputs != b.outputs
    raise AssertionError(f"{type(a).__name__} and {type(b).__name__} answer no one question")
