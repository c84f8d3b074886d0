"""Whole trajectories at once give what the exact scalar definitions give one by one."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from repromatrix.compare import arrays, exact
from repromatrix.floats import FORMS

ANY = st.lists(st.floats(), min_size=1, max_size=12)
NEAR = st.lists(st.tuples(st.floats(-1e3, 1e3), st.integers(-3, 3)), min_size=1, max_size=12)
DTYPES = st.sampled_from(sorted(FORMS))


@given(ANY, ANY, DTYPES)
def test_bits_and_ulps_are_the_scalar_ones(a, b, dtype):
    count = min(len(a), len(b))
    left, right = arrays.values(a[:count]), arrays.values(b[:count])
    assert arrays.same_bits(left, right).tolist() == [exact.same_bits(x, y) for x, y in zip(a, b, strict=False)]
    found = arrays.ulps(left, right, dtype).tolist()
    for x, y, ulps in zip(a, b, found, strict=False):
        expected = exact.ulps(x, y, dtype)
        assert expected is None or ulps == expected


@given(ANY, DTYPES)
def test_a_trajectory_is_at_distance_zero_from_itself(losses, dtype):
    found = arrays.measure(arrays.values(losses), arrays.values(losses), dtype)
    assert (found.first_difference, found.max_abs, found.max_rel, found.max_ulp) == (None, 0.0, 0.0, 0)
    assert (found.scaled, found.digits, found.growth) == (0.0, None, None)


@given(ANY, ANY, DTYPES)
def test_a_measure_is_symmetric(a, b, dtype):
    left, right = arrays.values(a), arrays.values(b)
    assert arrays.measure(left, right, dtype) == arrays.measure(right, left, dtype)


@given(NEAR, DTYPES)
def test_more_steps_never_lower_a_maximum(pairs, dtype):
    a = arrays.values([value for value, _ in pairs])
    b = arrays.values([value + shift / 8 for value, shift in pairs])
    parts = [arrays.measure(a[:count], b[:count], dtype) for count in range(1, len(pairs) + 1)]
    for name in ("max_abs", "max_rel", "max_ulp"):
        series = [getattr(each, name) for each in parts]
        assert series == sorted(series)


@given(NEAR)
def test_maxima_are_those_of_exact_arithmetic(pairs):
    a = [value for value, _ in pairs]
    b = [value + shift / 8 for value, shift in pairs]
    found = arrays.measure(arrays.values(a), arrays.values(b), "float64")
    distances = [abs(Fraction(x) - Fraction(y)) for x, y in zip(a, b, strict=True)]
    assert found.max_abs == float(max(distances))
    relative = [d / max(abs(Fraction(x)), abs(Fraction(y))) for d, x, y in zip(distances, a, b, strict=True) if d]
    assert found.max_rel == pytest.approx(float(max(relative, default=0)), rel=1e-15, abs=0)


def test_near_zero_many_ulps_are_a_small_share_of_the_tensor():
    found = arrays.measure(arrays.values([1.0, 1e-9]), arrays.values([1.0, 1.01e-9]), "float32")
    assert found.max_ulp > 50_000
    assert found.scaled == pytest.approx(1e-11)


def test_growth_is_the_largest_over_the_first_difference_and_digits_those_in_common():
    found = arrays.measure(arrays.values([1.0, 1.0, 1.0]), arrays.values([1.0, 1.25, 2.0]), "float64")
    assert (found.first_difference, found.growth) == (2, 4.0)
    assert found.digits == pytest.approx(-math.log10(0.5))


def test_the_sign_of_zero_is_a_difference_without_a_distance():
    found = arrays.measure(arrays.values([0.0]), arrays.values([-0.0]), "float32")
    assert (found.first_difference, found.max_abs, found.max_ulp, found.growth) == (1, 0.0, 0, None)


@pytest.mark.parametrize("other", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_on_one_side_only_has_no_maximum(other):
    found = arrays.measure(arrays.values([1.0, 2.0, 3.0]), arrays.values([1.5, other, 3.0]), "float32")
    assert (found.first_difference, found.unmeasured, found.max_abs, found.max_ulp) == (1, 2, None, None)


def test_the_distance_of_opposite_ends_does_not_overflow():
    largest = float(np.finfo(np.float64).max)
    found = arrays.measure(arrays.values([largest]), arrays.values([-largest]), "float64")
    assert found.max_ulp == 2 * (FORMS["float64"].infinity - 1)


def test_no_common_step_measures_nothing():
    found = arrays.measure(arrays.values([]), arrays.values([1.0]), "float64")
    assert (found.steps, found.first_difference, found.max_abs) == (0, None, None)
