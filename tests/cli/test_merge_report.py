"""What `merge` and `report` say of results that are not whole, and the exit codes."""

import json

from repromatrix.results.experiments import Experiments, Pair, Run
from repromatrix.results.store import Store
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


def test_merge_carries_experiments_and_says_what_is_gone_that_they_stand_on(command) -> None:
    command("run", "--results", "one")
    gone = [Run(id=f"tiny/numpy-2.0-cpu/{name}", key="a1" * 32) for name in ("parallel", "sequential")]
    pair = Pair(
        a=gone[0], b=gone[1], of=("asked",), factors=(), flips=(), conditions=(), budget=2, spent=2, exhausted=False
    )
    Store(command.folder / "one").write_experiments(Experiments(pairs=(pair,)))
    said = command("merge", "one", "--json")
    remark = f"experiments and studies in one stand on 2 records that are gone, of {PARALLEL} and 1 more cells"
    assert said.code == 0
    assert f"remark     {remark}\n" in said.err
    assert json.loads(said.out)["remarks"] == [remark]
    assert Store(command.folder / "results").read_experiments().pairs == (pair,)
