"""A trace's first step -> the weights that began with other values, and what of the step that explains. Pure.

What a trace began with it does not tell: its weights are those after each update. But other weights at the beginning
show twice, in the layer's sum and in what the update made of them.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from repromatrix.floats import FORMS
from repromatrix.graph import Place as PlaceOfStep
from repromatrix.operations.wiring import Start
from repromatrix.results.trace import Trace

Place: TypeAlias = tuple[str, int]
Outputs: TypeAlias = Sequence[Mapping[str, Sequence[str]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Layer:
    """What shows that a parameter began with other values.

    Attributes:
        sum: the first traced value that is computed from its product.
        into: what it is multiplied with.
        back: the first traced value that is computed from what goes back through it; None: nothing does.
    """

    weights: str
    sum: str
    into: str
    back: str | None


def starts(
    b: Trace, remaining: frozenset[Place], outputs: Outputs, start: Start, options: Mapping[str, str]
) -> dict[str, set[Place]]:
    """Return the parameters that began with other values, each with the places that these explain.

    Args:
        b: the trace.
        remaining: the places that are unexplained.
        outputs: of `sites.samples`: behind the steps and the last forward pass those of other beginnings.
        start: what A's steps are computed from.
        options: of A, with its dtype.
    """
    first = {name: steps[0] for name, steps in b.tensors}
    others = outputs[len(b.trajectory.losses) + 1 :]
    found: dict[str, set[Place]] = {}
    for layer in _layers(start, options, set(first)):
        weights, pre, back = layer.weights, layer.sum, layer.back
        if not {(weights, 1), (pre, 1)} <= remaining:
            continue
        exact = next((each for each in others if _began(first, outputs[0], each, weights, pre)), None)
        if exact is not None:
            shown = (pre, weights) if back is None else (pre, weights, back)
            found[weights] = {(name, 1) for name in shown if tuple(exact[name]) == tuple(first[name])}
            continue
        into = start.inputs.get(layer.into)
        vector = into if isinstance(into, list) else []
        given = _floats(first[layer.into]) if into is None else [each for each in vector if isinstance(each, float)]
        theirs, ours = ((_floats(each[weights]), _floats(each[pre])) for each in (first, outputs[0]))
        if _carried(theirs, ours, given, options["dtype"]):
            found[weights] = {(weights, 1), (pre, 1)}
            # The first step's gradient goes back through them; one that is a source later too is one of its own.
            if back is not None and (back, 2) not in remaining:
                found[weights].add((back, 1))
    return found


def _layers(start: Start, options: Mapping[str, str], traced: set[str]) -> Iterator[_Layer]:
    """Yield the layers of a step whose parameter, sum and input are all known."""
    places = start.graph.places(options)
    for product in places:
        weights = product.arguments[0]
        if product.operation != "product" or weights not in start.graph.parameters:
            continue
        back = next((e for e in places if e.operation == "back" and e.arguments[0] == weights), None)
        pre, into = _shown(product, places, traced), product.arguments[1]
        if pre is not None and (into in start.inputs or into in traced):
            shown = None if back is None else _shown(back, places, traced)
            yield _Layer(weights=weights, sum=pre, into=into, back=shown)


def _shown(place: PlaceOfStep, places: Sequence[PlaceOfStep], traced: set[str]) -> str | None:
    """Return the first traced value that is computed from a place, it included."""
    reached = {place.value}
    for each in places[places.index(place) :]:
        if reached.isdisjoint({each.value, *each.arguments}):
            continue
        reached.add(each.value)
        if each.value in traced:
            return each.value
    return None


def _began(
    theirs: Mapping[str, Sequence[str]],
    ours: Mapping[str, Sequence[str]],
    other: Mapping[str, Sequence[str]],
    weights: str,
    pre: str,
) -> bool:
    """Whether another beginning gives every bit of the sum, and weights nearer to theirs than the asked one does."""
    if tuple(other[pre]) != tuple(theirs[pre]):
        return False
    return _distance(theirs[weights], other[weights]) < _distance(theirs[weights], ours[weights])


def _distance(one: Iterable[str], other: Iterable[str]) -> float:
    return sum(abs(a - b) for a, b in zip(_floats(one), _floats(other), strict=True))


def _carried(
    theirs: tuple[list[float], list[float]], ours: tuple[list[float], list[float]], into: Sequence[float], dtype: str
) -> bool:
    """Whether the difference of two products is, but for rounding, that of their weights times the same inputs.

    Args:
        theirs: the weights after the first update laid flat, and the sums that they gave before it.
        ours: likewise, from the weights that were to be expected.
        into: what the weights are multiplied with.
        dtype: of the numbers.
    """
    if not all(math.isfinite(each) for pair in (theirs, ours) for values in pair for each in values):
        return False
    unit, width = 2.0 ** (1 - FORMS[dtype].precision), len(into)
    for row in range(len(theirs[1])):
        pairs = [(theirs[0][row * width + at], ours[0][row * width + at], into[at]) for at in range(width)]
        change = sum((their - our) * value for their, our, value in pairs)
        size = sum((abs(their) + abs(our)) * abs(value) for their, our, value in pairs)
        allowed = unit * (width + 2) * (size + abs(theirs[1][row]) + abs(ours[1][row]))
        moved = theirs[1][row] - ours[1][row]
        if abs(moved - change) > allowed or (moved and all(their == our for their, our, _ in pairs)):
            return False
    return True


def _floats(texts: Iterable[str]) -> list[float]:
    return [float.fromhex(text) for text in texts]
