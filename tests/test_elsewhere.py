"""What reads files alone needs nothing that only POSIX has; tried here with all of that taken away."""

import subprocess
import sys
from pathlib import Path

import pytest

from repromatrix import resources
from repromatrix.engines.cpus import Cpus

WITHOUT = """
import os, signal, sys
for name in ("fcntl", "resource", "pwd", "grp", "termios"):
    sys.modules[name] = None
for name in ("sched_getaffinity", "O_NOFOLLOW", "O_NONBLOCK", "O_CLOEXEC", "getuid", "fork", "killpg", "setsid"):
    delattr(os, name)
for name in ("SIGHUP", "SIGKILL", "SIGPIPE"):
    delattr(signal, name)
from repromatrix.__main__ import main
sys.exit(main())
"""


def elsewhere(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", WITHOUT, *words]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def test_compare_needs_no_posix(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("step,loss\n1,0.5\n2,0.25\n")
    (tmp_path / "b.csv").write_text("step,loss\n1,0.5\n2,0.75\n")
    done = elsewhere(tmp_path, "compare", "a.csv", "b.csv")
    assert done.returncode == 1, done.stderr
    assert "divergent" in done.stdout


@pytest.mark.parametrize(
    "words", [("init",), ("plan", "--matrix", "builtin"), ("schema", "record"), ("report", "--help")]
)
def test_other_commands_start_there_too(tmp_path: Path, words: tuple[str, ...]) -> None:
    done = elsewhere(tmp_path, *words)
    assert done.returncode == 0, done.stderr


def test_a_file_is_written_whole_where_there_are_no_locks(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(resources, "fcntl", None)
    resources.write_atomically(tmp_path / "a", b"one")
    resources.write_atomically(tmp_path / "a", b"two")
    assert [(each.name, each.read_bytes()) for each in tmp_path.iterdir()] == [("a", b"two")]


def test_where_nothing_tells_the_cpus_a_run_sees_all() -> None:
    with Cpus().taken(2, frozenset()) as mine:
        assert mine == ()
