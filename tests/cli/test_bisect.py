"""`bisect` over releases that a played index names, and `exec` in an environment."""

import json
import os
import signal

import pytest

from repromatrix.engines import choose as choosing
from repromatrix.errors import EnvironmentFailedError
from repromatrix.images import lock as locks
from repromatrix.images import releases
from tests import fakes as say

RELEASES = ("1.0", "1.1", "1.2", "1.3", "1.4", "2.0")


@pytest.fixture(autouse=True)
def index(monkeypatch):
    """Play the index: releases, and those that cannot be resolved."""
    broken: set[str] = set()

    def make(environment, folder):
        if environment.version in broken:
            raise EnvironmentFailedError(f"{environment.name} cannot be resolved: no wheel")
        text = f"# request: {' '.join(locks._request(environment))}\nnumpy==1 --hash=sha256:{'a' * 64}\n"
        place = locks.path_of(environment, folder)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
        return True

    monkeypatch.setattr(locks, "make", make)
    monkeypatch.setattr(releases, "releases", lambda *_, **__: RELEASES)
    return broken


def _changes_in(*versions: str):
    """Answer with another loss in these versions."""

    def answer(cells, _number):
        later = cells[0]["id"].split("/")[1].split("-")[1] in versions
        return say.everything_ok(cells, 0.75 if later else 0.5)

    return answer


ON = ("--on", "tiny/parallel", "--jobs", "1")


def test_the_release_is_found_confirmed_and_its_neighbours_shown(command) -> None:
    command.engine.answer = _changes_in("1.3", "1.4", "2.0")
    said = command("bisect", "numpy", "1.0", "2.0", *ON, "--json")
    document = json.loads(said.out)
    (change,) = document["changes"]
    assert said.code == 0
    assert (change["last"], change["first"], change["between"], change["confirmed"]) == ("1.2", "1.3", [], True)
    assert document["environments"] <= 5  # ceil(log2 6) + 2
    assert (
        "tiny/parallel changed in numpy 1.3; 1.2 still has the value of before"
        in command("bisect", "numpy", "1.0", "2.0", *ON).out
    )


def test_an_interrupted_search_goes_on_and_what_ran_is_not_run_again(command) -> None:
    command.engine.answer = _changes_in("1.3", "1.4", "2.0")
    command("bisect", "numpy", "1.0", "2.0", *ON)
    runs = len(command.engine.runs)
    command("bisect", "numpy", "1.0", "2.0", *ON)
    confirming = 2 * 2  # both neighbours, each as often as the matrix says
    assert len(command.engine.runs) == runs + confirming


@pytest.mark.parametrize("number", [0, 1, 2, 5, 8, 11])
def test_a_search_that_is_killed_goes_on_where_it_was(command, number: int) -> None:
    answer = _changes_in("1.3", "1.4", "2.0")
    releases, repeats = 4, 2  # both ends and two between them
    arguments = ("bisect", "numpy", "1.0", "2.0", *ON, "--json")

    def deadly(cells, run):
        if run == number:
            os.kill(os.getpid(), signal.SIGKILL)
        return answer(cells, run)

    child = os.fork()
    if not child:  # killed in its run of that number, and never comes back
        command.engine.answer = deadly
        command(*arguments)
        os._exit(1)
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL

    command.engine.answer = answer
    said = command(*arguments)
    document = json.loads(said.out)
    assert said.code == 0
    assert [(each["last"], each["first"], each["confirmed"]) for each in document["changes"]] == [("1.2", "1.3", True)]
    kept = min(number // repeats, releases)  # all repeats of a release have run, or it runs again
    assert len(command.engine.runs) == (releases - kept) * repeats + 2 * repeats


def test_a_release_that_cannot_be_resolved_is_skipped_and_told(command, index) -> None:
    index.add("1.2")
    command.engine.answer = _changes_in("1.3", "1.4", "2.0")
    said = command("bisect", "numpy", "1.0", "2.0", *ON)
    assert said.code == 1  # it may have been either
    assert "changed in one of numpy 1.2, 1.3, of which only the last could be tried; 1.1 still has" in said.out
    assert "1.2          skipped: numpy-1.2-cpu cannot be resolved: no wheel" in said.out


def test_all_finds_what_comes_and_goes(command) -> None:
    command.engine.answer = _changes_in("1.1", "1.2")
    assert command("bisect", "numpy", "1.0", "2.0", *ON).code == 1  # both ends are the same
    document = json.loads(command("bisect", "numpy", "1.0", "2.0", *ON, "--all", "--json").out)
    assert [(each["last"], each["first"]) for each in document["changes"]] == [("1.0", "1.1"), ("1.2", "1.3")]
    assert [each["value"] for each in document["releases"]] == ["A", "B", "B", "A", "A", "A"]


def test_a_further_change_that_was_seen_is_told_with_the_command_that_finds_it(command) -> None:
    values = {"1.0": 0.5, "1.1": 0.75, "1.2": 0.75}
    command.engine.answer = lambda cells, _: say.everything_ok(
        cells, values.get(cells[0]["id"].split("/")[1].split("-")[1], 0.25)
    )
    said = command("bisect", "numpy", "1.0", "2.0", *ON)
    assert "tiny/parallel changed in numpy 1.1; 1.0 still has" in said.out
    assert (
        "another change lies after 1.2, until 2.0:\n  repromatrix bisect numpy 1.2 2.0 --on tiny/parallel" in said.out
    )


def test_a_value_alone_can_be_asked_for(command) -> None:
    command.engine.answer = _changes_in("2.0")
    arguments = ("bisect", "numpy", "1.0", "2.0", "--jobs", "1", "--json")
    assert command(*arguments, "--on", "tiny/parallel:loss").code == 0
    assert command(*arguments, "--on", "tiny/parallel:output_weights").code == 1  # that one is the same


def test_a_log_is_what_the_first_release_agrees_with(command) -> None:
    (command.folder / "golden.csv").write_text("step,loss\n1,0.5\n2,0.5\n")
    command.engine.answer = _changes_in("1.4", "2.0")
    said = command("bisect", "numpy", "1.0", "2.0", "--on", "golden.csv", "--jobs", "1")
    assert said.code == 0
    assert "golden.csv changed in numpy 1.4; 1.3 still has" in said.out


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (("numpy", "1.0", "2.0", "--on", "tony"), "no workload 'tony'"),
        (("numpy", "1.0", "2.0", "--on", "operation:exp:float8"), "no operation"),
        (("numpy", "1.0", "two", "--on", "tiny"), "not a version: 'two'"),
        (("nunpy", "1.0", "2.0", "--on", "tiny"), "no framework 'nunpy'"),
    ],
)
def test_what_cannot_be_meant_is_told(command, arguments: tuple[str, ...], what: str) -> None:
    said = command("bisect", *arguments)
    assert (said.code, said.out) == (2, "")
    assert what in said.err


def test_exec_needs_a_command(command) -> None:
    said = command("exec", "numpy-2.0-cpu")
    assert said.code == 2
    assert "repromatrix exec numpy-2.0-cpu -- python train.py" in said.err


@pytest.mark.parametrize("engine", [(), ("--engine", "docker")])
def test_exec_runs_the_command_in_the_environment_and_its_code_is_ours(command, monkeypatch, engine) -> None:
    chosen = []
    monkeypatch.setattr(
        choosing, "choose", lambda name: chosen.append(name) or choosing.Choice(engine=command.engine, reason="")
    )
    said = command("exec", *engine, "numpy-2.0-cpu", "--", "python", "train.py", "--epochs", "3")
    assert said.code == 7
    assert command.engine.executed == [("numpy-2.0-cpu", ["python", "train.py", "--epochs", "3"], False)]
    assert chosen == [engine[-1] if engine else "process"]


def _on_two_pythons(monkeypatch) -> None:
    """Play an index in which one Python ends where another begins, but for a release that both have."""
    by_python = {"3.11": ("1.0", "1.1", "1.2"), "3.13": ("1.2", "1.3", "2.0")}
    monkeypatch.setattr(releases, "releases", lambda _, like, **__: by_python.get(like.python, ()))


def test_a_release_that_two_pythons_have_is_the_bridge(command, monkeypatch) -> None:
    _on_two_pythons(monkeypatch)
    command.engine.answer = _changes_in("1.3", "2.0")
    said = command("bisect", "numpy", "1.0", "2.0", *ON)
    assert said.code == 0
    assert "tiny/parallel changed in numpy 1.3@3.13; 1.2@3.13 still has the value of before" in said.out


def test_what_changes_with_the_python_is_no_release(command, monkeypatch) -> None:
    _on_two_pythons(monkeypatch)
    command.engine.answer = lambda cells, _: say.everything_ok(cells, 0.75 if "py3.13" in cells[0]["id"] else 0.5)
    said = command("bisect", "numpy", "1.0", "2.0", *ON)
    assert "tiny/parallel changed in no release, but from Python 3.11 to 3.13; 1.2@3.11 still has" in said.out


def test_without_a_bridge_each_python_is_named(command, monkeypatch) -> None:
    by_python = {"3.11": ("1.0", "1.1"), "3.13": ("1.3", "2.0")}
    monkeypatch.setattr(releases, "releases", lambda _, like, **__: by_python.get(like.python, ()))
    said = command("bisect", "numpy", "1.0", "2.0", *ON)
    assert said.code == 4
    assert "Python 3.11: 1.0 to 1.1; Python 3.13: 1.3 to 2.0" in said.err
