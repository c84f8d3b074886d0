"""Pairs of cells -> their records, traces, and the replays that tell which operations differ on the same inputs.

All pairs go together, round by round, so that an environment starts a process a round and not one a pair: records,
traces, then steps and fresh inputs, then what was recorded at the places of both cells, given to both.

A trace has large values by their digests only. Of such cells one step is replayed, the first in which the two part (the
first of all where they never do): for that step alone the bits are fetched.
"""

import base64
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from repromatrix.execute.fetch import Fetching, Wanted
from repromatrix.execute.replay import Inputs, Replaying, Request
from repromatrix.execute.run import Execution
from repromatrix.execute.trace import Tracing
from repromatrix.explain import fresh
from repromatrix.explain.first import Traced
from repromatrix.explain.start import graph_of, start_of
from repromatrix.graph import STEP, Place
from repromatrix.job import options_of
from repromatrix.matrix.modules import defines
from repromatrix.operations import text
from repromatrix.operations.catalogue import CATALOGUE
from repromatrix.operations.wiring import Start, inputs_at, step_sample, taken
from repromatrix.plan import Cell
from repromatrix.results.packed import unpack
from repromatrix.results.record import Record
from repromatrix.results.replay import Origin, Replay, Sample, sample
from repromatrix.results.replays import CellReplays, ListedCell, ReplayedCell, ReplayedPair
from repromatrix.results.trace import Trace, full
from repromatrix.results.value import Column

# Of longer runs the first steps: what an operation does on equal inputs does not hang on when they were met.
RECORDED = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Two cells to be told apart by their operations.

    Attributes:
        a: id of a cell that was asked for.
        b: the other's.
        left: the cell to replay for `a`, itself or another; of the same dtype as `right`.
        right: the one for `b`.
    """

    a: str
    b: str
    left: Cell
    right: Cell


class Replayer:
    """Replays pairs of cells, and single ones, in the environments of an execution."""

    def __init__(self, execution: Execution) -> None:
        self._execution = execution
        self._replaying = Replaying(execution)
        self._records: dict[str, Record] = {}
        self._traces: dict[str, Trace] = {}
        self._traced_only: dict[str, Trace] = {}  # of cells that are traced and cannot be replayed
        self._silent: dict[str, str] = {}
        self._replays: dict[str, Replay] = {}
        # Many pairs share a cell, and what it recorded is the same for each of them.
        self._samples: dict[tuple[str, range, str], Inputs] = {}
        self._starts: dict[str, Start] = {}
        self._windows: dict[tuple[str, str], range] = {}  # the steps to replay of two cells that both are not small
        self._places: dict[tuple[str, str], tuple[tuple[Place, Sample, Origin], ...]] = {}

    def pairs(self, pairs: Sequence[Pair]) -> tuple[ReplayedPair, ...]:
        """Replay pairs; one whose cells cannot be traced or replayed has a reason instead of an answer.

        Raises:
            NoEngineError: the engine is gone.
            ResultsError: a file cannot be written, or a newer release wrote it.
        """
        self._trace({cell.id: cell for pair in pairs for cell in (pair.left, pair.right)})
        self._fetch([pair for pair in pairs if self._reason(pair) is None])
        able = [pair for pair in pairs if self._reason(pair) is None]
        cells = {cell.id: cell for pair in able for cell in (pair.left, pair.right)}
        # One round, so that an environment starts once for both.
        both = [*(request for pair in able for request in self._steps(pair)), *self._fresh_requests(cells.values())]
        steps = self._round(both)
        fresh_ones = self._fresh(cells.values())
        recorded: dict[tuple[str, str], tuple[Request, ...]] = {}
        for pair in able:
            if all(steps[request.id].ok for request in self._steps(pair)):
                recorded[pair.left.id, pair.right.id] = tuple(self._recorded(pair, steps))
        given = self._round([request for requests in recorded.values() for request in requests])
        found = []
        for pair in pairs:
            reason = self._reason(pair)
            if reason is not None:
                found.append(ReplayedPair(a=pair.a, b=pair.b, left=None, right=None, reason=reason))
                continue
            requests = recorded.get((pair.left.id, pair.right.id), ())
            left, right = (
                ReplayedCell(
                    cell=cell.id,
                    record=self._records[cell.id].key,
                    trace=self._traces[cell.id].key,
                    own=own.key,
                    other=other.key,
                    recorded=tuple(
                        (each.operation, given[each.id].key) for each in requests if each.cell.id == cell.id
                    ),
                    fresh=fresh_ones[cell.id],
                )
                for cell, own, other in self._ends(pair, steps)
            )
            found.append(ReplayedPair(a=pair.a, b=pair.b, left=left, right=right, reason=None))
        return tuple(found)

    def traced(self, pair: Pair) -> Traced | None:
        """Return the traces of two cells of which one cannot be replayed; None: both can, or one has none."""
        ids = (pair.left.id, pair.right.id)
        of_a, of_b = ((self._traced_only.get(name) or self._traces.get(name)) for name in ids)
        if not self._traced_only.keys() & {*ids}:
            return None
        return Traced(a=pair.left, b=pair.right, of_a=of_a, of_b=of_b) if of_a and of_b else None

    def replays_of(self, end: ReplayedCell) -> CellReplays:
        """Return what was found for one end of a replayed pair that was made here, as the results folder has it too.

        Raises:
            KeyError: it was made elsewhere.
        """
        found = self._replays
        return CellReplays(
            record=self._records[end.cell],
            trace=self._traces[end.cell],
            own=found[end.own],
            other=found[end.other],
            recorded={name: found[key] for name, key in end.recorded},
            fresh={name: found[key] for name, key in end.fresh},
        )

    def catalogue(self, cells: Iterable[Cell]) -> tuple[ListedCell, ...]:
        """Replay every operation of cells on fresh inputs.

        Raises:
            NoEngineError: the engine is gone.
            ResultsError: a file cannot be written, or a newer release wrote it.
        """
        cells = tuple(cells)
        found = self._fresh(cells)
        return tuple(ListedCell(cell=c.id, environment=c.environment.name, fresh=found[c.id]) for c in cells)

    def _trace(self, cells: Mapping[str, Cell]) -> None:
        """Give cells a record and a trace, or a reason why they have none that tells of it."""
        summary = self._execution.run(tuple(cells.values()))
        self._records = {record.cell.id: record for record in summary.records}
        traced = {each.id: each for each in Tracing(self._execution).run(tuple(cells.values()), summary.records)}
        for name, record in self._records.items():
            if name not in traced:
                self._silent[name] = f"{name} is {record.outcome.value}: {record.reason}"
                continue
            key, reason = traced[name].key, traced[name].reason
            trace = self._execution.store.read_trace(name, key) if key is not None else None
            if trace is None:
                self._silent[name] = f"{name} has no trace: {reason}"
            elif not trace.tells_of(record):
                self._silent[name] = f"tracing changes {name}, so its trace explains nothing"
            elif missing := _lacking(cells[name], trace):
                self._silent[name], self._traced_only[name] = missing, trace
            else:
                self._traces[name] = trace

    def _fetch(self, pairs: Sequence[Pair]) -> None:
        """Choose the steps to replay, and have the bits that their traces lack."""
        wanted: dict[tuple[str, int, str], Wanted] = {}
        for pair in pairs:
            a, b = (self._traces[cell.id] for cell in (pair.left, pair.right))
            window = range(1, len(a.trajectory.losses) + 1)
            if not all(_is_small(cell, self._traces[cell.id]) for cell in (pair.left, pair.right)):
                window = range(step := _parted(a, b), step + 1)
            self._windows[pair.left.id, pair.right.id] = window
            for cell in (pair.left, pair.right):
                trace, start = self._traces[cell.id], self._start(cell)
                for name, step in (each for at in window for each in taken(trace, at, start)):
                    if trace.at(name, step) is None:
                        wanted[cell.id, step, name] = Wanted(cell=cell, trace=trace, step=step, name=name)
        read = self._execution.store.read_value
        missing = [each for each in wanted.values() if read(_digest(each)) is None]
        reasons = Fetching(self._execution).run(missing) if missing else {}
        elements: dict[str, dict[str, tuple[str, ...]]] = {}
        for each in wanted.values():
            bits = read(_digest(each))
            if bits is not None:
                texts = unpack(base64.b64encode(bits).decode(), each.trace.columns[each.name].dtype)
                elements.setdefault(each.cell.id, {})[_digest(each)] = texts
        for name, known in elements.items():
            self._traces[name] = full(self._traces[name], known)
        for name, reason in reasons.items():
            self._silent[name] = f"{name} cannot be replayed: {reason}"

    def _reason(self, pair: Pair) -> str | None:
        reasons = (self._silent.get(cell.id) for cell in (pair.left, pair.right))
        return "; ".join(dict.fromkeys(each for each in reasons if each)) or None

    def _round(self, requests: Sequence[Request]) -> dict[str, Replay]:
        """Return what came of requests, by their ids."""
        found = self._replaying.run(requests)
        self._replays |= {replay.key: replay for replay in found}
        return dict(zip((each.id for each in requests), found, strict=True))

    def _steps(self, pair: Pair) -> tuple[Request, ...]:
        """Return the four replays of whole steps: left of left, left of right, right of right, right of left."""
        left, right = pair.left, pair.right
        orders = ((left, left), (left, right), (right, right), (right, left))
        return tuple(
            Request(
                cell=cell,
                graph=graph_of(cell),
                operation=STEP,
                inputs=self._steps_of(of, cell, self._windows[left.id, right.id]),
            )
            for cell, of in orders
        )

    def _steps_of(self, of: Cell, cell: Cell, window: range) -> Inputs:
        """Return the steps of a cell's trace for a cell to compute again.

        State that only the other one has, another optimizer's for instance, is that of its own trace.
        """
        trace, start = self._traces[of.id], self._start(of)
        lacking = [name for name in self._start(cell).state if name not in start.state]
        known = trace.key, window, self._traces[cell.id].key if lacking else ""
        if known not in self._samples:
            samples = []
            for step in window:
                own = step_sample(self._traces[cell.id], step, self._start(cell)) if lacking else {}
                given = step_sample(trace, step, start) | {name: own[name] for name in lacking}
                samples.append(sample(text.write(given)))
            self._samples[known] = Inputs.steps(samples, (trace.cell.id, trace.key), window.start)
        return self._samples[known]

    def _start(self, cell: Cell) -> Start:
        if cell.id not in self._starts:
            self._starts[cell.id] = start_of(cell)
        return self._starts[cell.id]

    def _ends(self, pair: Pair, steps: Mapping[str, Replay]) -> list[tuple[Cell, Replay, Replay]]:
        left_own, left_other, right_own, right_other = (steps[request.id] for request in self._steps(pair))
        return [(pair.left, left_own, left_other), (pair.right, right_own, right_other)]

    def _fresh_requests(self, cells: Iterable[Cell]) -> list[Request]:
        return [
            Request(
                cell=cell, graph=graph_of(cell), operation=operation, inputs=fresh.inputs(operation, cell.variant.dtype)
            )
            for cell in cells
            for operation in CATALOGUE
            if operation in operations_of(cell)
        ]

    def _fresh(self, cells: Iterable[Cell]) -> dict[str, tuple[tuple[str, str], ...]]:
        requests = self._fresh_requests(cells)
        replays = self._round(requests)
        found: dict[str, list[tuple[str, str]]] = {}
        for request in requests:
            found.setdefault(request.cell.id, []).append((request.operation, replays[request.id].key))
        return {name: tuple(sorted(keys)) for name, keys in found.items()}

    def _recorded(self, pair: Pair, steps: Mapping[str, Replay]) -> Iterable[Request]:
        """Yield each operation on what it took at its places in both steps, for those of the cells that have it."""
        found: dict[str, dict[tuple[str, Sample], Origin]] = {}
        for cell, own, _ in self._ends(pair, steps):
            known = (cell.id, own.key)
            if known not in self._places:
                self._places[known] = tuple(self._taken(cell, own))
            for place, each, origin in self._places[known]:
                found.setdefault(place.operation, {}).setdefault((place.value, each), origin)
        for operation in sorted(found):
            inputs = Inputs.recorded([each for _, each in found[operation]], list(found[operation].values()))
            for cell in (pair.left, pair.right):
                if operation in operations_of(cell):
                    yield Request(cell=cell, graph=graph_of(cell), operation=operation, inputs=inputs)

    def _taken(self, cell: Cell, own: Replay) -> Iterable[tuple[Place, Sample, Origin]]:
        start, trace = self._start(cell), self._traces[cell.id]
        for step, outputs in enumerate(own.steps[:RECORDED], start=own.begin or 1):
            given = step_sample(trace, step, start)
            for place in own.places:
                inputs = inputs_at(place, given, outputs, start.shapes)
                if inputs is not None:
                    yield place, sample(text.write(inputs)), Origin(cell=cell.id, place=place.value, step=step)


def operations_of(cell: Cell) -> frozenset[str]:
    """Return the operations that a cell's step is made of."""
    return frozenset(place.operation for place in graph_of(cell).places(dict(options_of(cell))))


def _lacking(cell: Cell, trace: Trace) -> str | None:
    """Return why a cell's step cannot be taken apart, or None."""
    if cell.workload.graph is None:
        return f"the workload {cell.workload.name} has no graph of its step"
    module = f"{cell.environment.framework}.py"
    if not defines(cell.workload.modules(cell.environment.framework).get(module, ""), "operations"):
        return f"{module} of {cell.workload.name} has no function operations(task)"
    for name in cell.workload.graph.state(dict(options_of(cell))):
        if name not in trace.columns:
            return f"{name} of {cell.id} is not traced, so its step cannot be replayed"
    return None


def _is_small(cell: Cell, trace: Trace) -> bool:
    """Whether a trace has all elements of what each step begins with."""
    return all(trace.columns[name].inline for name in graph_of(cell).state(dict(options_of(cell))))


def _parted(a: Trace, b: Trace) -> int:
    """Return the first step in which two traces differ in a value that both have; 1 where none does."""
    found = (
        min((step for step, row in rows(one) if dict(rows(other)).get(step, row) != row), default=None)
        for name, one in a.columns.items()
        if (other := b.columns.get(name)) is not None
    )
    steps = len(a.trajectory.losses)
    return min((step for step in found if step is not None and step <= steps), default=1)


def rows(column: Column) -> list[tuple[int, tuple[str, ...]]]:
    """Return what a column tells of each step."""
    return list(zip(column.at, column.rows, strict=True))


def _digest(wanted: Wanted) -> str:
    column = wanted.trace.columns[wanted.name]
    return column.rows[column.at.index(wanted.step)][0]
