"""From a trace to the operations of its steps: what each took gives what it gave."""

import dataclasses

import pytest

from repromatrix.graph import shapes
from repromatrix.operations import soft, text, wiring
from repromatrix.operations.catalogue import CATALOGUE, OWN_SIGMOID, Constants
from repromatrix.operations.forms import forms
from repromatrix.results.record import Description
from repromatrix.results.trace import Trace
from repromatrix.results.value import Trajectory
from tests import values, worked
from tests.worked import PLACES, TENSORS

DTYPE = "float32"


# Three inputs, two hidden units, one output: no two shapes are the same.
INPUTS = {
    "input": [0.05, 0.10, -0.7],
    "target": [0.99],
    "hidden_weights": [[0.15, 0.20, 0.3], [0.25, 0.30, -0.1]],
    "output_weights": [[0.40, 0.45]],
}
NUMBERS = {"hidden_bias": 0.35, "output_bias": 0.60}
PARALLEL, SEQUENTIAL = worked.PLACES, worked.SEQUENTIAL
SHAPES = {"input": (3,), "target": (1,), "hidden_weights": (2, 3), "output_weights": (1, 2)}
SHAPES = shapes(tuple(PARALLEL.values()), {**SHAPES, **dict.fromkeys(NUMBERS)})


def rounded(entry):
    return [rounded(each) for each in entry] if isinstance(entry, list) else float(soft.round_to(entry, DTYPE))


START = wiring.Start(
    graph=worked.GRAPH,
    inputs={name: rounded(entry) for name, entry in INPUTS.items()},
    numbers={name: rounded(number) for name, number in NUMBERS.items()},
    shapes=SHAPES,
    options={},
)
GIVEN = ("hidden_pre", "hidden", "output_pre", "output", "grad_output_weights", "grad_hidden_weights")
NEW_OUTPUT_WEIGHTS = "output_weights'"


def run(operation, inputs):
    """An operation as some environment computes it, laid flat."""
    found = forms(operation, DTYPE)[0].evaluate(text.stacked([inputs]), DTYPE, Constants(numbers=(("rate", 0.3),)))
    return [float(each) for each in found.reshape(-1)]


def step(sample, setup):
    """What `step` gives for a sample; written out by hand, so that it shares no wiring with the code."""
    x, t = sample["input"], sample["target"]
    b1, b2 = [sample["hidden_bias"]] * 2, [sample["output_bias"]]
    w1, w2 = sample["hidden_weights"], sample["output_weights"]
    out = {}

    def put(place, operation, **inputs):
        out[place] = run(operation, inputs)
        return sample.get(place, out[place]) if place in GIVEN else out[place]

    def rows(flat, width):
        return [flat[start : start + width] for start in range(0, len(flat), width)]

    z1 = put("hidden_pre", "bias", p=put("hidden_product", "product", W=w1, v=x), b=b1)
    h = put("hidden", "sigmoid", z=z1)
    z2 = put("output_pre", "bias", p=put("output_product", "product", W=w2, v=h), b=b2)
    o = put("output", "sigmoid", z=z2)
    put("loss", "loss", o=o, t=t)
    d2 = put("output_delta", "sigmoid_gradient", z=z2, a=o, e=put("output_error", "error", o=o, t=t))
    g2 = put("grad_output_weights", "outer", d=d2, v=h)
    new = put("output_weights", "update", W=w2, g=g2 if isinstance(g2[0], list) else rows(g2, 2))
    seen = sample.get(NEW_OUTPUT_WEIGHTS, rows(new, 2)) if setup is SEQUENTIAL else w2
    e1 = put("hidden_error", "back", W=seen, d=d2)
    g1 = put("grad_hidden_weights", "outer", d=put("hidden_delta", "sigmoid_gradient", z=z1, a=h, e=e1), v=x)
    put("hidden_weights", "update", W=w1, g=g1 if isinstance(g1[0], list) else rows(g1, 3))
    return {place: [each.hex() for each in out[place]] for place in PLACES}


def trained(setup, steps=3):
    """A trace of a few steps."""
    given = wiring.begun(START)
    weights = [given["hidden_weights"], given["output_weights"]]
    found = []
    for _ in range(steps):
        out = step(given | {"hidden_weights": weights[0], "output_weights": weights[1]}, setup)
        found.append(out)
        weights = [text.rows(out["hidden_weights"], (2, 3)), text.rows(out["output_weights"], (1, 2))]
    cell = Description(
        id="c", workload="w", framework="f", version="1", flavour="cpu", python="3.11", environment="e", variant="v",
        dtype=DTYPE, options=(), device="cpu", settings="default", steps=steps, task="d4" * 32, code="e5" * 32,
    )  # fmt: skip
    last = values.trajectory([out["loss"][0] for out in found], hidden=weights[0], output=weights[1], dtype=DTYPE)
    told, sizes = {name: [out[name] for out in found] for name in TENSORS}, {name: SHAPES[name] for name in TENSORS}
    return Trace(cell=cell, key="k", trajectory=values.traced(last, told, sizes), untraced=())


def without(trace, *names):
    columns = tuple(each for each in trace.trajectory.columns if each.name not in names)
    return dataclasses.replace(trace, trajectory=Trajectory(columns=columns))


@pytest.mark.parametrize("setup", [PARALLEL, SEQUENTIAL], ids=["parallel", "sequential"])
@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_step_of_a_trace_gives_that_step_again(setup, number):
    trace = trained(setup)
    out = step(wiring.step_sample(trace, number, START), setup)
    assert {name: tuple(out[name]) for name in TENSORS} == {name: each[number - 1] for name, each in trace.tensors}


@pytest.mark.parametrize("setup", [PARALLEL, SEQUENTIAL], ids=["parallel", "sequential"])
@pytest.mark.parametrize("left_out", [(), ("hidden_pre", "output_pre"), ("output", "grad_output_weights")])
@pytest.mark.parametrize("place", PLACES)
def test_what_a_place_took_gives_what_it_gave(place, left_out, setup):
    # A foreign trace: its tensors are not those that this environment would have computed.
    sample = wiring.step_sample(without(trained(PARALLEL), *left_out), 2, START)
    sample = {name: _moved(tensor) if name in GIVEN else tensor for name, tensor in sample.items()}
    out = step(sample, setup)
    inputs = wiring.inputs_at(setup[place], sample, out, SHAPES)
    assert inputs is not None
    operation = PLACES[place].operation
    assert set(inputs) - {OWN_SIGMOID} == set(CATALOGUE[operation].takes)
    assert [each.hex() for each in run(operation, inputs)] == out[place]


def _moved(tensor):
    return [_moved(each) for each in tensor] if isinstance(tensor, list) else tensor * 1.25


def test_the_hidden_gradient_sees_the_new_weights_only_in_a_sequential_update():
    sample = wiring.step_sample(trained(PARALLEL), 2, START)
    out = step(sample, PARALLEL)
    assert wiring.inputs_at(PARALLEL["hidden_error"], sample, out, SHAPES)["W"] == sample["output_weights"]
    assert wiring.inputs_at(SEQUENTIAL["hidden_error"], sample, out, SHAPES)["W"] == sample[NEW_OUTPUT_WEIGHTS]
    assert sample["output_weights"] != sample[NEW_OUTPUT_WEIGHTS]
    del sample[NEW_OUTPUT_WEIGHTS]
    own = text.rows(out["output_weights"], (1, 2))
    assert wiring.inputs_at(SEQUENTIAL["hidden_error"], sample, out, SHAPES)["W"] == own


def test_an_environments_own_sigmoid_comes_with_the_inputs_of_its_gradient():
    sample = wiring.step_sample(trained(PARALLEL), 2, START)
    sample["hidden"] = _moved(sample["hidden"])
    out = step(sample, PARALLEL)
    inputs = wiring.inputs_at(PARALLEL["hidden_delta"], sample, out, SHAPES)
    assert inputs["a"] == sample["hidden"]
    assert inputs[OWN_SIGMOID] == text.flat(out["hidden"]) != inputs["a"]


def test_inputs_that_nobody_knows_are_none():
    sample = wiring.step_sample(without(trained(PARALLEL), "hidden_pre"), 2, START)
    out = step(sample, PARALLEL)
    del out["hidden_pre"], out["output_product"]
    assert wiring.inputs_at(PARALLEL["hidden"], sample, out, SHAPES) is None
    assert wiring.inputs_at(PARALLEL["output_pre"], sample, out, SHAPES) is None
    assert wiring.inputs_at(PARALLEL["output"], sample, out, SHAPES) is not None


@pytest.mark.parametrize("number", [0, 4, -1])
def test_a_step_that_the_trace_has_not_is_refused(number):
    with pytest.raises(IndexError, match=f"no step {number}"):
        wiring.step_sample(trained(PARALLEL), number, START)


def test_the_first_step_starts_from_the_workload_as_entrypoints_read_it():
    sample = wiring.step_sample(trained(PARALLEL), 1, START)
    assert sample["output_weights"] == [[0.4000000059604645, 0.44999998807907104]]
