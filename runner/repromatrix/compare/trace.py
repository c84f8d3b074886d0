"""Two traces -> where they part: the first step, tensor and element whose bits differ, and by how much. Exact, pure.

Within a step the tensors come in the order in which it computes them, so the first that differs is the one in which the
difference arises, unless one before it was not traced; such are named.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TypeAlias

from repromatrix.compare import exact
from repromatrix.compare.classes import Class
from repromatrix.compare.rules import NOT_STATED, factors_of
from repromatrix.floats import FORMS, at, coarser, ordinal
from repromatrix.results.record import Record
from repromatrix.results.trace import Trace
from repromatrix.results.value import Column, first_difference

# Gives the bits of a value by their SHA-256; None: nobody asked for them.
Bits: TypeAlias = Callable[[str], bytes | None]
# Name -> step -> what is told of a value.
Read: TypeAlias = Mapping[str, Mapping[int, tuple[str, ...]]]


def no_bits(_: str) -> bytes | None:
    """Give nothing: only digests are known."""
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Value:
    """One float: exact as hexadecimal text, in as many decimal digits as tell it apart, and as its dtype's bits."""

    hexadecimal: str
    decimal: str
    bits: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """The first value whose bits differ, and its first element that does.

    Attributes:
        step: from 1; one more than the steps of the cells: an output computed after the last update.
        tensor: the value's name.
        index: the element's place; empty for a number, and where only digests are known.
        a: the one's element; None where only the digests of the whole values are known.
        b: the other's, likewise.
        ulps: how many values of `ulp_dtype` the two lie apart; None if one of them is not finite, or not known.
    """

    step: int
    tensor: str
    index: tuple[int, ...]
    a: Value | None
    b: Value | None
    ulps: int | None
    ulp_dtype: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Divergence:
    """Where the traces of two cells part.

    Attributes:
        a: a cell's id.
        b: the other's.
        point: where; None: the same bits in every tensor of every step that both have, or no answer.
        steps: how many steps both have; 0 without an answer.
        tensors: the names of the tensors that both have, in order.
        reason: why there is no answer, else None.
        caveats: what was not compared, and what else to beware of, in words.
    """

    workload: str
    a: str
    b: str
    point: Point | None
    steps: int
    tensors: tuple[str, ...]
    reason: str | None
    caveats: tuple[str, ...]

    @property
    def same(self) -> bool:
        """Whether every traced tensor has the same bits."""
        return self.reason is None and self.point is None


def divergence(a: Trace, b: Trace, bits: Bits = no_bits) -> Divergence:
    """Find where two traces part; of two dtypes, where they part after rounding to the coarser.

    Args:
        a: a trace.
        b: the other.
        bits: gives the bits of a large value by their digest, where they are known.
    """
    dtype = None if a.cell.dtype == b.cell.dtype else coarser(a.cell.dtype, b.cell.dtype)
    left, right = _read(a, dtype), _read(b, dtype)
    names = tuple(name for name in left if name in right)
    steps = min(a.cell.steps, b.cell.steps)
    reason = _incomparable(a, b)
    if reason is None and not names:
        reason = "they have no traced tensor in common"
    if reason is not None:
        return _unanswered(a.cell.workload, a.cell.id, b.cell.id, reason)
    compared = [(step, name) for step in range(1, steps + 1) for name in names]
    if a.cell.steps == b.cell.steps:  # what both computed after the last update
        compared += [(steps + 1, name) for name in names if steps + 1 in left[name] and steps + 1 in right[name]]
    parted = ((step, name) for step, name in compared if left[name].get(step) != right[name].get(step))
    found = next(parted, None)
    return Divergence(
        workload=a.cell.workload,
        a=a.cell.id,
        b=b.cell.id,
        point=_point(a, b, found, (left, right), bits) if found else None,
        steps=steps,
        tensors=names,
        reason=None,
        caveats=tuple(_caveats(a, b)),
    )


def divergences(
    classes: Iterable[Class], records: Iterable[Record], traces: Mapping[str, Trace], bits: Bits = no_bits
) -> tuple[Divergence, ...]:
    """Compare, for each dtype of each workload, each class with the one most like it, and within a class its states.

    Most like it is the class that has a cell with the fewest differing factors (`rules.factors_of`) beside a cell of
    this one; of equals the larger class, then the first cells. Those two cells speak for their classes, and only cells
    whose trace tells of their record may; without such a cell a class's first cell stands for it, and the answer is a
    reason. No two classes are compared twice; `a` is of the larger one.

    Args:
        classes: of all workloads, the largest of each first.
        records: the records of their cells.
        traces: by cell id; none at all gives no divergence.
        bits: gives the bits of a large value by their digest, where they are known.
    """
    if not traces:
        return ()
    speakers = _Speakers({each.cell.id: each for each in records}, traces, bits)
    classes = tuple(classes)
    groups: dict[tuple[str, str], list[list[str]]] = {}
    for each in classes:
        for dtype in each.dtypes:
            groups.setdefault((each.workload, dtype), []).append(speakers.of_dtype(each.cells, dtype))
    found = []
    for (workload, _), members in groups.items():
        for a, b in speakers.most_alike(members):
            found.append(speakers.compare(workload, [a], [b]))
    for each in classes:
        found += [speakers.compare(each.workload, each.states[0], state) for state in each.states[1:]]
    return tuple(found)


@dataclass(frozen=True, slots=True, kw_only=True)
class Representative:
    """The trace that speaks for cells of a class with one dtype and the same weights at the end.

    Attributes:
        of: the class's name.
        cells: those that it speaks for.
    """

    workload: str
    of: str
    cells: tuple[str, ...]
    trace: Trace


def representatives(
    classes: Iterable[Class], records: Iterable[Record], traces: Mapping[str, Trace]
) -> tuple[Representative, ...]:
    """Return who speaks for each class, state by state and dtype by dtype, as far as there is a trace that may."""
    speakers = _Speakers({each.cell.id: each for each in records}, traces)
    found = []
    for each in classes:
        for state in each.states:
            for dtype in each.dtypes:
                cells = speakers.of_dtype(state, dtype)
                trace = speakers.speaker(cells)
                if trace is not None:
                    found.append(Representative(workload=each.workload, of=each.name, cells=tuple(cells), trace=trace))
    return tuple(found)


class _Speakers:
    """The cells whose traces speak for groups of cells with the same bits."""

    def __init__(self, records: Mapping[str, Record], traces: Mapping[str, Trace], bits: Bits = no_bits) -> None:
        self._bits = bits
        self._records = records
        self._traces = traces
        self._known: dict[str, dict[str, str]] = {}

    def of_dtype(self, cells: Iterable[str], dtype: str) -> list[str]:
        return [each for each in cells if self._records[each].cell.dtype == dtype]

    def compare(self, workload: str, first: Sequence[str], other: Sequence[str]) -> Divergence:
        a, b = self.speaker(first), self.speaker(other)
        if a is not None and b is not None:
            return divergence(a, b, self._bits)
        silent = "; ".join(self._silence(cells[0]) for cells, trace in ((first, a), (other, b)) if trace is None)
        return _unanswered(workload, a.cell.id if a else first[0], b.cell.id if b else other[0], silent)

    def speaker(self, cells: Iterable[str]) -> Trace | None:
        traced = ((self._records[each], self._traces.get(each)) for each in cells)
        return next((trace for record, trace in traced if trace and trace.tells_of(record)), None)

    def most_alike(self, groups: Sequence[Sequence[str]]) -> list[tuple[str, str]]:
        """Return a cell of each group with the most similar one of the others; the earlier group's cell first."""
        may = [[name for name in cells if self.speaker([name])] or [cells[0]] for cells in groups]
        nearest: dict[tuple[int, int], tuple[int, str, str]] = {}
        for (i, left), (j, right) in combinations(enumerate(may), 2):
            nearest[i, j] = min(((self._apart(a, b), a, b) for a in left for b in right), key=lambda each: each[0])
        chosen: dict[tuple[int, int], None] = {}
        for place in range(len(groups)):
            own = [pair for pair in nearest if place in pair]
            if own:
                chosen[min(own, key=lambda pair: (nearest[pair][0], sum(pair) - place))] = None
        return [nearest[pair][1:] for pair in chosen]

    def _apart(self, a: str, b: str) -> int:
        one, other = (self._factors(each) for each in (a, b))
        return sum(one.get(name, NOT_STATED) != other.get(name, NOT_STATED) for name in one.keys() | other.keys())

    def _factors(self, cell_id: str) -> dict[str, str]:
        if cell_id not in self._known:
            self._known[cell_id] = factors_of(self._records[cell_id])
        return self._known[cell_id]

    def _silence(self, cell_id: str) -> str:
        if cell_id in self._traces:
            return f"tracing changes {cell_id}, so its trace explains nothing"
        return f"{cell_id} has no trace"


def _incomparable(a: Trace, b: Trace) -> str | None:
    if a.cell.workload != b.cell.workload:
        return f"workload {a.cell.workload} against {b.cell.workload}"
    if a.cell.task != b.cell.task:
        return f"the workload {a.cell.workload} was edited between the two: its inputs or metrics are others"
    left, right = a.columns, b.columns
    shapes = next((name for name in left if name in right and left[name].shape != right[name].shape), None)
    return f"{shapes} has another shape in each" if shapes else None


def _unanswered(workload: str, a: str, b: str, reason: str) -> Divergence:
    return Divergence(workload=workload, a=a, b=b, point=None, steps=0, tensors=(), reason=reason, caveats=())


def _read(trace: Trace, dtype: str | None) -> Read:
    """Return name -> step -> what is told of it; equal texts are equal bits: NaN is one value, -0.0 is not 0.0.

    Rounded to a dtype, where one is given: then only what is told in full, also of the cell of that dtype, since it may
    have values of a finer one.
    """
    return {
        column.name: dict(
            zip(
                column.at,
                column.rows if dtype is None else (tuple(_nearest(text, dtype) for text in row) for row in column.rows),
                strict=True,
            )
        )
        for column in trace.trajectory.columns
        if dtype is None or (column.inline and column.dtype in FORMS)
    }


def _nearest(text: str, dtype: str) -> str:
    value = float.fromhex(text)
    return text if math.isnan(value) else math.copysign(at(ordinal(value, dtype), dtype), value).hex()


def _point(
    a: Trace,
    b: Trace,
    found: tuple[int, str],
    read: tuple[Read, Read],
    bits: Bits,
) -> Point:
    (step, name), (left, right) = found, read
    columns = a.columns[name], b.columns[name]
    dtype = coarser(a.cell.dtype, b.cell.dtype)
    rows = [dict(zip(each.at, each.rows, strict=True)).get(step, ()) for each in columns]
    told = all(each.inline and each.dtype in FORMS for each in columns) and all(rows)
    if told:
        pairs = zip(left[name][step], right[name][step], strict=True)
        place = next(place for place, pair in enumerate(pairs) if pair[0] != pair[1])
        parted: tuple[int, str, str] | None = (place, rows[0][place], rows[1][place])
    else:
        parted = _fetched(columns, rows, bits)
    if parted is None:
        return Point(step=step, tensor=name, index=(), a=None, b=None, ulps=None, ulp_dtype=dtype)
    place, one, other = parted
    return Point(
        step=step,
        tensor=name,
        index=index_of(place, columns[0].shape),
        a=value_of(one, columns[0].dtype),
        b=value_of(other, columns[1].dtype),
        ulps=exact.ulps(float.fromhex(one), float.fromhex(other), dtype),
        ulp_dtype=dtype,
    )


def _fetched(
    columns: tuple[Column, Column], rows: Sequence[tuple[str, ...]], bits: Bits
) -> tuple[int, str, str] | None:
    """Return the first element that differs in two values whose bits were fetched, None where they were not."""
    if columns[0].dtype != columns[1].dtype or columns[0].dtype not in FORMS or not all(rows):
        return None
    one, other = (bits(row[0]) for row in rows)
    return None if one is None or other is None else first_difference(one, other, columns[0].dtype)


def index_of(place: int, shape: Sequence[int]) -> tuple[int, ...]:
    """Return the index of an element that stands at a place when the tensor is laid flat, row by row."""
    index = []
    for size in reversed(shape):
        place, rest = divmod(place, size)
        index.append(rest)
    return tuple(reversed(index))


def value_of(text: str, dtype: str) -> Value:
    """Return a float of `dtype` that stands as hexadecimal text in the three ways in which it is shown."""
    value = float.fromhex(text)
    return Value(hexadecimal=text, decimal=f"{value:.{FORMS[dtype].digits}g}", bits=exact.pattern(value, dtype))


def _caveats(a: Trace, b: Trace) -> Iterable[str]:
    steps = [each.cell.steps for each in (a, b)]
    if steps[0] != steps[1]:
        yield f"{steps[0]} steps against {steps[1]}: those that both have are compared"
    if a.cell.dtype != b.cell.dtype:
        dtype = coarser(a.cell.dtype, b.cell.dtype)
        yield f"{a.cell.dtype} against {b.cell.dtype}: values are compared after rounding to {dtype}"
        large = [each.name for each in a.trajectory.columns if not each.inline]
        if large:
            yield f"known by their digests alone, so not compared across dtypes: {', '.join(large)}"
    reasons: dict[str, list[str]] = {}
    for each in (a, b):
        for name, reason in each.untraced:
            reasons.setdefault(f"{each.cell.id}: {reason}", []).append(name)
    for reason, missing in reasons.items():
        yield f"not traced, so not compared: {', '.join(missing)} ({reason})"
