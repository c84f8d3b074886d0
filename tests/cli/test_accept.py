"""`accept` writes what a run gave; `report` then says what changed, and refuses it where that is demanded."""

import json

import jsonschema
import pytest

from repromatrix import resources
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
    document = json.loads(file.read_text())
    del document["sha256"]
    document["cells"] = {f"other/{name}": each for name, each in document["cells"].items()}
    file.write_text(json.dumps(document))
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


@pytest.mark.parametrize(
    "damage",
    ["", "[]", "{", '{"format": 1}', '{"format": 1, "profile": 1, "cells": {}, "identities": []}',
     ('{"format": 1, "profile": "x", "cells": {"a": {"key": "k", "outcome": "ok", "bits": null, "identity": null}}, '
     '"identities": []}'),
     ('{"format": 1, "profile": "x", "cells": {"a": {"key": "k", "outcome": "ok", "bits": "b", "identity": 3}}, '
     '"identities": []}')],
)  # fmt: skip
def test_a_damaged_file_is_named_with_the_next_step(command, damage):
    command("run")
    (command.folder / "accepted.json").write_text(damage)
    said = command("report")
    assert said.code == 2
    assert said.err.startswith("repromatrix: accepted.json: not an accepted run")
    assert "next: bring it back from version control" in said.err


def test_a_newer_release_s_file_is_refused(command):
    command("run")
    (command.folder / "accepted.json").write_text('{"format": 2}')
    said = command("report")
    assert said.code == 2
    assert "next: update repromatrix" in said.err


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


def test_a_key_that_leads_out_of_the_results_folder_is_refused(accepted):
    file = accepted.folder / "accepted.json"
    document = json.loads(file.read_text())
    del document["sha256"]
    document["cells"][PARALLEL] |= {"key": "../../x", "bits": "0" * 64}
    file.write_text(json.dumps(document))
    said = accepted("report")
    assert said.code == 2
    assert "not a place in a results folder" in said.err


def test_the_junit_file_is_written_where_it_was_asked_for(accepted):
    said = accepted("report", "--junit", "out/report.xml", "--json")
    assert said.code == 0
    assert (accepted.folder / "out" / "report.xml").read_text().startswith("<?xml")
    assert "out/report.xml" in json.loads(said.out)["files"]
