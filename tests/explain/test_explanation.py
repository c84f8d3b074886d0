"""What flipping factors shows: each finding needs its experiment, and what was not tested is never called refuted."""

from dataclasses import replace

import pytest

from repromatrix.compare.allowance import Allowances, Tolerance
from repromatrix.compare.difference import Verdict
from repromatrix.explain.judge.explanation import Explanation
from repromatrix.explain.judge.findings import Finding, Row
from repromatrix.explain.judge.flips import Changed, Judge
from repromatrix.explain.judge.sets import next_sets
from repromatrix.results.experiments import Factor
from repromatrix.results.record import Outcome
from tests.compare import builder

ALLOWED = Allowances(tolerances={"float64": Tolerance(relative=0.0, absolute=1e-3, source="a test")})
FACTORS = tuple(Factor(name=name, a="0", b="1", silent=name == "cap") for name in ("one", "two", "three", "cap"))
NONE = Changed(reason="there is no such thing")


def cell(*losses: float, name: str = "changed_cell", kernels: str = "Haswell", **words):
    found = builder.record(losses, id=f"mazur/numpy-2.4.6-cpu/{name}", **words)
    return replace(found, fingerprint={"kernels": {"core": kernels, "core_requested": name}, "threads": {}})


A, B = cell(0.5, 0.25, name="a"), cell(0.5, 0.75, name="b")  # 0.5 apart
NEAR = cell(0.5, 0.2504, name="near")  # 4e-4 from A, within what is allowed


def flip(at_a, at_b, *, a=A, b=B, factors=("one",)) -> Row:
    ends = [each if isinstance(each, Changed) else Changed(record=each, members=moved(each)) for each in (at_a, at_b)]
    return Judge(a, b, FACTORS, ALLOWED, (moved(a), moved(b))).row(factors, *ends)


def moved(record):
    """Return members that stand apart as the record does: with them enough elements differ to exclude chance."""
    return {number: builder.moved(record, number * 2.0**-24) for number in range(1, 8)}


FINDINGS = [
    ("identical from both ends", cell(0.5, 0.75), cell(0.5, 0.25), Finding.CAUSE),
    ("identical from the only end that can be tested", NONE, cell(0.5, 0.25), Finding.CAUSE),
    ("within the floor from both ends", cell(0.5, 0.7504), cell(0.5, 0.2504), Finding.CAUSE),
    ("identical from one end, nothing from the other", cell(0.5, 0.25), cell(0.5, 0.25), Finding.CONTRIBUTES),
    ("shrinks by more than the floor", cell(0.5, 0.5), cell(0.5, 0.5), Finding.CONTRIBUTES),
    ("shrinks by no more than the floor", cell(0.5, 0.2505), cell(0.5, 0.75), Finding.INCONCLUSIVE),
    ("no bit changes", cell(0.5, 0.25), cell(0.5, 0.75), Finding.REFUTED),
    ("it grows", cell(0.5, 0.125), cell(0.5, 0.875), Finding.REFUTED),
    ("no experiment", NONE, NONE, Finding.NOT_TESTABLE),
]


@pytest.mark.parametrize(("at_a", "at_b", "expected"), [each[1:] for each in FINDINGS], ids=[e[0] for e in FINDINGS])
def test_the_finding_follows_from_what_is_left_after_the_flip(at_a, at_b, expected) -> None:
    assert flip(at_a, at_b).finding is expected


def test_between_cells_within_the_floor_only_the_same_bits_make_a_cause() -> None:
    beside = cell(0.5, 0.2502)
    assert flip(beside, beside, b=NEAR).finding is Finding.INCONCLUSIVE
    assert flip(NEAR, beside, b=NEAR).finding is Finding.CAUSE  # the other end is within the floor still
    assert flip(A, NEAR, b=NEAR).finding is Finding.REFUTED


def test_a_set_that_explains_everything_is_a_cause_together() -> None:
    assert flip(cell(0.5, 0.75), cell(0.5, 0.25), factors=("one", "two")).finding is Finding.TOGETHER


def test_the_share_is_what_the_largest_difference_lost() -> None:
    found = flip(cell(0.5, 0.375), cell(0.5, 1.0))
    assert (found.a.share, found.b.share) == (0.25, 0.0)
    assert flip(cell(0.5, 0.7504), NONE).a.share == 1.0
    assert flip(cell(0.5, float("nan")), NONE).a.share is None
    assert flip(cell(0.5, 0.25), NONE).b.share is None


def test_an_end_tells_whether_its_own_bits_changed() -> None:
    found = flip(cell(0.5, 0.25), cell(0.5, 0.5))
    assert (found.a.changed, found.b.changed) == (False, True)
    assert found.a.after is not None
    assert found.a.after.verdict is Verdict.DIVERGENT
    assert "no bit changes, divergent by 5.00e-1 (66.7 %, from step 2) at A's end" in found.sentence


def test_a_cap_of_which_nothing_shows_is_not_refuted() -> None:
    found = flip(cell(0.5, 0.25), NONE, factors=("cap",))
    assert (found.finding, found.a.reason) == (Finding.NOT_TESTABLE, "no sign that it took effect")
    assert flip(cell(0.5, 0.25, kernels="Nehalem"), NONE, factors=("cap",)).finding is Finding.REFUTED


def test_a_cap_that_took_effect_at_one_end_was_not_ignored_at_the_other() -> None:
    found = flip(cell(0.5, 0.25), cell(0.5, 0.25), factors=("cap",))
    assert (found.finding, found.a.changed) == (Finding.CONTRIBUTES, False)


def test_where_a_loss_is_not_finite_only_unchanged_bits_refute() -> None:
    nan = cell(0.5, float("nan"), name="b")
    assert flip(cell(0.5, 0.5), NONE, b=nan).finding is Finding.INCONCLUSIVE
    assert flip(cell(0.5, 0.25), NONE, b=nan).finding is Finding.REFUTED
    assert flip(cell(0.5, float("nan")), NONE, b=nan).finding is Finding.CAUSE


LEFT = Changed(reason="not run", left=True)


def test_while_an_end_could_still_be_run_nothing_is_a_cause_and_nothing_refuted() -> None:
    assert flip(cell(0.5, 0.75), LEFT).finding is Finding.CONTRIBUTES
    assert flip(cell(0.5, 0.75), LEFT, factors=("one", "two")).finding is Finding.CONTRIBUTES
    assert flip(cell(0.5, 0.25), LEFT).finding is Finding.INCONCLUSIVE


UNUSABLE = [
    (cell(outcome=Outcome.UNAVAILABLE, reason="no such option"), "unavailable: no such option"),
    (cell(0.5, 0.75, repeats=((0.5, 0.5),)), "its repeats differ"),
]


@pytest.mark.parametrize(("record", "reason"), UNUSABLE)
def test_a_changed_cell_that_gave_nothing_proves_nothing(record, reason) -> None:
    found = flip(record, NONE)
    assert (found.finding, found.a.reason, found.b.reason) == (Finding.NOT_TESTABLE, reason, "there is no such thing")


def explanation(*rows: Row, sets: tuple[Row, ...] = (), a=A, b=B, exhausted: bool = False) -> Explanation:
    before = Judge(a, b, FACTORS, ALLOWED).before
    names = {name for row in rows for name in row.factors}
    return Explanation(
        a=a.cell.id,
        b=b.cell.id,
        before=before,
        factors=tuple(each for each in FACTORS if each.name in names),
        rows=rows,
        sets=sets,
        budget=9,
        spent=9,
        exhausted=exhausted,
    )


CAUSE = (cell(0.5, 0.75), cell(0.5, 0.25))
NOTHING = (cell(0.5, 0.25), cell(0.5, 0.75))
HALF = (cell(0.5, 0.5), cell(0.5, 0.5))


def test_the_conclusion_names_the_smallest_cause_and_what_it_leaves() -> None:
    found = explanation(flip(*CAUSE), flip(*NOTHING, factors=("two",)))
    assert found.explained
    words = "flipped alone it leaves the same bits at A's end and the same bits at B's end."
    assert found.sentence == f"The difference of 5.00e-1 (66.7 %, from step 2) is caused by one: {words}"
    assert "the only factor" in explanation(flip(*CAUSE)).sentence


def test_the_operations_that_differ_are_said_with_a_cause_that_is_a_place() -> None:
    told = replace(explanation(flip(*CAUSE)), operations=("product", "sigmoid"))
    assert "On the same inputs product and sigmoid differ." in told.sentence
    place, option = (Factor(name=name, a="x", b="y") for name in ("version", "one"))
    of_options = replace(told, factors=(place, option))  # only the option is to blame: operations tell of the places
    assert "On the same inputs" not in of_options.sentence


def test_what_makes_only_the_losses_the_same_is_said_as_that() -> None:
    near, back = (cell(0.5, loss, weights=2.0) for loss in (0.2504, 0.25))  # the same losses, other weights
    found = explanation(flip(near, back, b=NEAR))
    assert not found.explained
    assert "the same losses, but output_weights of step 2 still differs" in found.rows[0].sentence
    assert found.sentence.endswith("Nearest: one leaves the same losses, but output_weights of step 2 differs.")


def test_an_end_that_nobody_tested_is_told_beside_the_cause() -> None:
    assert "leaves the same bits at A's end (not tested at B's end)." in explanation(flip(CAUSE[0], NONE)).sentence


def test_a_set_says_which_smaller_ones_no_experiment_rules_out() -> None:
    rows = singles(one=HALF, two=HALF, three=(NONE, NONE))
    whole = flip(*CAUSE, factors=("one", "two", "three"))
    untried = explanation(*rows, sets=(whole, flip(*NOTHING, factors=("one", "two"))))
    assert untried.untested == (("one", "three"), ("two", "three"))
    assert "Not tested without the rest: one + three, two + three." in untried.sentence
    pair = explanation(*rows, sets=(flip(*CAUSE, factors=("two", "three")),))
    assert pair.sentence.endswith("Not tested without the rest: three.")
    alone = explanation(*singles(one=CAUSE, two=(NONE, NONE)))
    assert alone.untested == ()


def test_what_is_unexplained_lists_what_was_tried() -> None:
    found = explanation(flip(*HALF), flip(NONE, NONE, factors=("two",)), exhausted=True)
    assert not found.explained
    assert found.sentence == (
        "The difference of 5.00e-1 (66.7 %, from step 2) is unexplained. Tried: one. "
        "The budget ended the search after 9 cells."
    )


def test_cells_with_the_same_bits_need_no_explanation() -> None:
    assert explanation(b=cell(0.5, 0.25, name="b")).explained


def singles(**findings) -> list[Row]:
    return [flip(*ends, factors=(name,)) for name, ends in findings.items()]


def test_a_single_cause_needs_no_set() -> None:
    assert next_sets(singles(one=CAUSE, two=HALF, three=HALF), (), ()) == ()


def test_bundles_come_first_then_sets_of_what_contributes_then_pairs() -> None:
    rows = singles(one=HALF, two=NOTHING, three=HALF, cap=(NONE, NONE))
    wanted = next_sets(rows, (), [("two", "cap")])
    assert wanted[:4] == (("two", "cap"), ("one", "three"), ("one", "three", "cap"), ("one", "cap"))
    assert len({frozenset(each) for each in wanted}) == len(wanted) == 7  # all six pairs and one more
    tried = [flip(*NOTHING, factors=names) for names in wanted]
    assert next_sets(rows, tried, [("two", "cap")]) == ()


def test_all_factors_at_once_are_no_experiment() -> None:
    assert next_sets(singles(one=HALF, two=HALF), (), [("one", "two")]) == ()


def test_a_set_that_explains_the_difference_is_made_as_small_as_it_can_be() -> None:
    rows = singles(one=HALF, two=HALF, three=HALF, cap=HALF)
    sets = [flip(*CAUSE, factors=("one", "two", "three"))]
    wanted = next_sets(rows, sets, ())
    assert wanted == (("one", "two"), ("one", "three"), ("two", "three"))
    sets += [flip(*(CAUSE if names == ("one", "three") else NOTHING), factors=names) for names in wanted]
    assert next_sets(rows, sets, ()) == ()
    assert "one + three" in explanation(*rows, sets=tuple(sets)).sentence
