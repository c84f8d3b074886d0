"""Experiments and index of several folders become one, with the records, traces and replays that they stand on."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from repromatrix.errors import ResultsError
from repromatrix.results.experiments import Experiments, Factor, Flip, Pair, Run, Side
from repromatrix.results.manifest import Entry, Manifest
from repromatrix.results.merge import merge
from repromatrix.results.operations import Entry as Listed
from repromatrix.results.operations import Given, Table
from repromatrix.results.record import Outcome, Record
from repromatrix.results.replay import Replay
from repromatrix.results.replays import ListedCell, ReplayedCell, ReplayedPair, ReplayIndex
from repromatrix.results.store import Store
from repromatrix.results.trace import Trace
from repromatrix.results.value import Column, Role, Trajectory
from tests import values
from tests.results.conftest import TRAJECTORY, described
from tests.results.test_replay import FRESH, a_replay

A, B, CHANGED = (
    Run(id=f"tiny/{name}-1-cpu/x", key=letter * 64) for name, letter in (("a", "a"), ("b", "b"), ("h", "c"))
)
OTHER_CHANGED = replace(CHANGED, key="9" * 64)
OTHER_NUMBERS = (values.with_column(TRAJECTORY, "loss", texts=("0x1.0000000000000p+0", "nan")),)


def a_pair(*of, a: Run = A, b: Run = B, changed_cell: Run = CHANGED, spent: int = 3) -> Pair:
    attempt = Flip(factors=("dtype",), a=Side(run=changed_cell), b=Side(run=None, reason="no such variant"))
    factors = tuple(Factor(name=each, a="1", b="2") for each in attempt.factors)
    return Pair(
        a=a, b=b, of=of, factors=factors, flips=(attempt,), conditions=(), budget=9, spent=spent, exhausted=False
    )


@pytest.fixture
def target(tmp_path: Path) -> Store:
    return Store(tmp_path / "merged")


@pytest.fixture
def a_run(tmp_path: Path, a_record: Callable[..., Record]) -> Callable[..., Store]:
    """Make a folder whose run has some cells, and perhaps pairs whose changed_cells have records too."""

    def make(name: str, *runs: Run, pairs: tuple[Pair, ...] = (), **changed) -> Store:
        store = Store(tmp_path / name)
        for run in dict.fromkeys((*runs, *(run for each in pairs for run in each.runs))):
            known = changed if run.id == CHANGED.id else {}
            store.write(a_record(cell=run.id, key=run.key, **known))
        entries = tuple(Entry(id=run.id, key=run.key, reason=None) for run in runs)
        store.write_manifest(Manifest(profile="p", entries=entries, published=(), tolerances=()))
        if pairs:
            store.write_experiments(Experiments(pairs=pairs))
        return store

    return make


# Experiments.


def test_the_pairs_of_all_folders_are_brought_together_with_the_records_of_their_changed_cells(a_run, target) -> None:
    c = Run(id="tiny/d-1-cpu/x", key="d" * 64)
    other = a_pair("asked", b=c, changed_cell=Run(id="tiny/i-1-cpu/x", key="e" * 64))
    one, two = a_run("one", A, B, pairs=(a_pair("classes"),)), a_run("two", A, c, pairs=(other,))
    merged = merge([one.folder, two.folder], target)
    assert target.read_experiments().pairs == (a_pair("classes"), other)
    assert set(target.records_of(target.read_experiments())) == {A.key, B.key, c.key, CHANGED.key, "e" * 64}
    assert [each.id for each in merged.manifest.entries] == [A.id, B.id, c.id]
    assert merged.remarks == ()


def test_the_log_of_a_changed_cell_comes_with_it(a_run, target) -> None:
    log = "logs/c-1-cpu/default-cpu-1.log"
    one = a_run("one", A, B, pairs=(a_pair("asked"),), log=log, outcome=Outcome.FAILED, reason="x", trajectories=())
    one.place_of_log(log).parent.mkdir(parents=True)
    one.place_of_log(log).write_text("Segmentation fault\n")
    merge([one.folder], target)
    assert target.place_of_log(log).read_text() == "Segmentation fault\n"


def test_a_folder_that_only_explained_pairs_gives_them_although_it_has_no_run(a_run, target) -> None:
    one, two = a_run("one", A, B), a_run("two", pairs=(a_pair("asked"),))
    (two.folder / "manifest.json").unlink()
    merged = merge([one.folder, two.folder], target)
    assert merged.unfinished == (two.folder,)
    assert target.read_experiments().pairs == (a_pair("asked"),)


def test_one_pair_of_two_folders_stands_once_with_every_reason_why_it_was_explained(a_run, target) -> None:
    folders = [a_run(of, A, B, pairs=(a_pair(of),)).folder for of in ("asked", "published")]
    merged = merge(folders, target)
    assert target.read_experiments().pairs == (a_pair("published", "asked"),)
    assert merged.remarks == ()


@pytest.mark.parametrize("first", [True, False])
def test_of_two_folders_the_experiments_on_the_cells_of_the_merged_run_are_taken_and_that_is_told(
    a_run, target, first
) -> None:
    old = a_pair("asked", a=replace(A, key="f" * 64), changed_cell=OTHER_CHANGED, spent=8)
    stale = a_run("stale", B, pairs=(old,), trajectories=OTHER_NUMBERS)
    current = a_run("current", A, B, pairs=(a_pair("asked"),))
    folders = [stale.folder, current.folder]
    merged = merge(folders if first else folders[::-1], target)
    assert target.read_experiments().pairs == (a_pair("asked"),)
    assert merged.remarks == (
        f"experiments on {A.id} and {B.id} in {stale.folder}: taken from {current.folder}, those are of the merged run",
    )
    assert target.read(CHANGED.id, OTHER_CHANGED.key) is not None, "its records are kept: to explain again is quicker"


@pytest.mark.parametrize("first", [True, False])
def test_of_two_that_agree_the_one_that_looked_at_more_is_taken_and_that_is_told(a_run, target, first) -> None:
    less = a_run("less", A, B, pairs=(a_pair("asked"),))
    more = a_run("more", A, B, pairs=(a_pair("asked", changed_cell=OTHER_CHANGED, spent=4),))
    folders = [less.folder, more.folder]
    merged = merge(folders if first else folders[::-1], target)
    assert [each.spent for each in target.read_experiments().pairs] == [4]
    (remark,) = merged.remarks
    assert remark.startswith(f"experiments on {A.id} and {B.id} in {less.folder}: taken from {more.folder}")


@pytest.mark.parametrize("changed_cell", [CHANGED, OTHER_CHANGED], ids=["the same key", "another key"])
def test_other_numbers_of_a_changed_cell_are_a_conflict_and_nothing_is_written(a_run, target, changed_cell) -> None:
    one = a_run("one", A, B, pairs=(a_pair("asked"),))
    two = a_run("two", A, B, pairs=(a_pair("asked", changed_cell=changed_cell),), trajectories=OTHER_NUMBERS)
    with pytest.raises(ResultsError, match=f"two different results of {CHANGED.id}") as caught:
        merge([one.folder, two.folder], target)
    assert str(one.folder) in caught.value.what
    assert caught.value.hint.endswith(f"repromatrix merge {one.folder}")
    assert not target.folder.exists()


@pytest.mark.parametrize("first", [True, False])
def test_of_one_changed_cell_under_one_key_the_record_that_ran_is_taken(a_run, target, first) -> None:
    one = a_run("one", A, B, pairs=(a_pair("asked"),))
    crash = {"outcome": Outcome.FAILED, "reason": "x", "trajectories": ()}
    two = a_run("two", A, B, pairs=(a_pair("asked"),), **crash)
    merge([one.folder, two.folder] if first else [two.folder, one.folder], target)
    assert target.read(CHANGED.id, CHANGED.key).outcome is Outcome.OK


def test_two_environments_of_one_name_are_told_also_where_only_experiments_have_them(a_run, a_record, target) -> None:
    stores = [a_run(name, A, B, pairs=(a_pair("asked"),)) for name in ("one", "two")]
    for store, key in zip(stores, (CHANGED.key, OTHER_CHANGED.key), strict=True):
        record = a_record(cell=CHANGED.id, key=key)
        loose = replace(record.provenance, lock_digest=None, base_digest=key[:8])
        store.write(replace(record, provenance=loose))
        store.write_experiments(Experiments(pairs=(a_pair("asked", changed_cell=replace(CHANGED, key=key)),)))
    with pytest.raises(ResultsError, match="two different environments are named h-1-cpu"):
        merge([store.folder for store in stores], target)


def test_a_record_that_is_gone_is_told_and_the_pair_is_kept(a_run, target) -> None:
    one = a_run("one", A, B, pairs=(a_pair("asked"),))
    one.record_path(CHANGED.id, CHANGED.key).unlink()
    merged = merge([one.folder], target)
    assert target.read_experiments().pairs == (a_pair("asked"),)
    assert merged.remarks == (
        f"experiments and replayed operations in {one.folder} stand on 1 records that are gone, of {CHANGED.id}",
    )


def test_what_the_target_explained_of_other_pairs_stays_and_what_it_loses_is_told(a_run, target) -> None:
    other = a_pair("asked", b=Run(id="tiny/d-1-cpu/x", key="d" * 64))
    target.write_experiments(Experiments(pairs=(other, a_pair("asked", spent=2))))
    merged = merge([a_run("one", A, B, pairs=(a_pair("asked"),)).folder], target)
    assert set(target.read_experiments().pairs) == {other, a_pair("asked")}
    assert merged.remarks == (
        f"1 pairs or cells that {target.folder} had explained before: taken from the merged folders",
    )


def test_a_folder_may_be_merged_into_itself(a_run) -> None:
    one, two = a_run("one", A, pairs=(a_pair("asked"),)), a_run("two", B)
    merged = merge([one.folder, two.folder], one)
    assert one.read_experiments().pairs == (a_pair("asked"),)
    assert (len(merged.manifest.entries), merged.remarks) == (2, ())


def test_damaged_experiments_stop_a_merge_before_anything_is_written(a_run, target) -> None:
    one = a_run("one", A, B)
    (one.folder / "experiments.json").write_bytes(b"{")
    with pytest.raises(ResultsError, match="not readable experiments"):
        merge([one.folder], target)
    assert not target.folder.exists()


# ReplayIndex.

TRACE_KEY, OWN_KEY, BIAS_KEY = "1" * 64, "2" * 64, "3" * 64
ENDS = tuple(
    ReplayedCell(
        cell=run.id,
        record=run.key,
        trace=TRACE_KEY,
        own=OWN_KEY,
        other=OWN_KEY,
        recorded=(),
        fresh=(("bias", BIAS_KEY),),
    )
    for run in (A, B)
)
REPLAYED = ReplayedPair(a=A.id, b=B.id, left=ENDS[0], right=ENDS[1], reason=None)
SILENT = replace(REPLAYED, left=None, right=None, reason="no trace")
LISTING = ListedCell(cell=A.id, environment="numpy-2.0-cpu", fresh=(("bias", BIAS_KEY),))


def _of(replay: Replay, cell: str, key: str) -> Replay:
    return replace(replay, cell=described(cell), key=key)


def _replayed(store: Store, index: ReplayIndex, bias: Replay = FRESH, key: str = BIAS_KEY) -> Store:
    """Add index with all that their two cells stand on."""
    for run in (A, B):
        untraced = (("hidden", "compiled"),)
        store.write_trace(Trace(cell=described(run.id), key=TRACE_KEY, trajectory=TRAJECTORY, untraced=untraced))
        store.write_replay(_of(a_replay(), run.id, OWN_KEY))
        store.write_replay(_of(bias, run.id, key))
    store.write_replay_index(index)
    return store


def test_replayed_pairs_come_with_the_traces_and_replays_that_they_name(a_run, target) -> None:
    index = ReplayIndex(pairs=(REPLAYED,), listed=(LISTING,))
    one = _replayed(a_run("one", A, B), index)
    two = a_run("two", Run(id="tiny/d-1-cpu/x", key="d" * 64))
    merged = merge([two.folder, one.folder], target)
    assert target.read_replay_index() == index
    assert [target.replays_of(end) for end in ENDS] == [one.replays_of(end) for end in ENDS]
    assert None not in [target.replays_of(end) for end in ENDS]
    assert target.replays(LISTING.cell, LISTING.fresh) == {"bias": _of(FRESH, A.id, BIAS_KEY)}
    assert merged.remarks == ()


@pytest.mark.parametrize("first", [True, False])
def test_of_one_pair_the_one_that_was_replayed_is_taken_and_that_is_told(a_run, target, first) -> None:
    known = _replayed(a_run("known", A, B), ReplayIndex(pairs=(REPLAYED,)))
    silent = a_run("silent", A, B)
    silent.write_replay_index(ReplayIndex(pairs=(SILENT,)))
    folders = [silent.folder, known.folder]
    merged = merge(folders if first else folders[::-1], target)
    assert target.read_replay_index().pairs == (REPLAYED,)
    (remark,) = merged.remarks
    assert remark.startswith(f"operations of {A.id} and {B.id} in {silent.folder}: taken from {known.folder}")


OTHER_BIAS = replace(FRESH, outputs=(("bias", (((1.0).hex(), "nan"), ((1.0).hex(), "-inf"))),))


@pytest.mark.parametrize("key", [BIAS_KEY, "4" * 64], ids=["the same key", "another key"])
def test_other_numbers_of_an_operation_are_a_conflict_and_nothing_is_written(a_run, target, key) -> None:
    one = _replayed(a_run("one", A, B), ReplayIndex(listed=(LISTING,)))
    listing = replace(LISTING, fresh=(("bias", key),))
    two = _replayed(a_run("two", A, B), ReplayIndex(listed=(listing,)), OTHER_BIAS, key)
    with pytest.raises(ResultsError, match=f"two different results of a replay of {A.id}"):
        merge([one.folder, two.folder], target)
    assert not target.folder.exists()


@pytest.mark.parametrize("digits", ["a" * 64, "b" * 64], ids=["the same", "other"])
def test_other_numbers_of_a_trace_are_a_conflict_also_where_only_digests_are_told(a_run, target, digits) -> None:
    stores = [_replayed(a_run(name, A, B), ReplayIndex(pairs=(REPLAYED,))) for name in ("one", "two")]
    for store, digest in zip(stores, ("a" * 64, digits), strict=True):
        large = Column(name="patches", role=Role.TRACE, dtype="float64", shape=(17,), digests=(digest,) * 2)
        trajectory = Trajectory(columns=(large, *TRAJECTORY.columns))
        store.write_trace(Trace(cell=described(A.id), key=TRACE_KEY, trajectory=trajectory, untraced=()))
    folders = [store.folder for store in stores]
    if digits == "a" * 64:
        merge(folders, target)
        assert target.read_trace(A.id, TRACE_KEY).columns["patches"].digests == (digits,) * 2
        return
    with pytest.raises(ResultsError, match=f"two different results of a trace of {A.id}"):
        merge(folders, target)
    assert not target.folder.exists()


def test_other_inputs_of_an_operation_are_no_conflict_and_what_is_not_taken_is_told(a_run, target) -> None:
    one = _replayed(a_run("one", A, B), ReplayIndex(listed=(LISTING,)))
    listing = replace(LISTING, fresh=(("bias", "4" * 64),))
    two = _replayed(a_run("two", A, B), ReplayIndex(listed=(listing,)), replace(OTHER_BIAS, inputs="0" * 64), "4" * 64)
    merged = merge([one.folder, two.folder], target)
    assert target.read_replay_index().listed == (LISTING,)
    (remark,) = merged.remarks
    assert remark.startswith(f"operations of {A.id} in {two.folder}: taken from {one.folder}")


def test_a_replay_that_is_gone_is_told(a_run, target) -> None:
    one = _replayed(a_run("one", A, B), ReplayIndex(listed=(LISTING,)))
    one.replay_path(A.id, BIAS_KEY).unlink()
    assert merge([one.folder], target).remarks == (
        f"experiments and replayed operations in {one.folder} stand on 1 replays that are gone, of {A.id}",
    )


# The workload `operations`.

OPERATION = Run(id="operations/a-1-cpu/default", key="f" * 64)


def with_operation(store: Store, record: Record, last: bytes = b"\1") -> Record:
    """Put a cell of the workload into a folder, with an output that is told by its digest, and an input."""
    bits, given = store.write_value(b"\0" * 135 + last), store.write_value(b"\2" * 136)
    column = Column(name="exp", role=Role.OUTPUT, dtype="float64", shape=(17,), digests=(bits,))
    record = replace(record, trajectories=(Trajectory(columns=(*TRAJECTORY.columns, column)),))
    store.write(record)
    inputs = (Given(name="x", cell="float64", dtype="float64", shape=(17,), digest=given),)
    table = Table(task=record.cell.task, rows={"exp": {}}, inputs=inputs)
    store.write_operations(store.read_operations().with_entries(table, [Listed(cell=record.cell.id, key=record.key)]))
    return record


def test_cells_of_operations_come_along_with_the_bits_of_their_outputs_and_inputs(a_run, a_record, target) -> None:
    one, two = a_run("one", A), a_run("two", B)
    record = with_operation(two, a_record(cell=OPERATION.id, key=OPERATION.key))
    merge([one.folder, two.folder], target)
    assert target.read_operations() == two.read_operations()
    assert target.read(OPERATION.id, OPERATION.key) == record
    (table,) = target.read_operations().tables
    assert target.read_value(record.trajectories[0].columns[-1].digests[0]) == b"\0" * 135 + b"\1"
    assert target.read_value(table.inputs[0].digest) == b"\2" * 136
    assert target.sweep_values(remove=False) == (0, 0)


def test_two_folders_with_other_bits_for_one_cell_of_operations_are_refused(a_run, a_record, target) -> None:
    one, two = a_run("one", A), a_run("two", B)
    record = a_record(cell=OPERATION.id, key=OPERATION.key)
    for store, last in ((one, b"\1"), (two, b"\3")):
        with_operation(store, record, last)
    with pytest.raises(ResultsError, match=OPERATION.id):
        merge([one.folder, two.folder], target)
    assert not target.has_manifest
