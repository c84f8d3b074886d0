"""The table of the workload `operations`: every row has inputs, an exact result that is known, and enough lines."""

import ast
import json

import numpy as np
import pytest

from repromatrix import draw, resources
from repromatrix.matrix.workload import load_workload
from repromatrix.operations import truths
from repromatrix.operations.cases import NONE, case_of, cases
from repromatrix.operations.exact_cases import SLOPES, TRUTHS
from repromatrix.operations.exact_elementwise import ELEMENTWISE
from repromatrix.operations.exact_result import Argument
from repromatrix.operations.results import Output, errors, numbers

FOLDER = resources.folder("workloads") / "operations"
WORKLOAD = load_workload(FOLDER, "operations")
ROWS = json.loads(WORKLOAD.rows)
FULL = load_workload(FOLDER.parent / "operations-full", "operations-full")
FULL_ROWS = json.loads(FULL.rows)
FRAMEWORKS = ("numpy", "torch", "tensorflow", "jax")
KEYS = {
    "args",
    "truth",
    "gradient",
    "weights",
    "options",
    "typed",
    "few",
    "cases",
    "only_cases",
    "terms",
    "relation",
    "sample",
}
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
    assert {name for names in LINES.values() for name in names} == FULL_ROWS.keys()


def test_the_tier_for_nights_has_all_of_the_other_and_the_same_code() -> None:
    core, full = ({case.name: case for case in cases(rows)} for rows in (ROWS, FULL_ROWS))
    assert {name: full[name] for name in core} == core
    assert all(FULL.code(each) == WORKLOAD.code(each) for each in FRAMEWORKS)
    for operation in ("sum", "dot", "matmul", "softmax", "layer_norm", "exp"):
        for length in (1, 7, 8, 15, 16, 17, 31, 33, 49, 50, 1_000_000):
            assert f"{operation}/n{length}" in full
    assert {case.relation for case in full.values()} == {None, "slice", "row", "rows", "transposed"}


def test_no_case_for_nights_is_in_the_core() -> None:
    assert not any(case.relation or case.sample for case in cases(ROWS))


@pytest.mark.parametrize("name", FULL_ROWS)
def test_a_row_says_only_what_is_read_and_names_what_there_is(name: str) -> None:
    row, inputs = FULL_ROWS[name], {each.name for each in FULL.inputs}
    assert set().union(row, *row.get("cases", {}).values()) <= KEYS
    known = {NONE, *ELEMENTWISE, *TRUTHS}
    for case in cases({name: row}):
        assert case.truth in known
        named = [each.partition("[")[0] for each in case.args]
        assert inputs.issuperset([*named, *([case.weights] if case.weights else [])])
        assert case.truth == NONE or case.relation is None
        assert all(place < len(case.args) for place in case.gradient)


@pytest.mark.parametrize("name", [name for name, row in ROWS.items() if row.get("gradient") and row["truth"] != "none"])
def test_a_gradient_has_an_exact_result_too(name: str) -> None:
    row = ROWS[name]
    if row["truth"] in ELEMENTWISE:
        assert max(row["gradient"]) < len(ELEMENTWISE[row["truth"]].slopes)
        assert "weights" not in row
    else:
        assert row["truth"] in SLOPES


def test_an_output_belongs_to_the_case_with_the_longest_name() -> None:
    for output, case in (("sum", "sum"), ("sum/axis", "sum/axis"), ("qr/r", "qr"), ("matmul/gradient-1", "matmul")):
        found = case_of(ROWS, output)
        assert found is not None
        assert found.name == case
    assert case_of(ROWS, "nothing") is None


@pytest.fixture(scope="module")
def given() -> dict[str, Argument]:
    """The inputs of the table in float64."""
    found = {}
    for each in WORKLOAD.inputs:
        values = numbers(each.dtype or "float64", draw.bits(each, "float64"))
        found[each.name] = Argument(shape=each.shape, values=values)
    return found


@pytest.mark.parametrize("name", [name for name, row in ROWS.items() if row["truth"] in TRUTHS])
def test_an_element_that_is_one_percent_off_is_wrong_whatever_the_operation(name: str, given) -> None:
    bits = {each: each for each in given}
    for case in cases({name: ROWS[name]}):
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
