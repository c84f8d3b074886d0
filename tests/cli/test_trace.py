"""`run --trace` and `trace`: one more run, the first difference inside a step, and clear words where there is none."""

import json

import pytest

from tests import fakes as say

PARALLEL = "tiny/numpy-2.0-cpu/parallel"
SINGLE = "tiny/numpy-2.0-cpu/parallel-float32"
UNROLLED = "tiny/numpy-2.0-cpu/unrolled"
SELECT = ("--select", "*/numpy-2.0-cpu/*", "--select", "!*/*+avx2")


def unlike(cells, _number):
    """Answer with another output at the second step of the float32 cell, and with another loss."""
    quarter, near = [(0.25).hex()], [(0.25 + 2**-25).hex()]
    odd = {"output": [quarter, near, quarter]}
    return [say.ok(each, 0.75, odd) if each["id"] == SINGLE else say.ok(each) for each in cells], say.CLEAN


def test_run_keeps_a_trace_of_every_cell_and_says_so(command) -> None:
    with (command.folder / "matrix.yaml").open("a") as matrix:
        matrix.write("noise: {members: 2}\n")
    said = command("run", "--trace", *SELECT)
    assert said.code == 0
    assert "traced     3 of 3 cells\n" in said.err
    entries = json.loads((command.folder / "results" / "manifest.json").read_text())["entries"]
    traced = {each["id"] for each in entries if each["trace"]}
    assert traced == {PARALLEL, SINGLE, UNROLLED}  # the members of ensembles are not
    assert len(entries) == len(traced) + 2 * 2
    again = command("run", "--trace", *SELECT)
    assert "0 ran now" in again.err
    assert "traced     3 of 3 cells\n" in again.err


def test_without_being_asked_nothing_is_traced(command) -> None:
    command("run", *SELECT)
    assert not (command.folder / "results" / "traces").exists()
    said = command("trace")
    assert said.code == 3
    assert "these results have no traces" in said.err
    assert "next: run once more: repromatrix run --trace" in said.err


def test_a_cell_that_cannot_be_traced_is_a_line_and_no_failure(command) -> None:
    def answer(cells, _number):
        return [
            say.ended(each, "unavailable", "does not trace") if each["trace"] and each["id"] == SINGLE else say.ok(each)
            for each in cells
        ], say.CLEAN

    command.engine.answer = answer
    said = command("run", "--trace", *SELECT)
    assert said.code == 0
    assert f"untraced   {SINGLE}: does not trace\n" in said.err
    assert "traced     2 of 3 cells\n" in said.err
    said = command("trace", PARALLEL, SINGLE)
    assert said.code == 2
    assert f"no trace of '{SINGLE}': does not trace" in said.err


def test_a_traced_run_with_other_bits_is_said_to_explain_nothing(command) -> None:
    command.engine.answer = lambda cells, _: (
        [say.ok(each, 0.75 if each["trace"] and each["id"] == SINGLE else 0.5) for each in cells],
        say.CLEAN,
    )
    assert f"altered    {SINGLE}: tracing changes this cell" in command("run", "--trace", *SELECT).err
    said = command("trace", PARALLEL, SINGLE)
    assert said.code == 2
    assert f"tracing changes {SINGLE}, so its trace explains nothing" in said.err


def test_two_cells_part_at_an_element_and_that_is_exit_1(command) -> None:
    command.engine.answer = unlike
    command("run", "--trace", *SELECT)
    said = command("trace", PARALLEL, SINGLE)
    assert said.code == 1
    assert said.out == (
        f"{PARALLEL}\n{SINGLE}\n"
        "  part at step 1, loss: 4194304 ULP of float32\n"
        "  0.5   0x1.0000000000000p-1  0x3fe0000000000000\n"
        "  0.75  0x1.8000000000000p-1  0x3f400000\n"
        "  float64 against float32: values are compared after rounding to float32\n"
    )


def test_two_cells_with_the_same_bits_are_exit_0(command) -> None:
    command("run", "--trace", *SELECT)
    said = command("trace", PARALLEL, UNROLLED)
    assert said.code == 0
    assert "no difference in any traced value of 1 step\n" in said.out
    assert "2 steps against 1: those that both have are compared" in said.out
    (found,) = json.loads(command("trace", PARALLEL, UNROLLED, "--json").out)
    assert (found["same"], found["point"], found["reason"]) == (True, None, None)


def test_without_names_the_classes_are_told(command) -> None:
    command("run", "--trace", *SELECT)
    said = command("trace", "--json")
    assert said.code == 0
    # The same losses in two dtypes: one class, and two states, since a value's dtype is a part of it.
    assert [(each["a"], each["b"]) for each in json.loads(said.out)] == [(PARALLEL, UNROLLED), (PARALLEL, SINGLE)]


@pytest.mark.parametrize(
    ("names", "words"),
    [
        ((PARALLEL,), "name two cells, or none for all classes"),
        ((PARALLEL, f"{SINGLE}x"), f"did you mean '{SINGLE}'?"),
        ((PARALLEL, "tiny/numpy-1.0-cpu/parallel"), "no trace of 'tiny/numpy-1.0-cpu/parallel'"),
    ],
)
def test_what_cannot_be_looked_up_is_said(command, names, words) -> None:
    command("run", "--trace", *SELECT)
    said = command("trace", *names)
    assert said.code == 2
    assert words in said.err


def test_a_report_can_be_made_of_a_traced_run(command) -> None:
    command.engine.answer = unlike
    assert command("matrix", "--trace", *SELECT).code == 0
    assert command("report").code == 0
