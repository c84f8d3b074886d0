"""Two cells with the same losses and another metric that differs: nothing calls them identical."""

import json

import pytest

from tests import fakes as say

OLD, NEW = "tiny/numpy-1.0-cpu/parallel", "tiny/numpy-2.0-cpu/parallel"
ALL = ("--select", "*/parallel", "--jobs", "1")


def answer(by: float):
    """Answer with one loss, and with another accuracy in the new version."""

    def answered(cells, _number):
        told = {each["id"]: [[(by if "numpy-2.0" in each["id"] else 0.5).hex()]] * each["steps"] for each in cells}
        return [say.ok(each, told={"accuracy": told[each["id"]]}) for each in cells], say.CLEAN

    return answered


@pytest.fixture
def ran(command):
    """A run of cells that are judged by two metrics."""
    path = command.folder / "tiny" / "workload.yaml"
    path.write_text(path.read_text().replace("metrics: [loss]", "metrics: [loss, accuracy]"))
    command.engine.answer = answer(0.75)
    assert command("run", *ALL).code == 0
    return command


def test_compare_shows_the_metric_that_differs_and_fails(ran) -> None:
    said = ran("compare", OLD, NEW)
    assert said.code == 1
    assert "in accuracy" in said.out
    (pair,) = json.loads(ran("compare", OLD, NEW, "--format", "json").out)["pairs"]
    assert (pair["verdict"], pair["first_difference"], pair["reason"]) == ("divergent", 1, "in accuracy")


def test_impact_calls_it_a_change(ran) -> None:
    said = ran("impact", "numpy==1.0", "numpy==2.0", *ALL)
    assert said.code == 1
    assert said.out.startswith("results differ, look at these: 1 of 1 training job,")
    assert "in accuracy" in said.out


def test_explain_finds_a_difference_and_its_cause(ran) -> None:
    said = ran("explain", OLD, NEW, "--json", "--no-operations", "--jobs", "1")
    document = json.loads(said.out)
    assert document["before"]["verdict"] == "divergent"
    assert [row["factors"] for row in document["rows"]] == [["version"]]


def test_the_report_has_two_classes_and_two_labels_and_holds(ran) -> None:
    ran("explain", "--no-operations", "--jobs", "1")
    assert ran("report").code == 0
    report = json.loads((ran.folder / "report" / "report.json").read_text())
    said = {each["kind"]: each for each in report["sentences"]}
    cells = {each["id"]: each for each in report["cells"]}
    assert cells[OLD]["losses"] == cells[NEW]["losses"]
    assert cells[OLD]["class"] != cells[NEW]["class"]
    assert cells[OLD]["metrics"]["accuracy"] == [(0.5).hex()] * 2
    change = said["version_change"]["values"]
    assert (change["verdict"], change["reason"]) == ("divergent", "in accuracy")
    assert [label for _, label, _ in said["version_line"]["values"]["stops"]] == ["A", "B"]
    assert said["upgrade_totals"]["values"]["same_losses"] == 0
    said = ran("verify", "report")
    assert (said.code, "all hold" in said.err) == (0, True), said.err


def test_another_metric_than_the_accepted_one_is_told(ran) -> None:
    assert ran("accept").code == 0
    for path in (ran.folder / "results" / "records").rglob("*.json"):
        path.rename(path.with_suffix(".old"))
    ran.engine.answer = answer(0.625)
    assert ran("run", *ALL).code == 0
    said = ran("report", "--require-accepted")
    assert said.code == 1
    assert f"changed    {NEW}: bits changed" in said.err
    assert f"changed    {OLD}" not in said.err


def test_a_report_that_calls_them_identical_does_not_hold(ran) -> None:
    ran("report")
    file = ran.folder / "report" / "report.json"
    document = json.loads(file.read_text())
    (change,) = [each for each in document["sentences"] if each["kind"] == "version_change"]
    change["values"]["verdict"] = "identical"
    file.write_text(json.dumps(document, sort_keys=True, indent=1, ensure_ascii=False) + "\n")
    said = ran("verify", "report/report.json")
    assert said.code == 1
    assert "the records say:  verdict: divergent" in said.err
