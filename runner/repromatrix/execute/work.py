"""The one path of all that runs: cells, traced cells, operations. Environments are made and jobs run side by side.

A piece of work is a job for one process. What workers do is pure: a job in, lines out. They hand what they read to the
coordinator, the thread that called `perform`, which alone writes and tells. Where workers run is a
`concurrent.futures` executor: threads here, a cluster elsewhere.
"""

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Protocol

from repromatrix.engines.base import Built, Engine, RunLimits
from repromatrix.errors import EnvironmentFailedError
from repromatrix.execute.batch import BatchResult, run_batch
from repromatrix.execute.lines import Finished
from repromatrix.images.build import Ready
from repromatrix.job import Asked, Fetch, cell_of
from repromatrix.matrix import Environment


@dataclass(slots=True, kw_only=True, eq=False)
class Work:
    """One job for one process.

    Attributes:
        asked: cells or operations that share environment, device and settings.
        log: where the process's standard error goes; begun anew.
        heard: what the coordinator does with each result, when it comes; of a cell that broke the contract a second
            one, which failed.
        failed: what it does where the environment cannot be made.
        trace: whether every value of every step is wanted.
        fetch: values whose bits are wanted.
        built: the environment, once it is made.
        result: all that came of it.
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


class Host(Protocol):
    """What makes environments, and is told when one is there."""

    @property
    def engine(self) -> Engine:
        """Where the processes run."""

    def prepare(self, environment: Environment) -> Ready:
        """Make an environment unless it is there; called by workers."""

    def weight(self, environment: Environment) -> int:
        """Return how large an environment is: the longest work must not start last."""

    def prepared(self, environment: Environment, ready: Ready) -> None:
        """An environment can run; called by the coordinator."""


_Event = Callable[[], None]


def perform(works: Iterable[Work], host: Host, executor: Executor) -> None:
    """Do all work, and hear of every result in this thread; one that raises stops the rest.

    Raises:
        NoEngineError: the engine is gone.
    """
    coordinator = _Coordinator(host, executor)
    try:
        coordinator.run(list(works))
    except BaseException:
        executor.shutdown(wait=False, cancel_futures=True)
        host.engine.stop()
        raise


class _Coordinator:
    def __init__(self, host: Host, executor: Executor) -> None:
        self._host, self._executor = host, executor
        self._events: SimpleQueue[_Event] = SimpleQueue()
        self._open = 0

    def run(self, works: Sequence[Work]) -> None:
        groups: dict[str, list[Work]] = {}
        for work in works:
            groups.setdefault(work.environment.name, []).append(work)
        for group in sorted(groups.values(), key=lambda each: -self._host.weight(each[0].environment)):
            self._submit(self._host.prepare, group[0].environment, then=partial(self._prepared, group))
        while self._open:
            self._events.get()()

    def _submit(self, function: Callable[..., Any], *arguments: Any, then: Callable[[Future[Any]], None]) -> None:
        """Have a worker call a function; what comes of it is an event like any other."""
        self._open += 1
        future = self._executor.submit(function, *arguments)
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
            self._submit(self._job, work, then=lambda ended: ended.result())

    def _job(self, work: Work) -> None:
        """Run a job; in a worker."""
        work.log.unlink(missing_ok=True)
        assert work.built is not None  # noqa: S101 - set before this is submitted
        run_batch(
            work.asked,
            result=work.result,
            engine=self._host.engine,
            built=work.built,
            limits=work.limits,
            log=work.log,
            done=lambda finished: self._events.put(lambda: work.heard(work, finished)),
            trace=work.trace,
            fetch=work.fetch,
        )
