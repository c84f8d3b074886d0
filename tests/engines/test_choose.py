"""Which engine is taken and why; which of several Docker command lines builds."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from repromatrix.engines import tools
from repromatrix.engines.choose import choose
from repromatrix.engines.connection import connect
from repromatrix.engines.process import ProcessEngine
from repromatrix.errors import ExitCode, NoEngineError, UsageError


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    tools.find_builder.cache_clear()
    yield
    tools.find_builder.cache_clear()


@pytest.fixture
def no_engine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")


def fake_docker(folder: Path, version: str, *, buildx: bool = False) -> Path:
    folder.mkdir(parents=True)
    path = folder / "docker"
    answers = "" if buildx else '[ "$1" = --version ] || exit 1\n'
    path.write_text(f'#!/bin/sh\n{answers}echo "{version}"\n')
    path.chmod(0o755)
    return path


def search(monkeypatch: pytest.MonkeyPatch, *folders: Path) -> None:
    monkeypatch.setenv("PATH", os.pathsep.join([*map(str, folders), "/bin"]))
    monkeypatch.setattr(tools, "_USUAL_PLACES", ())
    monkeypatch.setattr(os, "get_exec_path", lambda: [str(folder) for folder in folders])


@pytest.mark.usefixtures("no_engine")
def test_auto_takes_processes_where_no_engine_answers_and_says_so() -> None:
    choice = choose("auto")
    assert isinstance(choice.engine, ProcessEngine)
    assert "no Docker engine answers" in choice.reason
    assert "(No such file or directory)" in choice.reason
    assert "make engine" in choice.reason
    assert "\n" not in choice.reason


@pytest.mark.usefixtures("no_engine")
def test_docker_by_name_fails_where_no_engine_answers() -> None:
    with pytest.raises(NoEngineError, match=r"none\.sock") as caught:
        choose("docker")
    assert "make engine" in caught.value.hint
    assert caught.value.exit_code is ExitCode.NO_ENGINE


@pytest.mark.docker
@pytest.mark.usefixtures("docker_bench")
def test_auto_takes_docker_where_an_engine_answers() -> None:
    choice = choose("auto")
    assert (choice.engine.name, choice.reason) == ("docker", "a Docker engine answers")
    assert choice.engine.describe().startswith("docker ")


@pytest.mark.docker
@pytest.mark.usefixtures("docker_bench")
def test_auto_takes_processes_where_an_engine_answers_but_nothing_can_build(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    search(monkeypatch, fake_docker(tmp_path / "a", "Docker version 28.2.2, build x").parent)
    choice = choose("auto")
    assert choice.engine.name == "process"
    assert "BuildKit" in choice.reason


def test_processes_by_name() -> None:
    choice = choose("process")
    assert choice.engine.name == "process"
    assert choice.engine.describe().startswith("process (virtual environments by uv ")


def test_an_unknown_engine_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="podman"):
        choose("podman")


@pytest.mark.parametrize("host", ["ssh://somewhere", "npipe:////./pipe/docker"])
def test_an_engine_whose_input_cannot_be_closed_is_refused(monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    monkeypatch.setenv("DOCKER_HOST", host)
    with pytest.raises(NoEngineError, match=host):
        connect()


@pytest.mark.parametrize("host", ["tcp://build-server:2375", "tcp://192.0.2.7:2375", "tcp://[2001:db8::1]:2375"])
def test_an_engine_on_another_machine_is_refused(monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    monkeypatch.setenv("DOCKER_HOST", host)
    monkeypatch.delenv("DOCKER_TLS_VERIFY", raising=False)
    with pytest.raises(NoEngineError, match="on another machine, whose CPU class") as caught:
        connect()
    assert host in caught.value.what
    assert "unset DOCKER_HOST" in caught.value.hint
    assert "--engine process" in caught.value.hint


@pytest.mark.parametrize("host", ["tcp://127.0.0.1:9", "tcp://localhost:9", "tcp://[::1]:9", "tcp://:9"])
def test_an_engine_on_a_port_of_this_machine_is_asked(monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    monkeypatch.setenv("DOCKER_HOST", host)
    monkeypatch.delenv("DOCKER_TLS_VERIFY", raising=False)
    with pytest.raises(NoEngineError, match="no Docker engine answers"):
        connect()


def test_an_old_docker_behind_a_new_one_without_buildx_is_taken(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    new = fake_docker(tmp_path / "new", "Docker version 28.2.2, build x")
    old = fake_docker(tmp_path / "old", "Docker version 20.10.24+dfsg1, build x")
    search(monkeypatch, new.parent, old.parent)
    builder = tools.find_builder()
    assert builder.command == (str(old), "build")
    assert builder.environment == (("DOCKER_BUILDKIT", "1"),)


def test_a_new_docker_with_buildx_is_taken_on_the_engines_own_builder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    new = fake_docker(tmp_path / "new", "Docker version 28.2.2, build x", buildx=True)
    search(monkeypatch, new.parent)
    flags = ("--builder", "default", "--load", "--provenance=false")
    assert tools.find_builder().command == (str(new), "buildx", "build", *flags)


def test_what_only_calls_itself_docker_is_named_in_the_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    podman = fake_docker(tmp_path / "podman", "podman version 4.3.1")
    new = fake_docker(tmp_path / "new", "Docker version 28.2.2, build x")
    search(monkeypatch, podman.parent, new.parent)
    with pytest.raises(NoEngineError) as caught:
        tools.find_builder()
    assert f"{podman} (not Docker)" in caught.value.what
    assert f"{new} (no buildx plugin)" in caught.value.what
