"""`exec`: a command of the caller's in an environment; in a container what is asked of the Docker command line."""

import os
from pathlib import Path

import pytest

from repromatrix.engines import docker, tools
from repromatrix.engines.base import Built
from repromatrix.engines.docker import DockerEngine
from repromatrix.errors import NoEngineError


@pytest.fixture
def command_line(tmp_path: Path, monkeypatch):
    """Put a Docker command line on PATH that writes down what it was asked, and ends with code 7."""
    folder = tmp_path / "bin"
    folder.mkdir()
    program = folder / "docker"
    program.write_text(
        "#!/bin/sh\n"
        '[ "$1" = --version ] && { echo "Docker version 27.0.1, build 1"; exit 0; }\n'
        f'echo "$DOCKER_HOST" > {tmp_path}/host\n'
        f'for each in "$@"; do echo "$each"; done > {tmp_path}/asked\n'
        "exit 7\n"
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=os.pathsep)
    monkeypatch.setattr(docker, "engine_host", lambda: "unix:///somewhere.sock")
    tools.find_docker.cache_clear()
    yield tmp_path
    tools.find_docker.cache_clear()


def _engine() -> DockerEngine:
    return DockerEngine.__new__(DockerEngine)  # no engine answers here, and none is asked


def test_the_command_runs_in_this_folder_as_the_caller_and_its_code_is_ours(command_line: Path, monkeypatch) -> None:
    place = command_line / "a, b"
    place.mkdir()
    monkeypatch.chdir(place)
    built = Built(reference="repromatrix/numpy:abc", digest=None)
    assert _engine().execute(built, ["python", "train.py", "--epochs", "3"], gpu=False) == 7
    asked = (command_line / "asked").read_text().splitlines()
    assert asked[0] == "run"
    assert asked[-5:] == ["--entrypoint=python", "repromatrix/numpy:abc", "train.py", "--epochs", "3"]
    assert f"--user={os.getuid()}:{os.getgid()}" in asked
    assert f"--workdir={place}" in asked
    assert f'--mount=type=bind,"source={place}","target={place}"' in asked  # quoted: a comma would end the field
    assert {"--rm", "--init", "--interactive"} <= set(asked)
    assert "--gpus=all" not in asked
    assert "--tty" not in asked  # the tests have no terminal
    assert (command_line / "host").read_text() == "unix:///somewhere.sock\n"


def test_a_gpu_is_handed_over_where_it_is_wanted(command_line: Path) -> None:
    _engine().execute(Built(reference="image", digest=None), ["python"], gpu=True)
    assert "--gpus=all" in (command_line / "asked").read_text().splitlines()


def test_without_a_command_line_the_way_out_is_named(monkeypatch) -> None:
    monkeypatch.setattr(tools, "_docker_commands", list)
    tools.find_docker.cache_clear()
    with pytest.raises(NoEngineError, match="no Docker command line"):
        tools.find_docker()
