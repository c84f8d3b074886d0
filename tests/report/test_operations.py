"""What the three files have of operations, and that it is recomputed by another way."""

import json
from dataclasses import replace

import jsonschema
import pytest

from repromatrix import resources
from repromatrix.errors import ResultsError
from repromatrix.operations import fresh, truth
from repromatrix.operations.form import Constants
from repromatrix.report import wording
from repromatrix.report.evidence import Evidence
from repromatrix.report.render import html, json_text, markdown
from repromatrix.report.sections.operations import How, distance_in_ulps, told
from repromatrix.report.verify.check import verify
from tests import worked
from tests.report import replays
from tests.report.oracles.operations import operated
from tests.report.oracles.truths import off, rounded, truths
from tests.report.reports import build


@pytest.fixture(scope="module")
def run(builder):
    """Three cells, and all about their operations."""
    records = [builder.record((0.5, 0.25), variant=name) for name in "abc"]
    return records, builder.manifest(records, tables=()), replays.replayed(builder, *(e.cell.id for e in records))


@pytest.fixture(scope="module")
def view(run):
    records, manifest, replayed = run
    return build(manifest, records, (), replayed=replayed)


def texts(view, kind):
    return [each.text for each in view.of_kind(kind)]


def test_both_ways_agree_on_every_sentence(run, view):
    _, manifest, replayed = run
    stated = {each.id: (each.cells, each.values) for each in told(replayed, manifest.entries, {}).sentences}
    again = {each.id: (each.cells, each.values) for each in operated(replayed, manifest)}
    assert stated == again
    assert stated.keys() <= {each.id for each in view.sentences}


def test_the_files_follow_the_schema_and_verify_finds_nothing(run, view):
    records, manifest, replayed = run
    document = json.loads(json_text(view))
    schema = json.loads(resources.schema("report").read_text("utf-8"))
    jsonschema.validate(document, schema, cls=jsonschema.Draft202012Validator)
    evidence = Evidence(manifest=manifest, records=tuple(records), replayed=replayed)
    assert verify(document, evidence) == ()


def test_the_totals_tell_what_differs_from_what_is_only_joined_otherwise(view):
    (said,) = texts(view, "operation_totals")
    assert said == (
        "We computed the operations of 4 pairs again on the same inputs: in 2 an operation computes differently; in 1 "
        "the operations agree and are combined in another order; in 1 no operation is seen to differ, as far as the "
        "steps can be taken apart; 1 pair could not be replayed; 1 pair of an earlier run left out"
    )
    assert texts(view, "source_totals") == [
        "sigmoid computes differently in 2 of 4 pairs, and only passes a difference on in 2"
    ]


def test_a_source_is_told_with_inputs_bits_and_distances_from_the_truth(view):
    first, _ = texts(view, "operation_source")
    assert first == (
        "sigmoid at hidden[0] of mazur/x-1/v and mazur/x-2/v differs on 5 of 5 inputs, first on those of "
        "step 1 of mazur/x-1/v: 0x1.2fc1159b98db3p-1 (0x3fe2fc1159b98db3, 0.256 ULP off) against "
        "0x1.2fc1159b9adb3p-1 (0x3fe2fc1159b9adb3, 8191.744 ULP off), correctly rounded 0x1.2fc1159b98db3p-1 "
        "(0x3fe2fc1159b98db3), from z[0] = 0x1.828f5c28f5c29p-2"
    )
    assert first.replace("&", "&amp;") in html(view)


def test_what_was_replayed_for_several_pairs_is_told_once_and_named_by_each(view):
    assert [each.a_cell.rpartition("/")[2] for each in view.sections["operations"].pairs] == ["a", "a", "b", "c", "c"]
    assert [bool(each.examples) for each in view.sections["operations"].pairs] == [True, False, False, False, False]
    assert len(texts(view, "operation_pair")) == 1
    assert (
        view.sections["operations"].pairs[3].sources
        == view.sections["operations"].pairs[0].sources
        == "sigmoid (hidden, output)"
    )


def test_an_answer_that_cannot_be_had_has_its_reason(view):
    third, refused = view.sections["operations"].pairs[2], view.sections["operations"].pairs[4]
    assert third.notes == (
        "not known of hidden_error: mazur/x-4/v: unavailable: not alone; the step of mazur/x-4/v cannot be taken apart"
    )
    assert (refused.notes, refused.sources) == ("float64 against float32", wording.NOTHING)
    assert "mazur/x-5/v is not in the catalogue of operations" in html(view)


def test_cells_that_compute_an_operation_alike_share_a_row_and_others_are_told_apart(view):
    rows = [each for each in view.sections["operations"].forms if each.operation == "sigmoid"]
    assert [(each.where, each.fits) for each in rows] == [
        ("x-1 (gradient=auto), x-2", True),
        ("x-1 (gradient=manual)", False),
    ]
    assert rows[1].forms.startswith("none of ")
    assert rows[0].correct == "1,400 of 2,048"
    assert [each.operation for each in view.sections["operations"].forms if each.where == "x-1, x-2"] == [
        each for each in worked.OPERATIONS if each != "sigmoid"
    ]


def test_several_forms_are_each_sufficient_and_none_is_called_the_one():
    how = How(values=9, forms=tuple("abcdef"), tried=9, nearest=None, agreeing=9, correct=None, worst=None, reason=None)
    assert how.text == "a, b, c, d and 2 more (all 9 values, each of them sufficient)"
    assert replace(how, forms=("a",)).text == "a (all 9 values)"
    assert how.accuracy == ""


def test_without_replays_the_page_says_what_to_type(builder):
    records = builder.run()
    found = build(builder.manifest(records), records, ())
    assert not {"operation_totals", "operations_of", "operation_form"} & {each.kind for each in found.sentences}
    assert "<code>repromatrix operations</code>" in html(found)
    assert "Operations, computed again" not in markdown(found)


def test_one_bit_of_a_replay_changes_what_is_said(run):
    _, manifest, replayed = run
    end = replayed.index.pairs[0].left
    seen = replayed.ends[end]
    values = [list(each) for each in seen.recorded["bias"].values]
    values[0][0] = (float.fromhex(values[0][0]) + 2.0**-50).hex()
    moved = replace(seen.recorded["bias"], outputs=(("bias", tuple(map(tuple, values))),))
    other = replace(seen, recorded=dict(seen.recorded) | {"bias": moved})
    found = told(replace(replayed, ends=dict(replayed.ends) | {end: other}), manifest.entries, {})
    assert "operation/mazur/x-1/v/mazur/x-2/v/hidden_pre" in {each.id for each in found.sentences}


def test_replays_of_unequal_inputs_are_refused_with_what_to_type(run):
    _, manifest, replayed = run
    end = replayed.index.pairs[0].left
    seen = replayed.ends[end]
    odd = replace(seen, recorded=dict(seen.recorded) | {"bias": replace(seen.recorded["bias"], inputs="0" * 64)})
    with pytest.raises(ResultsError, match="unequal inputs") as caught:
        told(replace(replayed, ends=dict(replayed.ends) | {end: odd}), manifest.entries, {})
    assert "repromatrix operations" in caught.value.hint


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16", "bfloat16"])
@pytest.mark.parametrize("operation", worked.OPERATIONS)
def test_the_truth_by_fractions_and_decimals_is_the_truth_by_ball_arithmetic(builder, operation, dtype):
    cell = builder.record().cell
    for loss_form in ("half_sum", "mean"):
        constants = Constants(numbers=(("rate", 0.5),), loss_form=loss_form)
        made = replays.replay(cell, replays.Environment(), "bias", [], seed=0)
        made = replace(made, options=(("loss_form", loss_form),), numbers=(("rate", "0.5"),))
        for given in fresh.samples(operation, dtype)[::64]:
            right = truth.correct(operation, given, dtype, constants)
            true = truths(operation, given, made)
            assert tuple(rounded(each, dtype) for each in true) == right
            moved = [value * (1 + 2.0**-20) for value in right]
            ours = [distance_in_ulps(off(value, each, dtype)) for value, each in zip(moved, true, strict=True)]
            theirs = truth.ulps(operation, given, moved, dtype, constants)
            assert ours == list(map(distance_in_ulps, theirs))


@pytest.mark.parametrize("z", [0.0, -0.0, 1e-300, 745.2, -745.1, -2500.0, 2500.0, 1e300, -1e300])
def test_the_truth_of_far_sigmoids_is_decided_too(builder, z):
    made = replays.replay(builder.record().cell, replays.Environment(), "bias", [], seed=0)
    (found,) = truths("sigmoid", {"z": [z]}, made)
    assert rounded(found, "float64") == truth.sigmoid(z, "float64")
    assert truths("sigmoid", {"z": [float("inf")]}, made) is None
