"""What the three files have of why cells differ."""

import json
import re
from dataclasses import replace

import jsonschema
import pytest

from repromatrix import resources
from repromatrix.report import page
from repromatrix.report.render import MARKDOWN_BYTES, html, json_text, markdown
from repromatrix.report.sections.explanations import ALONE, FactorRow, factor_text
from repromatrix.results.experiments import Experiments
from tests.report import tried
from tests.report.reports import build


@pytest.fixture(scope="module")
def view(rich):
    return rich.view


def texts(view, kind):
    return [each.text for each in view.of_kind(kind)]


@pytest.fixture
def told(builder):
    """The report of one pair of classes and what was tried on it: a factor, with or without a changed_cell's losses."""

    def build_view(attempts, *, factors=(("update", "parallel", "sequential"),), conditions=(), of=("classes",)):
        a, b = builder.record((0.5, 0.25), variant="a"), builder.record((0.5, 0.125), variant="b")
        found = tried.pair(a, b, of, factors, attempts(a, b), conditions)
        ends = [end.run for each in (*found.flips, *found.conditions) for end in (each.a, each.b) if end.run]
        made = {end.key: build_view.changed_cells[end.key] for end in ends if end.key in build_view.changed_cells}
        records = {each.key: each for each in (a, b)} | made
        manifest = builder.manifest([a, b], tables=())
        return build(manifest, [a, b], (), experiments=Experiments(pairs=(found,)), tried=records)

    build_view.changed_cells = {}
    return build_view


def test_report_json_with_experiments_follows_its_schema_and_names_every_pair(view):
    document = json.loads(json_text(view))
    schema = json.loads(resources.schema("report").read_text("utf-8"))
    jsonschema.validate(document, schema, cls=jsonschema.Draft202012Validator)
    assert [(each["names"], each["explained"], each["cause"]) for each in document["explanations"]] == [
        (["C2", "C5"], False, "unexplained"),
        (["C8", "C11"], True, "update"),
        (["PyTorch Auto", "JAX Auto"], True, "framework + api"),
        (["C5", "mazur/torch-2.13.0-cpu/auto.asked"], True, "condition fma=off"),
    ]


def test_a_pair_is_explained_by_the_smallest_set_and_what_is_refuted_stands_beside_it(view):
    (said,) = [each for each in texts(view, "explained") if "JAX" in each or "jax" in each]
    assert said == (
        "mazur/torch-2.13.0-cpu/auto and mazur/jax-0.10.2-cpu/grad (C5 and C7 of mazur) differ by up to "
        "2.98e-8 (1 ULP of float32, from step 2), rounding: the cause is framework + api, which changed together "
        "leaves the same bits at A's end (not tested at B's end). Not tested without the rest: framework, "
        "api; refuted: compile; not testable: framework, api"
    )


def test_a_condition_that_neither_cell_has_is_no_factor_and_is_said_so(view):
    said = texts(view, "explained")
    assert "no factor that could be tested explains it. It vanishes under a condition that neither cell has" in said[2]
    assert "and comes from what that changes: fma=off leaves no more than rounding" in said[2]
    assert "It also vanishes under a condition that neither cell has: strict leaves the same bits" in said[0]


def test_what_is_unexplained_is_said_with_what_was_tried_and_that_the_budget_is_spent(view):
    (said,) = texts(view, "unexplained")
    assert said.endswith(
        "unexplained by all that was tried; inconclusive: dtype; refuted: layout; not testable: framework. "
        "The budget of 8 cells ran out"
    )


def test_one_total_counts_all_pairs_and_what_was_not_looked_at(view):
    (said,) = texts(view, "explanation_totals")
    assert said == (
        "For 3 of 4 pairs an experiment shows the cause. 1 is unexplained, because the budget of experiments ran out. "
        "1 more has the same bits. Of 17 classes only the pairs that tell the most were looked at. "
        "1 pair of an earlier run is left out."
    )
    assert said in html(view)
    first = html(view).split('<div class="bar">')[0]
    assert re.findall(r"\d+ of \d+ pairs?", first) == ["3 of 4 pairs"]


def test_a_refuted_factor_is_counted_as_plainly_as_a_cause(view):
    assert "We changed only compile in 2 pairs: the difference did not shrink" in texts(view, "factor_totals")
    (row,) = [each for each in view.sections["explanations"].factors if each.name == "compile"]
    assert (row.pairs, row.counts) == (2, (0, 0, 0, 0, 0, 2, 0))
    assert "refuted: compile" in html(view)


def test_every_page_has_the_totals_and_the_pairs_that_nothing_explains(view):
    shown, brief = html(view), markdown(view).replace("\\", "")
    for kind in ("explanation_totals", "cause_totals", "factor_totals"):
        for said in texts(view, kind):
            assert said.replace("'", "&#39;") in shown
            assert said in brief
    assert "unexplained by all that was tried" in brief
    assert set(texts(view, "unexplained")) <= {each.text for each in view.sentences if each.shown}


def test_without_experiments_the_pages_say_what_to_type_and_name_no_cause(builder):
    records = builder.run()
    found = build(builder.manifest(records), records, ())
    assert not {"explanation_totals", "explained", "factor_verdict"} & {each.kind for each in found.sentences}
    assert "<code>repromatrix explain</code>" in html(found)
    assert "repromatrix explain" in markdown(found)
    assert json.loads(json_text(found))["explanations"] == []
    assert page.data(found)["experiments"] == {"texts": [], "pairs": []}


def test_the_page_has_the_experiments_for_each_row_of_its_table(view):
    found = page.data(view)["experiments"]
    texts_, pairs = found["texts"], found["pairs"]
    assert [texts_[a] for a, _, _ in pairs] == [each.a_cell for each in view.sections["explanations"].pairs]
    rows = [[texts_[each] for each in row] for row in pairs[1][2]]
    assert rows[0] == [
        "update", "parallel", "sequential", "cause", "identical, 100% explained",
        "not tested (the matrix has no environment of that kind)",
    ]  # fmt: skip
    assert rows[2][:4] == ["condition strict", "NPY_DISABLE_CPU_FEATURES=AVX2", "", "cause"]
    assert len(rows[2]) == len(rows[0]) + 1


def test_an_end_that_is_left_makes_no_cause(builder, told):
    def attempts(a, b):
        made = tried.changed_cell(builder, a, "update-sequential", like=b)
        told.changed_cells[made.key] = made
        return ((("update",), tried.ran(made), tried.LEFT),)

    view = told(attempts)
    (said,) = texts(view, "unexplained")
    assert "contributes: update" in said


def test_a_share_that_is_not_quite_all_is_not_called_all_of_it(builder, told):
    def attempts(a, _b):
        made = tried.changed_cell(builder, a, "update-sequential", losses={2: 0.1251})
        told.changed_cells[made.key] = made
        return ((("update",), tried.ran(made), tried.NONE),)

    view = told(attempts)
    (said,) = view.of_kind("factor_verdict")
    assert ">99% explained" in said.text
    assert said.values["a"]["share"] == ((0.125 - (0.1251 - 0.125)) / 0.125).hex()


def test_hostile_text_in_an_experiment_stays_text(told):
    bad = "</script><img src=x onerror=alert(1)>|`*_\n# x"
    view = told(lambda _a, _b: (((bad,), replace(tried.NONE, reason=bad), tried.NONE),), factors=((bad, bad, bad),))
    assert "<img" not in html(view)
    assert "\n# x" not in markdown(view)


def test_hundreds_of_pairs_leave_the_summary_bounded_and_say_what_is_cut(builder):
    records = [builder.record([0.5, 0.25 + number * 2.0**-40], id=f"mazur/x/{number}") for number in range(40)]
    pairs = tuple(
        tried.pair(a, b, ("classes",), (("update", "x", "y"),), ((("update",), tried.NONE, tried.NONE),))
        for place, a in enumerate(records)
        for b in records[:place]
    )
    known = {each.key: each for each in records}
    view = build(builder.manifest(records, tables=()), records, (), experiments=Experiments(pairs=pairs), tried=known)
    assert len(view.sections["explanations"].pairs) == 780
    assert len(markdown(view).encode()) < MARKDOWN_BYTES
    assert markdown(view).count("unexplained by all that") == 12
    assert "768 more in index.html" in markdown(view)


def test_the_same_records_and_experiments_give_the_same_bytes(rich):
    assert json_text(rich.view) == json_text(rich.view)
    assert html(rich.view) == html(rich.view)


def test_what_a_change_showed_is_told_finding_by_finding():
    row = FactorRow(name="dtype", pairs=369, counts=(175, 0, 0, 152, 12, 30, 0), together=4, condition=False)
    assert ALONE == ("cause", "not confirmed", "coincidence", "contributes", "inconclusive", "refuted", "not testable")
    assert factor_text(row) == (
        "We changed only dtype in 369 pairs: in 175 the difference vanished, in 152 it shrank, in 12 it shrank by no "
        "more than rounding, in 30 it did not shrink; together with other factors it is the cause in 4"
    )
