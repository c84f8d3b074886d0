"""Wheels: fetched once, verified before they get their place, and only those that fit."""

import hashlib
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from packaging.tags import Tag

from repromatrix.engines.base import Exit
from repromatrix.engines.supervised import Commands
from repromatrix.errors import EnvironmentFailedError
from repromatrix.images import lock as locks
from repromatrix.images import store, tags, wheels
from repromatrix.matrix import Environment

CONTENT = b"a wheel"
DIGEST = hashlib.sha256(CONTENT).hexdigest()
NAME = "numpy-2.0-cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64.whl"


@pytest.fixture
def lock(environment: Environment, write_lock) -> locks.Lock:
    return locks.read(environment, write_lock(f"numpy==2.0 --hash=sha256:{DIGEST} --hash=sha256:{'0' * 64}\n"))


@pytest.fixture(autouse=True)
def _own_store(monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setenv("REPROMATRIX_CACHE", str(tmp_path / "cache"))


def _not_run(*_: object, **__: object) -> Exit:
    raise AssertionError("pip itself is not asked here")


class Pip:
    """Stands for `pip download`: puts files into the folder, and counts."""

    def __init__(self, *codes: int, **files: bytes) -> None:
        self.codes = list(codes) or [0]
        self.files = files
        self.asked: list[list[str]] = []

    def __call__(self, _environment: Environment, folder: Path, more: list[str], log: Path, _run: object) -> Exit:
        self.asked.append(list(more))
        code = self.codes.pop(0) if self.codes else 0
        if code:
            log.write_text("Looking in indexes\nERROR: No matching distribution found for numpy==2.0\n")
            return Exit(code=code)
        for name, content in self.files.items():
            (folder / name).write_bytes(content)
        return Exit(code=0)


def test_a_wheel_gets_its_place_under_its_digest(monkeypatch, environment, lock, tmp_path) -> None:
    monkeypatch.setattr(wheels, "_pip", Pip(**{NAME: CONTENT}))
    assert wheels.fetch(environment, lock, tmp_path / "log", _not_run) == (
        tmp_path / "cache" / "wheels" / DIGEST / NAME,
    )


def test_a_wheel_that_is_there_is_not_fetched_again(monkeypatch, environment, lock, tmp_path) -> None:
    pip = Pip(**{NAME: CONTENT})
    monkeypatch.setattr(wheels, "_pip", pip)
    first = wheels.fetch(environment, lock, tmp_path / "log", _not_run)
    assert wheels.fetch(environment, lock, tmp_path / "log", _not_run) == first
    assert len(pip.asked) == 1


def test_a_wheel_whose_folder_is_left_without_it_is_fetched_again(monkeypatch, environment, lock, tmp_path) -> None:
    pip = Pip(**{NAME: CONTENT})
    monkeypatch.setattr(wheels, "_pip", pip)
    (first,) = wheels.fetch(environment, lock, tmp_path / "log", _not_run)
    first.rename(first.with_suffix(".part"))
    assert wheels.fetch(environment, lock, tmp_path / "log", _not_run) == (first,)
    assert first.read_bytes() == CONTENT
    assert len(pip.asked) == 2
    assert [path.name for path in store.root().iterdir()] == [DIGEST]


def test_a_wheel_with_another_hash_is_refused_and_nothing_is_left(monkeypatch, environment, lock, tmp_path) -> None:
    monkeypatch.setattr(wheels, "_pip", Pip(**{NAME: b"something else"}))
    with pytest.raises(EnvironmentFailedError, match=f"{NAME} has sha256 .* not in its lock") as caught:
        wheels.fetch(environment, lock, tmp_path / "log", _not_run)
    assert "check the package index" in caught.value.hint
    assert list(store.root().iterdir()) == []


def test_a_fetch_that_fails_tells_pips_reason_and_leaves_nothing(monkeypatch, environment, lock, tmp_path) -> None:
    monkeypatch.setattr(wheels, "_pip", Pip(1))
    with pytest.raises(EnvironmentFailedError, match=r"No matching distribution found for numpy==2\.0") as caught:
        wheels.fetch(environment, lock, tmp_path / "log", _not_run)
    assert caught.value.where == str(tmp_path / "log")
    assert list(store.root().iterdir()) == []


def test_the_frameworks_own_index_is_asked_only_after_the_users(
    monkeypatch, small_matrix, write_lock, tmp_path
) -> None:
    own = '    packages: ["numpy=={version}"]'
    environment = small_matrix((own, f"{own}\n    index: https://framework/simple")).environment("numpy-2.0-cpu")
    lock = locks.read(environment, write_lock(f"numpy==2.0 --hash=sha256:{DIGEST}\n"))
    pip = Pip(1, 0, **{NAME: CONTENT})
    monkeypatch.setattr(wheels, "_pip", pip)
    assert wheels.fetch(environment, lock, tmp_path / "log", _not_run)
    assert pip.asked == [[], ["--extra-index-url", "https://framework/simple"]]


def test_a_wheel_for_another_python_in_the_store_does_not_count(monkeypatch, environment, lock, tmp_path) -> None:
    place = store.root() / ("0" * 64) / "numpy-2.0-cp312-cp312-manylinux2014_x86_64.whl"
    place.parent.mkdir(parents=True)
    place.write_bytes(b"for 3.12")
    monkeypatch.setattr(wheels, "_pip", Pip())
    with pytest.raises(EnvironmentFailedError, match=r"no wheel for Python 3\.11 on this platform: numpy"):
        wheels.fetch(environment, lock, tmp_path / "log", _not_run)


SHARED, OTHER = b"shared", b"only one has it"
SHARED_NAME, OTHER_NAME = "shared-1.0-py3-none-any.whl", "other-1.0-py3-none-any.whl"


def _pin(name: str, content: bytes) -> str:
    return f"{name}==1.0 --hash=sha256:{hashlib.sha256(content).hexdigest()}\n"


@pytest.fixture
def two_locks(environment: Environment, write_lock) -> tuple[locks.Lock, locks.Lock]:
    """The locks of two environments: of the shared wheel alone, and of it and another."""
    one = locks.read(environment, write_lock(_pin("shared", SHARED)))
    return one, locks.read(environment, write_lock(_pin("shared", SHARED) + _pin("other", OTHER)))


@pytest.mark.parametrize("first_fails", [False, True])
def test_a_wheel_that_two_environments_share_is_fetched_once_and_the_others_meanwhile(
    monkeypatch, environment, two_locks, tmp_path, first_fails: bool
) -> None:
    fetching, other_is_there = threading.Event(), threading.Event()
    asked: list[list[str]] = []

    def pip(_environment: Environment, folder: Path, _more: list[str], _log: Path, _run: object) -> Exit:
        wanted = (folder / "lock.txt").read_text()
        asked.append([name for name in ("shared", "other") if name in wanted])
        if len(asked) == 1:
            fetching.set()
            assert other_is_there.wait(60)
            if first_fails:
                return Exit(code=1)
        if "shared" in wanted:
            (folder / SHARED_NAME).write_bytes(SHARED)
        if "other" in wanted:
            (folder / OTHER_NAME).write_bytes(OTHER)
            other_is_there.set()
        return Exit(code=0)

    monkeypatch.setattr(wheels, "_pip", pip)
    log = tmp_path / "log"
    log.touch()
    with ThreadPoolExecutor() as pool:
        one = pool.submit(wheels.fetch, environment, two_locks[0], log, _not_run)
        assert fetching.wait(60)
        two = pool.submit(wheels.fetch, environment, two_locks[1], log, _not_run)
        assert [path.name for path in two.result(60)] == [SHARED_NAME, OTHER_NAME]
        assert isinstance(one.exception(60), EnvironmentFailedError) is first_fails
    assert asked == [["shared"], ["other"]] + [["shared"]] * first_fails


def test_a_wheel_that_another_process_is_fetching_is_waited_for_until_that_ends(
    monkeypatch, environment, lock, tmp_path
) -> None:
    """As two workers of a cluster on one host; the kernel lets go of what a killed one held."""
    holds = (
        "import time; from repromatrix.images import store\n"
        f"with store.claimed({min('0' * 64, DIGEST)!r}, wait=True): print(flush=True); time.sleep(600)"
    )
    pip = Pip(**{NAME: CONTENT})
    monkeypatch.setattr(wheels, "_pip", pip)
    with subprocess.Popen([sys.executable, "-c", holds], stdout=subprocess.PIPE) as other, ThreadPoolExecutor() as pool:
        other.stdout.readline()
        fetched = pool.submit(wheels.fetch, environment, lock, tmp_path / "log", _not_run)
        with pytest.raises(TimeoutError):
            fetched.result(0.3)
        assert not pip.asked
        other.kill()
        assert fetched.result(60) == (store.root() / DIGEST / NAME,)


def test_a_fetch_ends_with_the_engine(monkeypatch, environment, lock, tmp_path) -> None:
    commands, begun = Commands(), tmp_path / "begun"

    def pip(_environment: Environment, folder: Path, _more: list[str], log: Path, run: Callable[..., Exit]) -> Exit:
        code = f"import pathlib, time; pathlib.Path({str(begun)!r}).touch(); time.sleep(600)"
        return run([sys.executable, "-c", code], environment={}, folder=folder, log=log)

    monkeypatch.setattr(wheels, "_pip", pip)
    with ThreadPoolExecutor() as pool:
        fetched = pool.submit(wheels.fetch, environment, lock, tmp_path / "log", commands.run)
        while not begun.exists():
            assert not fetched.done()
        commands.stop()
        with pytest.raises(EnvironmentFailedError, match="its wheels cannot be fetched: stopped"):
            fetched.result(60)
    assert list(store.root().iterdir()) == []


def test_pip_is_run_by_the_engine_with_the_users_own_configuration(monkeypatch, environment, lock, tmp_path) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "https://mine/simple")
    monkeypatch.setattr(subprocess, "Popen", None)

    def run(command: list[str], *, environment: dict[str, str], folder: Path, log: Path) -> Exit:
        assert command[3] == "download"
        assert environment["PIP_INDEX_URL"] == "https://mine/simple"
        assert folder == Path.cwd()
        assert log == tmp_path / "log"
        (Path(command[command.index("--dest") + 1]) / NAME).write_bytes(CONTENT)
        return Exit(code=0)

    assert wheels.fetch(environment, lock, tmp_path / "log", run) == (store.root() / DIGEST / NAME,)


FITTING = {
    ("3.11", Tag("cp311", "cp311", "manylinux_2_28_x86_64")): True,
    ("3.11", Tag("cp311", "cp311", "manylinux2014_x86_64")): True,
    ("3.11", Tag("cp38", "abi3", "manylinux_2_17_x86_64")): True,
    ("3.11", Tag("py3", "none", "any")): True,
    ("3.11", Tag("py3", "none", "manylinux_2_28_x86_64")): True,
    ("3.12", Tag("cp312", "cp312", "manylinux1_x86_64")): True,
    ("3.11", Tag("cp312", "cp312", "manylinux_2_28_x86_64")): False,
    ("3.11", Tag("cp312", "abi3", "manylinux_2_28_x86_64")): False,
    ("3.11", Tag("cp311", "cp311", "manylinux_2_34_x86_64")): False,  # newer than the C library that locks are made for
    ("3.11", Tag("cp311", "cp311", "manylinux_2_28_aarch64")): False,
    ("3.11", Tag("cp311", "cp311", "macosx_11_0_arm64")): False,
}


@pytest.mark.parametrize(("python", "tag"), FITTING, ids=[f"{python} {tag}" for python, tag in FITTING])
def test_which_wheels_fit(python: str, tag: Tag) -> None:
    assert (tag in tags.supported_tags(python)) is FITTING[python, tag]


def test_locks_and_wheels_agree_on_the_c_library() -> None:
    newest = tags.PLATFORM.removeprefix("x86_64-")
    assert Tag("cp311", "cp311", f"{newest}_x86_64") in tags.supported_tags("3.11")
