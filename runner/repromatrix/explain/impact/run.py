"""Two environments -> what changes between them: asks for the cells of both, and for more of those that changed."""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from repromatrix.compare.allowance import measured
from repromatrix.compare.trace import Divergence, divergence
from repromatrix.errors import AbsentError, EnvironmentFailedError, NothingSelectedError, UsageError
from repromatrix.execute import operations
from repromatrix.execute.manifest import ensemble_of, manifest
from repromatrix.execute.run import Execution, Summary
from repromatrix.execute.trace import Tracing
from repromatrix.explain import only
from repromatrix.explain.impact import operations as compared
from repromatrix.explain.impact.companions import companions, computing
from repromatrix.explain.impact.rows import Blame, Companion, Condition, Impact, OperationRow, changed, names_of
from repromatrix.explain.impact.training import Job, Spread, row, spread
from repromatrix.matrix import Environment, Matrix, Settings, Workload
from repromatrix.matrix.model import SEEDS, Input
from repromatrix.plan import Cell, Ensemble, Plan, cells_of, ensembles, selected
from repromatrix.resources import folder
from repromatrix.results.record import Outcome, Record
from repromatrix.results.value import Column, Role, Trajectory

Sides = tuple[Environment, Environment]
_SEEDS = 8  # with which a job that changed runs once more each, to tell whether the change matters


def left_out(matrix: Matrix, cell: Cell) -> bool:
    """Whether a training job is left out where nobody asked for all.

    Its workload comes with the product and is a large one, not of the default profile, and it only has another dtype or
    compilation than the workload's first job.
    """
    profile = matrix.profiles.get("default")
    small = profile.workloads if profile and profile.workloads else tuple(each.name for each in matrix.workloads)
    workload, environment = cell.workload, cell.environment
    if workload.name in (*small, operations.NAME) or not _is_products(workload):
        return False
    first = workload.variants(environment.framework, environment.flavour)[0]
    compiled = [dict(each.options).get("compile") for each in (first, cell.variant)]
    return cell.variant.dtype != first.dtype or compiled[0] != compiled[1]


def comparable(
    matrix: Matrix, pairs: Sequence[Sides], select: Sequence[str], *, full: bool = True
) -> dict[Sides, list[Cell]]:
    """Return the selected cells, operations too, of every pair that has a selected variant on both sides.

    Args:
        matrix: whose workloads they are.
        pairs: of environments.
        select: patterns of cells; none: all.
        full: whether large jobs run in every dtype and compilation too.

    Raises:
        NothingSelectedError: no pair has one.
    """
    jobs = (*(each for each in matrix.workloads if each.name != operations.NAME), operations.workload(matrix))
    found = {}
    for pair in pairs:
        before, after = (
            {_key(cell): cell for cell in _cells(matrix, jobs, side, select) if full or not left_out(matrix, cell)}
            for side in pair
        )
        if before.keys() & after.keys():
            found[pair] = [*before.values(), *after.values()]
    if not found:
        names = " and ".join(each.name for each in pairs[0])
        raise NothingSelectedError(
            f"no variant that {names} share is selected by {', '.join(select)}"
            if select
            else f"no variant is written for both {names}",
            hint="see: repromatrix plan",
        )
    return found


def _cells(matrix: Matrix, jobs: Sequence[Workload], environment: Environment, select: Sequence[str]) -> Iterator[Cell]:
    for workload in jobs:
        cells = cells_of(matrix, workload, environment)
        yield from (cell for cell in cells if cell.device == "cpu" and selected(cell, select))


def _key(cell: Cell) -> tuple[str, str, str]:
    return cell.workload.name, cell.variant.name, cell.settings.name


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pair:
    """The cells of a job before and after."""

    a: Cell
    b: Cell

    def under(self, settings: Settings) -> "_Pair":
        """Return them in other settings."""
        return _Pair(a=replace(self.a, settings=settings), b=replace(self.b, settings=settings))

    @property
    def cells(self) -> tuple[Cell, Cell]:
        """Both."""
        return self.a, self.b


@dataclass(frozen=True, slots=True)
class _Subject:
    """A training job that changed, or an operation in a cell.

    Attributes:
        operation: its name; empty: the whole cell is meant.
    """

    pair: _Pair
    operation: str = ""

    @property
    def name(self) -> str:
        variant = self.pair.a.variant
        return f"{self.operation} {variant.dtype}" if self.operation else f"{self.pair.a.workload.name}/{variant.name}"

    def found(self, plain: Job, there: Job) -> Iterator[str]:
        """Yield the fields of a condition in which it stands."""
        if not there.ran:
            yield "untested"
            return
        a, b = self._value(there.a), self._value(there.b)
        yield "gone" if a == b else "stays"
        if a == self._value(plain.b) or b == self._value(plain.a):
            yield "same_change"

    def made_by(self, job: Job, mixed: Record) -> str:
        """Return the field of a blame in which it stands, by what the environment with held packages gave."""
        if not mixed.trajectories:
            return "untested"
        value = self._value(mixed)
        return "framework" if value == self._value(job.b) else "companions" if value == self._value(job.a) else "both"

    def _value(self, record: Record) -> object:
        """Return what a record has of it; equal ones have the same bits."""
        if not self.operation:
            return record.trajectories
        outputs = record.trajectories[0].of(Role.OUTPUT) if record.trajectories else ()
        return tuple(each for each in outputs if each.name.partition("/")[0] == self.operation)


_Rows = list[tuple[_Pair, tuple[OperationRow, ...]]]


def _moved(rows: _Rows) -> Iterator[_Subject]:
    for pair, found in rows:
        yield from (_Subject(pair, name) for name in names_of(changed(found)) if name != compared.ALL)


def _outputs(record: Record) -> dict[str, Column]:
    """Return the results of the first run of a record by name."""
    return {each.name: each for run in record.trajectories[:1] for each in run.of(Role.OUTPUT)}


def _differing(job: Job) -> tuple[str, ...]:
    """Return the operations with a result that is not the same on both sides."""
    a, b = _outputs(job.a), _outputs(job.b)
    return tuple(dict.fromkeys(name.partition("/")[0] for name in {**a, **b} if a.get(name) != b.get(name)))


def _with(record: Record, again: Record, names: Collection[str]) -> Record:
    """Return a record of one run as one of two, in the second of which some operations gave what they gave again.

    Where nothing came of the second run, what differs stays told as a difference.
    """
    if not again.trajectories:
        return record
    kept = {name: each for name, each in _outputs(record).items() if name.partition("/")[0] not in names}
    second = {**kept, **_outputs(again)}
    if second == _outputs(record):
        return record
    first = record.trajectories[0]
    others = tuple(each for each in first.columns if each.role is not Role.OUTPUT)
    other = Trajectory(columns=(*others, *second.values()), absent=first.absent, broken=first.broken)
    runs = (first, other)
    return replace(record, repeats=len(runs), trajectories=runs)


def _paired(cells: Iterable[Cell], sides: Sides) -> list[_Pair]:
    by_side = [{_key(cell): cell for cell in cells if cell.environment == side} for side in sides]
    return [_Pair(a=by_side[0][key], b=by_side[1][key]) for key in by_side[0] if key in by_side[1]]


class Comparing:
    """Compares two environments over the cells that they share."""

    def __init__(
        self,
        execution: Execution,
        matrix: Matrix,
        sides: Sides,
        cells: Sequence[Cell],
        lock: Callable[[Environment], None],
        *,
        without: int = 0,
    ) -> None:
        """Begin.

        Args:
            execution: runs what has no record yet.
            matrix: whose settings and noise ensembles are used.
            sides: the environments.
            cells: of both: training jobs, and those of the workload `operations`.
            lock: gives an environment a lock, or raises `EnvironmentFailedError`.
            without: how many training jobs were left out beforehand, which the answer says.
        """
        training = [cell for cell in cells if cell.workload.name != operations.NAME]
        others = [cell for cell in cells if cell.workload.name == operations.NAME]
        self._execution, self._matrix, self._sides = execution, matrix, sides
        self._pairs, self._operations = _paired(training, sides), _paired(others, sides)
        self._lock, self._without = lock, without
        self._records: dict[str, Record] = {}
        self._noise: tuple[Ensemble, ...] = ()
        self._seeds: dict[tuple[str, str], list[Cell]] = {}

    def run(self, conditions: Iterable[Settings] = ()) -> Impact:
        """Run both sides, and what changed once more: traced, and under the conditions.

        Raises:
            EnvironmentFailedError: one of the environments cannot be made, or nothing ran in it.
            UsageError: records of two CPU classes.
        """
        self._run([cell for pair in self._pairs for cell in pair.cells])
        operation_rows = self._operation_rows()
        moved = [*map(_Subject, filter(self._changed, self._pairs)), *_moved(operation_rows)]
        one_class(self._records.values())
        pairs = [pair for pair in self._pairs if self._changed(pair)]
        self._run_ensembles(pairs)
        allowed = measured(map(ensemble_of, self._noise), self._records, self._matrix.stated)
        partings, spreads = self._partings(pairs), self._spreads()
        training = tuple(
            row(self._job(pair), allowed, partings.get(pair.a.id), spreads.get(_kind(pair.a))) for pair in self._pairs
        )
        every = map(self._job, (*self._pairs, *self._operations))
        known = next(((job.a, job.b) for job in every if job.ran), None)
        along = companions(*known) if known else ()
        found = Impact(
            before=self._sides[0].name,
            after=self._sides[1].name,
            cpu_class=_level(self._records.values()),
            cpu_vendor=_vendor(self._records.values()),
            own=own_workloads(pair.a for pair in self._pairs),
            training=training,
            without=self._without,
            operations=tuple(each for _, rows in operation_rows for each in rows),
            companions=along,
            blames=tuple(self._blames(moved, computing(along))),
            conditions=tuple(self._under(each, moved) for each in conditions),
        )
        self._keep()
        return found

    def _run(self, cells: Sequence[Cell]) -> Summary:
        once = {cell.id: cell for cell in cells}  # both sides may be one environment
        summary = self._execution.run(tuple(once.values()))
        if summary.broken:
            raise summary.broken[0][1]
        if cells and all(record.outcome is Outcome.SKIPPED for record in summary.records):
            raise AbsentError(f"nothing can run here: {summary.records[0].reason}")
        self._records |= {record.cell.id: record for record in summary.records}
        return summary

    def _operation_rows(self) -> _Rows:
        self._run_operations([self._once(cell) for pair in self._operations for cell in pair.cells])
        self._run_again()
        jobs = [(pair, self._job(pair)) for pair in self._operations]
        store = self._execution.store
        return [(pair, compared.rows(store, compared.Both(a=job.a, b=job.b))) for pair, job in jobs]

    def _once(self, cell: Cell) -> Cell:
        """Return a cell of operations as one that runs once, unless all its runs are known.

        What has the same bits on both sides after one run each has not moved; the rest runs again.
        """
        return cell if self._execution.knows(cell) else replace(cell, once=True)

    def _run_again(self) -> None:
        """Run the operations that differ once more: so do those that are not deterministic."""
        again = {}
        for pair in self._operations:
            names = _differing(self._job(pair))
            for cell in pair.cells:
                if names and self._records[cell.id].repeats == 1:
                    # With no operation left out it would be the cell that ran: then both of its runs are asked for.
                    again[cell.id] = replace(only.only(cell, names), once=len(names) < len(only.operations_of(cell)))
        once = {name: self._records[name] for name in again}
        self._run(tuple(again.values()))
        for name, cell in again.items():
            self._records[name] = _with(once[name], self._records[name], only.operations_of(cell))

    def _run_operations(self, cells: Sequence[Cell]) -> None:
        summary = operations.run(self._execution, tuple({cell.id: cell for cell in cells}.values()))
        if summary.broken:
            raise summary.broken[0][1]
        self._records |= {record.cell.id: record for record in summary.records}

    def _job(self, pair: _Pair) -> Job:
        return Job(a=self._records[pair.a.id], b=self._records[pair.b.id])

    def _changed(self, pair: _Pair) -> bool:
        job = self._job(pair)
        return job.ran and not job.same

    def _run_ensembles(self, changed: Sequence[_Pair]) -> None:
        """Run what tells how large a change is, of the workloads and dtypes that changed: their noise, other seeds."""
        wanted = {(pair.a.workload.name, pair.a.variant.dtype) for pair in changed}
        every = ensembles([pair.a for pair in self._pairs], self._matrix.noise_members)
        self._noise = tuple(
            each for each in every if (each.reference.workload.name, each.reference.variant.dtype) in wanted
        )
        drawn = [each.reference for each in self._noise if any(map(_is_drawn, each.reference.workload.inputs))]
        self._seeds = {
            _kind(cell): [replace(cell, member=SEEDS + number) for number in range(1, _SEEDS + 1)] for cell in drawn
        }
        members = [member for each in self._noise for member in each.members]
        if members := [*members, *(member for seeds in self._seeds.values() for member in seeds)]:
            self._run(members)

    def _spreads(self) -> dict[tuple[str, str], Spread]:
        """Return, by workload and dtype, over what the last loss is spread by other seeds, where it is drawn."""
        found = {kind: spread([self._records[each.id] for each in members]) for kind, members in self._seeds.items()}
        return {kind: each for kind, each in found.items() if each is not None}

    def _partings(self, changed: Sequence[_Pair]) -> dict[str, Divergence]:
        """Return where the traces of what changed part, by the cell before; without those that tracing changes."""
        cells = [cell for pair in changed for cell in pair.cells]  # never one of both sides: that does not change
        records = [self._records[cell.id] for cell in cells]
        tracing = Tracing(self._execution, hold=True)
        if cells:
            tracing.run(cells, records)
        found = {}
        for pair in changed:
            a, b = (tracing.held.get(cell.id) for cell in pair.cells)
            if a and b and a.tells_of(self._records[pair.a.id]) and b.tells_of(self._records[pair.b.id]):
                found[pair.a.id] = divergence(a, b, self._execution.store.read_value)
        return found

    def _blames(self, moved: Sequence["_Subject"], along: Sequence[Companion]) -> Iterator[Blame]:
        """Yield which package made what changed: all that moved along held at once, then each alone if need be."""
        if not moved or not along or self._sides[1].at_hand:
            return
        found = self._held(moved, along)
        yield found
        left = [each for each in moved if each.name in (*found.companions, *found.both)]
        if len(along) > 1 and (left or found.unresolved):
            yield from (self._held(left or moved, [each]) for each in along)

    def _held(self, moved: Sequence["_Subject"], along: Sequence[Companion]) -> Blame:
        """Return what of a change is there in the environment of after with other packages held as before."""
        pins = only.pins((each.name, str(each.a)) for each in along)
        environment = only.held(self._sides[1], pins)
        try:
            self._lock(environment)
        except EnvironmentFailedError as error:
            return Blame(held=pins, unresolved=error.what.splitlines()[0][:200])
        mixed: dict[_Pair, Cell] = {}
        for each in moved:
            names = [other.operation for other in moved if other.pair == each.pair and other.operation]
            cell = replace(each.pair.b, environment=environment)
            mixed[each.pair] = replace(only.only(cell, names), once=True) if names else cell
        summary = self._execution.run(tuple(mixed.values()))
        if summary.broken:
            return Blame(held=pins, unresolved=summary.broken[0][1].what.splitlines()[0][:200])
        records = dict(zip(mixed, summary.records, strict=True))
        found: dict[str, list[str]] = {}
        for each in moved:
            found.setdefault(each.made_by(self._job(each.pair), records[each.pair]), []).append(each.name)
        framework, others, both, untested = (
            tuple(found.get(word, ())) for word in ("framework", "companions", "both", "untested")
        )
        return Blame(held=pins, framework=framework, companions=others, both=both, untested=untested)

    def _under(self, settings: Settings, moved: Sequence["_Subject"]) -> Condition:
        """Return what changed once more in other settings, on both sides."""
        tried = [each for each in moved if all(selected(cell, settings.cells) for cell in each.pair.cells)]
        asked: dict[str, tuple[Cell, list[str]]] = {}
        for each in tried:
            for cell in each.pair.under(settings).cells:
                asked.setdefault(cell.id, (cell, []))[1].append(each.operation)
        self._run(
            [
                replace(only.only(cell, names), once=True) if any(names) and not self._execution.knows(cell) else cell
                for cell, names in asked.values()
            ]
        )
        found: dict[str, list[str]] = {"gone": [], "stays": [], "same_change": [], "untested": []}
        for each in tried:
            plain, there = self._job(each.pair), self._job(each.pair.under(settings))
            for word in each.found(plain, there):
                found[word].append(each.name)
        return Condition(settings=settings.name, **{name: tuple(names) for name, names in found.items()})

    def _keep(self) -> None:
        """Write which cells were looked at, so that others find their records by their ids."""
        cells = tuple({cell.id: cell for pair in self._pairs for cell in pair.cells}.values())
        plan = Plan(profile="impact", cells=cells, left_out=(), ensembles=self._noise)
        records = tuple(self._records[cell.id] for cell in plan.every_cell)
        summary = Summary(records=records, ran=0, made=0, broken=())
        self._execution.store.write_impact(manifest(self._matrix, plan, summary))


def one_class(records: Iterable[Record]) -> None:
    """Refuse records of several machines: what differs between them is not the version alone.

    Raises:
        UsageError: naming a cell of each CPU class.
    """
    classes: dict[str, str] = {}
    for record in records:
        if record.provenance is not None:
            classes.setdefault(record.provenance.cpu_class, record.cell.id)
    if len(classes) > 1:
        told = ", ".join(f"{cell} on {name}" for name, cell in classes.items())
        raise UsageError(
            f"the records are of different CPU classes, so not only the version moved: {told}",
            hint="run both versions on one machine: repromatrix impact A B --results NEW",
        )


def own_workloads(cells: Iterable[Cell]) -> tuple[str, ...]:
    """Return the names of the workloads that did not come with the product."""
    found = {cell.workload.name: cell.workload for cell in cells}
    return tuple(name for name, workload in found.items() if not _is_products(workload))


def _is_products(workload: Workload) -> bool:
    return _resolved(workload.folder).parent == _resolved(folder("workloads"))


@cache  # asked of every cell
def _resolved(path: Path) -> Path:
    return path.resolve()


def runs(matrix: Matrix, cells: Sequence[Cell]) -> int:
    """Return how many runs are needed at least: more follow where something changed."""
    return sum(1 if cell.workload.name == operations.NAME else matrix.repeats for cell in cells)


def _level(records: Iterable[Record]) -> str:
    """Return the instruction-set level of the host, without the digest of its flags."""
    told = next((record.provenance.cpu_class for record in records if record.provenance), "unknown")
    return told.rpartition("-")[0] or told


def _vendor(records: Iterable[Record]) -> str:
    """Return who made the processor, as it says itself: libraries choose kernels by it."""
    told = (record.fingerprint.get("cpu") for record in records)
    return next((str(each["vendor"]) for each in told if isinstance(each, dict) and each.get("vendor")), "")


def _kind(cell: Cell) -> tuple[str, str]:
    return cell.workload.name, cell.variant.dtype


def _is_drawn(given: Input) -> bool:
    return given.parameter and given.draw not in (None, "zeros")
