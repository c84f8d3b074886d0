"""The bits of values whose digests a trace has: the cell runs once more, traced, and sends them along.

A trace keeps digests of large values, so that it costs neither memory nor disk. Who wants to see the first element
that differs asks for the bits of that one value. They are kept only if they are those of the trace: what comes out
otherwise is not deterministic, and says nothing of the trace.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256

from repromatrix.errors import EnvironmentFailedError
from repromatrix.execute.lines import Finished
from repromatrix.execute.run import Execution, batches_of
from repromatrix.execute.work import Work
from repromatrix.images.uses import using
from repromatrix.plan import Cell
from repromatrix.results.trace import Trace
from repromatrix.results.value import first_values


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A value of a traced cell."""

    cell: Cell
    trace: Trace
    step: int
    name: str


class Fetching:
    """Fetches values in the environments of an execution."""

    def __init__(self, execution: Execution) -> None:
        self._execution = execution
        self._reasons: dict[str, str] = {}

    def run(self, wanted: Sequence[Wanted]) -> Mapping[str, str]:
        """Put the bits of values into the store, and return why that failed, by cell id.

        Raises:
            NoEngineError: the engine is gone.
            EnvironmentFailedError: an environment cannot be had.
        """
        self._reasons = {}
        by_cell: dict[str, list[Wanted]] = {}
        for each in wanted:
            by_cell.setdefault(each.cell.id, []).append(each)
        batches = batches_of([of_cell[0].cell for of_cell in by_cell.values()])
        for of_cell in by_cell.values():
            self._execution.key(of_cell[0].cell, trace=True)  # an environment that cannot be had ends it here
        with using(batch.environment.name for batch in batches):
            self._execution.perform(
                Work(
                    asked=batch.cells,
                    log=batch.log(self._execution.store, "fetch"),
                    limits=self._execution.limits_of(batch.cells[0]),
                    heard=lambda work, finished: self._heard(work, finished, by_cell[finished.id]),
                    failed=self._failed,
                    trace=True,
                    fetch={cell.id: [(each.step, each.name) for each in by_cell[cell.id]] for cell in batch.cells},
                )
                for batch in batches
            )
        return dict(self._reasons)

    def _failed(self, work: Work, error: EnvironmentFailedError) -> None:
        for asked in work.asked:
            self._reasons[asked.id] = f"its environment could not be made: {error.what}"

    def _heard(self, work: Work, finished: Finished, wanted: Sequence[Wanted]) -> None:
        sent = work.result.bits.get(finished.id, {})
        for each in wanted:
            reason = _lost(each, finished, sent.get((each.step, each.name)))
            if reason is not None:
                self._reasons[finished.id] = reason
                return
        for each in wanted:
            self._execution.store.write_value(sent[each.step, each.name])


def _lost(wanted: Wanted, finished: Finished, bits: bytes | None) -> str | None:
    """Return why what was sent is not the value of the trace, or None."""
    if finished.trajectory is None or bits is None:
        return finished.reason or f"it did not send {wanted.name} of step {wanted.step}"
    _, parted = next(first_values(wanted.trace.trajectory, finished.trajectory), ("", None))
    if parted is not None or sha256(bits).hexdigest() not in _digests(wanted):
        step = parted or wanted.step
        return f"it is not deterministic from step {step} on: a second traced run differs"
    return None


def _digests(wanted: Wanted) -> tuple[str, ...]:
    column = wanted.trace.columns[wanted.name]
    return dict(zip(column.at, column.rows, strict=True)).get(wanted.step, ())
