"""Traced runs with an engine in memory: each good cell once more, in a batch of its own, never in a record's way."""

import json
import re
from dataclasses import replace

import pytest

from repromatrix.engines.base import Exit
from repromatrix.errors import EnvironmentFailedError
from repromatrix.execute.manifest import manifest
from repromatrix.execute.trace import Tracing
from repromatrix.job import job
from repromatrix.plan import plan
from repromatrix.results.record import Outcome
from tests import fakes as say
from tests.worked import TENSORS

A = "tiny/numpy-2.0-cpu/parallel"
B = "tiny/numpy-2.0-cpu/parallel-float32"
C = "tiny/numpy-2.0-cpu/parallel-float16"
D = "tiny/numpy-2.0-cpu/unrolled"
EVERY = (A, B, C, D)


def trace(bench, *select: str, jobs: int = 1):
    """Run and trace the selected cells; return the summary and what came of tracing, by id."""
    cells, execution = bench.cells(*select), bench.execution(jobs)
    summary = execution.run(cells)
    return summary, {each.id: each for each in Tracing(execution).run(cells, summary.records)}


def answer(bench, traced) -> None:
    """Answer as always, and for traced batches as `traced` says."""
    bench.engine.answer = lambda cells, _: traced(cells) if cells[0]["trace"] else say.everything_ok(cells)


def told(bench) -> list[tuple]:
    return [each for each in bench.ears.heard if each[0] == "traced"]


def test_every_good_cell_runs_once_more_in_a_batch_of_its_own(bench) -> None:
    summary, traced = trace(bench)
    assert bench.engine.runs == [list(EVERY)] * 3  # two repeats, and the traced run
    assert list(traced) == list(EVERY)
    for record in summary.records:
        found = bench.store.read_trace(record.cell.id, traced[record.cell.id].key)
        assert found.cell == record.cell
        assert [name for name, _ in found.tensors] == list(TENSORS)
        assert found.tells_of(record)
    assert told(bench) == [("traced", name, None, False) for name in EVERY]


def test_to_trace_is_another_question_than_to_run(bench) -> None:
    summary, traced = trace(bench)
    assert not {each.key for each in traced.values()} & {each.key for each in summary.records}


def test_a_job_asks_for_the_trace_only_in_a_traced_run(bench) -> None:
    cells = bench.cells()
    assert b'"trace":true' not in job(cells)
    assert job(cells, trace=True) == job(cells).replace(b'"trace":false', b'"trace":true')


def test_what_is_traced_is_not_traced_again_whatever_becomes_of_the_environment(bench) -> None:
    _, first = trace(bench)
    bench.engine.runs.clear()
    bench.engine.there.clear()
    assert trace(bench)[1] == first
    assert bench.engine.runs == []


def test_a_damaged_trace_is_told_and_replaced(bench) -> None:
    _, first = trace(bench)
    path = bench.store.trace_path(A, first[A].key)
    whole = path.read_bytes()
    path.write_bytes(whole[:50])
    bench.engine.runs.clear()
    assert trace(bench)[1] == first
    assert bench.engine.runs == [[A]]
    assert path.read_bytes() == whole
    assert [each[:2] for each in bench.ears.heard if each[0] == "unreadable"] == [("unreadable", A)]


def test_a_cell_that_failed_is_not_traced(bench) -> None:
    bench.engine.answer = lambda cells, _: (
        [say.ok(cell) for cell in cells if cell["id"] != B],
        Exit(signal="SIGSEGV"),
    )
    assert list(trace(bench)[1]) == [A, C, D]


WRONG = {
    "a crash": (lambda cells: ([say.ok(cell) for cell in cells if cell["id"] != B], Exit(signal="SIGSEGV")), "SIGSEGV"),
    "a cell that cannot be traced": (
        lambda cells: (
            [say.ended(cell, "unavailable", "does not trace") if cell["id"] == B else say.ok(cell) for cell in cells],
            say.CLEAN,
        ),
        "does not trace",
    ),
}


@pytest.mark.parametrize(("traced", "reason"), WRONG.values(), ids=WRONG)
def test_what_goes_wrong_costs_the_trace_of_that_cell_and_no_record(bench, traced, reason: str) -> None:
    answer(bench, traced)
    summary, found = trace(bench)
    assert {each.outcome for each in summary.records} == {Outcome.OK}
    assert [name for name in EVERY if found[name].key] == [A, C, D]
    assert found[B].key is None
    assert reason in found[B].reason
    assert bench.store.read(B, next(each.key for each in summary.records if each.cell.id == B)).outcome is Outcome.OK
    assert [(each[1], each[2]) for each in told(bench) if each[2]] == [(B, found[B].reason)]


def test_an_environment_that_can_no_longer_be_made_costs_only_traces(bench, monkeypatch) -> None:
    cells, execution = bench.cells(), bench.execution()
    summary = execution.run(cells)

    def broken(_):
        raise EnvironmentFailedError("the disk is full")

    monkeypatch.setattr(execution, "prepare", broken)
    found = Tracing(execution).run(cells, summary.records)
    assert {each.reason for each in found} == {"its environment could not be made: the disk is full"}


def told_of(cell, name: str, change) -> bytes:
    """Return the lines of a traced cell, each value of that name changed."""
    lines = [json.loads(line) for line in say.ok(cell).split(b"\n")]
    for document in lines:
        for value in document.get("values", ()):
            if value[0] == name:
                change(value, document["step"])
    return b"\n".join(say.line(**document) for document in lines)


def set_to(place: int, found, step: int | None = None):
    def change(value, at: int) -> None:
        if step in (None, at):
            value[place] = found

    return change


RUBBISH = {
    "a loss that is missing at a step": ("told", {"loss": [[(0.5).hex()], None]}, "loss has 1 values where 2 are due"),
    "another metric": ("loss", set_to(0, "other"), "the metrics are other instead of loss"),
    "a value too many": ("hidden", set_to(4, ["nan"] * 4), "hidden has 4 elements at step 1"),
    "decimals": ("hidden", set_to(4, ["0.25"] * 3), "not a float32: '0.25'"),
    "bits that the dtype lacks": ("hidden", set_to(4, ["0x1.2345678912345p-2"] * 3), "not a float32"),
    "numbers": ("hidden", set_to(4, [0.25] * 3), "elements of hidden that are no texts"),
    "a number in place of elements": ("hidden", set_to(4, 0.25), "a value"),
    "a digest in place of few elements": ("hidden", set_to(4, "a" * 64), "the elements of float32"),
    "no digest": ("hidden", set_to(4, "A" * 64), "the elements of float32"),
    "many elements in place of a digest": (
        "hidden",
        lambda v, _: v.__setitem__(slice(3, 5), [[17], ["nan"] * 17]),
        "SHA",
    ),
    "another shape later": ("hidden", set_to(3, [3, 1], 2), "at step 2 and a trace of float32"),
    "another dtype later": ("hidden", set_to(2, "float64", 2), "a trace of float64"),
    "another role later": ("hidden", set_to(1, "output", 2), "a output of float32"),
    "a role that nobody knows": ("hidden", set_to(1, "gradient"), "'gradient' is not a valid Role"),
    "a shape that is none": ("hidden", set_to(3, ["3"]), "hidden has the shape"),
    "a value twice": ("hidden_pre", set_to(0, "hidden"), "recorded at step 1 after step 1"),
    "a value that cannot be had and is told": (
        "untraced",
        {"hidden": "inside a kernel"},
        "hidden is told, and is said to be untraced",
    ),
}


@pytest.mark.parametrize(("name", "change", "what"), RUBBISH.values(), ids=RUBBISH)
def test_a_trace_that_is_rubbish_is_no_trace(bench, name: str, change, what: str) -> None:
    def damaged(cell) -> bytes:
        return told_of(cell, name, change) if callable(change) else say.ok(cell, **{name: change})

    answer(bench, lambda cells: ([damaged(cell) if cell["id"] == B else say.ok(cell) for cell in cells], say.CLEAN))
    _, found = trace(bench)
    assert [name for name in EVERY if found[name].key] == [A, C, D]
    assert found[B].reason.startswith("rubbish on standard output: ")
    assert re.search(what, found[B].reason), found[B].reason


def test_a_value_that_cannot_be_had_is_left_out_with_the_reason(bench) -> None:
    def without(cell):
        return say.ok(cell, told={"hidden_pre": []}, untraced={"hidden_pre": "it is inside a kernel"})

    answer(bench, lambda cells: ([without(cell) for cell in cells], say.CLEAN))
    _, found = trace(bench)
    stored = bench.store.read_trace(A, found[A].key)
    assert "hidden_pre" not in dict(stored.tensors)
    assert stored.untraced == (("hidden_pre", "it is inside a kernel"),)


def test_a_large_value_is_kept_by_its_digest(bench) -> None:
    def large(cell):
        return told_of(cell, "hidden", lambda value, step: value.__setitem__(slice(3, 5), [[5, 5], f"{step:064x}"]))

    answer(bench, lambda cells: ([large(cell) for cell in cells], say.CLEAN))
    _, found = trace(bench)
    stored = bench.store.read_trace(A, found[A].key)
    assert stored.columns["hidden"].shape == (5, 5)
    assert stored.columns["hidden"].rows == ((f"{1:064x}",), (f"{2:064x}",))
    assert "hidden" not in dict(stored.tensors)


def test_a_traced_run_with_other_bits_is_told_and_tells_nothing_of_the_record(bench) -> None:
    answer(bench, lambda cells: ([say.ok(cell, 0.75 if cell["id"] == B else 0.5) for cell in cells], say.CLEAN))
    summary, found = trace(bench)
    tells = {
        each.cell.id: bench.store.read_trace(each.cell.id, found[each.cell.id].key).tells_of(each)
        for each in summary.records
    }
    assert tells == {A: True, B: False, C: True, D: True}
    assert [each[1] for each in told(bench) if each[3]] == [B]


def test_cells_in_other_settings_and_environments_are_traced_side_by_side(bench) -> None:
    _, found = trace(bench, "numpy", jobs=3)
    assert all(each.key for each in found.values())
    assert "tiny/numpy-2.0-cpu/parallel+avx2" in found
    assert {name.split("/")[1] for name in found} == {"numpy-1.0-cpu", "numpy-2.0-cpu"}


def test_the_manifest_names_the_traces_and_why_one_is_missing(bench) -> None:
    answer(bench, WRONG["a crash"][0])
    planned = replace(plan(bench.matrix, profile="both", select=("numpy-2.0-cpu", "!*/*+avx2")), ensembles=())
    summary, found = trace(bench)
    with_traces = manifest(bench.matrix, planned, summary, tuple(found.values()))
    entries = {each.id: each for each in with_traces.entries}
    assert entries[A].trace == found[A].key
    assert entries[A].untraced is None
    assert entries[B].trace is None
    assert "SIGSEGV" in entries[B].untraced
    written = bench.store.write_manifest(with_traces)
    assert bench.store.read_manifest() == written
    assert replace(written, files=()) == with_traces
    traced = {bench.store.relative(bench.store.trace_path(name, found[name].key)) for name in (A, C, D)}
    assert traced == {name for name, _ in written.files if name.startswith("traces/")}
    assert list(bench.store.traces(with_traces)) == [A, C, D]
    assert {each.trace for each in manifest(bench.matrix, planned, summary).entries} == {None}


def test_every_factor_is_in_the_record_with_the_value_that_was_asked_for(bench) -> None:
    bench.engine.answer = lambda cells, _: ([say.ok(cell, options={"gradient": 2}) for cell in cells], say.CLEAN)
    summary, _ = trace(bench, A)
    expected = {"compile": "eager", "gradient": "manual", "layout": "out_in", "loop": "rolled", "update": "parallel"}
    assert dict(summary.records[0].factors) == expected
