"""Two cells -> the factors in which they differ, and the cell that has some of them from the other side. Pure.

Such a hybrid is the experiment that shows what a factor does. A condition is a change that neither cell has.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, TypeAlias

from repromatrix.errors import UsageError
from repromatrix.hybrids import ENVIRONMENT, SETTINGS, Hybrids, NotTestable, State, Vocabulary, only
from repromatrix.matrix import Matrix, Settings
from repromatrix.plan import Cell, selected

__all__ = ["Condition", "Factor", "Hybrids", "Interventions", "NotTestable", "Side", "Vocabulary"]

Side: TypeAlias = Literal["a", "b"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Factor:
    """One thing in which two cells differ.

    Attributes:
        a: its value in the first cell, as text.
        b: its value in the second.
        silent: whether a library may ignore it without a word, as it may an instruction-set cap.
    """

    name: str
    a: str
    b: str
    silent: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
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


class Interventions:
    """The factors in which cells A and B of a matrix differ, and their hybrids."""

    def __init__(self, matrix: Matrix, a: Cell, b: Cell, *, hybrids: Hybrids | None = None) -> None:
        """Find the factors.

        Args:
            matrix: whose cells they are.
            a: a cell.
            b: the other.
            hybrids: of that matrix and their workload, to share what they remember between pairs.

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
        self._hybrids = hybrids or Hybrids(matrix, a.workload)
        self._states = {"a": self._hybrids.state(a), "b": self._hybrids.state(b)}
        self._options = {name for each in (a, b) for name in self._hybrids.vocabulary[each.environment.framework]}
        self._parts = self._factors()
        self.factors = tuple(self._factor(name) for name in self._parts)

    @property
    def bundles(self) -> tuple[tuple[str, ...], ...]:
        """Return the sets of another framework with the options in which it cannot follow, where there are such."""
        if "framework" not in self._parts or self._states["a"]["framework"] == self._states["b"]["framework"]:
            return ()
        needed = [set(self._bound("a")), set(self._bound("b"))]
        found = [("framework", *(n for n in self._parts if n in each)) for each in (needed[0] | needed[1], *needed)]
        return tuple(dict.fromkeys(each for each in found if 1 < len(each) < len(self._parts)))

    @property
    def conditions(self) -> tuple[Condition, ...]:
        """Return, as conditions, the settings of the matrix that are neither cell's own and are for one of them."""
        own = {self.a.settings.name, self.b.settings.name}
        return tuple(
            Condition(settings=each)
            for name, each in self._hybrids.matrix.settings.items()
            if name not in own and any(selected(cell, each.cells) for cell in (self.a, self.b))
        )

    def changes(self, condition: Condition) -> tuple[tuple[str, str], ...]:
        """Return what a condition sets, sorted by name."""
        if condition.settings is None:
            return ((condition.option, condition.value),)
        return tuple(sorted((n, v) for n, v in self._hybrids.set_by(condition.settings).items() if v is not None))

    def flipped(self, side: Side, names: Iterable[str]) -> Cell | NotTestable:
        """Return the cell of one side with these factors taken from the other side."""
        other = self._states["b" if side == "a" else "a"]
        state = dict(self._states[side])
        for name in names:
            state |= {part: other.get(part) for part in self._parts[name]}
        return self._cell(state)

    def under(self, side: Side, condition: Condition) -> Cell | NotTestable:
        """Return the cell of one side under a condition."""
        state = dict(self._states[side])
        if condition.settings is not None:
            if not selected(self.a if side == "a" else self.b, condition.settings.cells):
                return NotTestable(reason=only(condition.settings))
            kept = (*ENVIRONMENT, "device", "dtype", *self._options)
            state = {name: state.get(name) for name in kept} | dict.fromkeys(SETTINGS)
            state |= self._hybrids.set_by(condition.settings)
        else:
            framework = str(state["framework"])
            reason = self._hybrids.lacks(framework, condition.option, condition.value)
            if reason is not None:
                return NotTestable(reason=reason)
            state[condition.option] = condition.value
        if _set(state) == _set(self._states[side]):
            return NotTestable(reason="it is so already")
        return self._cell(state)

    def _factors(self) -> dict[str, tuple[str, ...]]:
        """Return the factors' names, each with the parts of the state that it takes along."""
        a, b = self._states["a"], self._states["b"]
        differing = [name for name in dict.fromkeys((*a, *b)) if a.get(name) != b.get(name)]
        parts: dict[str, tuple[str, ...]] = {name: (name,) for name in differing}
        if "framework" in parts:  # versions and flavours of two frameworks are no values of one factor
            parts = {name: own for name, own in parts.items() if name not in ("version", "flavour")}
            parts["framework"] = ("framework", "version", "flavour")
        return parts

    def _factor(self, name: str) -> Factor:
        def text(state: State) -> str:
            if name == "framework":
                return " ".join(str(state[part]) for part in self._parts[name])
            value = state.get(name)
            return "none" if value is None else value

        silent = name in SETTINGS or name.isupper()
        return Factor(name=name, a=text(self._states["a"]), b=text(self._states["b"]), silent=silent)

    def _bound(self, side: Side) -> list[str]:
        """Return the options whose value on that side the other side's framework does not have."""
        there = str(self._states["b" if side == "a" else "a"]["framework"])
        options = [name for name in self._parts if name in self._options]
        return [name for name in options if self._hybrids.lacks(there, name, self._states[side].get(name))]

    def _cell(self, state: State) -> Cell | NotTestable:
        return self._hybrids.cell(state, self.a, own=(self.a, self.b), options=self._options)


def _set(state: State) -> State:
    return {name: value for name, value in state.items() if value is not None}
