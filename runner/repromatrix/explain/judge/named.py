"""Which operations the replays of two cells name as what differs, without asking how they are computed. Pure.

An explanation is held against these: what they contradict is not said.
"""

from collections.abc import Mapping
from typing import Protocol

from repromatrix.explain.judge.sources import sources
from repromatrix.results.replay import Replay
from repromatrix.results.trace import Trace


class Side(Protocol):
    """What was replayed of one of two cells."""

    @property
    def trace(self) -> Trace:
        """Its trace."""

    @property
    def own(self) -> Replay:
        """Its steps, computed again operation by operation."""

    @property
    def recorded(self) -> Mapping[str, Replay]:
        """By operation, its replay on what was recorded of both cells."""


def named(a: Side, b: Side) -> tuple[str, ...]:
    """Return the operations that differ on the same inputs; none where a step cannot be taken apart."""
    if not (_apart(a) and _apart(b)):
        return ()
    both = ((name, replay, b.recorded[name]) for name, replay in a.recorded.items() if name in b.recorded)
    return tuple(name for name, one, other in both if one.ok and other.ok and one.values != other.values)


def _apart(side: Side) -> bool:
    """Whether the step can be computed operation by operation: its replay gives the trace back."""
    return side.own.ok and not sources(side.trace, side.own.steps)
