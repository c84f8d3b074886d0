"""Fresh samples are the same on every machine, of the right shapes and enough of them."""

import hashlib
import json

import pytest

from repromatrix import floats
from repromatrix.operations import fresh, truth
from repromatrix.operations.catalogue import CATALOGUE
from repromatrix.operations.form import Constants
from repromatrix.operations.text import write
from tests import worked

DTYPES = sorted(floats.FORMS)
# How many values each operation gives for a call, and the rows and columns of its matrices.
VALUES = {"product": 3, "loss": 1, "outer": 6, "back": 3, "update": 6}
MATRICES = {("product", "W"): (3, 2), ("back", "W"): (2, 3), ("update", "W"): (3, 2), ("update", "g"): (3, 2)}


def shape(tensor):
    widths = {len(row) for row in tensor if isinstance(row, list)}
    return (len(tensor), *widths)


def numbers(tensor):
    return [each for row in tensor for each in (row if isinstance(row, list) else [row])]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("operation", worked.OPERATIONS)
def test_there_are_enough_calls_of_one_shape(operation, dtype):
    found = fresh.samples(operation, dtype)
    assert len(found) >= 1024
    assert len(found) * VALUES.get(operation, 2) >= 2048
    assert all(tuple(each) == tuple(CATALOGUE[operation].takes) for each in found)
    sizes = {name: MATRICES.get((operation, name), (2,)) for name in CATALOGUE[operation].takes}
    assert all(shape(tensor) == sizes[name] for each in found for name, tensor in each.items() if name != "d")


@pytest.mark.parametrize("operation", worked.OPERATIONS)
def test_the_shapes_are_those_of_a_layer_that_is_not_square(operation):
    sample = fresh.samples(operation, "float32")[0]
    true = truth.correct(operation, sample, "float32", Constants(numbers=(("rate", 0.5),)))
    assert len(true) == VALUES.get(operation, 2)
    assert operation != "outer" or (len(sample["d"]), len(sample["v"])) == (3, 2)
    assert operation != "back" or len(sample["d"]) == 2


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("operation", worked.OPERATIONS)
def test_every_number_is_a_normal_value_of_the_dtype(operation, dtype):
    form = floats.FORMS[dtype]
    smallest = floats.at(1 << (form.precision - 1), dtype)
    for sample in fresh.samples(operation, dtype):
        for name, tensor in sample.items():
            for value in numbers(tensor):
                assert floats.at(floats.ordinal(value, dtype), dtype) == value
                assert smallest <= abs(value) < 64 or name == "a"


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_activations_of_a_gradient_are_correct_sigmoids_of_the_same_numbers(dtype):
    pairs = zip(fresh.samples("sigmoid", dtype), fresh.samples("sigmoid_gradient", dtype), strict=True)
    for plain, gradient in pairs:
        assert gradient["z"] == plain["z"]
        assert gradient["a"] == [truth.sigmoid(each, dtype) for each in plain["z"]]


@pytest.mark.parametrize("dtype", fresh.SHORT)
def test_half_of_the_short_sigmoids_lie_close_to_the_middle_of_two_values(dtype):
    found = fresh.samples("sigmoid", dtype)
    off = [truth.off_middle(z, dtype) for each in found[1::2] for z in each["z"]]
    usual = [truth.off_middle(z, dtype) for each in found[::2] for z in each["z"]]
    assert max(off) < sorted(usual)[len(usual) // 2]
    assert len({z for each in found[1::2] for z in each["z"]}) == len(off), "each number once"


def test_another_seed_gives_other_numbers():
    assert fresh.samples("bias", "float32", 1) != fresh.samples("bias", "float32", 0)


def test_an_unknown_operation_is_refused():
    with pytest.raises(KeyError):
        fresh.samples("convolution", "float32")


# What is published about forms stands on these very numbers: another generator is another seed.
DIGESTS = {
    "product": "3e053a129aea51f5",
    "bias": "f856c9cc620b16e1",
    "sigmoid": "15393c5bb37ee958",
    "loss": "1cbc5d8cfd3158d9",
    "error": "311eec2c468ee1d2",
    "sigmoid_gradient": "f550a21e9e919470",
    "outer": "5421e7dd783a5f3a",
    "back": "c9e35cea22bbbf02",
    "update": "0cd88b52948a91ce",
}


@pytest.mark.parametrize("operation", worked.OPERATIONS)
def test_the_numbers_never_change(operation):
    text = json.dumps([[write(each) for each in fresh.samples(operation, dtype)] for dtype in DTYPES])
    assert hashlib.sha256(text.encode()).hexdigest()[:16] == DIGESTS[operation]
