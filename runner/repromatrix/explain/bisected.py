"""What a release is asked for in a bisection: an operation, values of a training job, or agreement with a log."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from repromatrix.compare import series
from repromatrix.compare.printed import agree
from repromatrix.errors import EnvironmentFailedError, UsageError
from repromatrix.execute import operations
from repromatrix.execute.run import Execution
from repromatrix.explain import only
from repromatrix.explain.bisect import Change, Tried
from repromatrix.explain.impact.companions import companions, computing
from repromatrix.explain.impact.rows import Companion
from repromatrix.matrix import Environment, Matrix
from repromatrix.matrix.check import suggest
from repromatrix.plan import Cell, cells_of
from repromatrix.results.logs import files
from repromatrix.results.logs import read as logs
from repromatrix.results.record import Record
from repromatrix.results.value import Role

_OPERATION = "operation:"


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What is asked of a release.

    Attributes:
        workload: the job's name.
        variant: of the job; empty with a log: the first that agrees with it.
        values: names of the values that count, those below them included; empty: all that is recorded.
        log: a file of losses that the job has to agree with in every printed digit, or None.
    """

    words: str
    workload: str
    variant: str
    values: tuple[str, ...] = ()
    log: Path | None = None

    def cells(self, matrix: Matrix, environment: Environment) -> tuple[Cell, ...]:
        """Return the cells that give it: one, or of a log all that may.

        Raises:
            UsageError: the environment has no such job.
        """
        every = [cell for cell in _every(matrix, environment, self.workload) if cell.device == "cpu"]
        found = [cell for cell in every if not self.variant or cell.variant.name == self.variant]
        if not found:
            known = [f"{cell.workload.name}/{cell.variant.name}" for cell in every]
            raise UsageError(f"{environment.name} has no job {self.words}", hint=suggest(self.words, known)[:300])
        if self.workload == operations.NAME:
            return tuple(only.only(cell, {each.partition("/")[0] for each in self.values}) for cell in found)
        return tuple(found)

    def value(self, record: Record) -> str | None:
        """Return what a record has of it: equal texts, equal bits; None where it does not have it."""
        if record.trajectory is None:
            return None
        if self.log is not None:
            return "agrees" if _agrees(record, self.log) else "does not agree"
        columns = [each for each in record.trajectory.columns if self._counts(each.name, each.role)]
        told = repr([(each.name, each.dtype, each.shape, each.texts, each.digests) for each in columns])
        return hashlib.sha256(told.encode()).hexdigest() if columns else None

    def _counts(self, name: str, role: Role) -> bool:
        if not self.values:
            return role is not Role.TRACE
        return any(name == each or name.startswith(f"{each}/") for each in self.values)


def target(matrix: Matrix, words: str, environment: Environment) -> Target:
    """Return what `--on` means: operation:NAME:DTYPE, WORKLOAD[/VARIANT][:VALUE], or a file of losses.

    Raises:
        UsageError: it means nothing.
    """
    if words.startswith(_OPERATION):
        return _operation(matrix, words, environment)
    if Path(words).is_file():
        return Target(words=words, workload="", variant="", log=Path(words))
    job, _, value = words.partition(":")
    workload, _, variant = job.partition("/")
    known = [each.name for each in matrix.workloads]
    if workload not in known:
        hint = f"operation:exp:float64, WORKLOAD[/VARIANT][:VALUE], or a file; {suggest(workload, known)}"
        raise UsageError(f"no workload {workload!r} in {matrix.path.name}, and no such file", hint=hint)
    first = next((cell for cell in _every(matrix, environment, workload)), None)
    name = variant or (first.variant.name if first else "")
    return Target(words=words, workload=workload, variant=name, values=(value,) if value else ())


def _operation(matrix: Matrix, words: str, environment: Environment) -> Target:
    name, _, dtype = words.removeprefix(_OPERATION).partition(":")
    cells = operations.cells(matrix, (environment,))
    wanted = dtype or "float32"
    found = next((each for each in cells if each.variant.dtype == wanted), None)
    if found is None or not name:
        known = ", ".join(dict.fromkeys(each.variant.dtype for each in cells))
        raise UsageError(f"no operation {words!r}", hint=f"operation:NAME:DTYPE, like operation:exp:float64; {known}")
    rows = only.operations_of(found)
    if name.partition("/")[0] not in rows:
        raise UsageError(f"no operation {name!r}", hint=suggest(name, rows))
    return Target(words=words, workload=operations.NAME, variant=found.variant.name, values=(name,))


def _every(matrix: Matrix, environment: Environment, workload: str) -> list[Cell]:
    if workload == operations.NAME:
        return list(operations.cells(matrix, (environment,)))
    workloads = [each for each in matrix.workloads if workload in ("", each.name) and each.name != operations.NAME]
    return [cell for each in workloads for cell in cells_of(matrix, each, environment)]


def _agrees(record: Record, log: Path) -> bool:
    """Whether the losses of a cell are those of a file in every digit that it shows."""
    columns = logs.parse(files.read(log), str(log)).columns
    found = next((each for each in columns if each.name.rpartition("/")[2] == "loss"), columns[0])
    own, other = series.of_record(record, ""), series.of_log(found, log.name, str(log))
    return own.steps == other.steps and bool(agree(own, other, own.steps).all())


class Environments(Protocol):
    """Gives environments locks; both raise `EnvironmentFailedError` where that cannot be done."""

    def of(self, version: str) -> Environment:
        """Return the environment of a release."""

    def lock(self, environment: Environment) -> None:
        """Give an environment a lock."""


class Releases:
    """Gives the value that releases of a package have: makes their environments, and runs the target there.

    Args:
        matrix: whose environments the releases are like.
        wanted: what is asked.
        environments: gives the environment of a release.
        execution: runs cells; knows the locks.
        again: another execution, that has no records yet; to confirm.
    """

    def __init__(
        self,
        matrix: Matrix,
        wanted: Target,
        environments: Environments,
        execution: Execution,
        again: Execution,
    ) -> None:
        self._matrix, self._target, self._environments = matrix, wanted, environments
        self._execution, self._again = execution, again
        self.records: dict[str, Record] = {}
        self.made = 0

    def ask(self, version: str) -> Tried:
        """Return the value of a release."""
        try:
            environment = self._environments.of(version)
        except EnvironmentFailedError as error:
            return Tried(version=version, value=None, reason=error.what.splitlines()[0][:200])
        self.made += 1
        return self._tried(version, environment, self._execution)

    def confirmed(self, change: Change, tried: Mapping[str, Tried]) -> bool:
        """Whether both neighbours of a change have the same values in processes of their own once more."""
        sides = (change.last, change.first)
        again = [self._tried(each, self._environments.of(each), self._again, keep=False) for each in sides]
        return all(each.value == tried[each.version].value for each in again)

    def moved(self, change: Change) -> tuple[Companion, ...]:
        """Return what else is not the same in the two environments of a change."""
        pair = [self.records.get(each) for each in (change.last, change.first)]
        return companions(pair[0], pair[1]) if pair[0] and pair[1] else ()

    def blamed(self, change: Change, tried: Mapping[str, Tried]) -> str:
        """Return what made a change where other packages moved with it: the package, some of those, or nobody can tell.

        All that moved along is held as before at once and, where the package alone does not make it, each by itself.
        """
        packages = computing(self.moved(change))
        if not packages:
            return "the package"
        verdict = self._held(change, tried, packages)
        if verdict == "the package" or len(packages) == 1:
            return verdict
        alone = {each.name: self._held(change, tried, [each]) for each in packages}
        makers = [name for name, told in alone.items() if told == name]
        return ", ".join(makers) or verdict

    def _held(self, change: Change, tried: Mapping[str, Tried], packages: Sequence[Companion]) -> str:
        """Return what made a change, as the release that has it tells with other packages held as before."""
        pins = only.pins((each.name, str(each.a)) for each in packages)
        mixed = only.held(self._environments.of(change.first), pins)
        try:
            self._environments.lock(mixed)
        except EnvironmentFailedError:
            return f"cannot be told: the resolver does not allow {change.first} with {', '.join(pins)}"
        found = self._tried(change.first, mixed, self._execution, keep=False)
        if found.value is None:
            return f"cannot be told: {change.first} with {', '.join(pins)} has no value: {found.reason}"
        if found.value == tried[change.first].value:
            return "the package"
        makers = ", ".join(each.name for each in packages)
        return makers if found.value == tried[change.last].value else f"the package and {makers} together"

    def _tried(self, version: str, environment: Environment, execution: Execution, *, keep: bool = True) -> Tried:
        cells = self._target.cells(self._matrix, environment)
        records: Sequence[Record] = execution.run(cells).records
        if self._target.log is not None and not self._target.variant:
            records = self._settled(records)
        record = records[0]
        if keep:
            self.records[version] = record
        if record.deterministic is False:
            return Tried(version=version, value=None, reason="its repeats differ")
        value = self._target.value(record)
        reason = "" if value else (record.reason or f"it has no {self._target.words}").splitlines()[0][:200]
        return Tried(version=version, value=value, reason=reason)

    def _settled(self, records: Sequence[Record]) -> Sequence[Record]:
        """Settle on the variant that agrees with the log: the first that does in the first release that is asked.

        Raises:
            UsageError: none does.
        """
        found = [each for each in records if self._target.value(each) == "agrees"]
        if not found:
            raise UsageError(
                f"no job of {records[0].cell.environment} has the losses of {self._target.words}",
                hint="the first release has to agree with it: repromatrix compare shows how far each is from it",
            )
        cell = found[0].cell
        self._target = replace(self._target, workload=cell.workload, variant=cell.variant)
        return found
