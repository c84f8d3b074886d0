"""`matrix` with nothing changed: no report is made again, nothing is explained again, and the same is said.

Whatever the report or the explanations are made of, a change of it is noticed.
"""

import json
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from repromatrix import resources
from repromatrix.cli import explain
from repromatrix.report import produce as reports
from repromatrix.report.gist import Gist
from repromatrix.results.accepted import read as read_accepted
from repromatrix.results.accepted import write as write_accepted
from repromatrix.results.stamps import Stamps
from tests import fakes as say

PUBLISHED = """\
published:
  data: published.json
  columns:
    NumPy: {framework: numpy, variant: parallel}
    Other: {framework: numpy, variant: parallel-other}
"""
NEW = "tiny/numpy-2.0-cpu/parallel"
ALL = ("matrix", "--select", "*/parallel*", "--jobs", "1")
PLAIN = (*ALL, "--no-explain")


def by_loss(cells, _number):
    """Answer with a loss by dtype, another one under the cap, and another one for a sequential update."""
    middle = [say.ok(cell, loss(cell)) for cell in cells]
    return [say.fingerprint(), *middle, say.end(cells)], say.CLEAN


def loss(cell) -> float:
    capped, sequential = "avx2" in cell["id"].partition("+")[2], cell["options"]["update"] == "sequential"
    return {"float64": 0.5, "float32": 0.75}[cell["dtype"]] + 0.125 * capped + 0.0625 * sequential


class Made:
    """What was made since it was last asked: reports, and searches for explanations."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._names: list[str] = []
        for module, name in ((reports, "produce"), (explain, "everything")):
            self._watch(monkeypatch, module, name)

    def since(self) -> list[str]:
        names, self._names = self._names, []
        return names

    def _watch(self, monkeypatch: pytest.MonkeyPatch, module, name: str) -> None:
        real = getattr(module, name)

        def watched(*arguments):
            self._names.append(name)
            return real(*arguments)

        monkeypatch.setattr(module, name, watched)


def publish(command) -> None:
    """Add a variant, and publish it beside the first one, so that there are operations to replay."""
    path = command.folder / "tiny" / "workload.yaml"
    text, old = path.read_text(), "    unrolled:"
    assert text.count(old) == 1
    other = "    parallel-other: {dtypes: [float64], options: {update: sequential}}\n"
    path.write_text(text.replace(old, f"{other}{old}") + PUBLISHED)
    (path.parent / "published.json").write_text(
        json.dumps({"losses": {"NumPy": ["0.5", "0.5"], "Other": ["0.5625", "0.5"]}})
    )


@pytest.fixture
def made(monkeypatch) -> Made:
    return Made(monkeypatch)


@pytest.fixture
def ran(command, made):
    """A matrix of four classes, with a report, without explanations."""
    publish(command)
    command.engine.answer = by_loss
    assert command(*PLAIN).code == 0
    assert made.since() == ["produce"]
    return command


@pytest.fixture
def explained(command, made):
    """The same, explained."""
    publish(command)
    command.engine.answer = by_loss
    assert command(*ALL).code == 0
    made.since()
    return command


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def lines(text: str) -> list[str]:
    """Return what was said of the report and of the explanations, without what was done for it."""
    said = ("missing", "verdicts", "published", "accepted", "changed", "left out", "outdated")
    return [line for line in text.splitlines() if line.startswith(said)]


# The report.


def test_a_report_of_the_same_is_not_made_again_and_says_the_same(ran, made) -> None:
    before = contents(ran.folder / "report")
    first, second = ran("report"), ran(*PLAIN)
    assert made.since() == ["produce"]  # by `report` alone, which always does
    assert contents(ran.folder / "report") == before
    assert lines(second.err) == lines(first.err) != []
    assert "unchanged  report/index.html, report/report.md, report/report.json\n" in second.err


def remove_page(command) -> None:
    (command.folder / "report" / "index.html").unlink()


def alter_page(command) -> None:
    with (command.folder / "report" / "report.md").open("a") as stream:
        stream.write("No bit ever changes.\n")


def alter_document(command) -> None:
    path = command.folder / "report" / "report.json"
    path.write_text(path.read_text().replace('"release"', '"Release"'))


@pytest.mark.parametrize("harm", [remove_page, alter_page, alter_document])
def test_a_file_that_is_gone_or_altered_is_written_again(ran, made, harm) -> None:
    before = contents(ran.folder / "report")
    harm(ran)
    assert "wrote" in ran(*PLAIN).err
    assert made.since() == ["produce"]
    assert contents(ran.folder / "report") == before


def accept(command) -> None:
    assert command("accept").code == 0


def explain_pair(command) -> None:
    command("explain", f"{NEW}-float32", NEW, "--no-operations")


@pytest.mark.parametrize("change", [accept, explain_pair])
def test_what_a_report_is_made_of_makes_another_one(ran, made, change) -> None:
    change(ran)
    ran(*PLAIN)
    assert made.since() == ["produce"]
    ran(*PLAIN)
    assert made.since() == []


def test_a_record_with_other_bytes_makes_another_report(ran, made) -> None:
    path = next((ran.folder / "results" / "records" / NEW).iterdir())
    whole = path.read_bytes()
    path.write_bytes(whole + b"\n")  # not as it was written: its cell runs again
    ran(*PLAIN)
    assert path.read_bytes() == whole
    assert made.since() == []
    path.unlink()
    ran.engine.answer = lambda cells, _: say.everything_ok(cells, 0.25)
    ran(*PLAIN)
    assert path.read_bytes() != whole
    assert made.since() == ["produce"]


def test_other_code_makes_another_report(ran, made, monkeypatch) -> None:
    monkeypatch.setattr(resources, "product_sha256", lambda: "other code")
    ran(*PLAIN)
    assert made.since() == ["produce"]
    ran(*PLAIN)
    assert made.since() == []


def test_code_that_changes_during_a_run_leaves_no_stamp(ran, made, monkeypatch) -> None:
    changing = iter(range(100))
    monkeypatch.setattr(resources, "product_sha256", lambda: str(next(changing)))
    ran(*PLAIN)
    monkeypatch.setattr(resources, "product_sha256", lambda: "0")
    made.since()
    ran(*PLAIN)
    assert made.since() == ["produce"]


def test_results_that_change_while_a_report_is_made_leave_no_stamp(ran, made, monkeypatch) -> None:
    real = reports.produce

    def disturbed(options):
        written = real(options)
        (ran.folder / "results" / "experiments.json").write_text('{"format": 1, "pairs": []}\n')
        return written

    monkeypatch.setattr(reports, "produce", disturbed)
    (ran.folder / "report" / "index.html").unlink()
    ran(*PLAIN)
    (ran.folder / "results" / "experiments.json").unlink()
    made.since()
    ran(*PLAIN)
    assert made.since() == []  # the stamp of the first report still tells of these results
    (ran.folder / "results" / "experiments.json").write_text('{"format": 1, "pairs": []}\n')
    monkeypatch.setattr(reports, "produce", real)
    ran(*PLAIN)
    assert made.since() == ["produce"]


def test_a_junit_file_that_is_asked_for_is_written_and_kept(ran, made) -> None:
    ran(*PLAIN, "--junit", "junit.xml")
    assert made.since() == ["produce"]
    assert (ran.folder / "junit.xml").is_file()
    ran(*PLAIN, "--junit", "junit.xml")
    assert made.since() == []
    (ran.folder / "junit.xml").unlink()
    ran(*PLAIN, "--junit", "junit.xml")
    assert made.since() == ["produce"]


def test_another_place_has_a_report_of_its_own(ran, made) -> None:
    ran(*PLAIN, "--output", "other")
    assert made.since() == ["produce"]
    assert contents(ran.folder / "other") == contents(ran.folder / "report")
    ran(*PLAIN)
    ran(*PLAIN, "--output", "other")
    assert made.since() == []


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"question": 1}', "not JSON"])
def test_a_stamp_that_cannot_be_read_is_none(ran, made, content: str) -> None:
    for path in (ran.folder / "cache" / "stamps").iterdir():
        path.write_text(content)
    ran(*PLAIN)
    assert made.since() == ["produce"]


def test_a_stamp_that_says_nothing_is_none(ran, made) -> None:
    (path,) = (ran.folder / "cache" / "stamps").iterdir()
    for said in ({}, {"files": ["report/index.html"], "digests": []}, {"files": [], "digests": []}):
        path.write_text(json.dumps(json.loads(path.read_text()) | {"said": said}))
        ran(*PLAIN)
        assert made.since() == ["produce"]


def test_where_no_stamp_can_be_kept_the_report_is_made_each_time(ran, made) -> None:
    for path in (ran.folder / "cache" / "stamps").iterdir():
        path.unlink()
    (ran.folder / "cache" / "stamps").rmdir()
    (ran.folder / "cache" / "stamps").write_text("a file")
    for _ in range(2):
        assert ran(*PLAIN).code == 0
        assert made.since() == ["produce"]


def test_the_cache_decides_no_byte_of_a_report(ran) -> None:
    before = contents(ran.folder / "report")
    for path in (ran.folder / "cache" / "stamps").iterdir():
        path.unlink()
    ran(*PLAIN)
    assert contents(ran.folder / "report") == before


# What is demanded of a report that was not made again.


def test_required_published_figures_are_held_against_an_unchanged_report(ran, made) -> None:
    codes = [ran(*PLAIN, "--require-published").code for _ in range(2)]
    assert codes == [1, 1]
    assert made.since() == []


def test_required_accepted_bits_are_held_against_an_unchanged_report(ran, made) -> None:
    ran("accept")
    path = ran.folder / "accepted.json"
    accepted = read_accepted(path)
    moved = {name: msgspec.structs.replace(each, bits="0" * 64) for name, each in accepted.cells[NEW].items()}
    write_accepted(msgspec.structs.replace(accepted, cells={**accepted.cells, NEW: moved}), path)
    first, second = (ran(*PLAIN, "--require-accepted") for _ in range(2))
    assert made.since() == ["produce"]
    assert (first.code, second.code) == (1, 1)
    assert any(line.startswith(f"changed    {NEW}: bits changed") for line in lines(second.err))
    assert lines(second.err) == lines(first.err)
    path.unlink()
    assert ran(*PLAIN, "--require-accepted").code == 2


def test_an_accepted_run_of_other_cells_is_refused_each_time(ran) -> None:
    ran("run", "--select", "*/unrolled")
    ran("accept")
    for _ in range(2):
        said = ran(*PLAIN, "--require-accepted")
        assert said.code == 2
        assert "nothing was compared" in said.err


def test_json_is_the_same_for_an_unchanged_report(ran) -> None:
    first, second = (ran(*PLAIN, "--json").out for _ in range(2))
    assert first == second
    assert json.loads(first)["files"] == ["report/index.html", "report/report.md", "report/report.json"]


def test_what_is_said_of_a_report_survives_its_stamp() -> None:
    gist = Gist(missing=("a", "b"), lines=("published 1",), reproduced=True, compared=False, kept=True, elsewhere=2)
    assert Gist.of_document(json.loads(json.dumps(gist.document()))) == gist


# Explanations.


def test_what_is_explained_is_not_looked_for_again(explained, made) -> None:
    before = contents(explained.folder / "report")
    results = Stamps().question((explained.folder / "results" / "experiments.json").read_text())
    runs = len(explained.engine.runs)
    said = explained(*ALL)
    assert made.since() == []
    assert len(explained.engine.runs) == runs
    assert contents(explained.folder / "report") == before
    assert Stamps().question((explained.folder / "results" / "experiments.json").read_text()) == results
    assert "explained  3 of 3 pairs: 10 cells, 0 ran now\n" in said.err
    assert "replayed   the operations of 1 of 1 pairs\n" in said.err
    assert "next " not in said.err
    assert "wrote " not in said.err


def touch_matrix(command) -> None:
    path = command.folder / "matrix.yaml"
    path.write_text(path.read_text() + "# a comment\n")


def lose_changed(command) -> None:
    next((command.folder / "results" / "records").glob("**/*default.isa-avx2*/*.json")).unlink()


def lose_experiments(command) -> None:
    (command.folder / "results" / "experiments.json").unlink()


def lose_replay(command) -> None:
    next((command.folder / "results" / "replays").rglob("*.json")).unlink()


@pytest.mark.parametrize("change", [touch_matrix, lose_changed, lose_experiments, lose_replay])
def test_what_explanations_stand_on_makes_them_anew(explained, made, change) -> None:
    change(explained)
    assert explained(*ALL).code == 0
    assert "everything" in made.since()
    assert explained(*ALL).code == 0
    assert made.since() == []


def test_operations_that_were_left_out_are_replayed_when_they_are_asked_for(command, made) -> None:
    publish(command)
    command.engine.answer = by_loss
    command(*ALL, "--no-operations")
    made.since()
    assert "replayed" in command(*ALL).err
    assert made.since() == ["everything", "produce"]


def test_a_changed_cell_that_ran_out_of_time_is_asked_again(command, made) -> None:
    def slow(cells, number):
        if any("default.isa-avx2" in cell["id"] for cell in cells):
            return [say.fingerprint()], say.Exit(timed_out=True)
        return by_loss(cells, number)

    command.engine.answer = slow
    command(*ALL)
    made.since()
    command(*ALL)
    assert made.since() == ["everything"]
    command.engine.answer = by_loss
    command(*ALL)
    assert made.since() == ["everything", "produce"]
    command(*ALL)
    assert made.since() == []


def test_a_changed_cell_that_failed_is_an_answer(command, made) -> None:
    def crash(cells, number):
        if any("default.isa-avx2" in cell["id"] for cell in cells):
            return [say.fingerprint()], say.Exit(code=-6)
        return by_loss(cells, number)

    command.engine.answer = crash
    command(*ALL)
    made.since()
    command(*ALL)
    assert made.since() == []


def test_an_operation_that_failed_is_asked_again(explained, made) -> None:
    for path in (explained.folder / "results" / "replays").rglob("*.json"):
        path.unlink()
    real = explained.engine.operate
    explained.engine.operate = lambda _: ([say.fingerprint()], say.Exit(code=-6))
    explained(*ALL)
    made.since()
    explained(*ALL)
    assert made.since() == ["everything"]
    explained.engine.operate = real
    explained(*ALL)
    made.since()
    explained(*ALL)
    assert made.since() == []


def untraced(cells, number):
    if any(cell["trace"] for cell in cells):
        return [say.fingerprint()], say.Exit(code=-6)
    return by_loss(cells, number)


def test_a_cell_that_could_not_be_traced_is_asked_again(command, made) -> None:
    publish(command)
    command.engine.answer = untraced
    command(*ALL)
    made.since()
    command(*ALL)
    assert made.since() == ["everything"]
    command.engine.answer = by_loss
    command(*ALL)
    made.since()
    command(*ALL)
    assert made.since() == []


def test_another_run_that_was_written_meanwhile_is_explained_the_next_time(ran, made, monkeypatch) -> None:
    real = explain.everything

    def disturbed(options, story):
        found = real(options, story)
        ran("run", "--select", "*/parallel", "--jobs", "1")
        return found

    monkeypatch.setattr(explain, "everything", disturbed)
    ran(*ALL)
    monkeypatch.setattr(explain, "everything", real)
    made.since()
    ran("matrix", "--select", "*/parallel", "--jobs", "1")
    assert "everything" in made.since()


# The report comes first.


def order(text: str, *words: str) -> Iterator[int]:
    return (text.index(word) for word in words)


def test_the_report_is_there_before_anything_is_explained_and_again_after(command, monkeypatch) -> None:
    real, seen = explain.everything, []

    def looking(options, story):
        seen.append((command.folder / "report" / "index.html").read_text())
        return real(options, story)

    monkeypatch.setattr(explain, "everything", looking)
    command.engine.answer = by_loss
    said = command(*ALL)
    places = list(order(said.err, "wrote ", "next  ", "explained  "))
    assert [*places, said.err.rindex("wrote ")] == sorted([*places, said.err.rindex("wrote ")])
    assert said.err.count("wrote ") == 2
    assert seen[0] != (command.folder / "report" / "index.html").read_text()
    assert "the report is there already" in said.err


def test_what_was_said_of_the_first_report_is_not_said_again(command) -> None:
    publish(command)
    command.engine.answer = by_loss
    said = command(*ALL)
    assert len(lines(said.err)) == len(set(lines(said.err))) > 0


def test_json_is_printed_once_though_the_report_is_written_twice(command) -> None:
    command.engine.answer = by_loss
    assert json.loads(command(*ALL, "--json").out)["missing"] == []


def test_a_report_that_explanations_do_not_change_is_written_once(ran, made) -> None:
    ran("explain", "--no-operations", "--jobs", "1")
    ran(*ALL)
    made.since()
    lost = next((ran.folder / "cache" / "stamps").glob("explanations-*.json"))
    lost.unlink()
    said = ran(*ALL)
    assert made.since() == ["everything"]
    assert "wrote " not in said.err


def test_an_environment_is_said_to_be_found_once(command) -> None:
    command.engine.answer = by_loss
    said = command(*ALL)
    for name in ("numpy-1.0-cpu", "numpy-2.0-cpu"):
        assert said.err.count(f"built      {name}\n") + said.err.count(f"found      {name}\n") <= 1
    assert said.err.count("built  ") == 2


def test_rounds_say_which_of_how_many_and_what_they_try(ran) -> None:
    said = ran(*ALL)
    rounds = [line.split(";")[0] for line in said.err.splitlines() if line.startswith("round ")]
    assert rounds[0].startswith("round      2 of 4: each factor alone, ")  # the cells themselves are there
    assert [line.split()[1] for line in rounds] == sorted(line.split()[1] for line in rounds)
    assert "round " not in ran(*ALL).err


def test_no_round_says_how_long_it_takes_before_one_was_measured(ran) -> None:
    first, *others = [line for line in ran(*ALL).err.splitlines() if line.startswith("round ")]
    assert ";" not in first
    assert all("; about 10 s left" in line for line in others)
