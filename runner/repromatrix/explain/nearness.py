"""How near two cells are, and which pairs of classes are explained without being named. Pure.

A pair is the nearer the fewer factors separate its cells. Of equally near ones that comes first which a reader asks for
first: versions side by side, then frameworks, the rest of the environment, settings, options, and dtypes last.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import combinations, pairwise
from typing import TypeAlias

from repromatrix.compare.versions import version_key
from repromatrix.explain.space import DTYPE, FLAVOUR, FRAMEWORK, OF_SETTINGS, VERSION, Part, Space, State
from repromatrix.matrix import Environment
from repromatrix.plan import Cell

Pair: TypeAlias = tuple[Cell, Cell]
Distance: TypeAlias = tuple[int, int]  # factors in which two cells differ, and the place in the order of the last
MOST_PER_CLASS = 2
_SIDE_BY_SIDE, _FRAMEWORK, _ENVIRONMENT, _SETTINGS, _OPTION, _FAR_VERSION, _DTYPE = range(7)


class Nearness:
    """Tells how near cells of a matrix are."""

    def __init__(self, spaces: Mapping[str, Space]) -> None:
        """Begin.

        Args:
            spaces: by the name of the workload, what its cells can be asked for.
        """
        self._spaces = spaces
        self._states: dict[str, State] = {}
        self._distances: dict[tuple[str, str], Distance] = {}
        self._beside: set[frozenset[str]] = set()

    def chosen(self, groups: Sequence[Sequence[Cell]]) -> Iterator[Pair]:
        """Yield the pairs of classes to explain, at most twice as many as there are classes.

        These are each class with its nearest, and classes whose cells are one factor apart; the pairs of two dtypes
        come last.

        Args:
            groups: the cells of each class.
        """
        self._beside = _side_by_side(cell.environment for cells in groups for cell in cells)
        pairs = {(a, b): self.nearest(groups[a], groups[b]) for a, b in combinations(range(len(groups)), 2)}
        order = sorted(pairs, key=lambda classes: self.distance(*pairs[classes]))
        wanted = {next(classes for classes in order if own in classes) for own in range(len(groups)) if order}
        one_apart = [classes for classes in order if self.distance(*pairs[classes])[0] == 1]
        for classes in one_apart:
            if len(wanted) < MOST_PER_CLASS * len(groups):
                wanted.add(classes)
        found = [pairs[classes] for classes in order if classes in wanted]
        yield from sorted(found, key=lambda pair: self.distance(*pair)[1] == _DTYPE)

    def nearest(self, left: Sequence[Cell], right: Sequence[Cell]) -> Pair:
        """Return the nearest two cells of two classes; of equally near ones the first."""
        if len(left) == len(right) == 1:
            return left[0], right[0]
        return min(((a, b) for a in left for b in right), key=lambda pair: self.distance(*pair))

    def distance(self, a: Cell, b: Cell) -> Distance:
        """Return how far apart two cells are."""
        if (a.id, b.id) not in self._distances:
            one, other = (self._state(cell) for cell in (a, b))
            parts = {part for part in one.keys() | other.keys() if one.get(part) != other.get(part)}
            if FRAMEWORK in parts:  # versions and flavours of two frameworks are no values of one factor
                parts -= {VERSION, FLAVOUR}
            self._distances[a.id, b.id] = len(parts), max((self._place(part, a, b) for part in parts), default=0)
        return self._distances[a.id, b.id]

    def _place(self, part: Part, a: Cell, b: Cell) -> int:
        if part == VERSION:
            return (
                _SIDE_BY_SIDE if frozenset((a.environment.name, b.environment.name)) in self._beside else _FAR_VERSION
            )
        if part in (FRAMEWORK, DTYPE):
            return _FRAMEWORK if part == FRAMEWORK else _DTYPE
        if part.kind in OF_SETTINGS:
            return _SETTINGS
        return _OPTION if part.kind in ("option", "variant") else _ENVIRONMENT

    def _state(self, cell: Cell) -> State:
        if cell.id not in self._states:
            self._states[cell.id] = self._spaces[cell.workload.name].state(cell)
        return self._states[cell.id]


def _side_by_side(environments: Iterable[Environment]) -> set[frozenset[str]]:
    """Return the names of two environments each, of one framework, whose versions follow each other here."""
    lines: dict[tuple[str, str, str], dict[str, str]] = {}
    for each in environments:
        lines.setdefault((each.framework, each.flavour, each.python), {})[each.version] = each.name
    ordered = [[line[version] for version in sorted(line, key=version_key)] for line in lines.values()]
    return {frozenset(two) for names in ordered for two in pairwise(names)}
