"""Which two environments `impact` compares, and what it says of cells that prove nothing."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from repromatrix.errors import EnvironmentFailedError
from repromatrix.explain.impact import rows, text
from repromatrix.images import lock as locks
from repromatrix.matrix import load
from tests import fakes as say

CHECKOUT = Path(__file__).parents[2]
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
    looked_at = json.loads(said.out)["looked_at"]
    return looked_at["before"], looked_at["after"]


def test_a_plain_version_is_the_cpu_build_on_both_sides(command, torch) -> None:
    torch("torch-3.0-cuda", "torch-4.0-cpu", "torch-4.0-cuda", resolvable=("torch-3.0-cpu",))
    said = command("impact", "torch==3.0", "torch==4.0", "--json")
    assert (said.code, _sides(said)) == (0, ("torch-3.0-cpu", "torch-4.0-cpu"))
    assert "locked     torch-3.0-cpu on the fly" in said.err


def test_a_build_that_cannot_be_had_is_never_replaced_by_another(command, torch) -> None:
    torch("torch-3.0-cuda", "torch-4.0-cpu", "torch-4.0-cuda", resolvable=("torch-3.0-cuda",))
    said = command("impact", "torch==3.0", "torch==4.0")
    assert (said.code, said.out) == (4, "")
    assert "torch-3.0-cpu cannot be resolved" in said.err


def test_another_build_is_taken_where_it_is_named(command, torch) -> None:
    torch("torch-3.0-cuda", "torch-4.0-cuda", "torch-4.0-cpu")
    said = command("impact", "torch[cuda]==3.0", "torch[cuda]==4.0", "--json")
    assert (said.code, _sides(said)) == (0, ("torch-3.0-cuda", "torch-4.0-cuda"))


def test_two_builds_that_are_named_are_told_as_what_moved(command, torch) -> None:
    torch("torch-3.0-cuda", "torch-4.0-cpu")
    said = command("impact", "torch[cuda]==3.0", "torch==4.0", "--json")
    (flavour,) = json.loads(said.out)["companions"]
    assert flavour == {"name": "flavour", "kind": "flavour", "a": "cuda", "b": "cpu"}


def test_cells_that_are_not_deterministic_are_not_called_identical(command) -> None:
    command.engine.answer = lambda cells, number: say.everything_ok(cells, 0.5 + 0.25 * (number % 2))
    said = command("impact", "numpy==1.0", "numpy==2.0", "--select", "parallel", "--jobs", "1")
    assert said.code == 1
    assert said.out.startswith("results differ, look at these")
    assert "not deterministic" in said.out.splitlines()[3]
    assert "tiny/numpy-1.0-cpu/parallel is not deterministic: its repeats differ" in said.out


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


@pytest.mark.parametrize("after", ["numpy==2.0.0", "numpy-2.0-cpu"])
def test_the_same_environment_twice_has_no_differences(command, after: str) -> None:
    said = command("impact", "numpy==2.0", after, "--json")
    assert said.code == 0
    assert _sides(said) == ("numpy-2.0-cpu", "numpy-2.0-cpu")
    assert {row["verdict"] for row in json.loads(said.out)["training"]} == {"identical"}


def test_nothing_runs_twice(command) -> None:
    command("impact", "numpy==1.0", "numpy==2.0")
    runs = len(command.engine.runs)
    assert command("impact", "numpy==1.0", "numpy==2.0").code == 0
    assert len(command.engine.runs) == runs > 0


def _losses(changed: float):
    """Answer with another loss in the second version, from its second step on."""

    def answer(cells, _number):
        later = "numpy-2.0" in cells[0]["id"]
        told = {"loss": [[(0.5).hex()], [(changed if later else 0.5).hex()]]}
        return [*(say.ok(cell, told=told) for cell in cells), say.end(cells)], say.CLEAN

    return answer


ONE = ("impact", "numpy==1.0", "numpy==2.0", "--select", "parallel", "--jobs", "1")


def test_the_own_workload_is_named_and_a_foreign_one_is_asked_for(command) -> None:
    assert "; your own tiny among them" in command(*ONE).out.splitlines()[0]


def test_the_document_is_the_one_of_the_docs(command) -> None:
    command.engine.answer = _losses(0.5 + 2**-30)
    said = command(*ONE, "--json")
    document = json.loads(said.out)
    assert list(document) == ["verdict", "looked_at", "operations", "training", "companions", "made_by"]
    (row,) = document["training"]
    assert said.code == 1
    assert row == {
        "workload": "tiny",
        "variant": "parallel",
        "verdict": "rounding",
        "first_step": 2,
        "first_value": "loss",
        "max_ulp": 2**23,
        "growth": None,
    }
    assert document["verdict"] == "numbers move at rounding level"


def test_rounding_and_more_are_two_verdicts_and_say_where_they_begin(command) -> None:
    command.engine.answer = _losses(0.75)
    said = command(*ONE)
    assert said.out.startswith("results differ, look at these: 1 of 1 training job")
    assert "the same bits up to step 1: tiny/parallel" in said.out
    assert "the state after the last step is the same all the same: tiny/parallel" in said.out


def test_a_difference_at_the_first_step_points_at_data_and_defaults(command) -> None:
    command.engine.answer = lambda cells, _: say.everything_ok(cells, 0.75 if "numpy-2.0" in cells[0]["id"] else 0.5)
    assert "by more than rounding from step 1 on: look at data, initial values and defaults first" in command(*ONE).out


@pytest.mark.parametrize(("failing", "verdict"), [(("numpy-2.0",), "fails"), (("numpy-1.0", "numpy-2.0"), "fails")])
def test_what_fails_is_wrong_and_not_a_difference(command, failing: tuple[str, ...], verdict: str) -> None:
    def answer(cells, _number):
        bad = any(name in cells[0]["id"] for name in failing)
        lines = [say.ended(cell, "failed", "boom") if bad else say.ok(cell) for cell in cells]
        return [*lines, say.end(cells)], say.CLEAN

    command.engine.answer = answer
    said = command(*ONE)
    assert said.code == 1
    assert said.out.startswith("something is wrong or fails: 1 of 1 training job")
    assert f"tiny/parallel  {verdict}" in said.out
    assert "numpy-2.0-cpu/parallel: failed (boom)" in said.out


def test_a_loss_that_is_no_number_any_more_is_wrong(command) -> None:
    command.engine.answer = _losses(float("nan"))
    assert command(*ONE).out.startswith("something is wrong or fails")


def test_other_state_after_the_same_losses_is_told_and_counts(command) -> None:
    def answer(cells, _number):
        state = 0.25 if "numpy-1.0" in cells[0]["id"] else 0.375
        told = {"output_weights": [None, [state.hex()] * 3]}
        return [*(say.ok(cell, told=told) for cell in cells), say.end(cells)], say.CLEAN

    command.engine.answer = answer
    said = command(*ONE)
    assert said.code == 1
    assert "state differs  step 2, output_weights" in said.out
    assert "all metrics have the same bits: tiny/parallel" in said.out


def test_markdown_is_for_a_pull_request(command) -> None:
    command.engine.answer = _losses(0.75)
    lines = command(*ONE, "--markdown").out.splitlines()
    assert lines[0].startswith("**results differ, look at these**: 1 of 1 training job")
    assert "| tiny/parallel | divergent | step 2, loss |" in "\n".join(lines)
    assert command(*ONE, "--markdown", "--json").code == 2


def test_compare_finds_its_records_by_cell_id_without_a_run_and_beside_one(command) -> None:
    cells = ("tiny/numpy-1.0-cpu/parallel", "tiny/numpy-2.0-cpu/parallel")
    assert command("compare", *cells).code == 2
    command(*ONE)
    assert command("compare", *cells).code == 0
    assert command("run", "--select", "numpy-2.0-cpu").code == 0
    assert command("compare", *cells).code == 0


def test_records_of_two_machines_are_not_compared_as_two_versions(command, monkeypatch) -> None:
    from repromatrix.execute import run as running  # noqa: PLC0415 - the one test that replaces it

    plain = running.provenance

    def elsewhere(**known):
        found = plain(**known)
        elsewhere.calls += 1
        return replace(found, cpu_class=f"x86-64-v{3 + elsewhere.calls % 2}-01234567")

    elsewhere.calls = 0
    monkeypatch.setattr(running, "provenance", elsewhere)
    said = command(*ONE)
    assert (said.code, said.out) == (2, "")
    assert "of different CPU classes, so not only the version moved" in said.err


def test_what_changed_runs_in_other_settings_too(command) -> None:
    def answer(cells, _number):
        settings = cells[0]["id"].rpartition("+")[2]
        loss = 0.75 if "numpy-2.0" in cells[0]["id"] or settings == "avx2" else 0.5
        return say.everything_ok(cells, loss)

    command.engine.answer = answer
    said = command(*ONE, "--settings", "avx2")
    assert "in the settings avx2: 1 of 1 that changed are the same on both sides" in said.out
    assert "the settings avx2 make the same change as the upgrade in tiny/parallel" in said.out
    assert command(*ONE, "--settings", "avx").code == 2


def _operations(before: dict, after: dict, before_more: dict | None = None, after_more: dict | None = None):
    """Answer with other results of operations in the second version."""

    def answer(cells, _number):
        later = "numpy-2.0" in cells[0]["id"]
        given, more = (after, after_more) if later else (before, before_more)
        lines = [
            say.operations_ok(cell, given, **(more or {})) if cell["id"].startswith("operations/") else say.ok(cell)
            for cell in cells
        ]
        return [*lines, say.end(cells)], say.CLEAN

    return answer


FLOAT64 = ("impact", "numpy==1.0", "numpy==2.0", "--select", "operations/*/default-float64", "--select", "parallel")


def _rows(said) -> dict[str, dict]:
    return {"/".join((each["operation"], each["case"])): each for each in json.loads(said.out)["operations"]}


def test_an_operation_that_moves_says_how_many_elements_and_how_far(command) -> None:
    same = ("float64", [1.0, 2.0, 4.0])
    command.engine.answer = _operations({"mystery": same}, {"mystery": ("float64", [1.0, 2.0 + 2**-51, 4.0])})
    said = command(*FLOAT64, "--json")
    row = _rows(said)["mystery/"]
    assert said.code == 1
    assert (row["verdict"], row["changed"], row["size"], row["max_ulp"]) == ("rounding", 1, 3, 1)
    assert row["scaled"] == 2**-51 / 4
    assert (row["error_a"], row["error_b"], row["better"]) == (None, None, "unknown")
    assert (row["dtype"], row["mode"], row["gradient"]) == ("float64", "eager", False)
    text = command(*FLOAT64).out
    assert text.startswith("numbers move at rounding level: 0 of 1 training job, 1 of 2 operations,")
    assert "1 of 2 operations: the same bits in every case and dtype" in text


def test_another_dtype_is_a_change_of_its_own(command) -> None:
    command.engine.answer = _operations({"exp": ("float64", [1.0, 2.0])}, {"exp": ("float32", [1.0, 2.0])})
    said = command(*FLOAT64, "--json")
    row = _rows(said)["exp/"]
    assert (row["verdict"], row["dtype_a"], row["dtype_b"]) == ("dtype changed", "float64", "float32")
    assert json.loads(said.out)["verdict"] == "results differ, look at these"


def test_what_one_side_does_not_have_is_told_with_its_reason(command) -> None:
    gone = {"absent": {"erf": "numpy has no erf"}}
    command.engine.answer = _operations({"erf": ("float64", [0.5])}, {}, after_more=gone)
    said = command(*FLOAT64)
    assert said.code == 1
    assert "absent on one side: erf" in said.out
    assert "numpy has no erf" in said.out


def test_what_ends_with_an_error_only_after_is_wrong(command) -> None:
    command.engine.answer = _operations({"erf": ("float64", [0.5])}, {}, after_more={"broken": {"erf": "boom"}})
    said = command(*FLOAT64, "--json")
    assert _rows(said)["erf/"]["verdict"] == "fails"
    assert json.loads(said.out)["verdict"] == "something is wrong or fails"


def test_cases_and_gradients_have_columns_of_their_own(command) -> None:
    old, new = ({"sum/axis/gradient": ("float64", [each])} for each in (1.0, 1.5))
    command.engine.answer = _operations(old, new)
    row = _rows(command(*FLOAT64, "--json"))["sum/axis"]
    assert (row["gradient"], row["verdict"], row["changed"]) == (True, "differs", 1)


def test_better_or_worse_goes_by_the_exact_result(command, monkeypatch) -> None:
    from repromatrix.explain.impact import operations  # noqa: PLC0415 - the one test that knows the exact result
    from repromatrix.operations.exact_result import Exact  # noqa: PLC0415
    from repromatrix.operations.results import Errors  # noqa: PLC0415

    class Judge:
        def errors(self, _name, output):
            off = abs(float(output.numbers()[0]) - 1.0) * 2**52
            return Errors(largest=off, mean=off, wrong=int(off > 64), judged=1)

        def exact(self, _name):
            return Exact(high=np.array([1.0]), low=np.array([0.0]), known=np.array([True]))

    monkeypatch.setattr(operations.Judge, "of", classmethod(lambda *_: Judge()))
    near, far, wrong = (("float64", [1.0 + times * 2**-52]) for times in (1, 3, 100))
    for before, after, better, verdict in (
        (far, near, "b", "rounding"),
        (near, far, "a", "rounding"),
        (near, wrong, "a", "wrong"),
        (wrong, near, "b", "differs"),
    ):
        command.engine.answer = _operations({"erf": before}, {"erf": after})
        row = _rows(command(*FLOAT64, "--json", "--results", f"{better}-{verdict}"))["erf/"]
        assert (row["better"], row["verdict"]) == (better, verdict)
        assert (row["error_a"] > row["error_b"]) == (better == "b")
        assert row["scaled_error_b"] == row["error_b"] * 2**-52


def _moved(**told):
    row = rows.OperationRow(
        operation="fft", case="", dtype="float64", mode="eager", gradient=False, verdict="rounding",
        level=rows.Level.ROUNDING, dtype_a="complex128", dtype_b="complex128",
    )  # fmt: skip
    return text._group_row([replace(row, **told)])[-2:]


def test_errors_stand_in_ulp_or_over_the_largest_value_where_those_tell_nothing() -> None:
    scaled = {"scaled_error_a": 5e-16, "scaled_error_b": 3.5e-8}
    assert _moved(error_a=1.4, error_b=0.606, better="b", **scaled) == ("1.4 -> 0.606 ULP", "better")
    assert _moved(error_a=6.83, error_b=6.83, better="b", **scaled) == ("6.83 -> 6.83 ULP", "better on average")
    assert _moved(error_a=7e4, error_b=0.5, better="a", **scaled) == ("5e-16 -> 3.5e-08 scaled", "worse")
    assert _moved(error_a=0.4, error_b=0.5, better="a", dtype_b="complex64", **scaled) == (
        "5e-16 -> 3.5e-08 scaled",
        "worse",
    )
    assert _moved() == ("\N{EN DASH}", "no exact result")


@pytest.mark.parametrize(("dtype", "better"), [("float64", "b"), ("float32", "a")])
def test_better_goes_by_the_scaled_error_where_a_small_element_is_left_of_large_ones(dtype: str, better: str) -> None:
    from repromatrix.explain.impact.operations import _better, _Error  # noqa: PLC0415

    before = _Error(wrong=0, largest=7e4, mean=1.0, scaled=5e-16)
    after = _Error(wrong=0, largest=0.5 if dtype == "float32" else 8e4, mean=0.1, scaled=4e-16)
    after = replace(after, scaled=3e-8) if dtype == "float32" else after
    assert _better((before, after), ("float64", dtype)) == better


def test_signs_of_zero_are_told_as_such(command) -> None:
    command.engine.answer = _operations({"mystery": ("float64", [0.0, 1.0])}, {"mystery": ("float64", [-0.0, 1.0])})
    said = command(*FLOAT64)
    assert "signs of 0" in said.out
    assert _rows(command(*FLOAT64, "--json"))["mystery/"]["max_ulp"] is None


def test_a_result_whose_repeats_differ_is_no_change(command) -> None:
    def answer(cells, number):
        given = {"mystery": ("float64", [1.0 + number])}
        return [*(say.operations_ok(cell, given) for cell in cells), say.end(cells)], say.CLEAN

    command.engine.answer = answer
    said = command(
        "impact", "numpy==1.0", "numpy==2.0", "--select", "operations/*/default-float64", "--json", "--jobs", "1"
    )
    assert said.code == 0
    assert _rows(said)["mystery/"]["verdict"] == "not deterministic"
    told = command("impact", "numpy==1.0", "numpy==2.0", "--select", "operations/*/default-float64").out
    assert "2 operations (1 not deterministic, of which nothing is known)" in told.splitlines()[0]
    assert "1 of 2 operations: the same bits in every case and dtype" in told
    assert "1 of 2 operations: not deterministic in some case, so nothing is known there: mystery" in told


def _four(command) -> list[str]:
    """Run operations in two environments and two settings, where the second version moves; return ids in float64."""
    command.engine.answer = _operations(
        {"mystery": ("float64", [1.0, 2.0])}, {"mystery": ("float64", [1.0, 2.0 + 2**-51])}
    )
    for more in ((), ("--settings", "avx2")):
        command("operations", "numpy-1.0-cpu", "numpy-2.0-cpu", "--jobs", "1", *more)
    return [f"operations/numpy-{each}" for each in ("1.0-cpu/default-float64", "2.0-cpu/default-float64")]


def test_any_number_of_cells_of_operations_is_compared_result_by_result(command) -> None:
    old, new = _four(command)
    said = command("compare", old, f"{old}+avx2", new, "--format", "json")
    pairs = json.loads(said.out)["pairs"]
    assert said.code == 1
    assert [(each["a"], each["b"], each["differ"]) for each in pairs] == [
        (old, f"{old}+avx2", 0),
        (old, new, 1),
        (f"{old}+avx2", new, 1),
    ]
    assert [each["max_ulp"] for each in pairs[1]["results"] if each["operation"] == "mystery"] == [1]
    first = command("compare", new, old, f"{old}+avx2", "--pairs", "first")
    assert first.code == 1
    assert [line for line in first.out.splitlines() if " | " in line] == [f"{new} | {old}", f"{new} | {old}+avx2"]
    assert command("compare", f"{old}*").code == 0  # a pattern; the settings change nothing


def test_where_operations_are_only_counted_that_is_said(command) -> None:
    old, new = _four(command)
    files = [
        str(next((command.folder / "results" / "records").rglob(f"{each.split('/')[1]}/**/*.json")))
        for each in (old, new)
    ]
    said = command("compare", *files)
    assert "only how many results they gave is judged here, not their bits" in " ".join(said.out.split())


@pytest.mark.parametrize(
    ("sides", "code", "what"),
    [
        (("operations/numpy-1.0-cpu/default-float64",), 3, "is one cell: nothing to compare it with"),
        (("operations/*/default-float64", "golden.csv"), 2, "golden.csv is no cell of operations"),
        (("operations/*",), 2, "computed other operations, or in another dtype"),
        (("operations/*/default-float64", "--pairs", "same-id"), 2, "--pairs same-id is for two results folders"),
        (("operations/*/default-float64", "--format", "junit"), 2, "are told as text or JSON"),
    ],
)
def test_cells_of_operations_that_cannot_be_compared(command, sides: tuple[str, ...], code: int, what: str) -> None:
    _four(command)
    said = command("compare", *sides)
    assert (said.code, said.out) == (code, "")
    assert what in said.err


def test_explain_finds_the_cells_of_an_environment_that_was_locked_on_the_fly(command, monkeypatch) -> None:
    def make(environment, folder):
        place = locks.path_of(environment, folder)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(f"# request: {' '.join(locks._request(environment))}\nnumpy==1 --hash=sha256:{'a' * 64}\n")
        return True

    monkeypatch.setattr(locks, "make", make)
    command.engine.answer = lambda cells, _: say.everything_ok(cells, 0.75 if "numpy-2.0" in cells[0]["id"] else 0.5)
    command("impact", "numpy==1.5", "numpy==2.0", "--select", "parallel")
    cells = ("tiny/numpy-1.5-cpu/parallel", "tiny/numpy-2.0-cpu/parallel")
    said = command("explain", *cells, "--no-operations", "--json")
    assert said.code == 0
    assert [row["factors"] for row in json.loads(said.out)["rows"]] == [["version"]]
    assert command("compare", *cells).code == 1


def test_seeds_tell_whether_a_change_matters(command, write_matrix) -> None:
    drawn = "{shape: [1, 3], draw: normal, parameter: true}"
    write_matrix(
        ('{decimal: [["0.40", "0.45", "0.50"]], parameter: true}', drawn),
        ("profiles:", "noise: {members: 2}\nprofiles:"),
        (PUBLISHED, ""),
    )

    def answer(cells, _number):
        later = "numpy-2.0" in cells[0]["id"]
        losses = [0.5 + 0.125 * int(cell["id"].partition("~100")[2] or 0) + 0.0625 * later for cell in cells]
        return [*(say.ok(cell, loss) for cell, loss in zip(cells, losses, strict=True)), say.end(cells)], say.CLEAN

    command.engine.answer = answer
    said = command(*ONE)
    assert "the last loss moves by 0.07 of its spread over 8 other seeds: tiny/parallel" in said.out  # 1/16 of 7/8


def test_operations_that_changed_run_in_other_settings_too(command) -> None:
    def answer(cells, _number):
        old = "numpy-1.0" in cells[0]["id"] and not cells[0]["id"].endswith("+avx2")
        given = {"mystery": ("float64", [1.0 if old else 1.0 + 2**-52])}
        return [*(say.operations_ok(cell, given) for cell in cells), say.end(cells)], say.CLEAN

    command.engine.answer = answer
    only = ("--select", "operations/*/default-float64", "--jobs", "1")
    said = command("impact", "numpy==1.0", "numpy==2.0", *only, "--settings", "avx2", "--json")
    (found,) = json.loads(said.out)["looked_at"]["settings"]
    assert found == {
        "settings": "avx2",
        "gone": ["mystery float64"],
        "stays": [],
        "same_change": ["mystery float64"],
        "untested": [],
    }


@pytest.fixture
def scipy(command, monkeypatch):
    """SciPy moves along with the second version; `loss` is what the job has where SciPy is held as before."""
    refused: set[str] = set()
    held: dict[str, float] = {}

    def make(environment, folder):
        text = " ".join(environment.packages)
        if any(each in text for each in refused):
            raise EnvironmentFailedError(f"{environment.name} cannot be resolved: conflict")
        place = locks.path_of(environment, folder)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(f"# request: {' '.join(locks._request(environment))}\nnumpy==2 --hash=sha256:{'a' * 64}\n")
        held["asked"] = environment.packages
        return True

    def answer(cells, _number):
        environment = cells[0]["id"].split("/")[1]
        later = "numpy-2.0" in environment
        loss = held["loss"] if "held" in environment else 0.75 if later else 0.5
        packages = {
            "numpy": "2.0" if later else "1.0",
            "scipy": "1.2" if later and "held" not in environment else "1.1",
        }
        return [
            say.line(line="fingerprint", fingerprint={"packages": packages}),
            *(say.ok(cell, loss) for cell in cells),
            say.end(cells),
        ], say.CLEAN

    monkeypatch.setattr(locks, "make", make)
    command.engine.answer = answer
    return refused, held


@pytest.mark.parametrize(
    ("loss", "field", "said"),
    [
        (
            0.75,
            "framework",
            "with scipy==1.1 held as before, 1 of 1 that changed change all the same: made by numpy itself",
        ),
        (0.5, "companions", "they keep their old bits, so what was held made the change: tiny/parallel"),
        (0.625, "both", "they change to something else then, so it takes both: tiny/parallel"),
    ],
)
def test_which_package_it_was_is_tried_where_another_moved_along(command, scipy, loss, field, said) -> None:
    _, held = scipy
    held["loss"] = loss
    (blame,) = json.loads(command(*ONE, "--json").out)["made_by"]
    assert blame[field] == ["tiny/parallel"]
    assert blame["held"] == ["scipy==1.1"]
    assert "scipy==1.1" in held["asked"]
    text = command(*ONE).out
    assert said in text
    assert "scipy: 1.1 -> 1.2" in text


def test_what_the_resolver_does_not_allow_is_said(command, scipy) -> None:
    refused, _ = scipy
    refused.add("scipy==1.1")
    said = command(*ONE)
    assert said.code == 1
    assert "which package it was cannot be told with scipy==1.1: numpy-2.0-cpu-held" in said.out
    assert "cannot be resolved: conflict" in said.out


def test_only_the_operations_that_changed_run_with_what_is_held(command, scipy, monkeypatch) -> None:
    _, held = scipy
    held["loss"] = 0.75
    answer, plain, rows_of = command.engine.answer, command.engine.run, {}

    def run(built, *, stdin, **known):
        job = json.loads(stdin)
        for each in job["workloads"].values():
            rows_of.setdefault((built.reference, each["name"]), []).append(list(each.get("rows", ())))
        return plain(built, stdin=stdin, **known)

    monkeypatch.setattr(command.engine, "run", run)

    def with_operations(cells, number):
        lines, exit_ = answer(cells, number)
        later = "numpy-2.0" in cells[0]["id"]
        for place, cell in enumerate(cells, 1):
            if cell["id"].startswith("operations/"):
                given = {"exp": ("float64", [1.5 if later else 1.25]), "log": ("float64", [0.5])}
                lines[place] = say.operations_ok(cell, given)
        return lines, exit_

    command.engine.answer = with_operations
    (blame,) = json.loads(command(*FLOAT64, "--json", "--jobs", "1").out)["made_by"]
    assert blame["framework"] == ["tiny/parallel", "exp float64"]
    for side in ("numpy-1.0-cpu", "numpy-2.0-cpu"):
        whole, again = rows_of[side, "operations"]
        assert {"exp", "log"} < set(whole)
        assert again == ["exp"]
    assert [rows for (name, kind), rows in rows_of.items() if "held" in name and kind == "operations"] == [[["exp"]]]


def test_known_runs_of_operations_are_not_run_again(command) -> None:
    command.engine.answer = _operations({"mystery": ("float64", [1.0])}, {"mystery": ("float64", [2.0])})
    command("operations", "numpy-1.0-cpu", "numpy-2.0-cpu", "--jobs", "1")
    before = len(command.engine.runs)
    said = command("impact", "numpy==1.0", "numpy==2.0", "--select", "operations/*/default-float64", "--json")
    assert _rows(said)["mystery/"]["verdict"] != "identical"
    assert len(command.engine.runs) == before


@pytest.mark.parametrize(("option", "jobs", "said"), [((), 2, True), (("--full",), 4, False)])
def test_large_jobs_of_the_product_run_in_one_dtype_and_compilation_and_that_is_said(
    option: tuple[str, ...], jobs: int, said: bool
) -> None:
    from repromatrix.explain.impact.run import comparable, left_out  # noqa: PLC0415

    matrix = load(CHECKOUT / "matrix.yaml")
    pair = tuple(matrix.environment(f"jax-{each}-cpu") for each in ("0.4.38", "0.5.3"))
    cells = comparable(matrix, [pair], (), full=bool(option))[pair]
    found = {cell.variant.name for cell in cells if cell.workload.name == "convnet"}
    assert len(found) == jobs
    assert {"default", "defaults-own"} <= found
    whole = comparable(matrix, [pair], ())[pair]
    assert {cell.workload.name for cell in whole if left_out(matrix, cell)} == {"convnet", "transformer"}
    found = rows.Impact(
        before="a", after="b", cpu_class="v4", cpu_vendor="", own=(), training=(), without=4 if said else 0
    )
    assert ("(without 4 of the larger ones: --full runs them)" in found.decision) == said
