"""Bits, ULP distances and rounding, for every dtype and the awkward values."""

import math
import struct
from decimal import ROUND_HALF_EVEN, Context, Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from repromatrix import floats
from repromatrix.compare import exact

FINITE = st.floats(allow_nan=False, allow_infinity=False)
ANY = st.floats()
DTYPES = st.sampled_from(sorted(floats.FORMS))
CODES = {"float64": ("<d", "<Q"), "float32": ("<f", "<I"), "float16": ("<e", "<H")}


def value_of(bits, dtype):
    """The value of a bit pattern, by the machine's own reading of it."""
    if dtype == "bfloat16":
        bits, dtype = bits << 16, "float32"
    form, integer = CODES[dtype]
    return struct.unpack(form, struct.pack(integer, bits))[0]


@given(DTYPES, st.data())
def test_neighbours_are_one_ulp_apart_in_every_dtype(dtype, data):
    last = floats.FORMS[dtype].infinity - 1
    bits = data.draw(st.integers(0, last - 1))
    low, high = value_of(bits, dtype), value_of(bits + 1, dtype)
    assert floats.ordinal(low, dtype) == bits
    assert exact.ulps(low, high, dtype) == 1
    assert exact.ulps(-low, -high, dtype) == 1


@pytest.mark.parametrize("dtype", sorted(floats.FORMS))
def test_the_largest_value_is_one_below_infinity(dtype):
    infinity = floats.FORMS[dtype].infinity
    assert value_of(infinity, dtype) == math.inf
    assert floats.ordinal(value_of(infinity - 1, dtype), dtype) == infinity - 1
    assert floats.ordinal(math.inf, dtype) == infinity
    assert floats.ordinal(-math.inf, dtype) == -infinity


@given(FINITE)
def test_a_value_that_a_dtype_lacks_is_rounded_to_it_first(value):
    try:
        nearest = struct.unpack("<f", struct.pack("<f", value))[0]
    except OverflowError:
        nearest = math.copysign(math.inf, value)
    assert floats.ordinal(value, "float32") == floats.ordinal(nearest, "float32")


@given(ANY, ANY, DTYPES)
def test_distance_is_zero_with_itself_and_symmetric(a, b, dtype):
    assert exact.ulps(a, a, dtype) == 0
    assert exact.ulps(a, b, dtype) == exact.ulps(b, a, dtype)


@given(FINITE, FINITE, FINITE, DTYPES)
def test_distance_is_monotone(a, b, c, dtype):
    low, middle, high = sorted((a, b, c))
    assert exact.ulps(low, middle, dtype) <= exact.ulps(low, high, dtype)


def test_signed_zeros_differ_in_bits_and_not_in_ulps():
    assert not exact.same_bits(0.0, -0.0)
    assert exact.ulps(0.0, -0.0, "float32") == 0
    assert exact.ulps(5e-324, -5e-324, "float64") == 2


def test_what_is_not_finite_has_no_distance_to_anything_else():
    assert exact.same_bits(math.nan, -math.nan)
    assert exact.ulps(math.nan, math.nan, "float64") == 0
    assert exact.ulps(math.inf, math.inf, "float64") == 0
    assert exact.ulps(math.inf, 1.0, "float64") is None
    assert exact.ulps(math.nan, 1.0, "float64") is None
    with pytest.raises(ValueError, match="NaN"):
        floats.ordinal(math.nan, "float64")


@given(st.floats(-1e6, 1e6), st.integers(0, 20))
def test_digits_are_the_exact_value_rounded_half_to_even(value, digits):
    like = f"{0:.{digits}f}"
    unit = Decimal((0, (1,), -digits))
    expected = Decimal(value).quantize(unit, ROUND_HALF_EVEN, Context(prec=2000))
    assert Decimal(exact.printed_like(value, like)) == expected


@pytest.mark.parametrize(
    ("value", "text", "same"),
    [
        (0.5, "0", True),  # a tie goes to the even digit
        (1.5, "2", True),
        (0.125, "0.12", True),
        (4.0438e-8, "4.04e-8", True),
        (4.0438e-8, "4.05e-8", False),
        (0.29837110876, "0.2983711088", True),
        (0.29837110874, "0.2983711088", False),
        (math.nan, "0.5", False),
        (math.inf, "0.5", False),
    ],
)
def test_agreement_is_in_every_printed_digit(value, text, same):
    assert exact.agrees(value, text) is same


def test_ulps_across_dtypes_are_in_the_coarser_one():
    assert floats.coarser("float64", "float32") == "float32"
    assert floats.coarser("float16", "bfloat16") == "bfloat16"


@given(FINITE)
def test_hexadecimal_text_is_the_exact_value(value):
    assert exact.same_bits(exact.decode([value.hex()])[0], value)
