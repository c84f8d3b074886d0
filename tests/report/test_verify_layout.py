"""Where a file of a report first differs from the one that the records give."""

import copy
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from repromatrix.report.render import contents
from repromatrix.report.verify.layout import differing_place, same_files

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=3),
    max_leaves=8,
)


@given(VALUES, VALUES)
def test_two_values_differ_nowhere_only_if_they_are_written_alike(a, b):
    alike = json.dumps(a, sort_keys=True) == json.dumps(b, sort_keys=True)
    assert (differing_place(a, b) is None) == alike
    assert differing_place(a, copy.deepcopy(a)) is None


@pytest.mark.parametrize(
    ("found", "due", "place"),
    [
        ({"a": [1, {"b": 2}]}, {"a": [1, {"b": 3}]}, ("a[1].b", "2", "3")),
        ({"a": 1.0}, {"a": 1}, ("a", "1.0", "1")),
        ({"a": True}, {"a": 1}, ("a", "true", "1")),
        ({"a": -0.0}, {"a": 0.0}, ("a", "-0.0", "0.0")),
        ({}, {"a": None}, ("a", "nothing", "null")),
        ({"a": [1, 2]}, {"a": [1]}, ("a[1]", "2", "nothing")),
    ],
)
def test_the_first_place_is_a_path_with_both_sides(found, due, place):
    assert differing_place(found, due) == place


def test_each_file_is_told_once_and_a_file_that_is_not_there_is_not(rich):
    honest = {name: text.encode() for name, text in contents(rich.view).items()}
    assert list(same_files(honest, rich.view)) == []
    wrong = {name: data.replace(b"0.", b"1.") for name, data in honest.items()}
    names = [each.where.partition(":")[0] for each in same_files(wrong, rich.view)]
    assert names == ["index.html", "report.md", "report.json"]
    del wrong["index.html"]
    assert [each.where.partition(":")[0] for each in same_files(wrong, rich.view)] == names[1:]
