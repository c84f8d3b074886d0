"""Values in columns: one exact spelling, counts that agree, and what was recorded step by step comes out whole."""

import math
import struct

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from repromatrix.results.value import (
    INLINE,
    INTEGERS,
    Column,
    Role,
    Trajectory,
    check,
    check_column,
    columns,
    exact,
    first_difference,
)
from tests import values
from tests.values import DTYPES

DIGESTS = st.from_regex(r"[0-9a-f]{64}", fullmatch=True)
SHAPES = st.lists(st.integers(1, 3), max_size=3).map(tuple)
LARGE = (3, 6)
CODES = {"float64": ("<Q", "<d"), "float32": ("<I", "<f"), "float16": ("<H", "<e"), "bfloat16": ("<I", "<f")}
BITS = {"float64": 64, "float32": 32, "float16": 16, "bfloat16": 16}


def value_of(pattern: int, dtype: str) -> float:
    """The value of a dtype with these bits."""
    codes, shift = CODES[dtype], 16 if dtype == "bfloat16" else 0
    return struct.unpack(codes[1], struct.pack(codes[0], pattern << shift))[0]


def texts(dtype: str) -> st.SearchStrategy[str]:
    """How any value of a dtype is written."""
    return st.integers(0, 2 ** BITS[dtype] - 1).map(lambda pattern: float(value_of(pattern, dtype)).hex())


@st.composite
def a_column(draw: st.DrawFn, name: str, role: Role, steps: tuple[int, ...]) -> Column:
    dtype = draw(st.sampled_from(DTYPES))
    shape = () if role is Role.METRIC else draw(SHAPES | st.just(LARGE))
    size, told, digests = math.prod(shape), [], []
    if size <= INLINE:
        told = draw(st.lists(texts(dtype), min_size=size * len(steps), max_size=size * len(steps)))
    else:
        digests = draw(st.lists(DIGESTS, min_size=len(steps), max_size=len(steps)))
    gap = None if steps == tuple(range(1, len(steps) + 1)) else steps
    return Column(name=name, role=role, dtype=dtype, shape=shape, steps=gap, texts=tuple(told), digests=tuple(digests))


@st.composite
def trajectories(draw: st.DrawFn, steps: int, *, traced: bool = False) -> Trajectory:
    """What a cell of so many steps may give; `traced`: every value of every step."""
    every = tuple(range(1, steps + 1))
    found = [draw(a_column("loss", Role.METRIC, every))]
    names = draw(st.lists(st.text(min_size=1, max_size=5).filter(lambda name: name != "loss"), max_size=4, unique=True))
    roles = [role for role in Role if traced or role is not Role.TRACE]
    for name in names:
        role = draw(st.sampled_from(roles))
        if role is Role.METRIC or (role is Role.STATE and traced):
            at = every
        elif role is Role.STATE:
            at = (steps,)
        elif role is Role.OUTPUT:
            at = draw(st.sampled_from([every, (*every, steps + 1), (steps + 1,)]))
        else:
            at = draw(st.sampled_from([every, every[-1:]]))
        found.append(draw(a_column(name, role, at)))
    return Trajectory(columns=tuple(draw(st.permutations(found))))


# How a value is written.


@pytest.mark.parametrize("dtype", DTYPES)
@given(data=st.data())
def test_the_one_spelling_of_each_value_is_read(dtype: str, data: st.DataObject) -> None:
    found = tuple(data.draw(st.lists(texts(dtype), max_size=4)))
    assert exact(found, dtype) == found


@pytest.mark.parametrize("dtype", DTYPES)
@given(value=st.floats())
def test_a_value_is_of_a_dtype_if_and_only_if_its_bits_are(dtype: str, value: float) -> None:
    """Held against the packing of the standard library, which knows nothing of ours."""
    code = CODES[dtype][1]
    try:
        bits = struct.pack(code, value)
    except OverflowError:
        bits = struct.pack(code, 0.0 if value else 1.0)
    held = struct.unpack(code, b"\0\0" + bits[2:] if dtype == "bfloat16" else bits)[0]
    if math.isnan(value) or held.hex() == value.hex():
        assert exact([value.hex()], dtype) == (value.hex(),)
    else:
        with pytest.raises(ValueError, match=f"not a {dtype}"):
            exact([value.hex()], dtype)


OTHER_SPELLINGS = [
    "", "-nan", "+inf", " nan", "nan\n", "nan\nnan", "0x1p+0", "0x1.0p+0", "0x0.0p-1022", "0x0.0000000000000p-1022",
    "0x1.0000000000000p-0", "0x1.0000000000000p+00", "0x1.0000000000000p+1024", "0x1.0000000000000p-1023",
    "0x1.ABCDEF0000000p+0", "0x0.8000000000000p+0", "0x1.0000000000000p+9999", "1.0", "inf\0",
]  # fmt: skip


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("text", OTHER_SPELLINGS, ids=repr)
def test_another_spelling_is_no_value(text: str, dtype: str) -> None:
    with pytest.raises(ValueError, match=f"not a {dtype}"):
        exact(["0x1.8000000000000p-1", text], dtype)


LACKS = [
    ("0x1.2345678912345p-2", "float32", "more bits"),
    ("0x1.0010000000000p+0", "float16", "more bits"),
    ("0x1.0100000000000p+0", "bfloat16", "more bits"),
    ("0x1.0000000000000p+16", "float16", "too large"),
    ("0x1.0000000000000p-25", "float16", "too small"),
    ("0x1.0000000000000p-150", "float32", "too small"),
    ("0x1.8000000000000p-149", "float32", "between two subnormal values"),
]


@pytest.mark.parametrize(("text", "dtype", "why"), LACKS)
def test_what_a_dtype_lacks_is_no_value_of_it(text: str, dtype: str, why: str) -> None:
    with pytest.raises(ValueError, match=f"not a {dtype}"):
        exact([text], dtype)
    assert exact([text], "float64") == (text,), why


def limits(dtype: str) -> tuple[int, int]:
    bits = int(dtype.lstrip("uint"))
    return (0, 2**bits - 1) if dtype.startswith("u") else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)


@pytest.mark.parametrize("dtype", [each for each in INTEGERS if each != "bool"])
def test_an_integer_is_decimal_and_within_its_dtype(dtype: str) -> None:
    low, high = limits(dtype)
    assert exact([str(low), "0", str(high)], dtype) == (str(low), "0", str(high))
    for text in (str(low - 1), str(high + 1), "1.0", "01", "-0", "+1", "", "one", "1" * 30, "\u0661"):
        with pytest.raises(ValueError, match=f"not all are {dtype}"):
            exact([text], dtype)


def test_a_boolean_is_0_or_1() -> None:
    assert exact(["0", "1"], "bool") == ("0", "1")
    for text in ("2", "-1", "True"):
        with pytest.raises(ValueError, match="not all are bool"):
            exact([text], "bool")


# Columns.

FOUR = values.column("w", "trace", [1, 2, 3, 4], shape=(2,))


def test_a_column_tells_its_steps_and_its_elements_at_each() -> None:
    assert (FOUR.size, FOUR.count, FOUR.at, FOUR.inline) == (2, 2, (1, 2), True)
    assert FOUR.rows == (((1.0).hex(), (2.0).hex()), ((3.0).hex(), (4.0).hex()))
    assert FOUR.last() == values.column("w", "trace", [3, 4], shape=(2,), steps=(2,))


def test_of_many_elements_the_digests_are_the_rows() -> None:
    large = Column(name="w", role=Role.STATE, dtype="float32", shape=(17,), digests=("a" * 64, "b" * 64))
    assert (large.count, large.rows, large.inline) == (2, (("a" * 64,), ("b" * 64,)), False)
    assert large.last().rows == (("b" * 64,),)
    assert large.last().at == (2,)
    check_column(large)


@given(data=st.data(), steps=st.integers(1, 4))
def test_the_last_step_of_a_column_is_what_alone_was_recorded_there(data: st.DataObject, steps: int) -> None:
    """A traced run records the state of every step, a plain one the last: they must be equal, also after one step."""
    whole = data.draw(a_column("w", Role.STATE, tuple(range(1, steps + 1))))
    told = list(whole.rows[-1]) if whole.inline else whole.digests[-1]
    (alone,) = columns([(steps, "w", "state", whole.dtype, whole.shape, told)])
    assert whole.last() == alone
    check_column(whole.last())


@given(st.integers(1, 3).flatmap(lambda steps: st.tuples(st.just(steps), trajectories(steps, traced=True))))
def test_what_is_recorded_step_by_step_is_the_columns(drawn: tuple[int, Trajectory]) -> None:
    steps, found = drawn
    told = {
        (step, column.name): (
            step,
            column.name,
            str(column.role),
            column.dtype,
            column.shape,
            list(row) if column.inline else row[0],
        )
        for column in found.columns
        for step, row in zip(column.at, column.rows, strict=True)
    }
    entries = [
        told[step, column.name]
        for step in range(1, steps + 2)
        for column in found.columns
        if (step, column.name) in told
    ]
    again = columns(entries)
    assert {each.name: each for each in again} == {each.name: each for each in found.columns}
    assert [each.name for each in again] == list(dict.fromkeys(name for _, name, *_ in entries))
    check(Trajectory(columns=again), steps)


LOSS = (1, "loss", "metric", "float64", (), ["0x0.0p+0"])
PARTED = {
    "another role": ((2, "loss", "output", "float64", (), ["nan"]), "is a output of float64"),
    "another dtype": ((2, "loss", "metric", "float32", (), ["nan"]), "is a metric of float32"),
    "another shape": ((2, "loss", "metric", "float64", (1,), ["nan"]), r"float64\[1\] at step 2"),
    "the same step": ((1, "loss", "metric", "float64", (), ["nan"]), "recorded at step 1 after step 1"),
    "an earlier step": ((0, "loss", "metric", "float64", (), ["nan"]), "recorded at step 0 after step 1"),
    "too many elements": ((2, "loss", "metric", "float64", (), ["nan"] * 2), "loss has 2 elements at step 2"),
    "no elements": ((2, "loss", "metric", "float64", (), []), "loss has 0 elements at step 2"),
}


@pytest.mark.parametrize(("entry", "what"), PARTED.values(), ids=PARTED)
def test_a_value_is_at_each_step_what_it_was_before(entry, what: str) -> None:
    with pytest.raises(ValueError, match=what):
        columns([LOSS, entry])


def test_a_value_without_elements_is_one_at_each_step() -> None:
    (found,) = columns([(step, "w", "state", "float64", (2, 0), []) for step in (1, 2)])
    check_column(found)
    assert (found.at, found.rows, found.last().at) == ((1, 2), ((), ()), (2,))
    check(Trajectory(columns=(*values.trajectory([1, 2]).columns, found)), 2)


BAD_COLUMNS = {
    "a negative size": ({"shape": (-1,)}, "the shape"),
    "half a row": ({"shape": (3,)}, "4 elements are no whole number"),
    "digests beside elements": ({"digests": ("a" * 64,)}, r"the elements of float64\[2\] are told"),
    "elements in place of digests": ({"shape": (4, 5)}, r"float64\[4, 5\] each step is one SHA-256"),
    "elements of nothing": ({"shape": (0,), "steps": (1, 2)}, "4 elements are no whole number"),
    "a digest that is none": ({"shape": (17,), "texts": (), "digests": ("A" * 64,)}, "each step is one SHA-256"),
    "no values": ({"texts": ()}, "w has no values"),
    "a step too few": ({"steps": (2,)}, "1 steps of 2 values"),
    "falling steps": ({"steps": (3, 2)}, "not rising from 1"),
    "a step twice": ({"steps": (2, 2)}, "not rising from 1"),
    "step 0": ({"steps": (0, 2)}, "not rising from 1"),
    "steps that go without saying": ({"steps": (1, 2)}, "tells its steps, which have no gap"),
    "another dtype's values": ({"dtype": "int8"}, "not all are int8"),
    "a dtype that nobody knows": ({"dtype": "float7"}, "of float7"),
    "such a dtype by digests": ({"dtype": "", "shape": (17,), "texts": (), "digests": ("a" * 64,)}, "'w' is of ''"),
    "no elements and no steps": ({"shape": (0,), "texts": ()}, "w has no values"),
    "no name": ({"name": ""}, "'' is of"),
}


@pytest.mark.parametrize(("changes", "what"), BAD_COLUMNS.values(), ids=BAD_COLUMNS)
def test_a_column_that_contradicts_itself_is_refused(changes, what: str) -> None:
    check_column(FOUR)
    with pytest.raises(ValueError, match=what):
        check_column(msgspec.structs.replace(FOUR, **changes))


# Trajectories.


@given(st.integers(1, 4).flatmap(lambda steps: st.tuples(st.just(steps), trajectories(steps))))
def test_what_a_cell_may_give_passes_and_no_other_number_of_steps_does(drawn: tuple[int, Trajectory]) -> None:
    steps, found = drawn
    check(found, steps)
    check(found, steps, [each.name for each in found.metrics])
    for other in (steps - 1, steps + 1):
        with pytest.raises(ValueError, match=r"has a step|are due"):
            check(found, other)


SMALL = values.trajectory([1, 2], [[1], [2], [3]], [[1]], [[2]])
BAD = {
    "a name twice": (Trajectory(columns=SMALL.columns * 2), "'loss' is there twice"),
    "no metric": (Trajectory(columns=SMALL.columns[1:]), "the metrics are none"),
    "nothing at all": (Trajectory(columns=()), "the metrics are none"),
    "a metric with a shape": (values.with_column(SMALL, "loss", shape=(1,)), "the metric loss"),
    "a metric with a gap": (values.with_column(SMALL, "loss", steps=(1, 3)), "loss has a step 3 of 2"),
    "a metric that ends early": (
        values.with_column(SMALL, "loss", texts=((1.0).hex(),)),
        "the metric loss has 1 values where 2 are due",
    ),
    "a metric of integers": (values.with_column(SMALL, "loss", dtype="int8", texts=("1", "2")), "the metric loss"),
    "an output long after the end": (values.with_column(SMALL, "output", steps=(1, 2, 4)), "output has a step 4 of 2"),
    "the state before the last step": (
        values.with_column(SMALL, "hidden_weights", steps=None),
        "the state hidden_weights is not that after the last step",
    ),
}


@pytest.mark.parametrize(("found", "what"), BAD.values(), ids=BAD)
def test_a_trajectory_that_contradicts_itself_is_refused(found: Trajectory, what: str) -> None:
    check(SMALL, 2)
    with pytest.raises(ValueError, match=what):
        check(found, 2)


def test_the_metrics_are_those_that_the_workload_names_in_its_order() -> None:
    two = values.trajectory([1, 2], metrics={"accuracy": [0, 1]})
    check(two, 2, ["loss", "accuracy"])
    for wanted in (["loss"], ["accuracy", "loss"], ["loss", "accuracy", "norm"]):
        with pytest.raises(ValueError, match=f"the metrics are loss, accuracy instead of {', '.join(wanted)}"):
            check(two, 2, wanted)


def test_a_trajectory_is_seen_by_what_its_values_are() -> None:
    two = values.trajectory([1, 2], [[3], [4], [5]], [[6, 7]], [[8]], metrics={"accuracy": [0, 1]})
    assert two.losses == ((1.0).hex(), (2.0).hex())
    assert two.judged == (two.losses, ((0.0).hex(), (1.0).hex()))
    assert two.predictions == (((3.0).hex(),), ((4.0).hex(),), ((5.0).hex(),))
    assert two.state == (
        ("output_weights", "float64", "(1, 1)", (8.0).hex()),
        ("hidden_weights", "float64", "(1, 2)", (6.0).hex(), (7.0).hex()),
    )
    assert two.tensor("hidden_weights") == (((6.0).hex(), (7.0).hex()),)
    for name in ("loss", "absent"):
        with pytest.raises(KeyError):
            two.tensor(name)
    assert two.column("absent") is None


@given(st.integers(1, 3).flatmap(lambda steps: st.tuples(st.just(steps), trajectories(steps, traced=True))))
def test_a_traced_run_tells_what_an_untraced_one_would(drawn: tuple[int, Trajectory]) -> None:
    steps, found = drawn
    bare = found.untraced()
    check(bare, steps)
    assert bare.of(Role.TRACE) == ()
    assert bare.judged == found.judged
    assert bare.predictions == found.predictions
    assert bare.state == found.state
    assert {each.count for each in bare.of(Role.STATE)} <= {1}


# Bits.


@pytest.mark.parametrize("dtype", DTYPES)
@given(data=st.data())
def test_the_first_element_that_differs_is_named_with_both_values(dtype: str, data: st.DataObject) -> None:
    width = BITS[dtype] // 8
    patterns = data.draw(st.lists(st.integers(0, 2 ** BITS[dtype] - 1), min_size=1, max_size=5))
    place, other = data.draw(st.integers(0, len(patterns) - 1)), data.draw(st.integers(0, 2 ** BITS[dtype] - 1))
    changed = [*patterns[:place], other, *patterns[place + 1 :]]
    a, b = (b"".join(each.to_bytes(width, "little") for each in some) for some in (patterns, changed))
    expected = (place, *(float(value_of(each, dtype)).hex() for each in (patterns[place], other)))
    assert first_difference(a, b, dtype) == (None if patterns[place] == other else expected)
    assert first_difference(a, b"", dtype) is None
    assert first_difference(a, b, "complex64") is None
