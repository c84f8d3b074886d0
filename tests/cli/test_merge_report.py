"""What `merge` and `report` say of results that are not whole, and the exit codes."""

from tests import fakes as say

PARALLEL = "tiny/numpy-2.0-cpu/parallel"


def test_merge_counts_every_record_that_is_gone(command) -> None:
    command("run", "--results", "one")
    next((command.folder / "one" / "records" / PARALLEL).iterdir()).unlink()
    said = command("merge", "one")
    assert said.code == 5
    assert f"missing    {PARALLEL}\n" in said.err
    assert "5 cells from 1 folders, 1 missing (results)" in said.err


def test_merge_of_two_different_results_of_a_cell_is_refused(command) -> None:
    command("run", "--results", "one")
    command.engine.answer = lambda cells, _: say.everything_ok(cells, 0.75)
    command("run", "--results", "two")
    said = command("merge", "one", "two")
    assert said.code == 2
    assert "two different results of" in said.err
    assert "next: leave one of the two out" in said.err
    assert not (command.folder / "results").exists()
