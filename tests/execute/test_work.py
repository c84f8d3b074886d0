"""The one path of all that runs: any executor does the work, and only the thread that asked writes and tells."""

import ast
import sys
import threading
import time
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path

import pytest

from repromatrix.engines.base import Exit
from repromatrix.engines.here import HereEngine
from repromatrix.errors import NoEngineError, ResultsError
from repromatrix.execute.fetch import Fetching, Wanted
from repromatrix.execute.replay import Inputs, Replaying, Request
from repromatrix.execute.run import Execution
from repromatrix.execute.site import ThisMachine
from repromatrix.execute.trace import Tracing
from repromatrix.images.default_job import default_job
from repromatrix.images.here import probe
from repromatrix.images.sources import parse as parse_pip
from repromatrix.matrix import load
from repromatrix.plan import universe
from repromatrix.results.record import Outcome, Record
from repromatrix.results.replay import digest, sample
from repromatrix.results.store import Store
from tests import fakes as say

A = "tiny/numpy-2.0-cpu/parallel"
PAIR = sample({"p": [0.5, 0.25, 0.125], "b": [1.0, 1.0, 1.0]})
WRITES = [name for name in vars(Store) if name.startswith(("write", "adopt", "seal", "sweep"))]


class Counting(ThreadPoolExecutor):
    """Threads that remember what they were asked to do, and in which threads that was done."""

    def __init__(self, jobs: int) -> None:
        super().__init__(max_workers=jobs)
        self.submitted: list[str] = []
        self.threads: set[int] = set()

    def submit(self, function, /, *arguments, **named) -> Future:
        self.submitted.append(function.__name__)

        def work():
            self.threads.add(threading.get_ident())
            return function(*arguments, **named)

        return super().submit(work)


class AtOnce(Executor):
    """No threads at all: whatever is submitted has been done when `submit` returns."""

    def submit(self, function, /, *arguments, **named) -> Future:
        future: Future = Future()
        try:
            future.set_result(function(*arguments, **named))
        except BaseException as error:  # noqa: BLE001 - as an executor does
            future.set_exception(error)
        return future


class Backwards(Executor):
    """Does what was submitted in another thread, the latest first."""

    def __init__(self) -> None:
        self._todo: list = []
        self._changed = threading.Condition()
        self._open = True
        self._thread = threading.Thread(target=self._work)
        self._thread.start()

    def submit(self, function, /, *arguments, **named) -> Future:
        future: Future = Future()
        with self._changed:
            self._todo.append((future, lambda: function(*arguments, **named)))
            self._changed.notify()
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        with self._changed:
            self._open = False
            if cancel_futures:
                for future, _ in self._todo:
                    future.cancel()
                self._todo.clear()
            self._changed.notify()
        if wait:
            self._thread.join()

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._todo or not self._open)
                if not self._todo:
                    return
                future, function = self._todo.pop()
            try:
                future.set_result(function())
            except BaseException as error:  # noqa: BLE001 - as an executor does
                future.set_exception(error)


def execution(bench, workers) -> Execution:
    folders = {each.name: bench.lock_folder for each in bench.matrix.environments}
    return Execution(
        matrix=bench.matrix,
        site=ThisMachine(bench.engine, lock_folders=folders),
        store=bench.store,
        listener=bench.ears,
        jobs=1,
        workers=workers,
    )


@pytest.fixture
def writers(monkeypatch) -> dict[str, set[int]]:
    """Remember which threads write to a store, by the name of the method."""
    found: dict[str, set[int]] = {}

    def watched(name: str, method):
        def write(*arguments, **named):
            found.setdefault(name, set()).add(threading.get_ident())
            return method(*arguments, **named)

        return write

    for name in WRITES:
        monkeypatch.setattr(Store, name, watched(name, getattr(Store, name)))
    return found


def everything(bench, made: Execution) -> None:
    """Run cells, trace them, fetch a value of a trace and replay an operation."""
    cells = bench.cells("numpy")
    summary = made.run(cells)
    assert {each.outcome for each in summary.records} == {Outcome.OK}
    traced = {each.id: each for each in Tracing(made).run(cells, summary.records)}
    assert all(each.key for each in traced.values())
    (cell,) = (each for each in cells if each.id == A)
    inputs = Inputs.fresh(lambda: (PAIR,), digest([PAIR]), 0)
    (replay,) = Replaying(made).run([Request(cell=cell, graph=cell.workload.graph, operation="bias", inputs=inputs)])
    assert replay.ok
    trace = bench.store.read_trace(A, traced[A].key)
    reasons = Fetching(made).run([Wanted(cell=cell, trace=trace, step=1, name="hidden")])
    assert reasons == {A: "it did not send hidden of step 1"}


EXECUTORS = {
    "one thread": lambda: Counting(1),
    "many threads": lambda: Counting(8),
    "no threads": AtOnce,
    "the latest first": Backwards,
}


@pytest.mark.parametrize("workers", EXECUTORS.values(), ids=EXECUTORS)
def test_any_executor_does_the_work_and_only_the_calling_thread_writes(bench, workers, writers) -> None:
    everything(bench, execution(bench, workers))
    assert set(writers) == {"write", "write_trace", "write_replay"}
    assert set().union(*writers.values()) == {threading.get_ident()}


@pytest.mark.parametrize("workers", EXECUTORS.values(), ids=EXECUTORS)
def test_records_and_their_order_are_the_same_whoever_works(bench, workers) -> None:
    cells = bench.cells("numpy", "torch")
    assert execution(bench, workers).run(cells).records == bench.execution(jobs=1).run(cells).records
    assert [each for each in bench.ears.heard if each[0] == "record" and each[2]]  # the second answered from the store


def test_jobs_are_the_work_and_nothing_else_is(bench) -> None:
    made: list[Counting] = []
    run = execution(bench, lambda: made.append(Counting(2)) or made[-1])
    run.run(bench.cells())
    (used,) = made
    assert used.submitted == ["run_job", "run_job"]  # two repeats; environments are made by threads of our own
    assert threading.get_ident() not in used.threads
    assert {each[0] for each in bench.ears.heard} >= {"preparing", "ready", "repeat", "record"}


def test_threads_that_make_environments_parse_python_one_after_the_other(bench, monkeypatch) -> None:
    """CPython 3.11 may fail where two parse at once, and the workload of the default job is read for each image."""
    at_once, real = [0], ast.parse
    seen = set()

    def parse(*arguments, **named):
        at_once[0] += 1
        time.sleep(0.002)
        seen.add(at_once[0])
        tree = real(*arguments, **named)
        at_once[0] -= 1
        return tree

    monkeypatch.setattr(ast, "parse", parse)
    environments = {each.environment.name: each.environment for each in bench.cells("numpy", "torch")}
    with ThreadPoolExecutor(max_workers=3) as workers:
        list(workers.map(default_job, environments.values()))
        list(workers.map(parse_pip, ["global.index-url='https://x'"] * 3))
    assert seen == {1}


def test_who_listens_hears_results_in_the_thread_that_asked(bench, monkeypatch) -> None:
    heard: dict[str, set[int]] = {}
    for name in ("ready", "failed", "repeat", "record", "unreadable", "traced"):
        monkeypatch.setattr(
            bench.ears, name, lambda *_, name=name, **__: heard.setdefault(name, set()).add(threading.get_ident())
        )
    everything(bench, execution(bench, lambda: Counting(4)))
    assert set(heard) == {"ready", "repeat", "record", "traced"}
    assert set().union(*heard.values()) == {threading.get_ident()}


@pytest.mark.parametrize("workers", EXECUTORS.values(), ids=EXECUTORS)
def test_an_engine_that_goes_away_ends_it_and_what_had_not_begun_does_not_run(bench, workers) -> None:
    def gone(_cells, _number):
        raise NoEngineError("the engine stopped answering")

    bench.engine.answer = gone
    with pytest.raises(NoEngineError):
        execution(bench, workers).run(bench.cells("numpy"))
    assert bench.engine.stopped.is_set()
    assert bench.engine.open == 0
    assert not list(bench.store.folder.rglob("records/**/*.json"))


def test_jobs_run_in_other_processes_with_the_same_bits(tmp_path, bench) -> None:
    """As on a cluster: what is sent is a job and an engine, what comes back are its results."""
    pytest.importorskip("numpy")
    found = probe(sys.executable, "numpy")
    environment = found.environment("here", ("cpu",))
    matrix = load(Path(__file__).parents[2] / "matrix.yaml")
    cells = [
        replace(cell, environment=environment)
        for cell in universe(matrix)
        if cell.environment.name == "numpy-2.4.6-cpu" and cell.id.startswith("mazur") and not cell.settings.isa
    ][:4]

    def records(name: str, workers) -> tuple[Record, ...]:
        made = Execution(
            matrix=matrix,
            site=ThisMachine(HereEngine(found.base)),
            store=Store(tmp_path / name),
            listener=bench.ears,
            jobs=2,
            workers=workers,
        )
        return made.run(cells).records

    elsewhere = records("elsewhere", lambda: ProcessPoolExecutor(2, mp_context=get_context("spawn")))
    assert {record.outcome for record in elsewhere} == {Outcome.OK}
    assert elsewhere == records("here", None)


def test_a_store_that_cannot_be_written_to_ends_it(bench, monkeypatch) -> None:
    def full(*_) -> None:
        raise ResultsError("the record cannot be written: No space left on device")

    monkeypatch.setattr(Store, "write", full)
    with pytest.raises(ResultsError, match="No space left"):
        execution(bench, lambda: Counting(4)).run(bench.cells("numpy"))
    assert bench.engine.stopped.is_set()
    assert bench.engine.open == 0


def test_a_crash_of_a_process_costs_the_others_nothing_whoever_works(bench) -> None:
    bench.engine.answer = lambda cells, _: (
        [say.ok(cell) for cell in cells if cell["id"] != A],
        Exit(signal="SIGSEGV"),
    )
    records = execution(bench, Backwards).run(bench.cells("numpy", "torch")).records
    assert {each.cell.id for each in records if each.outcome is Outcome.FAILED} == {A}
