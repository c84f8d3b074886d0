"""What changed since the accepted run: which cells, why that may be, and how far where it can still be measured."""

import json
from dataclasses import replace

import jsonschema

from repromatrix import resources
from repromatrix.report.render import html, json_text, markdown
from repromatrix.results.accepted import accept
from repromatrix.results.record import Outcome
from tests.report.reports import build


def made(record, **changes):
    return replace(record, provenance=replace(record.provenance, **changes))


def since(builder, before, now, missing=(), earlier=None):
    accepted = accept(builder.manifest(before, tables=()), before)
    return build(builder.manifest(now, tables=()), now, missing, accepted, earlier).sections["changes"]


def test_the_same_run_again_changed_nothing(builder):
    records = builder.run()
    found = since(builder, records, records)
    assert (found.lines, found.broken) == ((), 0)
    assert found.sentences[0].text.endswith("nothing changed")


def test_other_bits_are_told_with_what_differs_in_the_environment(builder):
    old = builder.record((0.5, 0.25))
    found = since(builder, [old], [made(builder.record((0.5, 0.3)), image_digest="sha256:1", lock_digest="2")])
    assert found.lines == ("mazur/numpy-2.4.6-cpu/parallel: bits changed; with another image, lock",)
    assert (found.part.changes.bits, found.broken) == (1, 1)


def test_other_bits_are_measured_where_the_accepted_record_is_still_there(builder):
    old, new = builder.record((0.5, 0.25)), builder.record((0.5, 0.25 + 2**-54))
    found = since(builder, [old], [new], earlier={old.cell.id: old})
    assert found.lines == (
        (
            "mazur/numpy-2.4.6-cpu/parallel: bits changed, metrics rounding (first at step 2; at most 5.55e-17, 1 ULP "
            "of float64; judged by torch.testing.assert_close); from the same environment"
        ),
    )


def test_a_record_that_was_made_again_under_the_same_key_is_not_taken_for_the_accepted_one(builder):
    old, new = builder.record((0.5, 0.25)), builder.record((0.5, 0.3))
    (line,) = since(builder, [old], [new], earlier={old.cell.id: new}).lines
    assert line == "mazur/numpy-2.4.6-cpu/parallel: bits changed; from the same environment"


def test_other_weights_are_other_bits_though_the_losses_are_the_same(builder):
    old, new = builder.record(weights=1.0), builder.record(weights=2.0)
    (line,) = since(builder, [old], [new], earlier={old.cell.id: old}).lines
    assert line == "mazur/numpy-2.4.6-cpu/parallel: bits changed, metrics identical; from the same environment"


def test_another_outcome_is_told_with_its_reason(builder):
    old, new = builder.record(), builder.record(outcome=Outcome.TIMED_OUT, reason="longer than 60 s")
    found = since(builder, [old], [new])
    assert found.lines == ("mazur/numpy-2.4.6-cpu/parallel: ok when accepted, now timed out (longer than 60 s)",)
    assert found.broken


def test_a_cell_without_a_record_changed_its_outcome(builder):
    old = builder.record()
    found = since(builder, [old], [], missing=(old.cell.id,))
    assert (found.lines, found.broken) == (("mazur/numpy-2.4.6-cpu/parallel: ok when accepted, now missing",), 1)


def test_another_environment_that_kept_the_bits_is_told_and_breaks_nothing(builder):
    old = [builder.record(variant=name) for name in ("a", "b")]
    found = since(builder, old, [made(each, base_digest="sha256:new") for each in old])
    assert found.lines == ("numpy-2.4.6-cpu: another base; 2 cells kept every bit",)
    assert (found.part.changes.identities, found.broken) == (2, 0)


def test_another_cpu_class_is_said_since_bits_may_differ_for_that(builder):
    old = builder.record()
    found = since(builder, [old], [made(old, cpu_class="sve")])
    (line,) = found.lines
    assert line.startswith("1 cell ran on another CPU class than accepted (avx2 fma; now sve)")
    assert not found.broken
    assert (
        "with another CPU class" in since(builder, [old], [made(builder.record((1.0, 2.0)), cpu_class="sve")]).lines[1]
    )


def test_cells_that_only_one_run_has_are_named_and_break_nothing(builder):
    old, new = builder.record(variant="old"), builder.record(variant="new")
    found = since(builder, [old], [new])
    assert found.lines == (
        "1 cell new since the accepted run: mazur/numpy-2.4.6-cpu/new",
        "1 cell of the accepted run not asked for any more: mazur/numpy-2.4.6-cpu/old",
    )
    assert (found.part.changes.new, found.gone, found.broken) == (1, 1, 0)


def test_the_order_of_repeats_that_differ_is_no_change(builder):
    one, two = (0.5, 0.25), (0.5, 0.3)
    before, now = builder.record(one, repeats=(two,)), builder.record(two, repeats=(one,))
    assert not since(builder, [before], [now]).broken


def test_many_changes_are_bounded_on_the_first_screen_and_all_are_sentences(builder):
    before = [builder.record(variant=f"v{number}") for number in range(60)]
    now = [builder.record((1.0, 2.0), variant=f"v{number}") for number in range(60)]
    found = since(builder, before, now)
    assert (len(found.lines), found.lines[-1]) == (21, "40 more in report.json")
    assert len(found.sentences) == 61


def test_all_pages_tell_it(rich):
    view = rich.view
    schema = json.loads(resources.schema("report").read_text("utf-8"))
    jsonschema.validate(json.loads(json_text(view)), schema, cls=jsonschema.Draft202012Validator)
    assert view.sections["changes"].sentences[0].text in markdown(view).replace("\\", "")
    page = " ".join(html(view).split())
    for line in view.sections["changes"].lines:
        assert line in page
