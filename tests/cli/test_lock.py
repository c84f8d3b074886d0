"""`repromatrix lock --upgrade` and `--check` as a person meets them."""

import json

import pytest

from repromatrix.errors import ExitCode
from repromatrix.images import lock as locks

PINS = f"helper==1.5 --hash=sha256:{'a' * 64}\nother==1.0 --hash=sha256:{'b' * 64}\n"
MOVES = (
    locks.Move(name="helper", before="1.5", after="2.0"),
    locks.Move(name="new", before=None, after="3.0"),
    locks.Move(name="old", before="1.0", after=None),
    locks.Move(name="other", before="1.0", after="1.1"),
)


@pytest.fixture
def asked(command, monkeypatch) -> list[tuple[str, tuple[str, ...]]]:
    """What is asked of the resolver, which moves `helper` in numpy 2.0 and finds nothing newer elsewhere."""
    for name in ("numpy-1.0-cpu", "numpy-2.0-cpu"):
        with (command.locks / "numpy" / "locks" / f"{name}.txt").open("a") as stream:
            stream.write(PINS)
    found: list[tuple[str, tuple[str, ...]]] = []

    def upgrade(environment, names):
        found.append((environment.name, tuple(names)))
        return MOVES if environment.name == "numpy-2.0-cpu" else ()

    monkeypatch.setattr(locks, "upgrade", upgrade)
    return found


def test_an_upgrade_tells_what_moved_and_what_moved_with_it(command, asked) -> None:
    said = command("lock", "--upgrade", "Helper")
    assert said.code == 0
    assert said.err.splitlines() == [
        "unchanged  numpy-1.0-cpu",
        "           helper 1.5: nothing newer is allowed",
        "upgraded   numpy-2.0-cpu",
        "           helper 1.5 -> 2.0 (asked)",
        "           new 3.0 (came with it)",
        "           old 1.0 (went with it)",
        "           other 1.0 -> 1.1 (moved with it)",
    ]
    assert asked == [("numpy-1.0-cpu", ("helper",)), ("numpy-2.0-cpu", ("helper",))]


def test_the_moves_as_json(command, asked) -> None:
    found = json.loads(command("lock", "--upgrade", "helper", "--select", "numpy-2.0-cpu", "--json").out)
    assert found == {
        "numpy-2.0-cpu": {"helper": ["1.5", "2.0"], "new": [None, "3.0"], "old": ["1.0", None], "other": ["1.0", "1.1"]}
    }
    assert len(asked) == 1


def test_what_the_matrix_pins_is_refused_with_its_line(command, asked) -> None:
    said = command("lock", "--upgrade", "numpy")
    assert said.code == ExitCode.USAGE
    assert "matrix.yaml:10: numpy is pinned exactly for numpy-1.0-cpu, numpy-2.0-cpu" in said.err
    assert "change the version there" in said.err
    assert asked == []


def test_what_no_lock_holds_is_refused_with_a_suggestion(command, asked) -> None:
    said = command("lock", "--upgrade", "helpr")
    assert said.code == ExitCode.USAGE
    assert "no lock of the 3 selected environments holds a package 'helpr'" in said.err
    assert "did you mean 'helper'?" in said.err
    assert asked == []


def test_all_names_are_checked_before_any_lock_is_touched(command, asked) -> None:
    assert command("lock", "--upgrade", "helper", "--upgrade", "numpy").code == ExitCode.USAGE
    assert asked == []


def test_an_upgrade_and_a_check_exclude_each_other(command) -> None:
    assert command("lock", "--upgrade", "helper", "--check").code == ExitCode.USAGE


def test_locks_that_agree_with_the_matrix_pass_the_check(command) -> None:
    said = command("lock", "--check")
    assert said.code == 0
    assert said.err == "3 of 3 locks answer matrix.yaml\n"


def test_every_way_to_disagree_fails_the_check_and_is_told(command) -> None:
    folder = command.locks / "numpy" / "locks"
    (folder / "numpy-1.0-cpu.txt").unlink()
    (folder / "numpy-0.9-cpu.txt").write_text("# request: numpy==0.9\n")
    (command.locks / "torch" / "locks" / "torch-3.0-cuda.txt").write_text("# request: torch==2.0\n")
    with (folder / "numpy-2.0-cpu.txt").open("a") as stream:
        stream.write("helper>=1.5\n")
    said = command("lock", "--check", "--json")
    assert said.code == ExitCode.ENVIRONMENT
    assert json.loads(said.out) == {
        "numpy-0.9-cpu": "orphaned",
        "numpy-1.0-cpu": "missing",
        "numpy-2.0-cpu": "damaged",
        "torch-3.0-cuda": "outdated",
    }
    assert f"orphaned   {folder / 'numpy-0.9-cpu.txt'}" in said.err
    assert "0 of 3 locks answer matrix.yaml" in said.err
