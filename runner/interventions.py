"""Two cells -> the factors in which they differ, and the cell that has some of them from the other side. Pure.

Such a hybrid is the experiment that shows what a factor does. One that the matrix has is the matrix's own cell.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Literal, TypeAlias

from runner.errors import UsageError
from runner.matrix import Environment, Matrix, Settings, Variant
from runner.plan import Cell, universe

Side: TypeAlias = Literal["a", "b"]
# framework -> option -> its values, the default first
Vocabulary: TypeAlias = Mapping[str, Mapping[str, tuple[str, ...]]]
# All that a cell can be asked for, by the factor's name; None, as a missing one: not set, or no such option there.
State: TypeAlias = dict[str, str | None]

_ENVIRONMENT = ("framework", "version", "flavour", "python")
_SETTINGS = ("threads", "isa")
_LEGAL = re.compile(r"[A-Za-z0-9._-]{1,40}")
_LONGEST = 120  # characters of a name; with the cell id's other parts far from what a file system allows


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
class NotTestable:
    """There is no such hybrid, and why."""

    reason: str


class Interventions:
    """The factors in which cells A and B of a matrix differ, and their hybrids."""

    def __init__(self, matrix: Matrix, vocabulary: Vocabulary, a: Cell, b: Cell) -> None:
        """Find the factors.

        Raises:
            UsageError: the cells are of two workloads or lengths, which no flip can bring together.
        """
        if a.workload != b.workload or a.steps != b.steps:
            raise UsageError(
                f"{a.id} and {b.id} are not the same task: {a.workload.name} of {a.steps} steps "
                f"against {b.workload.name} of {b.steps}",
                hint="name two cells of one workload and length: repromatrix plan",
            )
        self._matrix = matrix
        self._vocabulary = vocabulary
        self._cells = {"a": a, "b": b}
        self._states = {"a": self._state(a), "b": self._state(b)}
        self._known = [cell for cell in (a, b, *universe(matrix)) if cell.workload == a.workload]
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

    def flipped(self, side: Side, names: Iterable[str]) -> Cell | NotTestable:
        """Return the cell of one side with these factors taken from the other side."""
        other = self._states["b" if side == "a" else "a"]
        state = dict(self._states[side])
        for name in names:
            state |= {part: other.get(part) for part in self._parts[name]}
        return self._cell(state)

    def _state(self, cell: Cell) -> State:
        environment, settings = cell.environment, cell.settings
        state: State = {name: getattr(environment, name) for name in _ENVIRONMENT}
        state |= {"device": cell.device, "dtype": cell.variant.dtype}
        options = self._vocabulary.get(environment.framework, {})
        state |= {name: values[0] for name, values in options.items()} | dict(cell.variant.options)
        state |= {"threads": None if settings.threads is None else str(settings.threads), "isa": settings.isa}
        return state | dict(settings.variables)

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

        silent = name in _SETTINGS or name.isupper()
        return Factor(name=name, a=text(self._states["a"]), b=text(self._states["b"]), silent=silent)

    def _bound(self, side: Side) -> list[str]:
        """Return the options whose value on that side the other side's framework does not have."""
        there = str(self._states["b" if side == "a" else "a"]["framework"])
        options = [name for name in self._parts if name in self._options()]
        return [name for name in options if self._lacks(there, name, self._states[side].get(name))]

    def _options(self) -> set[str]:
        return {name for cell in self._cells.values() for name in self._vocabulary[cell.environment.framework]}

    def _lacks(self, framework: str, option: str, value: str | None) -> str | None:
        """Return why a framework cannot have that value of an option, or None."""
        values = self._vocabulary[framework].get(option, ())
        if value is None:
            return f"{framework} cannot do without {option}" if values else None
        return None if value in values else f"{framework} has no {option}={value}"

    def _cell(self, state: State) -> Cell | NotTestable:
        environment = self._environment(state)
        if environment is None:
            wanted = "{framework} {version} ({flavour}) on Python {python}".format(**state)
            return NotTestable(reason=f"the matrix has no environment of {wanted}")
        lacking = (self._lacks(environment.framework, name, state.get(name)) for name in sorted(self._options()))
        reasons = [each for each in lacking if each]
        if reasons:
            return NotTestable(reason=", ".join(reasons))
        device = str(state["device"])
        if device not in environment.devices:
            return NotTestable(reason=f"{environment.name} has no device {device}")
        content, steps = _set(state), self._cells["a"].steps
        for cell in self._known:
            if cell.environment.name == environment.name and cell.steps == steps and _set(self._state(cell)) == content:
                return cell
        return Cell(
            workload=self._cells["a"].workload,
            environment=environment,
            variant=self._variant(environment.framework, state),
            device=device,
            settings=self._settings(state),
        )

    def _environment(self, state: State) -> Environment | None:
        ours = [cell.environment for cell in self._cells.values()]
        wanted = [state[name] for name in _ENVIRONMENT]
        every = (*ours, *self._matrix.environments)
        return next((each for each in every if [getattr(each, name) for name in _ENVIRONMENT] == wanted), None)

    def _variant(self, framework: str, state: State) -> Variant:
        """Return the variant of the state, named after the nearest one of the matrix and how it differs from it."""
        defaults = {name: values[0] for name, values in self._vocabulary[framework].items()}
        a = self._cells["a"]
        steps = None if a.steps == a.workload.steps else a.steps
        own = {name: state[name] for name in ("dtype", *defaults)} | {"steps": str(a.steps)}
        nearest: tuple[Variant, State] | None = None
        for each in self._matrix.variants:
            if each.framework != framework:
                continue
            theirs = defaults | dict(each.options) | {"dtype": each.dtype, "steps": str(each.steps or a.workload.steps)}
            changes = {name: value for name, value in own.items() if theirs[name] != value}
            if nearest is None or len(changes) < len(nearest[1]):
                nearest = each, changes
        if nearest is None:
            nearest = (replace(a.variant, framework=framework, name=framework), dict(own))
        base, changes = nearest
        if not changes:
            return base
        names = {each.name for each in self._matrix.variants}
        options = tuple(sorted((name, str(state[name])) for name in defaults))
        return Variant(
            framework=framework,
            name=_name(base.name, changes, names),
            dtype=str(state["dtype"]),
            steps=steps,
            flavours=(),
            devices=(),
            options=options,
        )

    def _settings(self, state: State) -> Settings:
        """Return the settings of the state, named after the nearest ones of the matrix and how they differ."""
        not_settings = {*_ENVIRONMENT, "device", "dtype", *self._options()}
        own = {name: value for name, value in state.items() if name not in not_settings and value is not None}
        nearest: tuple[Settings, State] | None = None
        for each in self._matrix.settings.values():
            theirs = _content(each)
            changes = {n: own.get(n) for n in dict.fromkeys((*theirs, *own)) if theirs.get(n) != own.get(n)}
            if nearest is None or len(changes) < len(nearest[1]):
                nearest = each, changes
        base, changes = nearest or (Settings(), dict(own))
        if not changes:
            return base
        return Settings(
            name=_name(base.name, changes, set(self._matrix.settings)),
            threads=int(own["threads"]) if "threads" in own else None,
            isa=own.get("isa"),
            variables=tuple(sorted((n, value) for n, value in own.items() if n not in _SETTINGS)),
        )


def _set(state: State) -> State:
    return {name: value for name, value in state.items() if value is not None}


def _content(settings: Settings) -> dict[str, str]:
    found = {"threads": settings.threads, "isa": settings.isa} | dict(settings.variables)
    return {name: str(value) for name, value in found.items() if value is not None}


def _name(base: str, changes: State, taken: set[str]) -> str:
    """Return a name that says what was changed, may stand in a cell id and is none of the matrix."""
    name = base + "".join(f".{key}-{_legal(value)}" for key, value in sorted(changes.items()))
    if len(name) > _LONGEST:
        digest = sha256(name.encode()).hexdigest()[:8]
        name = f"{name[: _LONGEST - 9]}-{digest}"
    # The matrix's names have no capital letters.
    return f"{name}-X" if name in taken else name


def _legal(value: str | None) -> str:
    if value is None:
        return "unset"
    if _LEGAL.fullmatch(value):
        return value
    digest = sha256(value.encode()).hexdigest()[:8]
    return f"{re.sub('[^A-Za-z0-9]+', '', value)[:20]}-{digest}"
