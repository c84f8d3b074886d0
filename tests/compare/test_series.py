"""Decimal text is read in a dtype, rounded once, and never claimed to show bits that its digits do not show."""

import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from repromatrix.compare import digits, series
from repromatrix.compare.digits import last_place, significant
from repromatrix.compare.series import fits, half_units, read, told_apart
from repromatrix.floats import FORMS, nearest
from repromatrix.results.logs import figures
from repromatrix.results.logs.columns import Column
from repromatrix.results.record import Outcome

DTYPES = st.sampled_from(sorted(FORMS))


def log(*texts: str) -> series.Series:
    read = figures.parse(texts)
    assert not isinstance(read, int)
    return series.of_log(Column(name="loss", values=read[0], texts=read[1]), "log", "log.csv")


def single(value: float) -> float:
    return struct.unpack("<f", struct.pack("<f", value))[0]


@given(st.lists(st.floats(-1e5, 1e5).map(repr), min_size=1, max_size=5), DTYPES)
def test_texts_are_rounded_once_to_the_nearest_value(texts, dtype):
    assert read(log(*texts), dtype).values.tolist() == [nearest(each, dtype) for each in texts]


TIES = [
    "1.000000059604644775390625",
    "1.0000000596046447753906250000001",
    "1.00000005960464477539062499",
    "5e-324",
    "1e-45",
]


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
@pytest.mark.parametrize("text", [*TIES, "3.4028235677973366e38", "65519.99999999999999", "2.98e-8", "-0.0"])
def test_rounding_to_float64_first_does_no_harm(text, dtype):
    assert read(log(text), dtype).values[0] == nearest(text, dtype)


@given(st.lists(st.floats(allow_nan=False, width=32), min_size=1, max_size=6))
def test_what_is_printed_with_enough_digits_is_told_apart_and_fits_its_dtype(values):
    texts = [f"{each:.8e}" if np.isfinite(each) else str(each) for each in values]
    assert told_apart(digits.of(texts), "float32")
    assert fits(log(*texts), "float32")
    assert read(log(*texts), "float32").values.tolist() == values


TOLD = {
    "17 digits": (["0.29837110876000272", "0.10000000000000001"], "float64", True),
    "the shortest text, one of it of full length": (["0.29837110876000272", "0.5", "0.1254"], "float64", True),
    "the shortest text of float32": (["0.298371106", "0.5", "1e-05"], "float32", True),
    "nothing but short texts": (["0.2983711", "0.5"], "float64", False),
    "16 digits, which do not tell float64 apart": (["0.2983711087600027", "0.5"], "float64", False),
    "as many places everywhere, too few for one": (["0.29837110876000272", "0.00012345678901234"], "float64", False),
    "zeros that only a fixed width writes": (["0.29837110876000272", "0.50"], "float64", False),
    "the same texts, fine for a coarser dtype": (["0.2983711", "0.5000000"], "float16", True),
    "whole numbers": (["1", "2"], "float32", False),
    "nothing that is finite": (["nan", "inf"], "float64", True),
}  # fmt: skip


@pytest.mark.parametrize(("texts", "dtype", "expected"), TOLD.values(), ids=TOLD)
def test_whether_digits_show_which_values_they_were(texts, dtype, expected):
    assert told_apart(digits.of(texts), dtype) is expected


def test_text_that_shows_more_than_a_dtype_has_does_not_fit_it():
    text = "0.29837110876000272"
    assert fits(log(text), "float64")
    assert not fits(log(text), "float32")
    assert fits(log(f"{single(float(text)):.17g}"), "float32")
    assert fits(log("0.2984"), "float32")
    assert not fits(log("70000"), "float16")


def test_hexadecimal_numbers_are_exact_in_any_dtype():
    found = log("0x1.8000000000000p-1", "nan", "-inf")
    assert found.texts is None
    assert read(found, "float64").told_apart
    assert fits(found, "bfloat16")
    assert not fits(log("0x1.0000000000001p+0"), "float32")


DIGITS = {"0.0012": 2, "1.20": 3, "-1.5e-30": 2, "0": 1, "0.00": 1, "100": 3, ".5": 1}


@pytest.mark.parametrize(("text", "expected"), DIGITS.items())
def test_leading_zeros_are_not_significant(text, expected):
    assert significant(text) == expected


@given(
    st.lists(
        st.one_of(st.floats().map(repr), st.decimals(places=3, allow_nan=False, allow_infinity=False).map(str)),
        min_size=1,
    )
)
def test_digits_of_many_texts_are_those_of_each(texts):
    texts = [each for each in texts if figures.number(each) == each] or ["0.10"]
    for some in (texts, [each for each in texts if not {*each} & {*"einE"}]):
        found = digits.of(some)
        decimal = [place for place, each in enumerate(some) if not digits.special(each)]
        assert [int(found.significant[at]) for at in decimal] == [significant(some[at]) for at in decimal]
        assert [int(found.last_place[at]) for at in decimal] == [last_place(some[at]) for at in decimal]


def test_float32_as_python_prints_one_is_told_by_every_number_and_a_long_one():
    assert log("0.10000000149011612", "0.5", "nan").told == "float32"
    assert log("0.10000000149011612", "0.1").told is None
    assert log("0.5", "0.25").told is None
    assert log("0.50000000000", "0.25000000000").told is None
    assert read(log("0.10000000149011612", "0.5"), "float32").told_apart


def test_every_digit_of_a_short_text_fits_and_of_a_long_one_is_looked_at():
    assert fits(log("0.298371", "1e-05", "0.0", "nan"), "float32")
    assert not fits(log("1e-50"), "float32")
    assert not fits(log("1e39"), "float32")


def test_half_a_unit_of_the_last_place_is_what_printing_may_hide():
    assert half_units(log("0.25", "1e-3", "nan", "7")).tolist() == [0.005, 0.0005, 0.0, 0.5]
    assert half_units(log("0x1p-1")).tolist() == [0.0]


def test_equal_bits_have_equal_digests_and_others_do_not(builder):
    a, b, c = (series.of_record(builder.record(each), "results") for each in ([0.5, 0.25], [0.5, 0.25], [0.5, -0.25]))
    assert a.digest == b.digest != c.digest
    assert log("0.0").digest != log("-0.0").digest
    assert log("0x0p0").digest != log("-0x0p0").digest


def test_a_cell_without_a_trajectory_says_why(builder):
    failed = series.of_record(builder.record(outcome=Outcome.FAILED, reason="killed"), "results")
    assert (failed.absent, failed.left_out, failed.steps) == ("failed (killed)", False, 0)
    skipped = series.of_record(builder.record(outcome=Outcome.UNAVAILABLE, reason="no such dtype"), "results")
    assert skipped.left_out
    with pytest.raises(ValueError, match="has no values"):
        read(failed, "float64")
