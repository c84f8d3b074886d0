"""Traced runs with an engine in memory: each good cell once more, in a batch of its own, never in a record's way."""

from dataclasses import replace

import pytest

from repromatrix.cli.run import manifest
from repromatrix.engines.base import Exit
from repromatrix.errors import EnvironmentFailedError
from repromatrix.execute.trace import Tracing
from repromatrix.plan import job, plan
from repromatrix.results.record import Outcome
from repromatrix.results.trace import TENSORS
from tests import fakes as say

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
            [
                say.line(line="cell", id=cell["id"], outcome="unavailable", reason="does not trace")
                if cell["id"] == B
                else say.ok(cell)
                for cell in cells
            ],
            say.CLEAN,
        ),
        "does not trace",
    ),
    "an entrypoint that does not know of traces": (
        lambda cells: ([say.ok(cell | {"trace": cell["id"] != B}) for cell in cells], say.CLEAN),
        "its entrypoint gave no trace",
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


RUBBISH = {
    "a tensor that no trace has": lambda tensors: tensors | {"bias": tensors["loss"]},
    "a tensor that is neither told nor excused": lambda tensors: {n: t for n, t in tensors.items() if n != "hidden"},
    "a step too few": lambda tensors: tensors | {"loss": tensors["loss"][1:]},
    "a value too many": lambda tensors: tensors | {"loss": [[*step, *step] for step in tensors["loss"]]},
    "decimals": lambda tensors: tensors | {"loss": [["0.5"] for _ in tensors["loss"]]},
    "numbers": lambda tensors: tensors | {"loss": [[0.5] for _ in tensors["loss"]]},
    "no mapping": list,
}


@pytest.mark.parametrize("damage", RUBBISH.values(), ids=RUBBISH)
def test_a_trace_that_is_rubbish_is_no_trace(bench, damage) -> None:
    def traced(cells):
        lines = [
            say.ok(cell, trace=damage(say.tensors(cell["workload"]))) if cell["id"] == D else say.ok(cell)
            for cell in cells
        ]
        return lines, say.CLEAN

    answer(bench, traced)
    _, found = trace(bench)
    assert [name for name in EVERY if found[name].key] == [A, B, C]
    assert found[D].reason.startswith("rubbish on standard output: ")


def test_a_tensor_that_cannot_be_had_is_left_out_with_the_reason(bench) -> None:
    def without(cell):
        tensors = say.tensors(cell["workload"])
        del tensors["hidden_pre"]
        return say.ok(cell, trace=tensors, untraced={"hidden_pre": "it is inside a kernel"})

    answer(bench, lambda cells: ([without(cell) for cell in cells], say.CLEAN))
    _, found = trace(bench)
    stored = bench.store.read_trace(A, found[A].key)
    assert "hidden_pre" not in dict(stored.tensors)
    assert stored.untraced == (("hidden_pre", "it is inside a kernel"),)


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
    bench.store.write_manifest(with_traces)
    assert bench.store.read_manifest() == with_traces
    assert list(bench.store.traces(with_traces)) == [A, C, D]
    assert {each.trace for each in manifest(bench.matrix, planned, summary).entries} == {None}


def test_the_options_that_were_used_are_in_the_record(bench) -> None:
    used = {"update": "parallel", "compile": "eager"}
    bench.engine.answer = lambda cells, _: ([say.ok(cell, options=used) for cell in cells], say.CLEAN)
    summary, _ = trace(bench, A)
    assert summary.records[0].factors == (("compile", "eager"), ("update", "parallel"))


def test_options_that_are_no_texts_are_rubbish(bench) -> None:
    bench.engine.answer = lambda cells, _: ([say.ok(cell, options={"steps": 2}) for cell in cells], say.CLEAN)
    (record,) = bench.run(A).records
    assert record.outcome is Outcome.FAILED
    assert "options" in record.reason
