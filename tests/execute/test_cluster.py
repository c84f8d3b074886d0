"""A real scheduler and real workers, each a host of its own: nothing is lost, nothing comes twice, the same bytes.

The hosts are network namespaces with mounts of their own (tests/namespaces.py); the cells are a small script in an
environment of NumPy, which tells a file whenever it runs.
"""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from repromatrix import __version__
from repromatrix.execute import host
from tests.namespaces import ROOT, SCHEDULER, Network, wait

pytest.importorskip("distributed")
pytestmark = [pytest.mark.slow, pytest.mark.network]

TRAIN = """\
import os, sys, time
def tell(what):
    with open(sys.argv[2], "a") as told:
        told.write(f"{what} {sys.argv[1]} {os.readlink('/proc/self/ns/net')}\\n")
tell("begin")
while os.path.exists(f"{sys.argv[2]}.hold-{sys.argv[1]}"):
    time.sleep(0.02)
for step in range(1, 4):
    print(f"step {step} | loss {1 / (step + int(sys.argv[1]))}", flush=True)
    time.sleep(0.3)
tell("end")
"""
MATRIX = """\
format: 1
defaults: {repeats: 1}
environments:
  - framework: numpy
    flavour: cpu
    versions: [2.4.6]
    packages: ["numpy=={version}"]
workloads: [./job]
profiles: {default: {environments: ["*"]}}
"""
SEEDS = 6
ALL = range(1, SEEDS + 1)
GONE = "Remove client Client-"  # says the scheduler


class Jobs:
    """A matrix of cells that take a second each, and the network on which they run."""

    def __init__(self, folder: Path, network: Network) -> None:
        self.folder, self.network, self.told = folder, network, folder / "told"
        self.matrix = folder / "matrix.yaml"
        self.matrix.write_text(MATRIX)
        (folder / "job").mkdir()
        (folder / "job" / "train.py").write_text(TRAIN)
        (folder / "job" / "workload.yaml").write_text(
            f"format: 1\ncommand: [python, train.py, '{{seed}}', {self.told}]\nframeworks: [numpy]\n"
            f"files: [train.py]\nfactors: {{seed: {[str(each) for each in range(1, SEEDS + 1)]}}}\n"
        )
        self.told.touch()
        self.one_machine = self._files("here", self.run("here", cluster=False))

    def command(self, results: str, *more: str, cluster: bool = True) -> list[str]:
        """Return the command that runs all cells."""
        own = ["--cluster", SCHEDULER] if cluster else []
        where = ["--matrix", str(self.matrix), "--results", str(self.folder / results)]
        return [sys.executable, "-m", "repromatrix", "run", "--engine", "process", *where, *own, *more]

    def run(self, results: str, *more: str, cluster: bool = True) -> subprocess.CompletedProcess[str]:
        """Run all cells to the end."""
        self.told.write_text("")
        command = self.command(results, *more, cluster=cluster)
        if cluster:
            return self.network.run("client", *command)
        return subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)

    def begin(self, results: str, hold: Iterable[int] = ALL) -> subprocess.Popen[bytes]:
        """Begin to run all cells, and return when the second of them has begun; those of `hold` do not end yet."""
        self.told.write_text("")
        for seed in hold:
            self._hold(seed).touch()
        process = self.network.start("client", f"exec {' '.join(self.command(results))}")
        wait(lambda: self.count("begin") > 1 or process.poll() is not None, "cells have begun")
        assert process.poll() is None, self.story
        return process

    def go_on(self) -> None:
        """Let the cells end that were held."""
        for seed in ALL:
            self._hold(seed).unlink(missing_ok=True)

    def _hold(self, seed: int) -> Path:
        return self.told.with_name(f"{self.told.name}.hold-{seed}")

    def running(self, namespace: str | None = None) -> list[int]:
        """Return the processes of cells, on all hosts or on one."""
        found = []
        for each in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):  # it has ended
                there = namespace in {None, str((each / "ns" / "net").readlink())}
                own = b"train.py\0" in (command := (each / "cmdline").read_bytes()) and bytes(self.told) in command
                found += [int(each.name)] if there and own else []
        return found

    @property
    def story(self) -> str:
        """What the client said."""
        return (self.network.folder / "client.log").read_text()

    def lines(self, what: str) -> list[list[str]]:
        """Return what cells told: the seed, and the namespace."""
        lines = [line.split() for line in self.told.read_text().splitlines()]
        return [rest for first, *rest in lines if first == what]

    def count(self, what: str) -> int:
        return len(self.lines(what))

    def require_whole(self, results: str) -> None:
        """Hold what a cluster gave against what one machine gave, file by file; a log may name temporary folders."""
        found = self._files(results)
        assert found.keys() == self.one_machine.keys()
        assert {name for name in found if found[name] != self.one_machine[name]} <= {
            name for name in found if name.startswith("logs/")
        }

    def _files(self, results: str, done: subprocess.CompletedProcess[str] | None = None) -> dict[str, bytes]:
        assert done is None or done.returncode == 0, done.stderr
        folder = self.folder / results
        found = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
        assert len([name for name in found if name.startswith("records/")]) == SEEDS
        return found


@pytest.fixture(scope="module")
def jobs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Jobs]:
    folder = tmp_path_factory.mktemp("cluster")
    with Network(folder) as network:
        network.host("client")
        yield Jobs(folder, network)


@pytest.fixture
def pair(jobs: Jobs) -> Iterator[subprocess.Popen[bytes]]:
    """A scheduler, which is given, and two workers, which are started anew whenever they end."""
    network = jobs.network
    processes = [network.scheduler(), network.worker("a"), network.worker("b")]
    yield processes[0]
    jobs.go_on()
    for process in processes:
        network.end(process)


def test_who_cannot_help_is_named_and_the_records_are_those_of_one_machine(jobs: Jobs, tmp_path: Path) -> None:
    network = jobs.network
    other_class = _without_avx512(tmp_path / "cpuinfo")
    full = f"mkdir -p {tmp_path}/full && mount -t tmpfs -o size=40m tmpfs {tmp_path}/full"
    processes = [
        network.scheduler(),
        network.worker("full", full, REPROMATRIX_CACHE=f"{tmp_path}/full"),
        network.worker("old", PYTHONPATH=str(_another_release(tmp_path / "old"))),
        network.worker("other", f"mount --bind {other_class} /proc/cpuinfo"),
    ]
    try:
        _wait_for_workers(network, 3)
        alone = jobs.run("alone", "--cpu-class", host.cpu_class())  # none but the one whose disk is full
        processes.append(network.worker("able"))
        _wait_for_workers(network, 4)
        done = jobs.run("helped")
        unknown = jobs.run("unknown", "--cpu-class", "x86-64-v9")
        elsewhere = jobs.run("elsewhere", "--cpu-class", _cpu_class(other_class))
    finally:
        for process in processes:
            network.end(process)
    assert alone.returncode == 4
    assert "no worker of the cluster can run numpy-2.4.6-cpu" in alone.stderr
    assert "are needed, but only" in alone.stderr
    assert "next: repromatrix clean" in alone.stderr
    assert done.returncode == 0, done.stderr
    assert f"{network.host('old')}:" in done.stderr
    assert (
        f"is left out: it has repromatrix 0.0.9, and this is {__version__}: install {__version__} there" in done.stderr
    )
    assert f"2 workers of {SCHEDULER}, 2 threads, engine process, CPU class {host.cpu_class()}" in done.stderr
    jobs.require_whole("helped")
    assert unknown.returncode == 2
    assert "no worker of the cluster is of CPU class x86-64-v9" in unknown.stderr
    assert _cpu_class(other_class) in unknown.stderr
    assert elsewhere.returncode == 0, elsewhere.stderr
    records = [json.loads(path.read_text()) for path in (jobs.folder / "elsewhere").rglob("records/**/*.json")]
    assert {each["provenance"]["cpu_class"] for each in records} == {_cpu_class(other_class)} != {host.cpu_class()}


@pytest.mark.usefixtures("pair")
def test_a_worker_that_is_killed_in_a_cell_costs_nothing(jobs: Jobs) -> None:
    process = jobs.begin("killed")
    namespace = jobs.lines("begin")[0][1]
    for pid in jobs.network.workers_of(namespace):
        os.kill(pid, signal.SIGKILL)
    wait(lambda: not jobs.running(namespace), "the cell is gone with its worker")
    jobs.go_on()
    assert process.wait(120) == 0, jobs.story
    assert "went away; what it was doing is done by others" in jobs.story
    assert Counter(seed for seed, _ in jobs.lines("end")) == Counter(str(each) for each in range(1, SEEDS + 1))
    jobs.require_whole("killed")


def test_a_scheduler_that_is_started_anew_costs_nothing(jobs: Jobs, pair) -> None:
    process = jobs.begin("restarted")
    jobs.network.end(pair)
    jobs.go_on()
    again = jobs.network.scheduler()
    assert process.wait(120) == 0, jobs.story
    jobs.network.end(again)
    jobs.require_whole("restarted")


@pytest.mark.usefixtures("pair")
def test_a_client_that_was_killed_asks_only_for_what_it_has_not(jobs: Jobs) -> None:
    process = jobs.begin("resumed", hold=[SEEDS])
    wait(lambda: list((jobs.folder / "resumed").rglob("records/**/*.json")), "a record is written")
    jobs.network.end(process)
    there = {path.name: path.stat().st_mtime_ns for path in (jobs.folder / "resumed").rglob("records/**/*.json")}
    assert 0 < len(there) < SEEDS
    jobs.go_on()
    done = jobs.run("resumed")
    assert done.returncode == 0, done.stderr
    assert f"{SEEDS - len(there)} ran now" in done.stderr
    jobs.require_whole("resumed")
    now = {path.name: path.stat().st_mtime_ns for path in (jobs.folder / "resumed").rglob("records/**/*.json")}
    assert there.items() <= now.items()


@pytest.mark.usefixtures("pair")
def test_a_client_that_was_cut_off_and_comes_back_keeps_one_answer_of_two(jobs: Jobs) -> None:
    process = jobs.begin("cut")
    jobs.network.cut("client", off=True)
    begun = jobs.count("begin")
    log = jobs.network.folder / "hub.log"
    before = log.read_text().count(GONE)
    jobs.go_on()
    wait(lambda: log.read_text().count(GONE) > before, "the connection ends that gives no answer")
    assert process.poll() is None, jobs.story
    jobs.network.cut("client", off=False)
    assert process.wait(120) == 0, jobs.story
    ran = Counter(seed for seed, _ in jobs.lines("end"))
    assert ran.keys() == {str(each) for each in range(1, SEEDS + 1)}
    assert max(ran.values()) > 1, f"{begun} had begun, and none of them ran twice: {ran}"
    jobs.require_whole("cut")


@pytest.mark.usefixtures("pair")
def test_ctrl_c_ends_what_runs_on_the_workers(jobs: Jobs) -> None:
    process = jobs.begin("interrupted")
    assert jobs.running()
    process.send_signal(signal.SIGINT)
    assert process.wait(120) == 130, jobs.story
    wait(lambda: not jobs.running(), "no cell runs any more")
    assert jobs.count("begin") < SEEDS
    assert jobs.count("end") == 0


def _wait_for_workers(network: Network, count: int) -> None:
    log = network.folder / "hub.log"
    begun = "Scheduler at:"
    wait(lambda: log.read_text().rpartition(begun)[2].count("Register worker") >= count, f"{count} workers are there")


def _cpu_class(cpuinfo: Path) -> str:
    return host.class_of(cpuinfo.read_text(), os.uname().machine)


def _without_avx512(path: Path) -> Path:
    """Write what a CPU of another class would say of itself."""
    here = Path("/proc/cpuinfo").read_text()
    path.write_text(here.replace(" avx512f", "").replace(" fma ", " ") + "\n")
    assert _cpu_class(path) != host.cpu_class()
    return path


def _another_release(folder: Path) -> Path:
    """Return where there is a repromatrix of another version."""
    package = folder / "runner" / "repromatrix"
    shutil.copytree(ROOT / "runner" / "repromatrix", package, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("images", "workloads", "templates"):
        (folder / name).symlink_to(ROOT / name)
    init = package / "__init__.py"
    init.write_text(init.read_text().replace(__version__, "0.0.9"))
    return package.parent
