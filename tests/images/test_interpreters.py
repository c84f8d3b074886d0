"""Interpreters of this machine, which the environments of the process engine stand on."""

import re
import sys
from pathlib import Path

import pytest

from repromatrix.errors import EnvironmentFailedError
from repromatrix.images import interpreters


def test_the_running_interpreters_python_is_taken_without_a_search() -> None:
    found = interpreters.find(f"{sys.version_info.major}.{sys.version_info.minor}")
    assert found.kind == "interpreter"
    assert found.digest.startswith(sys.version.split()[0])
    assert "/.venv/" not in found.reference


def test_a_python_that_is_not_here_says_how_to_get_it() -> None:
    with pytest.raises(EnvironmentFailedError, match=r"no Python 3\.99 on this machine") as caught:
        interpreters.find("3.99")
    assert "uv python install 3.99" in caught.value.hint
    assert "--engine docker" in caught.value.hint


@pytest.mark.parametrize("python", ["3.9", "3.13"])
def test_another_python_is_found_and_tells_what_it_is(python: str) -> None:
    try:
        found = interpreters.find(python)
    except EnvironmentFailedError as error:
        pytest.skip(error.what)
    assert found.kind == "interpreter"
    assert re.match(rf"{re.escape(python)}\.\d+ .*\| (glibc|libc)", found.digest)
    assert Path(found.reference).is_file()


def test_an_interpreter_that_does_not_start_is_told_and_nothing_is_keyed_by_it(monkeypatch, tmp_path: Path) -> None:
    broken = tmp_path / "versions" / "3.98.1" / "bin" / "python3.98"
    broken.parent.mkdir(parents=True)
    broken.write_text("#!/bin/sh\nexit 3\n")
    broken.chmod(0o755)
    monkeypatch.setattr(interpreters, "_pyenv", lambda _: str(broken))
    with pytest.raises(EnvironmentFailedError, match=r"Python 3\.98 does not start") as caught:
        interpreters.find("3.98")
    assert caught.value.where == str(broken)


def test_the_newest_of_pyenvs_interpreters_is_taken_by_number_not_by_text(monkeypatch, tmp_path: Path) -> None:
    for version in ("3.98.2", "3.98.10", "3.98.9"):
        path = tmp_path / ".pyenv" / "versions" / version / "bin" / "python3.98"
        path.parent.mkdir(parents=True)
        path.write_text("")
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    assert "/3.98.10/" in interpreters._pyenv("3.98")
