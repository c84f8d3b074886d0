"""Samples as text are exact."""

import pytest

from repromatrix.operations import text
from repromatrix.operations.catalogue import OWN_SIGMOID

SAMPLE = {"W": [[0.1, -0.0], [1e-310, 3.0]], "v": [float("inf"), -2.5]}


def test_a_sample_is_written_exactly():
    written = text.write(SAMPLE)
    assert written["v"] == ["inf", "-0x1.4000000000000p+1"]
    assert [[each.hex() for each in text.flat(row)] for row in written["W"]] == written["W"]
    assert written["W"][0] == [(0.1).hex(), "-0x0.0p+0"]


def test_what_no_operation_takes_is_not_written():
    assert text.write({"z": [1.0], OWN_SIGMOID: [0.5]}) == {"z": ["0x1.0000000000000p+0"]}


def test_calls_are_stacked_along_the_first_axis():
    found = text.stacked([SAMPLE, SAMPLE, SAMPLE])
    assert {name: each.shape for name, each in found.items()} == {"W": (3, 2, 2), "v": (3, 2)}


@pytest.mark.parametrize("samples", [[], [{"v": [1.0]}, {"v": [1.0, 2.0]}]])
def test_what_cannot_be_stacked_is_refused(samples):
    with pytest.raises(ValueError, match=r"samples|inhomogeneous"):
        text.stacked(samples)


def test_weights_laid_flat_are_read_row_by_row():
    assert text.rows([each.hex() for each in (1.0, 2.0, 3.0, 4.0, 5.0, 6.0)], (2, 3)) == [[1, 2, 3], [4, 5, 6]]
