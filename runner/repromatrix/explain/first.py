"""Two cells that cannot be replayed -> the first value in which their traces differ, element by element."""

from collections.abc import Sequence
from dataclasses import dataclass

from repromatrix.compare.trace import Divergence, divergence
from repromatrix.execute.fetch import Fetching, Wanted
from repromatrix.execute.run import Execution
from repromatrix.plan import Cell
from repromatrix.results.trace import Trace


@dataclass(frozen=True, slots=True, kw_only=True)
class Traced:
    """Two cells with their traces."""

    a: Cell
    b: Cell
    of_a: Trace
    of_b: Trace


def first_differences(execution: Execution, pairs: Sequence[Traced]) -> tuple[Divergence, ...]:
    """Return where the traces of each pair differ first; bits that no trace has are fetched from the cells.

    Raises:
        NoEngineError: the engine is gone.
        EnvironmentFailedError: an environment cannot be had.
    """
    return tuple(_first(execution, pair) for pair in pairs)


def _first(execution: Execution, pair: Traced) -> Divergence:
    bits = execution.store.read_value
    found = divergence(pair.of_a, pair.of_b, bits)
    if found.point is None or found.point.a is not None:
        return found
    step, name = found.point.step, found.point.tensor
    Fetching(execution).run(
        [
            Wanted(cell=cell, trace=trace, step=step, name=name)
            for cell, trace in ((pair.a, pair.of_a), (pair.b, pair.of_b))
        ]
    )
    execution.store.seal()
    return divergence(pair.of_a, pair.of_b, bits)
