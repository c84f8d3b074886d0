"""A trace and what a cell makes of it step by step -> where it differs on the same inputs. Exact, pure.

The operation `step` (docs/architecture.md, the entrypoint contract) computes every tensor of a step from the tensors of
a trace, not from its own. So a tensor that differs here differs in its own operation, and in none before it. On a
cell's own trace nothing differs if what it traces can be computed apart; a fused step cannot.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from repromatrix.compare.trace import index_of
from repromatrix.results.trace import Trace


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """An element that differs though what it is computed from is the same.

    Attributes:
        step: from 1.
        tensor: a value of the step.
        element: its index, weights as `W[out][in]`; empty for the loss, a number.
        expected: what the trace has, as hexadecimal text.
        found: what the cell that replays it gives.
    """

    step: int
    tensor: str
    element: tuple[int, ...]
    expected: str
    found: str


def sources(trace: Trace, outputs: Sequence[Mapping[str, Sequence[str]]]) -> tuple[Source, ...]:
    """Return every element that differs, in the order in which the steps compute them.

    Args:
        trace: whose tensors were given.
        outputs: what `step` gave for each step of the trace: a place's name -> its values laid flat, weights as
            `W[out][in]`. Places that no trace has are not looked at, nor are those that the trace or the outputs lack.

    Raises:
        ValueError: outputs of another number of steps, or of other shapes than the trace's.
    """
    found: list[Source] = []
    for step, (given, out) in enumerate(zip(_steps(trace, len(outputs)), outputs, strict=True), start=1):
        for name, expected in given.items():
            if name in out:
                found += _differing(step, name, trace.shape(name), expected, out[name])
    return tuple(found)


def firsts(found: Iterable[Source], order: Iterable[str]) -> dict[str, Source]:
    """Return the first source of each value, in an order of their names."""
    first: dict[str, Source] = {}
    for each in found:
        first.setdefault(each.tensor, each)
    return {name: first[name] for name in order if name in first}


def _steps(trace: Trace, count: int) -> list[dict[str, tuple[str, ...]]]:
    steps = len(trace.trajectory.losses)
    if count != steps:
        raise ValueError(f"outputs of {count} steps for a trace of {steps}")
    return [{name: values[step] for name, values in trace.tensors} for step in range(steps)]


def _differing(
    step: int, name: str, shape: Sequence[int], expected: Sequence[str], found: Sequence[str]
) -> Iterable[Source]:
    if len(expected) != len(found):
        raise ValueError(f"{name} of step {step} has {len(found)} values, the trace has {len(expected)}")
    for place, (theirs, ours) in enumerate(zip(expected, found, strict=True)):
        if theirs != ours:
            yield Source(step=step, tensor=name, element=index_of(place, shape), expected=theirs, found=ours)
