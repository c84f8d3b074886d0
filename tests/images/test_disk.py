"""Room on disk: asked before anything starts, and a refusal has its numbers."""

import hashlib
import shutil
import zipfile
from pathlib import Path
from typing import NamedTuple

import pytest

from repromatrix.engines.base import Base
from repromatrix.errors import EnvironmentFailedError, ExitCode
from repromatrix.images import disk, store
from repromatrix.images import lock as locks
from repromatrix.images.spec import build_spec
from tests.fakes import Bench

BASE = Base(kind="interpreter", reference="python", digest="3.11.0")
MIB = 1 << 20


class Usage(NamedTuple):
    total: int
    used: int
    free: int


class Engine:
    """Has the environments in `there`, and makes no other."""

    def __init__(self, name: str = "process") -> None:
        self.name = name
        self.there: set[str] = set()

    def find(self, spec) -> str | None:
        return spec.name if spec.name in self.there else None


@pytest.fixture(autouse=True)
def free(monkeypatch, tmp_path: Path) -> dict[Path, int]:
    """What is free; by default nearly nothing, so that every need is refused and can be read."""
    monkeypatch.setenv("REPROMATRIX_CACHE", str(tmp_path / "cache"))
    rooms = {tmp_path: 1}
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(0, 0, rooms.get(path, rooms[tmp_path])))
    return rooms


@pytest.fixture
def wanted(small_matrix, tmp_path: Path):
    """Give an environment a lock of (package, size) pairs, the SHA-256 of a package that of its name."""

    def make(name: str, **sizes: int | None) -> disk.Wanted:
        environment = small_matrix().environment(name)
        path = locks.path_of(environment, tmp_path / "images")
        path.parent.mkdir(parents=True, exist_ok=True)
        known = " ".join(f"{each}={size}" for each, size in sizes.items() if size is not None)
        pins = "".join(f"{each}==1.0 --hash=sha256:{_sha(each.encode())}\n" for each in sizes)
        path.write_text(f"# request: {' '.join(locks._request(environment))}\n# wheel bytes: {known}\n{pins}")
        return disk.Wanted(environment=environment, base=BASE, lock_folder=tmp_path / "images")

    return make


def _sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _in_store(name: str, *files: int) -> int:
    """Put a wheel with files of these sizes into the store, under the SHA-256 that `wanted` gives it."""
    place = store.root() / _sha(name.encode())
    place.mkdir(parents=True)
    with zipfile.ZipFile(place / f"{name}-1.0-py3-none-any.whl", "w", zipfile.ZIP_DEFLATED) as archive:
        for number, size in enumerate(files):
            archive.writestr(f"{name}/{number}", bytes(size))
    return (place / f"{name}-1.0-py3-none-any.whl").stat().st_size


def _needed(*wanted: disk.Wanted, engine: Engine | None = None, jobs: int = 1) -> list[tuple[Path, int]]:
    """Return what is asked of each folder."""
    engine = engine or Engine()
    read = {each.environment.name: locks.read(each.environment, each.lock_folder) for each in wanted}
    absent = {name: lock for name, lock in read.items() if name not in engine.there}
    needs, _ = disk._needs(absent, dict.fromkeys(absent, "3.11"), engine, jobs)
    return [(need.place, need.size) for need in needs]


ONE, TWO = "numpy-1.0-cpu", "numpy-2.0-cpu"


def test_too_little_is_refused_with_what_is_needed_and_what_is_free(wanted, free, tmp_path) -> None:
    free[tmp_path] = 100 * MIB
    with pytest.raises(EnvironmentFailedError) as caught:
        disk.require_space([wanted(ONE, a=50 * MIB)], Engine(), 1)
    assert caught.value.what == (
        "one environment still to be made: about 472.3 MiB are needed, but only 100.0 MiB are free"
    )
    assert caught.value.where == str(tmp_path / "cache")
    assert "repromatrix clean --unused" in caught.value.hint
    assert caught.value.exit_code is ExitCode.ENVIRONMENT


def test_enough_is_enough(wanted, free, tmp_path) -> None:
    free[tmp_path] = 500 * MIB
    assert disk.require_space([wanted(ONE, a=50 * MIB)], Engine(), 1) == ""


def test_where_nothing_is_to_be_made_nothing_is_measured(wanted, monkeypatch) -> None:
    engine = Engine()
    engine.there = {ONE}
    monkeypatch.setattr(shutil, "disk_usage", None)
    monkeypatch.setattr(disk, "_needs", None)
    assert disk.require_space([wanted(ONE, a=50 * MIB)], engine, 1) == ""


def test_a_wheel_in_two_locks_is_fetched_once_and_unpacked_for_each(wanted) -> None:
    (_, fetched), (_, unpacked) = _needed(wanted(ONE, a=1000, b=10), wanted(TWO, a=1000))
    assert fetched == 1010
    assert unpacked == pytest.approx(2010 * 4.1 * 1.06 + 1010 * 4.1, abs=3)


def test_nothing_of_an_environment_that_is_there_is_shared(wanted) -> None:
    engine = Engine()
    engine.there = {ONE}
    (_, _), (_, unpacked) = _needed(wanted(ONE, a=1000), wanted(TWO, a=1000), engine=engine)
    assert unpacked == pytest.approx(4100 * 2.06, abs=2)


def test_wheels_for_gpus_unpack_to_less(wanted) -> None:
    (_, _), (_, unpacked) = _needed(wanted(ONE, **{"a": 1000, "nvidia-cublas": 2000}))
    assert unpacked == pytest.approx(3000 * 1.9 * 2.06, abs=3)


def test_what_is_in_the_store_is_not_fetched_and_its_own_list_of_files_is_taken(wanted) -> None:
    _in_store("a", 1, 5000, 4096)
    (_, fetched), (_, unpacked) = _needed(wanted(ONE, a=10 * MIB))
    assert fetched == 0
    assert unpacked == pytest.approx((4096 + 8192 + 4096) * 2.06, abs=2)


class Images:
    root: Path | None

    def data_root(self) -> Path | None:
        return self.root


def test_docker_unpacks_for_every_image_and_keeps_copies_of_contexts(wanted, monkeypatch, tmp_path) -> None:
    Images.root = tmp_path / "docker"
    monkeypatch.setattr(disk, "DockerImages", Images)
    needs = _needed(wanted(ONE, a=1000), wanted(TWO, a=1000, b=10), engine=Engine("docker"))
    (cache, fetched), (root, stored) = needs
    assert (cache, fetched) == (tmp_path / "cache", 1010)
    assert root == tmp_path / "docker"
    assert stored == pytest.approx(2010 * 4.1 * 1.06 + 1010, abs=3)  # one job: one context, the largest


def test_two_places_on_one_file_system_are_added_up(wanted, monkeypatch, free, tmp_path) -> None:
    Images.root = tmp_path / "docker"
    monkeypatch.setattr(disk, "DockerImages", Images)
    either = 1000 + 4346 + 1000
    free[tmp_path] = either - 10
    with pytest.raises(EnvironmentFailedError) as caught:
        disk.require_space([wanted(ONE, a=1000)], Engine("docker"), 1)
    assert caught.value.where == f"{tmp_path / 'cache'} and {tmp_path / 'docker'}"
    free[tmp_path] = either + 10
    assert disk.require_space([wanted(ONE, a=1000)], Engine("docker"), 1) == ""


def test_a_store_of_docker_that_is_not_seen_from_here_is_told(wanted, monkeypatch, free, tmp_path) -> None:
    Images.root = None
    monkeypatch.setattr(disk, "DockerImages", Images)
    free[tmp_path] = 2000
    said = disk.require_space([wanted(ONE, a=1000)], Engine("docker"), 1)
    assert said == "how much room Docker has is not known: its folder is not seen from here"


def test_what_is_unknown_is_told_and_what_is_known_still_counts(wanted, free, tmp_path) -> None:
    free[tmp_path] = 10_000
    assert disk.require_space([wanted(ONE, a=1000, b=None)], Engine(), 1) == ("how much room b will take is not known")
    free[tmp_path] = 4_000
    with pytest.raises(EnvironmentFailedError):
        disk.require_space([wanted(ONE, a=1000, b=None)], Engine(), 1)


def test_a_damaged_wheel_in_the_store_does_not_end_the_estimate(wanted) -> None:
    size = _in_store("a", 5000)
    place = next((store.root() / _sha(b"a")).iterdir())
    place.write_bytes(bytes(size))
    (_, _), (_, unpacked) = _needed(wanted(ONE, a=size))
    assert unpacked == pytest.approx(size * 4.1 * 2.06, abs=3)


def test_a_run_that_does_not_fit_starts_nothing(bench: Bench, free, tmp_path) -> None:
    free[tmp_path] = 10
    with pytest.raises(EnvironmentFailedError, match="still to be made: about"):
        bench.run()
    assert bench.ears.heard == []
    assert bench.engine.built == []


def test_the_tag_of_what_is_asked_for_is_that_of_what_is_built(bench: Bench, free, tmp_path) -> None:
    free[tmp_path] = 1 << 40
    bench.run()
    free[tmp_path] = 0
    environment = bench.cells()[0].environment
    base = Base(kind="interpreter", reference="python", digest="3.11.0")
    spec = build_spec(environment, base, locks.read(environment, bench.lock_folder), ())
    assert bench.engine.there == {spec.tag}
    assert bench.run().made == 0


@pytest.mark.parametrize(
    ("size", "words"),
    [(0, "0 bytes"), (1023, "1023 bytes"), (1536, "1.5 KiB"), (3 * MIB, "3.0 MiB"), (5 << 30, "5.0 GiB")],
)
def test_sizes_in_words(size: int, words: str) -> None:
    assert disk.in_words(size) == words
