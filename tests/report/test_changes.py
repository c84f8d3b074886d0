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


def since(builder, before, now, missing=()):
    accepted = accept(builder.manifest(before, tables=()), before)
    return build(builder.manifest(now, tables=()), now, missing, accepted).sections["changes"]


def test_the_same_run_again_changed_nothing(builder):
    records = builder.run()
    found = since(builder, records, records)
    assert (found.lines, found.broken) == ((), 0)
    assert found.sentences[0].text.endswith("nothing changed")


def test_other_bits_are_told_with_what_moved_how_far_and_what_differs_in_the_environment(builder):
    old = builder.record((0.5, 0.25))
    found = since(builder, [old], [made(builder.record((0.5, 0.3)), image_digest="sha256:1", lock_digest="2")])
    assert found.lines == (
        (
            "mazur/numpy-2.4.6-cpu/parallel: bits changed, metrics divergent (first at step 2; at most 5.00e-2, "
            "900,719,925,474,099 ULP of float64; judged by torch.testing.assert_close); with another image, lock"
        ),
    )
    assert (found.part.changes.bits, found.broken) == (1, 1)


def test_a_variable_that_was_added_to_the_settings_is_named_from_the_baseline_alone(builder):
    old = builder.record((0.5, 0.25), weights=1.0)
    new = builder.record((0.5, 0.25 + 2**-54), weights=2.0)
    fingerprint = {**new.fingerprint, "variables": {"OPENBLAS_CORETYPE": "Haswell"}, "threads": {"blas": 2}}
    found = since(builder, [old], [replace(new, fingerprint=fingerprint)])
    assert found.lines == (
        (
            "mazur/numpy-2.4.6-cpu/parallel: bits changed, metrics rounding (first at step 2; at most 5.55e-17, 1 ULP "
            "of float64; judged by torch.testing.assert_close); state hidden_weights, output_weights; "
            "settings.threads.blas was 1, now 2; settings.variables.OPENBLAS_CORETYPE was not set, now Haswell"
        ),
    )
    values = found.sentences[1].values
    assert values["told"]["settings.variables.OPENBLAS_CORETYPE"] == [None, "Haswell"]
    assert values["state"] == ["hidden_weights", "output_weights"]


def test_many_packages_that_moved_are_counted_and_all_of_them_values(builder):
    old, new = builder.record((0.5, 0.25)), builder.record((0.5, 0.3))
    packages = {f"package-{number}": "1.0" for number in range(9)}
    found = since(builder, [old], [replace(new, fingerprint={**new.fingerprint, "packages": packages})])
    assert found.lines[0].endswith("packages.package-3 was not set, now 1.0; 5 more in report.json")
    assert len(found.sentences[1].values["told"]) == 10


def test_an_edited_workload_is_not_taken_for_a_difference_of_its_numbers(builder):
    old, new = builder.record((0.5, 0.25)), builder.record((0.5, 0.3), task="77" * 32)
    (line,) = since(builder, [old], [new]).lines
    assert "metrics incomparable (the workload mazur was edited between the two" in line


def test_other_weights_are_other_bits_though_the_losses_are_the_same(builder):
    old, new = builder.record(weights=1.0), builder.record(weights=2.0)
    (line,) = since(builder, [old], [new]).lines
    assert line == (
        "mazur/numpy-2.4.6-cpu/parallel: bits changed, metrics identical; state hidden_weights, output_weights; from "
        "the same environment"
    )


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


def test_a_baseline_of_another_cpu_class_is_said_and_no_number_is_held_against_it(builder):
    old = builder.record()
    found = since(builder, [old], [made(builder.record((1.0, 2.0)), cpu_class="sve")])
    assert found.lines == (
        (
            "1 cell has no baseline for the CPU class sve, only for avx2 fma: not compared; accept one on this "
            "machine: repromatrix accept"
        ),
    )
    assert (found.broken, found.compared, found.elsewhere) == (0, 0, 1)


def test_each_cpu_class_is_held_against_its_own_baseline(builder):
    here = builder.record((0.5, 0.25))
    there = made(builder.record((0.5, 0.3)), cpu_class="sve")
    manifest = builder.manifest([here], tables=())
    accepted = accept(manifest, [there], accept(manifest, [here]))
    assert accepted.cells[here.cell.id].keys() == {"avx2 fma", "sve"}
    for record, broken in ((here, 0), (there, 0), (made(there, cpu_class="avx2 fma"), 1)):
        assert build(manifest, [record], (), accepted).sections["changes"].broken == broken


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
