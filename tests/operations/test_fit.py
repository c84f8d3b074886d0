"""The forms that are named are those that give every bit, and where none does, the nearest one and how near it is."""

import numpy as np
import pytest

from repromatrix import floats
from repromatrix.operations import fresh, gradients, linear
from repromatrix.operations.catalogue import OWN_SIGMOID
from repromatrix.operations.fit import fit
from repromatrix.operations.form import Constants
from repromatrix.operations.forms import forms
from repromatrix.operations.text import stacked
from tests import worked

DTYPES = sorted(floats.FORMS)
CONSTANTS = Constants(numbers=(("rate", 0.1),))
LEARNED = "fma-chain-ascending"


def form(operation, dtype, name):
    return next(each for each in forms(operation, dtype) if each.name == name)


def outputs(operation, dtype, name, samples, constants=CONSTANTS):
    """What an environment that computes by that form would give."""
    found = form(operation, dtype, name).evaluate(stacked(samples), dtype, constants)
    return found.reshape(len(samples), -1).tolist()


def calls(operation, dtype):
    """Fresh samples, in an environment whose sigmoid is always one unit above the correct one."""

    def own(sample):
        return {OWN_SIGMOID: [floats.at(floats.ordinal(each, dtype) + 1, dtype) for each in sample["a"]]}

    return [{**each, **(own(each) if "a" in each else {})} for each in fresh.samples(operation, dtype)]


def own_forms(operation, dtype):
    return tuple(
        form for room in (linear.FORMS, gradients.FORMS) if operation in room for form in room[operation](dtype)
    )


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("operation", [each for each in worked.OPERATIONS if each != "sigmoid"])
def test_what_was_computed_by_a_form_is_fitted_by_it(operation, dtype):
    samples = calls(operation, dtype)
    tried = [each for each in own_forms(operation, dtype) if each.least_terms <= fresh.UNITS and not each.mean_only]
    for each in tried:
        found = fit(operation, dtype, samples, outputs(operation, dtype, each.name, samples), CONSTANTS)
        assert each.name in found.fitting
        assert found.nearest is None
        assert found.agreeing == found.count >= 2048


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("operation", [each for each in worked.OPERATIONS if each != "sigmoid"])
def test_fresh_samples_tell_apart_all_that_is_computed_in_the_dtype_itself(operation, dtype):
    # Two forms in a wider dtype may differ too rarely after they are rounded.
    samples = calls(operation, dtype)
    ours = [each for each in own_forms(operation, dtype) if each.least_terms <= fresh.UNITS and not each.mean_only]
    names = [each.name for each in ours if "-in-float" not in each.name]
    for name in names:
        found = fit(operation, dtype, samples, outputs(operation, dtype, name, samples), CONSTANTS)
        assert [each for each in found.fitting if each in names] == [name]


def test_a_short_product_in_float32_is_not_one_in_its_own_dtype():
    for dtype in fresh.SHORT:
        samples = fresh.samples("product", dtype)
        values = outputs("product", dtype, "products-then-sum-in-float32", samples)
        assert fit("product", dtype, samples, values, CONSTANTS).fitting == ("products-then-sum-in-float32",)


def test_one_wrong_bit_among_all_is_noticed_and_counted():
    samples = fresh.samples("product", "float64")
    values = outputs("product", "float64", LEARNED, samples)
    values[-1][-1] = float(np.nextafter(values[-1][-1], 9.0))
    found = fit("product", "float64", samples, values, CONSTANTS)
    assert (found.fitting, found.nearest, found.agreeing, found.count) == ((), LEARNED, 3071, 3072)


def test_a_wrong_bit_at_the_very_start_is_no_reason_to_miss_the_nearest():
    samples = fresh.samples("product", "float64")
    values = outputs("product", "float64", LEARNED, samples)
    values[0][0] = -values[0][0]
    found = fit("product", "float64", samples, values, CONSTANTS)
    assert (found.nearest, found.agreeing) == (LEARNED, 3071)


def test_the_sign_of_zero_is_a_bit():
    found = fit("bias", "float32", [{"p": [1.0], "b": [-1.0]}], [[-0.0]], CONSTANTS)
    assert (found.fitting, found.nearest, found.agreeing) == ((), "sum", 0)


def test_every_nan_is_the_same():
    assert fit("bias", "float32", [{"p": [float("inf")], "b": [float("-inf")]}], [[float("nan")]], CONSTANTS).fitting


def test_calls_of_several_shapes_are_fitted_together():
    wide = [{"W": [[0.1, 0.2, 0.3]], "v": [0.4, 0.5, 0.6]}]
    samples = [*wide, *fresh.samples("product", "float64")]
    values = [
        *outputs("product", "float64", LEARNED, wide),
        *outputs("product", "float64", LEARNED, fresh.samples("product", "float64")),
    ]
    found = fit("product", "float64", samples, values, CONSTANTS)
    assert found.fitting == (LEARNED,)
    assert found.count == 3073


def test_a_form_that_needs_more_terms_than_there_are_is_not_named():
    sample = {"W": [[1.0, 1.0]], "v": [1.0, 1.0]}
    names = fit("product", "float64", [sample], [[2.0]], CONSTANTS).fitting
    assert "products-then-sum" in names
    assert not [name for name in names if "descending" in name and "fma" not in name]
    four = {"W": [[1.0] * 4], "v": [1.0] * 4}
    assert "products-then-sum-pairwise" in fit("product", "float64", [four], [[4.0]], CONSTANTS).fitting


def test_an_environments_own_sigmoid_is_tried_where_it_is_not_the_given_one():
    sample = {"z": [0.0], "a": [0.5], "e": [1.0]}
    off = fit("sigmoid_gradient", "float64", [{**sample, OWN_SIGMOID: [0.25]}], [[0.1875]], CONSTANTS)
    assert "e*(a*(1-a))-of-own-sigmoid" in off.fitting
    assert "e*(a*(1-a))" not in off.fitting
    same = fit("sigmoid_gradient", "float64", [{**sample, OWN_SIGMOID: [0.5]}], [[0.25]], CONSTANTS)
    assert "e*(a*(1-a))" in same.fitting
    assert not [name for name in same.fitting if name.endswith("-of-own-sigmoid")]
    unknown = fit("sigmoid_gradient", "float64", [sample], [[0.1875]], CONSTANTS)
    assert "e*(a*(1-a))-of-own-sigmoid" not in (*unknown.fitting, unknown.nearest)


def test_a_form_that_only_a_mean_can_show_is_named_only_there():
    three = {"o": [1.0, 2.0, 4.0], "t": [0.5] * 3}
    halved = fit("error", "float16", [three], [[0.5, 1.5, 3.5]], CONSTANTS)
    assert halved.fitting == ("output-minus-target", "target-minus-output-negated")
    inputs = {"o": [0.8017578125] * 3, "t": [0.0] * 3}
    mean = Constants(loss_form="mean")
    names = ["output-minus-target", "output-minus-target-doubled-over-n", "output-minus-target-scale-in-float32"]
    given_by = {name: outputs("error", "float16", name, [inputs], mean)[0] for name in names}
    assert given_by[names[0]] != given_by[names[1]] == given_by[names[2]]
    found = fit("error", "float16", [inputs], [given_by[names[1]]], mean).fitting
    assert {names[1], names[2]} <= set(found)
    assert names[0] not in found


def test_the_learning_rate_and_the_form_of_the_loss_are_taken_from_outside():
    (sample,) = [{"W": [[1.0]], "g": [[1.0]]}]
    assert fit("update", "float64", [sample], [[0.75]], Constants(numbers=(("rate", 0.25),))).fitting
    assert not fit("update", "float64", [sample], [[0.75]], CONSTANTS).fitting
    three = {"o": [1.0, 2.0, 4.0], "t": [0.0] * 3}
    assert fit("loss", "float64", [three], [[7.0]], Constants(loss_form="mean")).fitting
    assert not fit("loss", "float64", [three], [[7.0]], CONSTANTS).fitting


@pytest.mark.parametrize(("samples", "values"), [([], []), ([{"p": [1.0], "b": [1.0]}], [])])
def test_outputs_that_do_not_belong_to_the_samples_are_refused(samples, values):
    with pytest.raises(ValueError, match="samples and"):
        fit("bias", "float64", samples, values, CONSTANTS)


def test_an_unknown_operation_is_refused():
    with pytest.raises(KeyError):
        fit("convolution", "float64", [{"p": [1.0]}], [[1.0]], CONSTANTS)
