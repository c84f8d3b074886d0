"""Two cells -> the factors in which they differ, and the cell that has some of them from the other side. Pure.

Such a cell shows what a factor does. A condition is a change that neither cell has.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, TypeAlias

from repromatrix.errors import UsageError
from repromatrix.explain.space import (
    FLAVOUR,
    FRAMEWORK,
    OF_SETTINGS,
    VERSION,
    NotTestable,
    Part,
    PartKind,
    Space,
    State,
    Vocabulary,
    chosen,
    only,
    set_by,
)
from repromatrix.matrix import Matrix, Settings
from repromatrix.plan import Cell, selected

__all__ = ["Change", "Factor", "Flips", "NotTestable", "Space", "Vocabulary", "Which"]

Which: TypeAlias = Literal["a", "b"]
SIDES: tuple[Which, Which] = ("a", "b")


@dataclass(frozen=True, slots=True, kw_only=True)
class Factor:
    """One thing in which two cells differ.

    Attributes:
        kind: where it comes from.
        a: its value in the first cell, as text.
        b: its value in the second.
    """

    kind: PartKind
    name: str
    a: str
    b: str

    @property
    def silent(self) -> bool:
        """Whether a library may ignore it without a word, as it may an instruction-set cap."""
        return self.kind in OF_SETTINGS


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A named change that neither cell has: all of a settings of the matrix, or one option.

    Attributes:
        settings: None: it is the option `option` with `value`.
    """

    settings: Settings | None = None
    option: str = ""
    value: str = ""

    @property
    def name(self) -> str:
        """Return the settings' name, or `option=value`."""
        return self.settings.name if self.settings else f"{self.option}={self.value}"


class Flips:
    """The factors in which cells A and B of a matrix differ, and the cells with some of them flipped."""

    def __init__(self, matrix: Matrix, a: Cell, b: Cell, *, space: Space | None = None) -> None:
        """Find the factors.

        Args:
            matrix: whose cells they are.
            a: a cell.
            b: the other.
            space: of that matrix and their workload, to share what they remember between pairs.

        Raises:
            UsageError: the cells are of two workloads or lengths, which no flip can bring together.
        """
        if a.workload != b.workload or a.steps != b.steps:
            raise UsageError(
                f"{a.id} and {b.id} are not the same task: {a.workload.name} of {a.steps} steps "
                f"against {b.workload.name} of {b.steps}",
                hint="name two cells of one workload and length: repromatrix plan",
            )
        self.a, self.b = a, b
        self._space = space or Space(matrix, a.workload)
        self._states = {"a": self._space.state(a), "b": self._space.state(b)}
        self._parts = self._factors()
        self.factors = tuple(self._factor(name) for name in self._parts)

    @property
    def bundles(self) -> tuple[tuple[str, ...], ...]:
        """Return the sets of another framework with the options in which it cannot follow, where there are such."""
        if FRAMEWORK.factor not in self._parts:
            return ()
        needed = [set(self._bound("a")), set(self._bound("b"))]
        found = [
            (FRAMEWORK.factor, *(n for n in self._parts if n in each)) for each in (needed[0] | needed[1], *needed)
        ]
        return tuple(dict.fromkeys(each for each in found if 1 < len(each) < len(self._parts)))

    @property
    def conditions(self) -> tuple[Change, ...]:
        """Return, as conditions, the settings of the matrix that are neither cell's own and are for one of them."""
        own = {self.a.settings.name, self.b.settings.name}
        return tuple(
            Change(settings=each)
            for name, each in self._space.matrix.settings.items()
            if name not in own and any(selected(cell, each.cells) for cell in (self.a, self.b))
        )

    def changes(self, condition: Change) -> tuple[tuple[str, str], ...]:
        """Return what a condition sets, sorted by name."""
        if condition.settings is None:
            return ((condition.option, condition.value),)
        return tuple(sorted((part.name, value) for part, value in set_by(condition.settings).items()))

    def flipped(self, side: Which, names: Iterable[str]) -> Cell | NotTestable:
        """Return the cell of one side with these factors taken from the other side."""
        other = self._states["b" if side == "a" else "a"]
        state = dict(self._states[side])
        for name in names:
            state |= {part: other.get(part) for part in self._parts[name]}
        return self._cell(state)

    def under(self, side: Which, condition: Change) -> Cell | NotTestable:
        """Return the cell of one side under a condition."""
        state = dict(self._states[side])
        if condition.settings is not None:
            if not selected(self.a if side == "a" else self.b, condition.settings.cells):
                return NotTestable(reason=only(condition.settings))
            state = {part: value for part, value in state.items() if part.kind not in OF_SETTINGS}
            state |= set_by(condition.settings)
        else:
            where = str(state[FRAMEWORK]), str(state[FLAVOUR])
            reason = self._space.lacks(*where, condition.option, condition.value)
            if reason is not None:
                return NotTestable(reason=reason)
            state |= chosen({condition.option: condition.value})
        if _set(state) == _set(self._states[side]):
            return NotTestable(reason="it is so already")
        return self._cell(state)

    def _factors(self) -> dict[str, tuple[Part, ...]]:
        """Return the factors' names, each with the parts of the state that it takes along."""
        a, b = self._states["a"], self._states["b"]
        differing = [part for part in dict.fromkeys((*a, *b)) if a.get(part) != b.get(part)]
        options = {part.factor for part in (*a, *b) if part.kind == "option"}
        parts: dict[str, tuple[Part, ...]] = {_told(part, options): (part,) for part in differing}
        if FRAMEWORK in differing:  # versions and flavours of two frameworks are no values of one factor
            parts = {name: own for name, own in parts.items() if own not in ((VERSION,), (FLAVOUR,))}
            parts[FRAMEWORK.factor] = (FRAMEWORK, VERSION, FLAVOUR)
        return parts

    def _factor(self, name: str) -> Factor:
        parts = self._parts[name]
        a, b = (" ".join(_text(self._states[side].get(part)) for part in parts) for side in SIDES)
        return Factor(kind=parts[0].kind, name=name, a=a, b=b)

    def _bound(self, side: Which) -> list[str]:
        """Return the options whose value on that side the other side's framework does not have."""
        here, other = self._states[side], self._states["b" if side == "a" else "a"]
        there = str(other[FRAMEWORK]), str(other[FLAVOUR])
        options = {name: part for name, (part, *_) in self._parts.items() if part.kind == "option"}
        return [name for name, part in options.items() if self._space.lacks(*there, part.name, here.get(part))]

    def _cell(self, state: State) -> Cell | NotTestable:
        return self._space.cell(state, self.a, own=(self.a, self.b))


def _told(part: Part, options: Iterable[str]) -> str:
    return f"variable {part.name}" if part.kind == "variable" and part.name in options else part.factor


def _text(value: str | None) -> str:
    return "none" if value is None else value


def _set(state: State) -> State:
    return {part: value for part, value in state.items() if value is not None}
