"""Every operation on arrays is held against exact fractions: rounded once, subnormals, overflow and zeros included."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from repromatrix import floats
from repromatrix.operations import soft
from tests.operations.rounding import rounded

DTYPES = sorted(floats.FORMS)


@st.composite
def operands(draw, count):
    """Values of one dtype: of any size, or near each other's so that sums cancel and products are halfway cases."""
    dtype = draw(st.sampled_from(DTYPES))
    form = floats.FORMS[dtype]
    anywhere = st.integers(1 - form.infinity, form.infinity - 1)
    one = floats.ordinal(1.0, dtype)
    near = st.integers(one - (4 << form.precision), one + (4 << form.precision))
    places = st.one_of(anywhere, near, near.map(lambda n: -n), st.integers(-40, 40))
    return dtype, [floats.at(max(min(draw(places), form.infinity), -form.infinity), dtype) for _ in range(count)]


def check(found, exact, dtype):
    """Bits, the sign of zero aside (it is checked against the machine's own below)."""
    assert float(found) == rounded(exact, dtype)


@settings(max_examples=400, deadline=None)
@given(operands(2))
def test_a_sum_a_difference_and_a_product_are_rounded_once(given_values):
    dtype, (a, b) = given_values
    check(soft.add(a, b, dtype), Fraction(a) + Fraction(b), dtype)
    check(soft.sub(a, b, dtype), Fraction(a) - Fraction(b), dtype)
    check(soft.mul(a, b, dtype), Fraction(a) * Fraction(b), dtype)


@settings(max_examples=400, deadline=None)
@given(operands(2).filter(lambda each: each[1][1] != 0))
def test_a_quotient_is_rounded_once(given_values):
    dtype, (a, b) = given_values
    check(soft.div(a, b, dtype), Fraction(a) / Fraction(b), dtype)


@settings(max_examples=800, deadline=None)
@given(operands(3))
def test_a_fused_multiply_add_is_rounded_once(given_values):
    dtype, (a, b, c) = given_values
    check(soft.fma(a, b, c, dtype), Fraction(a) * Fraction(b) + Fraction(c), dtype)


@settings(max_examples=400, deadline=None)
@given(operands(2))
def test_a_fused_multiply_add_leaves_the_error_of_a_product(given_values):
    # The hardest sum: everything cancels but the last bits.
    dtype, (a, b) = given_values
    product = float(soft.mul(a, b, dtype))
    if math.isfinite(product):
        check(soft.fma(a, b, -product, dtype), Fraction(a) * Fraction(b) - Fraction(product), dtype)


@settings(max_examples=400, deadline=None)
@given(st.sampled_from(DTYPES), st.integers(0, 200), st.integers(0, 200), st.integers(-3, 3))
def test_a_sum_halfway_between_two_values_is_moved_by_the_least_term(dtype, up, down, sign):
    # 1 + half an ulp + a term far too small for float64: rounding twice would tie to even.
    half = 2.0 ** -floats.FORMS[dtype].precision
    odd = floats.at(floats.ordinal(1.0, dtype) + up, dtype)
    exact = Fraction(odd) + Fraction(half) + Fraction(sign) * Fraction(2) ** (-60 - down)
    low = float(sign) * 2.0 ** (-60 - down)
    if dtype != "float64":
        check(soft.round_sum(odd + half, low, dtype), exact, dtype)


@settings(max_examples=600, deadline=None)
@given(st.sampled_from(DTYPES), st.floats(allow_nan=False, allow_infinity=False))
def test_any_float64_is_rounded_once_to_a_dtype(dtype, value):
    check(soft.round_to(value, dtype), Fraction(value), dtype)


@settings(max_examples=600, deadline=None)
@given(st.sampled_from(DTYPES), st.data())
def test_the_middle_of_two_neighbours_goes_to_the_even_one(dtype, data):
    if dtype == "float64":
        return
    place = data.draw(st.integers(0, floats.FORMS[dtype].infinity - 2))
    a, b = (Fraction(floats.at(place + step, dtype)) for step in (0, 1))
    check(soft.round_to(float((a + b) / 2), dtype), (a + b) / 2, dtype)


@settings(max_examples=300, deadline=None)
@given(operands(1), st.integers(-400, 400))
def test_scaling_by_a_power_of_two_is_rounded_once(given_values, exponent):
    dtype, (a,) = given_values
    check(soft.scale(a, exponent, dtype), Fraction(a) * Fraction(2) ** exponent, dtype)


SPECIAL = [0.0, -0.0, 1.0, -1.0, math.inf, -math.inf, math.nan, 2.0**-149, -(2.0**-149), 2.0**127, -(2.0**127)]


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_zeros_infinities_and_nan_are_those_of_the_machine(dtype):
    kind = np.dtype(dtype).type
    a, b = (np.array(each, kind) for each in np.meshgrid(SPECIAL, SPECIAL))
    with np.errstate(all="ignore"):
        pairs = [
            (soft.add(a, b, dtype), a + b),
            (soft.sub(a, b, dtype), a - b),
            (soft.mul(a, b, dtype), a * b),
            (soft.div(a, b, dtype), a / b),
        ]
    for found, native in pairs:
        assert soft.same(found, native.astype(np.float64)).all()


FUSED = [
    (math.inf, 0.0, 1.0, math.nan),
    (math.inf, 1.0, -math.inf, math.nan),
    (math.inf, 1.0, 1.0, math.inf),
    (math.inf, math.inf, math.nan, math.nan),
    (1.0, 1.0, -math.inf, -math.inf),
    (1.0, 1.0, -1.0, 0.0),
    (-1.0, 0.0, -0.0, -0.0),
    (-1.0, 0.0, 0.0, 0.0),
    (0.0, 5.0, -0.0, 0.0),
    (0.0, 5.0, 3.0, 3.0),
    (math.nan, 1.0, 1.0, math.nan),
]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("a", "b", "c", "expected"), FUSED)
def test_a_fused_multiply_add_of_special_values(dtype, a, b, c, expected):
    assert soft.same(soft.fma(a, b, c, dtype), expected)


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_product_that_overflows_may_come_back_by_the_sum(dtype):
    largest = floats.at(floats.FORMS[dtype].infinity - 1, dtype)
    assert soft.fma(largest, 2.0, -largest, dtype) == largest
    assert soft.fma(largest, 2.0, -math.inf, dtype) == -math.inf
    assert soft.fma(largest, largest, 1.0, dtype) == math.inf
    assert soft.fma(largest, -largest, 1.0, dtype) == -math.inf


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_tiny_product_underflows_with_its_sign(dtype):
    least = floats.at(1, dtype)
    assert soft.same(soft.fma(-least, least, 0.0, dtype), -0.0)
    assert soft.same(soft.mul(-least, least, dtype), -0.0)


def test_integers_are_the_nearest_ones():
    values = [0.5, 1.5, -0.5, -2.5, 2.7, -2.7]
    assert soft.to_int(values).tolist() == [0, 2, 0, -2, 3, -3]


def test_the_two_zeros_have_other_bits_and_every_nan_the_same():
    assert soft.same([0.0, math.nan, 1.0], [-0.0, -math.nan, 1.0]).tolist() == [False, True, True]


def test_arrays_of_any_shape_are_worked_on_at_once():
    a = np.linspace(-1, 1, 24).reshape(2, 3, 4)
    found = soft.fma(a, a[:, :1], 2.0**-70, "float64")
    expected = [
        rounded(Fraction(float(x)) * Fraction(float(y)) + Fraction(2) ** -70, "float64")
        for x, y in zip(a.ravel(), np.broadcast_to(a[:, :1], a.shape).ravel(), strict=True)
    ]
    assert found.ravel().tolist() == expected
