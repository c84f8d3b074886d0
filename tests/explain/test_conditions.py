"""A condition is a change that neither cell has: it counts only where it took effect, and only if both ends agree."""

from dataclasses import replace

import pytest

from repromatrix.compare.allowance import Allowances, Tolerance
from repromatrix.explain.judge.explanation import Explanation
from repromatrix.explain.judge.findings import ConditionRow, Finding
from repromatrix.explain.judge.flips import Changed, Judge
from repromatrix.explain.text import tell
from repromatrix.results.experiments import Condition, Side
from tests.compare import builder

ALLOWED = Allowances(tolerances={"float64": Tolerance(relative=0.0, absolute=1e-3, source="a test")})
NONE = Changed(reason="not for this cell")
NOBODY = Side(run=None, reason="judged apart")


def cell(*losses: float, name: str, kernels: str = "native"):
    found = builder.record(losses, id=f"mazur/numpy-2.4.6-cpu/{name}")
    return replace(found, fingerprint={"kernels": {"core": kernels}, "threads": {}})


A, B = cell(0.5, 0.25, name="a"), cell(0.5, 0.75, name="b")  # 0.5 apart
AS_A, AS_B = cell(0.5, 0.25, name="h", kernels="capped"), cell(0.5, 0.75, name="h", kernels="capped")
OTHER = cell(0.5, 4.0, name="h", kernels="capped")


def under(at_a, at_b, *, option: bool = False) -> ConditionRow:
    attempt = Condition(
        name="layout=in_out" if option else "capped",
        kind="option" if option else "settings",
        changes=(("layout", "in_out"),) if option else (("isa", "sse4.2"), ("threads", "1")),
        a=NOBODY,
        b=NOBODY,
    )
    ends = [each if isinstance(each, Changed) else Changed(record=each, members=moved(each)) for each in (at_a, at_b)]
    return Judge(A, B, (), ALLOWED, (moved(A), moved(B))).condition(attempt, *ends)


def moved(record):
    """Return members that stand apart as the record does: with them enough elements differ to exclude chance."""
    return {number: builder.moved(record, number * 2.0**-24) for number in range(1, 8)}


FINDINGS = [
    ("one side becomes the other, which stays", AS_B, AS_B, Finding.CAUSE),
    ("both become a third", OTHER, OTHER, Finding.CAUSE),
    ("the only side that can have it becomes the other", AS_B, NONE, Finding.CAUSE),
    ("each becomes what the other was", AS_B, AS_A, Finding.CONTRIBUTES),
    ("it comes nearer", cell(0.5, 0.5, name="h", kernels="capped"), AS_B, Finding.CONTRIBUTES),
    ("it comes nearer by no more than rounding", cell(0.5, 0.2505, name="h"), AS_B, Finding.INCONCLUSIVE),
    ("other kernels, the same bits", AS_A, AS_B, Finding.REFUTED),
    ("it goes further away", cell(0.5, 0.125, name="h"), AS_B, Finding.REFUTED),
    ("neither kernels nor bits change", replace(A, key="h"), replace(B, key="h"), Finding.NOT_TESTABLE),
    ("neither cell can have it", NONE, NONE, Finding.NOT_TESTABLE),
]


@pytest.mark.parametrize(("at_a", "at_b", "expected"), [each[1:] for each in FINDINGS], ids=[e[0] for e in FINDINGS])
def test_the_finding_follows_from_what_is_left_under_the_condition(at_a, at_b, expected) -> None:
    assert under(at_a, at_b).finding is expected


def test_settings_that_show_no_sign_are_not_called_refuted() -> None:
    found = under(replace(A, key="h"), NONE)
    assert (found.finding, found.a.reason) == (Finding.NOT_TESTABLE, "no sign that it took effect")


def test_an_option_needs_no_sign_as_a_framework_does_not_ignore_it() -> None:
    assert under(replace(A, key="h"), NONE, option=True).finding is Finding.REFUTED


def test_where_it_took_effect_at_one_end_both_are_held_against_each_other() -> None:
    found = under(AS_B, replace(B, key="h"))
    assert (found.b.reason, found.finding) == ("no sign that it took effect", Finding.CAUSE)
    assert found.both.after is not None
    assert (found.both.cell, found.both.changed, found.both.share) == (None, None, 1.0)


def test_a_side_that_could_still_be_run_keeps_it_from_being_a_cause() -> None:
    left = Changed(reason="not run", left=True)
    assert under(AS_B, left).finding is Finding.CONTRIBUTES
    assert under(AS_A, left).finding is Finding.INCONCLUSIVE


def explanation(*conditions: ConditionRow) -> Explanation:
    return Explanation(
        a=A.cell.id,
        b=B.cell.id,
        before=Judge(A, B, (), ALLOWED).before,
        factors=(),
        rows=(),
        sets=(),
        conditions=conditions,
        budget=4,
        spent=4,
        exhausted=False,
    )


def test_a_difference_that_vanishes_under_a_condition_is_explained_by_it() -> None:
    found = explanation(under(AS_A, AS_B), under(AS_B, AS_B))
    assert found.explained
    assert found.sentence == (
        "The difference of 5.00e-1 (66.7 %, from step 2) is explained by no factor that could be tested. It vanishes "
        "under a condition that neither cell has; "
        "the cause is what that changes: capped leaves the same bits at A's end and the same bits at both ends."
    )


def test_a_condition_is_not_called_the_cause_where_operations_are_named_that_it_may_not_change() -> None:
    found = replace(explanation(under(AS_A, AS_B), under(AS_B, AS_B)), operations=("sigmoid",))
    assert "but by operations. On the same inputs sigmoid differs. It also vanishes under a condition" in found.sentence
    assert found.sentence.endswith("; that this changes sigmoid was not shown, so it is not called the cause.")
    assert "the cause is" not in found.sentence
    (row,) = [line for line in tell(found).splitlines() if line.startswith("capped") and "identical" in line]
    assert row.split()[-1] == "vanishes"


def test_conditions_that_change_nothing_are_told_among_what_was_tried() -> None:
    found = explanation(under(AS_A, AS_B), under(NONE, NONE, option=True))
    assert not found.explained
    assert found.sentence == "The difference of 5.00e-1 (66.7 %, from step 2) is unexplained. Tried: capped."


def test_the_sentence_of_a_condition_says_what_it_sets_and_what_it_leaves() -> None:
    assert under(AS_B, NONE).sentence == (
        "capped (isa=sse4.2, threads=1): cause: identical at A's end; not tested (not for this cell) at B's end; "
        "not tested (not for this cell) at both ends"
    )
