"""What the executor of a cluster costs: a real scheduler, real workers, and cells that only sleep.

Nothing here passes or fails: times on a shared machine are no test. The work passes the same way as that of `run`: jobs
of real cells are sent, results come back, and the coordinator hears of each. Only the worker's part is a stub.

    python bench/cluster.py                                   10,000 cells of 0.5 s on 32 workers
    python bench/cluster.py --cells 2000 --seconds 0.2        so many of them
"""

import argparse
import asyncio
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from distributed import Scheduler, Worker

from repromatrix.cli.story import Story
from repromatrix.engines.base import RunLimits
from repromatrix.execute.batch import BatchResult
from repromatrix.execute.cluster.pool import Pool, Workers
from repromatrix.execute.cluster.there import Needs
from repromatrix.execute.lines import Finished
from repromatrix.execute.work import Hears, Job, Task, Work, perform
from repromatrix.matrix import load
from repromatrix.plan import Cell, plan
from repromatrix.results.record import Outcome

ROOT = Path(__file__).resolve().parent.parent
PORT = 28786
ADDRESS = f"tcp://127.0.0.1:{PORT}"
HOSTS = 4  # processes among which the workers are spread: this machine has few cores, and sleeping needs none
ENVIRONMENTS = 40
_QUIET = {
    "DASK_DISTRIBUTED__LOGGING__DISTRIBUTED": "warning",
    "DASK_DISTRIBUTED__ADMIN__LOW_LEVEL_LOG_LENGTH": "50",  # as docs/cluster.md says
}


def main() -> None:
    """Start a scheduler and workers, have them do all cells, print what that took."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cells", type=int, default=10_000)
    parser.add_argument("--workers", type=int, default=32)
    parser.add_argument("--seconds", type=float, default=0.5, help="that each sleeps")
    parser.add_argument("--serve", choices=("scheduler", "workers"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        asyncio.run(scheduler() if options.serve == "scheduler" else workers(options.workers))
        return
    serve = [sys.executable, __file__, "--workers", str(options.workers // HOSTS), "--serve"]
    with tempfile.TemporaryDirectory(prefix="repromatrix-bench-") as folder:
        own = {**os.environ, "REPROMATRIX_CACHE": folder, "DASK_TEMPORARY_DIRECTORY": folder, **_QUIET}
        started = [subprocess.Popen([*serve, kind], env=own) for kind in ("scheduler", *["workers"] * HOSTS)]
        try:
            measured(options, started[0].pid)
        finally:
            for each in started:
                each.terminate()
            for each in started:
                each.wait()


async def scheduler() -> None:
    """Be a scheduler."""
    async with Scheduler(host="127.0.0.1", port=PORT, dashboard=False) as made:
        await made.finished()


async def workers(count: int) -> None:
    """Be so many workers."""
    made = [Worker(ADDRESS, nthreads=1, host="127.0.0.1", dashboard=False) for _ in range(count)]
    await asyncio.gather(*made)
    await asyncio.gather(*(each.finished() for each in made))


def sleeps(seconds: float, job: Job, _hears: Hears) -> BatchResult:
    """Stand for `run_there`."""
    time.sleep(seconds)
    ended = (Finished(id=each.id, outcome=Outcome.FAILED, reason="it only slept") for each in job.asked)
    return BatchResult(finished={each.id: each for each in ended})


class Stub:
    """A host whose environments are there."""

    def __init__(self, pool: Pool, seconds: float) -> None:
        self._seconds = seconds
        self._cpu_class = pool.members[0].told.machine.cpu_class

    def task(self, work: Work) -> Task:
        """Return what sleeps in place of a job."""
        needs = Needs(environment=work.environment.name, engine="process", cpu_class=self._cpu_class)
        return partial(sleeps, self._seconds), needs, work.job

    def stop(self) -> None:
        """Stop nothing."""

    def prepare(self, _environment: Any) -> Any:
        """Make nothing."""
        return SimpleNamespace(built=None)

    def weight(self, _environment: Any) -> int:
        """Weigh nothing."""
        return 0

    def prepared(self, _environment: Any, _ready: Any) -> None:
        """Note nothing."""


def cells(count: int) -> list[Cell]:
    """Return so many cells, of as many environments as a large matrix has."""
    like = plan(load(ROOT / "matrix.yaml"), profile="default", select=["mazur/numpy-*"]).cells[0]
    environments = [replace(like.environment, version=f"1.{number}.0") for number in range(ENVIRONMENTS)]
    return [
        replace(like, environment=environments[number % ENVIRONMENTS], member=number + 1) for number in range(count)
    ]


def measured(options: argparse.Namespace, pid: int) -> None:
    """Do all cells, and print what that took."""
    pool = Pool(ADDRESS, Story(quiet=True, verbose=False))
    while pool.threads < options.workers:
        time.sleep(0.1)
    heard: Counter[str] = Counter()
    limits = RunLimits(silence=60, memory_mib=512, processes=64)
    works = [
        Work(
            asked=(cell,),
            log=Path("log"),
            limits=limits,
            heard=lambda _, finished: heard.update([finished.id]),
            failed=lambda _, error: sys.exit(str(error)),
        )
        for cell in cells(options.cells)
    ]
    before = resident("self"), resident(str(pid)), cpu("self"), cpu(str(pid))
    peak = [0, 0]
    began = time.perf_counter()
    with ThreadPoolExecutor() as makers, ThreadPoolExecutor() as watcher:
        done = watcher.submit(watch, peak, str(pid), lambda: sum(heard.values()) >= options.cells)
        perform(works, Stub(pool, options.seconds), makers, Workers(pool))
        took = time.perf_counter() - began
        done.result()
    assert len(heard) == options.cells, "lost"
    assert set(heard.values()) == {1}, "twice"
    pool.close()
    ideal = options.cells * options.seconds / options.workers
    overhead = (took - ideal) * options.workers / options.cells
    print(f"{options.cells:,} cells of {options.seconds} s, {options.workers} workers, load {os.getloadavg()[0]:.0f}")
    share, each = ideal / took, 1000 / options.cells
    print(f"  {took:.1f} s, at best {ideal:.1f} s: {share:.1%}; {overhead * 1000:.1f} ms of a worker for each cell")
    for name, place, own in (("coordinator", 0, "self"), ("scheduler", 1, str(pid))):
        used, grown = (cpu(own) - before[place + 2]) * each, peak[place] - before[place]
        print(f"  {name}: {used:.2f} ms of CPU time for each cell, {grown:.0f} MiB more at its peak")


def watch(peak: list[int], pid: str, ended: Any) -> None:
    """Look at the memory of this process and of the scheduler until all is done."""
    while not ended():
        peak[:] = [max(peak[0], resident("self")), max(peak[1], resident(pid))]
        time.sleep(0.5)


def resident(pid: str) -> int:
    """Return the memory of a process in MiB."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * resource.getpagesize() >> 20


def cpu(pid: str) -> float:
    """Return the CPU time of a process in seconds."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    main()
