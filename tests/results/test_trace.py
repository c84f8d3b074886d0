"""A trace survives being written, read and merged; what is damaged or of another format is refused by name."""

import json
from collections.abc import Callable
from dataclasses import replace
from math import prod
from pathlib import Path

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from repromatrix.errors import NewerFormatError, ResultsError
from repromatrix.results import document as documents
from repromatrix.results import schemas
from repromatrix.results.manifest import Entry, Manifest
from repromatrix.results.merge import merge
from repromatrix.results.record import Outcome, Record
from repromatrix.results.store import Store
from repromatrix.results.trace import Trace, decode, encode
from repromatrix.results.value import INLINE, Column, Role, Trajectory
from tests import values
from tests.results.conftest import RECORD, TRAJECTORY
from tests.results.test_record import DIGEST, TEXT, cells
from tests.results.test_value import trajectories

ID = "tiny/numpy-2.0-cpu/parallel"
HALF = (0.5).hex()


@st.composite
def traces(draw: st.DrawFn) -> Trace:
    cell = draw(cells())
    found = draw(trajectories(cell.steps, traced=True))
    told = {each.name for each in found.columns}
    reasons = draw(st.dictionaries(TEXT.filter(lambda name: name not in told), TEXT, max_size=2))
    return Trace(cell=cell, key=draw(DIGEST), trajectory=found, untraced=tuple(sorted(reasons.items())))


@given(traces())
def test_what_is_written_is_read_back_byte_for_byte(trace: Trace) -> None:
    assert decode(encode(trace), "somewhere") == trace
    assert encode(decode(encode(trace), "somewhere")) == encode(trace)


@given(traces())
def test_a_tensor_has_as_many_values_as_its_shape_and_large_ones_are_not_told(trace: Trace) -> None:
    for name, steps in trace.tensors:
        assert {len(values) for values in steps} == {prod(trace.shape(name))}
        assert len(steps) <= trace.cell.steps
    told = [name for name, _ in trace.tensors]
    assert told == [each.name for each in trace.trajectory.columns if each.size <= INLINE]


@given(traces())
def test_a_trace_is_what_its_schema_says(trace: Trace) -> None:
    jsonschema.validate(json.loads(encode(trace)), schemas.made()["trace"], cls=jsonschema.Draft202012Validator)


# What lies between, of a net with 2 inputs, 1 hidden unit and 1 output; then what is larger than 16 elements.
SMALL = {"hidden_pre": [[HALF], ["inf"]], "hidden": [[HALF], ["nan"]]}
LARGE = Column(name="patches", role=Role.TRACE, dtype="float64", shape=(4, 8), digests=("a" * 64, "b" * 64))


@pytest.fixture
def a_trace(a_record: Callable[..., Record]) -> Callable[..., Trace]:
    """Return a trace of the small record: its metrics and outputs, what lies between, and the state of every step."""

    def make(**changes) -> Trace:
        weights = {"output_weights": [[HALF], ["0x0.0000000000001p-1022"]]}
        weights["hidden_weights"] = [[HALF, HALF], ["0x0.0p+0", "-0x0.0p+0"]]
        tensors = SMALL | {"output": None, "loss": None} | weights
        shapes = {"hidden_pre": (1,), "hidden": (1,), "output_weights": (1, 1), "hidden_weights": (1, 2)}
        columns = values.traced(a_record().trajectory, tensors, shapes).columns
        trajectory = Trajectory(columns=(LARGE, *columns))
        trace = Trace(cell=a_record().cell, key="f6" * 32, trajectory=trajectory, untraced=(("kernel", "compiled"),))
        return replace(trace, **changes)

    return make


def test_a_trace_tells_its_values_in_the_order_of_the_step(a_trace) -> None:
    trace = a_trace()
    assert decode(encode(trace), "x") == trace
    assert list(trace.columns) == [
        "patches", "hidden_pre", "hidden", "output", "loss", "output_weights", "hidden_weights",
    ]  # fmt: skip
    assert [name for name, _ in trace.tensors] == list(trace.columns)[1:]
    assert dict(trace.tensors)["hidden"] == ((HALF,), ("nan",))
    assert len(dict(trace.tensors)["output"]) == 2, "the output after the last step is no tensor of a step"
    assert [trace.shape(name) for name in ("loss", "hidden_weights", "patches", "absent")] == [(), (1, 2), (4, 8), ()]


def _with(trace: Trace, path: tuple, value: object) -> bytes:
    document = inner = json.loads(encode(trace))
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    return documents.canonical(document)


BIG, PRE, _, OUTPUT, LOSS, WEIGHTS = (("trajectory", "columns", place) for place in range(6))
DAMAGE = {
    "a rounded value": ((*PRE, "texts", 0), "0.5", "not a float64: '0.5'"),
    "a number": ((*PRE, "texts", 0), 0.5, "Expected `str`, got `float`"),
    "a value too many": ((*WEIGHTS, "texts"), ["nan"] * 3, "output_weights has a step 3 of 2"),
    "half a value": ((*PRE, "shape"), [4], "2 elements are no whole number"),
    "a loss too few": ((*LOSS, "texts"), ["nan"], "the metric loss has 1 values where 2 are due"),
    "a digest that is none": ((*BIG, "digests", 0), "a" * 63, "each step is one SHA-256"),
    "a digest too many": ((*BIG, "digests"), ["a" * 64] * 3, "patches has a step 3 of 2"),
    "elements that are too many to be told": ((*BIG, "texts"), ["nan"], "each step is one SHA-256"),
    "a large value that is small": ((*BIG, "shape"), [2], "the elements of float64[2] are told, not their digest"),
    "a value twice": ((*PRE, "name"), "hidden", "'hidden' is there twice"),
    "a value that is told and left out": (("untraced", 0, 0), "loss", "loss is traced, and not"),
    "no metric": ((*LOSS, "role"), "trace", "the metrics are none"),
    "a role that nobody knows": ((*PRE, "role"), "gradient", "Invalid enum value 'gradient'"),
    "no list of values": (("trajectory", "columns"), {}, "Expected `array`, got `object`"),
    "no values": (("trajectory", "columns"), [], "the metrics are none"),
    "no trajectory": (("trajectory",), {}, "missing required field `columns`"),
    "no list of reasons": (("untraced",), {"x": "why"}, "Expected `array`, got `object`"),
    "an unknown word": (("tensors",), {}, "not as repromatrix writes it"),
    "half a cell": (("cell",), {"id": ID}, "missing required field"),
}


@pytest.mark.parametrize(("path", "value", "what"), DAMAGE.values(), ids=DAMAGE)
def test_damage_is_told_with_the_path(a_trace, path: tuple, value: object, what: str) -> None:
    with pytest.raises(ResultsError, match="not a readable trace") as caught:
        decode(_with(a_trace(), path, value), "results/traces/x.json")
    assert what in caught.value.what
    assert caught.value.where == "results/traces/x.json"
    assert "run --trace" in caught.value.hint


@given(data=st.data())
def test_a_trace_cut_anywhere_is_refused(data: st.DataObject) -> None:
    whole = encode(data.draw(traces()))
    with pytest.raises(ResultsError):
        decode(whole[: data.draw(st.integers(0, len(whole) - 1))], "somewhere")


@pytest.mark.parametrize(("number", "way_out"), [(1, "run the cells again into another folder"), (3, "update repro")])
def test_another_format_is_refused_with_a_way_out(a_trace, number: int, way_out: str) -> None:
    with pytest.raises(NewerFormatError, match=f"a trace of format {number}, this release reads format 2") as caught:
        decode(_with(a_trace(), ("format",), number), "x.json")
    assert caught.value.hint.startswith(way_out)


def test_a_trace_tells_of_a_record_with_the_same_bits_and_of_no_other(a_trace, a_record) -> None:
    record = a_record()
    assert a_trace().tells_of(record)
    other = values.with_column(TRAJECTORY, "hidden_weights", texts=("0x0.0p+0", "0x0.0p+0"))
    assert a_trace().tells_of(replace(record, trajectories=(other, TRAJECTORY)))
    for name in ("loss", "output", "output_weights", "hidden_weights"):
        other = values.with_column(TRAJECTORY, name, texts=(*TRAJECTORY.column(name).texts[:-1], HALF))
        assert not a_trace().tells_of(replace(record, trajectories=(other,))), name
    assert not a_trace().tells_of(replace(record, trajectories=(Trajectory(columns=TRAJECTORY.columns[:-1]),)))
    assert not a_trace().tells_of(replace(record, outcome=Outcome.FAILED, reason="x", trajectories=()))


@given(traces())
def test_a_trace_tells_of_what_the_cell_tells_untraced_in_whatever_order(trace: Trace) -> None:
    bare = trace.trajectory.untraced()
    assert trace.tells_of(replace(RECORD, cell=trace.cell, trajectories=(Trajectory(columns=bare.columns[::-1]),)))


# In a results folder.


def _run(folder: Path, record: Record, trace: Trace | None) -> Path:
    store = Store(folder)
    store.write(record)
    if trace is not None:
        store.write_trace(trace)
    entry = Entry(id=record.cell.id, key=record.key, reason=None, trace=trace.key if trace else None)
    store.write_manifest(Manifest(profile="p", entries=(entry,), published=(), tolerances=()))
    return folder


def test_a_trace_stands_under_its_cell_and_its_key(tmp_path: Path, a_trace) -> None:
    store = Store(tmp_path)
    store.write_trace(a_trace())
    written = [path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()]
    assert written == [f"traces/{ID}/{'f6' * 8}.json"]
    assert store.read_trace(ID, "f6" * 32) == a_trace()
    assert store.read_trace(ID, "a1" * 32) is None


def test_the_trace_of_another_cell_in_a_file_is_told(tmp_path: Path, a_trace) -> None:
    store = Store(tmp_path)
    store.write_trace(a_trace())
    store.trace_path(ID, "f6" * 32).rename(tmp_path / "x.json")
    store.trace_path("tiny/other-1-cpu/x", "f6" * 32).parent.mkdir(parents=True)
    (tmp_path / "x.json").rename(store.trace_path("tiny/other-1-cpu/x", "f6" * 32))
    with pytest.raises(ResultsError, match=f"holds the trace of {ID}"):
        store.read_trace("tiny/other-1-cpu/x", "f6" * 32)


def test_merged_folders_hold_the_traces_of_all(tmp_path: Path, a_trace, a_record) -> None:
    target = Store(tmp_path / "merged")
    merged = merge([_run(tmp_path / "one", a_record(), a_trace())], target).manifest
    assert target.traces(merged) == {ID: a_trace()}


@pytest.mark.parametrize("first", [True, False])
def test_of_two_folders_with_one_result_the_traced_one_is_taken(tmp_path: Path, a_trace, a_record, first) -> None:
    traced, plain = _run(tmp_path / "one", a_record(), a_trace()), _run(tmp_path / "two", a_record(), None)
    target = Store(tmp_path / "merged")
    merged = merge([traced, plain] if first else [plain, traced], target).manifest
    assert target.traces(merged) == {ID: a_trace()}


def test_a_trace_that_is_gone_does_not_stop_a_merge(tmp_path: Path, a_trace, a_record) -> None:
    folder = _run(tmp_path / "one", a_record(), a_trace())
    Store(folder).trace_path(ID, a_trace().key).unlink()
    target = Store(tmp_path / "merged")
    assert target.traces(merge([folder], target).manifest) == {}
