"""Two traces part at the first step, tensor and element whose bits differ; what cannot be told is said."""

import hashlib
import math
import struct
from dataclasses import replace

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from repromatrix.compare import arrays, exact
from repromatrix.compare.classes import classes
from repromatrix.compare.rules import factors_of
from repromatrix.compare.trace import Divergence, divergence, divergences
from repromatrix.results.record import Description, Record
from repromatrix.results.trace import Trace
from repromatrix.results.value import Column, Role, Trajectory
from tests import values
from tests.compare import builder
from tests.worked import TENSORS

SIZES = {"hidden_pre": 2, "hidden": 2, "output_pre": 3, "output": 3, "loss": 1}
SIZES |= {"grad_output_weights": 6, "grad_hidden_weights": 4, "output_weights": 6, "hidden_weights": 4}
SHAPES = {"hidden_pre": (2,), "hidden": (2,), "output_pre": (3,), "output": (3,), "loss": ()}
SHAPES |= {"grad_output_weights": (3, 2), "grad_hidden_weights": (2, 2)}
SHAPES |= {"output_weights": (3, 2), "hidden_weights": (2, 2)}


def description(dtype: str = "float32", **words) -> Description:
    return replace(builder.record().cell, dtype=dtype, **words)


def trace(changes=None, *, steps: int = 3, missing=(), loss: float = 0.5, weight: float = 0.5, **cell) -> Trace:
    """A trace of a net of 2 inputs, 2 hidden units, 3 outputs; `changes`: (step from 1, tensor, place) -> value.

    `loss`: at the last step; `weight`: the hidden weights after it. All else is one half.
    """
    told = {name: [[0.5] * size for _ in range(steps)] for name, size in SIZES.items()}
    told["loss"][-1], told["hidden_weights"][-1] = [loss], [weight] * 4
    for (step, name, place), value in (changes or {}).items():
        told[name][step - 1][place] = value
    found = description(**{"id": "a", "steps": steps} | cell)
    return Trace(
        cell=found,
        key=found.id,
        trajectory=trajectory({name: told[name] for name in TENSORS if name not in missing}, found.dtype),
        untraced=tuple((name, f"no {name} here") for name in TENSORS if name in missing),
    )


def trajectory(told, dtype) -> Trajectory:
    """What a traced run tells: name -> for each step its elements, laid flat."""
    roles = {"loss": "metric", "output": "output", "hidden_weights": "state", "output_weights": "state"}
    columns = [
        values.column(name, roles.get(name, "trace"), rows, dtype, shape=SHAPES[name]) for name, rows in told.items()
    ]
    return Trajectory(columns=tuple(columns))


def pair(left=None, right=None, **words) -> Divergence:
    return divergence(trace(left), trace(right, **{"id": "b"} | words))


def test_the_same_bits_everywhere_are_said_to_be_the_same() -> None:
    found = pair()
    assert found.same
    assert (found.point, found.reason, found.steps, found.tensors, found.caveats) == (None, None, 3, TENSORS, ())


ORDER = [
    ({(2, "hidden", 0): 1.0, (1, "hidden_weights", 3): 1.0}, (1, "hidden_weights", (1, 1))),
    ({(2, "loss", 0): 1.0, (2, "output", 2): 1.0}, (2, "output", (2,))),
    ({(3, "hidden_pre", 1): 1.0, (3, "hidden_pre", 0): 1.0}, (3, "hidden_pre", (0,))),
    ({(1, "loss", 0): 1.0}, (1, "loss", ())),
    ({(1, "grad_output_weights", 3): 1.0, (1, "output_weights", 0): 1.0}, (1, "grad_output_weights", (1, 1))),
    ({(1, "output_weights", 5): 1.0}, (1, "output_weights", (2, 1))),
]


@pytest.mark.parametrize(("changes", "where"), ORDER)
def test_they_part_at_the_first_step_then_the_first_tensor_in_the_flow_then_the_first_element(changes, where) -> None:
    for found in (pair(changes), pair(None, changes)):
        assert (found.point.step, found.point.tensor, found.point.index) == where
        assert not found.same


def with_last_output(found: Trace, texts: list[str]) -> Trace:
    """The trace with an output computed after the last update; a column with one more step."""
    columns = [
        msgspec.structs.replace(each, texts=(*each.texts, *texts)) if each.name == "output" else each
        for each in found.trajectory.columns
    ]
    return replace(found, trajectory=Trajectory(columns=tuple(columns)))


def test_outputs_after_the_last_update_are_compared_where_both_have_them() -> None:
    half, one = (0.5).hex(), (1.0).hex()
    left, right = with_last_output(trace(), [half] * 3), with_last_output(trace(id="b"), [half, half, one])
    found = divergence(left, right)
    assert (found.point.step, found.point.tensor, found.point.index) == (4, "output", (2,))
    assert (found.point.a.hexadecimal, found.point.b.hexadecimal) == (half, one)
    assert divergence(left, with_last_output(trace(id="b"), [half] * 3)).same
    assert divergence(left, trace(id="b")).same  # only one has them
    assert divergence(left, with_last_output(trace(id="b", steps=4), [one] * 3)).same  # step 4 is no end there


def test_tensors_have_the_shapes_of_the_net() -> None:
    assert {name: trace().shape(name) for name in SHAPES} == SHAPES


def test_both_values_are_told_exactly_in_decimals_as_bits_and_in_ulps() -> None:
    above = float(np.nextafter(np.float32(0.3), np.float32(1)))
    found = pair({(1, "hidden", 0): float(np.float32(0.3))}, {(1, "hidden", 0): above}).point
    assert (found.a.hexadecimal, found.a.bits) == (float(np.float32(0.3)).hex(), "0x3e99999a")
    assert (found.b.hexadecimal, found.b.bits) == (above.hex(), "0x3e99999b")
    assert [np.float32(each.decimal) for each in (found.a, found.b)] == [np.float32(0.3), np.float32(above)]
    assert (found.ulps, found.ulp_dtype) == (1, "float32")


SPECIAL = [0.0, -0.0, math.nan, math.inf, -math.inf, 1.0, 5e-324]


@given(st.sampled_from(SPECIAL) | st.floats(), st.sampled_from(SPECIAL) | st.floats())
def test_bits_are_the_same_as_everywhere_else(left: float, right: float) -> None:
    """NaN is one value, -0.0 is not 0.0."""
    found = divergence(
        trace({(1, "loss", 0): left}, dtype="float64"), trace({(1, "loss", 0): right}, dtype="float64", id="b")
    )
    assert found.same == bool(arrays.same_bits(np.array([left]), np.array([right]))[0])
    if not found.same:
        assert found.point.ulps == exact.ulps(left, right, "float64")


PATTERNS = [("float64", ">d", ">Q", 16), ("float32", ">f", ">I", 8), ("float16", ">e", ">H", 4)]


@pytest.mark.parametrize(("dtype", "kind", "integer", "digits"), PATTERNS)
@given(data=st.data())
def test_a_pattern_is_what_the_processor_stores(dtype, kind, integer, digits, data) -> None:
    value = data.draw(st.floats(width=digits * 4, allow_nan=False) | st.sampled_from(SPECIAL[:2]))
    stored = struct.unpack(integer, struct.pack(kind, value))[0]
    assert exact.pattern(value, dtype) == f"0x{stored:0{digits}x}"


def test_the_pattern_of_bfloat16_is_the_upper_half_of_float32_and_nan_is_quiet() -> None:
    assert [exact.pattern(each, "bfloat16") for each in (1.0, -2.0, math.inf, -0.0)] == [
        "0x3f80",
        "0xc000",
        "0x7f80",
        "0x8000",
    ]
    assert [exact.pattern(math.nan, dtype) for dtype in ("float64", "float32", "float16", "bfloat16")] == [
        "0x7ff8000000000000",
        "0x7fc00000",
        "0x7e00",
        "0x7fc0",
    ]


def test_what_is_not_finite_has_no_distance() -> None:
    assert pair({(1, "loss", 0): math.inf}).point.ulps is None
    assert pair({(1, "loss", 0): math.nan}).point.b.decimal == "0.5"


def test_a_tensor_that_one_side_lacks_is_named_and_the_others_are_compared() -> None:
    found = divergence(
        trace({(1, "hidden", 0): 1.0}, missing=("hidden", "hidden_pre")), trace({(2, "loss", 0): 1.0}, id="b")
    )
    assert found.tensors == tuple(name for name in TENSORS if name not in ("hidden", "hidden_pre"))
    assert (found.point.step, found.point.tensor) == (2, "loss")
    assert found.caveats == (
        "not traced, so not compared: hidden_pre (a: no hidden_pre here)",
        "not traced, so not compared: hidden (a: no hidden here)",
    )


def test_traces_of_two_lengths_are_compared_over_the_steps_that_both_have() -> None:
    found = divergence(trace({(3, "loss", 0): 1.0}), trace(steps=2, id="b"))
    assert (found.same, found.steps) == (True, 2)
    assert found.caveats == ("3 steps against 2: those that both have are compared",)


def test_two_dtypes_are_compared_after_rounding_to_the_coarser_and_that_is_said() -> None:
    third, zero = float(np.float32(1 / 3)), {(1, "hidden", 1): -0.0}
    same = divergence(
        trace({(1, "hidden", 0): 1 / 3, (1, "hidden", 1): -1e-60}, dtype="float64"),
        trace({(1, "hidden", 0): third} | zero, id="b"),
    )
    assert same.same
    found = divergence(trace({(1, "loss", 0): 0.1}, dtype="float64"), trace(id="b"))
    assert (found.point.ulp_dtype, found.point.a.bits) == ("float32", "0x3fb999999999999a")
    assert found.caveats[0] == "float64 against float32: values are compared after rounding to float32"


def test_what_cannot_be_compared_has_a_reason_and_no_numbers() -> None:
    other = pair(workload="another")
    assert (other.same, other.point, other.reason) == (False, None, "workload mazur against another")
    edited = pair(task="e6" * 32)
    assert edited.reason == "the workload mazur was edited between the two: its inputs or metrics are others"
    wide = trace(id="b")
    wide = replace(wide, trajectory=values.with_column(wide.trajectory, "output_pre", shape=(3, 1)))
    assert divergence(trace(), wide).reason == "output_pre has another shape in each"
    nothing = divergence(trace(missing=TENSORS), trace(id="b"))
    assert nothing.reason == "they have no traced tensor in common"


# Values that are known by the digests of their bits.


def with_large(found: Trace, rows: list[list[float]], dtype: str = "float32", code: str = "f") -> tuple[Trace, dict]:
    """The trace with a value of 20 elements at each step, before all others; and its bits by their digests."""
    data = [struct.pack(f"<{len(row)}{code}", *row) for row in rows]
    bits = {hashlib.sha256(each).hexdigest(): each for each in data}
    large = Column(name="large", role=Role.TRACE, dtype=dtype, shape=(4, 5), digests=tuple(bits))
    whole = Trajectory(columns=(large, *found.trajectory.columns))
    return replace(found, trajectory=whole), bits


ROWS = [[step + place / 32 for place in range(20)] for step in range(3)]
MOVED = [list(row) for row in ROWS]
MOVED[1][7], MOVED[1][9] = float(np.nextafter(np.float32(MOVED[1][7]), np.float32(9))), 7.5


def test_a_large_value_parts_by_its_digest_and_by_element_once_its_bits_are_there() -> None:
    (a, bits), (b, more) = with_large(trace(), ROWS), with_large(trace({(2, "loss", 0): 1.0}, id="b"), MOVED)
    found = divergence(a, b).point
    assert (found.step, found.tensor, found.index) == (2, "large", ())
    assert (found.a, found.b, found.ulps) == (None, None, None)
    shown = divergence(a, b, (bits | more).get).point
    assert (shown.step, shown.tensor, shown.index, shown.ulps) == (2, "large", (1, 2), 1)
    assert (shown.a.hexadecimal, shown.b.hexadecimal) == (ROWS[1][7].hex(), MOVED[1][7].hex())
    assert divergence(a, b, bits.get).point.a is None  # one side's bits alone show nothing


def test_whole_numbers_part_by_their_digest_alone() -> None:
    one, other = ([[each] * 20 for each in rows] for rows in ((1, 2, 3), (1, 2, 4)))
    (a, bits), (b, more) = (with_large(trace(id=name), rows, "int32", "i") for name, rows in (("a", one), ("b", other)))
    found = divergence(a, b, (bits | more).get).point
    assert (found.step, found.tensor, found.a, found.ulps) == (3, "large", None, None)


def test_across_dtypes_what_is_known_by_digests_alone_is_not_compared_and_named() -> None:
    (a, _), (b, _) = with_large(trace(), ROWS), with_large(trace(id="b", dtype="float64"), MOVED, "float64", "d")
    found = divergence(a, b)
    assert found.same
    assert "large" not in found.tensors
    assert found.caveats[-1] == "known by their digests alone, so not compared across dtypes: large"


# Over a whole run.


def record(name: str, loss: float = 0.5, weight: float = 0.5, **cell) -> Record:
    """The record of a cell whose untraced run gave this loss at the last of three steps, and these weights."""
    found = trace(loss=loss, weight=weight, id=name, **cell)
    return replace(builder.record(), cell=found.cell, trajectories=(found.trajectory.untraced(),))


def between(records, traces) -> list[tuple]:
    found = divergences(classes(records), records, {each.cell.id: each for each in traces})
    return [(each.a, each.b, each.reason or (each.point and (each.point.step, each.point.tensor))) for each in found]


def test_each_class_is_held_against_the_one_that_shares_most_factors() -> None:
    records = [
        record("a1", options=(("update", "x"), ("layout", "x"))),
        record("a2", options=(("update", "x"), ("layout", "x"))),
        record("b", loss=0.75, options=(("update", "y"), ("layout", "y"))),
        record("c1", loss=0.875, options=(("update", "z"), ("layout", "z"), ("loop", "z"))),
        record("c2", loss=0.875, options=(("update", "y"), ("layout", "x"))),
    ]
    traces = [trace(id=each.cell.id, loss=float.fromhex(each.trajectory.losses[-1])) for each in records]
    assert [each[:2] for each in between(records, traces)] == [("a1", "c2"), ("c2", "b")]
    silent = [each for each in traces if each.cell.id != "c2"]  # another cell of the class speaks for it
    assert [each[:2] for each in between(records, silent)] == [("a1", "b"), ("a1", "c1")]


def test_of_classes_equally_alike_the_larger_is_taken() -> None:
    records = [record("a1"), record("a2"), record("a3"), record("b1", loss=0.75), record("b2", loss=0.75)]
    records.append(record("c", loss=0.125))
    traces = [trace(id=each.cell.id, loss=float.fromhex(each.trajectory.losses[-1])) for each in records]
    assert [each[:2] for each in between(records, traces)] == [("a1", "b1"), ("a1", "c")]


def test_each_class_of_a_dtype_is_held_against_another_of_it() -> None:
    records = [
        record("a1"),
        record("a2"),
        record("a3"),
        record("b1", loss=0.75),
        record("w1", loss=0.125, dtype="float64"),
        record("w2", loss=0.375, dtype="float64"),
    ]
    traces = [
        trace(id="a1"),
        trace({(2, "hidden", 1): 1.0}, loss=0.75, id="b1"),
        trace(loss=0.125, dtype="float64", id="w1"),
        trace({(1, "output_pre", 0): 1.0}, loss=0.375, dtype="float64", id="w2"),
    ]
    assert between(records, traces) == [("a1", "b1", (2, "hidden")), ("w1", "w2", (1, "output_pre"))]


def test_cells_with_the_same_losses_and_other_weights_part_in_the_weights() -> None:
    records = [record("a"), record("b"), record("c", weight=0.75)]
    traces = [trace(id="a"), trace(weight=0.75, id="c")]
    assert between(records, traces) == [("a", "c", (3, "hidden_weights"))]


def test_cells_with_the_same_weights_and_other_losses_part_in_the_loss_alone() -> None:
    records = [record("a"), record("b", loss=0.75)]
    traces = [trace(id="a"), trace(loss=0.75, id="b")]
    (found,) = divergences(classes(records), records, {each.cell.id: each for each in traces})
    assert (found.point.tensor, found.point.step) == ("loss", 3)


def test_a_cell_that_tracing_changes_does_not_speak_for_its_class() -> None:
    records = [record("a1"), record("a2"), record("b", loss=0.75)]
    traces = [trace(loss=9.0, id="a1"), trace(id="a2"), trace(loss=0.75, id="b")]
    assert [each[:2] for each in between(records, traces)] == [("a2", "b")]
    alone = [record("a1"), record("b", loss=0.75)]
    assert between(alone, traces) == [("a1", "b", "tracing changes a1, so its trace explains nothing")]


def test_a_class_without_a_trace_is_named_and_a_run_without_traces_says_nothing() -> None:
    records = [record("a"), record("b", loss=0.75)]
    assert between(records, [trace(id="a")]) == [("a", "b", "b has no trace")]
    assert between(records, []) == []


def test_an_option_that_the_matrix_leaves_out_is_no_other_value() -> None:
    stated, silent = (builder.record(options=options) for options in ((("layout", "in_out"),), ()))
    used = (("compile", "eager"), ("layout", "in_out"))
    assert factors_of(replace(stated, factors=used)) == factors_of(replace(silent, factors=used))
    assert factors_of(replace(silent, factors=used))["layout"] == "in_out"
    assert factors_of(stated)["layout"] == "in_out"
