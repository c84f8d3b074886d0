"""Plan -> records in the store. A failure is a value: every planned cell ends up with a record.

Cells that share environment, device and settings form a batch; a batch runs once per repeat, each in a
fresh process. Environments are made and batches run side by side, at most `jobs` at a time.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Protocol

from repromatrix.engines.base import RunLimits
from repromatrix.errors import AbsentError, EnvironmentFailedError, NewerFormatError, ResultsError
from repromatrix.execute.key import provenance, record_key
from repromatrix.execute.lines import Finished
from repromatrix.execute.records import assemble, unrun
from repromatrix.execute.site import Site
from repromatrix.execute.work import Task, Work, perform
from repromatrix.images import fleet
from repromatrix.images.build import Identity, Ready
from repromatrix.images.uses import using
from repromatrix.matrix import Environment, Limits, Matrix
from repromatrix.plan import Cell
from repromatrix.results.record import Outcome, Record
from repromatrix.results.store import Store

# What is kept from an earlier run: an answer. A failure is asked again.
_ANSWERS = frozenset({Outcome.OK, Outcome.UNAVAILABLE})
_LONG = 16  # cells that are worth a process of their own, which imports the framework
FAILURES = frozenset({Outcome.FAILED, Outcome.TIMED_OUT})


class Listener(fleet.Listener, Protocol):
    """Hears what happens, from any thread."""

    def failed(self, environment: str, error: EnvironmentFailedError) -> None:
        """An environment could not be made."""

    def repeat(self, cell_id: str, outcome: Outcome) -> None:
        """One repeat of a cell ended."""

    def read(self, cell_id: str, said: str) -> None:
        """The output of a command was read: as what, and what was left out."""

    def record(self, record: Record, *, cached: bool) -> None:
        """A cell's record is in the store."""

    def unreadable(self, cell_id: str, error: ResultsError) -> None:
        """The record or the trace of an earlier run is damaged: the cell runs again and replaces it."""

    def traced(self, cell_id: str, *, reason: str | None, changed: bool) -> None:
        """A cell ran once more, traced; `reason` says why there is no trace, `changed` that its bits are others."""


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

    @property
    def nothing_ran(self) -> bool:
        """Whether environments could not be made and no cell has run, now or earlier: there is nothing to report."""
        return bool(self.broken) and not any(record.repeats for record in self.records)

    @property
    def failed(self) -> bool:
        """Whether a cell failed or ran out of time."""
        return any(record.outcome in FAILURES for record in self.records)


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Cells of one environment, device and settings: they can share a process."""

    cells: tuple[Cell, ...]
    part: str = ""  # of what was one batch: in the names of logs

    @property
    def environment(self) -> Environment:
        """Return the environment that its cells share."""
        return self.cells[0].environment

    @property
    def halves(self) -> tuple["Batch", "Batch"]:
        """Return two batches of every other cell: those of one workload take about the same time."""
        first, second = (replace(self, cells=self.cells[at::2], part=f"{self.part}{at + 1}") for at in range(2))
        return first, second

    def log(self, store: Store, name: str) -> Path:
        """Return where the log of a repeat, or of another run of the batch, stands."""
        cell = self.cells[0]
        own = f"{cell.workload.name}-{cell.variant.name}-" if cell.workload.command else ""
        place = f"{cell.settings.name}-{cell.device.replace(':', '')}-{own}{name}{self.part and f'-{self.part}'}"
        return store.log_path(cell.environment.name, place)


class Execution:
    """One run of a plan's cells; also the host of all else that runs in their environments."""

    def __init__(
        self,
        *,
        matrix: Matrix,
        site: Site,
        store: Store,
        listener: Listener,
        jobs: int,
        workers: Callable[[], Executor] | None = None,
    ) -> None:
        """Begin.

        Args:
            matrix: whose cells they are.
            site: where environments are made and processes run.
            store: where the records are.
            listener: hears what happens.
            jobs: how many processes, or environments that are made, at a time.
            workers: makes the executor of the processes; None: threads of this process.
        """
        self._threads = partial(ThreadPoolExecutor, max_workers=jobs, thread_name_prefix="repromatrix")
        self._workers = workers
        self._repeats = matrix.repeats
        self._limits = _run_limits(matrix.limits)
        self.site = site
        self.store = store
        self.listener = listener
        self.jobs = jobs
        self._identities: dict[str, Identity] = {}
        self._broken: dict[str, EnvironmentFailedError] = {}
        self._records: dict[str, Record] = {}
        self._made = 0

    def run(self, cells: Sequence[Cell], *, retry: bool = True) -> Summary:
        """Give every cell a record: from the store, or by running it; with `retry` also one that failed last time."""
        todo = [cell for cell in cells if not self._answered(cell, retry=retry)]
        batches = self._spread(batches_of(todo))
        with using(batch.environment.name for batch in batches):
            self._require_space(batches)
            self.perform([work for batch in batches for work in self._repeats_of(batch)])
        return Summary(
            records=tuple(self._records[cell.id] for cell in cells),
            ran=sum(1 for cell in todo if self._records[cell.id].repeats),
            made=self._made,
            broken=tuple(self._broken.items()),
        )

    def _spread(self, batches: list[Batch]) -> list[Batch]:
        """Return batches of which long ones are halved while there is less to run than may run at a time."""
        processes = [max(cell.runs(self._repeats) for cell in batch.cells) for batch in batches]
        longest = max(batches, key=lambda batch: len(batch.cells), default=None)
        if longest is None or sum(processes) >= self.jobs or len(longest.cells) < 2 * _LONG:
            return batches
        at = batches.index(longest)
        return self._spread([*batches[:at], *longest.halves, *batches[at + 1 :]])

    def knows(self, cell: Cell) -> bool:
        """Whether the store has what a cell gives, in all its runs.

        Raises:
            NewerFormatError: a newer release wrote it.
        """
        try:
            found = self.store.read(cell.id, self.key(cell))
        except NewerFormatError:
            raise
        except (EnvironmentFailedError, ResultsError):  # `run` says so
            return False
        return found is not None and found.outcome in _ANSWERS

    def _answered(self, cell: Cell, *, retry: bool) -> bool:
        """Whether the cell needs no process: it is in the store, cannot run here, or its environment is broken."""
        try:
            if not self.site.machine(cell.environment).has(cell.device):
                self._keep(unrun(cell, Outcome.SKIPPED, f"no NVIDIA device on {self.site.name}"), cached=False)
                return True
            key = self.key(cell)
        except EnvironmentFailedError as error:
            if isinstance(error, AbsentError) and cell.environment.suffix:
                # Of another Python than the matrix's own: a machine may well lack it, as it may lack a GPU.
                self._keep(unrun(cell, Outcome.SKIPPED, error.what), cached=False)
                return True
            self._break(cell.environment, error)
            self._keep(unrun(cell, Outcome.FAILED, f"its environment could not be made: {error.what}"), cached=False)
            return True
        try:
            found = self.store.read(cell.id, key)
        except NewerFormatError:
            raise
        except ResultsError as error:
            self.listener.unreadable(cell.id, error)
            return False
        if found is None or found.outcome not in (_ANSWERS if retry else {*_ANSWERS, Outcome.FAILED}):
            return False
        self._records[cell.id] = found
        self.listener.record(found, cached=True)
        return True

    def key(self, cell: Cell, *, trace: bool = False) -> str:
        """Return the key of a cell's record, or of its trace.

        Raises:
            EnvironmentFailedError: its environment cannot be made.
        """
        environment = cell.environment
        if environment.name in self._broken:
            raise self._broken[environment.name]
        if environment.name not in self._identities:
            self._identities[environment.name] = self.site.identify(environment)
        machine = self.site.machine(environment)
        return record_key(
            cell,
            identity=self._identities[environment.name],
            engine=self.site.engine_name(environment),
            cpu_class=machine.cpu_class,
            cpus=self.limits_of(cell).cpus,
            gpu=machine.gpu if cell.device != "cpu" else (),
            repeats=1 if trace else cell.runs(self._repeats),
            trace=trace,
        )

    def task(self, work: Work) -> Task:
        """Return what a worker is asked to do for a piece of work."""
        return self.site.task(work)

    def stop(self) -> None:
        """End what runs."""
        self.site.stop()

    def limits_of(self, cell: Cell) -> RunLimits:
        """Return the limits of a cell's process: at least a CPU for each thread that its settings ask for."""
        command, cpus = cell.workload.command, max(self._limits.cpus, cell.settings.threads or 0)
        network, data = (command.network, command.data) if command else (False, ())
        return replace(self._limits, cpus=cpus, network=network, data=data)

    def _require_space(self, batches: Sequence[Batch]) -> None:
        environments = {batch.environment.name: batch.environment for batch in batches}
        wanted = [(each, self._identities[name].base) for name, each in environments.items() if not each.at_hand]
        if unknown := self.site.require_space(wanted, self.jobs):
            self.listener.warned(unknown)

    def perform(self, works: Iterable[Work]) -> None:
        """Do all work in the environments of this execution; results come one by one, in this thread.

        Raises:
            NoEngineError: the engine is gone.
        """
        with self._threads() as makers, self._workers() if self._workers else nullcontext(makers) as workers:
            perform(works, self, makers, workers)

    def weight(self, environment: Environment) -> int:
        """Return how large an environment is."""
        return self.site.weight(environment)

    def prepared(self, environment: Environment, ready: Ready) -> None:
        """Note that an environment can run."""
        self._made += ready.made
        self.listener.ready(environment.name, made=ready.made)

    def prepare(self, environment: Environment) -> Ready:
        """Make an environment unless it is there.

        Raises:
            EnvironmentFailedError: it cannot be made.
        """
        self.listener.preparing(environment.name)
        return self.site.prepare(environment, self._identities[environment.name].base)

    def _repeats_of(self, batch: Batch) -> list[Work]:
        """Return the work of a batch: a process for each repeat."""
        cells = {cell.id: cell for cell in batch.cells}
        finished: dict[str, dict[int, Finished]] = {name: {} for name in cells}
        works: list[Work] = []

        def heard(work: Work, found: Finished) -> None:
            self.listener.repeat(found.id, found.outcome)
            finished[found.id][works.index(work)] = found
            if found.read and work is works[0]:
                self.listener.read(found.id, found.read)
            for bits in work.result.bits.pop(found.id, {}).values():  # of outputs: the record has their digests
                self.store.write_value(bits)
            # Kept as soon as its last repeat ends: what comes after must not cost it.
            if len(finished[found.id]) == cells[found.id].runs(self._repeats):
                self._keep(self._assembled(cells[found.id], batch, works, finished[found.id]), cached=False)

        def failed(_: Work, error: EnvironmentFailedError) -> None:
            self._break(batch.environment, error)
            for cell in batch.cells:
                reason = f"its environment could not be made: {error.what}"
                self._keep(unrun(cell, Outcome.FAILED, reason), cached=False)

        works += [
            Work(
                asked=tuple(cell for cell in batch.cells if cell.runs(self._repeats) > repeat),
                log=batch.log(self.store, str(repeat + 1)),
                limits=self.limits_of(batch.cells[0]),  # equal settings, equal limits
                heard=heard,
                failed=failed if repeat == 0 else _told_already,
            )
            for repeat in range(max(cell.runs(self._repeats) for cell in batch.cells))
        ]
        return works

    def _assembled(self, cell: Cell, batch: Batch, works: Sequence[Work], finished: Mapping[int, Finished]) -> Record:
        repeats = range(cell.runs(self._repeats))
        built = works[0].built
        return assemble(
            cell,
            key=self.key(cell),
            finished=[finished[repeat] for repeat in repeats],
            logs=[self.store.relative(batch.log(self.store, str(repeat + 1))) for repeat in repeats],
            fingerprint=next((work.result.fingerprint for work in works if work.result.fingerprint), {}),
            provenance=provenance(
                identity=self._identities[cell.environment.name],
                network=bool(cell.workload.command and cell.workload.command.network),
                engine=self.site.engine_name(cell.environment),
                cpu_class=self.site.machine(cell.environment).cpu_class,
                image_digest=built.digest if built else None,
            ),
        )

    def _keep(self, record: Record, *, cached: bool) -> None:
        self.store.write(record)
        self._records[record.cell.id] = record
        self.listener.record(record, cached=cached)

    def _break(self, environment: Environment, error: EnvironmentFailedError) -> None:
        if environment.name not in self._broken:
            self._broken[environment.name] = error
            self.listener.failed(environment.name, error)


def _told_already(_: Work, error: EnvironmentFailedError) -> None:
    """Do nothing: the first repeat's work has told the error."""


def _run_limits(limits: Limits) -> RunLimits:
    return RunLimits(silence=limits.seconds, memory_mib=limits.memory_mib, processes=limits.processes, cpus=limits.cpus)


def batches_of(cells: Sequence[Cell]) -> list[Batch]:
    """Group cells that share environment, device and settings, in the order of the plan; a command is on its own."""
    groups: dict[tuple[str, ...], list[Cell]] = {}
    for cell in cells:
        own = cell.id if cell.workload.command else ""  # it may run long, and be let onto the network
        groups.setdefault((cell.environment.name, cell.device, cell.settings.name, own), []).append(cell)
    return [Batch(cells=tuple(group)) for group in groups.values()]
