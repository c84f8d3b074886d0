"""Two traced cells -> the first value in which they differ; its bits are run for where no trace has them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

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
    """Return where the traces of each pair differ first; why bits could not be had is among its caveats.

    Raises:
        NoEngineError: the engine is gone.
    """
    return tuple(_first(execution, pair) for pair in pairs)


def _first(execution: Execution, pair: Traced) -> Divergence:
    found = divergence(pair.of_a, pair.of_b, execution.store.read_value)
    if not is_unseen(found):
        return found
    found, reasons = with_bits(execution, pair, found)
    return replace(found, caveats=(*found.caveats, *(f"{name}: {reason}" for name, reason in reasons.items())))


def is_unseen(found: Divergence) -> bool:
    """Whether two values part of which only the digests are known."""
    return found.point is not None and found.point.a is None


def with_bits(execution: Execution, pair: Traced, found: Divergence) -> tuple[Divergence, Mapping[str, str]]:
    """Run both cells once more for the bits of the value in which they part, and look again.

    Returns:
        where they part, and by cell why its bits could not be had.

    Raises:
        NoEngineError: the engine is gone.
    """
    assert found.point is not None  # noqa: S101 - `is_unseen` has looked
    step, name = found.point.step, found.point.tensor
    sides = ((pair.a, pair.of_a), (pair.b, pair.of_b))
    wanted = [Wanted(cell=cell, trace=trace, step=step, name=name) for cell, trace in sides]
    reasons = Fetching(execution).run(wanted)
    execution.store.seal()
    return divergence(pair.of_a, pair.of_b, execution.store.read_value), reasons
