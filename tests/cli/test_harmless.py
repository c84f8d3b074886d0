"""The hostile corpus in everything that a run, its report, a comparison and an error print."""

import ast
import json
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from repromatrix import harmless, resources
from repromatrix.cli import main
from repromatrix.cli.story import Story
from tests import fakes as say
from tests import hostile

PLOT = (resources.folder("templates") / "vendor" / "plot.umd.min.js").read_text()  # has some of them in texts
FAILING = "tiny/numpy-2.0-cpu/parallel"


def _failing(reason: str):
    """Answer as one cell that fails for that reason among others that do not."""

    def answer(cells: list[say.Asked], _number: int) -> say.Answer:
        told = [say.ended(cell, "failed", reason) if cell["id"] == FAILING else say.ok(cell) for cell in cells]
        return [say.fingerprint(), *told, say.end(cells)], say.CLEAN

    return answer


@pytest.mark.parametrize("reason", [*hostile.CORPUS.values(), hostile.EVERYTHING], ids=[*hostile.CORPUS, "everything"])
def test_the_reason_of_a_cell_is_harmless_wherever_it_is_printed(command, reason: str) -> None:
    command("run", "--results", "before")
    command("accept", "--results", "before")
    command.engine.answer = _failing(reason)
    ran = command("run", "-v")
    hostile.assert_still_in_a_log(ran.err)
    (line,) = [line for line in ran.err.splitlines() if line.startswith(f"failed     {FAILING}: ")]
    assert harmless.line(f": {reason}") in line
    said = command("report", "--junit", "junit.xml")
    hostile.assert_still_in_a_log(said.err)
    assert f"changed    {FAILING}" in said.err
    for name in ("index.html", "report.json", "report.md"):
        hostile.assert_still((command.folder / "report" / name).read_text().replace(PLOT, ""))
    hostile.assert_still_in_markdown((command.folder / "report" / "report.md").read_text())
    found = json.loads((command.folder / "report" / "report.json").read_text())
    assert [each["reason"] for each in found["cells"] if each["id"] == FAILING] == [reason]
    test = (command.folder / "junit.xml").read_text()
    hostile.assert_still(test)
    (case,) = ET.fromstring(test).iterfind(f".//testcase[@name='{FAILING}']/error")  # noqa: S314 - our own
    assert case.text.startswith(harmless.xml(f"failed: {reason}"))
    hostile.assert_still_in_a_log(test)
    for form in ("text", "md", "json", "junit"):
        told = command("compare", FAILING, "tiny/numpy-1.0-cpu/parallel", "--format", form, "--allow", "missing")
        hostile.assert_still(told.out)
        assert not told.err
        if form != "md":
            hostile.assert_still_in_a_log(told.out)
        if form == "md":
            hostile.assert_still_in_markdown(told.out)


@pytest.mark.parametrize("name", hostile.CORPUS.values(), ids=hostile.CORPUS)
def test_a_name_in_somebodys_file_is_harmless_in_every_form_of_a_comparison(command, name: str) -> None:
    name = name.replace("error", "eror")  # a word that would make it a metric: one log is not compared with itself
    (command.folder / "runs.json").write_text(json.dumps({name: [0.5], "b": [0.25]}))
    told = {form: command("compare", "runs.json", "--format", form) for form in ("text", "md", "json", "junit")}
    hostile.assert_still_in_a_log(told["text"].out)
    hostile.assert_still_in_markdown(told["md"].out)
    hostile.assert_still(told["json"].out)
    hostile.assert_still(told["junit"].out)
    assert name in json.loads(told["json"].out)["pairs"][0]["a"]
    for form in ("json", "junit"):
        hostile.assert_still_in_a_log(told[form].out)
    shown = harmless.xml(f"runs.json::{name}")
    assert shown in " ".join(ET.fromstring(told["junit"].out).find(".//testcase").attrib.values())  # noqa: S314 - our own


@pytest.mark.parametrize("text", hostile.CORPUS.values(), ids=hostile.CORPUS)
def test_a_message_is_harmless(command, text: str) -> None:
    hostile.assert_still_in_a_log(command("compare", text).err)
    hostile.assert_still_in_a_log(command(text).err)
    (command.folder / "planned.json").write_text(json.dumps({"cells": [{"id": text}]}))
    command("run", "--results", "one")
    merged = command("merge", "one", "--expect", "planned.json")
    assert merged.code == 2
    hostile.assert_still_in_a_log(merged.err)


def test_the_traceback_of_a_defect_is_harmless(command, monkeypatch) -> None:
    def broken(_: object) -> int:
        raise ZeroDivisionError(hostile.EVERYTHING)

    monkeypatch.setattr("repromatrix.cli.schema.run", broken)
    said = command("schema", "record")
    assert said.code == 70
    assert "ZeroDivisionError" in said.err
    hostile.assert_still_in_a_log(said.err)


def test_the_story_of_a_run_steers_no_terminal_and_no_line_ends_in_it(capsys) -> None:
    Story(quiet=False, verbose=False).say("failed     a\x1b[2Jb\nc")
    assert capsys.readouterr().err == "failed     a\\x1b[2Jb\\nc\n"


def _prints(path: Path) -> bool:
    calls = [node.func for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
    return any(
        getattr(call, "id", "") == "print" or ast.unparse(call) in {"sys.stdout.write", "sys.stderr.write"}
        for call in calls
    )


def test_no_command_prints_in_another_way() -> None:
    places = [path.stem for path in Path(main.__file__).parent.glob("*.py") if _prints(path)]
    assert set(places) <= {"out", "impact"}  # whose names of cells are checked where the matrix is read
