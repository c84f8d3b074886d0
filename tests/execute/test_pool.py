"""The executor of a cluster, with a real scheduler and workers in this process, and stubs in place of jobs."""

import contextlib
import socket
import time
from collections.abc import Iterator
from concurrent.futures import CancelledError
from dataclasses import replace
from threading import Thread

import pytest

from repromatrix import __version__
from repromatrix.errors import AbsentError, EnvironmentFailedError, NoEngineError, UsageError
from repromatrix.execute import host
from repromatrix.execute.host import Machine
from repromatrix.matrix import Environment, load
from tests.fakes import Ears

distributed = pytest.importorskip("distributed")

from repromatrix.execute.cluster import pool as pool_of  # noqa: E402 - needs Dask
from repromatrix.execute.cluster.pool import Member, Pool, Workers  # noqa: E402 - needs Dask
from repromatrix.execute.cluster.site import Cluster  # noqa: E402
from repromatrix.execute.cluster.there import Announced, Needs, Unfit  # noqa: E402

GPU = ("NVIDIA H100, 570.1",)


class Listening(Ears):
    def __init__(self) -> None:
        super().__init__()
        self.warnings: list[str] = []

    def warned(self, text: str) -> None:
        self.warnings.append(text)


@pytest.fixture(scope="module")
def cluster() -> Iterator["distributed.LocalCluster"]:
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=2, processes=False, dashboard_address=None, protocol="tcp", host="127.0.0.1"
    ) as made:
        yield made


@pytest.fixture
def pool(cluster) -> Iterator[Pool]:
    made = Pool(cluster.scheduler_address, Listening(), patience=60)
    deadline = time.monotonic() + 60
    while made.threads < 4:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    yield made
    made.close()


def needs(environment: str = "numpy", **changes) -> Needs:
    return Needs(**({"environment": environment, "engine": "process", "cpu_class": host.cpu_class()} | changes))


@pytest.mark.parametrize("told", [None, "1", [], {}, {"release": None}, {"release": __version__}])
def test_a_worker_that_answers_otherwise_is_left_out_with_the_reason(told) -> None:
    assert "this" in pool_of._problem(told)


def test_no_more_is_under_way_than_there_are_threads_and_one_more_for_each_worker(pool, cluster) -> None:
    """So the scheduler holds no more of ten thousand cells than of ten."""
    futures = [pool.submit(needs(f"e{number % 7}"), _slowly, number) for number in range(300)]
    most = 0
    while not all(future.done() for future in futures):
        most = max(most, len(cluster.scheduler.tasks))
        time.sleep(0.001)
    assert [future.result() for future in futures] == list(range(300))
    assert 1 < most <= 4 * (4 + 2)  # under way, one more for each worker, and answers that were just fetched


def _slowly(number: int) -> int:
    time.sleep(0.005)
    return number


def test_what_one_host_cannot_do_fails_with_its_reason_and_the_next_step(pool) -> None:
    future = pool.submit(needs("torch"), lambda: Unfit(reason="only 3 MiB are free", hint="make room"))
    with pytest.raises(EnvironmentFailedError, match=r"no worker of the cluster can run torch: .*only 3 MiB") as caught:
        future.result(60)
    assert caught.value.hint == "make room"
    assert pool._listener.warnings
    assert pool.submit(needs("numpy"), lambda: 1).result(60) == 1  # of another environment


def test_a_python_that_no_host_has_is_absent(pool) -> None:
    with pytest.raises(AbsentError):
        pool.submit(needs("old"), lambda: Unfit(reason="no Python 3.9", absent=True)).result(60)


def test_an_error_of_what_was_asked_is_the_askers(pool) -> None:
    def job() -> None:
        raise ZeroDivisionError("a defect")

    with pytest.raises(ZeroDivisionError, match="a defect"):
        pool.submit(needs(), job).result(60)


def test_who_needs_what_nobody_has_waits_until_patience_ends(cluster) -> None:
    pool = Pool(cluster.scheduler_address, Listening(), patience=2)
    try:
        with pytest.raises(EnvironmentFailedError, match=r"the CPU class arm-1, with NVIDIA H100.* is left") as caught:
            pool.submit(needs(cpu_class="arm-1", gpu=GPU), lambda: 1).result(60)
    finally:
        pool.close()
    assert f"dask worker {cluster.scheduler_address}" in caught.value.hint


def test_what_has_not_begun_is_given_up_when_the_pool_stops(pool, cluster) -> None:
    futures = [pool.submit(needs(), time.sleep, 0.5) for _ in range(50)]
    while not cluster.scheduler.tasks:
        time.sleep(0.01)
    pool.stop()
    with pytest.raises(CancelledError):
        futures[-1].result(60)


def test_an_executor_that_is_shut_down_gives_up_what_has_not_begun_and_the_pool_goes_on(pool) -> None:
    with Workers(pool) as workers:
        futures = [workers.submit(time.sleep, needs(), 0.2) for _ in range(50)]
        workers.shutdown(wait=False, cancel_futures=True)
    assert futures[-1].cancelled()
    assert pool.submit(needs(), _slowly, 7).result(60) == 7


def test_who_takes_the_connection_and_says_nothing_is_asked_again(monkeypatch) -> None:
    monkeypatch.setattr(pool_of, "_CONNECT", 0.2)
    asked = []
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(0.1)
        address = f"tcp://127.0.0.1:{silent.getsockname()[1]}"
        taking = Thread(target=_take, args=(silent, asked))
        taking.start()
        with pytest.raises(NoEngineError, match="no Dask scheduler answers"):
            Pool(address, Listening(), patience=3)
        taken = len(asked)
        asked.append(None)
        taking.join()
    assert taken > 1


def _take(silent: socket.socket, asked: list[socket.socket | None]) -> None:
    while None not in asked:
        with contextlib.suppress(TimeoutError):
            asked.append(silent.accept()[0])


def test_without_a_scheduler_the_next_step_is_told() -> None:
    with pytest.raises(NoEngineError, match=r"no Dask scheduler answers at tcp://127\.0\.0\.1:9") as caught:
        Pool("tcp://127.0.0.1:9", Listening(), patience=1)
    assert "dask scheduler" in caught.value.hint


# Who gets what, of workers that are only said to be there.


class Said:
    """A pool whose workers are as they are said to be."""

    address, token = "tcp://cluster", "t"

    def __init__(self, *members: Member) -> None:
        self.members = members


def member(cpu_class: str, *, threads: int = 1, gpu: tuple[str, ...] = (), engines=("docker", "process")) -> Member:
    told = Announced(
        release="1",
        code="c",
        place=f"{cpu_class}:{threads}",
        machine=Machine(cpu_class=cpu_class, gpu=gpu),
        engines=tuple(engines),
        free=1 << 40,
    )
    return Member(address=f"tcp://{cpu_class}:{threads}", threads=threads, told=told)


@pytest.fixture
def environments(write_matrix) -> tuple[Environment, ...]:
    return load(write_matrix()).environments


def classes(site: Cluster, environments) -> set[str]:
    return {site.machine(each).cpu_class for each in environments}


def test_all_run_in_the_class_of_this_machine_else_in_that_with_the_most_threads(monkeypatch, environments) -> None:
    monkeypatch.setattr(host, "cpu_class", lambda: "v3")
    members = (member("v2", threads=8), member("v3", threads=1), member("v4", threads=4))
    assert classes(Cluster(Said(*members)), environments) == {"v3"}
    assert classes(Cluster(Said(members[0], members[2])), environments) == {"v2"}
    assert classes(Cluster(Said(*members), cpu_class="v4"), environments) == {"v4"}
    with pytest.raises(UsageError, match="no worker of the cluster is of CPU class v9") as caught:
        Cluster(Said(*members), cpu_class="v9")
    assert "v2, v3, v4" in caught.value.hint


def test_any_class_spreads_environments_and_each_stays_where_it_is(environments) -> None:
    many = tuple(_named(environments[0], number) for number in range(40))
    members = [member(name) for name in ("v2", "v3", "v4")]
    first, again = (Cluster(Said(*each), cpu_class="any") for each in (members, members[::-1]))
    assert classes(first, many) == {"v2", "v3", "v4"}
    assert [first.machine(each) for each in many] == [again.machine(each) for each in many]


def _named(environment: Environment, number: int) -> Environment:
    return replace(environment, version=f"{number}.0")


def test_cells_of_a_gpu_go_where_the_gpu_is_that_most_have(environments) -> None:
    members = (member("v3"), member("v3", threads=2, gpu=("L4",)), member("v3", threads=4, gpu=GPU))
    machine = Cluster(Said(*members), cpu_class="v3").machine(environments[0])
    assert machine == Machine(cpu_class="v3", gpu=GPU)
    assert machine.has("cuda:0")
    assert not Cluster(Said(members[0]), cpu_class="v3").machine(environments[0]).has("cuda:0")
    assert [each.fits(needs(cpu_class="v3", gpu=GPU)) for each in members] == [False, False, True]
    assert all(each.fits(needs(cpu_class="v3")) for each in members)


def test_docker_is_taken_where_all_have_it(environments) -> None:
    both, plain = member("v3", threads=1), member("v3", threads=2, engines=["process"])
    name = environments[0]
    assert Cluster(Said(both), cpu_class="v3").engine_name(name) == "docker"
    assert Cluster(Said(both, plain), cpu_class="v3").engine_name(name) == "process"
    assert Cluster(Said(both, plain), cpu_class="v3", engine="docker").engine_name(name) == "docker"
    with pytest.raises(NoEngineError, match="no worker of the cluster has the engine docker"):
        Cluster(Said(plain), cpu_class="v3", engine="docker")
    assert not plain.fits(needs(cpu_class="v3", engine="docker"))
