"""What the three files have of traces."""

import json
from dataclasses import replace

import jsonschema
import pytest

from repromatrix import resources
from repromatrix.report import page, wording
from repromatrix.report.render import MARKDOWN_BYTES, html, json_text, markdown
from repromatrix.report.sections import pictures
from tests.report.reports import build


@pytest.fixture(scope="module")
def view(rich):
    return rich.view


def test_report_json_with_divergences_follows_its_schema(view):
    document = json.loads(json_text(view))
    schema = json.loads(resources.schema("report").read_text("utf-8"))
    jsonschema.validate(document, schema, cls=jsonschema.Draft202012Validator)
    assert len(document["divergences"]) == len(view.of_kind("first_divergence")) > 10
    assert {each["same"] for each in document["divergences"]} == {True, False}


def test_the_rows_stand_in_the_order_of_the_classes(view):
    order = [(each.workload, each.name) for each in view.sections["classes"].rows]
    shown = [order.index((each.workload, each.classes.split(" · ")[-1])) for each in view.sections["divergences"].rows]
    assert shown == sorted(shown)
    assert len(shown) == len(view.of_kind("first_divergence"))


def test_the_page_has_every_sentence_about_traces_and_the_summary_the_first_ones(view):
    shown = json.loads(json_text(view))["sentences"]
    told = {"first_divergence", "tracing_changes", "untraced_tensors", "without_trace"}
    on_page = {each.text for each in view.sentences if each.shown}
    assert {each["text"] for each in shown if each["kind"] in told} <= on_page
    (found,) = view.sections["divergences"].briefs
    assert (len(found.lines), found.left_out) == (12, sum(each["kind"] in {*told, "traced"} for each in shown) - 12)
    assert f"{found.left_out} more in index.html" in markdown(view)


def test_hostile_text_in_a_trace_stays_text(builder):
    bad = "</script><img src=x onerror=alert(1)>|`*_\n# x"
    a, b = builder.record((0.5, 0.25)), builder.record((0.5, 0.125), id=f"mazur/{bad}/b")
    trace = replace(builder.trace(b, missing=("hidden",)), untraced=(("hidden", bad),))
    traces = {each.cell.id: each for each in (builder.trace(a), trace)}
    view = build(builder.manifest([a, b], tables=(), traces=traces.values()), [a, b], (), traces=traces)
    assert "<img" not in html(view)
    assert "\n# x" not in markdown(view)


def test_the_page_embeds_the_weights_of_representatives_only_and_not_beyond_a_bound(builder, monkeypatch):
    records = [builder.record([0.5, 0.25], id=f"mazur/x/{number}") for number in range(3)]
    records += [builder.record([0.5, 0.125], id="mazur/x/other", weights=2.0)]
    traces = {each.cell.id: builder.trace(each) for each in records}
    view = build(builder.manifest(records, tables=(), traces=traces.values()), records, (), traces=traces)
    found = page.data(view)["traced"]
    assert [(each["class"], each["cell"], each["weights"]) for each in found["cells"]] == [
        ("C1", 0, [[1.0, 1.0], [1.0, 1.0]]),
        ("C2", 3, [[2.0, 2.0], [2.0, 2.0]]),
    ]
    assert found["left_out"] == 0
    monkeypatch.setattr(pictures, "MOST_TRACED", 5)
    view = build(builder.manifest(records, tables=(), traces=traces.values()), records, (), traces=traces)
    found = page.data(view)["traced"]
    assert ([each["class"] for each in found["cells"]], found["left_out"]) == (["C1"], 1)


def test_a_run_with_hundreds_of_divergences_has_a_bounded_summary(builder):
    records = [builder.record([0.5, 0.25 + number * 2.0**-40], id=f"mazur/x/{number}") for number in range(300)]
    traces = {each.cell.id: builder.trace(each) for each in records}
    view = build(builder.manifest(records, tables=(), traces=traces.values()), records, (), traces=traces)
    assert len(view.of_kind("first_divergence")) == 299
    assert len(markdown(view).encode()) < MARKDOWN_BYTES
    assert markdown(view).count("first differ at step") == 11


def test_a_trace_of_a_cell_that_the_report_does_not_have_says_nothing(builder):
    record = builder.record()
    view = build(builder.manifest([record], tables=()), [record], (), traces={"mazur/x/y": builder.trace(record)})
    assert not {"traced", "first_divergence"} & {each.kind for each in view.sentences}


def test_options_that_were_really_used_are_compared_and_silence_is_no_other_value(builder):
    used = (("activation", "exp"), ("update", "parallel"))
    plain = builder.run()

    def between(records):
        found = build(builder.manifest(records), records, ()).sections["columns"].tables[0]
        listed = (*found.cross_method, *found.larger, *found.exact, *found.same_digits)
        return {factor for each in listed for factor in each.factors.split("; ") if factor != wording.NOTHING}

    stated = [
        replace(each, cell=replace(each.cell, options=() if number % 2 else each.cell.options))
        for number, each in enumerate(plain)
    ]
    assert any(each.endswith("/ -") or ": - /" in each for each in between(stated))
    assert between([replace(each, factors=used) for each in stated]) == set()
    other = [replace(each, factors=used[:1] + each.cell.options) for each in plain]
    assert between(other) == {"update: parallel / sequential", "update: sequential / parallel"}
