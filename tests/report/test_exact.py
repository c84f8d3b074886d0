"""The operations beside their exact results in the three files of a report."""

import json

import jsonschema
import pytest

from repromatrix import resources
from repromatrix.operations.overview import Kind, Result, word
from repromatrix.operations.results import Errors
from repromatrix.report.evidence import Evidence
from repromatrix.report.render import html, json_text, markdown
from repromatrix.report.verify.check import verify
from tests.report.reports import build


def given(name, largest=0.5, dtype="float32", wrong=0, **more):
    errors = Errors(largest=largest, mean=0.25, wrong=wrong, judged=9)
    return Result(name=name, kind=Kind.GIVEN, dtype=dtype, shape=(9,), digest=("d",), errors=errors, **more)


OLD = {
    "exp": given("exp", 1.5),
    "fft": given("fft", 3.0, "complex128"),
    "draw": Result(name="draw", kind=Kind.GIVEN, dtype="float32", digest=("a",)),
    "erf": Result(name="erf", kind=Kind.ABSENT, reason="not in this framework"),
}
NEW = {
    "exp": given("exp", 0.5),
    "fft": given("fft", 2.0, "complex64"),
    "draw": Result(name="draw", kind=Kind.GIVEN, dtype="float32", digest=("b",)),
    "erf": Result(name="erf", kind=Kind.BROKEN, reason="ValueError: <no>"),
    "sqrt": given("sqrt", float("inf"), wrong=2),
}


@pytest.fixture(scope="module")
def run(builder):
    records = [builder.record((0.5, 0.25), variant=name, dtype="float32") for name in "ab"]
    return records, builder.manifest(records, tables=()), tuple(zip(records, (OLD, NEW), strict=True))


@pytest.fixture(scope="module")
def view(run):
    records, manifest, computed = run
    return build(manifest, records, (), computed=computed)


def test_the_page_has_a_row_for_each_operation_coloured_by_its_distance(view):
    page = html(view)
    assert '<section id="exact"' in page
    (row,) = (line for line in page.splitlines() if '<th scope="row" class="pin name">exp</th>' in line)
    assert '<td class="n u2" title="float32[9], mean 0.25 ULP, 0 of 9 wrong">1.5</td>' in row
    assert '<td class="n u0" title="float32[9], mean 0.25 ULP, 0 of 9 wrong">0.5</td>' in row
    assert ">2 complex64</td>" in page
    assert '<td class="n wrong"' in page
    assert 'title="ValueError: &lt;no&gt;">broken</td>' in page


def test_the_document_follows_its_schema_and_verify_finds_nothing(run, view):
    records, manifest, computed = run
    document = json.loads(json_text(view))
    schema = json.loads(resources.schema("report").read_text("utf-8"))
    jsonschema.validate(document, schema, cls=jsonschema.Draft202012Validator)
    told = {each["name"]: each for each in document["computed"][1]["operations"]}
    assert (told["sqrt"]["largest"], told["sqrt"]["wrong"], told["erf"]["kind"]) == ("inf", 2, "broken")
    evidence = Evidence(manifest=manifest, records=tuple(records), computed=computed)
    assert verify(document, evidence) == ()


def test_a_table_of_operations_is_in_no_class_of_losses_and_in_no_line_of_versions(builder, run):
    tables, _, computed = run
    job = builder.record((0.5, 0.25), variant="job")
    view = build(builder.manifest([*tables, job], tables=()), [*tables, job], (), computed=computed)
    assert [each.cells for each in view.of_kind("class_of")] == [(job.cell.id,)]
    assert len(json.loads(json_text(view))["cells"]) == 3


def test_the_summary_has_the_table_too(view):
    assert "Operations in float32" in markdown(view)


def test_without_such_cells_there_is_no_section(builder):
    records = builder.run()
    view = build(builder.manifest(records), records)
    assert 'id="exact"' not in html(view)
    assert json.loads(json_text(view))["computed"] == []


@pytest.mark.parametrize(
    ("result", "first", "said"),
    [
        (None, OLD["exp"], "-"),
        (OLD["erf"], None, "absent"),
        (OLD["draw"], None, "given"),
        (OLD["draw"], OLD["draw"], "same"),
        (NEW["draw"], OLD["draw"], "differs"),
        (NEW["fft"], OLD["fft"], "2 complex64"),
        (NEW["sqrt"], None, "wrong inf"),
        (given("exp", stable=False), OLD["exp"], "unstable"),
    ],
)
def test_the_word_of_a_result(result, first, said):
    assert word(result, first) == said
