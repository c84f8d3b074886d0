"""Bases: the registry's by digest first, the locally built one second, and both reasons when neither works."""

import json
import os
import re
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from repromatrix import resources
from repromatrix.cli.main import run
from repromatrix.engines import docker_images
from repromatrix.engines.base import Base, Exit, RunCommand
from repromatrix.engines.supervised import Commands
from repromatrix.errors import EnvironmentFailedError
from repromatrix.images import base as bases
from repromatrix.images import base_lock
from repromatrix.images.base_lock import Package
from repromatrix.matrix import Environment, load

WANTED = bases.BaseEntry(
    name="bookworm",
    python="3.11",
    suite="bookworm",
    registry="python:3.11.15-slim-bookworm",
    digest="sha256:" + "d" * 64,
    packages=("python3",),
)
PINNED = "python@sha256:" + "d" * 64
LOCAL = "repromatrix/base:bookworm-py3.11"


class Images:
    """A docker engine's image store in memory."""

    def __init__(self, *, local: dict[str, dict[str, str]] | None = None, registry: str | None = None) -> None:
        self.local = dict(local or {})
        self.registry = registry
        self.pulled: list[str] = []

    def labels(self, reference: str) -> dict[str, str] | None:
        return self.local.get(reference)

    def pull(self, reference: str) -> None:
        self.pulled.append(reference)
        if reference != self.registry:
            raise EnvironmentFailedError(f"{reference.split('@', maxsplit=1)[0]} cannot be pulled (no route to host)")
        self.local[reference] = {}

    def import_rootfs(self, tar: Path, reference: str, labels: dict[str, str]) -> None:
        assert tar.is_file()
        self.local[reference] = labels


BUILT_HERE = {LOCAL: {"repromatrix.base-digest": "sha256:" + "e" * 64}}


@pytest.fixture(autouse=True)
def _own_cache(monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setenv("REPROMATRIX_CACHE", str(tmp_path / "cache"))


def test_a_base_that_is_here_is_not_pulled(tmp_path: Path) -> None:
    images = Images(local={PINNED: {}} | BUILT_HERE)
    found = bases.resolve_image(WANTED, images, tmp_path / "log", _not_run)
    assert found == Base(kind="registry", reference=PINNED, digest=WANTED.digest)
    assert images.pulled == []


def test_a_locally_built_base_is_known_by_the_digest_of_its_content(tmp_path: Path) -> None:
    found = bases.resolve_image(WANTED, Images(local=BUILT_HERE), tmp_path / "log", _not_run)
    assert found == Base(kind="local", reference=LOCAL, digest="sha256:" + "e" * 64)


def test_an_image_of_that_name_which_is_not_ours_does_not_count() -> None:
    assert bases.find_image(WANTED, Images(local={LOCAL: {}})) is None


def test_the_registry_is_asked_first(tmp_path: Path) -> None:
    images = Images(registry=PINNED)
    assert bases.resolve_image(WANTED, images, tmp_path / "log", _not_run).kind == "registry"
    assert images.pulled == [PINNED]


def _not_run(*_: object, **__: object) -> Exit:
    raise AssertionError("nothing is built here")


INSTALLED = ("python3:amd64=3.11.2-1", "ca-certificates:all=20250419")
DESCRIBED = """\
Package: python3
Version: 3.11.2-1
Architecture: amd64
Description: a language
 with: a second line
SHA256: {python}

Package: ca-certificates
Version: 20250419
Architecture: all
SHA256: {certificates}
"""
PACKAGES = (
    Package(name="ca-certificates", version="20250419", architecture="all", sha256="c" * 64),
    Package(name="python3", version="3.11.2-1", architecture="amd64", sha256="b" * 64),
)


def _mmdebstrap(
    monkeypatch, code: int = 0, installed: tuple[str, ...] = INSTALLED, described: str = DESCRIBED
) -> tuple[RunCommand, list[list[str]]]:
    """Stand in for mmdebstrap; return what runs it and the list of commands as it fills."""
    commands: list[list[str]] = []

    def run(command: list[str], *, environment: dict[str, str], folder: Path, log: Path, grace: float) -> Exit:
        assert "mmdebstrap" in command[0]
        assert environment["SOURCE_DATE_EPOCH"]
        assert grace
        assert (folder, log.parent.is_dir()) == (Path.cwd(), True)
        commands.append(command)
        hooks = " ".join(each for each in command if each.startswith("--customize-hook="))
        listed, told = (Path(each) for each in re.findall(r"> (\S+/(?:installed|described))", hooks))
        listed.write_text("".join(f"{each}\n" for each in installed))
        told.write_text(described.format(python="b" * 64, certificates="c" * 64))
        Path(command[-1]).write_bytes(b"a root file system")
        return Exit(code=code)

    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")
    return run, commands


@pytest.fixture
def locks(monkeypatch, tmp_path: Path) -> Path:
    """Have the locks of bases in a folder of its own; return where that of WANTED stands."""
    path_of = base_lock.path_of
    monkeypatch.setattr(base_lock, "path_of", lambda name, folder=None: path_of(name, folder or tmp_path))
    return tmp_path / "bases" / "bookworm-py3.11.lock"


def test_without_a_registry_the_base_is_built_and_its_provenance_kept(monkeypatch, locks: Path, tmp_path: Path) -> None:
    run, commands = _mmdebstrap(monkeypatch)
    images = Images()
    found = bases.resolve_image(WANTED, images, tmp_path / "log", run)
    assert found.kind == "local"
    assert found.reference == LOCAL
    assert "--include=python3" in commands[0]
    provenance = json.loads((resources.cache() / "bases" / "bookworm-py3.11.json").read_text())
    assert provenance["digest"] == found.digest
    assert (provenance["suite"], provenance["python"]) == ("bookworm", "3.11")
    assert [each["sha256"] for each in provenance["packages"]] == ["c" * 64, "b" * 64]
    assert images.local[LOCAL] == {
        "repromatrix.base-digest": found.digest,
        "repromatrix.suite": "bookworm",
        "repromatrix.base-lock": provenance["lock"],
    }
    assert bases.packages_of(WANTED, found) == PACKAGES
    assert bases.find_image(WANTED, images) == found
    assert not locks.exists()


def test_two_builds_of_the_same_packages_are_the_same_base(monkeypatch, tmp_path: Path) -> None:
    run, _ = _mmdebstrap(monkeypatch)
    one, two = (bases.make_image(WANTED, Images(), tmp_path / "log", run) for _ in range(2))
    assert one == two


def test_a_base_is_named_and_labelled_after_what_it_is_really_built_from(monkeypatch, tmp_path: Path) -> None:
    run, commands = _mmdebstrap(monkeypatch)
    images = Images()
    wanted = replace(WANTED, python="3.9", suite="bullseye")
    assert bases.make_image(wanted, images, tmp_path / "log", run).reference == "repromatrix/base:bullseye-py3.9"
    assert commands[0][-2] == "bullseye"
    assert images.local["repromatrix/base:bullseye-py3.9"]["repromatrix.suite"] == "bullseye"


def test_a_base_that_is_as_locked_is_loaded_and_the_log_says_so(monkeypatch, locks: Path, tmp_path: Path) -> None:
    run, _ = _mmdebstrap(monkeypatch)
    base_lock.write("bookworm-py3.11", PACKAGES)
    images = Images()
    bases.make_image(WANTED, images, tmp_path / "log", run, locked=True)
    assert LOCAL in images.local
    assert (tmp_path / "log").read_text().endswith(f"{LOCAL}: as locked\n")
    assert images.local[LOCAL]["repromatrix.base-lock"] == f"sha256:{resources.file_sha256(locks)}"


def test_where_the_mirror_moved_on_the_base_is_loaded_and_the_log_says_how_it_differs(
    monkeypatch, locks: Path, tmp_path: Path
) -> None:
    run, _ = _mmdebstrap(monkeypatch)
    base_lock.write("bookworm-py3.11", (PACKAGES[0], replace(PACKAGES[1], version="3.11.2-0")))
    images = Images()
    bases.make_image(WANTED, images, tmp_path / "log", run)
    assert LOCAL in images.local
    assert "1 of 2 packages differ from the lock: python3 3.11.2-0 -> 3.11.2-1\n" in (tmp_path / "log").read_text()
    assert locks.is_file()


def test_what_must_be_as_locked_and_is_not_is_not_loaded(monkeypatch, locks: Path, tmp_path: Path) -> None:
    run, _ = _mmdebstrap(monkeypatch)
    base_lock.write("bookworm-py3.11", PACKAGES[:1])
    images = Images()
    with pytest.raises(EnvironmentFailedError, match=r"python3 3\.11\.2-1 \(not locked\)") as caught:
        bases.make_image(WANTED, images, tmp_path / "log", run, locked=True)
    assert images.local == {}
    assert caught.value.where == str(locks)
    assert "--write-lock" in caught.value.hint


def test_the_packages_of_another_base_are_not_taken_for_those_of_this_one(monkeypatch, tmp_path: Path) -> None:
    run, _ = _mmdebstrap(monkeypatch)
    made = bases.make_image(WANTED, Images(), tmp_path / "log", run)
    assert bases.packages_of(WANTED, replace(made, digest="sha256:" + "0" * 64)) is None
    assert bases.packages_of(replace(WANTED, python="3.9"), made) is None


@pytest.mark.parametrize("installed", [(), ("surprise:amd64=1",)])
def test_a_package_whose_hash_nobody_tells_fails_the_build(monkeypatch, tmp_path: Path, installed) -> None:
    run, _ = _mmdebstrap(monkeypatch, installed=installed)
    with pytest.raises(EnvironmentFailedError, match=installed[0] if installed else "no package at all"):
        bases.make_image(WANTED, Images(), tmp_path / "log", run)


NEITHER = {
    "a tool that fails": (WANTED, 3, "mmdebstrap ended with 3"),
    "no such Python in the distribution": (replace(WANTED, packages=()), 0, r"bookworm has no Python 3\.11"),
}


@pytest.mark.parametrize(("wanted", "code", "reason"), NEITHER.values(), ids=NEITHER)
def test_when_neither_works_both_reasons_are_told(monkeypatch, tmp_path: Path, wanted, code: int, reason: str) -> None:
    run, _ = _mmdebstrap(monkeypatch, code)
    with pytest.raises(
        EnvironmentFailedError, match=rf"python cannot be pulled \(no route to host\); {reason}"
    ) as caught:
        bases.resolve_image(wanted, Images(), tmp_path / "log", run)
    assert caught.value.where == str(tmp_path / "log")
    assert "make base" in caught.value.hint


def test_without_the_tool_its_installation_is_named(monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)
    with pytest.raises(EnvironmentFailedError, match="mmdebstrap is not installed"):
        bases.resolve_image(WANTED, Images(), tmp_path / "log", _not_run)


PINS = [
    ("python:3.11-slim", "python@"),
    ("docker.io/library/python:3.11-slim", "docker.io/library/python@"),
    ("localhost:5000/python:3.11-slim", "localhost:5000/python@"),
    ("localhost:5000/python", "localhost:5000/python@"),
]


@pytest.mark.parametrize(("registry", "expected"), PINS)
def test_a_pin_is_the_repository_by_digest(registry: str, expected: str) -> None:
    assert replace(WANTED, registry=registry).pinned == expected + WANTED.digest


# images/bases.yaml


@pytest.fixture(scope="module")
def listed() -> dict:
    return yaml.safe_load((resources.folder("images") / "bases.yaml").read_text())


def test_every_base_is_pinned_by_digest_with_its_tag_beside_it(listed: dict) -> None:
    assert listed["format"] == 1
    for base in listed["bases"].values():
        assert base["suite"]
        for python, entry in base["pythons"].items():
            assert re.fullmatch(r"sha256:[0-9a-f]{64}", entry["digest"])
            assert re.search(rf":{re.escape(python)}\.\d+-", entry["registry"])


def test_no_digest_stands_there_twice(listed: dict) -> None:
    digests = [entry["digest"] for base in listed["bases"].values() for entry in base["pythons"].values()]
    assert len(digests) == len(set(digests))


def test_bases_of_one_name_are_built_from_the_same_packages() -> None:
    entries = bases.entries()
    assert len({(each.local, each.packages) for each in entries}) == len({each.local for each in entries})


@pytest.mark.parametrize(
    "wanted", [each for each in bases.entries() if each.packages], ids=lambda each: each.local_name
)
def test_every_base_that_can_be_built_here_has_a_lock_with_all_that_it_asks_for(wanted: bases.BaseEntry) -> None:
    locked = base_lock.read(wanted.local_name)
    assert locked
    assert set(wanted.packages) <= {each.name for each in locked}
    assert base_lock.path_of(wanted.local_name).read_text() == base_lock.text(wanted.local_name, locked)


def test_every_environment_of_the_real_matrix_has_a_base(checkout: Path) -> None:
    for environment in load(checkout / "matrix.yaml").environments:
        assert bases.entry(environment).digest


@pytest.mark.parametrize("change", [{"base": "sid"}, {"python": "2.7"}])
def test_an_unknown_base_names_those_that_are_known(environment: Environment, change: dict) -> None:
    with pytest.raises(EnvironmentFailedError, match=r"numpy-2\.0-cpu asks for the base") as caught:
        bases.entry(replace(environment, **change))
    assert "bookworm with Python 3.11" in caught.value.hint


# The real tool


real_tool = pytest.mark.skipif(
    not shutil.which("mmdebstrap") or os.geteuid() != 0, reason="needs root and mmdebstrap: apt-get install mmdebstrap"
)


@pytest.fixture
def work(monkeypatch, tmp_path: Path) -> Path:
    """Have temporary files in a folder of their own; return it."""
    monkeypatch.setenv("REPROMATRIX_CACHE", str(tmp_path))
    folder = tmp_path / "runs"
    folder.mkdir()
    return folder


def _smallest() -> bases.BaseEntry:
    return next(each for each in bases.entries() if each.suite == "trixie")


@real_tool
@pytest.mark.slow
@pytest.mark.network
def test_two_real_builds_are_the_same_to_the_bit_and_leave_nothing(tmp_path: Path, work: Path) -> None:
    wanted = _smallest()
    made = [bases.make_image(wanted, Images(), tmp_path / "log", Commands().run) for _ in range(2)]
    assert made[0].digest == made[1].digest
    packages = bases.packages_of(wanted, made[0])
    assert packages is not None
    assert set(wanted.packages) <= {each.name for each in packages}
    assert list(work.iterdir()) == []


@real_tool
@pytest.mark.slow
@pytest.mark.network
def test_a_real_build_that_is_stopped_leaves_nothing(tmp_path: Path, work: Path) -> None:
    commands, images, log = Commands(), Images(), tmp_path / "log"
    with ThreadPoolExecutor(1) as pool:
        building = pool.submit(bases.make_image, _smallest(), images, log, commands.run)
        while not building.done() and "extracting archives" not in (log.read_text() if log.exists() else ""):
            time.sleep(0.05)
        assert list(work.iterdir())
        commands.stop()
        with pytest.raises(EnvironmentFailedError, match="mmdebstrap was stopped"):
            building.result(60)
    theirs = re.search(r"using (\S+) as tempdir", log.read_text())
    assert theirs
    assert not Path(theirs[1]).exists()
    assert list(work.iterdir()) == []
    assert images.local == {}


# The command


@pytest.fixture
def command(monkeypatch, locks: Path, write_matrix):
    """Run `repromatrix base` over two Pythons with no engine and no mmdebstrap; return its exit code and its images."""
    assert not locks.exists()
    images = Images()
    monkeypatch.setattr(docker_images, "DockerImages", lambda: images)
    matrix = write_matrix(
        ('devices: [cpu, "cuda:0"]\n', 'devices: [cpu, "cuda:0"]\n    python: "3.9"\n'),
    )
    second = replace(WANTED, python="3.9", suite="bullseye")
    monkeypatch.setattr(bases, "entries", lambda: (WANTED, second))
    build, commands = _mmdebstrap(monkeypatch)
    monkeypatch.setattr(Commands, "run", lambda _, *arguments, **more: build(*arguments, **more))

    def run_command(*more: str) -> int:
        return run(["base", "--matrix", str(matrix), "--profile", "both", *more])

    return run_command, images, commands


OTHER = "repromatrix/base:bullseye-py3.9"


def test_the_bases_of_all_pythons_are_built_in_one_go_each_with_its_log(command, capsys) -> None:
    base, images, commands = command
    assert base() == 0
    assert set(images.local) == {LOCAL, OTHER}
    said = capsys.readouterr().err.splitlines()
    assert [line.split()[:2] for line in said] == [["built", LOCAL], ["built", OTHER]]
    assert all("no lock: repromatrix base --write-lock" in line for line in said)
    logs = {path.name for path in (resources.cache() / "logs").iterdir()}
    assert logs == {"base-bookworm-py3.11.log", "base-bullseye-py3.9.log"}
    assert len(commands) == 2


def test_a_base_that_fails_does_not_stop_the_others(command, monkeypatch, capsys) -> None:
    base, images, _ = command
    known = bases.entries()
    monkeypatch.setattr(bases, "entries", lambda: (replace(known[0], packages=()), known[1]))
    assert base() == 4
    assert set(images.local) == {OTHER}
    assert "bookworm has no Python 3.11" in capsys.readouterr().err


def test_what_was_locked_is_found_again_as_locked_and_not_built_again(command, capsys) -> None:
    base, _, commands = command
    assert base("--write-lock") == 0
    capsys.readouterr()
    assert base("--locked") == 0
    said = capsys.readouterr().err
    assert said.count("found") == said.count("as locked") == 2
    assert len(commands) == 2
    assert base("--rebuild") == 0
    assert len(commands) == 4


def test_a_base_that_is_here_but_not_as_locked_is_refused_where_locks_must_hold(command, locks: Path, capsys) -> None:
    base, _, _ = command
    assert base("--write-lock") == 0
    locks.write_text(locks.read_text().replace("3.11.2-1", "3.11.1-1"))
    assert base() == 0
    assert "1 of 2 packages differ from the lock: python3 3.11.1-1 -> 3.11.2-1" in capsys.readouterr().err
    assert base("--locked") == 4
    assert "python3 3.11.1-1 -> 3.11.2-1" in capsys.readouterr().err


@pytest.mark.parametrize("kept", ["", "{", "[]", "older"])
def test_a_base_whose_packages_nobody_kept_is_not_called_locked(command, capsys, kept: str) -> None:
    base, images, _ = command
    assert base("--write-lock") == 0
    images.local[LOCAL].pop("repromatrix.base-lock")
    older = {
        "digest": images.local[LOCAL]["repromatrix.base-digest"],
        "suite": "bookworm",
        "packages": {"python3": "1"},
    }
    text = json.dumps(older) if kept == "older" else kept
    (resources.cache() / "bases" / "bookworm-py3.11.json").write_text(text)
    assert base("--locked") == 4
    assert "not known to be as locked" in capsys.readouterr().err


def test_a_base_that_another_machine_built_is_known_by_its_label(command, locks: Path, capsys) -> None:
    base, _, _ = command
    assert base("--write-lock") == 0
    (resources.cache() / "bases" / "bookworm-py3.11.json").unlink()
    capsys.readouterr()
    assert base("--locked") == 0
    assert capsys.readouterr().err.count("as locked") == 2
    locks.write_text(locks.read_text().replace("3.11.2-1", "3.11.1-1"))
    assert base("--locked") == 4


NUMBER = "bases: {a: {suite: b, pythons: {3.11: {registry: 5, digest: c}}}}\n"
BROKEN = ["x: [", "", "bases: 5\n", "bases: {a: {}}\n", NUMBER, "\0", "[" * 3000]


@pytest.mark.parametrize("text", BROKEN)
def test_a_damaged_list_of_bases_is_told_with_its_path(tmp_path: Path, monkeypatch, text: str) -> None:
    (tmp_path / "bases.yaml").write_text(text)
    monkeypatch.setattr(resources, "folder", lambda _: tmp_path)
    with pytest.raises(EnvironmentFailedError, match="the list of bases cannot be read") as caught:
        bases.entries()
    assert caught.value.where == str(tmp_path / "bases.yaml")
