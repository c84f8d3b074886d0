"""The report as JUnit XML: every cell, published column and change is a test case, and any text is safe in it."""

import xml.etree.ElementTree as ET
from dataclasses import replace

import pytest

from repromatrix.report.junit import junit
from repromatrix.results.record import Outcome
from tests.report.reports import build

# The elements and attributes that CI systems read (Jenkins' junit-10.xsd), those of ours among them.
ALLOWED = {
    "testsuites": ({"name", "tests", "failures", "errors", "skipped"}, {"testsuite"}),
    "testsuite": ({"name", "tests", "failures", "errors", "skipped"}, {"testcase"}),
    "testcase": ({"classname", "name"}, {"failure", "error", "skipped"}),
    "failure": ({"type", "message"}, set()),
    "error": ({"type", "message"}, set()),
    "skipped": ({"message"}, set()),
}
SHOWN = "\\ud800\"'<&>]]><!--\\x00 \\x1b[31m\\ufffe \N{SNOWMAN}"
HOSTILE = "\"'<&>]]><!--\x00\x0b\x1b[31m\ufffe\n\t\N{SNOWMAN}"


def parsed(view):
    return ET.fromstring(junit(view).encode())  # noqa: S314 - our own


def answers(suite):
    return {each.get("name"): each[0].tag if len(each) else "passed" for each in suite}


def check_form(element):
    attributes, children = ALLOWED[element.tag]
    assert set(element.keys()) <= attributes
    assert {each.tag for each in element} <= children
    if element.tag in {"testsuites", "testsuite"}:
        cases = list(element.iter("testcase"))
        counts = {"failures": "failure", "errors": "error", "skipped": "skipped"}
        assert int(element.get("tests")) == len(cases)
        for name, tag in counts.items():
            assert int(element.get(name)) == sum(len(each) == 1 and each[0].tag == tag for each in cases)
    for each in element:
        check_form(each)


def test_it_has_the_form_that_ci_systems_read(rich):
    check_form(parsed(rich.view))


def test_each_cell_is_a_case_and_its_outcome_the_answer(rich):
    cells = answers(parsed(rich.view)[0])
    assert cells["mazur/numpy-2.4.6-cpu/a"] == "passed"
    assert cells["mazur/numpy-2.4.6-cpu/broken"] == "error"
    assert cells["mazur/numpy-2.4.6-cpu/gpu"] == "skipped"
    assert cells["mazur/numpy-2.4.6-cpu/odd"] == "failure"
    assert cells["mazur/not/there"] == "error"
    assert set(cells) == {each.id for each in rich.view.sections["cells"].rows} | {"mazur/not/there"}


@pytest.mark.parametrize(
    ("outcome", "answer"),
    [(Outcome.FAILED, "error"), (Outcome.TIMED_OUT, "error"), (Outcome.SKIPPED, "skipped"),
     (Outcome.UNAVAILABLE, "skipped")],
)  # fmt: skip
def test_a_cell_without_a_result_tells_its_reason_and_its_log(builder, outcome, answer):
    record = builder.record(outcome=outcome, reason="why")
    (suite,) = parsed(build(builder.manifest([record], tables=()), [record], ()))
    (found,) = suite[0]
    assert (found.tag, found.get("message")) == (answer, f"{outcome.value.replace('_', ' ')}: why")
    assert found.text.endswith("log: logs/numpy-2.4.6-cpu/default.log")


def test_each_published_column_is_a_case(builder):
    data = builder.table()
    data["losses"]["Keras"][9] = "0.2288087309"
    data["final_predictions"]["TensorFlow"]["prediction"][0] = "0.1"
    records = [each for each in builder.run() if each.cell.framework != "jax"]
    view = build(builder.manifest(records, tables=[builder.published(data)]), records, ())
    suite = parsed(view)[1]
    found = answers(suite)
    assert found["losses of Keras in tensorflow-2.21.0-cpu"] == "failure"
    assert found["losses of JAX Auto"] == "skipped"
    assert found["losses of PyTorch Auto in torch-2.13.0-cpu"] == "passed"
    assert found["final prediction of TensorFlow in tensorflow-2.21.0-cpu"] == "failure"
    assert sum(name.startswith("losses of") for name in found) == len(data["losses"])
    (case,) = [each for each in suite if each.get("name") == "losses of Keras in tensorflow-2.21.0-cpu"]
    assert case[0].text == "iteration 10: 0.2288087309 printed, 0.2288087308 computed"


def test_changes_of_bits_and_outcomes_fail_and_others_do_not(rich):
    found = answers(parsed(rich.view)[2])
    failed = {name.partition("/")[0] for name, answer in found.items() if answer == "failure"}
    assert failed == {"bits-change", "outcome-change"}
    assert {name.partition("/")[0] for name in found} >= {"identity-change", "no-baseline", "membership"}
    assert {name.partition("/")[0] for name, answer in found.items() if answer == "skipped"} == {"no-baseline"}
    gone = {name for name, answer in found.items() if answer == "error"}
    assert gone == {"membership/gone/mazur/numpy-2.4.6-cpu/gone"}


def test_hostile_text_is_escaped_and_what_xml_cannot_hold_is_shown_by_its_escape(builder):
    words = {"id": f"mazur/{HOSTILE}/x", "environment": HOSTILE}
    record = replace(builder.record(outcome=Outcome.FAILED, reason=f"\ud800{HOSTILE}", **words), log=HOSTILE)
    view = build(replace(builder.manifest([record], tables=()), profile=HOSTILE), [record], (HOSTILE,))
    root = parsed(view)
    check_form(root)
    assert root[0][0][0].get("message") == f"failed: {SHOWN}"


def test_the_same_records_give_the_same_bytes(rich):
    assert junit(rich.view) == junit(rich.view)
