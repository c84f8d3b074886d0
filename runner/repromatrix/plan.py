"""`Matrix` + selection -> the cells to run and those left out, with reasons. Pure: no engine, no network.

The only owner of the cell id's form: WORKLOAD/ENVIRONMENT/VARIANT[@DEVICE][+SETTINGS][~MEMBER].
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Any

from repromatrix.errors import MatrixError, NothingSelectedError, UsageError
from repromatrix.graph import Place
from repromatrix.matrix import Environment, Exclude, Include, Matrix, Profile, Settings, Variant, Workload
from repromatrix.matrix.check import suggest
from repromatrix.matrix.model import DEFAULT_SETTINGS
from repromatrix.matrix.workload import table_named


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """Environment x device x workload x variant x settings.

    Attributes:
        member: from 1 on, the same cell with its parameters moved by one ULP each: a member of the noise ensemble;
            above 1000 the same cell with its parameters drawn from another seed.
        once: whether one run of it tells what is asked: of a cell with a factor changed to explain others, for one.
    """

    workload: Workload
    environment: Environment
    variant: Variant
    device: str
    settings: Settings
    member: int = 0
    once: bool = False

    def runs(self, repeats: int) -> int:
        """Return how often it runs: of members one run tells what is asked of them, too."""
        return 1 if self.once or self.member else repeats

    @property
    def id(self) -> str:
        """The one textual form: file name, argument, CI job name and HTML anchor alike."""
        device = "" if self.device == "cpu" else f"@{self.device.replace(':', '')}"
        settings = "" if self.settings.name == DEFAULT_SETTINGS else f"+{self.settings.name}"
        member = f"~{self.member}" if self.member else ""
        return f"{self.workload.name}/{self.environment.name}/{self.variant.name}{device}{settings}{member}"

    @property
    def steps(self) -> int:
        """Number of updates; the trajectory has as many losses. 0: as many as a command prints."""
        return self.variant.steps or self.workload.steps


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One operation of a cell on inputs of its own: `step` on the tensors of a trace, or an operation.

    Attributes:
        inputs: SHA-256 over the samples.
        places: what is computed from what.
        samples: what the workload's code is given, as JSON has it.
    """

    cell: Cell
    name: str
    inputs: str
    places: tuple[Place, ...]
    samples: Sequence[Mapping[str, Any]]

    @property
    def id(self) -> str:
        """What it is called between the job and its answer."""
        return f"{self.cell.id}:{self.name}:{self.inputs[:16]}"

    @property
    def device(self) -> str:
        """The cell's device."""
        return self.cell.device


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """A cell that the matrix has and this plan does not run."""

    cell: Cell
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Ensemble:
    """A cell, and the same cell from parameters that are each moved by one ULP of its dtype."""

    reference: Cell
    members: tuple[Cell, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What will run, in the order of the matrix, and what will not; the ensembles measure the noise of the cells."""

    profile: str
    cells: tuple[Cell, ...]
    left_out: tuple[LeftOut, ...]
    ensembles: tuple[Ensemble, ...]

    @property
    def every_cell(self) -> tuple[Cell, ...]:
        """The cells, then the members of the ensembles."""
        return (*self.cells, *(member for each in self.ensembles for member in each.members))

    @property
    def environments(self) -> tuple[Environment, ...]:
        """The environments of the cells, each once, in order."""
        return tuple({cell.environment.name: cell.environment for cell in self.cells}.values())


def universe(matrix: Matrix) -> tuple[Cell, ...]:
    """Return every cell of the matrix before `exclude`, profiles and selection."""
    cells = [
        cell
        for workload in matrix.workloads
        for each in matrix.environments
        for cell in cells_of(matrix, workload, each)
    ]
    added = []
    for rule in matrix.include:
        added += [
            Cell(
                workload=cell.workload,
                environment=cell.environment,
                variant=cell.variant,
                device=cell.device,
                settings=matrix.settings[rule.settings],
            )
            for cell in _matched(rule, "include", matrix, cells)
        ]
    return tuple({cell.id: cell for cell in (*cells, *added)}.values())


def cells_of(matrix: Matrix, workload: Workload, environment: Environment) -> tuple[Cell, ...]:
    """Return the cells of one environment in the default settings: its devices x the variants of its framework."""
    default = matrix.settings[DEFAULT_SETTINGS]
    return tuple(
        Cell(workload=workload, environment=environment, variant=variant, device=device, settings=default)
        for device in environment.devices
        for variant in workload.variants(environment.framework, environment.flavour)
        if not variant.devices or device.partition(":")[0] in variant.devices
    )


def plan(matrix: Matrix, *, profile: str, select: Sequence[str] = ()) -> Plan:
    """Choose the cells of a profile; `select` are patterns over cell ids, with a leading `!` to leave out.

    A pattern without `/` is tried against the environment's name, its framework and the variant's name.

    Raises:
        MatrixError: a rule or a profile's pattern that matches nothing.
        UsageError: an unknown profile.
        NothingSelectedError: no cell is left.
    """
    chosen_profile = _profile(matrix, profile)
    tables = _tables(matrix, chosen_profile)
    cells = (
        *universe(matrix),
        *(cell for job in tables for each in matrix.environments for cell in cells_of(matrix, job, each)),
    )
    excluded = _excluded(matrix, cells)
    names = _environment_names(matrix, chosen_profile)
    jobs = _workload_names(matrix, chosen_profile, [*matrix.workloads, *tables])
    in_profile = [
        cell
        for cell in cells
        if cell.environment.name in names
        and cell.workload.name in jobs
        and (not chosen_profile.devices or cell.device in chosen_profile.devices)
    ]
    kept = [cell for cell in in_profile if cell.id not in excluded and selected(cell, select)]
    if not kept:
        _nothing(profile, select, in_profile)
    left_out = tuple(
        LeftOut(cell=cell, reason=excluded[cell.id])
        for cell in in_profile
        if cell.id in excluded and selected(cell, select)
    )
    return Plan(profile=profile, cells=tuple(kept), left_out=left_out, ensembles=ensembles(kept, matrix.noise_members))


def ensembles(cells: Sequence[Cell], members: int) -> tuple[Ensemble, ...]:
    """Return for each workload and dtype an ensemble of its first full-length cell on the CPU in default settings."""
    references: dict[tuple[str, str], Cell] = {}
    for cell in cells:
        plain = cell.device == "cpu" and cell.settings.name == DEFAULT_SETTINGS and cell.steps == cell.workload.steps
        if plain and members and not (cell.workload.command or cell.workload.rows):  # which have no weights to move
            references.setdefault((cell.workload.name, cell.variant.dtype), cell)
    return tuple(
        Ensemble(reference=cell, members=tuple(replace(cell, member=number) for number in range(1, members + 1)))
        for cell in references.values()
    )


def environments_named(matrix: Matrix, names: Iterable[str]) -> tuple[Environment, ...]:
    """Return the environments of those names, each once.

    Raises:
        UsageError: there is none of a name; the nearest are suggested.
    """
    known = {each.name: each for each in matrix.environments}
    for name in names:
        if name not in known:
            raise UsageError(f"no environment {name!r} in {matrix.path.name}", hint=suggest(name, sorted(known))[:300])
    return tuple(known[name] for name in dict.fromkeys(names))


def environments_of(matrix: Matrix, profile: str | None, select: Sequence[str]) -> tuple[Environment, ...]:
    """Return the environments that a profile and patterns choose; without a profile, of the whole matrix.

    Raises:
        NothingSelectedError: none is left.
    """
    if profile:
        return plan(matrix, profile=profile, select=select).environments
    wanted = [each for each in select if not each.startswith("!")] or ["*"]
    unwanted = [each[1:] for each in select if each.startswith("!")]
    chosen = [each for each in matrix.environments if _is_called(each, wanted) and not _is_called(each, unwanted)]
    if not chosen:
        raise NothingSelectedError(
            f"no environment matches {', '.join(select)}",
            hint="the names: " + ", ".join(each.name for each in matrix.environments)[:300],
        )
    return tuple(chosen)


def profiles_of(matrix: Matrix, environments: Iterable[Environment]) -> dict[str, tuple[str, ...]]:
    """Return for each environment the profiles that have cells of it, in the order of the matrix.

    Raises:
        MatrixError: a profile names what the matrix does not have.
    """
    members = {name: _members(matrix, name) for name in matrix.profiles}
    return {each.name: tuple(name for name in members if each.name in members[name]) for each in environments}


def _members(matrix: Matrix, profile: str) -> frozenset[str]:
    try:
        return frozenset(each.name for each in plan(matrix, profile=profile).environments)
    except NothingSelectedError:
        return frozenset()


def _is_called(environment: Environment, patterns: Sequence[str]) -> bool:
    names = (environment.name, environment.framework)
    return any(fnmatchcase(name, pattern) for name in names for pattern in patterns)


def settings_named(matrix: Matrix, name: str) -> Settings:
    """Return the settings of that name.

    Raises:
        UsageError: there are none; the nearest are suggested.
    """
    if name not in matrix.settings:
        raise UsageError(f"no settings {name!r} in {matrix.path.name}", hint=suggest(name, sorted(matrix.settings)))
    return matrix.settings[name]


def find(matrix: Matrix, cell_id: str) -> Cell:
    """Return the cell of that id: of the matrix, or of a table of operations, which runs beside it in any settings.

    Raises:
        UsageError: there is none; the nearest ids are suggested.
    """
    cells = {cell.id: cell for cell in universe(matrix)}
    if cell_id not in cells and (table := table_named(cell_id.partition("/")[0])):
        name = cell_id.partition("~")[0].partition("+")[2] or DEFAULT_SETTINGS
        own = (cell for each in matrix.environments for cell in cells_of(matrix, table, each))
        cells |= {cell.id: cell for cell in (replace(one, settings=settings_named(matrix, name)) for one in own)}
    if cell_id not in cells:
        raise UsageError(f"no cell {cell_id!r} in {matrix.path.name}", hint=suggest(cell_id, list(cells)[:2000])[:300])
    return cells[cell_id]


def _profile(matrix: Matrix, name: str) -> Profile:
    if name not in matrix.profiles:
        raise UsageError(f"no profile {name!r}", where=matrix.path.name, hint=suggest(name, sorted(matrix.profiles)))
    return matrix.profiles[name]


def _tables(matrix: Matrix, profile: Profile) -> tuple[Workload, ...]:
    """Return the product's own tables of operations that a profile names: they need no place in a matrix."""
    own = {each.name for each in matrix.workloads}
    return tuple(table for name in profile.workloads if name not in own and (table := table_named(name)))


def _workload_names(matrix: Matrix, profile: Profile, workloads: Sequence[Workload]) -> frozenset[str]:
    every = [each.name for each in workloads]
    _require_all_match(matrix, profile, profile.workloads, every, "workload")
    wanted = profile.workloads or ("*",)
    return frozenset(name for name in every if any(fnmatchcase(name, pattern) for pattern in wanted))


def _require_all_match(
    matrix: Matrix, profile: Profile, patterns: Sequence[str], names: Sequence[str], what: str
) -> None:
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in names):
            raise MatrixError(
                f"the profile {profile.name!r} names {pattern!r}, which matches no {what}",
                where=f"{matrix.path.name}:{profile.line}",
                hint=suggest(pattern, names),
            )


def _environment_names(matrix: Matrix, profile: Profile) -> frozenset[str]:
    every = [each.name for each in matrix.environments]
    _require_all_match(matrix, profile, (*profile.environments, *profile.exclude_environments), every, "environment")
    return frozenset(
        name
        for name in every
        if any(fnmatchcase(name, pattern) for pattern in profile.environments)
        and not any(fnmatchcase(name, pattern) for pattern in profile.exclude_environments)
    )


def _excluded(matrix: Matrix, cells: Sequence[Cell]) -> dict[str, str]:
    reasons: dict[str, str] = {}
    there = {cell.workload.name for cell in cells}
    for rule in matrix.exclude:
        table = rule.cells.partition("/")[0]
        if table not in there and table_named(table):
            continue  # one that this profile does not name
        for cell in _matched(rule, "exclude", matrix, cells):
            reasons.setdefault(cell.id, rule.reason)
    return reasons


def _matched(rule: Include | Exclude, key: str, matrix: Matrix, cells: Sequence[Cell]) -> list[Cell]:
    matched = [cell for cell in cells if fnmatchcase(cell.id, rule.cells)]
    if not matched:
        raise MatrixError(
            f"this {key} matches no cell: {rule.cells}",
            where=f"{matrix.path.name}:{rule.line}",
            hint=suggest(rule.cells, [cell.id for cell in cells]),
        )
    return matched


def selected(cell: Cell, select: Sequence[str]) -> bool:
    """Whether the patterns of `--select` choose a cell; no pattern chooses all."""
    wanted = [pattern for pattern in select if not pattern.startswith("!")]
    unwanted = [pattern[1:] for pattern in select if pattern.startswith("!")]
    return (not wanted or any(_matches(cell, each) for each in wanted)) and not any(
        _matches(cell, each) for each in unwanted
    )


def _matches(cell: Cell, pattern: str) -> bool:
    if "/" in pattern:
        return fnmatchcase(cell.id, pattern)
    names = (cell.environment.name, cell.environment.framework, cell.variant.name)
    return any(fnmatchcase(name, pattern) for name in names)


def _nothing(profile: str, select: Sequence[str], in_profile: Sequence[Cell]) -> None:
    wanted = ", ".join(select) or "(no --select)"
    near = suggest(select[0], [cell.id for cell in in_profile]) if select and in_profile else ""
    hint = near if near.startswith("did you mean") else f"list the cells: repromatrix plan --profile {profile}"
    raise NothingSelectedError(f"nothing is selected in profile {profile!r} by {wanted}", hint=hint)
