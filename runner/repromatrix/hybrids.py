"""What a cell can be asked for, as a state -> the cell that has it: the matrix's own, or a hybrid. Pure.

A hybrid that the matrix has is that cell. Any other is named after the nearest variant and settings of the matrix and
what was changed.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from hashlib import sha256
from typing import TypeAlias

from repromatrix.matrix import Environment, Matrix, Settings, Variant, Workload
from repromatrix.plan import Cell, selected, universe

# framework -> option -> its values, the default first
Vocabulary: TypeAlias = Mapping[str, Mapping[str, tuple[str, ...]]]
# All that a cell can be asked for, by the factor's name; None, as a missing one: not set, or no such option there.
State: TypeAlias = dict[str, str | None]

ENVIRONMENT = ("framework", "version", "flavour", "python")
SETTINGS = ("threads", "isa")
_LEGAL = re.compile(r"[A-Za-z0-9._-]{1,40}")
_LONGEST = 120  # characters of a name; with the cell id's other parts far from what a file system allows


@dataclass(frozen=True, slots=True, kw_only=True)
class NotTestable:
    """There is no such cell, and why."""

    reason: str


class Hybrids:
    """Every cell of a workload that can be asked for in a matrix's environments; it remembers what it was asked."""

    def __init__(self, matrix: Matrix, workload: Workload) -> None:
        self.matrix = matrix
        self.vocabulary: Vocabulary = {each.framework: workload.options(each.framework) for each in matrix.environments}
        self.variants = tuple(
            dict.fromkeys(
                variant for each in matrix.environments for variant in workload.variants(each.framework, each.flavour)
            )
        )
        self._environments = {_coordinates(each): each for each in reversed(matrix.environments)}
        self._variants: dict[object, Variant] = {}
        self._bundles: dict[object, Settings] = {}
        self._known: dict[object, Cell] = {}
        for cell in universe(matrix):
            self._known.setdefault(self._content(cell), cell)

    def state(self, cell: Cell) -> State:
        """Return all that a cell is asked for, options that its variant leaves out with their defaults."""
        environment, settings = cell.environment, cell.settings
        state: State = {name: getattr(environment, name) for name in ENVIRONMENT}
        state |= {"device": cell.device, "dtype": cell.variant.dtype}
        options = self.vocabulary.get(environment.framework, {})
        state |= {name: values[0] for name, values in options.items()} | dict(cell.variant.options)
        return state | dict.fromkeys(SETTINGS) | self.set_by(settings)

    def set_by(self, settings: Settings) -> dict[str, str | None]:
        """Return what settings set, as parts of a state."""
        return dict(_settings_content(settings))

    def lacks(self, framework: str, option: str, value: str | None) -> str | None:
        """Return why a framework cannot have that value of an option, or None."""
        values = self.vocabulary[framework].get(option, ())
        if value is None:
            return f"{framework} cannot do without {option}" if values else None
        return None if value in values else f"{framework} has no {option}={value}"

    def cell(
        self, state: State, like: Cell, own: Iterable[Cell] = (), options: Iterable[str] = ()
    ) -> Cell | NotTestable:
        """Return the cell of a state, in the workload and length of another one.

        Args:
            state: what is asked for.
            like: whose workload and length.
            own: cells that need not be of the matrix, and their environments.
            options: names that the state has only as options, whichever framework knows them.
        """
        environment = next(
            (each.environment for each in own if _coordinates(each.environment) == _wanted(state)),
            self._environments.get(_wanted(state)),
        )
        if environment is None:
            wanted = "{framework} {version} ({flavour}) on Python {python}".format(**state)
            return NotTestable(reason=f"the matrix has no environment of {wanted}")
        known = {*options, *self.vocabulary[environment.framework]}
        reasons = [each for name in sorted(known) if (each := self.lacks(environment.framework, name, state.get(name)))]
        if reasons:
            return NotTestable(reason=", ".join(reasons))
        device = str(state["device"])
        if device not in environment.devices:
            return NotTestable(reason=f"{environment.name} has no device {device}")
        content = _key(like.workload, environment, like.steps, state)
        for cell in own:
            if self._content(cell) == content:
                return cell
        if content in self._known:
            return self._allowed(self._known[content])
        found = Cell(
            workload=like.workload,
            environment=environment,
            variant=self._variant(environment.framework, state, like),
            device=device,
            settings=self._settings(state, known),
        )
        return (
            self._allowed(found) if selected(found, found.settings.cells) else NotTestable(reason=only(found.settings))
        )

    def _allowed(self, cell: Cell) -> Cell | NotTestable:
        rule = next((each for each in self.matrix.exclude if fnmatchcase(cell.id, each.cells)), None)
        return NotTestable(reason=f"excluded: {rule.reason}") if rule else cell

    def _content(self, cell: Cell) -> object:
        return _key(cell.workload, cell.environment, cell.steps, self.state(cell))

    def _variant(self, framework: str, state: State, like: Cell) -> Variant:
        """Return the variant of the state, named after the nearest one of the matrix and how it differs from it."""
        defaults = {name: values[0] for name, values in self.vocabulary[framework].items()}
        own = {name: state[name] for name in ("dtype", *defaults)} | {"steps": str(like.steps)}
        key = (framework, like.workload.steps, tuple(own.items()))
        if key not in self._variants:
            self._variants[key] = self._nearest_variant(framework, own, defaults, like)
        return self._variants[key]

    def _nearest_variant(self, framework: str, own: State, defaults: dict[str, str], like: Cell) -> Variant:
        whole = like.workload.steps
        nearest: tuple[Variant, State] | None = None
        for each in self.variants:
            if each.framework != framework:
                continue
            theirs = defaults | dict(each.options) | {"dtype": each.dtype, "steps": str(each.steps or whole)}
            changes = {name: value for name, value in own.items() if theirs[name] != value}
            if nearest is None or len(changes) < len(nearest[1]):
                nearest = each, changes
        if nearest is None:
            nearest = (replace(like.variant, framework=framework, name=framework), dict(own))
        base, changes = nearest
        if not changes:
            return base
        return Variant(
            framework=framework,
            name=_name(base.name, changes, {each.name for each in self.variants}),
            dtype=str(own["dtype"]),
            steps=None if like.steps == whole else like.steps,
            flavours=(),
            devices=(),
            options=tuple(sorted((name, str(own[name])) for name in defaults)),
        )

    def _settings(self, state: State, options: Iterable[str]) -> Settings:
        """Return the settings of the state, named after the nearest ones of the matrix and how they differ."""
        others = {*ENVIRONMENT, "device", "dtype", *options}
        own = {name: value for name, value in state.items() if name not in others and value is not None}
        key = tuple(sorted(own.items()))
        if key not in self._bundles:
            self._bundles[key] = self._nearest_settings(own)
        return self._bundles[key]

    def _nearest_settings(self, own: Mapping[str, str]) -> Settings:
        nearest: tuple[Settings, State] | None = None
        for each in self.matrix.settings.values():
            theirs = _settings_content(each)
            changes = {n: own.get(n) for n in dict.fromkeys((*theirs, *own)) if theirs.get(n) != own.get(n)}
            if nearest is None or len(changes) < len(nearest[1]):
                nearest = each, changes
        base, changes = nearest or (Settings(), dict(own))
        if not changes:
            return base
        return Settings(
            name=_name(base.name, changes, set(self.matrix.settings)),
            threads=int(own["threads"]) if "threads" in own else None,
            isa=own.get("isa"),
            variables=tuple(sorted((n, value) for n, value in own.items() if n not in SETTINGS)),
        )


def only(settings: Settings) -> str:
    """Say that settings are not for a cell."""
    return f"the settings {settings.name} are not for this cell, only for {' '.join(settings.cells)}"


def _coordinates(environment: Environment) -> tuple[str | None, ...]:
    return tuple(getattr(environment, name) for name in ENVIRONMENT)


def _wanted(state: State) -> tuple[str | None, ...]:
    return tuple(state[name] for name in ENVIRONMENT)


def _key(workload: Workload, environment: Environment, steps: int, state: State) -> object:
    content = frozenset((name, value) for name, value in state.items() if value is not None)
    return workload.name, environment.name, steps, content


def _settings_content(settings: Settings) -> dict[str, str]:
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
