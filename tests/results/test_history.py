"""Nights: what moved, against what, and how far; nothing of an interrupted night counts."""

import json
from dataclasses import replace

import pytest

from repromatrix.cli.main import run
from repromatrix.compare.allowance import Allowances, Floor
from repromatrix.compare.nights import added
from repromatrix.errors import ResultsError
from repromatrix.report import history as pages
from repromatrix.report import render
from repromatrix.results.history import History
from repromatrix.results.record import Outcome
from repromatrix.results.store import Store
from tests.compare.builder import manifest, record

UP = 0.25 + 2**-54
FLOOR = Floor(workload="mazur", dtype="float64", reference="r", members=("m",), growth=(1e-16,) * 2, bound=(1e-16,) * 2)
ALLOWED = Allowances(floors={("mazur", "float64"): FLOOR})


def night(history, name, *records):
    """Add a night and return its changes."""
    found = added(name, "", records, history.states(), ALLOWED)
    history.add(found.night, found.changes, found.states)
    return found.changes


@pytest.fixture
def history(tmp_path):
    return History(tmp_path / "history")


def test_a_first_night_and_a_quiet_one_change_nothing(history):
    assert night(history, "1", record(), record(variant="sequential")) == ()
    size = (history.folder / "states.jsonl").stat().st_size
    assert night(history, "2", record(), record(variant="sequential")) == ()
    assert (history.folder / "states.jsonl").stat().st_size == size
    assert [(each.night, each.cells, each.new) for each in history.nights()] == [("1", 2, 2), ("2", 2, 0)]


def test_a_pinned_value_that_moves_is_told_with_its_size_and_what_else_is_not_as_before(history):
    night(history, "1", record())
    moved = record((0.5, UP))
    other = replace(moved, provenance=replace(moved.provenance, lock_digest="12" * 32))
    (change,) = night(history, "2", other)
    assert (change.value, change.step, change.ulp, change.verdict) == ("loss", 2, 1, "rounding")
    assert change.share == pytest.approx(2**-54 / 1e-16)
    assert change.because == ("lock",)
    assert not change.by_release
    (back,) = night(history, "3", record())
    assert (back.was, back.now) == (change.now, change.was)
    assert [each.night for each in history.changes()] == ["2", "3"]


def test_a_new_release_is_held_against_the_one_before_it(history):
    old = [record(version=version) for version in ("2.0.0", "2.3.0")]
    night(history, "1", *old)
    (change,) = night(history, "2", *old, record((0.5, UP), version="2.10.0"))
    assert change.by_release
    assert (change.before_release, change.release) == ("2.3.0", "2.10.0")
    assert night(history, "3", *old, record((0.5, UP), version="2.10.0")) == ()


def test_releases_that_come_in_one_night_follow_one_another(history):
    changes = night(history, "1", record((0.5, UP), version="2.1.0"), record(version="2.0.0"), record(version="2.2.0"))
    assert {(each.before_release, each.release) for each in changes} == {("2.0.0", "2.1.0"), ("2.1.0", "2.2.0")}
    assert night(history, "2", record((0.5, UP), version="2.1.0"), record(version="2.0.0")) == ()
    (drift,) = night(history, "3", record(version="2.1.0"))
    assert not drift.by_release


def test_a_night_on_another_cpu_is_no_change(history):
    night(history, "1", record(cpu_class="v4"))
    assert night(history, "2", record((0.5, UP), cpu_class="v3")) == ()
    assert night(history, "3", record(cpu_class="v4"), record((0.5, UP), variant="x", cpu_class="v3")) == ()
    (change,) = night(history, "4", record((0.5, 0.125), cpu_class="v3"))
    assert change.cpu == "v3"


def test_outcomes_and_what_does_not_repeat_itself_are_changes_of_their_own(history):
    night(history, "1", record())
    (failed,) = night(history, "2", record(outcome=Outcome.FAILED, reason="no"))
    assert (failed.value, failed.was, failed.now) == ("outcome", "ok", "failed")
    (again,) = night(history, "3", record())
    assert (again.was, again.now) == ("failed", "ok")
    (loose,) = night(history, "4", record(repeats=((0.5, UP),)))
    assert loose.now == "unstable"
    assert night(history, "5", record(repeats=((0.5, 0.125),))) == ()


def test_a_prediction_and_the_state_are_told_apart_from_the_loss(history):
    night(history, "1", record())
    changes = night(history, "2", record(weights=1.5, predictions=[[0.1, 0.2]] * 3))
    assert {each.value for each in changes} == {"output", "state"}


def test_a_change_is_found_by_a_word(history):
    night(history, "1", record(), record(variant="other"))
    night(history, "2", record((0.5, UP)), record((0.5, UP), variant="other"))
    assert [each.cell for each in history.changes("/other")] == ["mazur/numpy-2.4.6-cpu/other"]


@pytest.mark.parametrize("cut", [1, 40])
@pytest.mark.parametrize("name", ["states.jsonl", "changes.jsonl"])
def test_what_an_interrupted_night_left_counts_for_nothing(history, name, cut):
    night(history, "1", record())
    night(history, "2", record((0.5, UP)))
    whole = {path.name: path.read_bytes() for path in history.folder.iterdir()}
    nights = history.folder / "nights.jsonl"
    nights.write_bytes(nights.read_bytes().splitlines(keepends=True)[0])
    path = history.folder / name
    path.write_bytes(path.read_bytes()[:-cut])
    assert history.changes() == ()
    night(history, "2", record((0.5, UP)))
    assert {path.name: path.read_bytes() for path in history.folder.iterdir()} == whole


def test_half_a_line_of_a_night_is_no_night(history):
    night(history, "1", record())
    nights = history.folder / "nights.jsonl"
    first = nights.read_bytes()
    nights.write_bytes(first + first[:30])
    assert len(history.nights()) == 1
    night(history, "2", record())
    assert len(history.nights()) == 2


@pytest.mark.parametrize("wrong", [b"{}\n", b"not json\n", b'{"night": 3}\n', b"\xff\n"])
@pytest.mark.parametrize("name", ["nights.jsonl", "states.jsonl", "changes.jsonl"])
def test_a_damaged_line_is_refused_by_name(history, name, wrong):
    night(history, "1", record())
    with (history.folder / name).open("ab") as file:
        file.write(wrong)
    with pytest.raises(ResultsError, match=name):
        (history.states(), history.changes())


def test_three_years_of_a_thousand_cells_stay_small(history):
    """Each cell moves four times, one release in three nights: what is kept a cell and a change is what counts."""
    cells = [record(variant=f"v{number}") for number in range(50)]
    night(history, "1", *cells)
    once = sum(path.stat().st_size for path in history.folder.iterdir())
    moved = [record((0.5, UP), variant=f"v{number}") for number in range(50)]
    night(history, "2", *moved)
    change = sum(path.stat().st_size for path in history.folder.iterdir()) - once
    assert 1000 * once / 50 + 4 * 1000 * change / 50 + 365 * 30 * change / 50 < 50e6


def stored(folder, records):
    """A results folder with a run."""
    store = Store(folder)
    for each in records:
        store.write(each)
    store.write_manifest(manifest(records))


def test_the_command_adds_nights_and_shows_what_changed(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    stored(tmp_path / "one", [record(), record(variant="other")])
    stored(tmp_path / "two", [record((0.5, UP)), record(variant="other")])
    assert run(["history"]) == 2
    assert "history add" in capsys.readouterr().err
    assert run(["history", "add", "--night", "2026-01-01", "--results", "one"]) == 0
    assert run(["history", "add", "--night", "2026-01-01", "--results", "two"]) == 2
    assert "not later" in capsys.readouterr().err
    assert run(["history", "add", "--night", "2026-01-02", "--results", "two"]) == 0
    assert "MOVED" in capsys.readouterr().out
    assert run(["history", "--json", "--operation", "loss"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert (shown["nights"], [each["cell"] for each in shown["changes"]]) == (2, ["mazur/numpy-2.4.6-cpu/parallel"])
    for narrow in (["--cell", "other"], ["--operation", "los"], ["--since", "2026-01-03"]):
        assert run(["history", *narrow]) == 0
        assert capsys.readouterr().out.startswith("no change: 2 nights up to 2026-01-02")
    assert run(["history", "--markdown"]) == 0
    assert "| 2026-01-02 | 2.4.6 |" in capsys.readouterr().out
    assert run(["history", "--html", "page.html"]) == 0
    page = (tmp_path / "page.html").read_text()
    assert "wrote      page.html: 1 change in 2 nights" in capsys.readouterr().err
    assert all(word in page for word in ("2 nights, from 2026-01-01 to 2026-01-02", "MOVED, ", "2026-01-02"))
    assert run(["history", "add", "--night", "2026-01-03", "--results", "two", "--html", "page.html"]) == 2
    assert "add it first" in capsys.readouterr().err


def test_the_page_of_very_many_changes_shows_the_last_and_says_so(history, monkeypatch):
    monkeypatch.setattr(pages, "_MOST_CHANGES", 2)
    for name, number in (("1", UP), ("2", 0.25), ("3", UP), ("4", 0.25)):
        night(history, name, record((0.5, number)))
    found = pages.view(history.nights(), history.changes())
    assert [each.texts[0] for each in found.rows] == ["4", "3"]
    assert "The last 2 of 3 changes" in render.history(found)


def damage(history, name, old, new):
    path = history.folder / name
    text = path.read_bytes()
    assert old in text
    path.write_bytes(text.replace(old, new, 1))


def test_a_night_that_was_taken_away_takes_no_later_one_with_it(history):
    for name, second in (("1", 0.25), ("2", UP), ("3", 0.25)):
        night(history, name, record((0.5, second)))
    whole = {path.name: path.read_bytes() for path in history.folder.iterdir()}
    first, _, third = (history.folder / "nights.jsonl").read_bytes().splitlines(keepends=True)
    (history.folder / "nights.jsonl").write_bytes(first + third)
    with pytest.raises(ResultsError, match="lines of a night that nights"):
        night(history, "4", record())
    (history.folder / "nights.jsonl").write_bytes(whole["nights.jsonl"])
    assert {path.name: path.read_bytes() for path in history.folder.iterdir()} == whole


@pytest.mark.parametrize("metrics", [b'["float7","AAAA"]', b'["float64","!!"]', b'["float64","AAAA"]'])
def test_bits_of_a_metric_that_are_none_are_told_with_their_file(history, metrics):
    night(history, "1", record())
    text = (history.folder / "states.jsonl").read_bytes()
    loss = text.partition(b'"metrics":{"loss":')[2].partition(b"}")[0]
    damage(history, "states.jsonl", loss, metrics)
    with pytest.raises(ResultsError, match="a line that is no state"):
        night(history, "2", record((0.5, UP)))


def test_an_end_of_a_line_that_is_another_hides_no_line(history):
    for name, second in (("1", 0.25), ("2", UP), ("3", 0.25)):
        night(history, name, record((0.5, second)))
    damage(history, "changes.jsonl", b"}\n", b"}\r")
    with pytest.raises(ResultsError, match="a line that is no change"):
        history.changes()
