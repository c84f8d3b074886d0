"""Plan -> records in the store. A failure is a value: every planned cell ends up with a record.

Cells that share environment, device and settings form a batch; a batch runs once per repeat, each in a
fresh process. Environments are made and batches run side by side, at most `jobs` at a time.
"""

from collections.abc import Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any, Protocol

from runner.engines.base import Built, Engine, RunLimits
from runner.errors import EnvironmentFailedError
from runner.execute import host
from runner.execute.batch import BatchResult, run_batch
from runner.execute.key import provenance, record_key
from runner.execute.lines import Finished
from runner.images import lock as locks
from runner.images.build import Identity, Ready, ensure, identify, log_path
from runner.matrix import Environment, Limits, Matrix
from runner.plan import Cell
from runner.results.record import Description, Outcome, Record, Trajectory
from runner.results.store import Store

# What is kept from an earlier run: an answer. A failure is asked again.
_ANSWERS = frozenset({Outcome.OK, Outcome.UNAVAILABLE})


class Listener(Protocol):
    """Hears what happens, from any thread."""

    def preparing(self, environment: str) -> None:
        """An environment is looked up, fetched or built."""

    def ready(self, environment: str, *, made: bool) -> None:
        """An environment can run; `made` tells whether it was built just now."""

    def failed(self, environment: str, error: EnvironmentFailedError) -> None:
        """An environment could not be made."""

    def repeat(self, cell_id: str, outcome: Outcome) -> None:
        """One repeat of a cell ended."""

    def record(self, record: Record, *, cached: bool) -> None:
        """A cell's record is in the store."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What a run gave.

    Attributes:
        records: one per planned cell, in the plan's order.
        ran: cells that ran just now.
        made: environments that were built just now.
        broken: environments that could not be made, with the error.
    """

    records: tuple[Record, ...]
    ran: int
    made: int
    broken: tuple[tuple[str, EnvironmentFailedError], ...]


@dataclass(slots=True, kw_only=True)
class _Batch:
    """Cells of one environment, device and settings, and what their repeats have given so far."""

    cells: list[Cell]
    built: Built | None = None
    results: dict[int, BatchResult] = field(default_factory=dict)

    @property
    def environment(self) -> Environment:
        return self.cells[0].environment

    def log(self, store: Store, repeat: int) -> Path:
        cell = self.cells[0]
        name = f"{cell.settings.name}-{cell.device.replace(':', '')}-{repeat + 1}"
        return store.log_path(cell.environment.name, name)


class Execution:
    """One run of a plan's cells."""

    def __init__(
        self,
        *,
        matrix: Matrix,
        engine: Engine,
        store: Store,
        listener: Listener,
        jobs: int,
        lock_folders: Mapping[str, Path] | None = None,
    ) -> None:
        self._repeats = matrix.repeats
        self._limits = _run_limits(matrix.limits)
        self._engine = engine
        self._store = store
        self._listener = listener
        self._jobs = jobs
        self._lock_folders = lock_folders or {}
        self._identities: dict[str, Identity] = {}
        self._broken: dict[str, EnvironmentFailedError] = {}
        self._records: dict[str, Record] = {}
        self._made = 0

    def run(self, cells: Sequence[Cell]) -> Summary:
        """Give every cell a record: from the store, or by running it."""
        todo = [cell for cell in cells if not self._answered(cell)]
        batches = _batches(todo)
        with ThreadPoolExecutor(max_workers=self._jobs, thread_name_prefix="repromatrix") as pool:
            try:
                self._work(pool, batches)
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                self._engine.stop()
                raise
        return Summary(
            records=tuple(self._records[cell.id] for cell in cells),
            ran=sum(1 for cell in todo if self._records[cell.id].repeats),
            made=self._made,
            broken=tuple(self._broken.items()),
        )

    def keys(self, cells: Sequence[Cell]) -> dict[str, str]:
        """Return cell id -> key for cells that have a record of this run."""
        return {cell.id: self._records[cell.id].key for cell in cells}

    def _answered(self, cell: Cell) -> bool:
        """Whether the cell needs no process: it is in the store, cannot run here, or its environment is broken."""
        if cell.device != "cpu" and not host.nvidia_devices():
            self._keep(self._unrun(cell, Outcome.SKIPPED, "no NVIDIA device on this machine"), cached=False)
            return True
        try:
            key = self._key(cell)
        except EnvironmentFailedError as error:
            self._break(cell.environment, error)
            self._keep(
                self._unrun(cell, Outcome.FAILED, f"its environment could not be made: {error.what}"), cached=False
            )
            return True
        found = self._store.read(cell.id, key)
        if found is None or found.outcome not in _ANSWERS:
            return False
        self._records[cell.id] = found
        self._listener.record(found, cached=True)
        return True

    def _key(self, cell: Cell) -> str:
        environment = cell.environment
        if environment.name in self._broken:
            raise self._broken[environment.name]
        if environment.name not in self._identities:
            folder = self._lock_folders.get(environment.name)
            self._identities[environment.name] = identify(environment, self._engine, folder)
        return record_key(
            cell,
            identity=self._identities[environment.name],
            engine=self._engine.name,
            cpu_class=host.cpu_class(),
            gpu=host.nvidia_devices() if cell.device != "cpu" else (),
            repeats=self._repeats,
        )

    def _work(self, pool: ThreadPoolExecutor, batches: Sequence[_Batch]) -> None:
        preparing: dict[Future[Ready], list[_Batch]] = {}
        running: dict[Future[BatchResult], tuple[_Batch, int]] = {}
        for group in self._by_environment(batches):
            preparing[pool.submit(self._prepare, group[0].environment)] = group
        while preparing or running:
            under_way: list[Future[Any]] = [*preparing, *running]
            for future in wait(under_way, return_when=FIRST_COMPLETED).done:
                if future in preparing:
                    running |= self._start(pool, preparing.pop(future), future)
                else:
                    self._finish(*running.pop(future), future)

    def _start(
        self, pool: ThreadPoolExecutor, group: Sequence[_Batch], future: Future[Ready]
    ) -> dict[Future[BatchResult], tuple[_Batch, int]]:
        environment = group[0].environment
        try:
            ready = future.result()
        except EnvironmentFailedError as error:
            self._break(environment, error)
            for cell in (cell for batch in group for cell in batch.cells):
                reason = f"its environment could not be made: {error.what}"
                self._keep(self._unrun(cell, Outcome.FAILED, reason), cached=False)
            return {}
        self._made += ready.made
        self._listener.ready(environment.name, made=ready.made)
        started = {}
        for batch in group:
            batch.built = ready.built
            for repeat in range(self._repeats):
                started[pool.submit(self._run_repeat, batch, repeat)] = (batch, repeat)
        return started

    def _finish(self, batch: _Batch, repeat: int, future: Future[BatchResult]) -> None:
        batch.results[repeat] = future.result()
        if len(batch.results) == self._repeats:
            for cell in batch.cells:
                self._keep(self._assemble(cell, batch), cached=False)

    def _by_environment(self, batches: Sequence[_Batch]) -> list[list[_Batch]]:
        """Group batches by environment, the largest lock first: the longest work must not start last."""
        groups: dict[str, list[_Batch]] = {}
        for batch in batches:
            groups.setdefault(batch.environment.name, []).append(batch)

        def weight(group: list[_Batch]) -> int:
            environment = group[0].environment
            return -len(locks.read(environment, self._lock_folders.get(environment.name)).pins)

        return sorted(groups.values(), key=weight)

    def _prepare(self, environment: Environment) -> Ready:
        self._listener.preparing(environment.name)
        try:
            return ensure(environment, self._engine, self._lock_folders.get(environment.name))
        except OSError as error:
            raise EnvironmentFailedError(
                f"{environment.name} cannot be made: {error}",
                where=str(log_path(environment)),
                hint="check the disk: repromatrix doctor",
            ) from error

    def _run_repeat(self, batch: _Batch, repeat: int) -> BatchResult:
        log = batch.log(self._store, repeat)
        log.unlink(missing_ok=True)
        assert batch.built is not None  # noqa: S101 - _start sets it before it submits this

        def done(finished: Finished) -> None:
            self._listener.repeat(finished.id, finished.outcome)

        return run_batch(batch.cells, engine=self._engine, built=batch.built, limits=self._limits, log=log, done=done)

    def _assemble(self, cell: Cell, batch: _Batch) -> Record:
        results = [batch.results[repeat] for repeat in sorted(batch.results)]
        finished = [result.finished[cell.id] for result in results]
        worst = next((i for i, each in enumerate(finished) if each.outcome is not Outcome.OK), None)
        trajectories: tuple[Trajectory, ...] = ()
        if worst is None:
            trajectories = tuple(dict.fromkeys(each.trajectory for each in finished if each.trajectory is not None))
        bad = finished[worst] if worst is not None else None
        needs_log = bad is not None and bad.outcome is not Outcome.UNAVAILABLE
        return Record(
            cell=describe(cell),
            key=self._key(cell),
            outcome=bad.outcome if bad else Outcome.OK,
            reason=bad.reason if bad else None,
            log=self._store.relative(batch.log(self._store, worst or 0)) if needs_log else None,
            repeats=len(finished),
            trajectories=trajectories,
            fingerprint=next((each.fingerprint for each in results if each.fingerprint), {}),
            provenance=provenance(
                identity=self._identities[cell.environment.name],
                engine=self._engine.name,
                cpu_class=host.cpu_class(),
                image_digest=batch.built.digest if batch.built else None,
            ),
        )

    def _unrun(self, cell: Cell, outcome: Outcome, reason: str) -> Record:
        return Record(
            cell=describe(cell),
            key=sha256(f"{cell.id}\0{outcome}\0{reason}".encode()).hexdigest(),
            outcome=outcome,
            reason=reason,
            log=None,
            repeats=0,
            trajectories=(),
            fingerprint={},
            provenance=None,
        )

    def _keep(self, record: Record, *, cached: bool) -> None:
        self._store.write(record)
        self._records[record.cell.id] = record
        self._listener.record(record, cached=cached)

    def _break(self, environment: Environment, error: EnvironmentFailedError) -> None:
        if environment.name not in self._broken:
            self._broken[environment.name] = error
            self._listener.failed(environment.name, error)


def describe(cell: Cell) -> Description:
    """Return the cell in the words of a record."""
    return Description(
        id=cell.id,
        workload=cell.workload.name,
        framework=cell.environment.framework,
        version=cell.environment.version,
        flavour=cell.environment.flavour,
        python=cell.environment.python,
        environment=cell.environment.name,
        variant=cell.variant.name,
        dtype=cell.variant.dtype,
        options=cell.variant.options,
        device=cell.device,
        settings=cell.settings.name,
        steps=cell.steps,
    )


def _run_limits(limits: Limits) -> RunLimits:
    return RunLimits(silence=limits.seconds, memory_mib=limits.memory_mib, processes=limits.processes)


def _batches(cells: Sequence[Cell]) -> list[_Batch]:
    groups: dict[tuple[str, str, str], _Batch] = {}
    for cell in cells:
        key = (cell.environment.name, cell.device, cell.settings.name)
        groups.setdefault(key, _Batch(cells=[])).cells.append(cell)
    return list(groups.values())
