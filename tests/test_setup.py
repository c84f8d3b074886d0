"""Two `make` at once in a fresh checkout: one makes the virtual environment, the other waits for it."""

import importlib.util
import os
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "scripts" / "setup.py"


@pytest.fixture
def setup(tmp_path: Path, monkeypatch):
    """The script in a checkout of its own, whose commands only take their time; with what was run."""
    spec = importlib.util.spec_from_file_location("setup_script", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.ran = []

    def run(command: list[str], *, check: bool) -> subprocess.CompletedProcess:
        assert not check
        module.ran.append(command)
        time.sleep(0.05)
        (tmp_path / ".venv").mkdir(exist_ok=True)
        return subprocess.CompletedProcess(command, getattr(module, "code", 0))

    monkeypatch.setattr(module.subprocess, "run", run)
    monkeypatch.setattr(module, "CHECKOUT", tmp_path)
    (tmp_path / "pyproject.toml").touch()
    return module


def test_whoever_comes_second_waits_and_makes_nothing_twice(setup, tmp_path: Path) -> None:
    venv, stamp = tmp_path / ".venv", tmp_path / ".venv" / ".installed"
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda _: setup.main(venv, stamp), range(4))) == [0, 0, 0, 0]
    assert [command[1:3] for command in setup.ran] == [["-m", "venv"], ["-m", "pip"]]
    assert sorted(path.name for path in tmp_path.iterdir()) == [".venv", "pyproject.toml"]


def test_what_is_asked_for_later_is_installed_into_what_is_there(setup, tmp_path: Path) -> None:
    setup.main(tmp_path / ".venv", tmp_path / ".venv" / ".installed")
    assert setup.main(tmp_path / ".venv", tmp_path / ".venv" / ".dev", "dev") == 0
    assert setup.ran[2:] == [[*setup.ran[1][:-1], f"{tmp_path}[dev]"]]


def test_a_command_that_fails_is_told_and_tried_again(setup, tmp_path: Path) -> None:
    setup.code = 3
    assert setup.main(tmp_path / ".venv", tmp_path / ".venv" / ".installed") == 3
    assert len(setup.ran) == 1
    setup.code = 0
    assert setup.main(tmp_path / ".venv", tmp_path / ".venv" / ".installed") == 0


def test_a_changed_list_of_what_is_needed_is_installed(setup, tmp_path: Path) -> None:
    stamp = tmp_path / ".venv" / ".installed"
    setup.main(tmp_path / ".venv", stamp)
    later = time.time() + 60
    os.utime(tmp_path / "pyproject.toml", (later, later))
    setup.main(tmp_path / ".venv", stamp)
    assert len(setup.ran) == 4
