"""The script's arithmetic against its twins in Python, value by value."""

import json
import math
import random

import pytest

from repromatrix import floats
from repromatrix.compare.exact import ulps
from repromatrix.floats import FORMS, at, ordinal
from repromatrix.report import wording


def values(dtype):
    """Values of a dtype: the edges of the format, ties of decimal rounding, and many in between."""
    source = random.Random(dtype)  # noqa: S311 - the same values every time
    infinity = FORMS[dtype].infinity
    places = [0, 1, 2, infinity - 1, infinity, *(source.randrange(infinity) for _ in range(400))]
    one = ordinal(1.0, dtype)
    places += [one + source.randrange(-5000, 5000) for _ in range(200) if dtype != "bfloat16"]
    found = (
        [at(place, dtype) for place in places] + [2.0**-power for power in range(-10, 30)] + [0.28125, 1e5, 123456.0]
    )
    return [*found, *(-each for each in found), math.nan]


@pytest.fixture(scope="module")
def numbers(browser, report):
    browser.open(report)
    return browser


def ask(page, function, rows):
    """Call a function of the script for every row of arguments; numbers go there as exact text."""
    texts = [[each.hex() if isinstance(each, float) else each for each in row] for row in rows]
    return page.run(
        f"{json.dumps(texts)}.map(row => {function}(...row.map(each => /^-?(0x|nan|inf)/.test(each) ? "
        "fromHexadecimal(each) : each))).map(each => typeof each === 'bigint' ? String(each) : each)"
    )


@pytest.mark.parametrize("dtype", FORMS)
def test_decimals_are_those_of_python(numbers, dtype):
    found = values(dtype)
    expected = [wording.decimal(each.hex(), dtype) for each in found]
    assert ask(numbers, "decimal", [[each, dtype] for each in found]) == expected


@pytest.mark.parametrize("dtype", FORMS)
def test_hexadecimal_text_is_that_of_python_and_read_back(numbers, dtype):
    found = values(dtype)
    assert ask(numbers, "hexadecimal", [[each] for each in found]) == [each.hex() for each in found]


@pytest.mark.parametrize("dtype", FORMS)
def test_ulp_distances_are_those_of_python_also_for_values_of_a_finer_dtype(numbers, dtype):
    found = values(dtype) + values("float64")[:200]
    others = random.Random(1).sample(found, len(found))  # noqa: S311
    pairs = list(zip(found, others, strict=True))
    expected = [ulps(a, b, dtype) for a, b in pairs]
    answers = ask(numbers, "ulps", [[a, b, dtype] for a, b in pairs])
    assert [each if each is None else int(each) for each in answers] == expected


def test_short_distances_are_those_of_python(numbers):
    found = [abs(each) for each in values("float64") if math.isfinite(each)]
    assert ask(numbers, "short", [[each] for each in found]) == [wording.distance(each) for each in found]


@pytest.mark.parametrize("dtype", FORMS)
def test_the_spacing_of_values_is_that_of_python(numbers, dtype):
    infinity = FORMS[dtype].infinity
    source = random.Random(2)  # noqa: S311
    found = [at(source.randrange(1, infinity - 1), dtype) for _ in range(300)]
    assert ask(numbers, "spacing", [[each, dtype] for each in found]) == [floats.ulp(each, dtype) for each in found]


def test_data_of_any_value_come_over_exactly(page, builder, written):
    odd = [0.1, -0.0, 5e-324, 1.7976931348623157e308, math.inf, -math.inf, math.nan, 0.5]
    page.open(written(builder, [builder.record(odd)]))
    assert page.run("tracks[0].map(hexadecimal)") == [each.hex() for each in odd]
