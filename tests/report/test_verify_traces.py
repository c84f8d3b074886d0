"""What a report says of traces is recomputed by another way, from the files, whatever they hold."""

import json
import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from repromatrix.__main__ import main
from repromatrix.compare.trace import divergence
from repromatrix.floats import FORMS
from repromatrix.report.evidence import Evidence
from repromatrix.report.run import run_of
from repromatrix.report.sections import divergences as section
from repromatrix.report.verify.cells import classes as classes_again
from repromatrix.report.verify.traces import parted
from repromatrix.results import document as documents
from repromatrix.results import trace as trace_files
from repromatrix.results.store import Store
from tests import values
from tests.compare import builder
from tests.report.oracles import traces as oracle

VALUES = [0.0, -0.0, math.nan, math.inf, -math.inf, 1.0, 5e-324, -1e-300, 3e38, 65504.0, 1 / 3]
PLACES = [("hidden_pre", 0), ("hidden", 0), ("output_pre", 0), ("grad_output_weights", 0), ("hidden_weights", 0)]


LATER = ((1.0).hex(), (1.5).hex())


def of_dtype(found, dtype):
    """A trajectory whose values are the nearest ones of a dtype."""
    for each in found.columns:
        texts = tuple(builder.nearest(float.fromhex(text), dtype).hex() for text in each.texts)
        found = values.with_column(found, each.name, dtype=dtype, texts=texts)
    return found


def recorded(record, changes=None, missing=()):
    """A record and its trace, both in the cell's dtype."""
    dtype, trace = record.cell.dtype, builder.trace(record, changes, missing=missing)
    return (
        replace(record, trajectories=tuple(of_dtype(each, dtype) for each in record.trajectories)),
        replace(trace, trajectory=of_dtype(trace.trajectory, dtype)),
    )


def both_ways(builder, records, traces):
    """What the report says of traces and what other code comes to, by id."""
    found = {each.cell.id: each for each in traces}
    manifest = builder.manifest(records, tables=(), traces=traces)
    evidence = Evidence(manifest=manifest, records=tuple(records), traces=found)
    stated = section.build(run_of(evidence, {})).sentences
    again = (*parted(records, found, tuple(classes_again(records))), *oracle.told(manifest, records, found))
    return tuple({each.id: (each.kind, each.cells, each.values) for each in way} for way in (stated, again))


@given(data=st.data())
def test_both_ways_agree_on_values_of_every_kind_in_every_dtype(data):
    records, traces = [], []
    floats = st.sampled_from(VALUES) | st.floats()
    for number, loss in enumerate((0.5, 0.5, data.draw(floats))):
        dtype = data.draw(st.sampled_from(list(FORMS)))
        shown = [[data.draw(floats) if data.draw(st.booleans()) else 0.5] for _ in range(3)]
        record = builder.record(
            (loss, 0.25), predictions=shown, dtype=dtype, weights=1.0 + number, id=f"mazur/x/{number}"
        )
        changes = {
            (step, *place): data.draw(floats)
            for step in (1, 2)
            for place in data.draw(st.lists(st.sampled_from(PLACES), max_size=2))
        }
        missing = data.draw(st.lists(st.sampled_from([name for name, _ in PLACES]), max_size=2))
        kept = {where: value for where, value in changes.items() if where[1] not in missing}
        record, trace = recorded(record, kept, tuple(missing))
        records.append(record)
        if data.draw(st.integers(0, 9)):
            traces.append(trace)
    stated, again = both_ways(builder, records, traces)
    assert stated == again


def test_states_of_two_dtypes_are_compared_in_the_coarser_one_by_both_ways():
    fine, first = recorded(builder.record((0.5, 0.25), dtype="float64", id="mazur/x/fine"), {(1, "hidden", 0): 0.1})
    coarse, other = recorded(builder.record((0.5, 0.25), dtype="bfloat16", weights=2.0, id="mazur/x/coarse"))
    stated, again = both_ways(builder, [fine, coarse], [first, other])
    assert stated == again
    (said,) = [found for kind, _, found in stated.values() if kind == "first_divergence"]
    assert (said["ulp_dtype"], said["a_bits"]) == ("bfloat16", "0x3fb999999999999a")
    assert (said["tensor"], said["b_bits"]) == ("hidden", "0x3f00")


def test_values_of_a_finer_dtype_than_their_cells_are_rounded_on_both_sides():
    fine = builder.record((0.5, 0.25), dtype="float64", id="mazur/x/fine")
    coarse = builder.record((0.5, 0.25), dtype="bfloat16", id="mazur/x/coarse")
    cells = [fine, replace(coarse, trajectories=fine.trajectories)]
    traces = [builder.trace(each, {(1, "hidden", 0): 0.1}) for each in cells]
    assert {each.dtype for trace in traces for each in trace.trajectory.columns} == {"float64"}
    stated, again = both_ways(builder, cells, traces)
    assert stated == again
    assert divergence(*traces).same


@pytest.fixture
def results(builder, tmp_path):
    """A folder with two traced cells of two classes, and the codes of `report` and `verify` over it."""
    store = Store(tmp_path / "results")
    a, b = builder.record((0.5, 0.25)), builder.record((0.5, 0.125), id="mazur/numpy-2.4.6-cpu/b", variant="b")
    traces = [builder.trace(a), builder.trace(b, {(1, "hidden", 0): 0.5 + 2.0**-53})]
    for record, trace in zip((a, b), traces, strict=True):
        store.write(record)
        store.write_trace(trace)
    store.write_manifest(builder.manifest([a, b], tables=(), traces=traces))
    return store, traces


def command(name, store):
    report = store.folder.parent / "report"
    words = ["--output", str(report)] if name == "report" else [str(report)]
    return main([name, *words, "--results", str(store.folder)])


def test_a_report_with_traces_says_where_they_part_and_holds(results, capsys):
    store, _ = results
    assert (command("report", store), command("verify", store)) == (0, 0)
    assert "all hold" in capsys.readouterr().err
    said = (store.folder.parent / "report" / "report.md").read_text("utf-8").replace("\\", "")
    assert (
        "mazur/numpy-2.4.6-cpu/parallel and mazur/numpy-2.4.6-cpu/b first differ at step 1 in hidden[0]: "
        "0x1.0000000000000p-1 (0x3fe0000000000000) against 0x1.0000000000001p-1 (0x3fe0000000000001), 1 ULP of float64"
    ) in said
    assert "2 cells traced; tracing changes the bits of none of them" in said


def test_one_bit_of_a_trace_file_is_found(results, capsys):
    store, (_, trace) = results
    command("report", store)
    path = store.trace_path(trace.cell.id, trace.key)
    moved = path.read_text("utf-8").replace("0x1.0000000000001p-1", "0x1.0000000000003p-1")
    path.write_text(moved, "utf-8")
    assert command("verify", store) == 1
    told = capsys.readouterr().err
    assert f"traces/{trace.cell.id}" in told
    assert "not the one of the run: its bytes have changed since" in told


def test_a_changed_trace_whose_manifest_was_changed_with_it_is_found_by_its_numbers(results, capsys):
    store, (_, trace) = results
    command("report", store)
    path = store.trace_path(trace.cell.id, trace.key)
    moved = path.read_bytes().replace(b"0x1.0000000000001p-1", b"0x1.0000000000003p-1")
    store.write_trace(trace_files.decode(moved, "moved"))
    store.seal()
    assert command("verify", store) == 1
    assert "3 ULP of float64" in capsys.readouterr().err


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.unlink(),
        lambda path: path.write_text("{", "utf-8"),
        lambda path: path.write_text(path.read_text("utf-8").replace('"hidden_pre"', '"hidden_per"'), "utf-8"),
    ],
)
def test_a_trace_file_that_is_gone_or_damaged_is_a_complaint(results, capsys, damage):
    store, (trace, _) = results
    command("report", store)
    damage(store.trace_path(trace.cell.id, trace.key))
    assert command("verify", store) == 1
    assert f"traces/{trace.cell.id}" in capsys.readouterr().err


def test_a_trace_of_a_newer_release_is_refused(results, capsys):
    store, (trace, _) = results
    command("report", store)
    path = store.trace_path(trace.cell.id, trace.key)
    path.write_bytes(documents.write(json.loads(path.read_text("utf-8")) | {"format": 9}))
    values.unseal(store)
    assert command("verify", store) == 2
    assert "update repromatrix" in capsys.readouterr().err


def test_a_report_that_was_made_without_the_trace_says_so_and_verify_names_the_file(results, capsys):
    store, (trace, _) = results
    store.trace_path(trace.cell.id, trace.key).unlink()
    assert command("report", store) == 0
    said = json.loads((store.folder.parent / "report" / "report.json").read_text("utf-8"))
    assert f"{trace.cell.id} has no trace: its file is not there" in [each["text"] for each in said["sentences"]]
    assert command("verify", store) == 1
    assert "traces/" in capsys.readouterr().err


def test_tensors_of_a_cell_with_other_bits_do_not_speak_for_it(builder):
    a, b = builder.record((0.5, 0.25)), builder.record((0.5, 0.125), id="mazur/x/b")
    wrong = builder.trace(a, losses=(0.5, 0.75))
    late = replace(wrong, trajectory=values.with_column(builder.trace(a).trajectory, "hidden_weights", texts=LATER))
    for trace, first in ((wrong, 2), (late, None)):
        stated, again = both_ways(builder, [a, b], [trace, builder.trace(b)])
        assert stated == again
        assert stated[f"tracing-changes/{a.cell.id}"][2] == {"first_loss": first}
