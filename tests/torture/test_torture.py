"""A short torture campaign, and that its judges see what must not come of it."""

import signal
from collections import Counter
from pathlib import Path

import pytest

from bench.measured import END, begin
from bench.torture import page
from bench.torture.fuzz import MOST_GROWTH, Reader, check, fuzz, readers
from bench.torture.kills import Kills, python_itself, wrong_again, wrong_end
from bench.torture.places import hostile, refusal
from bench.torture.scene import SIDES, Done, Scene, digests, litter, unlike
from bench.torture.tally import Tally
from repromatrix.compare.allowance import Allowances
from repromatrix.compare.nights import added
from repromatrix.errors import UsageError
from repromatrix.execute.manifest import run_plan
from repromatrix.images.lock import hashes_in
from repromatrix.plan import plan
from repromatrix.resources import cache
from repromatrix.results import accepted
from repromatrix.results.history import History
from tests.fakes import FOUR

ROOT = Path(__file__).resolve().parents[2]
INPUTS = 2000
KILLS = 5
LOCKS = ROOT / "images" / "numpy" / "locks"


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    """A campaign's folder, with the wheels that this machine has."""
    store = cache() / "wheels"
    wanted = [{*hashes_in(LOCKS / f"{name}.txt")} for name in SIDES]
    if not all(any((store / digest).is_dir() for digest in digests) for digests in wanted):
        pytest.skip("the wheels of NumPy are not on this machine: repromatrix build --select 'numpy-*'")
    found = Scene(tmp_path_factory.mktemp("torture"), store)
    found.begin()
    return found


@pytest.mark.slow
def test_after_a_kill_a_rerun_gives_what_an_undisturbed_run_gives_and_nothing_is_left(scene: Scene) -> None:
    kills = Kills(scene, seed=15)
    for tally in kills.run(KILLS):
        assert tally.failures == []
    assert sum(tally.tried for tally in kills.tallies.values()) == KILLS


@pytest.mark.slow
def test_hostile_places_refuse_with_a_next_step_or_change_nothing(scene: Scene) -> None:
    tallies = list(hostile(scene, short=True))
    assert {"odd locales", "odd paths"} <= {each.title for each in tallies}
    assert [failure for each in tallies for failure in each.failures] == []


def test_damaged_files_are_read_or_refused_and_no_number_is_made_up(bench, tmp_path: Path) -> None:
    planned = plan(bench.matrix, profile="both", select=FOUR)
    summary, _ = run_plan(bench.execution(), bench.matrix, planned, trace=True)
    kept = accepted.accept(bench.store.read_manifest(), summary.records)
    accepted.write(kept, bench.store.folder / "accepted.json")
    history = History(bench.store.folder / "history")
    ran = [each for each in summary.records if each.provenance]
    for name in "12":
        found = added(name, "", ran[: len(ran) - int(name)], history.states(), Allowances())
        history.add(found.night, found.changes, found.states)
    every = readers(tmp_path / "fuzz", [bench.store.folder])
    named = {"records/*.json", "traces/*.json", "matrix.yaml", "accepted.json", "locks", "history/states.jsonl"}
    assert named <= {each.title for each in every}
    tallies = [fuzz(each, INPUTS // len(every) + 1, seed=15) for each in every]
    assert [failure for each in tallies for failure in each.failures] == []
    assert sum(each.tried for each in tallies) >= INPUTS
    assert all(each.seen["refused"] for each in tallies)


# The judges.

DUE = Done(code=1, out="", err="", seconds=1)


@pytest.mark.parametrize(
    ("code", "said", "number", "wrong"),
    [
        (130, "repromatrix: interrupted; what had finished is kept", signal.SIGTERM, ""),
        (1, "", signal.SIGINT, ""),
        (-9, "found numpy", signal.SIGKILL, ""),
        (-1, "", signal.SIGHUP, ""),
        (130, "", signal.SIGINT, "without a message"),
        (130, "", signal.SIGHUP, "without a message"),
        (130, "Traceback (most recent call last)\ninterrupted", signal.SIGINT, "Traceback"),
        (70, "", signal.SIGTERM, "exit code 70"),
        (0, "", signal.SIGTERM, "exit code 0"),
        (130, "interrupted", signal.SIGKILL, "exit code 130"),
    ],
)
def test_how_a_command_may_end_that_is_asked_to(code: int, said: str, number: signal.Signals, wrong: str) -> None:
    problems = wrong_end(Done(code=code, out="", err=said, seconds=1), DUE, number)
    assert wrong in " ".join(problems) if wrong else problems == []


def test_a_ctrl_c_that_python_itself_answers_is_told_from_one_of_ours() -> None:
    assert python_itself('Traceback:\n  File ".venv/bin/repromatrix", line 3, in <module>\nKeyboardInterrupt')
    assert not python_itself('Traceback:\n  File "runner/repromatrix/cli/main.py", line 3, in <module>\nKeyError')
    assert not python_itself("repromatrix: interrupted")


def test_another_end_of_the_run_after_it_is_seen() -> None:
    assert wrong_again(DUE, DUE) == []
    assert wrong_again(Done(code=0, out="", err="", seconds=1), DUE)


def test_a_refusal_needs_its_code_and_a_next_step() -> None:
    def after(code: int, said: str) -> list[str]:
        return refusal(Done(code=code, out="", err=said, seconds=1), Done(code=0, out="", err="", seconds=1))

    assert after(0, "") == []
    assert after(2, "R: No space left on device\n  next: ...") == []
    assert after(2, "R: No space left on device")
    assert after(70, "a defect\n  next: ...")
    assert after(0, "Traceback")


def test_what_differs_and_what_is_left_is_seen(tmp_path: Path) -> None:
    place, found = tmp_path / "place", tmp_path / "cache"
    for folder in (place / "R", place / "tmp", found / "runs", found / "wheels"):
        folder.mkdir(parents=True)
    assert litter(place, found) == []
    accepted_ = '{\n "changes": [\n  {\n   "when": "%s"\n  }\n ],\n "sha256": "%s"\n}\n'
    (place / "accepted.json").write_text(accepted_ % ("2026-11-29T10:00:00Z", "a"))
    before = digests(place)
    (place / "accepted.json").write_text(accepted_ % ("2026-11-29T10:00:01Z", "b"))
    assert unlike(digests(place), before) == []
    (place / "R" / "record.json").write_text("{}")
    assert unlike(digests(place), before) == ["differs: R/record.json"]
    for path in (
        place / "R" / ".abcdefgh.part",
        place / "tmp" / "x",
        found / "runs" / "y",
        found / "wheels" / ".fetch-1",
    ):
        path.write_text("")
        assert len(litter(place, found)) == 1
        path.unlink()


def _reader(read: object) -> Reader:
    return Reader(title="one", seeds=(b'{"loss": "0x1.8p+0", "steps": 2}',), read=read)  # type: ignore[arg-type]


def test_a_defect_a_wordless_refusal_a_made_up_number_and_growth_are_seen() -> None:
    data = b'{"loss": "0x1.8p+0", "steps": 2}'

    def defect(_: bytes) -> None:
        raise KeyError("loss")

    def wordless(_: bytes) -> None:
        raise UsageError("")

    peak_before = b"x" * (4 * MOST_GROWTH)  # a process that once held more is no excuse
    del peak_before
    kept: list[bytes] = []

    def greedy(_: bytes) -> None:
        kept.append(b"x" * (MOST_GROWTH // 2))

    assert check(_reader(lambda _: data), data) == ("read", [])
    assert check(_reader(lambda _: data.replace(b"1.8", b"1.9")), data) == ("read", ["made up '0x1.9p+0'"])
    assert check(_reader(defect), data)[0] == "a defect"
    assert check(_reader(wordless), data)[1] == ["refused without a word"]
    assert any("grew by" in each for each in fuzz(_reader(greedy), 4, seed=1).failures)


def test_the_page_tells_counts_and_failures_between_its_marks(tmp_path: Path) -> None:
    path = tmp_path / "page.md"
    path.write_text(f"before\n{begin(page.COMMAND)}old\n{END}after\n")
    tally = Tally(title="run (process)", tried=2, seen=Counter(SIGKILL=2), failures=["run: says\n'Traceback'"])
    page.write(path, page.measured([("Kills", [tally])], ["containers"]))
    text = path.read_text()
    assert "| run (process) | 2 | 2 SIGKILL | 1 |" in text
    assert "- `run: says 'Traceback'`" in text
    assert "Left out on this machine: containers." in text
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert "Failures: none." in page.measured([("Kills", [Tally(title="run", tried=1)])], [])
    path.write_text("no marks")
    with pytest.raises(ValueError, match="lacks the marks"):
        page.write(path, "")


def test_the_page_of_the_docs_can_be_written() -> None:
    text = (ROOT / "docs" / "reliability.md").read_text()
    assert text.count(begin(page.COMMAND)) == text.count(END) == 1
