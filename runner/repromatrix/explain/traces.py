"""Traces against cells, many at once: rounds of steps to be computed again, until each trace is explained.

It runs nothing itself: whoever asks says how the steps of a cell, with some of its options flipped, are computed.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from repromatrix.explain.judge.sites import (
    Flips,
    Outputs,
    Task,
    TraceExplanation,
    Tried,
    detected,
    explanation_of,
    samples,
    to_try,
    tried,
)
from repromatrix.operations.wiring import Given
from repromatrix.results.trace import Trace


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A trace to be explained by a cell.

    Attributes:
        a: the cell's own trace.
        b: the other, of which only its values are known.
        task: what the cell was asked to do.
        values: option -> all values that the cell's framework has; `dtype` is one of them.
    """

    a: Trace
    b: Trace
    task: Task
    values: Mapping[str, Sequence[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Steps:
    """The steps of a trace, to be computed by a cell with options flipped.

    Attributes:
        case: whose cell.
        of: the trace.
        samples: what each step is given.
    """

    case: str
    flips: Flips
    of: Trace
    samples: Sequence[Given]


# Gives for each what `step` gave, in their order; None where it cannot be computed apart.
Compute: TypeAlias = Callable[[Sequence[Steps]], Sequence[Outputs | None]]


def explained(cases: Mapping[str, Case], compute: Compute) -> dict[str, TraceExplanation]:
    """Return what makes each trace differ from its cell, by the name of the case.

    Args:
        cases: by name.
        compute: computes the steps of a round, all cases' together.
    """
    differing = {name: case for name, case in cases.items() if detected(case.a, case.b)}
    asked: dict[str, dict[Flips, Tried]] = {name: {} for name in differing}
    mine = [each for name, case in differing.items() if (each := _of(name, case, (), case.a)) is not None]
    own: dict[str, Outputs | None] = {}
    while True:
        wanted: list[Steps] = []
        todo = {name: to_try(asked[name], case.values, case.task) for name, case in differing.items()}
        for name, case in differing.items():
            for flips in todo[name]:
                steps = _of(name, case, flips, case.b)
                if steps is None:
                    asked[name][flips] = tried(case.b, None, case.task, same=False)
                else:
                    wanted.append(steps)
        if not any(todo.values()):
            break
        outputs = list(compute([*mine, *wanted]))
        own |= dict(zip((each.case for each in mine), outputs, strict=False))
        for each, found in zip(wanted, outputs[len(mine) :], strict=True):
            case = differing[each.case]
            asked[each.case][each.flips] = tried(case.b, found, case.task, same=False)
        mine = []  # once is enough
    return {
        name: explanation_of(case.a, case.b, asked.get(name, {}), case.task, own.get(name))
        for name, case in cases.items()
    }


def _of(name: str, case: Case, flips: Flips, of: Trace) -> Steps | None:
    """Return the steps of a trace; None: it lacks what a step of such a cell begins with."""
    try:
        return Steps(case=name, flips=flips, of=of, samples=samples(case.a, of, case.task, flips))
    except KeyError:
        return None
