"""Operations on inputs of their own, with an engine in memory: asked for once, in batches, and a failure is a value."""

import json

import pytest

from repromatrix.engines.base import Exit
from repromatrix.errors import EnvironmentFailedError
from repromatrix.execute.replay import Inputs, Replaying, Request
from repromatrix.job import job
from repromatrix.operations.fresh import samples
from repromatrix.results.record import Outcome
from repromatrix.results.replay import Origin, digest, sample
from tests import fakes as say
from tests import worked

A = "tiny/numpy-2.0-cpu/parallel"
B = "tiny/numpy-2.0-cpu/parallel-float32"
QUARTER, HALF = (0.25).hex(), (0.5).hex()
PAIR = sample({"p": [0.5, 0.25, 0.125], "b": [1.0, 1.0, 1.0]})


def fresh(*samples) -> Inputs:
    return Inputs.fresh(lambda: samples, digest(samples), 0)


FRESH = fresh(PAIR, PAIR)
RECORDED = Inputs.recorded([PAIR], [Origin(cell=A, place="hidden_pre", step=2)])
Z = fresh(sample({"z": [0.5]}))


def ask(bench, *operations, cells=(A, B), jobs: int = 1):
    """Ask each of the cells for each of the operations."""
    known = {cell.id: cell for cell in bench.cells("numpy-2.0-cpu")}
    requests = [
        Request(cell=known[c], graph=known[c].workload.graph, operation=name, inputs=each)
        for c in cells
        for name, each in operations
    ]
    return Replaying(bench.execution(jobs)).run(requests)


def test_what_an_operation_gave_is_kept_with_the_inputs_it_was_given(bench) -> None:
    (found,) = ask(bench, ("bias", RECORDED), cells=(A,))
    assert (found.cell.id, found.operation, found.outcome, found.reason) == (A, "bias", Outcome.OK, None)
    assert found.values == ((QUARTER,) * 3,)
    assert (found.samples, found.origins, found.inputs) == (RECORDED.make(), RECORDED.origins, RECORDED.digest)
    assert dict(found.options)["gradient"] == "manual"
    assert bench.store.read_replay(A, found.key) == found


def test_of_fresh_inputs_the_seed_and_the_digest_are_kept(bench) -> None:
    (found,) = ask(bench, ("bias", FRESH), cells=(A,))
    assert (found.samples, found.seed, found.inputs, len(found.values)) == ((), 0, FRESH.digest, 2)


def test_cells_of_one_environment_and_settings_share_a_process_and_no_cell_runs(bench) -> None:
    ask(bench, ("bias", FRESH), ("bias", RECORDED), ("sigmoid", Z))
    (asked,) = bench.engine.operations
    assert [each["operation"] for each in asked] == ["bias", "bias", "sigmoid"] * 2
    assert len({each["id"] for each in asked}) == 6
    assert bench.engine.runs == []


def test_other_settings_are_another_process(bench) -> None:
    ask(bench, ("bias", FRESH), cells=(A, "tiny/numpy-2.0-cpu/parallel+avx2"), jobs=2)
    assert len(bench.engine.operations) == 2


def test_what_has_an_answer_is_not_asked_again(bench) -> None:
    first = ask(bench, ("bias", FRESH), ("sigmoid", Z))
    assert ask(bench, ("sigmoid", Z), ("bias", FRESH))[1] == first[0]
    assert len(bench.engine.operations) == 1


def test_the_same_request_twice_is_asked_once(bench) -> None:
    one, two = ask(bench, ("bias", FRESH), ("bias", FRESH), cells=(A,))
    assert one == two
    assert len(bench.engine.operations[0]) == 1


def test_other_inputs_are_another_question(bench) -> None:
    other = fresh(PAIR)
    one, two = ask(bench, ("bias", FRESH), ("bias", other), cells=(A,))
    assert one.key != two.key
    assert ask(bench, ("bias", FRESH), cells=(A,))[0].key == one.key


def test_the_job_carries_exact_numbers_and_the_cell_as_it_is(bench) -> None:
    ask(bench, ("bias", RECORDED), cells=(A,))
    (asked,) = bench.engine.operations[0]
    assert asked["samples"] == [{"b": ["0x1.0000000000000p+0"] * 3, "p": [HALF, QUARTER, (0.125).hex()]}]
    (cell,) = [each for each in bench.cells() if each.id == A]
    document = json.loads(job([cell]))
    assert document["operations"] == []
    own = {"id", "inputs"}  # of the operation; the bits of the inputs are those of the cell
    expected = {name: value for name, value in document["cells"][0].items() if name not in own}
    assert {name: asked[name] for name in expected} == expected
    assert {name: each["data"] for name, each in asked["inputs"].items()} == {
        name: each["data"] for name, each in document["cells"][0]["inputs"].items()
    }
    assert asked.keys() - document["cells"][0].keys() == {"operation", "places", "samples"}


def test_what_an_environment_cannot_do_is_an_answer_with_its_reason(bench) -> None:
    bench.engine.operate = lambda asked: (
        [say.replayed(each, outcome="unavailable", reason="no such op") for each in asked],
        say.CLEAN,
    )
    (found,) = ask(bench, ("bias", FRESH), cells=(A,))
    assert (found.outcome, found.reason, found.values) == (Outcome.UNAVAILABLE, "no such op", ())
    ask(bench, ("bias", FRESH), cells=(A,))
    assert len(bench.engine.operations) == 1


def test_a_crash_costs_only_what_had_not_finished_and_is_asked_again_next_time(bench) -> None:
    def crash(asked):
        fine = [each for each in asked if each["operation"] != "sigmoid"]
        begun = [say.start(each) for each in asked if each not in fine]
        return [say.replayed(each) for each in fine] + begun[:1], Exit(signal="SIGSEGV")

    bench.engine.operate = crash
    found = ask(bench, ("bias", FRESH), ("sigmoid", Z), cells=(A,))
    assert [each.outcome for each in found] == [Outcome.OK, Outcome.FAILED]
    assert "SIGSEGV" in found[1].reason
    bench.engine.operate = say.everything_replayed
    assert [each.outcome for each in ask(bench, ("bias", FRESH), ("sigmoid", Z), cells=(A,))] == [Outcome.OK] * 2


@pytest.mark.parametrize("name", worked.OPERATIONS)
def test_an_answer_has_as_many_values_as_its_inputs_ask_for(bench, name) -> None:
    given = [sample(each) for each in samples(name, "float64")[:2]]
    (found,) = ask(bench, (name, fresh(*given)), cells=(A,))
    assert (found.outcome, found.reason) == (Outcome.OK, None)


RUBBISH = {
    "an output too few": ({"outputs": [{"bias": [QUARTER] * 3}]}, "not a list of 2 outputs"),
    "a value too many": ({"outputs": [{"bias": [QUARTER] * 4}] * 2}, "bias has 4 values where 3 are due"),
    "decimals": ({"outputs": [{"bias": ["0.25"] * 3}] * 2}, "not a float64: '0.25'"),
    "numbers": ({"outputs": [{"bias": [0.25] * 3}] * 2}, "not a line of the contract"),
    "no list": ({"outputs": None}, "not a list of 2 outputs"),
    "no outputs": ({"outputs": []}, "not a list of 2 outputs"),
    "another operation": ({"operation": "sigmoid"}, "answers as 'sigmoid'"),
    "another dtype": ({"dtype": "float16"}, "answers in float16, asked for float64"),
    "an id that nobody asked for": ({"id": "x"}, "a result of x, which is not under way"),
    "a cell's line": ({"line": "cell"}, "a line of the kind cell for"),
    "an outcome that nobody knows": ({"outcome": "fine"}, "'fine' is not a valid Outcome"),
}


@pytest.mark.parametrize(("damage", "what"), RUBBISH.values(), ids=RUBBISH)
def test_an_answer_that_is_rubbish_is_a_failure(bench, damage, what: str) -> None:
    bench.engine.operate = lambda asked: ([say.replayed(each, **damage) for each in asked], say.CLEAN)
    (found,) = ask(bench, ("bias", FRESH), cells=(A,))
    assert found.outcome is Outcome.FAILED
    assert found.reason.startswith("rubbish on standard output: ")
    assert what in found.reason


def test_options_are_those_that_were_asked_for_whatever_is_said_of_them(bench) -> None:
    bench.engine.operate = lambda asked: ([say.replayed(each, options={"steps": 2}) for each in asked], say.CLEAN)
    (found,) = ask(bench, ("bias", FRESH), cells=(A,))
    expected = {"compile": "eager", "gradient": "manual", "layout": "out_in", "loop": "rolled", "update": "parallel"}
    assert (found.outcome, dict(found.options)) == (Outcome.OK, expected)


def test_an_operation_that_does_not_begin_is_rubbish(bench) -> None:
    bench.engine.operate = lambda asked: ([say.replayed(each).split(b"\n")[1] for each in asked], say.CLEAN)
    (found,) = ask(bench, ("bias", FRESH), cells=(A,))
    assert "which is not under way" in found.reason


def test_a_step_that_does_not_tell_all_places_is_rubbish(bench) -> None:
    given = {"hidden_weights": [[0.5] * 2] * 3, "output_weights": [[0.5] * 3], "input": [0.5] * 2, "target": [0.5]}
    step = Inputs.steps([sample(given | {"hidden_bias": 0.5, "output_bias": 0.25})], (A, "f" * 64))
    (found,) = ask(bench, ("step", step), cells=(A,))
    assert (found.outcome, found.trace, found.samples) == (Outcome.OK, (A, "f" * 64), ())
    assert found.steps[0]["hidden_delta"] == (QUARTER,) * 3
    bench.engine.operate = lambda asked: ([say.replayed(each, outputs=[{"loss": [HALF]}]) for each in asked], say.CLEAN)
    (found,) = ask(bench, ("step", step), cells=(B,))
    assert "not all of hidden_product, hidden_pre" in found.reason


def test_an_environment_that_cannot_be_made_costs_its_replays_and_no_others(bench, monkeypatch) -> None:
    execution = bench.execution()

    def broken(_):
        raise EnvironmentFailedError("the disk is full")

    monkeypatch.setattr(execution, "prepare", broken)
    (cell,) = [each for each in bench.cells() if each.id == A]
    (found,) = Replaying(execution).run([Request(cell=cell, graph=cell.workload.graph, operation="bias", inputs=FRESH)])
    assert (found.outcome, found.reason) == (
        Outcome.FAILED,
        "its environment could not be made: the disk is full",
    )
    assert bench.store.read_replay(A, found.key) == found


def test_a_damaged_replay_is_told_and_replaced(bench) -> None:
    (first,) = ask(bench, ("bias", FRESH), cells=(A,))
    path = bench.store.replay_path(A, first.key)
    whole = path.read_bytes()
    path.write_bytes(whole[:90])
    assert ask(bench, ("bias", FRESH), cells=(A,)) == (first,)
    assert path.read_bytes() == whole
    assert [each[:2] for each in bench.ears.heard if each[0] == "unreadable"] == [("unreadable", A)]
