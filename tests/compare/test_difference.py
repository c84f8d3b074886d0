"""Verdicts for pairs of records, and what is said where there is nothing to measure."""

import math

import pytest

from repromatrix.compare.allowance import Allowances, Tolerance
from repromatrix.compare.difference import Verdict, compare
from repromatrix.compare.versions import between_versions
from repromatrix.results.record import Outcome

TOLERANCE = Tolerance(relative=0.0, absolute=1e-6, source="test")
TOLERANCES = Allowances(tolerances={"float64": TOLERANCE, "float32": TOLERANCE})


@pytest.mark.parametrize(
    ("other", "verdict", "first"),
    [
        ((1.0, 1.0, 1.0), Verdict.IDENTICAL, None),
        ((1.0, 1.0 + 2**-30, 1.0), Verdict.ROUNDING, 2),
        ((1.0, 1.0 + 2**-30, 1.5), Verdict.AMPLIFIED, 2),
        ((1.5, 1.0, 1.0), Verdict.DIVERGENT, 1),
        ((1.0, math.nan, 1.0), Verdict.DIVERGENT, 2),
        ((1.0, 1.0, math.inf), Verdict.DIVERGENT, 3),
    ],
)
def test_verdicts(builder, other, verdict, first):
    found = compare(builder.record((1.0, 1.0, 1.0)), builder.record(other), TOLERANCES)
    assert (found.verdict, found.measure.first_difference) == (verdict, first)
    assert (found.measure.max_abs is None) == (not all(map(math.isfinite, other)))
    assert found.judged_by == (None if verdict is Verdict.IDENTICAL or found.measure.max_abs is None else "test")


def test_equal_values_that_are_not_finite_are_the_same_bits(builder):
    losses = (1.0, math.nan, math.inf)
    assert compare(builder.record(losses), builder.record(losses), TOLERANCES).verdict is Verdict.IDENTICAL
    shifted = (1.0 + 2**-30, math.nan, math.inf)
    assert compare(builder.record(losses), builder.record(shifted), TOLERANCES).verdict is Verdict.ROUNDING


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"losses": (1.0,)}, "2 steps against 1; first 1 step: no difference"),
        ({"losses": (3.0,)}, "2 steps against 1; first 1 step: they part at step 1"),
        ({"workload": "other"}, "workload mazur against other"),
        ({"dtype": "float16"}, "no noise floor and no tolerance for float16"),
    ],
)
def test_what_cannot_be_compared_has_a_reason(builder, changes, reason):
    losses = changes.pop("losses", (1.0, 3.0))
    found = compare(builder.record((1.0, 2.0)), builder.record(losses, **changes), TOLERANCES)
    assert found.verdict is Verdict.INCOMPARABLE
    assert found.reason == reason


def test_a_side_without_a_trajectory_is_missing_and_never_a_number(builder):
    lost = builder.record(outcome=Outcome.FAILED, reason="SIGILL", id="mazur/x/y")
    found = compare(builder.record(), lost, TOLERANCES)
    assert found.verdict is Verdict.MISSING
    assert found.reason == "mazur/x/y: failed (SIGILL)"
    assert found.measure is None
    flat = found.flat()
    assert [flat[name] for name in ("steps", "max_abs", "max_ulp", "first_difference")] == [0, None, None, None]


def test_other_cpu_classes_are_said_to_be_another_difference(builder):
    here, there = builder.record(), builder.record((0.5, 0.75), cpu_class="avx512f")
    assert compare(here, here, TOLERANCES).caveats == ()
    found = compare(here, there, TOLERANCES)
    assert found.same_cpu_class is False
    assert "not a difference of the versions alone" in found.caveats[0]


def test_across_dtypes_the_coarser_one_counts_and_is_named(builder):
    found = compare(builder.record((1.0,)), builder.record((1.0 + 2**-23,), dtype="float32"), TOLERANCES)
    assert (found.ulp_dtype, found.measure.max_ulp) == ("float32", 1)
    assert found.caveats == ("float64 against float32: ULPs in float32",)


def test_versions_are_compared_with_their_neighbours_in_pep_440_order(builder):
    records = [
        builder.record((value,), version=version) for version, value in (("2.10.0", 2), ("2.9.1", 1), ("2.10.0rc1", 1))
    ]
    found = between_versions(records, TOLERANCES)
    assert [(each.older, each.newer, each.difference.verdict.value) for each in found] == [
        ("2.9.1", "2.10.0rc1", "identical"),
        ("2.10.0rc1", "2.10.0", "divergent"),
    ]
