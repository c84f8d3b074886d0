"""What a worker of a cluster does: environments in its own cache, jobs in them, and a reason where it cannot."""

import errno
import shutil
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from repromatrix import __version__, resources
from repromatrix.engines.base import RunLimits
from repromatrix.engines.choose import Choice
from repromatrix.errors import NoEngineError
from repromatrix.execute.batch import BatchResult
from repromatrix.execute.cluster import there
from repromatrix.execute.cluster.there import Announced, Recipe, Unfit, announce, identify_there, make_there, run_there
from repromatrix.execute.work import Job
from repromatrix.images import lock as locks
from repromatrix.images.build import Ready
from repromatrix.results.record import Outcome

LIMITS = RunLimits(silence=5, memory_mib=64, processes=8)
ASKER = "a command"
BASE = "3.11.0"  # of the interpreter that `bench` has


@pytest.fixture
def recipe(bench, monkeypatch) -> Recipe:
    """What the environment of the first cell is made from; its lock lies nowhere else on this worker."""
    monkeypatch.setattr(there.choose, "choose", lambda _name: Choice(engine=bench.engine, reason=""))
    monkeypatch.setattr(there, "_held", {})
    monkeypatch.setattr(there, "_ended", set())
    environment = bench.cells()[0].environment
    lock = locks.path_of(environment, bench.lock_folder).read_text()
    shutil.rmtree(bench.lock_folder)
    code = resources.own_sha256()
    return Recipe(environment=environment, lock=lock, code=code, engine="process", token=ASKER, base=BASE)


def asked(bench, tmp_path: Path) -> Job:
    return Job(asked=bench.cells(), log=tmp_path / "not" / "here.log", limits=LIMITS, trace=False, fetch={})


def silent(*_) -> None:
    """Hear nothing."""


@pytest.mark.usefixtures("bench")
def test_a_worker_says_what_it_is_in_plain_data() -> None:
    told = announce()
    assert (told["release"], told["code"]) == (__version__, resources.own_sha256())
    assert Announced.read(told).machine.cpu_class == "x86-64-v3-01234567"
    assert told["place"].endswith(str(resources.cache()))
    assert told["free"] > 0


def test_a_job_brings_its_lock_along_and_its_log_back(bench, recipe, tmp_path) -> None:
    result = run_there(recipe, asked(bench, tmp_path), silent)
    assert isinstance(result, BatchResult)
    assert {each.outcome for each in result.finished.values()} == {Outcome.OK}
    assert result.elsewhere is not None
    assert result.elsewhere.built == make_there(recipe).built
    assert not (tmp_path / "not").exists()
    assert bench.engine.built == [recipe.environment.name]  # once, for the job and for us


def test_of_a_long_log_the_end_comes_back_and_says_so(tmp_path) -> None:
    log = tmp_path / "log"
    log.write_bytes(b"x" * there._LOG + b"the last words")
    assert there._end(log).startswith(b"... 14 bytes before this are left out\n")
    assert there._end(log).endswith(b"the last words")
    assert there._end(tmp_path / "none") == b""


def test_workers_of_a_host_make_an_environment_one_after_the_other(recipe, monkeypatch) -> None:
    at_once, seen, lock = [0], set(), threading.Lock()

    def ensure(*_, **__) -> Ready:
        with lock:
            at_once[0] += 1
            seen.add(at_once[0])
        time.sleep(0.02)
        with lock:
            at_once[0] -= 1
        return Ready(spec=None, built=None, made=True)

    monkeypatch.setattr(there, "ensure", ensure)
    with ThreadPoolExecutor(4) as workers:
        assert all(isinstance(each, Ready) for each in workers.map(make_there, [recipe] * 4))
    assert seen == {1}


def unfit(found: object) -> str:
    assert isinstance(found, Unfit), found
    return found.reason


def test_another_base_is_no_place_for_it(recipe) -> None:
    other = replace(recipe, base="3.11.9")
    assert "would stand on another base there: 3.11.0, not 3.11.9" in unfit(make_there(other))
    assert identify_there(other).digest == BASE


def test_other_files_than_those_of_who_asks_are_no_place_for_it(recipe) -> None:
    assert unfit(make_there(replace(recipe, code="other"))) == "it has another repromatrix by now"


def test_a_disk_that_was_full_when_a_job_ended_says_nothing_of_the_job(bench, recipe, tmp_path, monkeypatch) -> None:
    make_there(recipe)
    free = iter([1 << 30])  # before the job
    monkeypatch.setattr(there, "_free", lambda: next(free, 1 << 20))
    bench.engine.answer = lambda *_: (_ for _ in ()).throw(OSError(errno.ENOSPC, "No space left on device"))
    assert "only 1.0 MiB are free" in unfit(run_there(recipe, asked(bench, tmp_path), silent))


def test_an_engine_that_is_gone_and_a_command_that_ended_are_no_place_for_it(bench, recipe, tmp_path) -> None:
    def gone(*_):
        raise NoEngineError("the engine stopped answering")

    bench.engine.answer = gone
    assert unfit(run_there(recipe, asked(bench, tmp_path), silent)) == "the engine stopped answering"
    there.stop_there(recipe.token)
    assert bench.engine.stopped.is_set()
    assert unfit(make_there(recipe)) == "the command that asked was ended"
