"""A trace survives being written, read and merged; what is damaged or too new is refused by name."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from repromatrix import resources
from repromatrix.errors import ResultsError
from repromatrix.results.manifest import Entry, Manifest
from repromatrix.results.merge import merge
from repromatrix.results.record import Description, Outcome, Record, Trajectory
from repromatrix.results.store import Store
from repromatrix.results.trace import TENSORS, Trace, decode, encode

ID = "tiny/numpy-2.0-cpu/parallel"
HEX = st.floats().map(float.hex)


def rows(count: int, width: int) -> st.SearchStrategy:
    return st.lists(st.lists(HEX, min_size=width, max_size=width).map(tuple), min_size=count, max_size=count).map(tuple)


@st.composite
def traces(draw: st.DrawFn) -> Trace:
    steps, width, hidden, output = (draw(st.integers(1, 3)) for _ in range(4))
    sizes = {"hidden": hidden, "hidden_pre": hidden, "output": output, "output_pre": output, "loss": 1}
    sizes |= dict.fromkeys(("hidden_weights", "grad_hidden_weights"), hidden * width)
    sizes |= dict.fromkeys(("output_weights", "grad_output_weights"), output * hidden)
    missing = draw(st.sets(st.sampled_from(TENSORS)))
    options = draw(st.dictionaries(st.text(max_size=4), st.text(max_size=4), max_size=2))
    return Trace(
        cell=Description(
            **dict.fromkeys(("id", "workload", "framework", "version", "flavour", "python", "environment"), "x"),
            **dict.fromkeys(("variant", "dtype", "device", "settings"), "y"),
            options=tuple(sorted(options.items())),
            steps=steps,
        ),
        key=draw(st.text(max_size=8)),
        trajectory=Trajectory(
            losses=draw(rows(1, steps))[0],
            predictions=draw(rows(steps + 1, output)),
            hidden_weights=draw(rows(hidden, width)),
            output_weights=draw(rows(output, hidden)),
        ),
        tensors=tuple((name, draw(rows(steps, sizes[name]))) for name in TENSORS if name not in missing),
        untraced=tuple((name, draw(st.text(max_size=8))) for name in TENSORS if name in missing),
    )


@given(traces())
def test_what_is_written_is_read_back_byte_for_byte(trace: Trace) -> None:
    assert decode(encode(trace), "somewhere") == trace
    assert encode(decode(encode(trace), "somewhere")) == encode(trace)


@given(traces())
def test_a_tensor_has_as_many_values_as_its_shape(trace: Trace) -> None:
    for name, steps in trace.tensors:
        size = 1
        for each in trace.shape(name):
            size *= each
        assert {len(values) for values in steps} == {size}


@pytest.fixture
def a_trace(a_record: Callable[..., Record]) -> Callable[..., Trace]:
    """Return a trace of the small record, of a net with 2 inputs, 1 hidden unit and 1 output."""

    def make(**changes) -> Trace:
        record = a_record()
        sizes = dict.fromkeys(("hidden_weights", "grad_hidden_weights"), 2)
        values = tuple((name, (((0.5).hex(),) * sizes.get(name, 1),) * 2) for name in TENSORS)
        trace = Trace(cell=record.cell, key="f6" * 32, trajectory=record.trajectory, tensors=values, untraced=())
        return replace(trace, **changes)

    return make


def test_a_trace_is_what_its_published_schema_says(a_trace) -> None:
    rules = json.loads(resources.schema("trace").read_text())
    jsonschema.Draft202012Validator.check_schema(rules)
    assert rules["$defs"]["name"]["enum"] == list(TENSORS)
    partly = a_trace(tensors=a_trace().tensors[2:], untraced=tuple((name, "why") for name in TENSORS[:2]))
    for each in (a_trace(), partly):
        jsonschema.validate(json.loads(encode(each)), rules, cls=jsonschema.Draft202012Validator)


def _with(trace: Trace, path: tuple, value: object) -> bytes:
    document = inner = json.loads(encode(trace))
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    return json.dumps(document).encode()


DAMAGE = {
    "a rounded value": (("tensors", "loss", 0), ["0.5"]),
    "a number": (("tensors", "loss", 0), [0.5]),
    "a value too many": (("tensors", "loss", 0), ["nan", "nan"]),
    "a step too few": (("tensors", "hidden"), [["nan"]]),
    "an unknown tensor": (("tensors", "bias"), [["nan"], ["nan"]]),
    "a tensor that is told and left out": (("untraced", "loss"), "why"),
    "no mapping": (("tensors",), []),
    "no trajectory": (("trajectory",), {}),
    "no weights": (("trajectory", "hidden_weights"), []),
}


@pytest.mark.parametrize(("path", "value"), DAMAGE.values(), ids=DAMAGE)
def test_damage_is_told_with_the_path(a_trace, path: tuple, value: object) -> None:
    with pytest.raises(ResultsError, match="not a readable trace") as caught:
        decode(_with(a_trace(), path, value), "results/traces/x.json")
    assert caught.value.where == "results/traces/x.json"
    assert "run --trace" in caught.value.hint


def test_a_newer_format_is_refused(a_trace) -> None:
    with pytest.raises(ResultsError, match="a trace of format 2, this release reads format 1"):
        decode(_with(a_trace(), ("format",), 2), "x.json")


def test_a_trace_tells_of_a_record_with_the_same_bits_and_of_no_other(a_trace, a_record) -> None:
    record = a_record()
    other = replace(record.trajectory, output_weights=(("0x0.0p+0",),))
    assert a_trace().tells_of(record)
    assert a_trace().tells_of(replace(record, trajectories=(replace(record.trajectory, predictions=()),)))
    assert not a_trace().tells_of(replace(record, trajectories=(other,)))
    assert not a_trace().tells_of(replace(record, outcome=Outcome.FAILED, reason="x", trajectories=()))


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


def test_a_manifest_from_before_there_were_traces_is_read(tmp_path: Path, a_record) -> None:
    store = Store(_run(tmp_path, a_record(), None))
    path = tmp_path / "manifest.json"
    document = json.loads(path.read_text())
    for entry in document["entries"]:
        del entry["trace"], entry["untraced"]
    path.write_text(json.dumps(document))
    assert store.read_manifest().entries[0] == Entry(id=ID, key="a1" * 32, reason=None)
