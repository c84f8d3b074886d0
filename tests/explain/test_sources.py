"""Where a replayed step differs on the same inputs."""

import pytest

from repromatrix.explain.judge.sources import Source, firsts, sources
from tests.compare.test_trace import trace
from tests.worked import TENSORS

HALF, OTHER = (0.5).hex(), (0.75).hex()


def replayed(found, changes=None, *, without=()):
    """What `step` gives on a trace: the trace itself but for `changes`, with places that no trace has."""
    steps = []
    for step in range(len(found.trajectory.losses)):
        out = {name: list(values[step]) for name, values in found.tensors if name not in without}
        steps.append(out | {"hidden_product": ["0x0.0p+0", "0x0.0p+0"]})
    for (step, name, place), text in (changes or {}).items():
        steps[step - 1][name][place] = text
    return steps


def test_a_step_that_gives_the_trace_back_has_no_source() -> None:
    assert sources(trace(), replayed(trace())) == ()


def test_each_element_that_differs_is_a_source_in_the_order_of_the_computation() -> None:
    changes = {(2, "hidden", 1): OTHER, (1, "output_weights", 5): OTHER, (2, "hidden_pre", 0): OTHER}
    found = sources(trace(), replayed(trace(), changes))
    assert found == (
        Source(step=1, tensor="output_weights", element=(2, 1), expected=HALF, found=OTHER),
        Source(step=2, tensor="hidden_pre", element=(0,), expected=HALF, found=OTHER),
        Source(step=2, tensor="hidden", element=(1,), expected=HALF, found=OTHER),
    )


def test_the_first_of_each_tensor_comes_in_the_order_of_the_tensors() -> None:
    changes = {(2, "hidden", 1): OTHER, (3, "hidden", 0): OTHER, (1, "loss", 0): OTHER}
    found = firsts(sources(trace(), replayed(trace(), changes)), TENSORS)
    assert {name: (each.step, each.element) for name, each in found.items()} == {"hidden": (2, (1,)), "loss": (1, ())}
    assert list(found) == sorted(found, key=TENSORS.index)


def test_the_sign_of_zero_counts_and_nan_is_one_value() -> None:
    given = trace({(1, "loss", 0): float("nan"), (1, "hidden", 0): 0.0})
    (found,) = sources(given, replayed(given, {(1, "loss", 0): "nan", (1, "hidden", 0): "-0x0.0p+0"}))
    assert (found.expected, found.found) == ("0x0.0p+0", "-0x0.0p+0")


@pytest.mark.parametrize("name", [name for name in TENSORS if name != "loss"])  # a metric is always there
def test_a_tensor_that_one_of_them_lacks_is_not_compared(name: str) -> None:
    assert sources(trace(missing=(name,)), replayed(trace(), {(1, name, 0): OTHER})) == ()
    assert sources(trace(), replayed(trace(), without=(name,))) == ()


def test_other_shapes_or_steps_are_refused() -> None:
    outputs = replayed(trace())
    with pytest.raises(ValueError, match="outputs of 2 steps from 1 on for a trace of 3"):
        sources(trace(), outputs[1:])
    outputs[1]["output"].append(HALF)
    with pytest.raises(ValueError, match="output of step 2 has 4 values, the trace has 3"):
        sources(trace(), outputs)
