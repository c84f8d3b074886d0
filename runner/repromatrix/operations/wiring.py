"""From traces to operations: the sample of a whole step, and what the operation at each place of the step took."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from repromatrix.graph import AFTER, Graph, Place, Shape, sizes_at
from repromatrix.operations import text
from repromatrix.operations.catalogue import OWN_SIGMOID, Tensor
from repromatrix.results.trace import Trace

# What a step is given, by the names of its graph: tensors, and numbers that take the shape that is due.
Given: TypeAlias = Mapping[str, Tensor | float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """What a cell's step is computed from beside what a trace has.

    Attributes:
        inputs: the workload's, in the cell's dtype; parameters as they are before the first step.
        numbers: the workload's, in the cell's dtype.
        shapes: of every value of the step.
    """

    graph: Graph
    inputs: Mapping[str, Tensor]
    numbers: Mapping[str, float]
    shapes: Mapping[str, Shape]


def begun(start: Start) -> dict[str, Tensor | float]:
    """Return what the first step is given that no trace has: inputs and numbers, and the parameters before it."""
    taken = start.graph.taken | set(start.graph.parameters)
    given = (*start.inputs.items(), *start.numbers.items())
    return {name: each for name, each in given if name in taken}


def left(trace: Trace, step: int, start: Start) -> dict[str, Tensor | float]:
    """Return the parameters that a traced step leaves.

    Raises:
        KeyError: the trace lacks one.
    """
    traced = dict(trace.tensors)
    return {name: _shaped(traced[name][step - 1], trace.shape(name)) for name in start.graph.parameters}


def step_sample(trace: Trace, step: int, start: Start) -> dict[str, Tensor | float]:
    """Return the sample with which a traced step is computed again; steps count from 1.

    Raises:
        KeyError: the trace lacks a parameter.
        IndexError: it has no such step.
    """
    if not 1 <= step <= len(trace.trajectory.losses):
        raise IndexError(f"the trace has no step {step}")
    traced = dict(trace.tensors)
    found = begun(start) | (left(trace, step - 1, start) if step > 1 else {})
    for name in sorted(start.graph.taken - found.keys()):
        bare = name.removesuffix(AFTER)
        if bare in traced:
            found[name] = _shaped(traced[bare][step - 1], trace.shape(bare))
    return found


def inputs_at(
    place: Place, sample: Given, outputs: Mapping[str, Sequence[str]], shapes: Mapping[str, Shape]
) -> dict[str, Tensor] | None:
    """Return what the operation at a place took when an environment ran `step` on a sample.

    Args:
        place: of the step.
        sample: that of `step`.
        outputs: what `step` gave for it, place -> flat hexadecimal text.
        shapes: of every value of the step.

    Returns:
        The inputs; for `sigmoid_gradient` also `OWN_SIGMOID`; None where one of them is not known.
    """
    known = {name: _shaped(flat, shapes[name]) for name, flat in outputs.items()}
    given = {argument: sample.get(name, known.get(name.removesuffix(AFTER))) for argument, name in place.given.items()}
    if any(tensor is None for tensor in given.values()):
        return None
    due = {name: _shape(given[argument]) for argument, name in place.given.items()}
    sizes = sizes_at(place, due)
    letters = place.letters
    found: dict[str, Tensor] = {
        argument: [tensor] * sizes[letters[argument]] if isinstance(tensor, float) else tensor
        for argument, tensor in given.items()
        if tensor is not None
    }
    if place.operation != "sigmoid_gradient":
        return found
    own = outputs.get(place.given["a"])
    return None if own is None else found | {OWN_SIGMOID: text.flat(own)}


def _shape(tensor: Tensor | float | None) -> Shape | None:
    if not isinstance(tensor, list):
        return None
    first = tensor[0] if tensor else 0.0
    return (len(tensor), len(first)) if isinstance(first, list) else (len(tensor),)


def _shaped(texts: Sequence[str], shape: Shape) -> Tensor:
    return text.rows(texts, shape) if len(shape) > 1 else text.flat(texts)
