"""Bases: the registry's by digest first, the locally built one second, and both reasons when neither works."""

import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from runner import resources
from runner.engines.base import Base, Exit, RunCommand
from runner.errors import EnvironmentFailedError
from runner.images import base as bases
from runner.matrix import Environment, load

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


def _mmdebstrap(monkeypatch, code: int = 0) -> tuple[RunCommand, list[list[str]]]:
    """Stand in for mmdebstrap and tar; return what runs it and the list of commands as it fills."""
    commands: list[list[str]] = []

    def run(command: list[str], *, environment: dict[str, str], folder: Path, log: Path, grace: float) -> Exit:
        assert "mmdebstrap" in command[0]
        assert environment["SOURCE_DATE_EPOCH"]
        assert grace
        assert (folder, log.parent.is_dir()) == (Path.cwd(), True)
        commands.append(command)
        Path(command[-1]).write_bytes(b"a root file system")
        return Exit(code=code)

    def tar(command: list[str], **_: object) -> subprocess.CompletedProcess:
        return subprocess.CompletedProcess(command, 0, "Package: python3\nStatus: ok\nVersion: 3.11.2-1\n\n", "")

    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr(subprocess, "run", tar)
    return run, commands


def test_without_a_registry_the_base_is_built_and_its_provenance_kept(monkeypatch, tmp_path: Path) -> None:
    run, commands = _mmdebstrap(monkeypatch)
    images = Images()
    found = bases.resolve_image(WANTED, images, tmp_path / "log", run)
    assert found.kind == "local"
    assert found.reference == LOCAL
    assert found.digest == images.local[LOCAL]["repromatrix.base-digest"]
    assert "--include=python3" in commands[0]
    provenance = (resources.cache() / "bases" / "bookworm-py3.11.json").read_text()
    assert '"python3": "3.11.2-1"' in provenance
    assert found.digest in provenance
    assert bases.find_image(WANTED, images) == found


def test_two_builds_of_the_same_packages_are_the_same_base(monkeypatch, tmp_path: Path) -> None:
    run, _ = _mmdebstrap(monkeypatch)
    one, two = (bases.make_image(WANTED, Images(), tmp_path / "log", run) for _ in range(2))
    assert one == two


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


def test_every_environment_of_the_real_matrix_has_a_base(checkout: Path) -> None:
    for environment in load(checkout / "matrix.yaml").environments:
        assert bases.entry(environment).digest


@pytest.mark.parametrize("change", [{"base": "sid"}, {"python": "2.7"}])
def test_an_unknown_base_names_those_that_are_known(environment: Environment, change: dict) -> None:
    with pytest.raises(EnvironmentFailedError, match=r"numpy-2\.0-cpu asks for the base") as caught:
        bases.entry(replace(environment, **change))
    assert "bookworm with Python 3.11" in caught.value.hint


# Interpreters, the bases of the process engine


def test_the_running_interpreters_python_is_taken_without_a_search() -> None:
    found = bases.interpreter(f"{sys.version_info.major}.{sys.version_info.minor}")
    assert found.kind == "interpreter"
    assert found.digest.startswith(sys.version.split()[0])
    assert "/.venv/" not in found.reference


def test_a_python_that_is_not_here_says_how_to_get_it() -> None:
    with pytest.raises(EnvironmentFailedError, match=r"no Python 3\.99 on this machine") as caught:
        bases.interpreter("3.99")
    assert "uv python install 3.99" in caught.value.hint
    assert "--engine docker" in caught.value.hint
