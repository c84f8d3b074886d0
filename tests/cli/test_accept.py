"""`accept` writes what a run gave; `report` then says what changed, and refuses it where that is demanded."""

import json
import subprocess
import xml.etree.ElementTree as ET
from dataclasses import replace

import jsonschema
import msgspec
import pytest

from repromatrix import resources
from repromatrix.execute import host
from repromatrix.results.accepted import read, write
from repromatrix.results.record import Outcome
from repromatrix.results.store import Store
from tests import fakes as say

PARALLEL = "tiny/numpy-2.0-cpu/parallel"


@pytest.fixture
def accepted(command):
    """A run that was accepted."""
    assert command("run").code == 0
    assert command("accept").code == 0
    return command


def rerun(command, loss):
    """Run all cells again with other losses, as another release of the framework might give them."""
    for each in (command.folder / "results" / "records").rglob("*.json"):
        each.unlink()
    command.engine.answer = lambda cells, _: say.everything_ok(cells, loss)
    return command("run")


def test_the_file_is_small_canonical_and_follows_its_schema(accepted):
    file = accepted.folder / "accepted.json"
    first = file.read_bytes()
    document = json.loads(first)
    jsonschema.validate(document, json.loads(resources.schema("accepted").read_text("utf-8")))
    assert PARALLEL in document["cells"]
    assert "~" not in first.decode()
    said = accepted("accept", "--json")
    assert file.read_bytes() == first
    assert json.loads(said.out)["cells"] == len(document["cells"])


def test_nothing_changed_is_said_and_is_0_where_it_is_demanded(accepted):
    said = accepted("report", "--require-accepted")
    assert said.code == 0
    assert "nothing changed" in said.err


def test_other_bits_are_told_and_1_only_where_that_is_demanded(accepted):
    rerun(accepted, 0.75)
    free = accepted("report")
    assert free.code == 0
    assert f"changed    {PARALLEL}: bits changed" in free.err
    assert accepted("report", "--require-accepted").code == 1
    assert "bits changed" in (accepted.folder / "report" / "report.md").read_text()


def test_a_cell_that_is_gone_is_1_where_the_accepted_run_is_demanded(accepted):
    assert accepted("run", "--select", PARALLEL).code == 0
    free = accepted("report")
    assert free.code == 0
    assert "not asked for any more" in free.err
    assert accepted("report", "--require-accepted").code == 1


def test_a_demand_that_has_nothing_to_compare_is_an_error_that_says_so(accepted):
    file = accepted.folder / "accepted.json"
    known = read(file)
    cells = {f"other/{name}": each for name, each in known.cells.items()}
    write(msgspec.structs.replace(known, cells=cells), file)
    assert accepted("report").code == 0
    said = accepted("report", "--require-accepted")
    assert said.code == 2
    assert "no cell of this run is in the accepted one: nothing was compared" in said.err
    assert "next: run the same profile, or accept this run: repromatrix accept" in said.err


def test_a_demand_without_an_accepted_run_says_how_to_get_one(command):
    command("run")
    said = command("report", "--require-accepted")
    assert said.code == 2
    assert "next: accept one: repromatrix accept" in said.err


def test_a_file_that_was_named_must_be_there(command):
    command("run")
    said = command("report", "--accepted", "gone.json")
    assert said.code == 2
    assert "gone.json: no accepted run is there" in said.err
    assert not (command.folder / "report").exists()


@pytest.mark.parametrize("damage", ["", "[]", "{", '{"format": 2}', '{"format": "2"}'])
def test_a_damaged_file_is_named_with_the_next_step(command, damage):
    command("run")
    (command.folder / "accepted.json").write_text(damage)
    said = command("report")
    assert said.code == 2
    assert said.err.startswith("repromatrix: accepted.json: not an accepted run")
    assert "next: bring it back from version control" in said.err


DAMAGES = {
    "bits that are no digest": ('"bits": "', '"bits": "zz'),
    "another value": ('"0x1.0000000000000p-1"', '"0x1.0000000000001p-1"'),
    "a field that nobody knows": ('"history": [', '"more": 1,\n "history": ['),
    "another class": ('"x86', '"y86'),
    "no time": ('"when": "', '"when": "at '),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_a_file_that_was_changed_by_hand_is_refused(accepted, name):
    file = accepted.folder / "accepted.json"
    old, new = DAMAGES[name]
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new, 1))
    said = accepted("report")
    assert said.code == 2
    assert "accepted.json: not an accepted run" in said.err


CONTRADICTIONS = {
    "numbers of a failed cell": ({"outcome": Outcome.FAILED}, "the outcome 'failed' with the bits"),
    "an identity that is not there": ({"identity": "ff" * 8}, "no identity ffff"),
    "fewer steps": ({"steps": 1}, "has"),
    "metrics that are none": ({"metrics": ()}, "the outcome 'ok' with the bits"),
}


@pytest.mark.parametrize("name", CONTRADICTIONS)
def test_what_contradicts_itself_is_refused_though_its_digest_is_right(accepted, name):
    file = accepted.folder / "accepted.json"
    changes, what = CONTRADICTIONS[name]
    known = read(file)
    ((place, cell),) = known.cells[PARALLEL].items()
    cells = {**known.cells, PARALLEL: {place: msgspec.structs.replace(cell, **changes)}}
    write(msgspec.structs.replace(known, cells=cells), file)
    said = accepted("report")
    assert said.code == 2
    assert f"not an accepted run ({PARALLEL}: " in said.err
    assert what in said.err


@pytest.mark.parametrize("number", [1, 3])
def test_a_file_of_another_format_is_refused_with_the_way_out(command, number):
    command("run")
    (command.folder / "accepted.json").write_text(f'{{"format": {number}}}')
    said = command("report")
    assert said.code == 2
    assert "this release reads format 2" in said.err


def test_a_run_that_is_not_whole_is_not_accepted(command):
    command("run")
    next((command.folder / "results" / "records" / PARALLEL).iterdir()).unlink()
    said = command("accept")
    assert said.code == 2
    assert f"the first is {PARALLEL}" in said.err
    assert not (command.folder / "accepted.json").exists()


def test_a_failed_cell_is_accepted_aloud(command):
    command.engine.answer = lambda cells, _: say.everything_ok(cells[:0])
    command("run")
    said = command("accept")
    assert said.code == 0
    assert f"warning    {PARALLEL} is accepted as failed" in said.err


def test_a_change_of_what_was_accepted_needs_its_cause_which_the_history_keeps(accepted):
    rerun(accepted, 0.75)
    file = accepted.folder / "accepted.json"
    before = file.read_bytes()
    said = accepted("accept")
    assert said.code == 2
    assert "accepted.json: 6 accepted cells change: tiny/numpy-1.0-cpu/parallel on x86-64" in said.err
    assert "next: say why, it is kept: repromatrix accept --because" in said.err
    assert file.read_bytes() == before
    assert accepted("accept", "--because", "numpy 2.0.2 changes\nfloat64 exp").code == 0
    assert accepted("report", "--require-accepted").code == 0
    first, last = json.loads(accepted("accept", "--history", "--json").out)
    assert (first["because"], last["because"]) == ("", "numpy 2.0.2 changes float64 exp")
    assert any(place.startswith(f"{PARALLEL} on ") for place in last["moved"])
    text = accepted("accept", "--history").out
    assert text.index("because: numpy 2.0.2 changes float64 exp") < text.index("because: nobody had to say")
    assert accepted("accept").code == 0  # nothing changes: no cause, no entry
    assert len(json.loads(accepted("accept", "--history", "--json").out)) == 2


def test_a_cell_that_is_gone_needs_a_cause_too(accepted):
    assert accepted("run", "--select", PARALLEL).code == 0
    assert accepted("accept").code == 2
    assert accepted("accept", "--because", "the others are no longer run").code == 0


def test_numbers_that_are_not_finite_are_not_accepted_unless_that_is_said_and_kept(command):
    command.engine.answer = lambda cells, _: say.everything_ok(cells, float("nan"))
    command("run")
    said = command("accept")
    assert said.code == 2
    assert "loss is nan at step 1" in said.err
    assert not (command.folder / "accepted.json").exists()
    assert command("accept", "--allow", "not-finite").code == 0
    assert json.loads(command("accept", "--history", "--json").out)[0]["allowed"] == ["not-finite"]


def test_repeats_that_differ_are_not_accepted(command):
    losses = iter([0.5, 0.75] * 100)
    command.engine.answer = lambda cells, _: say.everything_ok(cells, next(losses))
    command("run")
    said = command("accept")
    assert said.code == 2
    assert "repeats gave 2 different results" in said.err
    assert command("accept", "--allow", "repeats").code == 0


def test_records_of_unequal_inputs_are_never_accepted(accepted, monkeypatch):
    read_all = Store.records

    def records(self, manifest):
        found, missing = read_all(self, manifest)
        edited = replace(found[0], cell=replace(found[0].cell, task="77" * 32))
        return (edited, *found[1:]), missing

    monkeypatch.setattr(Store, "records", records)
    said = accepted("accept", "--allow", "repeats", "--allow", "dirty")
    assert said.code == 2
    assert "records of unequal inputs: the workload" in said.err


@pytest.fixture
def git(command, monkeypatch):
    def run(*words):
        subprocess.run(["git", *words], cwd=command.folder, check=True, capture_output=True)

    for name, value in (("GIT_CONFIG_GLOBAL", "/dev/null"), ("GIT_CONFIG_NOSYSTEM", "1")):
        monkeypatch.setenv(name, value)
    run("init", "-q")
    run("config", "user.name", "A. Reviewer")
    run("config", "user.email", "nobody@example.org")
    (command.folder / ".gitignore").write_text("cache/\n")
    run("add", ".")
    run("commit", "-q", "-m", "All")
    return run


def test_a_dirty_checkout_is_refused_or_kept_with_its_files(command, git):
    command("run")
    (command.folder / "matrix.yaml").write_text((command.folder / "matrix.yaml").read_text() + "# mine\n")
    said = command("accept")
    assert said.code == 2
    assert "matrix.yaml is not as in the commit" in said.err
    assert "--allow dirty" in said.err
    assert command("accept", "--allow", "dirty").code == 0
    (entry,) = json.loads(command("accept", "--history", "--json").out)
    assert (entry["who"], entry["dirty"], entry["allowed"]) == ("A. Reviewer", ["matrix.yaml"], ["dirty"])
    git("add", "matrix.yaml")
    git("commit", "-q", "-m", "More")
    assert command("accept").code == 0  # its own file and the results are no dirt


def test_another_cpu_class_alone_is_3_and_its_baseline_stands_beside_the_first(accepted, monkeypatch):
    file = accepted.folder / "accepted.json"
    (first,) = read(file).cells[PARALLEL]
    monkeypatch.setattr(host, "cpu_class", lambda: "armv8-sve")
    rerun(accepted, 0.75)
    free = accepted("report")
    assert free.code == 0
    assert f"no baseline for the CPU class armv8-sve, only for {first}" in free.err
    said = accepted("report", "--require-accepted", "--junit", "junit.xml")
    assert said.code == 3
    assert "next: accept one on this machine, beside the others: repromatrix accept" in said.err
    suites = ET.fromstring((accepted.folder / "junit.xml").read_text())  # noqa: S314 - our own
    assert (suites.get("failures"), suites.get("errors")) == ("0", "0")
    assert accepted("accept").code == 0
    assert {*read(file).cells[PARALLEL]} == {first, "armv8-sve"}
    assert accepted("report", "--require-accepted").code == 0


def test_cells_that_vanished_are_errors_in_junit_as_they_are_1(accepted):
    assert accepted("run", "--select", PARALLEL).code == 0
    said = accepted("report", "--require-accepted", "--junit", "junit.xml")
    assert said.code == 1
    suites = ET.fromstring((accepted.folder / "junit.xml").read_text())  # noqa: S314 - our own
    gone = len(read(accepted.folder / "accepted.json").cells) - 1
    assert int(suites.get("errors")) == gone > 0


def test_the_junit_file_is_written_where_it_was_asked_for(accepted):
    said = accepted("report", "--junit", "out/report.xml", "--json")
    assert said.code == 0
    assert (accepted.folder / "out" / "report.xml").read_text().startswith("<?xml")
    assert "out/report.xml" in json.loads(said.out)["files"]
