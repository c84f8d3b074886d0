"""Which operations of two cells differ on the same inputs, seen through replays of simulated environments."""

from dataclasses import replace

import pytest

from repromatrix.explain.judge.operations import PairFinding
from repromatrix.explain.judge.replays import pair_finding
from repromatrix.explain.operations import judged
from repromatrix.explain.operations_text import conclusion, tell
from repromatrix.explain.replays import Pair, Replayer
from repromatrix.operations import truth
from tests.simulated import Environment, install, nudged, sigmoid
from tests.worked import PLACES

A = "tiny/numpy-1.0-cpu/parallel"
B = "tiny/numpy-2.0-cpu/parallel"


def pair(bench, **environments: Environment) -> PairFinding:
    """Return what the operations show of A and B in the environments `a` and `b`."""
    install(bench, {A: environments.get("a", Environment()), B: environments.get("b", Environment())})
    cells = {each.id: each for each in bench.cells("numpy-1.0-cpu", "numpy-2.0-cpu")}
    index = Replayer(bench.execution()).pairs([Pair(a=A, b=B, left=cells[A], right=cells[B])])
    return judged(index, bench.store.replays_of)[0]


def words(found: PairFinding) -> dict[str, str]:
    return {e.place: "source" if e.source else "passes" if e.passes else e.reason or "same" for e in found.places}


def test_equal_environments_give_equal_bits_everywhere(bench) -> None:
    found = pair(bench)
    assert words(found) == dict.fromkeys(PLACES, "same")
    assert found.separable
    assert (found.dtype, found.wiring, found.reason) == ("float64", (), None)
    assert [(e.fresh > 0, e.fresh_differing, e.a) for e in found.operations] == [(True, 0, None)] * 9
    assert conclusion(found) == "no operation differs on the same inputs"


def test_another_sigmoid_is_the_source_and_what_follows_passes_it_on(bench) -> None:
    found = pair(bench, b=Environment(changes={"sigmoid": nudged}))
    assert [each.place for each in found.sources] == ["hidden", "output"]
    told = words(found)
    assert told["output_product"] == told["loss"] == told["hidden_weights"] == "passes"
    assert found.wiring == ()
    assert found.separable
    assert conclusion(found) == "sigmoid differs on the same inputs (at hidden, output)"


def test_the_example_shows_inputs_both_outputs_and_the_truth(bench) -> None:
    found = pair(bench, b=Environment(changes={"sigmoid": nudged}))
    example = next(each.example for each in found.places if each.place == "hidden")
    z = 0.15 * 0.05 + 0.2 * 0.1 + 0.35
    assert (example.cell, example.step, example.index) == (A, 1, (0,))
    assert [(name, value.hexadecimal) for name, value in example.inputs] == [("z[0]", z.hex())]
    assert example.a.value.hexadecimal == sigmoid([z])[0].hex()
    assert example.b.value.hexadecimal == nudged([z])[0].hex()
    assert example.correct.hexadecimal == truth.sigmoid(z, "float64").hex()
    assert example.a.ulps < 2
    assert example.b.ulps == pytest.approx(2.0**-40 / 2.0**-53, abs=2)
    text = tell(found)
    for shown in (example.a.value, example.b.value, example.correct):
        assert all(each in text for each in (shown.decimal, shown.hexadecimal, shown.bits))


def test_of_an_operation_that_differs_the_forms_of_each_side_are_told(bench) -> None:
    found = pair(bench, b=Environment(changes={"sigmoid": nudged}))
    how = next(each for each in found.operations if each.operation == "sigmoid")
    assert how.b.forms == ()
    assert 0 < how.b.agreeing < how.b.values
    assert f"nearest {how.b.nearest} agrees on {how.b.agreeing} of {how.b.values}" in tell(found)


def test_a_form_that_gives_every_bit_is_named(bench) -> None:
    found = pair(bench, b=Environment(changes={"bias": lambda p, _: [0.0] * len(p)}))
    bias = next(each for each in found.operations if each.operation == "bias")
    assert bias.a.forms
    assert (bias.a.nearest, bias.a.agreeing) == (None, bias.a.values)
    assert bias.b.forms == ()


def test_steps_that_join_equal_operations_in_another_way_are_told_apart_from_other_operations(bench) -> None:
    install(bench, {})
    cells = {each.id: each for each in bench.cells("numpy-1.0-cpu", "numpy-2.0-cpu")}
    variant = replace(cells[B].variant, name="sequential", options=(("update", "sequential"),))
    other = replace(cells[B], variant=variant)
    pair = Pair(a=A, b=other.id, left=cells[A], right=other)
    (found,) = judged(Replayer(bench.execution()).pairs([pair]), bench.store.replays_of)
    assert found.sources == ()
    assert found.wiring == ("grad_hidden_weights",)
    assert found.options == (("update", "parallel", "sequential"),)
    assert "these two still differ in update (parallel against sequential)" in tell(found)
    assert found.separable
    assert "combine them in another order: grad_hidden_weights differs though" in conclusion(found)


def test_a_fused_step_is_told_with_the_tensors_that_it_does_not_give_back(bench) -> None:
    found = pair(bench, b=Environment(fused=("hidden_pre",)))
    assert [side.separable for side in (found.left, found.right)] == [True, False]
    assert [(each.tensor, each.step) for each in found.right.fused] == [("hidden_pre", 1), ("hidden", 1)]
    assert not found.separable
    text = tell(found)
    assert (
        "B's step is fused: computed operation by operation, its own trace is not given back in hidden_pre (step 1)"
        in text
    )
    assert "need not be what makes the cells differ" in text


def test_an_operation_that_cannot_be_done_alone_is_not_known(bench) -> None:
    found = pair(bench, b=Environment(unavailable=("back",)))
    assert words(found)["hidden_error"] == f"{B}: unavailable: not alone"
    assert found.sources == ()
    assert "nothing is known of hidden_error" in conclusion(found)
    assert next(each.reason for each in found.operations if each.operation == "back").endswith("not alone")


def test_where_no_step_can_be_replayed_nothing_is_recorded_but_fresh_inputs_are_compared(bench) -> None:
    found = pair(bench, b=Environment(unavailable=("step",), changes={"sigmoid": nudged}))
    assert {each.reason for each in found.places} == {"it was not replayed"}
    assert found.right.reason == "unavailable: not alone"
    how = next(each for each in found.operations if each.operation == "sigmoid")
    assert how.fresh_differing == how.fresh / 2
    assert not found.separable


def test_a_cell_without_a_trace_leaves_the_pair_with_a_reason(bench) -> None:
    install(bench, {})
    plain = bench.engine.answer

    def untraced(cells, number):
        lines, ending = plain(cells, number)
        return (
            [line for line, cell in zip(lines, cells, strict=True) if not (cell["trace"] and cell["id"] == B)],
            ending,
        )

    bench.engine.answer = untraced
    cells = {each.id: each for each in bench.cells("numpy-1.0-cpu", "numpy-2.0-cpu")}
    index = Replayer(bench.execution()).pairs([Pair(a=A, b=B, left=cells[A], right=cells[B])])
    (found,) = judged(index, bench.store.replays_of)
    assert found.reason.startswith(f"{B} has no trace: ")
    assert tell(found) == f"operations on the same inputs: not replayed, as {found.reason}"
    assert bench.engine.operations == []


def test_a_pair_whose_files_are_gone_says_so(bench) -> None:
    install(bench, {})
    cells = {each.id: each for each in bench.cells("numpy-1.0-cpu", "numpy-2.0-cpu")}
    (found,) = Replayer(bench.execution()).pairs([Pair(a=A, b=B, left=cells[A], right=cells[B])])
    bench.store.replay_path(A, found.left.own).unlink()
    (gone,) = judged([found], bench.store.replays_of)
    assert "a file that it stands on is not there" in gone.reason


def test_replays_of_unequal_inputs_are_refused(bench) -> None:
    install(bench, {})
    cells = {each.id: each for each in bench.cells("numpy-1.0-cpu", "numpy-2.0-cpu")}
    (found,) = Replayer(bench.execution()).pairs([Pair(a=A, b=B, left=cells[A], right=cells[B])])
    a, b = (bench.store.replays_of(end) for end in (found.left, found.right))
    other = replace(b, recorded={**b.recorded, "bias": replace(b.recorded["bias"], inputs="0" * 64)})
    with pytest.raises(ValueError, match="were given unequal inputs"):
        pair_finding(found, a, other)


def test_an_unchanged_pair_runs_nothing_and_says_the_same(bench) -> None:
    first = pair(bench, b=Environment(changes={"sigmoid": nudged}))
    runs, operations = len(bench.engine.runs), len(bench.engine.operations)
    assert pair(bench, b=Environment(changes={"sigmoid": nudged})) == first
    assert (len(bench.engine.runs), len(bench.engine.operations)) == (runs, operations)


def test_an_environment_starts_a_process_a_round(bench) -> None:
    pair(bench)
    assert len(bench.engine.operations) == 2 * 2  # steps and fresh inputs, then what was recorded
