"""Values leave an environment as dtype, shape and exact bits: one NaN, both zeros, little-endian."""

import hashlib
import math
import struct
import sys

import numpy as np
import pytest

from repromatrix.results import value as runner

FLOATS = ("float64", "float32", "float16")
QUIET = {"float64": 0x7FF8000000000000, "float32": 0x7FC00000, "float16": 0x7E00, "bfloat16": 0x7FC0}
UNSIGNED = {"float64": np.uint64, "float32": np.uint32, "float16": np.uint16, "bfloat16": np.uint16}


def bits(dtype, *patterns):
    """An array of floats with these bits."""
    return np.array(patterns, UNSIGNED[dtype]).view(dtype)


@pytest.mark.parametrize("dtype", FLOATS)
def test_every_nan_is_the_one_quiet_nan_and_the_array_stays_as_it_was(harness, dtype) -> None:
    quiet = QUIET[dtype]
    sign = 1 << (8 * np.dtype(dtype).itemsize - 1)
    given = bits(dtype, quiet, quiet | sign, quiet | 1, quiet - 1, 0)  # quiet, negative, with a payload, signalling
    before = given.tobytes()
    found = harness.values.of_array(given)
    assert np.frombuffer(found.data, UNSIGNED[dtype]).tolist() == [quiet] * 4 + [0]
    assert given.tobytes() == before
    assert (
        harness.values.of_array(bits(dtype, quiet | sign)).digest == harness.values.of_array(bits(dtype, quiet)).digest
    )
    assert found.told() == ["nan"] * 4 + ["0x0.0p+0"]


@pytest.mark.parametrize("dtype", FLOATS)
def test_zeros_keep_their_sign_and_subnormals_their_bits(harness, dtype) -> None:
    given = np.array([0.0, -0.0, np.finfo(dtype).smallest_subnormal, -np.inf], dtype)
    found = harness.values.of_array(given)
    assert found.data == given.tobytes()
    smallest = float(np.finfo(dtype).smallest_subnormal)
    assert found.told() == ["0x0.0p+0", "-0x0.0p+0", smallest.hex(), "-inf"]


def test_bfloat16_is_the_upper_half_of_a_float32(harness) -> None:
    ml_dtypes = pytest.importorskip("ml_dtypes")
    given = np.array([1.0, -0.0, math.inf, 2.0**-133, math.nan], ml_dtypes.bfloat16)
    found = harness.values.of_array(given)
    assert found.dtype == "bfloat16"
    assert found.told() == [(1.0).hex(), "-0x0.0p+0", "inf", (2.0**-133).hex(), "nan"]


def test_elements_of_bfloat16_are_read_as_floats(harness) -> None:
    data = np.array([0x3F80, 0x8000, 0x7F80, 0x0001, 0x7FC0], "<u2").tobytes()
    assert harness.values.texts("bfloat16", data) == [(1.0).hex(), "-0x0.0p+0", "inf", (2.0**-133).hex(), "nan"]
    found = harness.values.numbers("bfloat16", data)
    assert found[:4] == [1.0, 0.0, math.inf, 2.0**-133]
    assert math.isnan(found[4])


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16", "int32", "uint16", "complex64"])
def test_big_endian_arrays_and_others_of_the_same_values_have_one_digest(harness, dtype) -> None:
    plain = np.arange(6).astype(dtype)
    big = plain.astype(np.dtype(dtype).newbyteorder(">"))
    strided = np.repeat(plain, 2)[::2]
    turned = np.asfortranarray(plain.reshape(2, 3))
    found = [harness.values.of_array(each) for each in (plain, big, strided)]
    assert {(each.dtype, each.digest) for each in found} == {(dtype, hashlib.sha256(plain.tobytes()).hexdigest())}
    assert harness.values.of_array(turned).data == plain.tobytes(), "row by row, however it lies in memory"


def test_the_one_nan_is_so_in_big_endian_too(harness) -> None:
    given = np.array([1, 0x7FC00001], np.uint32).view("float32").astype(">f4")
    assert harness.values.of_array(given).data == struct.pack("<If", 1, math.nan)


WHOLE = {
    "int64": [-(2**63), 2**63 - 1],
    "int32": [-(2**31), 2**31 - 1],
    "int16": [-(2**15), 2**15 - 1],
    "int8": [-128, 127],
    "uint64": [0, 2**64 - 1],
    "uint32": [0, 2**32 - 1],
    "uint16": [0, 2**16 - 1],
    "uint8": [0, 255],
}


@pytest.mark.parametrize(("dtype", "ends"), WHOLE.items(), ids=WHOLE)
def test_whole_numbers_are_decimal_text(harness, dtype, ends) -> None:
    assert harness.values.of_array(np.array(ends, dtype)).told() == [str(each) for each in ends]


def test_truth_values_are_0_and_1(harness) -> None:
    assert harness.values.of_array(np.array([True, False])).told() == ["1", "0"]


def test_a_complex_value_is_its_digest_and_has_one_nan_in_each_part(harness) -> None:
    given = np.array([complex(1, math.nan), complex(-0.0, 2)], "complex128")
    given.view(np.uint64)[1] |= 5  # another NaN
    found = harness.values.of_array(given)
    parts = np.frombuffer(found.data, np.float64)
    assert (found.dtype, found.shape) == ("complex128", (2,))
    assert found.data == struct.pack("<4d", 1, math.nan, -0.0, 2)
    assert math.isnan(parts[1])
    assert found.told() == hashlib.sha256(found.data).hexdigest()  # no text is exact for it


def test_few_elements_are_told_in_full_and_many_by_the_digest_of_their_bits(harness) -> None:
    limit = harness.values.INLINE
    few, many = (np.arange(count, dtype="float32") for count in (limit, limit + 1))
    assert harness.values.of_array(few).told() == [float(each).hex() for each in few]
    assert harness.values.of_array(many).told() == hashlib.sha256(many.tobytes()).hexdigest()


def test_shape_and_dtype_are_those_of_the_array_numbers_and_nothing_included(harness) -> None:
    assert harness.values.of_array(np.zeros((2, 0, 3), "float16")).shape == (2, 0, 3)
    assert harness.values.of_array(np.zeros((2, 0, 3))).told() == []
    single = harness.values.of_array(np.float32(0.5))
    assert (single.dtype, single.shape, single.size, single.told()) == ("float32", (), 1, [(0.5).hex()])


def test_what_holds_no_numbers_is_refused(harness) -> None:
    with pytest.raises(TypeError, match="holds no numbers"):
        harness.values.of_array(np.array([{}]))


@pytest.mark.parametrize(
    ("number", "dtype", "text"),
    [
        (0.1, "float64", (0.1).hex()),
        (-0.0, "float64", "-0x0.0p+0"),
        (-math.nan, "float64", "nan"),
        (3, "int64", "3"),
        (True, "bool", "1"),
    ],
)
def test_a_python_number_is_a_float64_an_int64_or_a_bool(harness, number, dtype, text) -> None:
    found = harness.values.of_number(number)
    assert (found.dtype, found.shape, found.told()) == (dtype, (), [text])


def test_the_one_nan_of_a_python_number_is_that_of_an_array(harness) -> None:
    plain = struct.unpack("<d", struct.pack("<Q", QUIET["float64"] | 1 << 63 | 7))[0]
    assert harness.values.of_number(plain).data == struct.pack("<Q", QUIET["float64"])


def test_runner_and_harness_agree_on_what_is_told_in_full_and_on_every_dtype(harness) -> None:
    assert harness.values.INLINE == runner.INLINE
    assert set(harness.values.CODES) == {*runner.WIDTHS}
    for dtype, code in harness.values.CODES.items():
        assert struct.calcsize(f"<{code}") == runner.WIDTHS[dtype]


@pytest.mark.parametrize("dtype", [*FLOATS, "bfloat16", *WHOLE, "bool"])
def test_what_the_harness_tells_the_runner_takes_and_reads_the_same_of_the_bits(harness, dtype) -> None:
    width = runner.WIDTHS[dtype]
    data = b"\x01\x00" if dtype == "bool" else np.random.default_rng(1).bytes(16 * width)
    texts = harness.values.texts(dtype, data)
    assert runner.exact(texts, dtype) == tuple(texts)
    for place, text in enumerate(texts):
        assert runner.element(data[place * width : (place + 1) * width], dtype) == text


def test_few_digests_and_many_are_the_same_sha_256(harness, monkeypatch) -> None:
    for name in [name for name in sys.modules if name == "hashlib"]:
        monkeypatch.delitem(sys.modules, name)
    digests = harness.values.Digests()
    few = digests.of(b"bits")
    assert "hashlib" not in sys.modules
    digests.of(bytes(digests.FEW))
    assert "hashlib" in sys.modules
    assert few == digests.of(b"bits") == hashlib.sha256(b"bits").hexdigest()


def test_a_python_without_its_own_sha_256_takes_that_of_openssl(harness, monkeypatch) -> None:
    monkeypatch.delitem(sys.modules, "hashlib")
    monkeypatch.setitem(sys.modules, harness.values.OWN, None)
    assert harness.values.Digests().of(b"bits") == hashlib.sha256(b"bits").hexdigest()
