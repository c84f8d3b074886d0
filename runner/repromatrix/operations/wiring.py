"""From traces to operations: the sample of a whole step, and what the operation at each place of the step took."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from repromatrix.graph import AFTER, STEP, Graph, Place, Shape, sizes_at
from repromatrix.operations import text
from repromatrix.operations.catalogue import CATALOGUE, OWN_SIGMOID, Tensor, sized
from repromatrix.results.trace import Trace

# What a step is given, by the names of its graph: tensors, and numbers, which take the shape that is due.
Given: TypeAlias = Mapping[str, Tensor]


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """What a cell's step is computed from beside what a trace has.

    Attributes:
        inputs: the workload's, in the cell's dtype or their own; parameters as they are before the first step.
        numbers: the workload's, in the cell's dtype.
        shapes: of every value of the step.
        options: of the cell.
    """

    graph: Graph
    inputs: Mapping[str, Tensor]
    numbers: Mapping[str, float]
    shapes: Mapping[str, Shape]
    options: Mapping[str, str]

    @property
    def state(self) -> tuple[str, ...]:
        """What a step leaves for the next one."""
        return self.graph.state(self.options)


def begun(start: Start, step: int = 1) -> dict[str, Tensor]:
    """Return what a step is given that no trace has: inputs, numbers, and the state before the first step.

    Where there are batches, an input that is no parameter is the batch of the step, as `task.batches` gives it.
    """
    graph = start.graph
    taken = graph.taken | {*graph.parameters}
    given: dict[str, Tensor] = {**start.inputs, **start.numbers, STEP: float(step)}
    given |= {name: _zeros(start.shapes[name]) for name in start.state if name not in graph.parameters}
    found = {name: each for name, each in given.items() if name in taken}
    for name in start.inputs:
        rows = found.get(name)
        if graph.batch and isinstance(rows, list) and name not in graph.parameters:
            first = (step - 1) % (len(rows) // graph.batch) * graph.batch
            found[name] = rows[first : first + graph.batch]
    return found


def left(trace: Trace, step: int, start: Start) -> dict[str, Tensor]:
    """Return the state that a traced step leaves.

    Raises:
        KeyError: the elements of a part of it are not known.
    """
    return {name: _traced(trace, name, step) for name in start.state}


def step_sample(trace: Trace, step: int, start: Start) -> dict[str, Tensor]:
    """Return the sample with which a traced step is computed again; steps count from 1.

    Raises:
        KeyError: the trace lacks elements of the state before it.
        IndexError: it has no such step.
    """
    if not 1 <= step <= len(trace.trajectory.losses):
        raise IndexError(f"the trace has no step {step}")
    found = begun(start, step) | (left(trace, step - 1, start) if step > 1 else {})
    for name in sorted(start.graph.taken - found.keys()):
        bare = name.removesuffix(AFTER)
        if trace.at(bare, step) is not None:
            found[name] = _traced(trace, bare, step)
    return found


def taken(trace: Trace, step: int, start: Start) -> tuple[tuple[str, int], ...]:
    """Return which traced values, each at a step, a step's sample and what it is held against are made of."""
    values = (place.value for place in start.graph.places(start.options))
    before = [(name, step - 1) for name in start.state] if step > 1 else []
    return tuple(each for each in (*before, *((name, step) for name in values)) if each[0] in trace.columns)


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
    given: dict[str, Tensor | None] = {}
    for argument, name in place.given.items():
        flat = outputs.get(name.removesuffix(AFTER))
        given[argument] = sample.get(name, None if flat is None else _shaped(flat, shapes[name.removesuffix(AFTER)]))
    if any(tensor is None for tensor in given.values()):
        return None
    due = {name: _shape(given[argument]) for argument, name in place.given.items()}
    sizes = sizes_at(place, due)
    takes = CATALOGUE[place.operation].takes
    found: dict[str, Tensor] = {
        argument: _filled(tensor, sized(takes[argument], sizes)) if isinstance(tensor, float) else tensor
        for argument, tensor in given.items()
        if tensor is not None
    }
    if place.operation != "sigmoid_gradient":
        return found
    own = outputs.get(place.given["a"])
    return None if own is None else found | {OWN_SIGMOID: text.flat(own)}


def _shape(tensor: Tensor | None) -> Shape | None:
    if not isinstance(tensor, list):
        return None
    first = tensor[0] if tensor else 0.0
    return (len(tensor), len(first)) if isinstance(first, list) else (len(tensor),)


def _filled(number: float, shape: Shape) -> Tensor:
    """Return a tensor of one number; of no shape, the number."""
    if not shape:
        return number
    return [number] * shape[0] if len(shape) == 1 else [[number] * shape[1] for _ in range(shape[0])]


def _zeros(shape: Shape) -> Tensor:
    return _filled(0.0, shape)


def _traced(trace: Trace, name: str, step: int) -> Tensor:
    elements = trace.at(name, step)
    if elements is None:
        raise KeyError(name)
    return _shaped(elements, trace.shape(name))


def _shaped(texts: Sequence[str], shape: Shape) -> Tensor:
    if not shape:
        return float.fromhex(texts[0])
    return text.rows(texts, shape) if len(shape) > 1 else text.flat(texts)
