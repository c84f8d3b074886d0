"""A trace and what a cell makes of it step by step -> where it differs on the same inputs. Exact, pure.

The operation `step` (docs/architecture.md, the entrypoint contract) computes every tensor of a step from the tensors of
a trace, not from its own. So a tensor that differs here differs in its own operation, and in none before it. On a
cell's own trace nothing differs if what it traces can be computed apart; a fused step cannot.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from repromatrix.compare.trace import index_of
from repromatrix.results.packed import digest
from repromatrix.results.trace import Trace
from repromatrix.results.value import Column


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """An element that differs though what it is computed from is the same.

    Attributes:
        step: from 1.
        tensor: a value of the step.
        element: its index, weights as `W[out][in]`; empty for the loss, a number, and where the trace has only the
            digest of the value.
        expected: what the trace has, as hexadecimal text, or that digest.
        found: what the cell that replays it gives, likewise.
    """

    step: int
    tensor: str
    element: tuple[int, ...]
    expected: str
    found: str


def sources(
    trace: Trace, outputs: Sequence[Mapping[str, Sequence[str]]], begin: int | None = None
) -> tuple[Source, ...]:
    """Return every element that differs, in the order in which the steps compute them.

    Args:
        trace: whose tensors were given.
        outputs: what `step` gave for steps of the trace: a place's name -> its values laid flat, weights as
            `W[out][in]`. Places that no trace has are not looked at, nor are those that the trace or the outputs lack.
        begin: the first of these steps, from 1; None: they are all steps of the trace.

    Raises:
        ValueError: outputs of another number of steps, or of other shapes than the trace's.
    """
    steps, first = len(trace.trajectory.losses), begin or 1
    if (begin is None and len(outputs) != steps) or first - 1 + len(outputs) > steps:
        raise ValueError(f"outputs of {len(outputs)} steps from {first} on for a trace of {steps}")
    found: list[Source] = []
    for step, out in enumerate(outputs, start=first):
        for column in trace.trajectory.columns:
            if column.name in out and column.row(step) is not None:
                found += _differing(step, trace, column, out[column.name])
    return tuple(found)


def firsts(found: Iterable[Source], order: Iterable[str]) -> dict[str, Source]:
    """Return the first source of each value, in an order of their names."""
    first: dict[str, Source] = {}
    for each in found:
        first.setdefault(each.tensor, each)
    return {name: first[name] for name in order if name in first}


def _differing(step: int, trace: Trace, column: Column, found: Sequence[str]) -> Iterable[Source]:
    name, expected = column.name, trace.at(column.name, step)
    if column.size != len(found):
        raise ValueError(f"{name} of step {step} has {len(found)} values, the trace has {column.size}")
    if expected is None:
        theirs, ours = column.rows[column.at.index(step)][0], digest(found, column.dtype)
        if theirs != ours:
            yield Source(step=step, tensor=name, element=(), expected=theirs, found=ours)
        return
    for place, (one, other) in enumerate(zip(expected, found, strict=True)):
        if one != other:
            yield Source(step=step, tensor=name, element=index_of(place, column.shape), expected=one, found=other)
