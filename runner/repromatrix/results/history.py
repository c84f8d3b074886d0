"""What changed night after night: three text files that only grow, made for a branch of their own.

    nights.jsonl    a line a night: when, which run, how many cells, in which CPU classes
    changes.jsonl   a line a change: which value of which cell, between which releases, from which step, how far
    states.jsonl    what each cell had last, by CPU class: digests of its values, the bits of its metrics

A night counts once its line in `nights.jsonl` is there, which is written last. What an interrupted night left in the
other two is taken away by the next one.
"""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import msgspec

from repromatrix import resources
from repromatrix.errors import NewerFormatError, ResultsError
from repromatrix.results import packed

FORMAT = 1
_NIGHTS, _CHANGES, _STATES = "nights.jsonl", "changes.jsonl", "states.jsonl"
_MOST_BYTES = 1 << 30
LineT = TypeVar("LineT", bound="Night | Change | State")


class Night(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One run that was added.

    Attributes:
        night: its name; names rise: a date, `2026-11-29`, sorts by itself.
        run: where a person finds it; may be empty.
        cells: how many ran.
        new: how many of them, in their CPU class, for the first time.
        changes: how many lines `changes.jsonl` has of it.
        classes: the CPU classes of its hosts.
    """

    night: str
    run: str = ""
    cells: int
    new: int
    changes: int
    classes: tuple[str, ...]
    format: int = FORMAT


class Change(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One value that changed.

    Attributes:
        cpu: the CPU class; only cells of one class are compared.
        cell: the cell's id; `before`: that of the cell it is compared with, itself or the one of the release before.
        release: the framework's release; `before_release`: likewise.
        value: a metric, an output, an operation, `state` or `outcome`.
        was: the beginning of the SHA-256 of its bits, or the outcome.
        now: likewise.
        verdict: of a metric: `rounding`, `amplified`, `divergent`, ...; else empty.
        step: of a metric: the first step that differs.
        ulp: of a metric: the largest distance, in ULP of its dtype.
        share: of a loss: the largest distance over the workload's noise floor; None: there is no floor.
        because: what else is not as before: the lock, the image, the workload's code, ...
    """

    night: str
    cpu: str
    cell: str
    before: str
    release: str
    before_release: str
    value: str
    was: str
    now: str
    verdict: str = ""
    step: int | None = None
    ulp: int | None = None
    share: float | None = None
    because: tuple[str, ...] = ()

    @property
    def by_release(self) -> bool:
        """Whether it came with another release; else a pinned value moved."""
        return self.cell != self.before


class State(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a cell has in a CPU class.

    Attributes:
        line: the cell's id with the release left out: cells of one line follow one another.
        like: the cell whose values it has where `values` says nothing else; empty: none.
        outcome: of its record; `unstable`: its repeats differ.
        made: what it was made of, by name: beginnings of digests.
        values: by name the beginning of the SHA-256 of the bits, of those that are not as in `like`; empty: gone.
        metrics: by name dtype and bits, as base64.
    """

    night: str
    cpu: str
    cell: str
    line: str
    release: str
    like: str = ""
    outcome: str
    made: dict[str, str] = {}
    values: dict[str, str] = {}
    metrics: dict[str, tuple[str, str]] = {}


@dataclass(frozen=True, slots=True)
class History:
    """The folder with the three files; it may be empty, or not there yet."""

    folder: Path

    def nights(self) -> tuple[Night, ...]:
        """Return the nights, the oldest first.

        Raises:
            ResultsError: a line cannot be read, or another release wrote it.
        """
        return tuple(self._read(_NIGHTS, Night))

    def changes(self, word: str = "") -> tuple[Change, ...]:
        """Return the changes, the oldest first; with a word only those in whose line it stands.

        Raises:
            ResultsError: a line cannot be read.
        """
        known = {each.night for each in self.nights()}
        return tuple(each for each in self._read(_CHANGES, Change, word.encode()) if each.night in known)

    def states(self) -> dict[tuple[str, str], State]:
        """Return what each cell had last, by CPU class and id, its values whole.

        Raises:
            ResultsError: a line cannot be read.
        """
        known, found = {each.night for each in self.nights()}, dict[tuple[str, str], State]()
        for each in self._read(_STATES, State):
            if each.night in known:
                _check_metrics(each, self._path(_STATES))
                like = found.get((each.cpu, each.like)) if each.like else None
                values = {**(like.values if like else {}), **each.values}
                values = {name: digest for name, digest in values.items() if digest}
                found[each.cpu, each.cell] = msgspec.structs.replace(each, like="", values=values)
        return found

    def add(self, night: Night, changes: Iterable[Change], states: Iterable[State]) -> None:
        """Append a night; all of it counts, or nothing."""
        self.folder.mkdir(parents=True, exist_ok=True)
        known = {each.night for each in self.nights()}
        self._append(_STATES, states, self._counted(_STATES, State, known))
        self._append(_CHANGES, changes, self._counted(_CHANGES, Change, known))
        self._append(_NIGHTS, (night,), sum(len(line) for line in self._lines(_NIGHTS) if line.endswith(b"\n")))

    def _counted(self, name: str, kind: type[State | Change], known: set[str]) -> int:
        """Return up to where a file is of nights that count.

        Raises:
            ResultsError: nights that count stand behind one that does not, which no interrupted one leaves.
        """
        size = counted = 0
        for line in self._lines(name):
            whole = line.endswith(b"\n") and _decoded(line, kind, self._path(name)).night in known
            if whole and counted < size:
                raise ResultsError(
                    f"lines of a night that {_NIGHTS} does not have, before those of one that it has",
                    where=str(self._path(name)),
                    hint="bring the three files back from one commit of version control",
                )
            size += len(line)
            counted = size if whole else counted
        return counted

    def _append(self, name: str, lines: Iterable[msgspec.Struct], at: int) -> None:
        with self._path(name).open("ab") as file:
            file.truncate(at)
            file.writelines(msgspec.json.encode(each) + b"\n" for each in lines)
            file.flush()
            os.fsync(file.fileno())

    def _read(self, name: str, kind: type[LineT], word: bytes = b"") -> Iterator[LineT]:
        path = self._path(name)
        for line in self._lines(name):
            if line.endswith(b"\n") and word in line:  # the last one of an interrupted night may be half a line
                yield _decoded(line, kind, path)

    def _lines(self, name: str) -> list[bytes]:
        try:
            data = resources.read_regular(self._path(name), most=_MOST_BYTES, links=True)
        except FileNotFoundError:
            return []
        *whole, half = data.split(b"\n")
        return [*(line + b"\n" for line in whole), *([half] if half else [])]

    def _path(self, name: str) -> Path:
        return self.folder / name


def _check_metrics(state: State, path: Path) -> None:
    try:
        for dtype, text in state.metrics.values():
            packed.unpack(text, dtype)
    except (ValueError, KeyError) as error:
        raise _unlike(State, error, path) from error


def _unlike(kind: type[msgspec.Struct], error: Exception, path: Path) -> ResultsError:
    hint = "bring the file back from version control"
    return ResultsError(f"a line that is no {kind.__name__.lower()} ({error})", where=str(path), hint=hint)


def _decoded(line: bytes, kind: type[LineT], path: Path) -> LineT:
    try:
        found = msgspec.json.decode(line, type=kind)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        raise _unlike(kind, error, path) from error
    if isinstance(found, Night) and found.format != FORMAT:
        raise NewerFormatError(
            f"a history of format {found.format}, this release reads format {FORMAT}",
            where=str(path),
            hint="update repromatrix",
        )
    return found
