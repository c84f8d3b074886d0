"""The step of a workload value by value, in the names of operations: what lets it be replayed operation by operation.

`hidden: sigmoid(hidden_pre)` is a place of the step: a value and the operation that computes it. An argument is a value
computed above, an input or a number of the workload. A value that is named like a parameter is what the step leaves of
it; as an argument the plain name is the parameter before the step, and `w'` is what the step leaves of `w`.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from repromatrix.operations.catalogue import CATALOGUE

Shape: TypeAlias = tuple[int, ...]
AFTER = "'"  # behind the name of a parameter: what the step leaves of it
STEP = "step"  # what replaying all of a graph is called
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
    def letters(self) -> Mapping[str, str]:
        """The sizes of what it takes, by the operation's own names."""
        return CATALOGUE[self.operation].takes

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
    """

    values: tuple[tuple[Choice, ...], ...]
    parameters: tuple[str, ...]

    def places(self, options: Mapping[str, str]) -> tuple[Place, ...]:
        """Return the places of a step with these options."""
        return tuple(_chosen(choices, options) for choices in self.values)

    @property
    def taken(self) -> frozenset[str]:
        """Every argument of every place, whatever the options."""
        return frozenset(name for choices in self.values for _, place in choices for name in place.given.values())

    @property
    def operations(self) -> frozenset[str]:
        """Those that the step is made of."""
        return frozenset(place.operation for choices in self.values for _, place in choices)

    @property
    def inputs(self) -> frozenset[str]:
        """What may be an input or a number: every argument that no place computes, and the parameters."""
        computed = {place.value for choices in self.values for _, place in choices}
        return frozenset(name for name in self.taken if name.removesuffix(AFTER) not in computed) | {*self.parameters}

    @property
    def learning_rate(self) -> str:
        """The number by which every update is scaled."""
        every = (place for choices in self.values for _, place in choices)
        return next(place.numbers["rate"] for place in every if "rate" in place.numbers)


def _chosen(choices: Sequence[Choice], options: Mapping[str, str]) -> Place:
    return next(place for when, place in choices if when is None or options.get(when[0]) == when[1])


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
        above = {name: found[name.removesuffix(AFTER)] for name in place.given.values() if name not in known}
        sizes = sizes_at(place, {**known, **above})
        found[place.value] = tuple(sizes[letter] for letter in CATALOGUE[place.operation].gives)
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
        shape, letters = known[name], row.takes[argument]
        if shape is None:
            continue
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
