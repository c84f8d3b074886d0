"""What a traced cell computed on the way, and its JSON form (schemas/trace.json, format 2).

A traced run is a run of its own: to ask for what lies between may change how a compiled step is fused.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from repromatrix.errors import ResultsError
from repromatrix.results import document as documents
from repromatrix.results.record import Description, Record, fields_of, refuse_other_format
from repromatrix.results.value import Column, Rows, Trajectory, by_name, check

FORMAT = 2
Steps = Rows


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """Every value of a traced cell.

    Attributes:
        key: SHA-256 over everything that can change the numbers, the tracing included.
        trajectory: what the traced run gave, step by step, in the order in which a step computes it.
        untraced: name -> why it could not be had without changing the computation.
    """

    cell: Description
    key: str
    trajectory: Trajectory
    untraced: tuple[tuple[str, str], ...]

    @property
    def columns(self) -> Mapping[str, Column]:
        """Its values by name, in the order in which a step computes them."""
        return by_name(self.trajectory)

    @property
    def tensors(self) -> tuple[tuple[str, Steps], ...]:
        """Name -> its elements at each step of the job, of the values that are told in full; laid flat, row by row."""
        found = []
        for each in self.trajectory.columns:
            rows = tuple(self._elements(each, row) for row in each.rows[: self.cell.steps])
            if None not in rows:
                found.append((each.name, tuple(row for row in rows if row is not None)))
        return tuple(found)

    def at(self, name: str, step: int) -> tuple[str, ...] | None:
        """Return the elements of a value at a step, laid flat row by row; None where they are not known."""
        column = next((each for each in self.trajectory.columns if each.name == name), None)
        row = None if column is None else column.row(step)
        return None if column is None or row is None else self._elements(column, row)

    def _elements(self, column: Column, row: tuple[str, ...]) -> tuple[str, ...] | None:
        return row if column.inline else None

    def shape(self, name: str) -> tuple[int, ...]:
        """Return the shape of a value; a number has none."""
        return self.columns[name].shape if name in self.columns else ()

    def tells_of(self, record: Record) -> bool:
        """Whether the traced run has the bits of the record: tracing a compiled step may change how it is fused."""
        own = _sorted(self.trajectory.untraced())
        return any(own == _sorted(each) for each in record.trajectories)


@dataclass(frozen=True, slots=True, kw_only=True)
class FullTrace(Trace):
    """A trace together with elements of its large values; the file has their digests only.

    Attributes:
        elements: the SHA-256 of a value's bits -> its elements as exact text, of those that are known.
    """

    elements: Mapping[str, tuple[str, ...]]

    def _elements(self, column: Column, row: tuple[str, ...]) -> tuple[str, ...] | None:
        return row if column.inline else self.elements.get(row[0])


def full(trace: Trace, elements: Mapping[str, tuple[str, ...]]) -> FullTrace:
    """Return a trace with elements of its large values."""
    return FullTrace(**fields_of(trace, Trace), elements=elements)


def _sorted(trajectory: Trajectory) -> list[Column]:
    return sorted(trajectory.columns, key=lambda each: each.name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Document(Trace):
    """A trace as it stands in a file."""

    format: int = FORMAT


def encode(trace: Trace) -> bytes:
    """Return the trace as canonical JSON: sorted keys, one trailing newline."""
    return documents.canonical(Document(**fields_of(trace, Trace)))


def decode(data: bytes, where: str) -> Trace:
    """Read a trace; `where` is its path in messages.

    Raises:
        ResultsError: damaged, or written by another release.
    """
    try:
        refuse_other_format(data, FORMAT, "a trace", where)
        found = documents.strict(data, Document)
        check(found.trajectory, found.cell.steps)
        twice = {name for name, _ in found.untraced} & set(found.columns)
        if twice:
            raise ValueError(f"{min(twice)} is traced, and not")  # noqa: TRY301 - one way out for all that is wrong
    except ValueError as error:
        raise ResultsError(
            f"not a readable trace ({error})",
            where=where,
            hint="delete that file and run again: repromatrix run --trace",
        ) from error
    return Trace(**fields_of(found, Trace))
