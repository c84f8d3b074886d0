"""The bits of inputs: the same on every machine and in every release, rounded once, moved by one place for members."""

import hashlib
import math
import struct

import numpy as np
import pytest

from repromatrix.draw import bits
from repromatrix.floats import FORMS, at, nearest, ordinal
from repromatrix.matrix.model import DRAW, SEEDS, Input

DTYPES = ("float64", "float32", "float16", "bfloat16")
MEMBERS = 6


def drawn(how: str = "normal", name: str = "w1", shape: tuple[int, ...] = (64, 128), **words) -> Input:
    return Input(name=name, shape=shape, draw=how, **words)


def numbers(given: Input, dtype: str, member: int = 0) -> list[float]:
    """The elements of an input as Python numbers."""
    data = bits(given, dtype, member)
    dtype = given.dtype or dtype
    if dtype == "bfloat16":
        data = b"".join(b"\0\0" + data[place : place + 2] for place in range(0, len(data), 2))
    code = {"float64": "d", "float16": "e", "int32": "i", "int64": "q"}.get(dtype, "f")
    return list(struct.unpack(f"<{len(data) // struct.calcsize(code)}{code}", data))


# Written down: a release that changes one of these gives all cells other inputs, raises DRAW, and says so.
KNOWN = {
    ("normal", "float64"): "391a1d0fc3dc7daf",
    ("normal", "float32"): "44ac2ecb49006a42",
    ("normal", "float16"): "04ec1b6fadd65237",
    ("normal", "bfloat16"): "b646489b8501555d",
    ("uniform", "float64"): "52421b7efcb71d7d",
    ("uniform", "float32"): "8cd1384c886786b7",
    ("uniform", "float16"): "41604c8e6dacb3b6",
    ("uniform", "bfloat16"): "cb50631a2da235c6",
    ("integers", "int32"): "87c143d3ca3926f9",
    ("integers", "int64"): "10bb7786ee5b08f4",
}
WRITTEN = {
    "normal": drawn("normal", scale="0.125"),
    "uniform": drawn("uniform", low="-1", high="3"),
    "integers": drawn("integers", name="y", shape=(512,), below=10),
}


@pytest.mark.parametrize(("how", "dtype"), KNOWN, ids=["-".join(each) for each in KNOWN])
def test_the_bits_of_a_draw_are_these(how: str, dtype: str) -> None:
    assert DRAW == 1
    assert hashlib.sha256(bits(WRITTEN[how], dtype)).hexdigest()[:16] == KNOWN[how, dtype]


def words(seed: str, count: int) -> list[int]:
    """The 64-bit words of a seed: splitmix64 as Steele, Lea and Flood (2014) print it, in plain integers."""
    state, mask, found = int.from_bytes(hashlib.sha256(seed.encode()).digest()[:8], "little"), 2**64 - 1, []
    for _ in range(count):
        state = (state + 0x9E3779B97F4A7C15) & mask
        word = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & mask
        word = ((word ^ (word >> 27)) * 0x94D049BB133111EB) & mask
        found.append(word ^ (word >> 31))
    return found


def test_a_draw_is_what_its_definition_says() -> None:
    count = 100
    seeded = [word >> 11 for word in words("x", 12 * count)]
    uniform = numbers(drawn("uniform", "x", (count,)), "float64")
    assert uniform == [word / 2**53 for word in seeded[:count]]
    sums = [sum(seeded[12 * i : 12 * i + 12]) - 6 * 2**53 for i in range(count)]
    assert numbers(drawn("normal", "x", (count,)), "float64") == [each / 2**53 for each in sums]
    below = drawn("integers", "x", (count,), below=7, dtype="int32")
    assert numbers(below, "float32") == [word % 7 for word in words("x", count)]


@pytest.mark.parametrize("how", ["normal", "uniform", "integers"])
def test_an_element_depends_on_the_name_and_its_place_alone(how: str) -> None:
    kind = {"below": 1000, "dtype": "int64"} if how == "integers" else {}
    many = numbers(drawn(how, shape=(50, 20), **kind), "float64")
    assert numbers(drawn(how, shape=(30,), **kind), "float64") == many[:30]
    assert numbers(drawn(how, name="w2", shape=(30,), **kind), "float64") != many[:30]
    assert bits(drawn(how, shape=(20, 50), **kind), "float64") == bits(drawn(how, shape=(50, 20), **kind), "float64")


@pytest.mark.parametrize("how", ["normal", "uniform"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_a_draw_has_53_random_bits_and_is_rounded_once_into_the_dtype(how: str, dtype: str) -> None:
    exact = numbers(drawn(how), "float64")
    assert numbers(drawn(how), dtype) == [at(ordinal(each, dtype), dtype) for each in exact]
    assert sum(each * 2**52 % 1 != 0 for each in exact) > len(exact) / 4, "the 53rd bit is drawn too"


def test_a_normal_draw_has_mean_0_and_variance_1_and_is_symmetric() -> None:
    found = np.array(numbers(drawn(shape=(200_000,)), "float64"))
    assert abs(found.mean()) < 0.01
    assert abs(found.var() - 1) < 0.02
    assert abs((found**3).mean()) < 0.03
    assert 0.675 < (abs(found) < 1).mean() < 0.69
    assert abs(found).max() < 6
    scaled = np.array(numbers(drawn(shape=(200_000,), scale="0.25"), "float64"))
    assert (scaled == found / 4).all()


def test_a_uniform_draw_fills_its_range_evenly_and_integers_theirs() -> None:
    found = np.array(numbers(drawn("uniform", shape=(100_000,), low="-1", high="3"), "float64"))
    assert found.min() >= -1
    assert found.max() < 3
    assert np.histogram(found, 8)[0].min() > 100_000 / 8 * 0.95
    whole = numbers(drawn("integers", shape=(100_000,), below=8, dtype="int32"), "float32")
    assert set(whole) == set(range(8))
    assert min(whole.count(each) for each in range(8)) > 100_000 / 8 * 0.95


def test_bits_are_little_endian_row_by_row() -> None:
    rows = Input(name="w", shape=(2, 2), decimal=(("1", "2"), ("3", "-0.5")))
    assert bits(rows, "float32") == struct.pack("<4f", 1, 2, 3, -0.5)
    assert bits(rows, "bfloat16") == bytes.fromhex("803f 0040 4040 00bf")
    assert bits(drawn("zeros", shape=(3,)), "float64") == bytes(24)


@pytest.mark.parametrize("dtype", DTYPES)
def test_decimal_text_is_rounded_once_into_the_dtype(dtype: str) -> None:
    texts = ("0.1", "-0.0", "3.14159265358979323846", "1e-40", "65504", "0.3333333333333333333333333")
    given = Input(name="w", shape=(len(texts),), decimal=texts)
    assert [each.hex() for each in numbers(given, dtype)] == [nearest(text, dtype).hex() for text in texts]


def test_text_just_above_a_tie_of_float32_is_not_first_a_tie_of_float64() -> None:
    just_above = "1.0000000596046447753906250000000001"
    assert float(np.float32(float(just_above))) == 1.0  # twice rounded
    assert numbers(Input(name="w", shape=(1,), decimal=(just_above,)), "float32") == [1 + 2**-23]


def test_whole_numbers_written_out_keep_all_their_digits() -> None:
    given = Input(name="y", shape=(3,), dtype="int64", decimal=("9223372036854775807", "-9223372036854775808", "1e3"))
    assert numbers(given, "float32") == [2**63 - 1, -(2**63), 1000]


def test_an_input_with_a_dtype_of_its_own_is_the_same_in_every_cell() -> None:
    given = drawn("uniform", dtype="float64")
    assert {bits(given, dtype) for dtype in DTYPES} == {bits(given, "float64")}


# Members of the ensemble.


@pytest.mark.parametrize("how", ["normal", "zeros", "decimal"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_each_parameter_of_a_member_is_the_next_value_of_the_dtype(how: str, dtype: str) -> None:
    if how == "decimal":
        given = Input(name="w", shape=(4,), decimal=("0.1", "-1", "2", "0"), parameter=True)
    else:
        given = drawn(how, shape=(40, 10), parameter=True)
    start = [ordinal(each, dtype) for each in numbers(given, dtype)]
    moves = [
        [ordinal(new, dtype) - old for new, old in zip(numbers(given, dtype, member), start, strict=True)]
        for member in range(1, MEMBERS)
    ]
    assert moves[0] == [1] * len(start)
    assert moves[1] == [-1] * len(start)
    assert {abs(move) for each in moves for move in each} == {1}
    if how != "decimal":
        assert len({tuple(each) for each in moves}) == MEMBERS - 1
        assert all(0.35 < each.count(1) / len(each) < 0.65 for each in moves[2:]), "by chance, either way"


def test_two_parameters_are_moved_each_in_its_own_way_and_always_alike() -> None:
    first, second = (drawn("zeros", name=name, shape=(64,), parameter=True) for name in ("w1", "w2"))
    assert bits(first, "float32", 3) != bits(second, "float32", 3)
    assert bits(first, "float32", 3) == bits(first, "float32", 3)
    signs = [[each > 0 for each in numbers(first, dtype, 4)] for dtype in DTYPES]
    assert signs == [signs[0]] * 4, "in every dtype in the same direction"


@pytest.mark.parametrize("member", range(1, MEMBERS))
def test_what_is_no_parameter_is_the_same_in_every_member(member: int) -> None:
    for given in (drawn(), drawn("uniform"), Input(name="x", shape=(2,), decimal=("0.1", "1"))):
        assert bits(given, "float32", member) == bits(given, "float32")


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("dtype", DTYPES)
def test_a_value_at_the_end_of_the_range_moves_to_infinity_and_no_further(dtype: str) -> None:
    last = FORMS[dtype].infinity
    texts = (f"{at(last - 1, dtype):.0f}", "1e308")
    given = Input(name="w", shape=(2,), decimal=texts, parameter=True)
    beyond = last if dtype != "float64" else ordinal(1e308, dtype)
    assert [ordinal(each, dtype) for each in numbers(given, dtype, 1)] == [last, min(last, beyond + 1)]
    assert [ordinal(each, dtype) for each in numbers(given, dtype, 2)] == [last - 2, beyond - 1]


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("dtype", DTYPES)
def test_a_draw_beyond_the_range_of_the_dtype_is_infinite_and_no_word_is_said_of_it(dtype: str) -> None:
    found = numbers(drawn(scale="1e300", shape=(50,)), dtype)
    assert all(abs(each) == (abs(each) if dtype == "float64" else float("inf")) for each in found)


def test_another_seed_draws_parameters_anew_and_leaves_all_else() -> None:
    parameter, data = drawn(parameter=True), drawn(name="x")
    first, other, third = (numbers(parameter, "float64", member) for member in (0, SEEDS + 1, SEEDS + 2))
    assert sum(a == b for a, b in zip(first, other, strict=True)) == 0
    assert sum(a == b for a, b in zip(other, third, strict=True)) == 0
    assert bits(data, "float64", SEEDS + 1) == bits(data, "float64")
    written = Input(name="w", shape=(1,), decimal=("0.1",), parameter=True)
    assert bits(written, "float64", SEEDS + 1) == bits(written, "float64")


def test_patterns_are_every_number_of_two_bytes_and_as_many_of_more() -> None:
    given = drawn("patterns", "every", (1 << 16,))
    for dtype, nans in (("float16", 2046), ("bfloat16", 254), ("float32", 254), ("float64", 30)):
        found = numbers(given, dtype)
        assert sum(map(math.isnan, found)) == nans
        assert len(set(found)) == len(found) - 1  # each other one once, but zero, which has two signs
        assert {0.0, math.inf, -math.inf, 1.0, 2.0} <= set(found)
    assert len({bits(given, "float16")[at : at + 2] for at in range(0, 1 << 17, 2)}) == (1 << 16) - 2046 + 1
