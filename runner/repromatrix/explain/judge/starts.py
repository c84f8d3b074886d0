"""A trace's first step -> the weights that began with other values, and what of the step that explains. Pure.

What a trace began with it does not tell: its weights are those after each update. But other weights at the beginning
show twice, in the layer's sum and in what the update made of them.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import isqrt
from typing import TypeAlias

from repromatrix.floats import FORMS
from repromatrix.graph import Place as PlaceOfStep
from repromatrix.operations.wiring import Start, begun
from repromatrix.results.trace import Trace

Place: TypeAlias = tuple[str, int]
Outputs: TypeAlias = Sequence[Mapping[str, Sequence[str]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Layer:
    """What shows that a parameter began with other values.

    Attributes:
        operation: what the parameter goes into: `product`, `matmul` or `add_bias`.
        sum: the first traced value that is computed from that.
        into: what it is multiplied with; None: nothing, it is added.
        back: the first traced values that are computed from what goes back through it.
    """

    weights: str
    operation: str
    sum: str
    into: str | None
    back: tuple[str, ...]


# What a parameter goes into: where it stands among the arguments, and where what it is multiplied with does.
_INTO: Mapping[str, tuple[int, int | None]] = {"product": (0, 1), "matmul": (1, 0), "add_bias": (1, None)}
_BACK: Mapping[str, int] = {"back": 0, "input_gradient": 1}


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
            found[weights] = {(name, 1) for name in (pre, weights, *back) if tuple(exact[name]) == tuple(first[name])}
            continue
        given = _given(layer, first, start)
        theirs, ours = ((_floats(each[weights]), _floats(each[pre])) for each in (first, outputs[0]))
        terms = list(_terms(layer.operation, theirs[0], ours[0], given, len(theirs[1])))
        if _carried(theirs[1], ours[1], terms, options["dtype"]):
            found[weights] = {(weights, 1), (pre, 1)}
            # The first step's gradient goes back through them; one that is a source later too is one of its own.
            found[weights] |= {(name, 1) for name in back if (name, 2) not in remaining}
    return found


def _layers(start: Start, options: Mapping[str, str], traced: set[str]) -> Iterator[_Layer]:
    """Yield the layers of a step whose parameter, sum and input are all known."""
    places = start.graph.places(options)
    for place in places:
        if place.operation not in _INTO:
            continue
        at, other = _INTO[place.operation]
        weights, into = place.arguments[at], None if other is None else place.arguments[other]
        if weights not in start.graph.parameters:
            continue
        back = next((e for e in places if e.operation in _BACK and e.arguments[_BACK[e.operation]] == weights), None)
        pre = _shown(place, places, traced)
        if pre is not None and (into is None or into in start.inputs or into in traced):
            shown = () if back is None else _first(back, places, traced)
            yield _Layer(weights=weights, operation=place.operation, sum=pre, into=into, back=shown)


def _given(layer: _Layer, first: Mapping[str, Sequence[str]], start: Start) -> list[float]:
    """Return what the parameter is multiplied with in the first step, laid flat."""
    if layer.into is None:
        return []
    if layer.into not in start.inputs:
        return _floats(first[layer.into])
    return list(_leaves(begun(start)[layer.into]))


def _leaves(tensor: object) -> Iterator[float]:
    if isinstance(tensor, list):
        for each in tensor:
            yield from _leaves(each)
    elif isinstance(tensor, float):
        yield tensor


_Term: TypeAlias = tuple[float, float, float]  # their weight, ours, and what both are multiplied with


def _terms(
    operation: str, theirs: Sequence[float], ours: Sequence[float], into: Sequence[float], count: int
) -> Iterator[list[_Term]]:
    """Yield for each element of the sum the terms in which the parameter has a part."""
    if operation == "add_bias":
        for at in range(count):
            yield [(theirs[at % len(theirs)], ours[at % len(ours)], 1.0)]
    elif operation == "product":
        width = len(into)
        for row in range(count):
            yield [(theirs[row * width + at], ours[row * width + at], into[at]) for at in range(width)]
    else:
        # x of rows by width, weights of width by columns: as many elements as rows by columns.
        rows = isqrt(len(into) * count // len(theirs))
        width, columns = len(into) // rows, count // rows
        for row in range(rows):
            for column in range(columns):
                places = [(at * columns + column, into[row * width + at]) for at in range(width)]
                yield [(theirs[place], ours[place], value) for place, value in places]


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


def _first(place: PlaceOfStep, places: Sequence[PlaceOfStep], traced: set[str]) -> tuple[str, ...]:
    """Return the traced values that are computed from a place with none between, it included."""
    if place.value in traced:
        return (place.value,)
    between, found = {place.value}, []
    for each in places[places.index(place) + 1 :]:
        if between & set(each.arguments):
            if each.value in traced:
                found.append(each.value)
            else:
                between.add(each.value)
    return tuple(found)


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


def _carried(theirs: Sequence[float], ours: Sequence[float], terms: Sequence[Sequence[_Term]], dtype: str) -> bool:
    """Whether the difference of two sums is, but for rounding, that of their weights times the same inputs.

    Args:
        theirs: the sums before the first update.
        ours: likewise, from the weights that were to be expected.
        terms: for each element, with the weights after the first update, which moved both alike.
        dtype: of the numbers.
    """
    if not all(math.isfinite(each) for each in (*theirs, *ours, *(n for some in terms for term in some for n in term))):
        return False
    unit = 2.0 ** (1 - FORMS[dtype].precision)
    for their_sum, our_sum, some in zip(theirs, ours, terms, strict=True):
        change = sum((their - our) * value for their, our, value in some)
        size = sum((abs(their) + abs(our)) * abs(value) for their, our, value in some)
        allowed = unit * (len(some) + 2) * (size + abs(their_sum) + abs(our_sum))
        moved = their_sum - our_sum
        if abs(moved - change) > allowed or (moved and all(their == our for their, our, _ in some)):
            return False
    return True


def _floats(texts: Iterable[str]) -> list[float]:
    return [float.fromhex(text) for text in texts]
