"""What somebody else's trace is told to differ in: an option, the weights it begins with, or operations and steps."""

import math
from dataclasses import replace

import pytest

from repromatrix.explain.judge.chance import worth
from repromatrix.explain.judge.sites import (
    Operation,
    Task,
    detected,
    explanation_of,
    places,
    samples,
    sentences,
    to_try,
    tried,
)
from repromatrix.graph import shapes
from repromatrix.operations import text
from repromatrix.operations.wiring import Start
from tests import values, worked
from tests.compare.test_trace import trace

OTHER = 0.75
SIZES = {"input": (2,), "target": (3,), "hidden_weights": (2, 2), "output_weights": (3, 2)}
NUMBERS = {"hidden_bias": 0.35, "output_bias": 0.6}
START = Start(
    graph=worked.GRAPH,
    inputs={
        "input": [1.0, 1.0],
        "target": [0.5, 0.5, 0.5],
        "hidden_weights": [[0.5, 0.25], [0.5, 0.5]],
        "output_weights": [[0.5, 0.5]] * 3,
    },
    numbers=NUMBERS,
    shapes=shapes(tuple(worked.PLACES.values()), {**SIZES, **dict.fromkeys(NUMBERS)}),
    options={},
)
TASK = Task(
    starts={"float32": START, "float64": START},
    dtype="float32",
    options={"update": "parallel", "layout": "out_in"},
    output="output",
)
VALUES = {"update": ("parallel", "sequential"), "layout": ("out_in", "in_out"), "dtype": ("float32", "float64")}
SEQUENTIAL = (("update", "sequential"),)


def differing(*places):
    """Other values in these places at all three steps: element by element."""
    return {(step, name, element): OTHER for name, element in places for step in (1, 2, 3)}


GRADIENTS = differing(*(("grad_hidden_weights", element) for element in range(4)))  # twelve elements
SUMS = differing(*(("hidden_pre", element) for element in range(2)), ("loss", 0))  # nine


def black_box(changes=None, **words):
    """A trace whose outputs are those of its steps and of one more forward pass."""
    found = trace(changes, **words)
    rows = found.columns["output"].rows
    return with_last_output(found, rows[-1])


def with_last_output(found, row):
    """The trace with another output, or one at all, after the last update."""
    rows = (*found.columns["output"].rows[: found.cell.steps], row)
    whole = values.with_column(found.trajectory, "output", texts=tuple(text for each in rows for text in each))
    return replace(found, trajectory=whole)


def replayed(found, changes=None):
    """What `step` gives for each of `samples`: the trace itself but for `changes`."""
    steps = [{name: list(values[at]) for name, values in found.tensors} for at in range(len(found.trajectory.losses))]
    steps.append({"output": list(found.trajectory.predictions[-1])})
    for (step, name, place), value in (changes or {}).items():
        steps[step - 1][name][place] = value.hex()
    return steps


def answers(found, per_flips):
    """Ask all that is to be asked, with these changes for some flips and the unchanged A for all others."""
    asked = {}
    while wanted := to_try(asked, VALUES, TASK):
        for flips in wanted:
            changes = per_flips.get(flips, per_flips[()])
            asked[flips] = tried(found, None if changes is None else replayed(found, changes), TASK, same=False)
    return asked


def told_of(found, per_flips):
    return explanation_of(black_box(), found, answers(found, per_flips), TASK, replayed(black_box()))


def test_the_same_bits_are_no_difference() -> None:
    found = explanation_of(black_box(), black_box(), {}, TASK, None)
    assert (found.detected, found.explained) == (False, False)
    assert sentences(found) == ("every bit of every traced tensor is the same",)


def test_a_trace_in_another_dtype_or_with_another_prediction_differs() -> None:
    other = black_box()
    assert detected(black_box(), replace(other, cell=replace(other.cell, dtype="float64")))
    assert not detected(black_box(), other)
    assert detected(black_box(), with_last_output(other, (OTHER.hex(),) * 3))


def test_an_operation_is_told_with_all_its_steps() -> None:
    there = {(1, "hidden", 0): OTHER, (3, "hidden", 1): OTHER, (2, "loss", 0): OTHER}
    found = told_of(black_box({(1, "hidden", 0): 1.0}), {(): there})
    assert found.factors == ()
    assert found.operations == (Operation(tensor="hidden", steps=(1, 3)), Operation(tensor="loss", steps=(2,)))
    assert sentences(found)[1].startswith("hidden differs on the same inputs at steps 1, 3, by up to ")


def test_an_option_that_leaves_nothing_unexplained_is_the_cause() -> None:
    found = told_of(black_box({(1, "hidden", 0): 1.0}), {(): GRADIENTS, SEQUENTIAL: {}})
    assert (found.factors, found.operations, found.equals) == (SEQUENTIAL, (), ())


def test_an_option_and_what_it_leaves_are_both_told() -> None:
    flip = {(2, "output", 1): OTHER}
    found = told_of(black_box({(1, "hidden", 0): 1.0}), {(): GRADIENTS | flip, SEQUENTIAL: flip})
    assert found.factors == SEQUENTIAL
    assert found.operations == (Operation(tensor="output", steps=(2,)),)


def test_two_options_are_found_one_on_top_of_the_other() -> None:
    both = (("layout", "in_out"), *SEQUENTIAL)
    per_flips = {(): GRADIENTS | SUMS, SEQUENTIAL: SUMS, (("layout", "in_out"),): GRADIENTS, both: {}}
    assert told_of(black_box({(1, "hidden", 0): 1.0}), per_flips).factors == both


def test_an_option_that_makes_another_place_differ_is_no_cause() -> None:
    found = told_of(
        black_box({(1, "hidden", 0): 1.0}),
        {(): {(1, "hidden", 0): OTHER, (2, "hidden", 0): OTHER}, SEQUENTIAL: {(1, "loss", 0): OTHER}},
    )
    assert found.factors == ()
    assert found.operations == (Operation(tensor="hidden", steps=(1, 2)),)


def test_two_options_that_explain_the_same_are_both_told() -> None:
    layout = (("layout", "in_out"),)
    found = told_of(black_box({(1, "hidden", 0): 1.0}), {(): GRADIENTS, SEQUENTIAL: {}, layout: {}})
    assert (found.factors, found.equals) == (layout, (SEQUENTIAL,))


def test_an_option_that_makes_too_few_elements_equal_is_no_cause_and_is_said_with_their_number() -> None:
    near = math.nextafter(0.5, 1)
    few = dict.fromkeys(list(GRADIENTS)[:7], near)
    found = told_of(black_box({(1, "hidden", 0): 1.0}), {(): few, SEQUENTIAL: {}})
    assert (found.factors, found.by_chance) == ((), ((SEQUENTIAL, 7),))
    assert [operation.tensor for operation in found.operations] == ["grad_hidden_weights"]
    assert sentences(found)[-1] == (
        "update=sequential would explain more, which counts for 7 elements: so few agree by chance"
    )
    more = dict.fromkeys(list(GRADIENTS)[:8], near)
    assert told_of(black_box({(1, "hidden", 0): 1.0}), {(): more, SEQUENTIAL: {}}).factors == SEQUENTIAL


def test_one_element_that_is_far_off_is_worth_many_that_are_near() -> None:
    far = {next(iter(GRADIENTS)): OTHER}
    assert told_of(black_box({(1, "hidden", 0): 1.0}), {(): far, SEQUENTIAL: {}}).factors == SEQUENTIAL
    assert [worth((0.5).hex(), other.hex(), "float64") for other in (math.nextafter(0.5, 1), 0.5 + 2**-43, 1.0)] == [
        1,
        3,
        18,
    ]
    assert worth((0.5).hex(), (0.25).hex(), "float16") == 3
    assert worth("nan", (0.25).hex(), "float16") == 1


def test_another_number_of_steps_is_a_factor() -> None:
    found = told_of(black_box(steps=4), {(): {}})
    assert (found.factors, found.operations) == ((("steps", "4"),), ())


def test_weights_that_begin_otherwise_are_told_by_what_they_add_to_the_sum() -> None:
    # The first unit's weight is 0.25 more than A's own: so are its sum, of input 1, and the weight after the update.
    found = told_of(
        black_box({(1, "hidden", 0): 1.0}),
        {(): {(1, "hidden_pre", 0): 0.25, (1, "hidden_weights", 0): 0.25}},
    )
    assert (found.starts, found.operations) == (("hidden_weights",), ())


def test_a_sum_that_differs_by_something_else_is_an_operation_of_its_own() -> None:
    found = told_of(
        black_box({(1, "hidden", 0): 1.0}),
        {(): {(1, "hidden_pre", 0): 0.125, (1, "hidden_weights", 0): 0.25}},
    )
    assert found.starts == ()
    assert [each.tensor for each in found.operations] == ["hidden_pre", "hidden_weights"]


def test_of_a_tensor_that_a_cannot_compute_apart_nothing_is_told() -> None:
    found = black_box({(1, "hidden", 0): 1.0})
    asked = answers(found, {(): {(1, "hidden", 0): OTHER, (2, "loss", 0): OTHER}})
    own = replayed(black_box(), {(1, "hidden", 0): OTHER})
    told = explanation_of(black_box(), found, asked, TASK, own)
    assert told.untold == ("hidden",)
    assert [each.tensor for each in told.operations] == ["loss"]


def test_what_nothing_explains_is_said_unexplained() -> None:
    found = told_of(black_box({(1, "hidden", 0): 1.0}), {(): {}})
    assert (found.detected, found.explained) == (True, False)
    assert sentences(found)[1:] == ("unexplained: no option and no operation of a step explains it",)


def test_a_cell_that_cannot_be_computed_apart_is_explained_by_the_whole_cell_alone() -> None:
    found = black_box({(1, "hidden", 0): 1.0})
    asked = {(): tried(found, None, TASK, same=False), SEQUENTIAL: tried(found, None, TASK, same=True)}
    told = explanation_of(black_box(), found, asked, TASK, None)
    assert (told.factors, told.operations) == (SEQUENTIAL, ())


def test_the_last_prediction_is_compared_with_a_forward_pass_after_the_last_update() -> None:
    found = black_box()
    outputs = replayed(found)
    outputs[-1]["output"][0] = OTHER.hex()
    assert places(found, outputs, "output") == {("prediction", 4): 1}


def asked_once(found, outputs):
    """What came of A as it is."""
    return {(): tried(found, outputs, TASK, same=False)}


def after_one_step():
    """The hidden weights of the trace after its first step."""
    return text.rows(dict(black_box().tensors)["hidden_weights"][0], black_box().shape("hidden_weights"))


@pytest.mark.parametrize(("layout", "expected"), [("out_in", 0.25), ("in_out", 0.25), ("in_out_untransposed", 0.5)])
def test_the_first_step_begins_with_the_weights_as_the_layout_uses_them(layout: str, expected: float) -> None:
    inputs = {**START.inputs, "output_weights": [[0.5, 0.5], [0.5, 0.5]]}
    square = replace(TASK, starts={"float32": replace(START, inputs=inputs)})
    given = samples(black_box(), black_box(), square, (("layout", layout),))
    assert given[0]["hidden_weights"][0][1] == expected
    assert set(given[3]) == {*START.inputs, *NUMBERS}
    assert given[1]["hidden_weights"] == after_one_step()


def test_the_first_step_is_asked_again_from_transposed_matrices_and_from_those_after_a_step_of_a() -> None:
    given = samples(black_box(), black_box({(1, "hidden", 0): OTHER}), TASK, ())
    asked, transposed, later = given[0], *given[4:]
    assert [given[0]["hidden_weights"][0][1], transposed["hidden_weights"][0][1]] == [0.25, 0.5]
    assert transposed["output_weights"] == asked["output_weights"]  # not square
    assert later["hidden_weights"] == after_one_step()
    for other in (transposed, later):
        assert {name for name in asked if asked[name] != other[name]} <= {"hidden_weights", "output_weights"}


def test_where_the_layout_turns_inputs_weights_of_a_after_a_step_are_tried_as_inputs_too() -> None:
    own = black_box({(1, "hidden_weights", 1): OTHER})
    given = samples(own, black_box({(1, "hidden", 0): OTHER}), TASK, (("layout", "in_out_untransposed"),))
    later, as_input = given[5:]
    assert (later["hidden_weights"][0][1], as_input["hidden_weights"][1][0]) == (OTHER, OTHER)
    assert as_input["hidden_weights"][0][1] != OTHER
    assert as_input["output_weights"] == later["output_weights"]  # not square


def test_from_weights_in_another_dtype_than_a_has_no_step_is_asked() -> None:
    assert len(samples(black_box(), black_box(), TASK, (("dtype", "float64"),))) == 5


def other_beginning(found, changes):
    """What `step` gives from another beginning: the trace itself but for `changes` of its first step."""
    return [*replayed(found, FROM_THE_START), replayed(found, changes)[0]]


FROM_THE_START = {(1, "hidden_pre", 0): 0.125, (1, "hidden_weights", 0): 0.25, (2, "hidden_weights", 0): 0.25}


def test_weights_that_begin_as_another_beginning_does_are_told_beside_a_wrong_update() -> None:
    found = black_box({(1, "hidden", 0): 1.0})
    value = float.fromhex(dict(found.tensors)["hidden_weights"][0][0])
    outputs = other_beginning(found, {(1, "hidden_weights", 0): value + 2**-10})
    told = explanation_of(
        black_box(), found, {(): tried(found, outputs, TASK, same=False)}, TASK, replayed(black_box())
    )
    assert told.starts == ("hidden_weights",)
    assert told.operations == (Operation(tensor="hidden_weights", steps=(1, 2)),)


def test_a_beginning_that_leads_to_weights_further_from_theirs_is_not_told() -> None:
    found = black_box({(1, "hidden", 0): 1.0})
    outputs = other_beginning(found, {(1, "hidden_weights", 0): 4.0})
    told = explanation_of(
        black_box(), found, {(): tried(found, outputs, TASK, same=False)}, TASK, replayed(black_box())
    )
    assert told.starts == ()


def test_a_beginning_explains_no_more_of_the_first_step_than_has_its_bits() -> None:
    found = black_box({(1, "hidden", 0): 1.0})
    changes = {(1, "output_pre", 0): OTHER, (1, "output_weights", 0): OTHER, (1, "grad_hidden_weights", 0): OTHER}
    for same, left in (({}, ()), ({(1, "grad_hidden_weights", 0): 0.125}, (("grad_hidden_weights", (1,)),))):
        outputs = [*replayed(found, changes), replayed(found, same)[0]]
        told = explanation_of(
            black_box(), found, {(): tried(found, outputs, TASK, same=False)}, TASK, replayed(black_box())
        )
        assert told.starts == ("output_weights",)
        assert tuple((each.tensor, each.steps) for each in told.operations) == left
