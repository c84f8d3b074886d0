"""Operations of cells on inputs of their own -> replays in the store; a failure is a value, as with cells.

What shares environment, device and settings runs in one process. A replay is asked for once: its key holds everything
that can change its numbers, the inputs included.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from repromatrix.errors import EnvironmentFailedError, NewerFormatError, ResultsError
from repromatrix.execute.lines import Finished
from repromatrix.execute.records import describe
from repromatrix.execute.run import Batch, Execution, batches_of
from repromatrix.execute.work import Work
from repromatrix.graph import STEP, Graph, Place, alone
from repromatrix.images.uses import using
from repromatrix.job import options_of
from repromatrix.plan import Cell, Operation
from repromatrix.results.record import Outcome
from repromatrix.results.replay import Origin, Replay, Sample, digest

# What is kept from an earlier run: an answer. A failure is asked again.
_ANSWERS = frozenset({Outcome.OK, Outcome.UNAVAILABLE})


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """What an operation is computed on.

    Attributes:
        make: gives the samples; many are not needed where there is an answer already.
        digest: SHA-256 over the samples.
        origins: where each was recorded; empty for a step, and for fresh ones.
        trace: id and key of the trace whose steps they are, else None.
        begin: the first of these steps, from 1.
        seed: of the generator of fresh ones, else None.
    """

    make: Callable[[], tuple[Sample, ...]]
    digest: str
    origins: tuple[Origin, ...] = ()
    trace: tuple[str, str] | None = None
    begin: int | None = None
    seed: int | None = None

    @classmethod
    def recorded(cls, samples: Sequence[Sample], origins: Sequence[Origin]) -> "Inputs":
        """Return what was recorded at the places of traced cells."""
        return cls(make=lambda: tuple(samples), digest=digest(samples), origins=tuple(origins))

    @classmethod
    def steps(cls, samples: Sequence[Sample], trace: tuple[str, str], begin: int = 1) -> "Inputs":
        """Return steps of a trace, given by the cell's id and the trace's key, from one on."""
        return cls(make=lambda: tuple(samples), digest=digest(samples), trace=trace, begin=begin)

    @classmethod
    def fresh(cls, make: Callable[[], tuple[Sample, ...]], found: str, seed: int) -> "Inputs":
        """Return what a generator gives, and the digest of that."""
        return cls(make=make, digest=found, seed=seed)


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """An operation of a cell, and what it is to be computed on; `graph` is the step of the cell's workload."""

    cell: Cell
    graph: Graph
    operation: str
    inputs: Inputs

    @property
    def places(self) -> tuple[Place, ...]:
        """What is computed from what."""
        return self.graph.places(dict(options_of(self.cell))) if self.operation == STEP else alone(self.operation)

    @property
    def numbers(self) -> tuple[tuple[str, str], ...]:
        """The numbers of the workload that the operation takes, by its own names for them, as decimal text."""
        told = dict(self.cell.workload.numbers)
        taken = self.graph.numbers(self.operation, dict(options_of(self.cell)))
        return tuple((name, told[number]) for name, number in taken.items())

    @property
    def id(self) -> str:
        """Equal ids, equal requests."""
        return self._operation([]).id

    @property
    def asked(self) -> Operation:
        """The operation as a job has it."""
        return self._operation([dict(each) for each in self.inputs.make()])

    def _operation(self, samples: Sequence[Mapping[str, Any]]) -> Operation:
        return Operation(
            cell=self.cell, name=self.operation, inputs=self.inputs.digest, places=self.places, samples=samples
        )


class Replaying:
    """Replays operations in the environments of an execution."""

    def __init__(self, execution: Execution) -> None:
        self._execution = execution
        self._found: dict[str, Replay] = {}

    def run(self, requests: Sequence[Request]) -> tuple[Replay, ...]:
        """Answer each request, from the store or by running it; in their order.

        Raises:
            NoEngineError: the engine is gone.
            ResultsError: a replay cannot be written, or a newer release wrote it.
        """
        todo = {each.id: each for each in requests if each.id not in self._found and not self._answered(each)}
        by_cell: dict[str, list[Request]] = {}
        for request in todo.values():
            by_cell.setdefault(request.cell.id, []).append(request)
        batches = batches_of([asked[0].cell for asked in by_cell.values()])
        with using(batch.environment.name for batch in batches):
            self._execution.perform(
                self._work(batch, [each for cell in batch.cells for each in by_cell[cell.id]]) for batch in batches
            )
        return tuple(self._found[each.id] for each in requests)

    def _key(self, request: Request) -> str:
        question = [self._execution.key(request.cell, trace=True), request.operation, request.inputs.digest]
        question += [repr(place) for place in request.places] if request.operation == STEP else []
        return sha256("\0".join(question).encode()).hexdigest()

    def _answered(self, request: Request) -> bool:
        try:
            found = self._execution.store.read_replay(request.cell.id, self._key(request))
        except NewerFormatError:
            raise
        except EnvironmentFailedError as error:
            self._give_up(request, f"its environment could not be made: {error.what}")
            return True
        except ResultsError as error:
            self._execution.listener.unreadable(request.cell.id, error)
            return False
        if found is None or found.outcome not in _ANSWERS:
            return False
        self._found[request.id] = found
        return True

    def _work(self, batch: Batch, asked: Sequence[Request]) -> Work:
        execution = self._execution
        requests = {each.id: each for each in asked}

        def heard(_: Work, finished: Finished) -> None:
            execution.listener.repeat(finished.id, finished.outcome)
            self._keep(requests[finished.id], finished)

        def failed(_: Work, error: EnvironmentFailedError) -> None:
            for request in asked:
                self._give_up(request, f"its environment could not be made: {error.what}")

        return Work(
            asked=[each.asked for each in asked],
            log=batch.log(execution.store, "replay"),
            limits=execution.limits_of(batch.cells[0]),
            heard=heard,
            failed=failed,
        )

    def _give_up(self, request: Request, reason: str) -> None:
        """Keep that there is no answer, under a key of its own: what cannot be made has no digest."""
        key = sha256(f"{request.id}\0{reason}".encode()).hexdigest()
        self._keep(request, Finished(id=request.id, outcome=Outcome.FAILED, reason=reason), key)

    def _keep(self, request: Request, finished: Finished, key: str | None = None) -> None:
        inputs = request.inputs
        replay = Replay(
            cell=describe(request.cell),
            key=key or self._key(request),
            operation=request.operation,
            inputs=inputs.digest,
            places=request.places if request.operation == STEP else (),
            numbers=request.numbers,
            trace=inputs.trace,
            begin=inputs.begin,
            origins=inputs.origins,
            samples=inputs.make() if inputs.origins else (),
            seed=inputs.seed,
            outcome=finished.outcome,
            reason=finished.reason,
            options=finished.options,
            outputs=finished.outputs or (),
        )
        self._execution.store.write_replay(replay)
        self._found[request.id] = replay
