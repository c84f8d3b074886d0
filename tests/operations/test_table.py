"""The table of the workload `operations`: every row has inputs, an exact result that is known, and enough lines."""

import ast
import json

import numpy as np
import pytest

from repromatrix import draw, resources
from repromatrix.matrix.workload import load_workload
from repromatrix.operations import truths
from repromatrix.operations.exact import Argument
from repromatrix.operations.exact_elementwise import ELEMENTWISE
from repromatrix.operations.results import Output, errors, numbers

FOLDER = resources.folder("workloads") / "operations"
WORKLOAD = load_workload(FOLDER, "operations")
ROWS = json.loads(WORKLOAD.rows)
FRAMEWORKS = ("numpy", "torch", "tensorflow", "jax")
KEYS = {"args", "truth", "gradient", "weights", "options", "typed", "few", "cases", "only_cases", "terms"}
ENOUGH = 3  # frameworks in which an operation counts


def lines(framework: str) -> set[str]:
    """The operations that have a line in a module, read from its source."""
    tree = ast.parse((FOLDER / f"{framework}.py").read_text())
    (found,) = (node.value for node in tree.body if isinstance(node, ast.Assign) and node.targets[0].id == "LINES")
    names = [key.value for key in found.keys]
    assert len(set(names)) == len(names)
    return set(names)


LINES = {framework: lines(framework) for framework in FRAMEWORKS}


def test_there_are_more_than_150_operations_that_count() -> None:
    counted = [name for name, row in ROWS.items() if not row.get("few")]
    assert len(counted) > 150


@pytest.mark.parametrize("name", ROWS)
def test_a_row_has_lines_in_three_frameworks_or_says_that_it_has_not(name: str) -> None:
    count = sum(name in LINES[framework] for framework in FRAMEWORKS)
    assert count >= 1
    assert (count < ENOUGH) == ROWS[name].get("few", False)


def test_every_line_has_a_row() -> None:
    assert {name for names in LINES.values() for name in names} == ROWS.keys()


@pytest.mark.parametrize("name", ROWS)
def test_a_row_says_only_what_is_read_and_names_what_there_is(name: str) -> None:
    row, inputs = ROWS[name], {each.name for each in WORKLOAD.inputs}
    assert set().union(row, *row.get("cases", {}).values()) <= KEYS
    known = {truths.NONE, *ELEMENTWISE, *truths.TRUTHS}
    for case in truths.cases({name: row}):
        assert case.truth in known
        assert inputs.issuperset([*case.args, *([case.weights] if case.weights else [])])
        assert all(place < len(case.args) for place in case.gradient)


@pytest.mark.parametrize("name", [name for name, row in ROWS.items() if row.get("gradient") and row["truth"] != "none"])
def test_a_gradient_has_an_exact_result_too(name: str) -> None:
    row = ROWS[name]
    if row["truth"] in ELEMENTWISE:
        assert max(row["gradient"]) < len(ELEMENTWISE[row["truth"]].slopes)
        assert "weights" not in row
    else:
        assert row["truth"] in truths.SLOPES


def test_an_output_belongs_to_the_case_with_the_longest_name() -> None:
    for output, case in (("sum", "sum"), ("sum/axis", "sum/axis"), ("qr/r", "qr"), ("matmul/gradient-1", "matmul")):
        found = truths.case_of(ROWS, output)
        assert found is not None
        assert found.name == case
    assert truths.case_of(ROWS, "nothing") is None


@pytest.fixture(scope="module")
def given() -> dict[str, Argument]:
    """The inputs of the table in float64."""
    found = {}
    for each in WORKLOAD.inputs:
        values = numbers(each.dtype or "float64", draw.bits(each, "float64"))
        found[each.name] = Argument(shape=each.shape, values=values)
    return found


@pytest.mark.parametrize("name", [name for name, row in ROWS.items() if row["truth"] in truths.TRUTHS])
def test_an_element_that_is_one_percent_off_is_wrong_whatever_the_operation(name: str, given) -> None:
    bits = {each: each for each in given}
    for case in truths.cases({name: ROWS[name]}):
        for output, exact in truths.exact(case, given, bits).items():
            sound = exact.known & np.isfinite(exact.high)
            if not sound.any():  # nothing of it has a single result: the places of ties
                continue
            assert errors(exact, float64(exact.high)).wrong == 0, output
            off = exact.high.copy()
            place = np.flatnonzero(sound)[-1]
            off[place] += np.abs(exact.high[sound]).max() / 100 or 1.0
            assert errors(exact, float64(off)).wrong == 1, output


def float64(values) -> Output:
    return Output(dtype="float64", shape=values.shape, data=values.astype("<f8").tobytes())
