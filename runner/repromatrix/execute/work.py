"""The one path of all that runs: cells, traced cells, operations. Environments are made and jobs run side by side.

A piece of work is a job for one process. What workers do is pure: a job in, results out. The coordinator, the thread
that called `perform`, alone writes and tells. Where workers run is a `concurrent.futures` executor: threads of this
process, which hand over each result as it comes, or other processes and machines, whose results come when a job ends.
"""

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Protocol, TypeAlias

from repromatrix import resources
from repromatrix.engines.base import Built, Engine, RunLimits
from repromatrix.errors import EnvironmentFailedError
from repromatrix.execute.batch import BatchResult, run_batch
from repromatrix.execute.lines import Finished
from repromatrix.images.build import Ready
from repromatrix.job import Asked, Fetch, cell_of
from repromatrix.matrix import Environment
from repromatrix.results.record import Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What a worker is given: nothing that cannot be sent to another process.

    Attributes:
        asked: cells or operations that share environment, device and settings.
        log: where the process's standard error goes; begun anew.
        trace: whether every value of every step is wanted.
        fetch: values whose bits are wanted.
    """

    asked: Sequence[Asked]
    log: Path
    limits: RunLimits
    trace: bool
    fetch: Fetch


@dataclass(slots=True, kw_only=True, eq=False)
class Work:
    """A job, and what the coordinator does with what comes of it.

    Attributes:
        asked: as in `Job`, and so `log`, `limits`, `trace` and `fetch`.
        heard: what the coordinator does with each result, when it comes; of a cell that broke the contract a second
            one, which failed.
        failed: what it does where the environment cannot be made.
        built: the environment, once it is made.
        result: all that came of it so far.
    """

    asked: Sequence[Asked]
    log: Path
    limits: RunLimits
    heard: Callable[["Work", Finished], None]
    failed: Callable[["Work", EnvironmentFailedError], None]
    trace: bool = False
    fetch: Fetch = field(default_factory=dict)
    built: Built | None = None
    result: BatchResult = field(default_factory=BatchResult)

    @property
    def environment(self) -> Environment:
        """Return the environment that its cells share."""
        return cell_of(self.asked[0]).environment

    @property
    def job(self) -> Job:
        """Return what a worker is given."""
        return Job(asked=self.asked, log=self.log, limits=self.limits, trace=self.trace, fetch=self.fetch)


class Host(Protocol):
    """What makes environments, and is told when one is there."""

    def task(self, work: Work) -> "Task":
        """Return what a worker is asked to do for a piece of work, whose environment is made."""

    def stop(self) -> None:
        """End what runs."""

    def prepare(self, environment: Environment) -> Ready:
        """Make an environment unless it is there; called by threads of this process."""

    def weight(self, environment: Environment) -> int:
        """Return how large an environment is: the longest work must not start last."""

    def prepared(self, environment: Environment, ready: Ready) -> None:
        """An environment can run; called by the coordinator."""


_Event = Callable[[], None]
# A function and its arguments but for the last one, a `Hears`; it gives a `BatchResult`.
Task: TypeAlias = tuple[Callable[..., BatchResult], *tuple[Any, ...]]
# Takes a result of a job that is under way, and all that the job gave so far.
Hears: TypeAlias = Callable[[Finished, BatchResult], None]


def perform(works: Iterable[Work], host: Host, makers: Executor, workers: Executor) -> None:
    """Do all work, and hear of every result in this thread; one that raises stops the rest.

    Args:
        works: what is to be done.
        host: whose environments they need.
        makers: makes environments; threads of this process, for the cache is here.
        workers: runs jobs; may be the same.

    Raises:
        NoEngineError: the engine is gone.
    """
    coordinator = _Coordinator(host, makers, workers)
    try:
        coordinator.run(list(works))
    except BaseException:
        for executor in (makers, workers):
            executor.shutdown(wait=False, cancel_futures=True)
        host.stop()
        raise


class _Coordinator:
    def __init__(self, host: Host, makers: Executor, workers: Executor) -> None:
        self._host, self._makers, self._workers = host, makers, workers
        self._events: SimpleQueue[_Event] = SimpleQueue()
        self._open = 0

    def run(self, works: Sequence[Work]) -> None:
        groups: dict[str, list[Work]] = {}
        for work in works:
            groups.setdefault(work.environment.name, []).append(work)
        for group in sorted(groups.values(), key=lambda each: -self._host.weight(each[0].environment)):
            then = partial(self._prepared, group)
            self._submit(self._makers, self._host.prepare, group[0].environment, then=then)
        while self._open:
            self._events.get()()

    def _submit(
        self, executor: Executor, function: Callable[..., Any], *arguments: Any, then: Callable[[Future[Any]], None]
    ) -> None:
        """Have an executor call a function; what comes of it is an event like any other."""
        self._open += 1
        future = executor.submit(function, *arguments)
        future.add_done_callback(lambda done: self._events.put(lambda: self._ended(done, then)))

    def _ended(self, done: Future[Any], then: Callable[[Future[Any]], None]) -> None:
        self._open -= 1
        then(done)

    def _prepared(self, group: Sequence[Work], done: Future[Ready]) -> None:
        try:
            ready = done.result()
        except EnvironmentFailedError as error:
            for work in group:
                work.failed(work, error)
            return
        self._host.prepared(group[0].environment, ready)
        for work in group:
            work.built = ready.built
            hearing = _Hearing(self._events, work)
            self._submit(self._workers, *self._host.task(work), hearing, then=hearing.ended)


class _Hearing:
    """Tells the coordinator of each result as it comes, and of the rest when a job ends. Sent elsewhere, it is mute."""

    def __init__(self, events: SimpleQueue[_Event], work: Work) -> None:
        self._events, self._work = events, work
        self._heard: dict[str, Finished] = {}

    def __call__(self, finished: Finished, result: BatchResult) -> None:
        """Take a result; called by a worker of this process."""
        self._events.put(lambda: self._hear(finished, result))

    def __reduce__(self) -> tuple[Any, ...]:
        return _mute, ()

    def ended(self, done: Future[BatchResult]) -> None:
        """Take what a job gave, all of it."""
        try:
            result = done.result()
        except EnvironmentFailedError as error:  # nothing that could run it is left
            result = _all_failed(self._work, error)
        if result.elsewhere:
            self._work.built = result.elsewhere.built
            resources.write_atomically(self._work.log, result.elsewhere.log)
        for finished in result.finished.values():
            if self._heard.get(finished.id) is not finished:
                self._hear(finished, result)

    def _hear(self, finished: Finished, result: BatchResult) -> None:
        self._heard[finished.id] = finished
        self._work.result = result
        self._work.heard(self._work, finished)


def _all_failed(work: Work, error: EnvironmentFailedError) -> BatchResult:
    failed = (Finished(id=each.id, outcome=Outcome.FAILED, reason=error.what) for each in work.asked)
    return BatchResult(finished={each.id: each for each in failed})


def _mute() -> Hears:
    return _not_heard


def _not_heard(_finished: Finished, _result: BatchResult) -> None:
    """Do nothing: the result of the whole job goes back."""


def run_job(engine: Engine, built: Built, job: Job, hears: Hears) -> BatchResult:
    """Run a job; in a worker, wherever that is.

    Raises:
        NoEngineError: the engine is gone.
    """
    job.log.unlink(missing_ok=True)
    result = BatchResult()
    run_batch(
        job.asked,
        result=result,
        engine=engine,
        built=built,
        limits=job.limits,
        log=job.log,
        done=lambda finished: hears(finished, result),
        trace=job.trace,
        fetch=job.fetch,
    )
    return result
