"""Cells that ran well -> their traces in the store: each of them runs once more, traced, in batches of their own.

What goes wrong here is told and costs only the trace: the records are there already.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from repromatrix.errors import EnvironmentFailedError, NewerFormatError, ResultsError
from repromatrix.execute.lines import Finished
from repromatrix.execute.records import describe
from repromatrix.execute.run import Batch, Execution, batches_of
from repromatrix.execute.work import Work
from repromatrix.images.uses import using
from repromatrix.plan import Cell
from repromatrix.results.record import Outcome, Record
from repromatrix.results.trace import Trace


@dataclass(frozen=True, slots=True, kw_only=True)
class Traced:
    """What came of tracing a cell.

    Attributes:
        key: the key of its trace in the store, None without one.
        reason: why there is none, else None.
    """

    id: str
    key: str | None
    reason: str | None


class Tracing:
    """Traces cells in the environments of an execution.

    Attributes:
        held: cell id -> its trace, where they are to be held: of many cells they are large.
    """

    def __init__(self, execution: Execution, *, hold: bool = False) -> None:
        self._execution = execution
        self._hold = hold
        self.held: dict[str, Trace] = {}
        self._records: Mapping[str, Record] = {}
        self._traced: dict[str, Traced] = {}

    def run(self, cells: Sequence[Cell], records: Sequence[Record]) -> tuple[Traced, ...]:
        """Trace those of the cells whose record is `ok`, from the store or by running them; in the order of `cells`.

        Raises:
            NoEngineError: the engine is gone.
            ResultsError: a trace cannot be written, or a newer release wrote it.
        """
        self._records = {each.cell.id: each for each in records}
        fine = [cell for cell in cells if self._records[cell.id].outcome is Outcome.OK]
        batches = batches_of([cell for cell in fine if not self._answered(cell)])
        with using(batch.environment.name for batch in batches):
            self._execution.perform(map(self._work, batches))
        return tuple(self._traced[cell.id] for cell in fine)

    def _answered(self, cell: Cell) -> bool:
        try:
            found = self._execution.store.read_trace(cell.id, self._execution.key(cell, trace=True))
        except NewerFormatError:
            raise
        except ResultsError as error:
            self._execution.listener.unreadable(cell.id, error)
            return False
        if found is None:
            return False
        self._keep(found)
        return True

    def _work(self, batch: Batch) -> Work:
        execution, cells = self._execution, {cell.id: cell for cell in batch.cells}

        def heard(_: Work, finished: Finished) -> None:
            execution.listener.repeat(finished.id, finished.outcome)
            self._finished(cells[finished.id], finished)

        def failed(_: Work, error: EnvironmentFailedError) -> None:
            for cell in batch.cells:
                self._give_up(cell.id, f"its environment could not be made: {error.what}")

        return Work(
            asked=batch.cells,
            log=batch.log(execution.store, "trace"),
            limits=execution.limits_of(batch.cells[0]),
            heard=heard,
            failed=failed,
            trace=True,
        )

    def _finished(self, cell: Cell, finished: Finished) -> None:
        if finished.trajectory is None:
            self._give_up(cell.id, finished.reason or "it gave no trace")
            return
        trace = Trace(
            cell=describe(cell, finished.trajectory),
            key=self._execution.key(cell, trace=True),
            trajectory=finished.trajectory,
            untraced=finished.untraced,
        )
        self._execution.store.write_trace(trace)
        self._keep(trace)

    def _keep(self, trace: Trace) -> None:
        cell_id = trace.cell.id
        if self._hold:
            self.held[cell_id] = trace
        self._traced[cell_id] = Traced(id=cell_id, key=trace.key, reason=None)
        self._execution.listener.traced(cell_id, reason=None, changed=not trace.tells_of(self._records[cell_id]))

    def _give_up(self, cell_id: str, reason: str) -> None:
        self._traced[cell_id] = Traced(id=cell_id, key=None, reason=reason)
        self._execution.listener.traced(cell_id, reason=reason, changed=False)
