"""The forms of e^x, the sigmoid and its gradient against what frameworks gave (data/elementary.json, recorded by
scripts/record_elementary.py), and against exact arithmetic."""

import json
import math
from dataclasses import dataclass
from decimal import Decimal, localcontext
from fractions import Fraction
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from repromatrix import floats
from repromatrix.operations import elementary, elementary_tanh, soft
from repromatrix.operations.elementary_arithmetic import floor_product, powers
from repromatrix.operations.elementary_exp import CORRECT, EXPONENTIALS, exponentials
from repromatrix.operations.form import Constants

DTYPES = ("float64", "float32", "float16", "bfloat16")
DOCUMENT = json.loads((Path(__file__).parent / "data" / "elementary.json").read_text())
CODES = {each.name: each for each in EXPONENTIALS}


WORDS = {"float64": "u8", "float32": "u4", "float16": "u2", "bfloat16": "u2"}


def of_bits(patterns, dtype):
    words = np.asarray(patterns).astype(WORDS[dtype])
    if dtype == "bfloat16":  # the upper half of a float32
        return (words.astype("u4") << 16).view("f4").astype("f8")
    return words.view(dtype).astype("f8")


def values(text, dtype):
    return of_bits(np.array([int(each, 16) for each in text.split()], np.uint64), dtype)


@dataclass(frozen=True)
class Recorded:
    of: str
    form: str
    dtype: str
    origin: str
    inputs: dict
    outputs: np.ndarray


def recorded():
    for row in DOCUMENT["recorded"]:
        dtype = row["dtype"]
        inputs = {name: values(text, dtype) for name, text in DOCUMENT["inputs"][dtype].items()}
        yield Recorded(row["of"], row["form"], dtype, row["from"], inputs, values(row["outputs"], dtype))


RECORDED = tuple(recorded())


def named(of):
    return [
        pytest.param(each, id=f"{each.form} {each.dtype} {each.origin}")
        for each in RECORDED
        if each.of == of
    ]  # fmt: skip


def evaluated(row):
    x, e = row.inputs["x"], row.inputs["e"]
    (form,) = (each for each in elementary.FORMS[row.of](row.dtype) if each.name == row.form)
    pairs = {"z": x.reshape(-1, 2), "a": np.full((x.size // 2, 2), np.nan), "e": e.reshape(-1, 2)}
    return form.evaluate(pairs, row.dtype, Constants()).ravel()


def differing(found, expected):
    return [(a.hex(), b.hex()) for a, b in zip(found[~soft.same(found, expected)], expected, strict=False)]


@pytest.mark.parametrize("row", named("exp"))
def test_a_code_of_e_to_the_x_has_the_bits_that_a_framework_gave(row):
    assert not differing(CODES[row.form].evaluate(row.inputs["x"], row.dtype), row.outputs)


@pytest.mark.parametrize("row", named("tanh"))
def test_a_code_of_tanh_has_the_bits_that_a_framework_gave(row):
    found = elementary_tanh.rational(row.inputs["x"], fused=row.form.endswith("-fma"))
    assert not differing(found, row.outputs)


@pytest.mark.parametrize("row", [*named("sigmoid"), *named("sigmoid_gradient")])
def test_a_form_has_the_bits_that_a_framework_gave(row):
    assert not differing(evaluated(row), row.outputs)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_the_recorded_numbers_tell_every_two_codes_apart(dtype):
    x = values(DOCUMENT["inputs"][dtype]["x"], dtype)
    # In float32 glibc computes in float64: not one of a million numbers shows whether that was fused.
    alike = {("glibc-fma", "glibc")} if dtype == "float32" else set()
    found = {each.name: each.evaluate(x, dtype) for each in exponentials(dtype)}
    assert {pair for pair in combinations(found, 2) if soft.same(found[pair[0]], found[pair[1]]).all()} == alike


@pytest.mark.parametrize(
    ("name", "dtype", "most"),
    [
        ("numpy", "float64", 0.53),
        ("sleef", "float64", 1.0),
        ("sleef", "float32", 1.0),
        ("eigen-fma", "float32", 1.5),
        ("torch-u20", "float32", 20),
    ],
)
def test_a_code_that_no_framework_here_takes_is_as_accurate_as_its_source_says(name, dtype, most):
    x = values(DOCUMENT["inputs"][dtype]["x"], dtype)
    for number, found in zip(x.tolist(), CODES[name].evaluate(x, dtype).tolist(), strict=True):
        with localcontext() as context:
            context.prec = 50
            off = abs(Decimal(found) - Decimal(number).exp()) / Decimal(floats.ulp(found, dtype))
        assert off <= most, number.hex()


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_in_short_dtypes_every_library_rounds_e_to_the_x_correctly_but_for_at_most_one_number(dtype):
    with np.errstate(invalid="ignore"):  # NaN among them
        x = of_bits(np.arange(1 << 16, dtype=np.uint16), dtype)
    x = x[np.abs(x) < 80]
    correct = CORRECT.evaluate(x, dtype)
    for each in EXPONENTIALS:
        if each.covers(dtype):
            assert np.count_nonzero(~soft.same(each.evaluate(x, dtype), correct)) <= 1, each.name


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_correct_e_to_the_x_is_the_exact_one_rounded_once(dtype):
    x = values(DOCUMENT["inputs"][dtype]["x"], dtype)[:50]
    with localcontext() as context:
        context.prec = 80
        expected = [floats.nearest(str(Decimal(each).exp()), dtype) for each in x.tolist()]
    assert CORRECT.evaluate(x, dtype).tolist() == expected


@pytest.mark.parametrize("dtype", DTYPES)
def test_tanh_is_the_exact_one_rounded_once(dtype):
    x = values(DOCUMENT["inputs"][dtype]["x"], dtype)[:50]
    with localcontext() as context:
        context.prec = 80
        twice = [(2 * Decimal(each)).exp() for each in x.tolist()]
        expected = [floats.nearest(str((each - 1) / (each + 1)), dtype) for each in twice]
    assert elementary_tanh.correct(x, dtype).tolist() == expected


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_form_of_the_sigmoid_is_near_the_true_one(dtype):
    z = np.array([[-2.0, -0.5], [0.0, 0.25], [1.0, 6.0]])
    true = 1 / (1 + np.exp(-z))
    for form in elementary.FORMS["sigmoid"](dtype):
        found = form.evaluate({"z": z}, dtype, Constants())
        off = np.abs(found - true) / [[floats.ulp(each, dtype) for each in row] for row in true.tolist()]
        assert off.max() < (16 if "u20" in form.name else 4), form.name


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_form_of_the_gradient_that_takes_z_is_near_the_true_one(dtype):
    z, e = np.array([[-2.0, -0.5], [0.0, 0.25], [1.0, 3.0]]), np.array([[0.5, -0.25], [1.0, 0.125], [-0.5, 2.0]])
    a = 1 / (1 + np.exp(-z))
    true = e * a * (1 - a)
    for form in elementary.FORMS["sigmoid_gradient"](dtype):
        found = form.evaluate({"z": z, "a": soft.round_to(a, dtype), "e": e}, dtype, Constants())
        off = np.abs(found - true) / [[floats.ulp(each, dtype) for each in row] for row in true.tolist()]
        # Near 1 the digits of 1 - a are those that rounding a has left.
        assert off.max() < 64, form.name


@pytest.mark.parametrize("dtype", DTYPES)
def test_far_out_every_sigmoid_by_e_to_the_x_is_0_or_1_and_of_nan_it_is_nan(dtype):
    z = np.array([[-np.inf, np.inf], [np.nan, 900.0]])
    for form in elementary.FORMS["sigmoid"](dtype):
        if form.name.startswith(("reciprocal", "ratio-of", "ratio-in", "branches")):
            found = form.evaluate({"z": z}, dtype, Constants())
            assert found[0].tolist() == [0.0, 1.0], form.name
            assert math.isnan(found[1, 0]), form.name
            assert found[1, 1] == 1.0, form.name


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("operation", ["sigmoid", "sigmoid_gradient"])
def test_forms_have_names_of_their_own_and_say_what_they_do(operation, dtype):
    found = tuple(elementary.FORMS[operation](dtype))
    assert len({form.name for form in found}) == len(found) > 0
    assert all(form.says.endswith(".") and "z" in form.says for form in found)


@pytest.mark.parametrize(("n", "dtype"), [(16, "float64"), (32, "float64"), (32, "float32"), (128, "float64")])
def test_a_table_of_powers_of_two_and_what_it_leaves_is_exact_to_twice_the_precision(n, dtype):
    table, places = powers(n, dtype), 2 * floats.FORMS[dtype].precision
    for k in range(n):
        whole = Fraction(table.nearest[k]) * (1 + Fraction(table.relative[k]))
        split = Fraction(table.leading[k]) + Fraction(table.trailing[k])
        assert abs(whole**n / 2**k - 1) < Fraction(n, 2 ** (places - 1))
        assert (Fraction(table.leading[k]) * 2**46).denominator == 1
        assert abs(split**n / 2**k - 1) < Fraction(n, 2 ** (46 + floats.FORMS[dtype].precision))


def test_a_product_is_cut_off_as_if_it_were_exact():
    factor = 1 + 2.0**-52
    # Three thirds of a sixteenth, and one unit below and above it.
    x = np.array([3.0, np.nextafter(3.0, 0), -3.0, np.nextafter(3.0, 4), 0.1])
    expected = [math.floor(Fraction(each) * Fraction(factor) * 16) / 16 for each in x.tolist()]
    assert floor_product(x, factor, 4).tolist() == expected
