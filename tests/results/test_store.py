"""The results folder: where things stand, what is refused, and how several become one."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from repromatrix.errors import ResultsError
from repromatrix.results.manifest import Column, Entry, Manifest, Published
from repromatrix.results.merge import merge
from repromatrix.results.record import Outcome, Record
from repromatrix.results.store import Store

ID = "tiny/numpy-2.0-cpu/parallel"
OTHER = "tiny/torch-3.0-cuda/auto@cuda0+avx2"
TABLE = Published(
    workload="tiny",
    columns=(Column(title="NumPy", framework="numpy", variant="parallel", predictions="unrolled"),),
    data={"losses": {"NumPy": ["0.5"]}},
)
MANIFEST = Manifest(
    profile="default",
    entries=(Entry(id=ID, key="a1" * 32, reason=None), Entry(id=OTHER, key=None, reason="not written for it")),
    published=(TABLE,),
    tolerances=(("float32", 1.3e-6, 1e-5, "somebody"),),
)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "results")


def test_a_record_stands_under_its_cell_and_its_key(store: Store, a_record: Callable[..., Record]) -> None:
    store.write(a_record())
    written = [path.relative_to(store.folder).as_posix() for path in store.folder.rglob("*") if path.is_file()]
    assert written == [f"records/{ID}/{'a1' * 8}.json"]
    assert store.read(ID, "a1" * 32) == a_record()


def test_another_key_is_another_question(store: Store, a_record: Callable[..., Record]) -> None:
    store.write(a_record())
    assert store.read(ID, "d4" * 32) is None
    assert store.read(OTHER, "a1" * 32) is None


def test_the_record_of_another_cell_in_a_file_is_told(store: Store, a_record: Callable[..., Record]) -> None:
    store.write(a_record())
    place = store.record_path(OTHER, "a1" * 32)
    place.parent.mkdir(parents=True)
    store.record_path(ID, "a1" * 32).rename(place)
    with pytest.raises(ResultsError, match=f"holds the record of {ID}") as caught:
        store.read(OTHER, "a1" * 32)
    assert caught.value.where == str(place)
    assert caught.value.hint.startswith("delete that file")


def test_the_record_of_another_key_in_a_file_is_told(store: Store, a_record: Callable[..., Record]) -> None:
    """Sixteen characters of the key name the file; all of them count."""
    store.write(a_record(key="a1" * 8 + "00" * 24))
    with pytest.raises(ResultsError, match="holds the record"):
        store.read(ID, "a1" * 32)


def test_a_damaged_record_is_told_with_its_path(store: Store, a_record: Callable[..., Record]) -> None:
    store.write(a_record())
    path = store.record_path(ID, "a1" * 32)
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(ResultsError) as caught:
        store.read(ID, "a1" * 32)
    assert caught.value.where == str(path)


OUTSIDE = ["../../etc/passwd", "/etc/passwd", "a/../../b", "a//b", "", ".", "a/./b", "a\\..\\b", "a/b\n", "a/.hidden"]


@pytest.mark.parametrize("place", OUTSIDE)
def test_no_name_leads_out_of_the_folder(store: Store, place: str) -> None:
    """A folder may come from anywhere: names in it are not to be trusted."""
    for lead_out in (lambda: store.record_path(place, "a1"), lambda: store.place_of_log(place)):
        with pytest.raises(ResultsError, match="not a place in a results folder"):
            lead_out()


def test_logs_stand_by_environment(store: Store) -> None:
    path = store.log_path("numpy-2.0-cpu", "default-cpu-1")
    assert store.relative(path) == "logs/numpy-2.0-cpu/default-cpu-1.log"
    assert store.place_of_log("logs/numpy-2.0-cpu/default-cpu-1.log") == path


# The manifest.

TEXT = st.text(max_size=8)


@given(
    profile=TEXT,
    entries=st.lists(st.builds(Entry, id=TEXT, key=st.none() | TEXT, reason=st.none() | TEXT), max_size=3).map(tuple),
    tolerances=st.lists(
        st.tuples(TEXT, st.floats(0, allow_infinity=False), st.floats(0, allow_infinity=False), TEXT), max_size=2
    ).map(tuple),
)
def test_a_manifest_is_read_back(tmp_path_factory, profile, entries, tolerances) -> None:
    store = Store(tmp_path_factory.getbasetemp() / "round-trip")
    manifest = Manifest(profile=profile, entries=entries, published=(TABLE,), tolerances=tolerances)
    store.write_manifest(manifest)
    assert store.read_manifest() == manifest


def test_without_a_manifest_there_is_no_run_to_report(store: Store) -> None:
    with pytest.raises(ResultsError, match="holds no finished run") as caught:
        store.read_manifest()
    assert caught.value.where == str(store.folder)
    assert caught.value.hint == "run first: make matrix"


def test_a_newer_manifest_is_refused(store: Store) -> None:
    store.write_manifest(MANIFEST)
    path = store.folder / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"format": 9}))
    with pytest.raises(ResultsError, match="format 9, this release reads format 1"):
        store.read_manifest()


@pytest.mark.parametrize(
    "damage",
    [
        b"",
        b"{}",
        b"[]",
        b"[" * 100_000,
        b'{"format": 1, "profile": "p", "entries": [{}]}',
        b'{"format": 1, "entries": 3}',
    ],
    ids=["empty", "no format", "a list", "deep", "empty entry", "no list"],
)
def test_a_damaged_manifest_is_told_with_its_path(store: Store, damage: bytes) -> None:
    store.folder.mkdir()
    path = store.folder / "manifest.json"
    path.write_bytes(damage)
    with pytest.raises(ResultsError, match="not a readable manifest") as caught:
        store.read_manifest()
    assert caught.value.where == str(path)


def test_an_entry_whose_id_is_no_text_is_damage(store: Store) -> None:
    store.write_manifest(MANIFEST)
    path = store.folder / "manifest.json"
    path.write_text(path.read_text().replace(f'"{ID}"', "5"))
    with pytest.raises(ResultsError, match="not a readable manifest"):
        store.read_manifest()


def test_records_come_in_the_order_of_the_manifest_and_the_missing_are_named(store: Store, a_record) -> None:
    there = [
        Entry(id=name, key="a1" * 32, reason=None) for name in ("tiny/b-1-cpu/x", "tiny/c-1-cpu/x", "tiny/a-1-cpu/x")
    ]
    for entry in (there[2], there[0]):
        store.write(a_record(cell=entry.id))
    left_out = Entry(id=OTHER, key=None, reason="not written for it")
    records, missing = store.records(Manifest(profile="p", entries=(*there, left_out), published=(), tolerances=()))
    assert [each.cell.id for each in records] == ["tiny/b-1-cpu/x", "tiny/a-1-cpu/x"]
    assert missing == ("tiny/c-1-cpu/x",)


# Several folders into one.


def _run(folder: Path, a_record: Callable[..., Record], *ids: str, log: str | None = None) -> Path:
    """Make a results folder with a record, and maybe a log, for each id."""
    store = Store(folder)
    for cell_id in ids:
        if log:
            store.place_of_log(log).parent.mkdir(parents=True, exist_ok=True)
            store.place_of_log(log).write_text("Segmentation fault\n")
            store.write(a_record(cell=cell_id, outcome=Outcome.FAILED, reason="x", trajectories=(), log=log))
        else:
            store.write(a_record(cell=cell_id))
    entries = tuple(Entry(id=cell_id, key="a1" * 32, reason=None) for cell_id in ids)
    store.write_manifest(Manifest(profile="nightly", entries=entries, published=(TABLE,), tolerances=()))
    return folder


def test_merged_folders_hold_the_cells_of_all_and_their_logs(tmp_path: Path, store: Store, a_record) -> None:
    one = _run(tmp_path / "one", a_record, "tiny/a-1-cpu/x")
    log = "logs/b-1-cpu/default-cpu-1.log"
    two = _run(tmp_path / "two", a_record, "tiny/b-1-cpu/x", log=log)
    merged = merge([one, two], store).manifest
    assert merged == store.read_manifest()
    assert [each.id for each in merged.entries] == ["tiny/a-1-cpu/x", "tiny/b-1-cpu/x"]
    assert merged.published == (TABLE,)
    assert store.records(merged)[1] == ()
    assert store.place_of_log(log).read_text() == "Segmentation fault\n"


def test_expected_cells_come_in_their_order_and_those_that_nobody_delivers_are_named(tmp_path, store, a_record) -> None:
    one, two = (_run(tmp_path / name, a_record, f"tiny/{name}-1-cpu/x") for name in ("a", "b"))
    merged = merge([one, two], store, ["tiny/b-1-cpu/x", "tiny/never-1-cpu/x", "tiny/a-1-cpu/x"])
    assert [each.id for each in merged.manifest.entries] == ["tiny/b-1-cpu/x", "tiny/never-1-cpu/x", "tiny/a-1-cpu/x"]
    assert merged.missing == ("tiny/never-1-cpu/x",)
    assert store.records(store.read_manifest())[1] == ("tiny/never-1-cpu/x",)


def test_a_cell_that_was_promised_and_has_no_record_is_missing_by_name(tmp_path, store, a_record) -> None:
    one = _run(tmp_path / "one", a_record, "tiny/a-1-cpu/x", "tiny/a-1-cpu/y")
    Store(one).record_path("tiny/a-1-cpu/y", "a1" * 32).unlink()
    merged = merge([one], store, ["tiny/a-1-cpu/x", "tiny/a-1-cpu/y"])
    assert merged.missing == ("tiny/a-1-cpu/y",)
    assert store.records(merged.manifest)[1] == ("tiny/a-1-cpu/y",)


def test_a_record_that_is_gone_is_missing_whoever_asked_for_it(tmp_path, store, a_record) -> None:
    one = _run(tmp_path / "one", a_record, "tiny/a-1-cpu/x", "tiny/a-1-cpu/y")
    Store(one).record_path("tiny/a-1-cpu/y", "a1" * 32).unlink()
    manifest = Store(one).read_manifest()
    left_out = Entry(id=OTHER, key=None, reason="not written for it")
    Store(one).write_manifest(replace(manifest, entries=(*manifest.entries, left_out)))
    assert merge([one], store).missing == ("tiny/a-1-cpu/y",)


def _delivered(folder: Path, record: Record | None, key: str = "a1" * 32) -> Path:
    if record:
        Store(folder).write(record)
    entry = Entry(id="tiny/a-1-cpu/x", key=record.key if record else key, reason=None)
    Store(folder).write_manifest(Manifest(profile="p", entries=(entry,), published=(), tolerances=()))
    return folder


def _other(record: Record) -> Record:
    (first,) = record.trajectories
    return replace(record, trajectories=(replace(first, losses=("0x1.0000000000000p+0", "nan")),))


@pytest.mark.parametrize("key", ["a1" * 32, "d4" * 32], ids=["the same key", "another key"])
def test_two_results_of_one_cell_are_a_conflict_and_nothing_is_written(tmp_path, store, a_record, key) -> None:
    one = _delivered(tmp_path / "one", a_record(cell="tiny/a-1-cpu/x"))
    two = _delivered(tmp_path / "two", _other(a_record(cell="tiny/a-1-cpu/x", key=key)))
    with pytest.raises(ResultsError, match="two different results of tiny/a-1-cpu/x") as caught:
        merge([one, two], store)
    assert str(one) in caught.value.what
    assert str(two) in caught.value.what
    assert caught.value.hint.endswith(f"repromatrix merge {one}")
    assert not store.folder.exists()


def test_two_keys_with_the_same_numbers_are_no_conflict_and_the_first_is_taken(tmp_path, store, a_record) -> None:
    one = _delivered(tmp_path / "one", a_record(cell="tiny/a-1-cpu/x"))
    two = _delivered(tmp_path / "two", a_record(cell="tiny/a-1-cpu/x", key="d4" * 32))
    assert [each.key for each in store.records(merge([one, two], store).manifest)[0]] == ["a1" * 32]


@pytest.mark.parametrize("key", ["a1" * 32, "d4" * 32], ids=["the same key", "another key"])
@pytest.mark.parametrize("worse", [*Outcome, None])
@pytest.mark.parametrize("first", [True, False])
def test_of_two_folders_the_cell_that_ran_is_taken(tmp_path, store, a_record, key, worse, first) -> None:
    good = _delivered(tmp_path / "good", a_record(cell="tiny/a-1-cpu/x"))
    bad = a_record(cell="tiny/a-1-cpu/x", key=key, outcome=worse, reason="why", trajectories=()) if worse else None
    if worse is Outcome.OK:
        bad = a_record(cell="tiny/a-1-cpu/x", key=key)
    other = _delivered(tmp_path / "bad", bad, key)
    merged = merge([good, other] if first else [other, good], store)
    (record,) = store.records(merged.manifest)[0]
    assert record.outcome is Outcome.OK
    assert merged.missing == ()


def test_a_failure_is_not_hidden_by_a_cell_that_was_not_run(tmp_path, store, a_record) -> None:
    words = {"cell": "tiny/a-1-cpu/x", "reason": "why", "trajectories": ()}
    one = _delivered(tmp_path / "one", a_record(outcome=Outcome.SKIPPED, **words))
    two = _delivered(tmp_path / "two", a_record(outcome=Outcome.FAILED, key="d4" * 32, **words))
    assert store.records(merge([one, two], store).manifest)[0][0].outcome is Outcome.FAILED


def test_tables_of_all_folders_are_kept(tmp_path: Path, store: Store, a_record) -> None:
    one, two = (_run(tmp_path / name, a_record, f"tiny/{name}-1-cpu/x") for name in ("a", "b"))
    other = Published(workload="other", columns=(), data={})
    Store(two).write_manifest(Manifest(profile="p", entries=(), published=(TABLE, other), tolerances=()))
    assert merge([one, two], store).manifest.published == (TABLE, other)


def test_a_log_that_is_gone_does_not_stop_a_merge(tmp_path: Path, store: Store, a_record) -> None:
    log = "logs/b-1-cpu/default-cpu-1.log"
    two = _run(tmp_path / "two", a_record, "tiny/b-1-cpu/x", log=log)
    (two / log).unlink()
    assert store.records(merge([two], store).manifest)[0][0].log == log


def test_a_log_outside_the_folder_is_not_copied(tmp_path: Path, store: Store, a_record) -> None:
    (tmp_path / "secret.log").write_text("secret")
    folder = _run(tmp_path / "evil", a_record, "tiny/a-1-cpu/x")
    Store(folder).write(a_record(cell="tiny/a-1-cpu/x", log="../secret.log"))
    with pytest.raises(ResultsError, match="not a place"):
        merge([folder], store)


def test_a_folder_whose_run_did_not_finish_is_named_and_does_not_stop_the_others(tmp_path, store, a_record) -> None:
    merged = merge([_run(tmp_path / "one", a_record, "tiny/a-1-cpu/x"), tmp_path / "absent"], store)
    assert merged.unfinished == (tmp_path / "absent",)
    assert [each.id for each in merged.manifest.entries] == ["tiny/a-1-cpu/x"]


def test_folders_that_all_hold_no_run_are_told(tmp_path: Path, store: Store) -> None:
    with pytest.raises(ResultsError, match="none of the folders holds a finished run") as caught:
        merge([tmp_path], store)
    assert caught.value.where == str(tmp_path)


def test_a_damaged_folder_stops_a_merge(tmp_path: Path, store: Store, a_record) -> None:
    one = _run(tmp_path / "one", a_record, "tiny/a-1-cpu/x")
    (one / "manifest.json").write_bytes(b"{")
    with pytest.raises(ResultsError, match="not a readable manifest"):
        merge([one], store)
