"""What a cell can be asked for, as a state -> the cell that has it: the matrix's own, or a new one. Pure.

A new one is named after the nearest variant and settings of the matrix and
what was changed.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from hashlib import sha256
from typing import Literal, TypeAlias

from repromatrix.matrix import Environment, Matrix, Settings, Variant, Workload
from repromatrix.plan import Cell, selected, universe
from repromatrix.results.factors import option_factor

# framework -> option -> its values, the default first
Vocabulary: TypeAlias = Mapping[str, Mapping[str, tuple[str, ...]]]
PartKind: TypeAlias = Literal["environment", "variant", "option", "settings", "variable"]


@dataclass(frozen=True, slots=True)
class Part:
    """One thing that a cell can be asked for.

    Attributes:
        kind: where it is asked for; an option, a setting and a variable may share a name.
    """

    kind: PartKind
    name: str

    @property
    def factor(self) -> str:
        """What it is called as a factor."""
        return option_factor(self.name) if self.kind == "option" else self.name


# All that a cell can be asked for; None, as a missing part: not set, or no such option there.
State: TypeAlias = dict[Part, str | None]

FRAMEWORK, VERSION, FLAVOUR = (Part("environment", name) for name in ("framework", "version", "flavour"))
ENVIRONMENT = (FRAMEWORK, VERSION, FLAVOUR, Part("environment", "python"))
DEVICE = Part("environment", "device")
DTYPE, STEPS = Part("variant", "dtype"), Part("variant", "steps")
THREADS, ISA = Part("settings", "threads"), Part("settings", "isa")
OF_SETTINGS: tuple[PartKind, ...] = ("settings", "variable")
_LEGAL = re.compile(r"[A-Za-z0-9._-]{1,40}")
_LONGEST = 120  # characters of a name; with the cell id's other parts far from what a file system allows


@dataclass(frozen=True, slots=True, kw_only=True)
class NotTestable:
    """There is no such cell, and why."""

    reason: str


def chosen(options: Mapping[str, str] | Iterable[tuple[str, str]]) -> State:
    """Return options with their values as parts of a state."""
    return {Part("option", name): value for name, value in dict(options).items()}


class Space:
    """Every cell of a workload that can be asked for in a matrix's environments; it remembers what it was asked."""

    def __init__(self, matrix: Matrix, workload: Workload) -> None:
        self.matrix, self._workload = matrix, workload
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
        environment, variant = cell.environment, cell.variant
        state: State = {part: getattr(environment, part.name) for part in ENVIRONMENT}
        state |= {DEVICE: cell.device, DTYPE: variant.dtype}
        return state | self._options(environment, variant) | {THREADS: None, ISA: None} | set_by(cell.settings)

    def _options(self, environment: Environment, variant: Variant) -> State:
        return chosen(self._defaults(environment)) | chosen(variant.options)

    def _defaults(self, environment: Environment) -> dict[str, str]:
        options = self._workload.options(environment.framework, environment.flavour)
        return {name: values[0] for name, values in options.items()}

    def lacks(self, framework: str, flavour: str, option: str, value: str | None) -> str | None:
        """Return why a flavour of a framework cannot have that value of an option, or None."""
        values = self._workload.options(framework, flavour).get(option, ())
        if value is None:
            return f"{framework} cannot do without {option}" if values else None
        if value in values:
            return None
        elsewhere = value in self.vocabulary.get(framework, {}).get(option, ())
        return f"{framework}{f' ({flavour})' if elsewhere else ''} has no {option}={value}"

    def cell(self, state: State, like: Cell, own: Iterable[Cell] = ()) -> Cell | NotTestable:
        """Return the cell of a state, in the workload and length of another one.

        Args:
            state: what is asked for.
            like: whose workload and length.
            own: cells that need not be of the matrix, and their environments.
        """
        environment = next(
            (each.environment for each in own if _coordinates(each.environment) == _wanted(state)),
            self._environments.get(_wanted(state)),
        )
        if environment is None:
            wanted = "{framework} {version} ({flavour}) on Python {python}".format(
                **{part.name: state[part] for part in ENVIRONMENT}
            )
            return NotTestable(reason=f"the matrix has no environment of {wanted}")
        if reasons := self._lacking(environment, state):
            return NotTestable(reason=", ".join(reasons))
        device = str(state[DEVICE])
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
            variant=self._variant(environment, state, like),
            device=device,
            settings=self._settings(state),
            once=True,
        )
        return (
            self._allowed(found) if selected(found, found.settings.cells) else NotTestable(reason=only(found.settings))
        )

    def _lacking(self, environment: Environment, state: State) -> list[str]:
        """Return why an environment cannot have the options of a state."""
        framework, flavour = environment.framework, environment.flavour
        asked = {part.name: value for part, value in state.items() if part.kind == "option"}
        names = sorted({*asked, *self._defaults(environment)})
        return [reason for name in names if (reason := self.lacks(framework, flavour, name, asked.get(name)))]

    def _allowed(self, cell: Cell) -> Cell | NotTestable:
        rule = next((each for each in self.matrix.exclude if fnmatchcase(cell.id, each.cells)), None)
        return NotTestable(reason=f"excluded: {rule.reason}") if rule else cell

    def _content(self, cell: Cell) -> object:
        return _key(cell.workload, cell.environment, cell.steps, self.state(cell))

    def _variant(self, environment: Environment, state: State, like: Cell) -> Variant:
        """Return the variant of the state, named after the nearest one of the matrix and how it differs from it."""
        options = chosen(self._defaults(environment))
        own = {part: state[part] for part in (DTYPE, *options)} | {STEPS: str(like.steps)}
        key = (environment.framework, environment.flavour, like.workload.steps, tuple(own.items()))
        if key not in self._variants:
            self._variants[key] = self._nearest_variant(environment, own, like)
        return self._variants[key]

    def _nearest_variant(self, environment: Environment, own: State, like: Cell) -> Variant:
        framework, whole = environment.framework, like.workload.steps
        nearest: tuple[Variant, State] | None = None
        for each in self.variants:
            if each.framework != framework:
                continue
            theirs = self._options(environment, each) | {DTYPE: each.dtype, STEPS: str(each.steps or whole)}
            changes = {part: value for part, value in own.items() if theirs.get(part) != value}
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
            dtype=str(own[DTYPE]),
            steps=None if like.steps == whole else like.steps,
            flavours=(),
            devices=(),
            options=tuple(sorted((part.name, str(value)) for part, value in own.items() if part.kind == "option")),
        )

    def _settings(self, state: State) -> Settings:
        """Return the settings of the state, named after the nearest ones of the matrix and how they differ."""
        own = {part: value for part, value in state.items() if part.kind in OF_SETTINGS and value is not None}
        key = frozenset(own.items())
        if key not in self._bundles:
            self._bundles[key] = self._nearest_settings(own)
        return self._bundles[key]

    def _nearest_settings(self, own: Mapping[Part, str]) -> Settings:
        nearest: tuple[Settings, State] | None = None
        for each in self.matrix.settings.values():
            theirs = set_by(each)
            changes = {part: own.get(part) for part in {**theirs, **own} if theirs.get(part) != own.get(part)}
            if nearest is None or len(changes) < len(nearest[1]):
                nearest = each, changes
        base, changes = nearest or (Settings(), dict(own))
        if not changes:
            return base
        return Settings(
            name=_name(base.name, changes, set(self.matrix.settings)),
            threads=int(own[THREADS]) if THREADS in own else None,
            isa=own.get(ISA),
            variables=tuple(sorted((part.name, value) for part, value in own.items() if part.kind == "variable")),
        )


def set_by(settings: Settings) -> dict[Part, str]:
    """Return what settings set, as parts of a state."""
    fixed = {THREADS: settings.threads, ISA: settings.isa}
    variables = {Part("variable", name): value for name, value in settings.variables}
    return {part: str(value) for part, value in fixed.items() if value is not None} | variables


def only(settings: Settings) -> str:
    """Say that settings are not for a cell."""
    return f"the settings {settings.name} are not for this cell, only for {' '.join(settings.cells)}"


def _coordinates(environment: Environment) -> tuple[str | None, ...]:
    return tuple(getattr(environment, part.name) for part in ENVIRONMENT)


def _wanted(state: State) -> tuple[str | None, ...]:
    return tuple(state[part] for part in ENVIRONMENT)


def _key(workload: Workload, environment: Environment, steps: int, state: State) -> object:
    content = frozenset((part, value) for part, value in state.items() if value is not None)
    return workload.name, environment.name, steps, content


def _name(base: str, changes: State, taken: set[str]) -> str:
    """Return a name that says what was changed, may stand in a cell id and is none of the matrix."""
    told = sorted((part.factor.replace(" ", "-"), value) for part, value in changes.items())
    name = base + "".join(f".{factor}-{_legal(value)}" for factor, value in told)
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
