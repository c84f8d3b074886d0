"""Every run sees a fixed number of CPUs, and runs side by side keep out of each other's way."""

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Barrier
from types import SimpleNamespace

import pytest

from repromatrix.engines import cpus
from repromatrix.engines.cpus import Cpus
from repromatrix.engines.docker import DockerEngine
from repromatrix.errors import EnvironmentFailedError
from tests.engines.conftest import LIMITS, Bench

HERE = sorted(os.sched_getaffinity(0))
SEEN = "import os; print(sorted(os.sched_getaffinity(0)))"
MANY = replace(LIMITS, cpus=4096)


def seen(bench: Bench, count: int, code: str = SEEN) -> list[int]:
    lines, end = bench.run(code, replace(LIMITS, cpus=count))
    assert end.clean, end
    found = [int(word) for word in lines[0].decode().strip("[]").split(",")]
    assert set(found) <= set(HERE)
    return found


def test_the_cpus_with_the_fewest_runs_come_first() -> None:
    some = Cpus()
    with some.taken(1, {4, 5, 7}) as first, some.taken(2, {4, 5, 7}) as second, some.taken(1, {4, 5, 7}) as third:
        assert (first, second, third) == ((4,), (5, 7), (4,))


def test_a_cpu_that_a_run_gives_back_is_free_again() -> None:
    some = Cpus()
    for _ in range(2):
        with some.taken(1, {0, 1}) as mine:
            assert mine == (0,)
    with pytest.raises(RuntimeError), some.taken(2, {0, 1}):
        raise RuntimeError
    with some.taken(1, {0, 1}) as mine:
        assert mine == (0,)


def test_only_usable_cpus_are_given() -> None:
    some = Cpus()
    with some.taken(1, {9}) as one, some.taken(2, {8, 9}) as two:
        assert (one, two) == ((9,), (8, 9))


def test_threads_share_the_cpus_evenly() -> None:
    some, everybody = Cpus(), Barrier(8)

    def one(_: int) -> tuple[int, ...]:
        with some.taken(1, range(4)) as mine:
            everybody.wait(60)
            return mine

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(one, range(8))) == [(cpu,) for cpu in range(4) for _ in range(2)]


def test_too_few_cpus_are_an_error_with_both_numbers_and_the_key() -> None:
    with pytest.raises(EnvironmentFailedError) as caught, Cpus().taken(3, {0, 1}):
        pass
    for word in ("3 CPUs", "2 can be used", "defaults.limits.cpus", "matrix.yaml"):
        assert word in caught.value.what


@pytest.mark.parametrize(
    ("ours", "engine", "usable"),
    [
        ({2, 5}, 8, {2, 5}),  # the runner was given a part of the machine, and its runs stay in it
        ({4, 5}, 2, {4, 5}),  # so was the engine
        (set(range(8)), 2, {0, 1}),  # an engine in a small virtual machine of its own
        (set(), 2, {0, 1}),  # a system that does not tell
    ],
)
def test_containers_get_cpus_of_ours_unless_the_engine_has_others(
    monkeypatch: pytest.MonkeyPatch, ours: set[int], engine: int, usable: set[int]
) -> None:
    monkeypatch.setattr(cpus, "usable_here", lambda: frozenset(ours))
    assert cpus.usable_in_engine(engine) == usable


def test_a_run_sees_one_cpu_unless_it_asks_for_more(bench: Bench) -> None:
    assert len(seen(bench, LIMITS.cpus)) == 1


@pytest.mark.skipif(len(HERE) < 2, reason="one CPU only")
def test_a_run_sees_as_many_cpus_as_it_asks_for(bench: Bench) -> None:
    assert len(seen(bench, 2)) == 2


@pytest.mark.skipif(len(HERE) < 2, reason="one CPU only")
def test_runs_side_by_side_are_on_different_cpus(bench: Bench) -> None:
    with bench.start(f"import sys, time; {SEEN}; sys.stdout.flush(); time.sleep(600)") as run:
        (first,) = next(iter(run.lines())).decode().strip("[]").split(",")
        assert seen(bench, 1) != [int(first)]


def test_a_child_of_a_run_sees_no_more(bench: Bench) -> None:
    code = f"import subprocess, sys; print(subprocess.check_output([sys.executable, '-c', {SEEN!r}]).decode().strip())"
    assert len(seen(bench, 1, code)) == 1


def test_a_run_that_asks_for_more_cpus_than_there_are_does_not_start(bench: Bench) -> None:
    with pytest.raises(EnvironmentFailedError, match=f"4096 CPUs and {len(HERE)} can be used"), bench.start("", MANY):
        pass


def test_a_process_cannot_start_without_the_cpus_that_it_was_given(
    process_bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("repromatrix.engines.process.usable_here", lambda: frozenset({HERE[0], 4095}))
    before = process_bench.log.stat().st_size if process_bench.log.exists() else 0
    lines, end = process_bench.run("print('never')", replace(LIMITS, cpus=2))
    assert (lines, end.code) == ([], 127)
    assert b"cannot all be used here" in process_bench.log.read_bytes()[before:]


@pytest.mark.docker
def test_a_container_cannot_take_more_cpus_by_itself(docker_bench: Bench) -> None:
    code = (
        "import os\ntry:\n    os.sched_setaffinity(0, range(4096))\nexcept OSError:\n    pass\n"
        "print(sorted(os.sched_getaffinity(0)))"
    )
    assert len(seen(docker_bench, 1, code)) == 1


@pytest.mark.docker
def test_an_engine_that_would_ignore_the_cpus_is_an_error(docker_bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = DockerEngine()
    assert isinstance(docker_bench.engine, DockerEngine)
    told = docker_bench.engine.client.info() | {"CPUSet": False}
    client = SimpleNamespace(info=lambda: told, containers=lambda **_: [], remove_container=lambda *_, **__: None)
    monkeypatch.setattr(engine, "client", client)
    with (
        pytest.raises(EnvironmentFailedError, match="no cpuset controller"),
        replace(docker_bench, engine=engine).start(""),
    ):
        pass
