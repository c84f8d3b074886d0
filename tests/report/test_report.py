"""From records to the three files: what they say, and that they say the same again."""

import json
from dataclasses import replace

import jsonschema
import pytest

from repromatrix import resources
from repromatrix.errors import ResultsError
from repromatrix.report.render import MARKDOWN_BYTES, html, json_text, markdown, write
from repromatrix.results import document as documents
from repromatrix.results.record import Outcome, decode, encode
from tests.report.reports import build


@pytest.fixture(scope="module")
def schemas():
    return {name: json.loads(resources.schema(name).read_text("utf-8")) for name in ("record", "report")}


@pytest.fixture
def view(builder):
    records = builder.run()
    return build(builder.manifest(records), records, ())


def lost(found, outcome=Outcome.FAILED, reason="why"):
    return replace(found, outcome=outcome, reason=reason, log="logs/x/default.log", trajectories=())


def test_the_report_says_what_was_reproduced(view):
    document = json.loads(json_text(view))
    losses, predictions = document["published"]["losses"], document["published"]["predictions"]
    assert (losses["total"], losses["reproduced"], losses["mismatches"]) == (102, 102, [])
    assert (predictions["total"], predictions["reproduced"], predictions["mismatches"]) == (10, 10, [])
    assert [each["kind"] for each in document["published"]["contradictions"]] == ["error", "error", "convention"]
    assert "102 of 102</b> published losses</a> reproduced to the last printed digit" in html(view)
    assert "102 of 102 published losses and 10 of 10 final predictions" in markdown(view)


def test_a_mismatch_is_in_all_three_files(builder):
    data = builder.table()
    data["losses"]["Keras"][9] = "0.2288087309"
    records = builder.run()
    view = build(builder.manifest(records, tables=[builder.published(data)]), records, ())
    mismatch = json.loads(json_text(view))["published"]["losses"]["mismatches"]
    assert [(each["column"], each["iteration"], each["environment"]) for each in mismatch] == [
        ("Keras", 10, "tensorflow-2.21.0-cpu")
    ]
    assert "0.228808730<mark>8</mark>" in html(view)
    assert "| Keras | tensorflow-2.21.0-cpu | 10 | 0.2288087309 | 0.2288087308 |" in markdown(view)


def test_per_framework_version(view):
    rows = json.loads(json_text(view))["published"]["losses"]["by_environment"]
    assert [(each["environment"], each["newest"], each["reproduced"], each["total"]) for each in rows] == [
        ("numpy-2.4.6-cpu", True, 22, 22),
        ("numpy-1.26.4-cpu", False, 22, 22),
        ("torch-2.13.0-cpu", True, 30, 30),
        ("tensorflow-2.21.0-cpu", True, 20, 20),
        ("tensorflow-2.9.1-cpu", False, 20, 20),
        ("jax-0.10.2-cpu", True, 30, 30),
    ]


def test_the_json_follows_its_schema(builder, schemas, view):
    jsonschema.validate(json.loads(json_text(view)), schemas["report"])
    records = [lost(builder.run()[0]), *builder.run()[1:], builder.record((0.5,), repeats=((float("nan"),),), id="odd")]
    manifest = builder.manifest(records, left_out=[("mazur/left/out", "not on this Python")])
    document = json.loads(json_text(build(manifest, records, ("mazur/gone/x",))))
    jsonschema.validate(document, schemas["report"])
    assert document["missing"] == ["mazur/gone/x"]
    assert document["left_out"] == [{"id": "mazur/left/out", "reason": "not on this Python"}]


def test_records_follow_their_schema(builder, schemas):
    for record in (*builder.run(), lost(builder.record()), builder.record((float("-inf"), -0.0, 5e-324))):
        jsonschema.validate(json.loads(encode(record)), schemas["record"])


def test_numbers_of_a_failed_cell_are_no_record_to_its_schema_and_to_its_reader(builder, schemas):
    document = json.loads(encode(lost(builder.record())))
    ran = json.loads(encode(builder.record()))
    for damage in ({"trajectories": ran["trajectories"]}, {"reason": None}, {"extra": 1}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate({**document, **damage}, schemas["record"])
        with pytest.raises(ResultsError, match="not a readable record"):
            decode(documents.write({**document, **damage}), "x")
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(ran | {"trajectories": []}, schemas["record"])


@pytest.mark.parametrize("outcome", [each for each in Outcome if each is not Outcome.OK])
def test_a_cell_that_did_not_run_is_never_a_number(builder, outcome):
    records = [lost(each, outcome) if each.cell.variant == "parallel" else each for each in builder.run()]
    view = build(builder.manifest(records), records, ())
    document = json.loads(json_text(view))
    cells = [each for each in document["cells"] if each["variant"] == "parallel"]
    assert {(each["outcome"], len(each["losses"]), len(each["predictions"]), each["class"]) for each in cells} == {
        (outcome.value, 0, 0, None)
    }
    losses = document["published"]["losses"]
    assert (losses["reproduced"], losses["mismatches"]) == (92, [])
    assert losses["not_computed"] == [{"column": "NumPy Parallel", "losses": 10, "reason": f"{outcome.value}: why"}]
    assert "92 of 102 published losses" in " ".join(html(view).split())
    assert "logs/x/default.log" in html(view)
    assert [each["verdict"] for each in document["pairs"] if each["a"].endswith("/parallel")] == ["missing"]


def test_a_prediction_that_was_not_computed_is_not_called_wrong(builder, schemas):
    kept = [each for each in builder.run() if each.cell.framework != "jax"]
    records = [lost(each) if each.cell.variant == "parallel" else each for each in kept]
    view = build(builder.manifest(records), records, ())
    document = json.loads(json_text(view))
    jsonschema.validate(document, schemas["report"])
    found = document["published"]["predictions"]
    absent = {each["column"]: each["reason"] for each in found["not_computed"]}
    assert absent.pop("NumPy Parallel") == "failed: why"
    assert set(absent.values()) == {"no record of jax in this run"}
    assert found["mismatches"] == []
    assert found["total"] == found["reproduced"] + len(found["not_computed"])
    assert view.sections["published"].tables[0].totals.predictions_not_computed == len(found["not_computed"])
    row = next(line for line in markdown(view).splitlines() if line.startswith("| NumPy Parallel | 0"))
    assert row.rstrip().endswith("| not computed |")
    assert "| JAX Auto | no record of jax in this run |" in markdown(view)
    page = " ".join(html(view).split())
    assert '<td class="none">not computed</td><td class="dim">published</td>' in page
    assert "JAX Auto (no record of jax in this run)" in page


def test_cells_without_a_record_are_counted_and_named(builder):
    records = builder.run()
    view = build(builder.manifest(records), records[1:], (records[0].cell.id,))
    assert ("missing", 1) in view.sections["overview"].summary.outcomes.items()
    assert view.sections["overview"].summary.health == "bad"
    assert records[0].cell.id in html(view)
    assert "missing" in markdown(view)


def test_repeats_that_differ_are_kept_and_told(builder):
    records = [*builder.run(), builder.record((0.5, 0.25), repeats=((0.5, 0.125),), id="mazur/numpy-2.4.6-cpu/odd")]
    view = build(builder.manifest(records), records, ())
    cell = json.loads(json_text(view))["cells"][-1]
    assert cell["deterministic"] is False
    assert [cell["losses"], *cell["other_losses"]] == [[(0.5).hex(), (0.25).hex()], [(0.5).hex(), (0.125).hex()]]
    assert view.sections["overview"].summary.not_deterministic == 1
    assert "0.125" in html(view)


def test_nothing_ran_at_all(builder):
    records = [lost(each, Outcome.SKIPPED, "no NVIDIA device") for each in builder.run()]
    view = build(builder.manifest(records), records, ())
    assert (
        view.sections["published"].tables[0].totals.reproduced,
        view.sections["overview"].summary.health,
        view.sections["classes"].rows,
    ) == (0, "note", ())
    assert "0 of 102" in " ".join(html(view).split())


def test_without_a_published_table_there_is_a_report_all_the_same(builder, schemas):
    records = [builder.record()]
    view = build(builder.manifest(records, tables=()), records, ())
    document = json.loads(json_text(view))
    jsonschema.validate(document, schemas["report"])
    assert document["published"] is None
    assert "1 cell ran in 1 environment" in " ".join(html(view).split())
    assert "1 cell in 1 environment" in markdown(view)


def test_a_second_published_table_has_its_own_sections(builder, schemas):
    records = builder.run()
    other = replace(builder.published(), workload="other")
    view = build(builder.manifest(records, tables=[builder.published(), other]), records, ())
    document = json.loads(json_text(view))
    jsonschema.validate(document, schemas["report"])
    assert [each["losses"]["reproduced"] for each in document["other_published"]] == [0]
    assert 'id="p2-losses"' in html(view)


def test_the_same_records_give_the_same_bytes(builder, tmp_path):
    def backwards(each):
        return replace(each, fingerprint=dict(reversed(each.fingerprint.items())))

    first, second = builder.run(), tuple(map(backwards, builder.run()))
    for records, folder in ((first, "a"), (second, "b")):
        write(build(builder.manifest(records), records, ()), tmp_path / folder)
    names = ["index.html", "report.json", "report.md"]
    assert sorted(each.name for each in (tmp_path / "a").iterdir()) == names
    assert [(tmp_path / "a" / name).read_bytes() for name in names] == [
        (tmp_path / "b" / name).read_bytes() for name in names
    ]


def test_the_job_summary_is_bounded_and_says_where_it_was_cut(builder):
    records = [
        builder.record(outcome=Outcome.FAILED, reason="x" * 5000, id=f"mazur/{'e' * 500}/{number}")
        for number in range(300)
    ]
    data = builder.table()
    data["losses"] |= {f"Column {number} {'y' * 300}": ["0.1"] for number in range(300)}
    view = build(builder.manifest(records, tables=[builder.published(data)]), records, ())
    text = markdown(view)
    assert len(text.encode()) <= MARKDOWN_BYTES
    assert "240 more in index.html" in text
    published = view.sections["published"]
    many = replace(view, sections={**view.sections, "published": replace(published, briefs=published.briefs * 400)})
    assert len(markdown(many).encode()) <= MARKDOWN_BYTES
    assert "Cut here: the whole report is in index.html" in markdown(many)


def test_a_selection_reports_the_rest_as_not_computed_and_not_as_wrong(builder):
    records = [each for each in builder.run() if each.cell.framework == "torch"]
    view = build(builder.manifest(records), records, ())
    table = view.sections["published"].tables[0].totals
    assert (table.reproduced, table.differing, table.not_computed, table.predictions_differing) == (30, 0, 72, 0)
    assert 'class="tile bad"' not in html(view)


def test_what_is_not_pinned_is_called_so_wherever_it_stands(builder, schemas):
    found = [
        replace(
            each,
            cell=replace(each.cell, environment="torch-2.13.0-here", id=f"mazur/torch-2.13.0-here/{each.cell.variant}"),
            provenance=replace(each.provenance, engine="here", base_kind="here", lock_digest=None),
            fingerprint={"packages": {"torch": "2.13.0+cpu", "numpy": "2.4.6"}},
        )
        for each in builder.run()
        if each.cell.framework == "torch"
    ]
    records = [*builder.run(), *found]
    view = build(builder.manifest(records), records, ())
    document = json.loads(json_text(view))
    jsonschema.validate(document, schemas["report"], cls=jsonschema.Draft202012Validator)
    assert document["summary"]["not_pinned"] == ["torch-2.13.0-here"]
    assert {each["environment"] for each in document["cells"] if not each["pinned"]} == {"torch-2.13.0-here"}
    assert {each["environment"] for each in document["environments"] if not each["pinned"]} == {"torch-2.13.0-here"}
    page, text = " ".join(html(view).split()), markdown(view)
    assert 'mazur/torch-2.13.0-here/auto <span class="tag">not pinned</span></th>' in page
    assert 'torch-2.13.0-here <span class="tag">not pinned</span></th>' in page
    assert "Not pinned: torch-2.13.0-here." in page
    assert "torch-2.13.0-here, not pinned" in page
    assert "&#34;torch&#34;: &#34;2.13.0+cpu&#34;" in page
    assert "| torch-2.13.0-here, not pinned | 30 of 30 |  |" in text
    assert "not pinned, taken as found with no lock: torch-2.13.0-here" in text
    plain = builder.run()
    assert "ot pinned" not in html(build(builder.manifest(plain), plain, ()))


def test_a_difference_to_what_is_not_pinned_carries_that_as_its_caveat(builder):
    older, newer = (
        replace(each, provenance=replace(each.provenance, lock_digest=None))
        for each in (builder.record(version="1.0"), builder.record(version="2.0"))
    )
    view = build(builder.manifest([older, newer]), [older, newer], ())
    assert [each.notes for each in view.sections["versions"].unchanged] == [
        "not pinned: other packages than the framework may differ as well"
    ]
