"""Which two environments `impact` compares, and what it says of cells that prove nothing."""

import json
from collections.abc import Callable
from dataclasses import replace

import pytest

from repromatrix.errors import EnvironmentFailedError
from repromatrix.images import lock as locks
from repromatrix.matrix import load
from repromatrix.results.record import decode
from repromatrix.results.store import Store
from tests import fakes as say
from tests import values

FLAVOURS = """\
  - {framework: torch, flavour: cpu, versions: ["4.0"], packages: ["torch=={version}+cpu"]}
  - {framework: torch, flavour: cuda, versions: ["3.0", "4.0"], packages: ["torch=={version}"]}
workloads: """
CUDA = """\
  - framework: torch
    flavour: cuda
    versions: ["3.0"]
    packages: ["torch=={version}"]
    devices: [cpu, "cuda:0"]
"""
PUBLISHED = """\
published:
  data: published.json
  columns:
    NumPy: {framework: numpy, variant: parallel}
"""


@pytest.fixture
def torch(command, write_matrix, monkeypatch) -> Callable[..., None]:
    """Give the matrix two flavours of torch, locks for those named, and a resolver that knows the others."""

    def prepare(*locked: str, resolvable: tuple[str, ...] = ()) -> None:
        path = write_matrix((CUDA, ""), ("workloads: ", FLAVOURS), (PUBLISHED, ""))
        assert path.parent == command.folder
        for each in load(path).environments:
            if each.name in locked:
                text = f"# request: {' '.join(locks._request(each))}\n{each.packages[0]} --hash=sha256:{'a' * 64}\n"
                locks.path_of(each).parent.mkdir(parents=True, exist_ok=True)
                locks.path_of(each).write_text(text)
            elif each.framework == "torch":
                locks.path_of(each).unlink(missing_ok=True)

        def make(environment, folder):
            if environment.name not in resolvable:
                raise EnvironmentFailedError(f"{environment.name} cannot be resolved")
            text = f"# request: {' '.join(locks._request(environment))}\ntorch==1 --hash=sha256:{'a' * 64}\n"
            place = locks.path_of(environment, folder)
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(text)
            return True

        monkeypatch.setattr(locks, "make", make)

    return prepare


def _sides(said) -> tuple[str, str]:
    document = json.loads(said.out)
    return document["before"], document["after"]


def test_both_sides_are_of_the_flavour_that_both_have_locked(command, torch) -> None:
    torch("torch-3.0-cuda", "torch-4.0-cpu", "torch-4.0-cuda")
    said = command("impact", "torch==3.0", "torch==4.0", "--json")
    assert (said.code, _sides(said)) == (0, ("torch-3.0-cuda", "torch-4.0-cuda"))
    assert json.loads(said.out)["caveats"] == []
    assert "caveat" not in said.err


def test_a_flavour_that_both_can_be_given_comes_before_a_mixed_pair(command, torch) -> None:
    torch("torch-3.0-cuda", "torch-4.0-cpu", resolvable=("torch-3.0-cpu",))
    said = command("impact", "torch==3.0", "torch==4.0", "--json")
    assert (said.code, _sides(said)) == (0, ("torch-3.0-cpu", "torch-4.0-cpu"))
    assert "locked     torch-3.0-cpu on the fly" in said.err


def test_where_one_index_does_not_answer_the_other_flavour_is_taken_on_both_sides(command, torch) -> None:
    torch(resolvable=("torch-4.0-cpu", "torch-3.0-cuda", "torch-4.0-cuda"))
    assert _sides(command("impact", "torch==3.0", "torch==4.0", "--json")) == ("torch-3.0-cuda", "torch-4.0-cuda")


def test_a_mixed_pair_is_the_last_resort_and_is_announced(command, torch) -> None:
    torch("torch-3.0-cuda", "torch-4.0-cpu")
    said = command("impact", "torch==3.0", "torch==4.0", "--json", "-q")
    assert _sides(said) == ("torch-3.0-cuda", "torch-4.0-cpu")
    assert said.err == "caveat     the flavours differ too: cuda against cpu\n"
    assert json.loads(said.out)["caveats"] == ["the flavours differ too: cuda against cpu"]


def test_where_nothing_can_be_locked_the_first_reason_is_told(command, torch) -> None:
    torch()
    said = command("impact", "torch==3.0", "torch==4.0")
    assert (said.code, said.out) == (4, "")
    assert "cannot be resolved" in said.err


def test_cells_that_are_not_deterministic_are_not_called_identical(command) -> None:
    command.engine.answer = lambda cells, number: say.everything_ok(cells, 0.5 + 0.25 * (number % 2))
    said = command("impact", "numpy==1.0", "numpy==2.0", "--select", "parallel", "--jobs", "1")
    assert said.code == 1
    assert "identical" not in said.out
    assert "not deterministic" in said.out.splitlines()[3]
    assert "0 of 1 variants have the same metrics" in said.out
    assert "caveat: tiny/numpy-1.0-cpu/parallel is not deterministic: its first repeat is compared" in said.out


def test_the_json_carries_what_else_the_numbers_depend_on(command) -> None:
    command.engine.answer = lambda cells, number: say.everything_ok(cells, 0.5 + 0.25 * (number % 2))
    said = command("impact", "numpy==1.0", "numpy==2.0", "--select", "parallel", "--json", "--jobs", "1")
    (pair,) = json.loads(said.out)["pairs"]
    assert said.code == 1
    assert (pair["not_deterministic"], pair["same_cpu_class"], len(pair["caveats"])) == (True, True, 2)


def test_a_selection_of_nothing_fails_before_anything_is_made(command, monkeypatch) -> None:
    monkeypatch.setattr(locks, "make", lambda *_: pytest.fail("locked"))
    said = command("impact", "numpy==1.5", "numpy==2.0", "--select", "nobody")
    assert said.code == 3
    assert "engine" not in said.err
    assert command("impact", "numpy==1.0", "numpy==2.0", "--select", "numpy-1.0-cpu").code == 3  # one side only


@pytest.mark.parametrize(("before", "after"), [("", ""), ("numpy==1.0", ""), (" ", "numpy==2.0")])
def test_without_two_versions_an_example_is_given(command, before: str, after: str) -> None:
    said = command("impact", before, after)
    assert said.code == 2
    assert "name two versions" in said.err
    assert "for example make impact FROM=numpy==1.26.4 TO=numpy==2.4.6" in said.err


def test_a_version_written_otherwise_is_the_same_environment(command) -> None:
    assert "the same environment" in command("impact", "numpy==2.0", "numpy==2.0.0").err
    assert "the same environment" in command("impact", "numpy==1.5", "numpy==1.5.0").err


def test_other_weights_are_shown_and_fail_only_where_they_are_asked_for(command) -> None:
    arguments = ("impact", "numpy==1.0", "numpy==2.0", "--select", "parallel")
    said = command(*arguments)
    assert said.code == 0
    assert "1 of 1 have the same weights after the last update (state); the exit code does not" in said.out
    cell = "tiny/numpy-2.0-cpu/parallel"
    (path,) = (command.folder / "results" / "records" / cell).iterdir()
    store, record = Store(command.folder / "results"), decode(path.read_bytes(), str(path))
    other = values.with_column(record.trajectory, "output_weights", texts=("0x1.5000000000000p-3",) * 3)
    store.write(replace(record, trajectories=(other,)))
    said = command(*arguments)
    assert said.code == 0
    assert "  identical     differs  " in said.out
    assert command(*arguments, "--state").code == 1
