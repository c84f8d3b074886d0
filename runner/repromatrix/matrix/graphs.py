"""The key `graph` of workload.yaml -> a `Graph`, and all that is wrong with it, each with its place in the file."""

from collections.abc import Iterator, Mapping
from typing import Any

from repromatrix import graph
from repromatrix.graph import AFTER, Choice, Graph, Place, Shape, ShapeError
from repromatrix.matrix.check import suggest
from repromatrix.matrix.document import NodePath
from repromatrix.operations.catalogue import CATALOGUE

KEY = "graph"
OTHERWISE = "*"
Problem = tuple[NodePath, str, str]  # where, what, the next step


def read(entry: Mapping[str, Any], parameters: tuple[str, ...]) -> Graph:
    """Return the graph that checked plain data holds."""
    updated = tuple(name for name in parameters if name in entry)
    return Graph(values=tuple(_choices(value, told) for value, told in entry.items()), parameters=updated)


def _choices(value: str, told: Any) -> tuple[Choice, ...]:
    written = told if isinstance(told, Mapping) else {OTHERWISE: told}
    # With every other option comes last, wherever it stands.
    ordered = sorted(written.items(), key=lambda item: item[0] == OTHERWISE)
    return tuple((_option(when), _place(value, text)) for when, text in ordered)


def _option(when: str) -> tuple[str, str] | None:
    factor, _, option = when.partition("=")
    return None if when == OTHERWISE else (factor, option)


def _place(value: str, text: str) -> Place:
    called = graph.call(text)
    if called is None:
        raise ValueError(text)
    return Place(value=value, operation=called[0], arguments=called[1])


def problems(
    data: Mapping[str, Any], shapes: Mapping[str, Shape], factors: Mapping[str, set[str]]
) -> Iterator[Problem]:
    """Yield what is wrong with the graph of a file.

    Args:
        data: all of the file, as its schema allows.
        shapes: of every input.
        factors: the values of every factor.
    """
    yield from _Checked(data, shapes, factors).problems()


class _Checked:
    def __init__(self, data: Mapping[str, Any], shapes: Mapping[str, Shape], factors: Mapping[str, set[str]]) -> None:
        self._entry, self._factors = data[KEY], factors
        self._numbers = set(data.get("numbers", {}))
        self._own = {name for name, each in data["inputs"].items() if "dtype" in each}
        self._parameters = {name for name, each in data["inputs"].items() if each.get("parameter")}
        self._batch = "batch" in data
        self._known: dict[str, Shape | None] = {**shapes, **dict.fromkeys(self._numbers)}
        self._found: dict[str, Shape] = {}  # by value, in order
        self._rates: dict[str, NodePath] = {}

    def problems(self) -> Iterator[Problem]:
        if self._batch:
            yield (KEY,), "a graph and batches: its operations take an input whole", "leave out the one or the other"
        for value, told in self._entry.items():
            yield from self._value(value, told)
        if not self._rates:
            yield (KEY,), "no value is an update", "the step ends with one: w: update(w, gradient, learning_rate)"
        for name, place in list(self._rates.items())[1:]:
            first = next(iter(self._rates))
            yield place, f"the updates take {first} and {name}", "a step has one learning rate"

    def _value(self, value: str, told: Any) -> Iterator[Problem]:
        place: NodePath = (KEY, value)
        if value in self._known and value not in self._parameters:
            what = "a number" if value in self._numbers else "an input that no step updates"
            yield place, f"{value!r} is {what}", "name the value otherwise, or say parameter: true of the input"
        conditions = told if isinstance(told, Mapping) else {}
        for when in conditions:
            yield from self._condition((*place, when), when)
        if conditions and OTHERWISE not in conditions:
            yield place, f"{value!r} is not said for every option", 'add what it is otherwise: "*": ...'
        for when, text in (conditions or {OTHERWISE: told}).items():
            yield from self._call((*place, when) if conditions else place, value, str(text))

    def _condition(self, place: NodePath, when: str) -> Iterator[Problem]:
        factor, _, option = when.partition("=")
        if when != OTHERWISE and factor not in self._factors:
            yield place, f"no factor {factor!r}", suggest(factor, sorted(self._factors))
        elif when != OTHERWISE and option not in self._factors[factor]:
            yield place, f"no {factor}={option}", suggest(option, sorted(self._factors[factor]))

    def _call(self, place: NodePath, value: str, text: str) -> Iterator[Problem]:
        called = graph.call(text)
        if called is None:
            yield place, f"{text!r} is no operation with its arguments", "write it so: sigmoid(hidden_pre)"
            return
        operation, arguments = called
        if operation not in CATALOGUE:
            yield place, f"no operation {operation!r} in {text}", suggest(operation, sorted(CATALOGUE))
            return
        row = CATALOGUE[operation]
        due = (*row.takes, *row.numbers)
        if len(arguments) != len(due):
            yield place, f"{text} has {len(arguments)} arguments", f"it takes {len(due)}: {operation}({', '.join(due)})"
            return
        at = Place(value=value, operation=operation, arguments=arguments)
        wrong = [*self._arguments(place, at), *self._scaled(place, at)]
        yield from wrong
        if not wrong:
            yield from self._shape(place, at)

    def _arguments(self, place: NodePath, at: Place) -> Iterator[Problem]:
        letters = CATALOGUE[at.operation].takes
        for argument, name in at.given.items():
            if name in self._own:
                yield place, f"the input {name} has a dtype of its own", "operations take values of the cell's dtype"
            elif name in self._numbers and len(letters[argument]) > 1:
                yield place, f"{name} is a number, and {at.operation} takes a matrix there", "name an input"
            elif name not in self._known and name not in self._above():
                yield place, *self._unknown(at.value, name)

    def _above(self) -> set[str]:
        """Return what was computed above, in the words in which it may be taken."""
        return {name + AFTER if name in self._parameters else name for name in self._found}

    def _unknown(self, value: str, name: str) -> tuple[str, str]:
        bare = name.removesuffix(AFTER)
        if bare in self._entry and (bare in self._parameters) == (bare != name):
            hint = "write values in the order in which a step computes them; none may need itself"
            return f"{value!r} is computed from {name}, which is not computed before it", hint
        known = sorted({*self._known, *self._above(), *self._entry})
        return f"no value, input or number {name!r}", suggest(name, known)

    def _scaled(self, place: NodePath, at: Place) -> Iterator[Problem]:
        for name in at.numbers.values():
            if name in self._numbers:
                self._rates.setdefault(name, place)
            else:
                yield place, f"{name} is none of the numbers", suggest(name, sorted(self._numbers))

    def _shape(self, place: NodePath, at: Place) -> Iterator[Problem]:
        above = {name: self._found[name.removesuffix(AFTER)] for name in at.given.values() if name not in self._known}
        try:
            shape = graph.shapes((at,), {**self._known, **above})[at.value]
        except ShapeError as error:
            yield place, f"{at.value}: {error}", "sizes come from the inputs, weights have a row per unit"
            return
        except KeyError:
            yield place, f"{at.value} is computed from numbers alone", "name a value or an input"
            return
        due = self._known.get(at.value) if at.value in self._parameters else self._found.get(at.value)
        if due is not None and due != shape:
            yield place, f"{at.value} comes out as {list(shape)}, where it is {list(due)}", "as large as it was"
        self._found.setdefault(at.value, shape)
