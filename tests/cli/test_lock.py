"""`repromatrix lock`, `--upgrade` and `--check` as a person meets them."""

import json

import pytest

from repromatrix.errors import EnvironmentFailedError, ExitCode
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

    def upgrade(environment, names, *, any_source):
        assert not any_source
        found.append((environment.name, tuple(names)))
        return MOVES if environment.name == "numpy-2.0-cpu" else ()

    monkeypatch.setattr(locks, "upgrade", upgrade)
    return found


@pytest.fixture
def resolved(monkeypatch) -> list[str]:
    """The names of the environments that are resolved, each with a new lock; nothing answers for numpy 6."""
    names: list[str] = []

    def make(environment, rehash, *, any_source) -> locks.Made:
        assert (rehash, any_source) == ([], False)
        names.append(environment.name)
        if environment.version == "6.0":
            raise EnvironmentFailedError("no such version")
        path = locks.path_of(environment)
        before = path.read_text() if path.is_file() else ""
        path.write_text(f"# request: {' '.join(locks._request(environment))}\n{PINS}")
        return locks.Made(changed=path.read_text() != before)

    monkeypatch.setattr(locks, "make", make)
    return names


def add_version(command, version: str, profiles: tuple[str, str] = ("", "")) -> None:
    matrix = command.folder / "matrix.yaml"
    old = 'versions: ["1.0", "2.0"]'
    matrix.write_text(matrix.read_text().replace(old, f'{old[:-1]}, "{version}"]').replace(*profiles))


NAMED = ('environments: ["numpy-*"]', "environments: [numpy-1.0-cpu, numpy-2.0-cpu]")


def test_only_what_has_no_lock_is_resolved(command, resolved) -> None:
    add_version(command, "5.0")
    said = command("lock", "--json")
    assert (said.code, resolved) == (0, ["numpy-5.0-cpu"])
    assert said.err.splitlines() == [
        "locked     numpy-5.0-cpu (in the profiles default, both)",
        "3 of 4 locks are up to date; to resolve them again: repromatrix lock --all",
    ]
    assert json.loads(said.out) == {
        "numpy-1.0-cpu": "current",
        "numpy-2.0-cpu": "current",
        "numpy-5.0-cpu": "locked",
        "torch-3.0-cuda": "current",
    }


@pytest.mark.parametrize("text", ["# request: numpy==0.9\n", "helper>=1.5\n"], ids=["outdated", "damaged"])
def test_a_lock_that_no_longer_serves_is_resolved_again(command, resolved, text: str) -> None:
    path = command.locks / "numpy" / "locks" / "numpy-2.0-cpu.txt"
    path.write_text(text if text.startswith("#") else path.read_text() + text)
    assert command("lock").code == 0
    assert resolved == ["numpy-2.0-cpu"]
    assert command("lock", "--check").code == 0


def test_where_every_lock_answers_nothing_is_asked(command, resolved) -> None:
    said = command("lock")
    assert (said.code, resolved) == (0, [])
    assert said.err == "3 of 3 locks are up to date; to resolve them again: repromatrix lock --all\n"


def test_all_of_the_selected_are_resolved_on_demand(command, resolved) -> None:
    said = command("lock", "--all", "--select", "numpy", "--jobs", "1")
    assert (said.code, resolved) == (0, ["numpy-1.0-cpu", "numpy-2.0-cpu"])
    assert "locks are up to date" not in said.err


@pytest.mark.usefixtures("resolved")
def test_a_lock_that_all_leaves_as_it_is_tells_no_profiles(command) -> None:
    command("lock", "--all")
    assert command("lock", "--all", "--select", "numpy-1.0-cpu").err == "unchanged  numpy-1.0-cpu\n"


@pytest.mark.usefixtures("resolved")
def test_a_version_that_the_default_profile_does_not_name_is_told_with_the_line_to_edit(command) -> None:
    add_version(command, "5.0", NAMED)
    said = command("lock")
    assert said.code == 0
    line = 1 + (command.folder / "matrix.yaml").read_text().splitlines().index(
        f"  default: {{{NAMED[1]}, devices: [cpu]}}"
    )
    place = f"its environments (matrix.yaml:{line})"
    assert said.err.splitlines()[:3] == [
        "locked     numpy-5.0-cpu (in the profile both)",
        f"           the profile default does not run numpy-5.0-cpu: add the name to {place}",
        "           or run the profile both: make matrix PROFILE=both",
    ]


@pytest.mark.usefixtures("resolved")
def test_a_version_in_no_profile_is_told_so(command) -> None:
    add_version(command, "5.0", NAMED)
    matrix = command.folder / "matrix.yaml"
    matrix.write_text(matrix.read_text().replace('both: {environments: ["*"]', 'both: {environments: ["*-2.0-*"]'))
    said = command("lock")
    assert "locked     numpy-5.0-cpu (in no profile)" in said.err
    assert "make matrix PROFILE" not in said.err


@pytest.mark.usefixtures("resolved")
def test_a_profile_that_names_what_is_not_there_is_a_warning_beside_the_lock(command) -> None:
    add_version(command, "5.0", ('environments: ["numpy-*"]', "environments: [numpy-5-cpu]"))
    said = command("lock")
    assert said.code == 0
    assert "locked     numpy-5.0-cpu\n" in said.err
    assert "the profile 'default' names 'numpy-5-cpu', which matches no environment" in said.err


@pytest.mark.usefixtures("resolved")
def test_an_environment_that_cannot_be_resolved_does_not_stop_the_others(command) -> None:
    add_version(command, "6.0")
    (command.locks / "numpy" / "locks" / "numpy-1.0-cpu.txt").unlink()
    said = command("lock", "--json")
    assert said.code == ExitCode.ENVIRONMENT
    assert "no such version" in said.err
    found = json.loads(said.out)
    assert (found["numpy-1.0-cpu"], found["numpy-6.0-cpu"]) == ("locked", "failed")


def test_a_file_that_is_offered_and_not_taken_is_told_in_one_line_with_what_to_type(command, monkeypatch) -> None:
    left = (("helper", "1.5"), ("other", "1.0"))
    monkeypatch.setattr(locks, "make", lambda *_, **__: locks.Made(changed=False, left=left))
    said = command("lock", "--all", "--select", "numpy-1.0-cpu")
    assert said.code == 0
    told = "left out   numpy-1.0-cpu: the sources offer another file of helper 1.5, other 1.0"
    typed = "repromatrix lock --all --rehash helper --rehash other --select numpy-1.0-cpu"
    assert said.err == f"unchanged  numpy-1.0-cpu\n{told}, which the lock does not allow; to allow it: {typed}\n"


@pytest.mark.parametrize("other", [("--check",), ("--upgrade", "helper")])
def test_all_goes_with_nothing_else(command, resolved, other: tuple[str, ...]) -> None:
    assert command("lock", "--all", *other).code == ExitCode.USAGE
    assert resolved == []


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


def test_a_pattern_means_all_that_the_matrix_does_not_pin(command, asked) -> None:
    assert command("lock", "--upgrade", "*", "--select", "numpy-1.0-cpu").code == 0
    assert command("lock", "--upgrade", "o*er", "--select", "numpy-1.0-cpu").code == 0
    assert asked == [("numpy-1.0-cpu", ("helper", "other")), ("numpy-1.0-cpu", ("other",))]
    assert command("lock", "--upgrade", "x*").code == ExitCode.USAGE


def test_an_environment_that_nothing_answers_does_not_stop_the_other_upgrades(command, asked, monkeypatch) -> None:
    def upgrade(environment, names, **_):
        asked.append((environment.name, names))
        raise EnvironmentFailedError("nothing answers")

    monkeypatch.setattr(locks, "upgrade", upgrade)
    said = command("lock", "--upgrade", "helper")
    assert said.code == ExitCode.ENVIRONMENT
    assert said.err.count("failed     numpy-") == len(asked) == 2


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
    assert said.err == "3 of 3 locks are up to date\n"


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
    assert "0 of 3 locks are up to date" in said.err
