"""The key `graph` of workload.yaml -> a `Graph`, and all that is wrong with it, each with its place in the file."""

from collections.abc import Iterator, Mapping
from itertools import product
from typing import Any

from repromatrix import graph
from repromatrix.graph import AFTER, Choice, Graph, Place, Shape, ShapeError
from repromatrix.matrix.check import suggest
from repromatrix.matrix.document import NodePath
from repromatrix.operations.catalogue import CATALOGUE

KEY = "graph"
OTHERWISE = "*"
Problem = tuple[NodePath, str, str]  # where, what, the next step


def read(entry: Mapping[str, Any], parameters: tuple[str, ...], batch: int) -> Graph:
    """Return the graph that checked plain data holds."""
    updated = tuple(name for name in parameters if name in entry)
    values = tuple(_choices(value, told) for value, told in entry.items())
    return Graph(values=values, parameters=updated, batch=batch)


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
    entry = data[KEY]
    conditions = {when for told in entry.values() if isinstance(told, Mapping) for when in told}
    named = {when.partition("=")[0] for when in conditions} & factors.keys()
    told: dict[tuple[NodePath, str], Problem] = {}
    # Each combination of options is a step of its own.
    for chosen in product(*(sorted(factors[name]) for name in sorted(named))):
        for problem in _Checked(data, shapes, factors, dict(zip(sorted(named), chosen, strict=True))).problems():
            told.setdefault(problem[:2], problem)
    yield from told.values()


class _Checked:
    """The step with certain options."""

    def __init__(
        self,
        data: Mapping[str, Any],
        shapes: Mapping[str, Shape],
        factors: Mapping[str, set[str]],
        options: Mapping[str, str],
    ) -> None:
        self._entry, self._factors, self._options = data[KEY], factors, options
        self._numbers = set(data.get("numbers", {}))
        self._own = {name for name, each in data["inputs"].items() if "dtype" in each}
        self._parameters = {name for name, each in data["inputs"].items() if each.get("parameter")}
        self._batch = data.get("batch", 0)
        given = {name: self._batched(name, shape) for name, shape in shapes.items()}
        self._known: dict[str, Shape | None] = {**given, **dict.fromkeys(self._numbers), graph.STEP: ()}
        self._found: dict[str, Shape] = {}  # by value, in order
        self._scales: dict[str, tuple[str, ...]] = {}  # by operation, the numbers that it takes

    def _batched(self, name: str, shape: Shape) -> Shape:
        whole = not self._batch or name in self._parameters or not shape
        return shape if whole else (self._batch, *shape[1:])

    def problems(self) -> Iterator[Problem]:
        for name in sorted({graph.STEP} & {*self._numbers, *self._own, *self._parameters, *self._entry}):
            yield (KEY,), f"{name!r} is the number of the step", "name the value, input or number otherwise"
        for value, told in self._entry.items():
            yield from self._value(value, told)
        updated = [name for name in self._parameters if name in self._entry]
        if not updated:
            yield (KEY,), "no value is an update", "the step ends with one: w: update(w, gradient, learning_rate)"
        for name in updated:
            if self._choice(self._entry[name]) is None:
                yield (KEY, name), f"{name!r} is not said for every option", 'add what it is otherwise: "*": ...'

    def _value(self, value: str, told: Any) -> Iterator[Problem]:
        place: NodePath = (KEY, value)
        if value in self._known and value not in self._parameters:
            what = "a number" if value in self._numbers else "an input that no step updates"
            yield place, f"{value!r} is {what}", "name the value otherwise, or say parameter: true of the input"
        for when in told if isinstance(told, Mapping) else ():
            yield from self._condition((*place, when), when)
        chosen = self._choice(told)
        if chosen is not None:
            when, text = chosen
            yield from self._call((*place, when) if isinstance(told, Mapping) else place, value, str(text))

    def _choice(self, told: Any) -> tuple[str, Any] | None:
        """Return the condition that holds and what is computed then; None: nothing is, with these options."""
        if not isinstance(told, Mapping):
            return OTHERWISE, told
        found = [when for when in told if when != OTHERWISE and self._options.get(_factor(when)) == _option_of(when)]
        found += [OTHERWISE] if OTHERWISE in told else []
        return (found[0], told[found[0]]) if found else None

    def _condition(self, place: NodePath, when: str) -> Iterator[Problem]:
        factor, option = _factor(when), _option_of(when)
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
        row = CATALOGUE[at.operation]
        for argument, name in at.given.items():
            if name in self._own and argument not in row.whole:
                yield place, f"the input {name} has a dtype of its own", "operations take values of the cell's dtype"
            elif argument in row.whole and name not in {*self._own, graph.STEP}:
                what = f"{at.operation} takes whole numbers there, and {name} is none"
                yield place, what, "name an input with a dtype of its own, or step"
            elif name in self._numbers and len(row.takes[argument]) > 1:
                yield place, f"{name} is a number, and {at.operation} takes a matrix there", "name an input"
            elif name not in self._known and name not in self._above() and name != at.value:
                yield place, *self._unknown(at.value, name)

    def _above(self) -> set[str]:
        """Return what was computed above, in the words in which it may be taken."""
        return {name + AFTER if self._is_state(name) else name for name in self._found}

    def _is_state(self, name: str) -> bool:
        """Whether a value is what the step leaves of what it began with: of a parameter, or computed from itself."""
        chosen = self._choice(self._entry.get(name, ""))
        called = None if chosen is None else graph.call(str(chosen[1]))
        return name in self._parameters or (called is not None and name in called[1])

    def _unknown(self, value: str, name: str) -> tuple[str, str]:
        bare = name.removesuffix(AFTER)
        if bare in self._entry and self._choice(self._entry[bare]) is None:
            told = ", ".join(f"{factor}={option}" for factor, option in self._options.items())
            return f"{value!r} is computed from {name}, which is not computed with {told}", "say both for one option"
        if bare in self._entry and self._is_state(bare) == (bare != name):
            hint = "write values in the order in which a step computes them; none may need itself"
            return f"{value!r} is computed from {name}, which is not computed before it", hint
        known = sorted({*self._known, *self._above(), *self._entry})
        return f"no value, input or number {name!r}", suggest(name, known)

    def _scaled(self, place: NodePath, at: Place) -> Iterator[Problem]:
        for name in at.numbers.values():
            if name not in self._numbers:
                yield place, f"{name} is none of the numbers", suggest(name, sorted(self._numbers))
        taken = tuple(at.numbers.values())
        first = self._scales.setdefault(at.operation, taken)
        if first != taken:
            told = f"{at.operation} takes {', '.join(first)} above, and {', '.join(taken)} here"
            yield place, told, "an operation has the same numbers everywhere in a step"

    def _shape(self, place: NodePath, at: Place) -> Iterator[Problem]:
        try:
            shape = graph.shapes((at,), {**self._known, **self._shapes_above(at)})[at.value]
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

    def _shapes_above(self, at: Place) -> dict[str, Shape | None]:
        above = (name for name in at.given.values() if name not in self._known and name != at.value)
        return {name: self._found[name.removesuffix(AFTER)] for name in above}


def _factor(when: str) -> str:
    return when.partition("=")[0]


def _option_of(when: str) -> str:
    return when.partition("=")[2]
