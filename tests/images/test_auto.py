"""What `--engine auto` takes: Docker only where its base images can be had, and what it says of it."""

from argparse import Namespace
from pathlib import Path

import pytest

from repromatrix.cli.select import engine as choose_engine
from repromatrix.engines import choose as choosing
from repromatrix.engines import docker_images, remote
from repromatrix.engines.choose import Choice
from repromatrix.errors import EnvironmentFailedError
from repromatrix.images import auto, rootfs
from repromatrix.images import base as bases
from repromatrix.images.sharing import VARIABLE
from tests.fakes import FakeEngine

SILENT = "no such host"


class Docker(FakeEngine):
    name = "docker"


class Machine:
    """A Docker engine: the images that it holds, what its registry offers, and whether a base can be built."""

    def __init__(self) -> None:
        self.images: set[str] = set()
        self.silence = SILENT
        self.built: list[str] = []
        self.broken = False
        self.chosen: list[str] = []
        self.lines: list[str] = []

    def choose(self, name: str) -> Choice:
        self.chosen.append(name)
        if name == "process":
            return Choice(engine=FakeEngine(), reason="asked for by --engine process")
        return Choice(engine=Docker(), reason="a Docker engine answers")

    def labels(self, reference: str) -> dict[str, str] | None:
        return {} if reference in self.images else None

    def registry_problem(self, _reference: str, _seconds: int) -> str:
        return self.silence

    def pull(self, reference: str) -> None:
        self.images.add(reference)

    def held(self, _repository: str) -> tuple[()]:
        return ()

    def make(self, wanted: bases.BaseEntry, *_: object) -> None:
        if self.broken:
            raise EnvironmentFailedError("mmdebstrap ended with 25", where="base.log")
        self.built.append(wanted.local)

    def say(self, text: str) -> None:
        self.lines.append(text)


@pytest.fixture
def machine(monkeypatch, tmp_path: Path) -> Machine:
    found = Machine()
    monkeypatch.setenv("REPROMATRIX_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.setattr(choosing, "choose", found.choose)
    monkeypatch.setattr(docker_images, "DockerImages", lambda: found)
    monkeypatch.setattr(remote, "Remote", lambda: found)
    monkeypatch.setattr(bases, "make_image", found.make)
    monkeypatch.setattr(rootfs, "obstacle", lambda: "")
    return found


@pytest.fixture
def settle(machine: Machine, small_matrix):
    environments = small_matrix().environments
    return lambda **more: auto.settle("auto", environments, machine, **({"shared": False} | more))


def base() -> bases.BaseEntry:
    return next(each for each in bases.entries() if each.python == "3.11")


def test_docker_where_the_base_is_here(machine: Machine, settle) -> None:
    machine.images.add(base().pinned)
    choice = settle()
    assert (choice.engine.name, choice.reason) == ("docker", "a Docker engine answers")
    assert machine.lines == []


def test_docker_where_a_registry_has_the_base_which_is_then_pulled(machine: Machine, settle) -> None:
    machine.silence = ""
    assert settle().engine.name == "docker"
    assert machine.images == {base().pinned}
    assert machine.lines == ["bases      1 base image from a registry"]


def test_docker_where_the_base_can_be_built_which_is_told_in_one_line_first(machine: Machine, settle) -> None:
    assert settle().engine.name == "docker"
    assert machine.built == [base().local]
    told = "1 base image from packages, about 20 s, as no registry gives"
    assert machine.lines == [f"bases      {told} {base().registry} (no such host)"]


def test_processes_where_the_base_can_be_had_in_no_way(machine: Machine, settle, monkeypatch) -> None:
    monkeypatch.setattr(rootfs, "obstacle", lambda: "mmdebstrap is not installed")
    choice = settle()
    assert choice.engine.name == "process"
    for text in (base().registry, SILENT, "mmdebstrap is not installed", "make base"):
        assert text in choice.reason
    assert "\n" not in choice.reason
    assert (machine.built, machine.lines) == ([], [])


def test_processes_where_the_build_fails_with_its_log(machine: Machine, settle) -> None:
    machine.broken = True
    choice = settle()
    assert choice.engine.name == "process"
    assert "mmdebstrap ended with 25, see base.log" in choice.reason
    assert "make base" in choice.reason


def test_processes_where_nobody_knows_the_base(settle, monkeypatch) -> None:
    monkeypatch.setattr(bases, "entries", tuple)
    assert settle().engine.name == "process"
    assert "asks for the base 'bookworm'" in settle().reason


def test_docker_where_a_registry_gives_whole_images(machine: Machine, settle) -> None:
    choice = settle(shared=True)
    assert choice.engine.name == "docker"
    assert "a registry for its images was named" in choice.reason
    assert (machine.built, machine.images) == ([], set())


def test_processes_where_no_engine_answers_and_its_reason_stays(settle, monkeypatch) -> None:
    told = Choice(engine=FakeEngine(), reason="no Docker engine answers; `make engine` gives containers")
    monkeypatch.setattr(choosing, "choose", lambda _: told)
    assert settle() is told


def test_a_look_ahead_pulls_and_builds_nothing(machine: Machine, small_matrix) -> None:
    found = auto.prospect(small_matrix().environments, shared=False)
    assert found.choice.engine.name == "docker"
    assert "from packages" in found.supply.work
    assert (machine.built, machine.images, machine.lines) == ([], set(), [])


# The option.


def options(engine: str = "auto", registry: str | None = None) -> Namespace:
    return Namespace(engine=engine, registry=registry)


def test_what_was_chosen_serves_the_whole_command_and_is_told_once(machine: Machine, small_matrix) -> None:
    asked, environments = options(), small_matrix().environments
    first = choose_engine(asked, machine, environments)
    assert choose_engine(asked, machine, environments) is first
    assert [line.split()[0] for line in machine.lines] == ["bases", "engine"]


@pytest.mark.parametrize("name", ["docker", "process"])
def test_an_engine_asked_for_by_name_is_taken_as_it_is(machine: Machine, small_matrix, name: str) -> None:
    assert choose_engine(options(name), machine, small_matrix().environments).name == name
    assert machine.chosen == [name]
    assert machine.built == []


def test_a_registry_in_the_environment_counts_as_named(machine: Machine, small_matrix, monkeypatch) -> None:
    monkeypatch.setenv(VARIABLE, "ghcr.io/somebody/repromatrix")
    assert choose_engine(options(), machine, small_matrix().environments).name == "docker"
    assert machine.built == []
    assert "ghcr.io" not in machine.lines[0]
