"""The step of a workload value by value, in the names of operations: what lets it be replayed operation by operation.

`hidden: sigmoid(hidden_pre)` is a place of the step: a value and the operation that computes it. An argument is a value
computed above, an input, a number of the workload, or `step`, which counts the steps from 1. A value that is named like
a parameter is what the step leaves of it; as an argument the plain name is the parameter before the step, and `w'` is
what the step leaves of `w`. A value that is computed from itself is state likewise: zeros before the first step.
Where the workload has batches, an input that is no parameter is the batch of the step.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from repromatrix.operations.catalogue import CATALOGUE, sized

Shape: TypeAlias = tuple[int, ...]
AFTER = "'"  # behind the name of a parameter: what the step leaves of it
STEP = "step"  # what replaying all of a graph is called; as an argument, the number of the step, from 1
_CALL = re.compile(r"\s*([a-z0-9_]+)\s*\(([^()]*)\)\s*")


class ShapeError(ValueError):
    """Arguments that do not fit each other."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A value of a step and what computes it.

    Attributes:
        value: its name; that of a parameter is what the step leaves of it.
        operation: a name of the catalogue.
        arguments: in the operation's order, those from the workload's numbers last.
    """

    value: str
    operation: str
    arguments: tuple[str, ...]

    @property
    def given(self) -> Mapping[str, str]:
        """The operation's own names for what a sample holds of its arguments -> what is found there."""
        return dict(zip(CATALOGUE[self.operation].takes, self.arguments, strict=False))

    @property
    def numbers(self) -> Mapping[str, str]:
        """Likewise of what it takes from the workload's numbers."""
        row = CATALOGUE[self.operation]
        return dict(zip(row.numbers, self.arguments[len(row.takes) :], strict=True))


# The option, as (factor, value), with which a value is computed at a place; None: with every other.
Choice: TypeAlias = tuple[tuple[str, str] | None, Place]


@dataclass(frozen=True, slots=True, kw_only=True)
class Graph:
    """A step.

    Attributes:
        values: in the order in which it computes them, each with its places.
        parameters: the inputs that it updates, in their order.
        batch: how many rows of its other inputs a step takes; 0: all.
    """

    values: tuple[tuple[Choice, ...], ...]
    parameters: tuple[str, ...]
    batch: int = 0

    def places(self, options: Mapping[str, str]) -> tuple[Place, ...]:
        """Return the places of a step with these options; a value that is said for others only is not computed."""
        chosen = (_chosen(choices, options) for choices in self.values)
        return tuple(place for place in chosen if place is not None)

    def numbers(self, operation: str, options: Mapping[str, str]) -> Mapping[str, str]:
        """Return the workload's numbers that an operation takes with these options, by its own names for them."""
        places = self.places(options)
        return next((place.numbers for place in places if place.operation == operation), {})

    def state(self, options: Mapping[str, str]) -> tuple[str, ...]:
        """Return what a step with these options leaves for the next one: parameters, then what begins with zeros."""
        own = (place.value for place in self.places(options) if place.value in place.arguments)
        return tuple(dict.fromkeys((*self.parameters, *own)))

    @property
    def taken(self) -> frozenset[str]:
        """Every argument of every place, whatever the options."""
        return frozenset(name for choices in self.values for _, place in choices for name in place.given.values())

    @property
    def inputs(self) -> frozenset[str]:
        """What may be an input or a number: every argument that no place computes, and the parameters."""
        computed = {place.value for choices in self.values for _, place in choices}
        return frozenset(name for name in self.taken if name.removesuffix(AFTER) not in computed) | {*self.parameters}


def _chosen(choices: Sequence[Choice], options: Mapping[str, str]) -> Place | None:
    return next((place for when, place in choices if when is None or options.get(when[0]) == when[1]), None)


def alone(operation: str) -> tuple[Place, ...]:
    """Return an operation on arguments of its own as the one place of a step."""
    return (Place(value=operation, operation=operation, arguments=tuple(CATALOGUE[operation].takes)),)


def call(text: str) -> tuple[str, tuple[str, ...]] | None:
    """Return the operation and the arguments of `operation(argument, ...)`; None: it is no such text."""
    found = _CALL.fullmatch(text)
    if found is None:
        return None
    arguments = tuple(each.strip() for each in found[2].split(","))
    return (found[1], arguments) if all(arguments) else None


def shapes(places: Sequence[Place], known: Mapping[str, Shape | None]) -> dict[str, Shape]:
    """Return the shape of every value of a step.

    Args:
        places: in the order of the step.
        known: the shapes of what it is given; None: a number, which takes the shape that is due.

    Raises:
        ShapeError: arguments that do not fit each other.
        KeyError: an argument that nothing gives.
    """
    found: dict[str, Shape] = {}
    for place in places:
        named = [name for name in place.given.values() if name not in known]
        # What is computed from itself has the shape of the rest, as a number has.
        above = {name: None if name == place.value else found[name.removesuffix(AFTER)] for name in named}
        sizes = sizes_at(place, {**known, **above})
        found[place.value] = sized(CATALOGUE[place.operation].gives, sizes)
    return found


def sizes_at(place: Place, known: Mapping[str, Shape | None]) -> dict[str, int]:
    """Return the sizes of a place's arguments, by the letters of its operation.

    Raises:
        ShapeError: they do not fit each other.
        KeyError: the shape of one is not known.
    """
    row = CATALOGUE[place.operation]
    found: dict[str, int] = {}
    for argument, name in place.given.items():
        shape = known[name]
        if shape is None:
            continue
        letters = row.letters(argument, len(shape))
        if len(shape) != len(letters):
            kinds = ("a number", "a vector", "a matrix")
            is_, due = (kinds[len(each)] if len(each) < len(kinds) else "a larger tensor" for each in (shape, letters))
            raise ShapeError(f"{name} is {is_}, and {place.operation} takes {due} there")
        for letter, size in zip(letters, shape, strict=True):
            if found.setdefault(letter, size) != size:
                raise ShapeError(f"{name} is {_by(shape)}, where {found[letter]} are due in place of {size}")
    return found


def _by(shape: Shape) -> str:
    return " by ".join(map(str, shape)) if len(shape) > 1 else f"{shape[0]} long"
