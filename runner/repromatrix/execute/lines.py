"""The lines that an environment prints, parsed at the border: bytes in, frozen values out, or `BadLineError`.

A job's lines have one order: a fingerprint; then for each cell a start, its values, its end; then the end of all.
Anything else costs the cell its result, since what breaks the contract cannot be trusted.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from repromatrix.execute import output
from repromatrix.execute.answers import outputs_of
from repromatrix.job import options_of
from repromatrix.matrix.model import Command
from repromatrix.plan import Cell, Operation
from repromatrix.results import document as documents
from repromatrix.results.record import Outcome
from repromatrix.results.trace import Steps
from repromatrix.results.value import Trajectory, check, columns

Entry = tuple[int, str, str, str, tuple[int, ...], list[str] | str]
_OUTCOMES = frozenset((Outcome.OK, Outcome.UNAVAILABLE, Outcome.FAILED))  # that an environment tells
_REASON = 2000  # characters that are kept of one
_TOLD = 5  # parts of a value that are always told; bits come after them


class BadLineError(Exception):
    """A line that the contract does not know; the process cannot be trusted any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fingerprint:
    """The environment as seen from inside."""

    content: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """A cell begins."""

    id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """Values of one step.

    Attributes:
        bits: (step, name) -> the bits of those values that were asked for.
    """

    id: str
    entries: tuple[Entry, ...]
    bits: Mapping[tuple[int, str], bytes] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """A cell or an operation ended: `ok` with a trajectory or with outputs, or another outcome with a reason.

    Attributes:
        options: every factor with the value that it used, sorted.
        untraced: the values that a traced cell could not tell, with the reasons.
        outputs: what an operation gave, name -> its values for each sample; None unless it is one.
        read: what was read of a command's output and what was left out, in words.
    """

    id: str
    outcome: Outcome
    reason: str | None
    trajectory: Trajectory | None = None
    options: tuple[tuple[str, str], ...] = ()
    untraced: tuple[tuple[str, str], ...] = ()
    outputs: tuple[tuple[str, Steps], ...] | None = None
    read: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """The job is done."""


Line = Fingerprint | Started | Recorded | Finished | End


class Reader:
    """Reads the lines of one process in their order.

    Attributes:
        fingerprint: the environment as seen from inside; None before that line.
        last: the cell that the latest line was about, as far as it told one.
    """

    def __init__(self, asked: Mapping[str, Cell | Operation]) -> None:
        self._asked = asked
        self._started: str | None = None
        self._entries: list[Entry] = []
        self._output: list[bytes] = []
        self._answered: set[str] = set()
        self._ended = False
        self.fingerprint: dict[str, Any] | None = None
        self.last: str | None = None

    def answered(self, cell_id: str) -> bool:
        """Whether a cell has ended."""
        return cell_id in self._answered

    def read(self, line: bytes) -> Line:
        """Read one line.

        Raises:
            BadLineError: not JSON, an unknown kind, out of order, what was not asked for, or a damaged result.
        """
        self.last = None
        try:
            return self._read(documents.read(line))
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError, IndexError) as error:
            raise BadLineError(f"not a line of the contract ({error}): {line[:80]!r}") from error

    def _read(self, document: dict[str, Any]) -> Line:
        kind, about = document["line"], document.get("id")
        self.last = about if isinstance(about, str) else None
        if self._ended:
            raise BadLineError(f"a line of the kind {kind!r} after the end")
        if (self.fingerprint is None) != (kind == "fingerprint"):
            raise BadLineError(
                f"a line of the kind {kind!r} {'before the' if self.fingerprint is None else 'after a'} fingerprint"
            )
        match kind:
            case "fingerprint":
                self.fingerprint = dict(document["fingerprint"])
                return Fingerprint(content=self.fingerprint)
            case "start":
                return self._start(self._asked[document["id"]].id)
            case "values":
                return self._values(document)
            case "output":
                return self._piece(document)
            case "cell" | "operation":
                return self._finish(kind, document)
            case "end":
                self._ended = True
                return End()
            case other:
                raise BadLineError(f"an unknown kind of line: {other!r}")

    def _start(self, cell_id: str) -> Started:
        if self._started is not None or cell_id in self._answered:
            raise BadLineError(f"{cell_id} starts {'a second time' if self._started is None else 'inside another'}")
        self._started, self._entries, self._output = cell_id, [], []
        return Started(id=cell_id)

    def _values(self, document: dict[str, Any]) -> Recorded:
        cell_id, step = self._current(document["id"]), document["step"]
        if not isinstance(step, int) or isinstance(step, bool):
            raise TypeError(f"step {step!r}")
        entries = tuple(_entry(step, value) for value in document["values"])
        self._entries += entries
        told = [value for value in document["values"] if len(value) > _TOLD]
        bits = {(step, value[0]): documents.base64(value[_TOLD]) for value in told}
        for name, _, _, _, digest, *_ in told:
            if isinstance(digest, str) and sha256(bits[step, name]).hexdigest() != digest:
                raise BadLineError(f"the bits of {name} are not those of its digest")
        return Recorded(id=cell_id, entries=entries, bits=bits)

    def _piece(self, document: dict[str, Any]) -> Recorded:
        """Keep a piece of what a command gives to be read; an empty one says that it is alive."""
        cell_id = self._current(document["id"])
        asked = self._asked[cell_id]
        if not isinstance(asked, Cell) or not asked.workload.command:
            raise BadLineError(f"output of {cell_id}, which is no command")
        self._output.append(documents.base64(document["data"]))
        return Recorded(id=cell_id, entries=())

    def _finish(self, kind: str, document: dict[str, Any]) -> Finished:
        asked = self._asked[self._current(document["id"])]
        if isinstance(asked, Operation) != (kind == "operation"):
            raise BadLineError(f"a line of the kind {kind} for {asked.id}")
        self._started = None
        self._answered.add(asked.id)
        outcome = Outcome(document["outcome"])
        if outcome not in _OUTCOMES:
            raise BadLineError(f"{asked.id} says that it is {outcome.value}, which is not its to say")
        if outcome is not Outcome.OK:
            reason = output.with_tail(str(document["reason"]), document.get("tail", ()))
            return Finished(id=asked.id, outcome=outcome, reason=reason[:_REASON])
        return _answer(document, asked) if isinstance(asked, Operation) else self._cell(document, asked)

    def _printed(self, document: dict[str, Any], cell: Cell, command: Command) -> Finished:
        """Return what a command gave: its numbers, or why there are none, with the last lines of its output."""
        try:
            read = output.read(b"".join(self._output), command, cell.workload)
            check(read.trajectory, read.steps, [each.name for each in read.trajectory.metrics])
        except (output.UnreadableError, ValueError) as error:
            reason = output.with_tail(str(error), document.get("tail", ()))
            return Finished(id=cell.id, outcome=Outcome.FAILED, reason=reason[:_REASON])
        return Finished(
            id=cell.id,
            outcome=Outcome.OK,
            reason=None,
            trajectory=read.trajectory,
            options=options_of(cell),
            read=read.said,
        )

    def _cell(self, document: dict[str, Any], cell: Cell) -> Finished:
        if cell.workload.command:
            return self._printed(document, cell, cell.workload.command)
        trajectory = Trajectory(
            columns=columns(self._entries),
            absent=_reasons(document.get("absent", {})),
            broken=_reasons(document.get("broken", {})),
        )
        check(trajectory, cell.steps, cell.workload.metrics)
        untraced = document.get("untraced", {})
        for column in trajectory.columns:
            if column.name in untraced:
                raise BadLineError(f"{column.name} is told, and is said to be untraced")
        return Finished(
            id=cell.id,
            outcome=Outcome.OK,
            reason=None,
            trajectory=trajectory,
            options=options_of(cell),
            untraced=_reasons(untraced),
        )

    def _current(self, cell_id: str) -> str:
        if cell_id != self._started:
            raise BadLineError(f"a result of {cell_id}, which is not under way")
        return cell_id


def _reasons(document: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted((str(name), str(reason)[:500]) for name, reason in document.items()))


def _entry(step: int, value: list[Any]) -> Entry:
    name, role, dtype, shape, told, *_ = value
    texts = (name, role, dtype)
    if not all(isinstance(text, str) for text in texts) or not isinstance(told, list | str):
        raise TypeError(f"a value {value!r}"[:200])
    if isinstance(told, list) and not all(isinstance(text, str) for text in told):
        raise TypeError(f"elements of {name} that are no texts")
    if not all(isinstance(size, int) and not isinstance(size, bool) for size in shape):
        raise TypeError(f"{name} has the shape {shape!r}")
    return step, name, role, dtype, tuple(shape), told


def _answer(document: dict[str, Any], asked: Operation) -> Finished:
    dtype = asked.cell.variant.dtype
    if document["operation"] != asked.name:
        raise BadLineError(f"{asked.id} answers as {document['operation']!r}")
    if document["dtype"] != dtype:
        raise BadLineError(f"{asked.id} answers in {document['dtype']}, asked for {dtype}")
    return Finished(
        id=asked.id,
        outcome=Outcome.OK,
        reason=None,
        options=options_of(asked.cell),
        outputs=outputs_of(document["outputs"], asked),
    )
