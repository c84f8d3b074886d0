"""Numbers of samples become bits of a dtype as a cell's own inputs do: rounded once, ties to even."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from repromatrix.operations import soft

EDGES = [
    0.0,
    -0.0,
    float("inf"),
    float("-inf"),
    65519.9,
    65520.0,
    -1e-50,
    3.4028235677973366e38,
    1 + 2.0**-24,
    1 + 2.0**-8,
]


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16", "bfloat16"])
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(numbers=st.lists(st.floats(allow_nan=False), max_size=20))
def test_numbers_that_a_dtype_lacks_are_rounded_to_the_nearest(harness, dtype, numbers):
    numbers = numbers + EDGES
    found = harness.values.numbers(dtype, harness.replay.packed(numbers, dtype))
    due = soft.round_to(np.array(numbers), dtype).tolist()
    assert [value.hex() for value in found] == [value.hex() for value in due]


def test_what_is_no_number_stays_so(harness):
    for dtype in harness.replay.FORMS:
        (found,) = harness.values.numbers(dtype, harness.replay.packed([float("nan")], dtype))
        assert found != found  # noqa: PLR0124 - only NaN is
