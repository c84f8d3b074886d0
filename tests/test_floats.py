"""Formats as values: places, neighbours and decimal text, held against the machine's own arithmetic."""

import math
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from repromatrix import floats

DTYPES = st.sampled_from(sorted(floats.FORMS))
NATIVE = {"float64": np.float64, "float32": np.float32, "float16": np.float16}


@given(DTYPES, st.data())
def test_a_place_and_its_value_are_each_others_inverse(dtype, data):
    infinity = floats.FORMS[dtype].infinity
    place = data.draw(st.integers(-infinity, infinity))
    assert floats.ordinal(floats.at(place, dtype), dtype) == place


@pytest.mark.parametrize("dtype", sorted(floats.FORMS))
def test_beyond_infinity_is_no_value(dtype):
    with pytest.raises(ValueError, match="no place"):
        floats.at(floats.FORMS[dtype].infinity + 1, dtype)


@given(st.sampled_from(sorted(NATIVE)), st.decimals(allow_nan=False, allow_infinity=False, min_value=-10, max_value=10))
def test_a_decimal_text_is_rounded_once(dtype, number):
    expected = min((abs(Decimal(float(each)) - number), each) for each in _around(number, NATIVE[dtype]))[0]
    assert abs(Decimal(floats.nearest(str(number), dtype)) - number) == expected


def _around(number, kind):
    near = kind(float(number))
    return [np.nextafter(near, kind(-np.inf)), near, np.nextafter(near, kind(np.inf))]


def test_rounding_once_is_not_rounding_twice():
    # Just above the middle of 1 and its float32 neighbour, and so near to it that float64 rounds it to the middle.
    text = str(Decimal(1) + Decimal(2) ** -24 + Decimal(2) ** -80)
    assert floats.nearest(text, "float32") == 1 + 2**-23
    assert float(np.float32(float(text))) == 1.0


@given(st.sampled_from(sorted(NATIVE)), st.floats(-100, 100, allow_subnormal=False))
def test_a_neighbour_is_the_machines_next_value(dtype, value):
    kind = NATIVE[dtype]
    up = floats.neighbour(str(Decimal(value)), dtype, 1)
    assert kind(float(up)) == np.nextafter(kind(value), kind(np.inf))
    assert Decimal(up) == Decimal(float(up)), "the text is exact"


@given(st.sampled_from(sorted(NATIVE)), st.floats(-6e4, 6e4))
def test_an_ulp_is_the_machines_spacing(dtype, value):
    kind = NATIVE[dtype]
    assert floats.ulp(float(kind(value)), dtype) == float(np.spacing(np.abs(kind(value))))


def test_what_is_not_finite_has_no_ulp_and_no_nearest():
    assert math.isnan(floats.ulp(math.inf, "float32"))
    with pytest.raises(ValueError, match="finite"):
        floats.nearest("nan", "float32")


def test_the_sign_of_zero_is_kept():
    assert math.copysign(1, floats.nearest("-0.0", "float16")) == -1
