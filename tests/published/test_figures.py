"""The check against the published table, with known answers."""

from dataclasses import replace

import pytest

from repromatrix.compare.allowance import Allowances, tolerances
from repromatrix.published.columns import compare_columns
from repromatrix.published.contradictions import Convention
from repromatrix.published.figures import check
from repromatrix.results.record import Outcome


def reproduced(found):
    return sum(each.reproduced for each in found.newest)


def changed(records, cell_id, change):
    return tuple(change(each) if each.cell.id == cell_id else each for each in records)


def test_all_figures_of_the_document_are_checked_and_reproduced(builder):
    found = check(builder.published(), builder.run())
    assert sum(map(len, found.table.losses.values())) == reproduced(found) == 102
    assert [each.title for each in found.newest] == list(builder.COLUMNS)
    newest = [each for each in found.predictions if each.newest]
    assert len(newest) == 10
    assert all(each.reproduced for each in newest)


def test_the_newest_version_answers_by_pep_440_not_by_text(builder):
    found = check(builder.published(), builder.run())
    assert {each.setup.framework: each.setup.version for each in found.newest} == {
        "numpy": "2.4.6",
        "torch": "2.13.0",
        "tensorflow": "2.21.0",
        "jax": "0.10.2",
    }
    older = [each for each in found.columns if not each.newest]
    assert {each.setup.version for each in older} == {"1.26.4", "2.9.1"}


@pytest.mark.parametrize(("digit", "last"), [("8", "7"), ("8", "9")])
def test_one_perturbed_digit_is_exactly_that_mismatch(builder, digit, last):
    data = builder.table()
    text = data["losses"]["Keras"][9]
    assert text[-1] == digit
    data["losses"]["Keras"][9] = text[:-1] + last
    found = check(builder.published(data), builder.run())
    wrong = [(c.title, each.iteration, each.computed) for c in found.newest for each in c.losses if not each.agrees]
    assert wrong == [("Keras", 10, text)]
    assert reproduced(found) == 101


def test_a_value_that_rounds_to_other_digits_is_a_mismatch_with_its_exact_value(builder):
    cell = "mazur/numpy-1.26.4-cpu/parallel"
    records = changed(builder.run(), cell, lambda each: builder.with_losses(each, {3: 0.28354713315}))
    found = check(builder.published(), records)
    assert reproduced(found) == 102  # an older version; the newest one answers
    column = next(each for each in found.columns if each.cell == cell)
    assert column.reproduced == 9
    assert (column.losses[2].computed, column.losses[2].hex) == ("0.2835471332", (0.28354713315).hex())


@pytest.mark.parametrize("outcome", [Outcome.FAILED, Outcome.TIMED_OUT, Outcome.SKIPPED, Outcome.UNAVAILABLE])
def test_a_cell_without_a_trajectory_is_not_computed_and_no_older_version_stands_in(builder, outcome):
    def lose(each):
        return replace(each, outcome=outcome, reason="why", trajectories=())

    found = check(builder.published(), changed(builder.run(), "mazur/numpy-2.4.6-cpu/parallel", lose))
    column = next(each for each in found.newest if each.title == "NumPy Parallel")
    assert column.reason == f"{outcome.value}: why"
    assert {(each.computed, each.hex, each.agrees) for each in column.losses} == {(None, None, None)}
    assert reproduced(found) == 92


def test_a_missing_record_is_not_papered_over_by_an_older_version(builder):
    records = [each for each in builder.run() if each.cell.id != "mazur/numpy-2.4.6-cpu/parallel"]
    column = next(each for each in check(builder.published(), records).newest if each.title == "NumPy Parallel")
    assert (column.setup.version, column.cell) == ("2.4.6", None)
    assert column.reason == "no record of parallel in numpy-2.4.6-cpu"


def test_a_framework_that_is_not_in_the_run_is_said_so(builder):
    records = [each for each in builder.run() if each.cell.framework != "jax"]
    found = {each.title: each.reason for each in check(builder.published(), records).not_run}
    assert found == dict.fromkeys(("JAX Auto", "JAX Manual Par", "JAX Manual Seq"), "no record of jax in this run")


def test_a_column_is_not_run_for_the_reason_that_is_true(builder):
    elsewhere = [
        replace(each, cell=replace(each.cell, workload="other")) if each.cell.framework == "jax" else each
        for each in builder.run()
    ]
    reason = "no record of jax with the workload mazur in this run"
    assert {each.reason for each in check(builder.published(), elsewhere).not_run} == {reason}
    table = builder.published()
    table = replace(table, columns=tuple(each for each in table.columns if each.title != "Keras"))
    (column,) = check(table, builder.run()).not_run
    assert (column.title, column.reason) == ("Keras", "no variant is named for it")


def test_a_prediction_without_a_trajectory_is_neither_right_nor_wrong(builder):
    def lose(each):
        return replace(each, outcome=Outcome.FAILED, reason="why", trajectories=())

    records = changed(builder.run(), "mazur/numpy-2.4.6-cpu/parallel", lose)
    found = {
        each.printed.column: each.reproduced for each in check(builder.published(), records).predictions if each.newest
    }
    assert found.pop("NumPy Parallel") is None
    assert set(found.values()) == {True}


def test_plain_settings_on_the_cpu_answer_before_any_other(builder):
    records = builder.run()
    capped = replace(
        records[0], cell=replace(records[0].cell, version="9.9", settings="avx2", environment="numpy-9.9-cpu")
    )
    assert {each.setup.settings for each in check(builder.published(), (capped, *records)).newest} == {"default"}


def test_one_repeat_that_disagrees_speaks_for_the_cell(builder):
    def twice(each):
        other = builder.with_losses(each, {4: 0.1}).trajectories
        return replace(each, trajectories=each.trajectories + other)

    found = check(builder.published(), changed(builder.run(), "mazur/torch-2.13.0-cpu/auto", twice))
    assert reproduced(found) == 101


def test_a_prediction_says_which_forward_pass_it_is(builder):
    found = {each.printed.column: each for each in check(builder.published(), builder.run()).predictions if each.newest}
    assert found["NumPy Sequential"].by.agreeing.convention is Convention.BEFORE
    assert found["NumPy Sequential"].by.agreeing.errors == ("0.64689948", "0.19782641")
    others = {name: each.by.agreeing.convention for name, each in found.items() if name != "NumPy Sequential"}
    assert set(others.values()) == {Convention.AFTER}


def test_a_prediction_of_another_variant_shows_both(builder):
    keras = next(
        each for each in check(builder.published(), builder.run()).predictions if each.printed.column == "Keras"
    )
    assert (keras.own.variant, keras.own.agreeing) == ("keras", None)
    assert (keras.by.variant, keras.by.agreeing.texts) == ("keras-numpy-forward", ("0.64517373", "0.79406250"))


def test_the_order_of_the_columns_does_not_depend_on_the_order_of_the_json(builder):
    data = builder.table()
    data["losses"] = dict(sorted(data["losses"].items()))
    found = check(builder.published(data), builder.run())
    assert found.columns == check(builder.published(), builder.run()).columns


def test_the_sections_of_the_document_follow_from_the_numbers(builder):
    records = builder.run()
    allowed = Allowances(tolerances=tolerances(builder.manifest(records).tolerances))
    found = compare_columns(check(builder.published(), records), records, allowed)
    assert [each.iteration for each in found.closest] == [1, 2, 10]
    assert ("NumPy Parallel", "NumPy No-Loop") in found.closest[1].same
    nearest = found.closest[2].near[0]
    assert (nearest.a, nearest.b[0], f"{nearest.distance:.1e}") == (("NumPy Parallel",), "PyTorch Auto", "5.2e-09")
    assert {("NumPy Parallel", "NumPy No-Loop"), ("PyTorch Auto", "PyTorch Manual Par")} <= {
        (each.a, each.b) for each in found.exact
    }
    assert "TensorFlow" in {found.larger[0].a, found.larger[0].b}
    assert all("TensorFlow" not in (each.a, each.b) for each in found.cross_method)
    assert found.same_digits == ()


def test_same_printed_digits_with_other_bits_are_not_an_exact_match(builder):
    def nudge(each):
        return builder.with_losses(each, {1: float.fromhex(each.trajectories[0].losses[0]) + 1e-14})

    records = changed(builder.run(), "mazur/numpy-2.4.6-cpu/unrolled", nudge)
    allowed = Allowances(tolerances=tolerances(builder.manifest(records).tolerances))
    found = compare_columns(check(builder.published(), records), records, allowed)
    assert ("NumPy Parallel", "NumPy No-Loop") in {(each.a, each.b) for each in found.same_digits}
    assert ("NumPy Parallel", "NumPy No-Loop") not in {(each.a, each.b) for each in found.exact}
