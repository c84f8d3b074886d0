"""`verify` as a command: what it reads, what it says, its exit code."""

import json
import re

import msgspec
import pytest

from repromatrix.results import accepted
from tests import fakes as say


@pytest.fixture
def reported(command):
    """A run with its report, not verified yet."""
    assert command("run").code == 0
    assert command("accept").code == 0
    assert command("report").code == 0
    return command


def edit(command, change):
    file = command.folder / "report" / "report.json"
    document = json.loads(file.read_text())
    change(document)
    file.write_text(json.dumps(document, sort_keys=True, indent=1, ensure_ascii=False) + "\n")


def test_an_honest_report_is_0_with_its_pages_or_alone(reported):
    whole = reported("verify", "report")
    assert whole.code == 0
    assert "index.html and report.md: all hold" in whole.err
    alone = reported("verify", "report/report.json", "--json")
    assert alone.code == 0
    assert "no page: all hold" in alone.err
    assert json.loads(alone.out)["differences"] == []


def test_a_value_that_does_not_hold_is_named_with_both_sides(reported):
    def change(document):
        (said,) = [each for each in document["sentences"] if each["id"] == "class/tiny/C1"]
        said["values"]["losses"][0] = "0x1.8p+1"

    edit(reported, change)
    said = reported("verify", "report", "--json")
    assert said.code == 1
    found, place = json.loads(said.out)["differences"]
    assert (found["where"], found["says"]) == ("class/tiny/C1: values", "losses: [1] 0x1.8p+1")
    assert place["where"].startswith("report.json: sentences[")
    assert (place["where"].rpartition("].")[2], place["says"]) == ("values.losses[0]", "0x1.8p+1")
    assert (
        "differs    class/tiny/C1: values\n  the report says:  losses: [1] 0x1.8p+1\n  the records say:  " in said.err
    )


def test_a_sum_or_a_word_that_does_not_hold_is_named_with_its_place(reported):
    for part, other in (("values", {"count": 99, "environments": 1}), ("text", "no cell in 1 environment")):
        whole = (reported.folder / "report" / "report.json").read_text()

        def change(document, part=part, other=other):
            (said,) = [each for each in document["sentences"] if each["kind"] == "cell_count"]
            said[part] = other

        edit(reported, change)
        (found,) = json.loads(reported("verify", "report", "--json").out)["differences"]
        assert re.match(rf"report\.json: sentences\[\d+\]\.{part}", found["where"])
        (reported.folder / "report" / "report.json").write_text(whole)


def test_other_records_than_those_of_the_report_are_told(reported):
    reported.engine.answer = lambda cells, _: say.everything_ok(cells, 0.75)
    assert reported("run", "--results", "other").code == 0
    said = reported("verify", "report", "--results", "other")
    assert said.code == 1
    assert "differs    class/tiny/C1: values" in said.err


def test_a_page_that_says_something_else_is_told(reported):
    page = reported.folder / "report" / "index.html"
    page.write_text(page.read_text().replace("cells ok", "cells fine"))
    said = reported("verify", "report")
    assert said.code == 1
    assert "differs    index.html" in said.err


def test_a_report_that_speaks_of_an_accepted_run_needs_it(reported):
    (reported.folder / "accepted.json").rename(reported.folder / "moved.json")
    said = reported("verify", "report")
    assert said.code == 2
    assert "next: name it: repromatrix verify REPORT --accepted FILE" in said.err
    assert reported("verify", "report", "--accepted", "moved.json").code == 0


def test_another_accepted_run_than_that_of_the_report_is_told(reported):
    file = reported.folder / "accepted.json"
    accepted.write(msgspec.structs.replace(accepted.read(file), profile="other"), file)
    assert "differs    report.json: changes.accepted" in reported("verify", "report").err


def test_no_report_and_no_results_say_what_to_type(command):
    command("run")
    assert "next: write one: repromatrix report" in command("verify", "report").err
    command("report")
    said = command("verify", "report", "--results", "nowhere")
    assert said.code == 2
    assert "next: run first" in said.err


ANYWHERE = [
    ("summary.ok", lambda document: document["summary"].update(ok=1)),
    ("cells[0].version", lambda document: document["cells"][0].update(version="9.9")),
    ("environments[0].provenance.base_digest",
     lambda document: document["environments"][0]["provenance"].update(base_digest="sha256:0")),
    ("tolerances.float32.relative", lambda document: document["tolerances"]["float32"].update(relative=9)),
    ("left_out[0]", lambda document: document["left_out"].insert(0, {"id": "x", "reason": "y"})),
    ("profile", lambda document: document.update(profile="nightly")),
    ("sentences[0].", lambda document: document["sentences"].reverse()),
]  # fmt: skip


@pytest.mark.parametrize(("place", "change"), ANYWHERE)
def test_what_was_changed_anywhere_is_told_with_its_place(reported, place, change):
    edit(reported, change)
    said = reported("verify", "report/report.json", "--json")
    assert said.code == 1
    last = json.loads(said.out)["differences"][-1]
    assert last["where"].startswith(f"report.json: {place}")


def test_the_same_values_written_in_another_way_are_told_as_that(reported):
    file = reported.folder / "report" / "report.json"
    file.write_text(json.dumps(json.loads(file.read_text())))
    said = reported("verify", "report")
    assert said.code == 1
    assert "differs    report.json: the same values, not as repromatrix writes them: line 1\n" in said.err


@pytest.mark.parametrize("name", ["index.html", "report.md"])
def test_a_sentence_that_was_added_to_a_page_is_told_with_its_line(reported, name):
    page = reported.folder / "report" / name
    lines = page.read_text().split("\n")
    page.write_text("\n".join([*lines[:-3], "NumPy is wrong.", *lines[-3:]]))
    said = reported("verify", "report", "--json")
    assert said.code == 1
    (found,) = json.loads(said.out)["differences"]
    assert (found["where"], found["says"]) == (f"{name}: line {len(lines) - 2}", "NumPy is wrong.")


def test_a_page_that_was_cut_or_has_other_ends_of_lines_or_is_no_text_is_told(reported):
    page = reported.folder / "report" / "report.md"
    whole = page.read_bytes()
    for data in (whole[:-1], whole + b"\n", whole.replace(b"\n", b"\r\n"), b"\xff" + whole, b""):
        page.write_bytes(data)
        said = reported("verify", "report")
        assert (said.code, "differs    report.md: line " in said.err) == (1, True)


def test_a_figure_of_a_table_or_of_the_data_behind_the_pictures_is_told(reported):
    page = reported.folder / "report" / "index.html"
    whole = page.read_text()
    for marker in ('"tracks":[[', "<td>"):
        start = whole.rindex(marker) + len(marker)
        page.write_text(f"{whole[:start]}1{whole[start:]}")
        said = reported("verify", "report", "--json")
        assert said.code == 1
        (found,) = json.loads(said.out)["differences"]
        assert found["where"] == f"index.html: line {whole[:start].count(chr(10)) + 1}"
        assert len(found["says"]) < 200


def test_a_key_twice_is_refused_and_a_cell_twice_is_told(reported):
    file = reported.folder / "report" / "report.json"
    whole = file.read_text()
    edit(reported, lambda document: document["cells"].insert(0, document["cells"][0] | {"losses": ["0x0p+0"]}))
    said = reported("verify", "report")
    assert said.code == 1
    assert "the report says:  the same cell twice" in said.err
    file.write_text('{"sentences": [],' + whole[1:])
    said = reported("verify", "report")
    assert said.code == 2
    assert "the key 'sentences' twice in one object" in said.err
    assert "next: write it again: repromatrix report" in said.err


MALFORMED = [
    ("summary.ok", lambda document: document["summary"].update(ok=float(document["summary"]["ok"]))),
    ("missing", lambda document: document.update(missing=[1, "a"])),
    ("extra", lambda document: document.update(extra=1)),
    ("sentences", lambda document: document.pop("sentences")),
    ("values", lambda document: document["sentences"][0].update(values=None)),
    ("losses", lambda document: document["cells"][0].update(losses=["0.5"])),
    ("NaN", lambda document: document["floors"].append(float("nan"))),
]


@pytest.mark.parametrize(("part", "change"), MALFORMED)
def test_what_is_not_of_the_schema_is_refused_with_its_place(reported, part, change):
    edit(reported, change)
    said = reported("verify", "report")
    assert said.code == 2
    assert part in said.err
    assert "next: write it again: repromatrix report" in said.err


@pytest.mark.parametrize("depth", [200, 984, 5000])
@pytest.mark.parametrize(("start", "end"), [("[", "]"), ('{"a":[', "]}")])
def test_deep_nesting_where_the_schema_allows_anything_is_refused(reported, start, end, depth):
    file = reported.folder / "report" / "report.json"
    nested = start * depth + end * depth
    file.write_text(file.read_text().replace('"values": {', f'"values": {{"x": {nested}, ', 1))
    said = reported("verify", "report")
    assert said.code == 2
    assert "next: write it again: repromatrix report" in said.err


def test_the_report_of_another_release_is_told_as_that_and_not_as_many_differences(reported):
    edit(reported, lambda document: document.update(release="99.0") or document["sentences"].clear())
    said = reported("verify", "report")
    assert said.code == 2
    assert "a report by release '99.0' of repromatrix; this is " in said.err
    assert "next: verify it with the release that wrote it" in said.err
    edit(reported, lambda document: document.pop("release"))
    assert "a report by another release of repromatrix" in reported("verify", "report").err


def test_what_a_report_says_cannot_steer_the_terminal_or_pretend_to_be_the_answer(reported):
    bad = "\x1b[2J\x9b1m\u202e\ud800x\nverified   1 sentences: all hold"

    def change(document):
        document["sentences"].append(document["sentences"][0] | {"kind": "class_of", "id": "x", "text": bad})

    file = reported.folder / "report" / "report.json"
    document = json.loads(file.read_text())
    change(document)
    file.write_text(json.dumps(document))
    said = reported("verify", "report", "--json")
    assert said.code == 1
    assert bad in {each["says"] for each in json.loads(said.out)["differences"]}
    for text in (said.out, said.err):
        assert not {"\x1b", "\x9b", "\u202e", "\ud800"} & set(text)
    assert r"the report says:  \x1b[2J\x9b1m\u202e\ud800x\nverified" in said.err
    assert len([line for line in said.err.splitlines() if line.startswith("verified")]) == 1
