"""Pairs of cells -> studies: their records, traces and the replays that tell which operations differ on equal inputs.

All pairs go together, round by round, so that an environment starts a process a round and not one a pair: records,
traces, then steps and fresh inputs, then what was recorded at the places of both cells, given to both.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from repromatrix.execute.replay import Inputs, Replaying, Request
from repromatrix.execute.run import Execution
from repromatrix.execute.trace import Tracing
from repromatrix.explain import fresh
from repromatrix.explain.network import network, network_of
from repromatrix.operations import text
from repromatrix.operations.catalogue import PLACES, PRIMITIVES
from repromatrix.operations.wiring import Setup, inputs_at, step_sample
from repromatrix.plan import Cell
from repromatrix.results.record import Record
from repromatrix.results.replay import STEP, Origin, Replay, Sample, sample
from repromatrix.results.studies import End, Listing, Study, Testimony
from repromatrix.results.trace import Trace

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


class Studying:
    """Studies pairs of cells, and single ones, in the environments of an execution."""

    def __init__(self, execution: Execution) -> None:
        self._execution = execution
        self._replaying = Replaying(execution)
        self._records: dict[str, Record] = {}
        self._traces: dict[str, Trace] = {}
        self._silent: dict[str, str] = {}
        self._replays: dict[str, Replay] = {}
        # Many pairs share a cell, and what it recorded is the same for each of them.
        self._samples: dict[str, Inputs] = {}
        self._places: dict[tuple[str, str], tuple[tuple[str, Sample, Origin], ...]] = {}

    def pairs(self, pairs: Sequence[Pair]) -> tuple[Study, ...]:
        """Study pairs; one whose cells cannot be traced or replayed has a reason instead of an answer.

        Raises:
            NoEngineError: the engine is gone.
            ResultsError: a file cannot be written, or a newer release wrote it.
        """
        self._trace({cell.id: cell for pair in pairs for cell in (pair.left, pair.right)})
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
                found.append(Study(a=pair.a, b=pair.b, left=None, right=None, reason=reason))
                continue
            requests = recorded.get((pair.left.id, pair.right.id), ())
            left, right = (
                End(
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
            found.append(Study(a=pair.a, b=pair.b, left=left, right=right, reason=None))
        return tuple(found)

    def testimony(self, end: End) -> Testimony:
        """Return what was found for one end of a study that was made here, as the results folder has it too.

        Raises:
            KeyError: it was made elsewhere.
        """
        found = self._replays
        return Testimony(
            record=self._records[end.cell],
            trace=self._traces[end.cell],
            own=found[end.own],
            other=found[end.other],
            recorded={name: found[key] for name, key in end.recorded},
            fresh={name: found[key] for name, key in end.fresh},
        )

    def catalogue(self, cells: Iterable[Cell]) -> tuple[Listing, ...]:
        """Replay every primitive of cells on fresh inputs.

        Raises:
            NoEngineError: the engine is gone.
            ResultsError: a file cannot be written, or a newer release wrote it.
        """
        cells = tuple(cells)
        found = self._fresh(cells)
        return tuple(Listing(cell=c.id, environment=c.environment.name, fresh=found[c.id]) for c in cells)

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
            elif network(cells[name].workload) is None:
                self._silent[name] = f"{cells[name].workload.name} has no operations that could be computed alone"
            elif not {"hidden_weights", "output_weights"} <= set(trace.columns):
                self._silent[name] = f"the weights of {name} cannot be traced"
            else:
                self._traces[name] = trace

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
            Request(cell=cell, operation=STEP, inputs=self._steps_of(self._traces[of.id], of)) for cell, of in orders
        )

    def _steps_of(self, trace: Trace, cell: Cell) -> Inputs:
        if trace.key not in self._samples:
            steps = range(1, len(trace.trajectory.losses) + 1)
            samples = [sample(text.write(step_sample(trace, step, network_of(cell)))) for step in steps]
            self._samples[trace.key] = Inputs.steps(samples, (trace.cell.id, trace.key))
        return self._samples[trace.key]

    def _ends(self, pair: Pair, steps: Mapping[str, Replay]) -> list[tuple[Cell, Replay, Replay]]:
        left_own, left_other, right_own, right_other = (steps[request.id] for request in self._steps(pair))
        return [(pair.left, left_own, left_other), (pair.right, right_own, right_other)]

    def _fresh_requests(self, cells: Iterable[Cell]) -> list[Request]:
        return [
            Request(cell=cell, operation=primitive, inputs=fresh.inputs(primitive, cell.variant.dtype))
            for cell in cells
            for primitive in PRIMITIVES
        ]

    def _fresh(self, cells: Iterable[Cell]) -> dict[str, tuple[tuple[str, str], ...]]:
        requests = self._fresh_requests(cells)
        replays = self._round(requests)
        found: dict[str, list[tuple[str, str]]] = {}
        for request in requests:
            found.setdefault(request.cell.id, []).append((request.operation, replays[request.id].key))
        return {name: tuple(sorted(keys)) for name, keys in found.items()}

    def _recorded(self, pair: Pair, steps: Mapping[str, Replay]) -> Iterable[Request]:
        """Yield each primitive on what it took at its places in the steps of both cells, for both of them."""
        found: dict[str, dict[tuple[str, Sample], Origin]] = {}
        for cell, own, _ in self._ends(pair, steps):
            known = (cell.id, own.key)
            if known not in self._places:
                self._places[known] = tuple(self._taken(cell, own))
            for place, each, origin in self._places[known]:
                found.setdefault(PLACES[place].primitive, {}).setdefault((place, each), origin)
        for primitive in sorted(found):
            inputs = Inputs.recorded([each for _, each in found[primitive]], list(found[primitive].values()))
            for cell in (pair.left, pair.right):
                yield Request(cell=cell, operation=primitive, inputs=inputs)

    def _taken(self, cell: Cell, own: Replay) -> Iterable[tuple[str, Sample, Origin]]:
        setup = Setup(workload=network_of(cell), options=dict(own.options), dtype=cell.variant.dtype)
        trace = self._traces[cell.id]
        for step, outputs in enumerate(own.steps[:RECORDED], start=1):
            given = step_sample(trace, step, network_of(cell))
            for place in PLACES:
                inputs = inputs_at(place, given, outputs, setup)
                if inputs is not None:
                    yield place, sample(text.write(inputs)), Origin(cell=cell.id, place=place, step=step)
