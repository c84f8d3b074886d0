"""Correct results are those of exact fractions and of long decimals; distances are counted from the truth."""

import math
from decimal import Decimal, localcontext
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from repromatrix import floats
from repromatrix.operations import fresh, truth
from repromatrix.operations.form import Constants
from tests.operations.rounding import rounded

DTYPES = st.sampled_from(sorted(floats.FORMS))
HALF, MEAN = Constants(numbers=(("rate", 0.1),)), Constants(numbers=(("rate", 0.1),), loss_form="mean")
RATIONAL = {
    "product": ({"W": (2, 3), "v": (3,)},
                lambda i, _: [sum(w * v for w, v in zip(row, i["v"], strict=True)) for row in i["W"]]),
    "bias": ({"p": (2,), "b": (2,)}, lambda i, _: [p + b for p, b in zip(i["p"], i["b"], strict=True)]),
    "loss": ({"o": (3,), "t": (3,)},
             lambda i, mean: [sum((t - o) ** 2 for t, o in zip(i["t"], i["o"], strict=True)) / (3 if mean else 2)]),
    "error": ({"o": (3,), "t": (3,)},
              lambda i, mean: [(o - t) * (Fraction(2, 3) if mean else 1) for t, o in zip(i["t"], i["o"], strict=True)]),
    "sigmoid_gradient": ({"z": (2,), "a": (2,), "e": (2,)},
                         lambda i, _: [e * a * (1 - a) for a, e in zip(i["a"], i["e"], strict=True)]),
    "outer": ({"d": (2,), "v": (3,)}, lambda i, _: [d * v for d in i["d"] for v in i["v"]]),
    "back": ({"W": (2, 3), "d": (2,)},
             lambda i, _: [sum(i["W"][r][c] * i["d"][r] for r in range(2)) for c in range(3)]),
    "update": ({"W": (2, 2), "g": (2, 2)},
               lambda i, _: [i["W"][r][c] - Fraction(0.1) * i["g"][r][c] for r in range(2) for c in range(2)]),
}  # fmt: skip


def exact(tensor):
    return [exact(each) for each in tensor] if isinstance(tensor, list) else Fraction(tensor)


@st.composite
def calls(draw):
    """A rational operation, a dtype, and inputs of any size that the dtype has."""
    operation, dtype = draw(st.sampled_from(sorted(RATIONAL))), draw(DTYPES)
    infinity = floats.FORMS[dtype].infinity
    one = floats.ordinal(1.0, dtype)
    place = st.one_of(st.integers(1 - infinity, infinity - 1), st.integers(one - 99, one + 99), st.integers(-9, 9))
    value = place.map(lambda each: floats.at(each, dtype))

    def tensor(shape):
        return [tensor(shape[1:]) if shape[1:] else draw(value) for _ in range(shape[0])]

    shapes, result = RATIONAL[operation]
    return operation, dtype, {name: tensor(shape) for name, shape in shapes.items()}, result


@settings(max_examples=300, deadline=None)
@given(calls(), st.booleans())
def test_a_rational_operation_is_rounded_as_the_exact_fraction_is(call, mean):
    operation, dtype, sample, result = call
    expected = [rounded(each, dtype) for each in result({name: exact(each) for name, each in sample.items()}, mean)]
    assert list(truth.correct(operation, sample, dtype, MEAN if mean else HALF)) == expected


@settings(max_examples=300, deadline=None)
@given(DTYPES, st.floats(-30, 30))
def test_a_sigmoid_is_rounded_as_a_long_decimal_is(dtype, number):
    z = floats.at(floats.ordinal(number, dtype), dtype)
    with localcontext() as context:
        context.prec = 80
        expected = 1 / (1 + (-Decimal(z)).exp())
    assert truth.sigmoid(z, dtype) == floats.nearest(format(expected, "f"), dtype)


@pytest.mark.parametrize(("z", "expected"), [(0.0, 0.5), (1e5, 1.0), (-1e5, 0.0), (1.5e308, 1.0), (-1.5e308, 0.0)])
def test_a_sigmoid_far_out_and_in_the_middle_is_known(z, expected):
    assert truth.sigmoid(z, "float64") == expected


@settings(max_examples=200, deadline=None)
@given(calls())
def test_a_correct_result_lies_within_half_a_unit_and_its_neighbour_beyond(call):
    operation, dtype, sample, result = call
    correct = truth.correct(operation, sample, dtype, HALF)
    largest = floats.at(floats.FORMS[dtype].infinity - 2, dtype)
    if any(abs(each) >= largest for each in correct):
        return
    up = [floats.at(floats.ordinal(each, dtype) + 1, dtype) for each in correct]
    assert all(off <= 0.5 for off in truth.ulps(operation, sample, correct, dtype, HALF))
    true = result({name: exact(each) for name, each in sample.items()}, False)
    for off, above, value in zip(truth.ulps(operation, sample, up, dtype, HALF), up, true, strict=True):
        unit = Fraction(floats.ulp(rounded(value, dtype), dtype))
        assert off == pytest.approx(float(abs(Fraction(above) - value) / unit), rel=1e-14)


@pytest.mark.parametrize("dtype", sorted(floats.FORMS))
@pytest.mark.parametrize("operation", sorted({*RATIONAL, "sigmoid"}))
def test_the_truths_of_many_calls_are_those_of_each(operation, dtype):
    samples = fresh.samples(operation, dtype)[:20]
    correct = [truth.correct(operation, each, dtype, MEAN) for each in samples]
    for step in (0, 1, -3):
        values = [[floats.at(floats.ordinal(each, dtype) + step, dtype) for each in row] for row in correct]
        found = truth.truths(operation, samples, dtype, MEAN).distances(values)
        expected = [truth.ulps(operation, each, row, dtype, MEAN) for each, row in zip(samples, values, strict=True)]
        assert found == pytest.approx(np.array(expected), rel=1e-13)
    assert truth.truths(operation, samples, dtype, MEAN).correct.tolist() == [list(each) for each in correct]


def test_a_truth_past_the_largest_value_is_far_from_it_and_infinity_is_infinitely_far():
    largest = floats.at(floats.FORMS["float16"].infinity - 1, "float16")
    found = truth.truths("bias", [{"p": [largest] * 3, "b": [largest] * 3}], "float16", HALF)
    assert found.distances([[largest, math.inf, -math.inf]]).tolist() == [[largest / 32, math.inf, math.inf]]


def test_what_is_correct_is_counted_and_the_largest_distance_told():
    found = truth.truths("bias", [{"p": [1.0, 1.0], "b": [2.0**-25, 0.0]}] * 2, "float32", HALF)
    assert found.measured([[1.0, 1.0], [1.0, 1.0]]) == (4, 0.25)
    assert found.measured([[1.0, 1.0], [1.0, 1 + 2.0**-23]]) == (3, 1.0)
    assert found.measured([[math.nan, 1.0], [1.0, 1.0]]) == (3, math.inf)


def test_a_distance_of_what_is_no_number_is_none_either():
    off = truth.ulps("bias", {"p": [1.0, 1.0, 1.0], "b": [0.0] * 3}, [math.inf, -math.inf, math.nan], "float32", HALF)
    assert off[:2] == (math.inf, math.inf)
    assert math.isnan(off[2])


def test_a_unit_above_the_largest_value_is_that_below_it():
    largest = floats.at(floats.FORMS["float16"].infinity - 1, "float16")
    assert truth.ulps("bias", {"p": [largest], "b": [largest]}, [largest], "float16", HALF) == (largest / 32,)


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan])
def test_what_is_infinite_has_no_true_result(value):
    with pytest.raises(ValueError, match="not finite"):
        truth.correct("bias", {"p": [value], "b": [0.0]}, "float64", HALF)


@pytest.mark.parametrize(("z", "off"), [(0.0, 0.5), (100.0, 0.5)])
def test_a_sigmoid_that_is_a_value_is_half_a_unit_from_the_middle(z, off):
    assert truth.off_middle(z, "float32") == pytest.approx(off)
