"""Locks: read whole or refused, current or not, and stable when made again."""

import hashlib
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from runner.errors import EnvironmentFailedError, ExitCode
from runner.images import lock as locks
from runner.images.sources import PackageSources
from runner.matrix import Environment, load

A, B = "a" * 64, "b" * 64
BODY = f"""\
numpy==2.0 \\
    --hash=sha256:{A} \\
    --hash=sha256:{B}
Some_Thing===1.0+cpu ; python_version < "4" --hash=sha256:{B}
"""


def test_a_lock_that_is_read(environment: Environment, write_lock) -> None:
    lock = locks.read(environment, write_lock(BODY))
    assert [(pin.name, pin.version, pin.hashes) for pin in lock.pins] == [
        ("numpy", "2.0", frozenset({A, B})),
        ("some_thing", "1.0+cpu", frozenset({B})),
    ]
    assert lock.request == ("numpy==2.0", "python==3.11", "x86_64-manylinux_2_28")
    assert lock.digest == hashlib.sha256(lock.path.read_bytes()).hexdigest()


def test_a_missing_lock_says_how_to_make_it(environment: Environment, tmp_path: Path) -> None:
    with pytest.raises(EnvironmentFailedError, match=r"numpy-2\.0-cpu \(matrix.yaml:10\) has no lock") as caught:
        locks.read(environment, tmp_path)
    assert caught.value.hint == "make it: repromatrix lock --select numpy-2.0-cpu"
    assert caught.value.exit_code is ExitCode.ENVIRONMENT


DAMAGE = {
    "no hash": ("numpy==2.0\n", "numpy has no exact version or no hash"),
    "no exact version": (f"numpy>=2.0 --hash=sha256:{A}\n", "numpy has no exact version"),
    "two versions": (f"numpy==2.0,==2.1 --hash=sha256:{A}\n", "numpy has no exact version"),
    "a file from elsewhere": (f"numpy @ https://host/numpy.whl --hash=sha256:{A}\n", "numpy has no exact version"),
    "another hash": ("numpy==2.0 --hash=md5:d41d8cd98f00b204e9800998ecf8427e\n", "no hash"),
    "not a requirement": ("numpy is the best\n", "not a line of a lock: 'numpy is the best'"),
}


@pytest.mark.parametrize(("body", "what"), DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_lock_is_refused_with_its_path(environment: Environment, write_lock, body: str, what: str) -> None:
    folder = write_lock(BODY + body)
    with pytest.raises(EnvironmentFailedError, match=what) as caught:
        locks.read(environment, folder)
    assert caught.value.where == str(locks.path_of(environment, folder))
    assert "repromatrix lock" in caught.value.hint


def test_a_lock_that_is_no_text_is_refused(environment: Environment, write_lock) -> None:
    folder = write_lock(BODY)
    locks.path_of(environment, folder).write_bytes(b"\xff\xfe\x00")
    assert not locks.is_current(environment, folder)
    with pytest.raises(EnvironmentFailedError):
        locks.read(environment, folder)


# What makes a lock outdated is what the resolver would be asked, and nothing else.
OUTDATED = {
    "another version": {"version": "2.1"},
    "another package": {"requirements": ("numpy=={version}", "scipy==1.0")},
    "another Python": {"python": "3.12"},
}
STILL_CURRENT = {
    "another line": {"line": 99},
    "other devices": {"devices": ("cuda:0",)},
    "other variables": {"variables": (("A", "b"),)},
    "another base": {"base": "trixie"},
}


@pytest.mark.parametrize("change", OUTDATED.values(), ids=OUTDATED)
def test_a_changed_request_makes_the_lock_outdated(environment: Environment, write_lock, change: dict) -> None:
    folder = write_lock(BODY)
    changed = replace(environment, **change)
    path = locks.path_of(changed, folder)
    if not path.is_file():
        locks.path_of(environment, folder).rename(path)
    assert not locks.is_current(changed, folder)
    with pytest.raises(EnvironmentFailedError, match=r"answers another request than matrix\.yaml:10 makes"):
        locks.read(changed, folder)


@pytest.mark.parametrize("change", STILL_CURRENT.values(), ids=STILL_CURRENT)
def test_other_changes_leave_it_current(environment: Environment, write_lock, change: dict) -> None:
    assert locks.is_current(replace(environment, **change), write_lock(BODY))


def test_a_lock_that_is_not_there_is_not_current(environment: Environment, tmp_path: Path) -> None:
    assert not locks.is_current(environment, tmp_path)


def test_every_environment_of_the_real_default_and_nightly_profile_has_a_lock_that_reads(checkout: Path) -> None:
    from runner.plan import plan  # noqa: PLC0415 - this one test is about the real matrix

    matrix = load(checkout / "matrix.yaml")
    for profile in ("default", "nightly"):
        for each in plan(matrix, profile=profile).environments:
            assert locks.read(each).pins


# Making: with the real resolver, over a folder of wheels, no network.


def _wheel(folder: Path, name: str, version: str, *requires: str) -> None:
    folder.mkdir(exist_ok=True)
    info = f"{name}-{version}.dist-info"
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n" + "".join(
        f"Requires-Dist: {each}\n" for each in requires
    )
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as archive:
        archive.writestr(f"{info}/METADATA", metadata)
        archive.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: t\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{info}/RECORD", "")


@pytest.fixture
def wheels_only(tmp_path: Path, monkeypatch) -> Path:
    folder = tmp_path / "wheelhouse"
    only = PackageSources(
        index=None, no_index=True, extra_indexes=(), find_links=(str(folder),), trusted_hosts=(), certificates=None
    )
    monkeypatch.setattr(locks, "configured", lambda: only)
    return folder


def test_a_lock_is_made_with_everything_that_is_needed_and_reads_back(environment, wheels_only, tmp_path) -> None:
    _wheel(wheels_only, "numpy", "2.0", "helper>=1")
    _wheel(wheels_only, "helper", "1.5")
    assert locks.make(environment, tmp_path)
    lock = locks.read(environment, tmp_path)
    assert [(pin.name, pin.version) for pin in lock.pins] == [("helper", "1.5"), ("numpy", "2.0")]
    wheel = wheels_only / "helper-1.5-py3-none-any.whl"
    assert lock.pins[0].hashes == {hashlib.sha256(wheel.read_bytes()).hexdigest()}


def test_a_lock_made_again_stays_as_it_is_although_newer_releases_came(environment, wheels_only, tmp_path) -> None:
    _wheel(wheels_only, "numpy", "2.0", "helper>=1")
    _wheel(wheels_only, "helper", "1.5")
    locks.make(environment, tmp_path)
    before = locks.path_of(environment, tmp_path).read_bytes()
    _wheel(wheels_only, "helper", "1.6")
    assert not locks.make(environment, tmp_path)
    assert locks.path_of(environment, tmp_path).read_bytes() == before


def test_what_cannot_be_resolved_is_told_with_the_reason_and_nothing_is_written(
    environment, wheels_only, tmp_path
) -> None:
    _wheel(wheels_only, "numpy", "1.0")
    with pytest.raises(EnvironmentFailedError, match=r"numpy-2\.0-cpu cannot be resolved: .*numpy==2\.0") as caught:
        locks.make(environment, tmp_path)
    assert caught.value.where == "matrix.yaml:10"
    assert not locks.path_of(environment, tmp_path).exists()


def test_the_frameworks_own_index_is_asked_only_after_the_users(environment, monkeypatch, tmp_path) -> None:
    asked = []

    def compiled(_environment, _before, _constraints, more):
        asked.append(list(more))
        return (None, "not found") if len(asked) == 1 else (BODY, "")

    monkeypatch.setattr(locks, "_compile", compiled)
    assert locks.make(replace(environment, index="https://framework/simple"), tmp_path)
    assert asked == [[], ["--index", "https://framework/simple"]]


@pytest.mark.network
@pytest.mark.parametrize("name", ["numpy-2.4.6-cpu", "torch-2.13.0-cpu", "tensorflow-2.15.1-cpu", "jax-0.4.30-cpu"])
def test_a_lock_made_again_keeps_every_byte(name: str, tmp_path) -> None:
    environment = load(Path(__file__).parents[2] / "matrix.yaml").environment(name)
    kept = locks.path_of(environment)
    copy = locks.path_of(environment, tmp_path)
    copy.parent.mkdir(parents=True)
    copy.write_bytes(kept.read_bytes())
    assert locks.make(environment, tmp_path) is False
    assert copy.read_bytes() == kept.read_bytes()
