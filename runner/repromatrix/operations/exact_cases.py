"""A case of an operation and its inputs -> the exact result of each output, computed by Arb."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from repromatrix.operations.cases import Case, argument
from repromatrix.operations.exact import TooWideError, narrow
from repromatrix.operations.exact_arrays import ARRAYS, GRADIENTS, Gradient
from repromatrix.operations.exact_elementwise import ELEMENTWISE, elementwise
from repromatrix.operations.exact_linear import LINEAR, LINEAR_GRADIENTS
from repromatrix.operations.exact_networks import NETWORK_GRADIENTS, NETWORKS
from repromatrix.operations.exact_result import Argument, Exact

TRUTHS = ARRAYS | NETWORKS | LINEAR  # beside the elementwise ones
SLOPES: dict[str, Gradient] = GRADIENTS | NETWORK_GRADIENTS | LINEAR_GRADIENTS


def computed(case: Case, given: Mapping[str, Argument]) -> dict[str, Exact]:
    """Return the exact result of each output of a case that has one, by its name."""
    arguments = [argument(given, name) for name in case.args]
    if case.truth in ELEMENTWISE:
        found = {case.name: elementwise(case.truth, arguments)}
        slopes = ELEMENTWISE[case.truth].slopes
        places = {name: place for name, place in case.slopes.items() if place < len(slopes) and case.weights is None}
        return found | {name: elementwise(case.truth, arguments, place) for name, place in places.items()}
    if case.truth not in TRUTHS:  # of a table that another release made
        return {}
    made = _tried(
        lambda: {_named(case.name, end): each for end, each in TRUTHS[case.truth](arguments, case.options).items()}
    )
    gradient = SLOPES.get(case.truth)
    weights = given[case.weights] if case.weights else None
    for name, place in case.slopes.items():
        if gradient is not None:
            made |= _tried(partial(_slope, gradient, name, (arguments, case.options, weights, place)))
    return made


def _slope(gradient: Gradient, name: str, given: tuple[Any, ...]) -> dict[str, Exact]:
    return {name: gradient(*given)}


def _named(name: str, end: str) -> str:
    return f"{name}/{end}" if end else name


def _tried(compute: Callable[[], dict[str, Exact]]) -> dict[str, Exact]:
    """Return what is computed; nothing where no number of bits suffices."""
    try:
        return narrow(compute)
    except TooWideError:
        return {}
