"""What works once may work by chance: a cause works wherever the sides differ, and in enough elements."""

from dataclasses import replace

import pytest

from repromatrix.compare.allowance import Allowances, Tolerance
from repromatrix.explain.judge.chance import ENOUGH, counted, differing
from repromatrix.explain.judge.findings import ConditionRow, Finding, Row
from repromatrix.explain.judge.flips import Changed, Judge
from repromatrix.results.experiments import Condition, Factor, Side
from repromatrix.results.value import Column, Role
from tests.compare import builder

ALLOWED = Allowances(tolerances={"float64": Tolerance(relative=0.0, absolute=1e-3, source="a test")})
FACTORS = (Factor(name="version", a="1", b="2"), Factor(name="layout", a="out_in", b="in_out"))
STEP = 2.0**-52  # one unit in the last place of what follows
NOBODY = Side(run=None, reason="judged apart")


def cell(loss: float, name: str, **words):
    found = builder.record((loss, loss), id=f"mazur/numpy-2.4.6-cpu/{name}", **words)
    return replace(found, key=name[0] * 64, fingerprint={"kernels": {"core": name}, "threads": {}})


def members(start: float, apart: float, name: str, *, but: int = 0, agree: int = 0, count: int = 8):
    """Return members that stand `apart` from a start; the first `agree` not at all, the next `but` twice as far."""
    sizes = [0.0] * agree + [2 * apart] * but + [apart] * count
    return {n: cell(start + n * 0.01 + size, name) for n, size in enumerate(sizes[:count], start=1)}


A, B = cell(1.0, "a"), cell(1.0 + STEP, "b")
OF_A, OF_B = members(1.0, 0.0, "a"), members(1.0, STEP * 4, "b")


def flipped(**words) -> Row:
    """Flip a factor of A, which lands on B; its members do as told."""
    at_a = Changed(record=cell(1.0 + STEP, "x"), members=members(1.0, STEP * 4, "x", **words))
    gone = Changed(reason="there is no such cell")
    return Judge(A, B, FACTORS, ALLOWED, (OF_A, OF_B)).row(("version",), at_a, gone)


def test_a_flip_that_works_in_the_run_and_in_each_member_is_a_cause() -> None:
    found = flipped()
    assert found.finding is Finding.CAUSE
    assert found.a.evidence is not None
    assert (found.a.evidence.elements, found.a.evidence.members, found.a.evidence.failed) == (9, 8, 0)


def test_a_flip_that_lands_on_the_others_bits_by_chance_is_a_coincidence_and_explains_nothing() -> None:
    found = flipped(but=1)
    assert (found.finding, found.explains) == (Finding.COINCIDENCE, False)
    assert found.a.evidence is not None
    assert found.a.evidence.words == "by chance: it does not in 1 of 8 members that differ"


def test_too_few_members_leave_it_not_confirmed() -> None:
    found = flipped(count=6)  # and one element of the run
    assert (found.finding, found.explains) == (Finding.UNCONFIRMED, False)
    assert found.a.evidence is not None
    assert found.a.evidence.words == "7 elements differed, 8 exclude chance"


def test_members_in_which_the_sides_agreed_anyway_do_not_count() -> None:
    alike = members(1.0, STEP * 4, "b", agree=2)
    gone = Changed(reason="there is no such cell")
    # In these two the flip does not work, and it need not: there was nothing to explain.
    at_a = Changed(record=cell(1.0 + STEP, "x"), members=members(1.0, STEP * 4, "x"))
    found = Judge(A, B, FACTORS, ALLOWED, (OF_A, alike)).row(("version",), at_a, gone)
    assert found.finding is Finding.UNCONFIRMED
    assert found.a.evidence is not None
    # Seven differed; where sides agree anyway in two of nine, each shows less than one that never does.
    assert (found.a.evidence.elements, found.a.evidence.members) == (5, 6)


@pytest.mark.parametrize(
    ("counts", "agreed", "elements"),
    [
        ([1] * 8, 0, 8),
        ([3, 3, 3], 0, 9),
        ([3] * 9, 9, 3),  # half of them agree anyway: each counts for log 2 / log 7
        ([2] * 9, 27, 1),
        ([1] * 30, 2, 30),  # rarer than two orders of a sum agree in an element
    ],
)
def test_where_sides_often_agree_anyway_to_agree_once_more_shows_little(counts, agreed: int, elements: int) -> None:
    assert counted(counts, agreed) == elements


def test_a_flip_of_the_only_factor_is_the_other_cell_and_needs_no_member() -> None:
    found = Judge(A, B, FACTORS[:1], ALLOWED).row(("version",), Changed(record=B), Changed(record=A))
    assert found.finding is Finding.CAUSE


def under(**words) -> ConditionRow:
    """Put both under a condition; A does not change, and B lands on its bits."""
    condition = Condition(name="nehalem", kind="settings", changes=(("CORE", "Nehalem"),), a=NOBODY, b=NOBODY)
    at_a = Changed(record=cell(1.0, "y"), members=members(1.0, 0.0, "y"))
    at_b = Changed(record=cell(1.0, "z"), members=members(1.0, 0.0, "z") | words.get("members", {}))
    return Judge(A, B, FACTORS, ALLOWED, (OF_A, OF_B)).condition(condition, at_a, at_b)


def test_a_condition_is_held_to_the_same_rule() -> None:
    assert under().finding is Finding.CAUSE
    assert under(members={3: cell(1.03 + STEP, "z")}).finding is Finding.COINCIDENCE


def test_the_same_losses_with_another_state_are_no_more_than_rounding() -> None:
    gone = Changed(reason="there is no such cell")
    other = Changed(record=cell(1.0 + STEP, "x", weights=2.0), members=members(1.0, STEP * 4, "x"))
    found = Judge(A, B, FACTORS, ALLOWED, (OF_A, OF_B)).row(("version",), other, gone)
    assert (found.finding, found.a.won) == (Finding.INCONCLUSIVE, False)


def wide(*elements: float, name: str):
    record = cell(1.0, name)
    column = Column(
        name="wide",
        role=Role.OUTPUT,
        dtype="float64",
        shape=(len(elements),),
        steps=(1,),
        texts=tuple(x.hex() for x in elements),
    )
    return replace(
        record, trajectories=(type(record.trajectories[0])(columns=(column, *record.trajectories[0].columns)),)
    )


@pytest.mark.parametrize(("moved", "count"), [(0, 0), (3, 3), (10, 10)])
def test_every_element_of_the_first_value_that_differs_counts(moved: int, count: int) -> None:
    one, other = [0.5] * 10, [0.5 + STEP * (n < moved) for n in range(10)]
    assert differing(wide(*one, name="a"), wide(*other, name="b")) == count


def test_what_follows_the_first_value_that_differs_does_not_count() -> None:
    assert differing(A, B) == 1  # both steps differ; the second one only passes on what the first one brought
    assert ENOUGH == 8
