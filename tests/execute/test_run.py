"""Cells -> records with an engine in memory: a failure is a value, never a lost cell."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from repromatrix.cli.run import exit_code
from repromatrix.engines.base import Exit, RunLimits
from repromatrix.errors import AbsentError, EnvironmentFailedError, ExitCode, NewerFormatError, NoEngineError
from repromatrix.execute import host, site
from repromatrix.execute.run import batches_of
from repromatrix.results.record import Outcome, Record, decode
from tests import fakes as say

A = "tiny/numpy-2.0-cpu/parallel"
B = "tiny/numpy-2.0-cpu/parallel-float32"
C = "tiny/numpy-2.0-cpu/parallel-float16"
D = "tiny/numpy-2.0-cpu/unrolled"


def outcomes(summary) -> dict[str, str]:
    return {record.cell.id: record.outcome.value for record in summary.records}


def of(summary, cell_id: str) -> Record:
    return next(record for record in summary.records if record.cell.id == cell_id)


def test_one_process_per_repeat_runs_all_cells_of_an_environment(bench) -> None:
    summary = bench.run()
    assert outcomes(summary) == dict.fromkeys((A, B, C, D), "ok")
    assert bench.engine.runs == [[A, B, C, D]] * 2
    assert (summary.ran, summary.made, exit_code(summary)) == (4, 1, ExitCode.OK)
    record = of(summary, A)
    assert record.deterministic is True
    assert record.trajectory.losses == ((0.5).hex(),) * 2
    assert record.fingerprint == {"packages": {"numpy": "2.0"}}
    assert record.provenance.engine == "process"
    assert record.provenance.base_digest == "3.11.0"
    assert record.log is None


def test_every_record_is_in_the_store_under_its_key(bench) -> None:
    for record in bench.run().records:
        assert bench.store.read(record.cell.id, record.key) == record


def test_a_process_gets_the_limits_of_the_matrix(bench) -> None:
    bench.run()
    assert bench.engine.limits[0] == RunLimits(silence=5, memory_mib=512, processes=64, cpus=1)


def test_settings_with_more_threads_than_the_limits_have_cpus_get_one_for_each(bench) -> None:
    threads = {"default": 1, "avx2": 3}
    bench.matrix = replace(
        bench.matrix,
        limits=replace(bench.matrix.limits, cpus=2),
        settings={name: replace(each, threads=threads[name]) for name, each in bench.matrix.settings.items()},
    )
    bench.run("numpy-2.0-cpu/parallel*", "*/numpy-2.0-cpu/parallel*")
    asked = {
        runs[0].endswith("+avx2"): limits.cpus
        for runs, limits in zip(bench.engine.runs, bench.engine.limits, strict=True)
    }
    assert asked == {False: 2, True: 3}


def test_a_crash_costs_only_the_cell_that_crashes(bench) -> None:
    def answer(cells, _number):
        lines = [say.fingerprint()]
        for cell in cells:
            if cell["id"] == B:
                return [*lines, say.start(cell)], Exit(signal="SIGSEGV")
            lines.append(say.ok(cell))
        return [*lines, say.end(cells)], say.CLEAN

    bench.engine.answer = answer
    summary = bench.run()
    assert outcomes(summary) == {A: "ok", B: "failed", C: "ok", D: "ok"}
    assert bench.engine.runs[:4] == [[A, B, C, D], [B], [C], [D]]  # together, and what had not finished alone
    failed = of(summary, B)
    assert failed.reason == "killed by SIGSEGV"
    assert failed.trajectories == ()
    assert failed.log == "logs/numpy-2.0-cpu/default-cpu-1.log"
    assert (bench.store.folder / failed.log).is_file()
    assert exit_code(summary) is ExitCode.CELL_FAILED


def test_a_crash_that_does_not_come_back_costs_nothing(bench) -> None:
    bench.engine.answer = lambda cells, number: (
        ([say.ok(cells[0])], Exit(signal="SIGKILL")) if number == 0 else say.everything_ok(cells)
    )
    assert set(outcomes(bench.run()).values()) == {"ok"}


def test_a_crash_after_the_last_cell_costs_nothing(bench) -> None:
    bench.engine.answer = lambda cells, _: ([say.ok(cell) for cell in cells], Exit(signal="SIGABRT"))
    summary = bench.run()
    assert set(outcomes(summary).values()) == {"ok"}
    assert bench.engine.runs == [[A, B, C, D]] * 2


ENDINGS = {
    "hang": (Exit(timed_out=True), Outcome.TIMED_OUT, "no result for 5 s: ended by the time limit"),
    "memory": (Exit(out_of_memory=True), Outcome.FAILED, "killed for memory (limit 512 MiB)"),
    "flood": (Exit(too_much_output=True), Outcome.FAILED, "bytes on standard output"),
    "forks": (Exit(too_many_processes=True), Outcome.FAILED, "more than 64 processes and threads"),
    "exit code, with the last words of the log": (Exit(code=3), Outcome.FAILED, "exit code 3: numpy-2.0-cpu says"),
    "silent success": (Exit(code=0), Outcome.FAILED, "the process ended without its result: numpy-2.0-cpu says"),
}


@pytest.mark.parametrize(("ending", "outcome", "reason"), ENDINGS.values(), ids=ENDINGS)
def test_how_a_process_ends_is_the_reason(bench, ending: Exit, outcome: Outcome, reason: str) -> None:
    def answer(cells, _number):
        if cells[0]["id"] == D:
            return [say.start(cells[0])], ending
        return [say.ok(cell) for cell in cells if cell["id"] != D], ending

    bench.engine.answer = answer
    summary = bench.run()
    assert outcomes(summary) == {A: "ok", B: "ok", C: "ok", D: outcome.value}
    assert reason in of(summary, D).reason


# What a process may print that is no line of the contract, made from the cell that it was asked for.
LOSS = (0.5).hex()
QUARTER = (0.25).hex()


def told(cell, **values) -> bytes:
    """A cell that tells other values; of a step, or of all where a list of rows is given."""
    return say.ok(cell, told=values)


def entry(cell, step: int, *value) -> bytes:
    """A cell with one value of one step more, before its end."""
    *lines, last = say.ok(cell).split(b"\n")
    return b"\n".join([*lines, say.line(line="values", id=cell["id"], step=step, values=[list(value)]), last])


RUBBISH = {
    "text": lambda _: b"Segmentation fault (core dumped)",
    "nothing": lambda _: b"",
    "a number": lambda _: b"5",
    "not UTF-8": lambda _: b"\xff\xfe",
    "deep": lambda _: b"[" * 100_000,
    "an unknown kind": lambda cell: say.line(line="progress", id=cell["id"]),
    "another cell": lambda cell: say.ok(cell | {"id": "tiny/numpy-2.0-cpu/nobody-asked"}),
    "an id that is a list": lambda cell: say.ok(cell, id=[cell["id"]]),
    "a result of a cell that never started": lambda cell: say.ok(cell).split(b"\n", 1)[1],
    "another dtype within a column": lambda cell: entry(cell, 3, "loss", "metric", "bfloat16", [], [LOSS]),
    "a loss too few": lambda cell: told(cell, loss=[]),
    "a loss too many": lambda cell: entry(cell, 3, "loss", "metric", "float64", [], [LOSS]),
    "a loss that is a number": lambda cell: told(cell, loss=[[0.5]] * cell["steps"]),
    "a loss in decimals": lambda cell: told(cell, loss=[["0.5"]] * cell["steps"]),
    "a loss with more bits than its dtype": lambda cell: entry(cell, 1, "x", "trace", "float16", [], [(0.1).hex()]),
    "losses in one text": lambda cell: told(cell, loss=["0"] * cell["steps"]),
    "NaN as JSON has none": lambda cell: say.ok(cell, reason=float("nan")),
    "two elements where one is due": lambda cell: told(cell, loss=[[LOSS, LOSS]] * cell["steps"]),
    "an output too many": lambda cell: entry(cell, cell["steps"] + 2, "output", "output", "float64", [1], [QUARTER]),
    "an output of another size": lambda cell: told(cell, output=[[QUARTER, QUARTER]] * cell["steps"]),
    "a value told as a digest that is none": lambda cell: entry(cell, 1, "x", "trace", "float64", [99], "abc"),
    "a large value told in full": lambda cell: entry(cell, 1, "x", "trace", "float64", [17], [QUARTER] * 17),
    "a value twice at a step": lambda cell: entry(cell, 1, "loss", "metric", "float64", [], [LOSS]),
    "a value without a dtype": lambda cell: entry(cell, 1, "x", "trace"),
    "a role nobody knows": lambda cell: entry(cell, 1, "x", "weights", "float64", [], [LOSS]),
    "a state that is not the last step's": lambda cell: entry(cell, 3, "x", "state", "float64", [], [LOSS]),
    "a step that is no number": lambda cell: entry(cell, "1", "x", "trace", "float64", [], [LOSS]),
    "an outcome nobody knows": lambda cell: say.ok(cell, outcome="fine"),
    "no outcome": lambda cell: say.line(line="cell", id=cell["id"]),
    "a fingerprint that is none": lambda _: say.line(line="fingerprint", fingerprint=5),
    "a second fingerprint": lambda _: say.fingerprint(),
}


@pytest.mark.parametrize("rubbish", RUBBISH.values(), ids=RUBBISH)
def test_rubbish_on_standard_output_costs_only_the_cell_that_prints_it(bench, rubbish) -> None:

    def answer(cells, _number):
        lines = [rubbish(cell) if cell["id"] == D else say.ok(cell) for cell in cells]
        return [say.fingerprint(), *lines, say.end(cells)], say.CLEAN

    bench.engine.answer = answer
    summary = bench.run()
    assert outcomes(summary) == {A: "ok", B: "ok", C: "ok", D: "failed"}
    assert of(summary, D).reason.startswith("rubbish on standard output: ")
    assert len(of(summary, D).reason) < 400


TWICE = {
    "the same again": say.ok,
    "with different bits": lambda cell: say.ok(cell, 0.75),
    "its last line again": lambda cell: say.ok(cell).split(b"\n")[-1],
    "after the end": lambda cell: say.line(line="end", cells=1) + b"\n" + say.ok(cell).split(b"\n")[-1],
}


@pytest.mark.parametrize("again", TWICE.values(), ids=TWICE)
def test_a_cell_with_two_results_has_failed_since_neither_can_be_trusted(bench, again) -> None:
    def answer(cells, _number):
        first = [say.ok(cells[0]), again(cells[0])] if cells[0]["id"] == A else [say.ok(cells[0])]
        return [*first, *map(say.ok, cells[1:]), say.end(cells)], say.CLEAN

    bench.engine.answer = answer
    summary = bench.run()
    assert outcomes(summary) == {A: "failed", B: "ok", C: "ok", D: "ok"}
    assert of(summary, A).reason.startswith("rubbish on standard output: ")
    assert bench.store.read(A, of(summary, A).key).outcome is Outcome.FAILED


def test_results_without_a_fingerprint_are_rubbish(bench) -> None:
    bench.engine.answer = lambda cells, _: ([say.BARE + say.ok(cells[0]), say.end(cells)], say.CLEAN)
    summary = bench.run()
    assert set(outcomes(summary).values()) == {"failed"}
    assert "before the fingerprint" in of(summary, A).reason


@pytest.mark.parametrize("outcome", ["failed", "unavailable"])
def test_what_an_entrypoint_says_of_a_cell_is_its_outcome(bench, outcome: str) -> None:
    def answer(cells, _number):
        said = say.ended(cells[0], outcome, "no float16 \udcff here")
        return [said, *map(say.ok, cells[1:]), say.end(cells)], say.CLEAN

    bench.engine.answer = answer
    record = of(bench.run(), A)
    assert (record.outcome.value, record.reason, record.trajectories) == (outcome, "no float16 ? here", ())
    assert len(bench.engine.runs) == 2  # an answer, not a crash: nothing is retried


def test_nan_and_infinity_are_values(bench) -> None:
    bench.engine.answer = lambda cells, _: (
        [*(say.ok(cell, float("nan")) for cell in cells), say.end(cells)],
        say.CLEAN,
    )
    record = of(bench.run(), A)
    assert record.outcome is Outcome.OK
    assert record.trajectory.losses == ("nan", "nan")
    assert record.deterministic is True


def test_repeats_that_differ_are_not_deterministic_and_both_are_kept(bench) -> None:
    def answer(cells, number):
        lines = [say.ok(cell, 0.75 if cell["id"] == B and number else 0.5) for cell in cells]
        return [*lines, say.end(cells)], say.CLEAN

    bench.engine.answer = answer
    summary = bench.run()
    assert of(summary, A).deterministic is True
    assert of(summary, B).deterministic is False
    assert [each.losses[0] for each in of(summary, B).trajectories] == [(0.5).hex(), (0.75).hex()]
    assert exit_code(summary) is ExitCode.OK  # known, told, and not a failure


def test_a_cell_that_fails_in_one_repeat_only_has_failed(bench) -> None:
    def answer(cells, number):
        if number == 0:
            return say.everything_ok(cells)
        return [say.ok(cell) for cell in cells if cell["id"] != D], Exit(signal="SIGILL")

    bench.engine.answer = answer
    record = of(bench.run(), D)
    assert (record.outcome, record.reason, record.repeats) == (Outcome.FAILED, "killed by SIGILL", 2)
    assert record.trajectories == ()
    assert record.log.endswith("default-cpu-2.log")


# Environments that cannot be made.


def test_an_environment_that_fails_costs_its_own_cells_only(bench) -> None:
    bench.engine.broken = {"numpy-1.0-cpu"}
    summary = bench.run("numpy", "!*/*+avx2")
    assert {each for name, each in outcomes(summary).items() if "numpy-1.0" in name} == {"failed"}
    assert {each for name, each in outcomes(summary).items() if "numpy-2.0" in name} == {"ok"}
    record = of(summary, "tiny/numpy-1.0-cpu/parallel")
    assert record.reason == "its environment could not be made: numpy-1.0-cpu does not build"
    assert record.repeats == 0
    assert record.provenance is None
    assert [name for name, _ in summary.broken] == ["numpy-1.0-cpu"]
    assert exit_code(summary) is ExitCode.ENVIRONMENT
    assert (summary.ran, summary.made) == (4, 1)
    assert [each for each in bench.ears.heard if each[0] == "failed"] == [
        ("failed", "numpy-1.0-cpu", "numpy-1.0-cpu does not build")
    ]


def test_an_environment_without_a_lock_is_one_that_fails(bench) -> None:
    (bench.lock_folder / "numpy" / "locks" / "numpy-1.0-cpu.txt").unlink()
    summary = bench.run("numpy", "!*/*+avx2")
    assert "has no lock" in of(summary, "tiny/numpy-1.0-cpu/parallel").reason
    assert of(summary, A).outcome is Outcome.OK


def test_a_full_disk_while_an_environment_is_made_is_such_a_failure(bench, monkeypatch) -> None:
    def build(spec, _log):
        raise OSError(28, "No space left on device", spec.name)

    monkeypatch.setattr(bench.engine, "build", build)
    summary = bench.run()
    assert "No space left on device" in of(summary, A).reason
    assert exit_code(summary) is ExitCode.ENVIRONMENT


def test_a_process_that_cannot_be_started_is_a_failure_of_its_cells(bench) -> None:
    def answer(_cells, _number):
        raise EnvironmentFailedError("the engine cannot start a container of it")

    bench.engine.answer = answer
    summary = bench.run()
    assert set(outcomes(summary).values()) == {"failed"}
    assert of(summary, A).reason == "the engine cannot start a container of it"


def test_an_engine_that_goes_away_ends_the_run(bench) -> None:
    def answer(_cells, _number):
        raise NoEngineError("the Docker engine stopped answering")

    bench.engine.answer = answer
    with pytest.raises(NoEngineError):
        bench.run()
    assert bench.engine.stopped.is_set()


# What is kept from an earlier run.


def test_what_has_its_answer_is_not_run_again_and_nothing_is_built(bench) -> None:
    first = bench.run()
    bench.engine.runs.clear()
    bench.engine.built.clear()
    second = bench.run()
    assert second.records == first.records
    assert (second.ran, second.made) == (0, 0)
    assert bench.engine.runs == []
    assert bench.engine.built == []
    assert [each for each in bench.ears.heard if each == ("record", A, True)]


def test_an_unavailable_cell_has_its_answer_too(bench) -> None:
    bench.engine.answer = lambda cells, _: (
        [
            *(say.ended(cell, "unavailable", "no float16") for cell in cells),
            say.end(cells),
        ],
        say.CLEAN,
    )
    bench.run()
    bench.engine.runs.clear()
    assert set(outcomes(bench.run()).values()) == {"unavailable"}
    assert bench.engine.runs == []


def test_a_failure_is_asked_again_and_its_record_replaced(bench) -> None:
    bench.engine.answer = lambda cells, _: (
        [say.ok(cell) for cell in cells if cell["id"] != C],
        Exit(signal="SIGBUS"),
    )
    assert of(bench.run(), C).outcome is Outcome.FAILED
    bench.engine.answer = lambda cells, _: say.everything_ok(cells)
    bench.engine.runs.clear()
    summary = bench.run()
    assert bench.engine.runs == [[C], [C]]
    assert set(outcomes(summary).values()) == {"ok"}
    assert summary.ran == 1
    assert bench.store.read(C, of(summary, C).key).outcome is Outcome.OK


def test_a_changed_lock_is_another_question(bench) -> None:
    before = of(bench.run(), A).key
    path = bench.lock_folder / "numpy" / "locks" / "numpy-2.0-cpu.txt"
    path.write_text(path.read_text().replace("a" * 64, "b" * 64))
    bench.engine.runs.clear()
    summary = bench.run()
    assert of(summary, A).key != before
    assert bench.engine.runs == [[A, B, C, D]] * 2
    assert summary.made == 1


def test_a_record_of_an_earlier_question_is_left_where_it_is(bench) -> None:
    before = of(bench.run(), A)
    path = bench.lock_folder / "numpy" / "locks" / "numpy-2.0-cpu.txt"
    path.write_text(path.read_text() + "\n# another comment\n")
    bench.run()
    assert bench.store.read(A, before.key) == before


# Batches and devices.


def test_other_settings_are_another_process(bench) -> None:
    bench.run("numpy-2.0-cpu")
    capped = f"{A}+avx2"
    assert sorted(bench.engine.runs) == [[A, B, C, D]] * 2 + [[capped]] * 2
    assert (bench.store.folder / "logs/numpy-2.0-cpu/avx2-cpu-1.log").is_file()


def test_many_members_are_shared_among_idle_processes(bench) -> None:
    (cell,) = bench.cells("numpy-2.0-cpu", "parallel", "!*/*+avx2")[:1]
    members = [replace(cell, member=number) for number in range(1, 33)]
    summary = bench.execution(jobs=2).run(members)
    assert [record.cell.id for record in summary.records] == [member.id for member in members]
    assert sorted(bench.engine.runs) == sorted([[each.id for each in members[at::2]] for at in range(2)])
    (batch,) = batches_of(members)
    assert [half.log(bench.store, "1").name for half in batch.halves] == ["default-cpu-1-1.log", "default-cpu-1-2.log"]


def test_few_members_and_what_keeps_all_processes_busy_stay_together(bench) -> None:
    (cell,) = bench.cells("numpy-2.0-cpu", "parallel", "!*/*+avx2")[:1]
    members = [replace(cell, member=number) for number in range(1, 33)]
    bench.execution(jobs=2).run(members[:31])
    bench.execution(jobs=1).run(members)
    bench.execution(jobs=2).run([cell, *members])  # it runs twice
    assert [len(each) for each in bench.engine.runs] == [31, 1, 1, 1]


def test_without_a_device_its_cells_are_skipped_with_the_reason(bench) -> None:
    summary = bench.run("torch")
    on_cpu, on_gpu = summary.records
    assert on_cpu.outcome is Outcome.OK
    assert (on_gpu.cell.id, on_gpu.outcome, on_gpu.repeats) == ("tiny/torch-3.0-cuda/auto@cuda0", Outcome.SKIPPED, 0)
    assert on_gpu.reason == "no NVIDIA device on this machine"
    assert exit_code(summary) is ExitCode.OK
    assert summary.ran == 1


def test_skipped_cells_alone_build_nothing_and_succeed(bench) -> None:
    summary = bench.run("torch", profile="cuda")
    assert bench.engine.built == []
    assert exit_code(summary) is ExitCode.OK


def test_a_python_that_this_machine_lacks_skips_its_cells_unless_it_is_the_matrixs_own(bench, monkeypatch) -> None:
    def absent(environment, *_) -> None:
        raise AbsentError(f"no Python {environment.python} on this machine")

    monkeypatch.setattr(site, "identify", absent)
    (other,) = bench.cells("numpy-2.0-cpu", "parallel", "!*/*+avx2")[:1]
    other = replace(other, environment=replace(other.environment, python="3.9", suffix="-py3.9"))
    skipped = bench.execution().run([other])
    assert (skipped.records[0].outcome, skipped.records[0].reason) == (Outcome.SKIPPED, "no Python 3.9 on this machine")
    assert exit_code(skipped) is ExitCode.OK
    assert exit_code(bench.run("numpy-2.0-cpu")) is ExitCode.ENVIRONMENT


def test_with_a_device_its_cells_get_it_and_a_key_of_their_own(bench, monkeypatch) -> None:
    monkeypatch.setattr(host, "nvidia_devices", lambda: ("NVIDIA H200, 570.1",))
    summary = bench.run("torch")
    assert [record.outcome for record in summary.records] == [Outcome.OK, Outcome.OK]
    assert sorted(zip(bench.engine.gpus, map(tuple, bench.engine.runs), strict=True)) == [
        (False, ("tiny/torch-3.0-cuda/auto",)),
        (False, ("tiny/torch-3.0-cuda/auto",)),
        (True, ("tiny/torch-3.0-cuda/auto@cuda0",)),
        (True, ("tiny/torch-3.0-cuda/auto@cuda0",)),
    ]
    monkeypatch.setattr(host, "nvidia_devices", lambda: ("NVIDIA H200, 580.2",))
    bench.engine.runs.clear()
    bench.run("torch")
    assert bench.engine.runs == [["tiny/torch-3.0-cuda/auto@cuda0"]] * 2  # another driver may give other numbers


@pytest.mark.parametrize("jobs", [1, 2, 8])
def test_records_come_in_the_order_of_the_plan_however_many_work(bench, jobs: int) -> None:
    cells = bench.cells("numpy", "torch")
    summary = bench.execution(jobs).run(cells)
    assert [record.cell.id for record in summary.records] == [cell.id for cell in cells]


def test_nothing_to_do_is_done(bench) -> None:
    assert bench.execution().run([]).records == ()


# Interruption.


def test_an_interrupt_stops_the_engine_leaves_no_run_open_and_no_half_written_file(bench) -> None:
    def answer(cells, _number):
        if cells[0]["id"].startswith("tiny/numpy-1.0"):
            return [say.ok(cells[0]), b"INTERRUPT"], say.CLEAN
        return [say.ok(cells[0]), b"WAIT"], say.CLEAN  # would hang for ever if nobody stopped it

    bench.engine.answer = answer
    with pytest.raises(KeyboardInterrupt):
        bench.run("numpy", jobs=8)  # one for each run, so that those that hang do not keep the other from starting
    assert bench.engine.stopped.is_set()
    assert bench.engine.open == 0
    _every_file_is_whole(bench.store.folder)


def test_what_had_finished_before_an_interrupt_is_kept(bench) -> None:
    first = bench.run("unrolled")
    bench.engine.answer = lambda _cells, _number: ([b"INTERRUPT"], say.CLEAN)
    with pytest.raises(KeyboardInterrupt):
        bench.run()
    kept = of(first, D)
    assert bench.store.read(D, kept.key) == kept
    _every_file_is_whole(bench.store.folder)
    bench.engine.answer = lambda cells, _: say.everything_ok(cells)
    assert bench.run().ran == 3


def test_a_cell_is_kept_as_soon_as_its_last_repeat_ends(bench) -> None:
    def answer(cells, number):
        lines, ending = say.everything_ok(cells)
        # The second repeat is cut short after its second cell.
        return ([*lines[:3], b"INTERRUPT"] if number else lines), ending

    bench.engine.answer = answer
    with pytest.raises(KeyboardInterrupt):
        bench.run()
    kept = {path.parent.name for path in bench.store.folder.rglob("records/**/*.json")}
    assert kept == {cell.id.rsplit("/", 1)[1] for cell in bench.cells()[:2]}
    bench.engine.answer = lambda cells, _: say.everything_ok(cells)
    assert bench.run().ran == 2


def test_what_a_stopped_engine_ends_is_no_failed_cell(bench) -> None:
    def answer(cells, number):
        lines, ending = say.everything_ok(cells)
        return (lines[:1] + ([b"WAIT"] if number else [b"INTERRUPT"])), ending

    bench.engine.answer = answer
    with pytest.raises(KeyboardInterrupt):
        bench.run(jobs=2)
    assert list(bench.store.folder.rglob("records/**/*.json")) == []


def test_a_damaged_record_is_told_and_its_cell_runs_again(bench) -> None:
    first = bench.run()
    path = bench.store.record_path(D, of(first, D).key)
    path.write_bytes(path.read_bytes()[:100])
    again = bench.run()
    assert again.ran == 1
    assert of(again, D) == of(first, D)
    assert [each[:2] for each in bench.ears.heard if each[0] == "unreadable"] == [("unreadable", D)]


def test_a_record_of_a_newer_release_is_not_replaced(bench) -> None:
    first = bench.run()
    path = bench.store.record_path(D, of(first, D).key)
    newer = path.read_bytes().replace(b'"format": 2', b'"format": 3')
    path.write_bytes(newer)
    with pytest.raises(NewerFormatError):
        bench.run()
    assert path.read_bytes() == newer


def test_an_environment_that_fails_before_any_cell_is_tried_twice_and_no_more(bench) -> None:
    bench.engine.answer = lambda _cells, _number: ([say.fingerprint()], Exit(timed_out=True))
    summary = bench.run()
    assert {record.outcome for record in summary.records} == {Outcome.TIMED_OUT}
    assert len(bench.engine.runs) == 2 * bench.matrix.repeats


def _every_file_is_whole(folder: Path) -> None:
    files = [path for path in folder.rglob("*") if path.is_file() and path.suffix != ".log"]
    assert [path.name for path in files if path.suffix != ".json"] == []
    for path in files:
        assert decode(path.read_bytes(), str(path)).key
        assert json.loads(path.read_text())["format"] == 2
