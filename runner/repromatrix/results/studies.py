"""Whose operations were replayed, and which traces and replays tell of them (schemas/studies.json, format 1).

Only names: what they say is read from the traces and replays themselves, so that the report and verify find the same.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from repromatrix.errors import NewerFormatError, ResultsError
from repromatrix.results import document as documents
from repromatrix.results.record import Record
from repromatrix.results.replay import Replay
from repromatrix.results.trace import Trace

FORMAT = 1
Keys = tuple[tuple[str, str], ...]
_KEYS = ("cell", "record", "trace", "own", "other")


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """One of two cells whose operations are held against each other.

    Attributes:
        cell: its id.
        record: key of its record.
        trace: key of its trace.
        own: key of the replay of its own trace, as `step`.
        other: key of its replay of the other cell's trace.
        recorded: operation -> key of its replay on what was recorded of both cells; the inputs are those of the other
            end's.
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
class Testimony:
    """What the files say that an `End` names.

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
class Study:
    """The operations of two cells.

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
    left: End | None
    right: End | None
    reason: str | None

    def is_of(self, keys: Mapping[str, str | None]) -> bool:
        """Whether no cell of it has another record in a run (cell id -> key), and the run has one of `a` and `b`."""
        ends = [each for each in (self.left, self.right) if each is not None]
        same = all(keys.get(each.cell) in (None, each.record) for each in ends)
        return same and any(keys.get(each) is not None for each in (self.a, self.b))


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """The operations of one cell on fresh inputs: an entry of the catalogue.

    Attributes:
        environment: its environment's name.
        fresh: operation -> key of the replay.
    """

    cell: str
    environment: str
    fresh: Keys


@dataclass(frozen=True, slots=True, kw_only=True)
class Studies:
    """All of them; a pair or a cell stands once."""

    pairs: tuple[Study, ...] = ()
    catalogue: tuple[Listing, ...] = ()

    def with_pairs(self, pairs: Iterable[Study]) -> "Studies":
        """Return these with other pairs added; a newer study of a pair takes the place of the older."""
        found = {(each.a, each.b): each for each in (*self.pairs, *pairs)}
        return replace(self, pairs=tuple(found.values()))

    def with_catalogue(self, listings: Iterable[Listing]) -> "Studies":
        """Return these with other cells added; a newer entry of a cell takes the place of the older."""
        found = {each.cell: each for each in (*self.catalogue, *listings)}
        return replace(self, catalogue=tuple(found.values()))


def encode(studies: Studies) -> bytes:
    """Return the studies as canonical JSON: sorted keys, one trailing newline."""
    document = {
        "format": FORMAT,
        "pairs": [
            {"a": e.a, "b": e.b, "left": _written(e.left), "right": _written(e.right), "reason": e.reason}
            for e in studies.pairs
        ],
        "catalogue": [
            {"cell": each.cell, "environment": each.environment, "fresh": dict(each.fresh)}
            for each in studies.catalogue
        ],
    }
    return documents.write(document)


def decode(data: bytes, where: str) -> Studies:
    """Read studies; `where` is their path in messages.

    Raises:
        ResultsError: damaged, or written by a newer release.
    """
    try:
        document = documents.read(data)
        found = document["format"]
        if found != FORMAT:
            raise NewerFormatError(
                f"studies of format {found}, this release reads format {FORMAT}",
                where=where,
                hint="update repromatrix, or use another --results folder",
            )
        return Studies(
            pairs=tuple(_study(each) for each in document["pairs"]),
            catalogue=tuple(
                Listing(cell=_text(e["cell"]), environment=_text(e["environment"]), fresh=_keys(e["fresh"]))
                for e in document["catalogue"]
            ),
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ResultsError(
            f"not a readable list of studies ({type(error).__name__}: {error})",
            where=where,
            hint="delete that file and ask again: repromatrix explain or repromatrix operations",
        ) from error


def _study(entry: dict[str, Any]) -> Study:
    left, right = (None if entry[name] is None else _end(entry[name]) for name in ("left", "right"))
    reason = None if entry["reason"] is None else _text(entry["reason"])
    if not (left is None) == (right is None) == (reason is not None):
        raise ValueError("a pair is replayed, or there is a reason why not")
    return Study(a=_text(entry["a"]), b=_text(entry["b"]), left=left, right=right, reason=reason)


def _end(entry: dict[str, Any]) -> End:
    texts = {name: _text(entry[name]) for name in _KEYS}
    return End(**texts, recorded=_keys(entry["recorded"]), fresh=_keys(entry["fresh"]))


def _written(end: End | None) -> dict[str, Any] | None:
    if end is None:
        return None
    texts = {name: getattr(end, name) for name in _KEYS}
    return texts | {"recorded": dict(end.recorded), "fresh": dict(end.fresh)}


def _keys(entry: dict[str, Any]) -> Keys:
    return tuple((name, _text(key)) for name, key in entry.items())


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} where text is due")
    return value
