"""All pairs, by class where there are many: the same answer either way, and no bits claimed that were not printed."""

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from repromatrix.compare import pairs, series
from repromatrix.compare.allowance import Allowances, Tolerance
from repromatrix.compare.difference import Verdict
from repromatrix.compare.difference import compare as compare_records
from repromatrix.compare.pair import Terms, pair, side
from repromatrix.compare.pairs import Mode, compare
from repromatrix.compare.series import Rule
from repromatrix.errors import UsageError
from repromatrix.results.logs import figures
from repromatrix.results.logs.columns import Column
from repromatrix.results.record import Outcome

ALLOWED = Allowances(
    tolerances={
        "float64": Tolerance(relative=1e-7, absolute=1e-7, source="a test"),
        "float32": Tolerance(relative=1.3e-6, absolute=1e-5, source="a test"),
    }
)


def log(*texts: str, name: str = "log", steps: tuple = ()) -> series.Series:
    read = figures.parse(texts)
    assert not isinstance(read, int)
    logged = np.array(steps, dtype=float).reshape(len(texts), -1) if steps else None
    axis = ("step",) if logged is not None and logged.shape[1] == 1 else ("epoch", "batch") if steps else ()
    column = Column(name="loss", values=read[0], texts=read[1], steps=logged, axis=axis)
    return series.of_log(column, name, f"{name}.csv")


def two(a, b, dtype=None):
    return pair(side([a]), side([b]), ALLOWED, dtype)


@pytest.fixture(scope="session")
def cells(builder):
    def make(*losses, source="results", **words):
        return [
            series.of_record(
                builder.record(each, variant=f"way{number}", **{"options": (("loss", str(each)),)} | words), source
            )
            for number, each in enumerate(losses)
        ]

    return make


# Exact sides: what compare/difference says of two records.


@given(data=st.data())
def test_two_cells_differ_as_their_records_do(builder, data):
    losses = st.lists(
        st.sampled_from([0.5, 0.5000000001, 0.75, 0.0, -0.0, float("nan"), float("inf")]), min_size=1, max_size=3
    )
    words = st.fixed_dictionaries({"dtype": st.sampled_from(["float64", "float32"]), "workload": st.sampled_from("ab")})
    a = builder.record(data.draw(losses), variant="one", **data.draw(words))
    b = builder.record(data.draw(losses), variant="two", cpu_class=data.draw(st.sampled_from("xy")), **data.draw(words))
    found, expected = two(series.of_record(a, "r"), series.of_record(b, "r")).difference, compare_records(a, b, ALLOWED)
    assert replace(found, caveats=()) == replace(expected, caveats=())
    if a.cell.workload == b.cell.workload:
        assert set(found.caveats) == set(expected.caveats)


def test_a_side_without_a_trajectory_is_missing_and_never_a_number(builder, cells):
    failed = series.of_record(builder.record(outcome=Outcome.FAILED, reason="killed"), "results")
    found = two(failed, *cells([0.5])).difference
    assert (found.verdict, found.measure) == (Verdict.MISSING, None)
    assert "failed (killed)" in found.reason


def test_an_unsteady_cell_never_passes_though_its_first_repeat_is_the_same(builder, cells):
    unsteady = series.of_record(builder.record([0.5], variant="x", repeats=([0.75],)), "results")
    found = two(unsteady, *cells([0.5]))
    assert found.difference.verdict is Verdict.IDENTICAL
    assert not found.passes(Terms())


# Printed sides.


def test_too_few_digits_are_identical_in_all_printed_digits_and_not_exact():
    found = two(log("0.2984", "0.5000"), log("0.2984", "0.5", name="other"))
    assert (found.difference.verdict, found.exact) == (Verdict.IDENTICAL, False)
    assert "bits cannot be told" in found.difference.reason
    assert any("too few to tell float64" in each for each in found.difference.caveats)


PRINTED = {
    "another last digit": ("0.2984", "0.2985", False),
    "more digits of the same number": ("0.2984", "0.29841", True),
    "more digits of another number": ("0.2984", "0.29846", False),
    "a tie that may have been rounded here": ("0.2984", "0x1.3189374bc6a7fp-2", True),
    "no digits behind the point": ("1", "1.25", True),
    "the next whole number": ("1", "2", False),
    "both not finite": ("nan", "nan", True),
    "infinities of two signs": ("inf", "-inf", False),
    "zeros of two signs": ("0.0", "-0.0", False),
}


@pytest.mark.parametrize(("a", "b", "same"), PRINTED.values(), ids=PRINTED)
def test_printed_figures_differ_where_no_number_can_be_both(a, b, same):
    found = two(log(a, "0.1"), log(b, "0.1", name="other"))
    assert (found.difference.measure.first_difference is None) is same
    assert not found.exact


@given(st.floats(1e-6, 1e6), st.integers(1, 14))
def test_a_number_agrees_with_its_own_rounding_to_any_digits(value, digits):
    found = two(log(value.hex()), log(f"{value:.{digits}e}", name="other"))
    assert found.difference.verdict is Verdict.IDENTICAL
    assert not found.exact


@given(st.floats(1e-6, 1e6), st.integers(1, 14), st.integers(2, 50))
def test_a_number_some_units_away_from_a_figure_differs_from_it(value, digits, units):
    text = f"{value:.{digits}e}"
    unit = float(f"1e{int(text.partition('e')[2]) - digits}")
    found = two(log((float(text) + units * unit).hex()), log(text, name="other"))
    assert found.difference.measure.first_difference == 1


@pytest.mark.parametrize(("a", "b"), [("0.2984", "0.29841"), ("0.2984", "0x1.3189374bc6a7fp-2"), ("1", "1.25")])
def test_numbers_that_too_few_digits_leave_untold_pass_only_where_that_is_allowed(a, b):
    found = two(log(a), log(b, name="other"))
    assert (found.difference.verdict, found.exact, found.untold) == (Verdict.IDENTICAL, False, 1)
    assert not found.passes(Terms(verdicts=tuple(Verdict)))
    assert found.passes(Terms(printed=True))


@pytest.mark.parametrize(("a", "b"), [("0.2984", "0.2984"), ("0.5000", "0.5"), ("1e-3", "0.001"), ("nan", "nan")])
def test_the_same_number_written_in_two_ways_passes(a, b):
    found = two(log(a, "0.1"), log(b, "0.1", name="other"))
    assert (found.untold, found.passes(Terms())) == (0, True)


@pytest.mark.parametrize(
    ("a", "b", "dtype"),
    [
        ("0.10000000000000001", "0.10000000000000000", None),
        ("0.298371106", "0.298371107", "float32"),
        ("0.100000000000000000001", "0.100000000000000000002", "float16"),
    ],
)
def test_two_texts_of_one_precision_that_differ_are_a_difference_though_one_value_is_nearest(a, b, dtype):
    found = two(log("0.5", a), log("0.5", b, name="other"), dtype)
    assert found.difference.verdict is Verdict.ROUNDING
    assert (found.difference.measure.first_difference, found.first.step) == (2, 2)
    assert (found.first.a.written, found.first.b.written) == (a, b)
    assert f"step 2: {a} against {b}" in found.difference.reason
    assert not found.passes(Terms(printed=True))


def test_the_shortest_text_and_all_17_digits_of_one_float64_are_the_same_bits():
    found = two(log("0.1", "0.29837110876000272"), log("0.10000000000000001", "0.29837110876000272", name="other"))
    assert (found.exact, found.untold, found.passes(Terms())) == (True, 0, True)


def test_a_printed_number_keeps_its_digits_and_gets_no_bits_and_no_ulps():
    found = two(log("0.2984"), log("0x1.8p-1", name="other"))
    assert (found.first.a.written, found.first.a.told) == ("0.2984", False)
    assert (found.first.b.written, found.first.b.told) == (None, True)
    assert found.flat()["max_ulp"] is None


def test_a_step_is_what_the_logs_say_and_its_place_too():
    found = two(log("0x1p0", "0x1p1", steps=(10, 20)), log("0x1p0", "0x1p2", name="other", steps=(10, 20)))
    assert (found.first.step, found.first.logged, found.first.label) == (2, 20, "step 20")
    found = two(log("1", "2", steps=((1, 5), (2, 5))), log("1", "3", name="other", steps=((1, 5), (2, 5))))
    assert (found.first.step, found.first.logged, found.first.label) == (2, None, "epoch 2, batch 5")


OTHER_STEPS = {
    "another step": ((10, 20), (10, 30), "log has step 20 where other has step 30: --common-steps"),
    "every tenth": ((1, 2), (10, 20), "log has step 1 where other has step 10"),
    "from 0 and from 1": ((0, 1), (1, 2), "log has step 0 where other has step 1"),
    "none on one side": ((10, 20), (), "log has step 10 first, and other says no steps: --by-place"),
    "two counts and one": (((1, 1), (1, 2)), (1, 2), "log counts epoch and batch, other counts step: --by-place"),
}


@pytest.mark.parametrize(("a", "b", "reason"), OTHER_STEPS.values(), ids=OTHER_STEPS)
def test_logs_of_other_steps_are_incomparable_and_never_renumbered(a, b, reason):
    found = two(log("1", "2", steps=a), log("1", "2", name="other", steps=b))
    assert found.difference.verdict is Verdict.INCOMPARABLE
    assert reason in found.difference.reason
    assert not found.passes(Terms())


@pytest.mark.parametrize("steps", [(0, 1), (1, 2), (0.08, 0.16)])
def test_steps_without_a_gap_are_the_places_of_a_log_that_says_none(steps):
    found = two(log("1", "2", steps=steps), log("1", "3", name="other"))
    assert found.first.step == 2


def test_logs_of_other_steps_may_be_compared_at_those_that_both_have():
    a = log("0x1p0", "0x1p1", "0x1p2", steps=(10, 20, 30))
    b = log("0x1p0", "0x1p3", name="other", steps=(10, 30))
    found = pair(side([a]), side([b]), ALLOWED, common_steps=True)
    assert (found.difference.measure.steps, found.first.logged) == (2, 30)
    assert found.difference.caveats[0] == "compared at the 2 steps that both have, of 3 and 2 (--common-steps)"
    none = pair(side([a]), side([log("1", name="other", steps=(7,))]), ALLOWED, common_steps=True)
    assert none.difference.verdict is Verdict.INCOMPARABLE


def test_float32_as_python_prints_one_is_compared_as_float32():
    found = two(log("0.10000000149011612", "0.5"), log("0.10000000894069672", "0.5", name="other"))
    assert (found.exact, found.difference.ulp_dtype, found.difference.measure.max_ulp) == (True, "float32", 1)
    assert any("printed as Python prints one" in each for each in found.difference.caveats)


def test_a_metric_that_is_shown_never_fails_and_an_exact_one_is_never_allowed_to_differ():
    a, b = log("0x1p-1"), log("0x1.0000000000001p-1", name="other")
    for rule, terms, expected in (
        (Rule.SHOWN, Terms(), True),
        (Rule.EXACT, Terms(verdicts=(Verdict.ROUNDING,)), False),
        (Rule.ROUNDING, Terms(), True),
        (Rule.JUDGED, Terms(), False),
        (Rule.JUDGED, Terms(verdicts=(Verdict.ROUNDING,)), True),
    ):
        assert two(replace(a, rule=rule), replace(b, rule=rule)).passes(terms) is expected


def test_only_series_of_one_group_are_compared_and_those_that_are_shown_do_not_count():
    losses = [log("1", name="a"), log("1", name="b")]
    others = [replace(log(text, name=f"lr{text}"), group="lr", rule=Rule.SHOWN) for text in ("1", "2")]
    for limit in (10, 1):
        found = compare([*losses, *others], Mode.ALL, ALLOWED, limit=limit)
        assert (found.total, found.verdicts, len(found.pairs)) == (1, {Verdict.IDENTICAL: 1}, 2)
        assert found.passes(Terms())


def test_text_beside_a_cell_is_read_in_the_cells_dtype_where_it_can_be_that(cells):
    (cell,) = cells([0.298371106386184692], dtype="float32")
    found = two(log("0.298371106"), cell)
    assert (found.difference.verdict, found.exact, found.difference.ulp_dtype) == (Verdict.IDENTICAL, True, "float32")
    assert any("nearest float32" in each for each in found.difference.caveats)


def test_text_that_shows_more_than_the_cells_dtype_is_not_rounded_into_agreement(cells):
    (cell,) = cells([0.298371106386184692], dtype="float32")
    found = two(log("0.29837110876000272"), cell)
    assert found.difference.measure.first_difference == 1
    assert any("no float32" in each for each in found.difference.caveats)


def test_the_dtype_that_is_asked_for_is_taken_and_said():
    found = two(log("0.29837110876000272"), log("0.298371106", name="other"), dtype="float32")
    assert (found.difference.verdict, found.exact) == (Verdict.IDENTICAL, True)
    assert any("nearest float32" in each for each in found.difference.caveats)


def test_logs_of_nobody_known_are_judged_by_the_tolerance_of_their_dtype():
    found = two(log("0x1p-1"), log("0x1.0000000000001p-1", name="other")).difference
    assert (found.verdict, found.judged_by) == (Verdict.ROUNDING, "a test")
    assert (found.measure.max_ulp, found.measure.first_difference) == (1, 1)


def test_the_first_differing_step_comes_with_both_values(cells):
    a, b = cells([0.5, 0.25], [0.5, 0.75])
    point = two(a, b).first
    assert (point.step, point.a.number, point.b.number, point.a.dtype) == (2, 0.25, 0.75, "float64")


# All pairs.

LOSSES = st.lists(
    st.sampled_from([(0.5, 0.25), (0.5, 0.75), (0.5, 0.2500000001), (float("nan"), 1.0)]), min_size=2, max_size=8
)


@given(losses=LOSSES)
def test_by_class_the_verdicts_are_those_of_all_pairs(cells, losses):
    every = cells(*losses)
    each = compare(every, Mode.ALL, ALLOWED, limit=1000)
    classes = compare(every, Mode.ALL, ALLOWED, limit=1) if len(every) > 2 else each
    assert classes.total == each.total == len(list(combinations(every, 2)))
    assert classes.verdicts == each.verdicts
    assert sum(classes.verdicts.values()) == classes.total
    assert classes.passes(Terms()) == each.passes(Terms())


def test_equal_cells_are_one_class_and_two_classes_one_pair(cells):
    found = compare(cells(*[[0.5]] * 5, *[[0.75]] * 3), Mode.ALL, ALLOWED, limit=10)
    assert [(each.name, len(each.members)) for each in found.groups] == [("C1", 5), ("C2", 3)]
    assert {(p.difference.a, p.difference.b): p.stands_for for p in found.pairs} == {
        ("C1", "C1"): 10,
        ("C2", "C2"): 3,
        ("C1", "C2"): 15,
    }
    assert any("28 pairs are more than 10 (--limit)" in each for each in found.notes)
    (term,) = found.groups[0].rule.terms
    assert term.factors == (("version", ("numpy 2.4.6",)), ("loss", ("[0.5]",)))


def test_a_rule_may_name_an_option_that_only_the_entrypoint_told(builder):
    def made(variant, losses, used):
        record = replace(builder.record(losses, variant=variant), factors=(("fused", used),))
        return series.of_record(record, "results")

    every = [made("a", [0.5], "yes"), made("b", [0.5], "yes"), made("c", [0.75], "no")]
    found = compare(every, Mode.ALL, ALLOWED, limit=1)
    (term,) = found.groups[0].rule.terms
    assert term.factors == (("version", ("numpy 2.4.6",)), ("fused", ("yes",)))


def test_a_class_never_mixes_workloads_dtypes_or_unsteady_cells(builder, cells):
    unsteady = series.of_record(builder.record([0.5], variant="u", repeats=([0.75],)), "results")
    every = [
        *cells([0.5], [0.5]),
        *cells([0.5], dtype="float32", flavour="x"),
        *cells([0.5], workload="other"),
        unsteady,
        log("0.5"),
    ]
    found = compare(every, Mode.ALL, ALLOWED, limit=1)
    assert sorted(len(each.members) for each in found.groups) == [1, 1, 1, 1, 2]


def test_weights_are_the_same_for_a_class_only_if_they_are_for_all_of_it(builder):
    def made(variant, losses, weights):
        return series.of_record(builder.record(losses, variant=variant, weights=weights), "results")

    mixed = [made("a", [0.5], 1.0), made("b", [0.5], 2.0), made("c", [0.75], 1.0), made("d", [0.75], 1.0)]
    found = compare(mixed, Mode.ALL, ALLOWED, limit=1)
    states = {(each.difference.a, each.difference.b): each.difference.same_state for each in found.pairs}
    assert states == {("C1", "C1"): None, ("C2", "C2"): True, ("C1", "C2"): None}


def test_other_weights_fail_only_where_the_weights_are_asked_for_and_known(builder):
    def made(variant, weights):
        return series.of_record(builder.record([0.5], variant=variant, weights=weights), "results")

    found = two(made("a", 1.0), made("b", 2.0))
    assert (found.other_state, found.passes(Terms()), found.passes(Terms(state=True))) == (True, True, False)
    found = two(made("a", 1.0), made("b", 1.0))
    assert (found.other_state, found.passes(Terms(state=True))) == (False, True)
    found = two(made("a", 1.0), log("0x1p-1"))
    assert (found.other_state, found.passes(Terms(state=True))) == (False, True)
    mixed = compare([made("a", 1.0), made("b", 2.0), made("c", 1.0)], Mode.ALL, ALLOWED, limit=1)
    assert [each.other_state for each in mixed.pairs] == [True]


def test_by_class_the_same_cells_are_asked_for_their_own_weights(builder):
    def made(source):
        return [
            series.of_record(builder.record([0.5], variant=name, weights=weight), source).named(f"{source}:{name}")
            for name, weight in (("a", 1.0), ("b", 2.0))
        ]

    found = compare([*made("old"), *made("new")], Mode.SAME_ID, ALLOWED, limit=1)
    assert found.by_class
    assert found.passes(Terms(state=True))


def test_too_many_classes_are_each_held_against_the_largest_and_do_not_pass(cells, monkeypatch):
    monkeypatch.setattr(pairs, "MOST_PAIRS", 2)
    every = cells([0.5], [0.5], [0.75], [0.125], [0.25])
    found = compare(every, Mode.ALL, ALLOWED, limit=1)
    assert {each.difference.a for each in found.pairs} == {"C1"}
    assert sum(found.verdicts.values()) < found.total == 10
    assert not found.passes(Terms(verdicts=tuple(Verdict)))
    assert any("each class is compared with C1 alone" in each for each in found.notes)


def test_what_has_no_trajectory_counts_as_missing_by_class_too(builder, cells):
    absent = series.of_record(builder.record(variant="x", outcome=Outcome.FAILED, reason="killed"), "results")
    found = compare([absent, *cells([0.5], [0.5])], Mode.ALL, ALLOWED, limit=1)
    assert found.verdicts == {Verdict.IDENTICAL: 1, Verdict.MISSING: 2}
    assert not found.passes(Terms())
    assert found.passes(Terms(verdicts=(Verdict.MISSING,)))


def test_each_may_be_held_against_the_first_alone(cells):
    found = compare(cells([0.5], [0.5], [0.75]), Mode.FIRST, ALLOWED, limit=200)
    assert [each.difference.b for each in found.pairs] == [each.name for each in found.series[1:]]
    by_class = compare(cells([0.5], [0.5], [0.75]), Mode.FIRST, ALLOWED, limit=1)
    assert by_class.verdicts == found.verdicts


def both(cells, old, new):
    return [*(each.named(f"old:{each.name}") for each in cells(*old, source="old")),
            *(each.named(f"new:{each.name}") for each in cells(*new, source="new"))]  # fmt: skip


@pytest.mark.parametrize("limit", [1, 200])
def test_of_two_folders_the_same_cells_are_paired(cells, limit):
    found = compare(both(cells, [[0.5], [0.5], [0.5]], [[0.5], [0.75], [0.75]]), Mode.SAME_ID, ALLOWED, limit=limit)
    changed = [cell for each in found.pairs if each.difference.verdict is not Verdict.IDENTICAL for cell in each.cells]
    assert changed == ["mazur/numpy-2.4.6-cpu/way1", "mazur/numpy-2.4.6-cpu/way2"]
    assert found.total == 3


def test_a_cell_of_one_folder_alone_is_missing_in_the_other(cells):
    found = compare(both(cells, [[0.5], [0.5]], [[0.5]]), Mode.SAME_ID, ALLOWED, limit=200)
    assert found.verdicts == {Verdict.IDENTICAL: 1, Verdict.MISSING: 1}
    assert "new has no record of it" in found.pairs[1].difference.reason


def test_a_cell_that_can_run_in_neither_folder_has_not_changed(builder, cells):
    never = series.of_record(builder.record(variant="n", outcome=Outcome.UNAVAILABLE, reason="no such dtype"), "old")
    every = [never.named("old:n"), replace(never, source="new").named("new:n"), *both(cells, [[0.5]], [[0.5]])]
    found = compare(every, Mode.SAME_ID, ALLOWED, limit=200)
    assert found.passes(Terms())
    assert any("could not run on either side" in each for each in found.notes)


def test_the_same_cells_need_two_sources(cells):
    with pytest.raises(UsageError, match="no two sources of cells"):
        compare(cells([0.5], [0.5]), Mode.SAME_ID, ALLOWED, limit=200)
