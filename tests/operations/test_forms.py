"""A form computes what its name says, step by step; every form of an operation comes near the truth."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from repromatrix import floats
from repromatrix.operations import gradients, soft, truth
from repromatrix.operations.catalogue import OWN_SIGMOID
from repromatrix.operations.form import Constants
from repromatrix.operations.forms import forms
from repromatrix.operations.text import stacked
from tests import worked

DTYPES = sorted(floats.FORMS)
CONSTANTS = Constants(numbers=(("rate", 0.1),))
MEAN = Constants(numbers=(("rate", 0.1),), loss_form="mean")


def form(operation, dtype, name):
    return next(each for each in forms(operation, dtype) if each.name == name)


def value(operation, dtype, name, constants=CONSTANTS, **inputs):
    """What a form gives for one call."""
    found = form(operation, dtype, name).evaluate(stacked([inputs]), dtype, constants)
    return found.reshape(-1).tolist()


# Four terms in float32 whose sum shows the order and what is fused: e is half a unit of 1, and its square is lost.
E = 2.0**-12
ROW, VECTOR = [1 + E, 1.0, E * E, -1.0], [1 + E, E * E, 1.0, 1.0]
SUMS = {
    # (1 + E)^2 = 1 + 2E + E^2 ties to 1 + 2E, which is even; two more E^2, one by one, tie to it again.
    "products-then-sum": 2 * E,
    # Neighbours: 1 + 2E + E^2 ties to 1 + 2E, and E^2 - 1 is a value.
    "products-then-sum-pairwise": 2 * E + E * E,
    # From the last: -1, + E^2, + E^2, and then the square.
    "products-then-sum-descending": 2 * E + 2 * E * E,
    "fma-chain-ascending": 2 * E,
    "fma-chain-descending": 2 * E + 3 * E * E,
    "products-then-sum-in-float64": 2 * E + 3 * E * E,
}


@pytest.mark.parametrize(("name", "expected"), SUMS.items())
def test_a_sum_of_products_is_made_in_the_order_of_its_name(name, expected):
    assert value("product", "float32", name, W=[ROW], v=VECTOR) == [expected]
    assert value("back", "float32", name, W=[[each] for each in ROW], d=VECTOR) == [expected]


def test_the_way_back_takes_the_columns():
    assert value("back", "float64", "products-then-sum", W=[[1.0, 2.0], [3.0, 4.0]], d=[10.0, 100.0]) == [310.0, 420.0]
    assert value("product", "float64", "products-then-sum", W=[[1.0, 2.0], [3.0, 4.0]], v=[10.0, 100.0]) == [
        210.0,
        430.0,
    ]


def test_a_short_product_in_float32_is_rounded_at_the_end_only():
    a = 1 + 2.0**-7
    inputs = {"W": [[a, -1 - 2.0**-6]], "v": [a, 1.0]}
    assert value("product", "bfloat16", "products-then-sum", **inputs) == [0.0]
    assert value("product", "bfloat16", "products-then-sum-in-float32", **inputs) == [2.0**-14]


def test_an_outer_product_has_a_row_for_each_unit():
    assert value("outer", "float64", "product", d=[2.0, 3.0], v=[5.0, 7.0]) == [10.0, 14.0, 15.0, 21.0]


def test_a_fused_update_does_not_round_the_product():
    third = float(np.float32(0.1))
    g = 1 + 2.0**-23
    w = float(np.float32(third * g))
    assert value("update", "float32", "product-then-difference", W=[[w]], g=[[g]]) == [0.0]
    assert value("update", "float32", "fused-multiply-subtract", W=[[w]], g=[[g]]) == [w - third * g] != [0.0]


def test_a_learning_rate_in_float32_is_not_that_in_float64():
    assert value("update", "float64", "product-then-difference-rate-in-float32", W=[[1.0]], g=[[1.0]]) == [
        1.0 - float(np.float32(0.1))
    ]
    assert value("update", "float64", "product-then-difference", W=[[1.0]], g=[[1.0]]) == [0.9]


def test_a_short_update_may_keep_the_learning_rate_in_float32():
    rates = {"": float(soft.round_to(0.1, "bfloat16")), "-rate-too": float(soft.round_to(0.1, "float32"))}
    g = 1 + 2.0**-7
    for end, rate in rates.items():
        found = value("update", "bfloat16", f"product-then-difference-in-float32{end}", W=[[0.1015625]], g=[[g]])
        assert found == [float(soft.round_to(0.1015625 - float(np.float32(rate * g)), "bfloat16"))]
    found = value("update", "bfloat16", "fused-multiply-subtract-in-float32-rate-too", W=[[0.1015625]], g=[[g]])
    assert found == [float(soft.round_to(np.float32(0.1015625 - rates["-rate-too"] * g), "bfloat16"))]


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_sign_of_zero_tells_how_the_error_was_computed(dtype):
    plus = value("error", dtype, "output-minus-target", o=[0.5], t=[0.5])
    minus = value("error", dtype, "target-minus-output-negated", o=[0.5], t=[0.5])
    assert [math.copysign(1, each) for each in (*plus, *minus)] == [1.0, -1.0]


def test_the_error_of_a_mean_is_scaled_in_the_order_of_its_name():
    o = 1 + 5 * 2.0**-10
    two_thirds = float(soft.round_to(2 / 3, "float16"))
    assert (
        value("error", "float16", "output-minus-target", MEAN, o=[o] * 3, t=[0.0] * 3)
        == [float(soft.round_to(two_thirds * o, "float16"))] * 3
    )
    assert (
        value("error", "float16", "output-minus-target-doubled-over-n", MEAN, o=[o] * 3, t=[0.0] * 3)
        == [float(soft.round_to(2 * o / 3, "float16"))] * 3
    )


def test_a_loss_is_half_the_sum_or_the_mean():
    assert value("loss", "float64", "squares-then-sum", o=[1.0, 2.0, 4.0], t=[0.0, 0.0, 0.0]) == [10.5]
    assert value("loss", "float64", "squares-then-sum", MEAN, o=[1.0, 2.0, 4.0], t=[0.0, 0.0, 0.0]) == [7.0]


D = 1 + 2.0**-7


def test_a_short_loss_is_rounded_where_its_name_says():
    # D^2 = 1 + 2^-6 + 2^-14; with 2^-8 it is just above the middle of two values, and without its last bit a tie.
    inputs = {"o": [-D, -(2.0**-4)], "t": [0.0, 0.0]}
    tie, above = 1 + 2.0**-6, 1 + 2.0**-6 + 2.0**-7
    assert value("loss", "bfloat16", "squares-then-sum", **inputs) == [tie / 2]
    assert value("loss", "bfloat16", "squares-then-sum-of-bfloat16-differences-in-float32", **inputs) == [above / 2]
    # The difference itself has a ninth bit here, which only an unrounded one keeps.
    inputs = {"o": [-1.0, 0.0], "t": [2.0**-8, 0.0]}
    assert value("loss", "bfloat16", "squares-then-sum-of-bfloat16-differences-in-float32", **inputs) == [0.5]
    assert value("loss", "bfloat16", "squares-then-sum-in-float32", **inputs) == [(1 + 2.0**-7) / 2]


def test_a_loss_scaled_first_is_rounded_once_where_it_is_subnormal():
    # 3 * 2^-13 + 2^-24 loses its last bit in float16, and its half is then a tie; unrounded it is not.
    least = 2.0**-24
    inputs = {"o": [2.0**-7 + 2.0**-9, 2.0**-12], "t": [0.0, 0.0]}
    total = (2.0**-7 + 2.0**-9) ** 2 + 2.0**-24
    first = value("loss", "float16", "squares-then-sum-of-float16-differences-in-float32-scaled-first", **inputs)
    last = value("loss", "float16", "squares-then-sum-of-float16-differences-in-float32", **inputs)
    assert first == [float(soft.round_to(total / 2, "float16"))]
    assert last == [float(soft.round_to(soft.round_to(total, "float16") / 2, "float16"))]
    assert abs(first[0] - total / 2) <= least / 2


FORMULAS = {
    "e*(a*(1-a))": lambda e, a, u: u.mul(e, u.mul(a, u.sub(1, a))),
    "(e*a)*(1-a)": lambda e, a, u: u.mul(u.mul(e, a), u.sub(1, a)),
    "(e*(1-a))*a": lambda e, a, u: u.mul(u.mul(e, u.sub(1, a)), a),
    "e*(a-a*a)": lambda e, a, u: u.mul(e, u.sub(a, u.mul(a, a))),
    "e*fma(-a,a,a)": lambda e, a, u: u.mul(e, u.fma(-a, a, a)),
    "e*a-(e*a)*a": lambda e, a, u: u.sub(u.mul(e, a), u.mul(u.mul(e, a), a)),
    "fma(-e*a,a,e*a)": lambda e, a, u: u.fma(-u.mul(e, a), a, u.mul(e, a)),
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", FORMULAS)
def test_a_gradient_is_computed_by_the_formula_in_its_name(name, dtype):
    a, e, own = (soft.round_to(each, dtype) for each in (np.linspace(0.01, 0.99, 99), np.linspace(-1, 1, 99), 0.25))
    samples = [{"z": [0.0], "a": [x], "e": [y], OWN_SIGMOID: [float(own)]} for x, y in zip(a, e, strict=True)]
    found = form("sigmoid_gradient", dtype, name).evaluate(stacked(samples), dtype, CONSTANTS)
    assert (found[:, 0] == FORMULAS[name](e, a, soft.Unit(dtype))).all()
    by_own = form("sigmoid_gradient", dtype, f"{name}-of-own-sigmoid").evaluate(stacked(samples), dtype, CONSTANTS)
    assert (by_own[:, 0] == FORMULAS[name](e, own, soft.Unit(dtype))).all()


def test_a_gradient_through_a_form_of_the_exponential_uses_it():
    (first, *_) = gradients.through_exp("two", "e^x is taken to be 2.", lambda x, _: np.full_like(x, 2.0), "float64")
    assert first.name == "(e*(r*r))*u-of-two"
    found = first.evaluate(stacked([{"z": [9.0], "a": [0.0], "e": [3.0]}]), "float64", CONSTANTS)
    assert found.tolist() == [[3.0 * ((1 / 3) * (1 / 3)) * 2]]


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_gradient_through_a_correct_exponential_comes_near_the_truth(dtype):
    z = [float(each) for each in soft.round_to([-3.0, -0.7, 0.3, 2.0], dtype)]
    sample = {"z": z, "a": [truth.sigmoid(each, dtype) for each in z], "e": [1.0] * 4}
    expected = np.array([1 / (1 + math.exp(-each)) * (1 - 1 / (1 + math.exp(-each))) for each in z])
    for each in gradients.through_exp("exp", "", lambda x, wide: soft.round_to(np.exp(x), wide), dtype):
        found = each.evaluate(stacked([sample]), dtype, CONSTANTS)[0]
        assert np.allclose(found, expected, rtol=8 * 2.0 ** -floats.FORMS[dtype].precision), each.name


def test_a_gradient_through_an_unrounded_sigmoid_takes_its_form():
    asked = []

    def evaluate(inputs, dtype, _):
        asked.append(dtype)
        return np.full_like(inputs["z"], 0.25 + 2.0**-20)

    given_form = forms("bias", "float32")[0]
    sigmoid = type(given_form)(name="made-up", says="Made up.", evaluate=evaluate)
    found = {each.name: each for each in gradients.through_sigmoid(sigmoid, "bfloat16")}
    assert set(found) == {f"{name}-in-float32-of-made-up" for name in FORMULAS}
    unit, a = soft.Unit("float32"), 0.25 + 2.0**-20
    sample = stacked([{"z": [1.0], "a": [0.5], "e": [1.0]}])
    got = found["e*(a*(1-a))-in-float32-of-made-up"].evaluate(sample, "bfloat16", CONSTANTS)
    assert got.tolist() == [[float(soft.round_to(unit.mul(a, unit.sub(1, a)), "bfloat16"))]]
    assert asked == ["float32"]
    assert not list(gradients.through_sigmoid(sigmoid, "float64")), "nothing is wider than float64"


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("operation", worked.OPERATIONS)
def test_forms_have_names_of_their_own_and_say_what_they_do(operation, dtype):
    found = forms(operation, dtype)
    assert len({each.name for each in found}) == len(found) > 0
    assert all(each.says.endswith(".") and " " not in each.name for each in found)


def test_an_operation_of_which_none_is_known_has_no_forms():
    assert forms("convolution", "float32") == ()


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(DTYPES), st.data())
def test_every_form_of_a_sum_comes_near_the_truth(dtype, data):
    values = st.floats(0.1, 1).map(lambda each: float(soft.round_to(each, dtype)))
    v = data.draw(st.lists(values, min_size=1, max_size=5))
    w = data.draw(st.lists(values, min_size=len(v), max_size=len(v)))
    true = float(np.dot(np.array(w), np.array(v)))
    for each in forms("product", dtype):
        (found,) = value("product", dtype, each.name, W=[w], v=v)
        assert found == pytest.approx(true, rel=10 * 2.0 ** -floats.FORMS[dtype].precision), each.name
