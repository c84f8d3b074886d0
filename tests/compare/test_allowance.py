"""The noise floor: measured by an ensemble, summed over the steps, for both sides."""

import math

import pytest

from repromatrix.compare.allowance import Allowances, Tolerance, floor, measured, of_run
from repromatrix.compare.difference import Verdict, compare
from repromatrix.floats import ulp
from repromatrix.results.manifest import Ensemble
from repromatrix.results.record import Outcome
from repromatrix.results.store import Store

STEPS = (1.0, 1.0, 1.0, 1.0)


def ensemble(builder, *members, dtype="float32"):
    reference = builder.record(STEPS, dtype=dtype)
    cells = [builder.record(each, dtype=dtype, id=f"mazur.ulp{n}/x/y") for n, each in enumerate(members, start=1)]
    return floor("mazur", dtype, reference, cells)


def test_a_disturbance_that_no_member_shows_counts_as_one_ulp_of_the_loss(builder):
    found = ensemble(builder, STEPS, STEPS)
    unit = ulp(1.0, "float32")
    assert found.growth == (unit,) * 4
    assert found.bound == (2 * unit, 4 * unit, 6 * unit, 8 * unit)


def test_the_furthest_member_counts_at_every_step(builder):
    found = ensemble(builder, (1.0, 1.5, 1.0, 1.0), (1.0, 1.0, 0.75, 1.0))
    unit = ulp(1.0, "float32")
    assert found.growth == (unit, 0.5, 0.25, unit)
    assert found.bound[2] == pytest.approx(2 * (unit + 0.75))


def test_members_that_measure_nothing_are_left_out(builder):
    reference = builder.record(STEPS)
    lost = builder.record(outcome=Outcome.FAILED, reason="x", id="mazur.ulp1/x/y")
    infinite = builder.record((1.0, math.inf, 1.0, 1.0), id="mazur.ulp2/x/y")
    short = builder.record((1.0,), id="mazur.ulp3/x/y")
    assert floor("mazur", "float64", reference, [lost, infinite, short]) is None
    assert floor("mazur", "float64", lost, [reference]) is None
    assert floor("mazur", "float64", reference, [lost, builder.record(STEPS, id="m")]).members == ("m",)


def test_a_pair_within_the_floor_is_rounding_and_one_beyond_it_is_not(builder):
    measured = ensemble(builder, STEPS)
    allowed = Allowances(floors={("mazur", "float32"): measured}, tolerances={})
    unit = ulp(1.0, "float32")
    start = builder.record(STEPS, dtype="float32")

    def verdict(*ulps):
        other = builder.record(tuple(1.0 + each * unit for each in ulps), dtype="float32")
        return compare(start, other, allowed)

    assert verdict(2, 4, 6, 8).verdict is Verdict.ROUNDING
    assert verdict(0, 0, 0, 9).verdict is Verdict.DIVERGENT
    assert verdict(2, 0, 0, 9).verdict is Verdict.AMPLIFIED
    assert verdict(2, 4, 6, 8).judged_by == "noise floor of mazur in float32, 1 one-ULP members"


def test_across_dtypes_the_floor_of_the_coarser_one_judges(builder):
    allowed = Allowances(floors={("mazur", "float32"): ensemble(builder, STEPS)}, tolerances={})
    found = compare(builder.record(STEPS), builder.record((1.0, 1.0, 1.0, 1.0 + 2**-23), dtype="float32"), allowed)
    assert found.verdict is Verdict.ROUNDING


def test_more_steps_than_the_floor_was_measured_for_are_left_to_the_tolerance(builder):
    tolerance = Tolerance(relative=0.0, absolute=1.0, source="somebody")
    allowed = Allowances(floors={("mazur", "float64"): ensemble(builder, STEPS)}, tolerances={"float64": tolerance})
    assert allowed.of("mazur", "float64", 5) is tolerance
    assert allowed.of("mazur", "float64", 4) is not tolerance
    assert allowed.of("other", "float16", 1) is None


# Who judges a run.

STATED = (("float64", 0.0, 1e-3, "a matrix"),)


def test_what_an_ensemble_measured_comes_before_what_somebody_states(builder):
    records = {name: builder.record(STEPS, id=name) for name in ("reference", "member")}
    asked = Ensemble(workload="mazur", dtype="float64", reference="reference", members=("member", "gone"))
    allowed = measured([asked], records, STATED)
    assert allowed.of("mazur", "float64", 4).members == ("member",)
    assert allowed.of("mazur", "float64", 5) == Tolerance(relative=0.0, absolute=1e-3, source="a matrix")
    assert allowed.of("mazur", "float32", 4) is None


def test_a_folder_is_judged_by_its_own_tolerances_unless_others_are_stated(builder, tmp_path):
    store = Store(tmp_path)
    assert of_run(store) == Allowances()
    assert of_run(store, STATED).tolerances["float64"].source == "a matrix"
    manifest = builder.manifest([])
    store.write_manifest(manifest)
    assert {each[0] for each in manifest.tolerances} == set(of_run(store).tolerances)
    assert of_run(store, ()).tolerances == {}
