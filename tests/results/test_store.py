"""The results folder: where things stand, what is refused, and how several become one."""

import json
import os
import socket
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from repromatrix.errors import NewerFormatError, ResultsError
from repromatrix.results import files
from repromatrix.results.experiments import Experiments
from repromatrix.results.manifest import Column, Entry, Manifest, Published
from repromatrix.results.merge import merge
from repromatrix.results.record import Outcome, Record, encode
from repromatrix.results.replays import ReplayIndex
from repromatrix.results.store import Store
from repromatrix.results.trace import Trace
from repromatrix.results.value import Trajectory
from tests import values
from tests.results.conftest import CELL, TRAJECTORY
from tests.results.test_replay import a_replay

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
    assert store.write_manifest(manifest) == manifest
    assert store.read_manifest() == manifest


def test_without_a_manifest_there_is_no_run_to_report(store: Store) -> None:
    with pytest.raises(ResultsError, match="holds no finished run") as caught:
        store.read_manifest()
    assert caught.value.where == str(store.folder)
    assert caught.value.hint == "run first: make matrix"


@pytest.mark.parametrize(("number", "way_out"), [(1, "run the cells again into another folder"), (9, "update repro")])
def test_another_manifest_is_refused_with_a_way_out(store: Store, number: int, way_out: str) -> None:
    store.write_manifest(MANIFEST)
    path = store.folder / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"format": number}))
    with pytest.raises(NewerFormatError, match=f"format {number}, this release reads format 2") as caught:
        store.read_manifest()
    assert caught.value.hint.startswith(way_out)
    assert caught.value.where == str(path)


@pytest.mark.parametrize(
    "damage",
    [
        b"",
        b"{}",
        b"[]",
        b"[" * 100_000,
        b'{"format": 2, "profile": "p", "entries": [{}]}',
        b'{"format": 2, "entries": 3}',
        b'{"format": 2, "entries": ' + b"[" * 100_000,
    ],
    ids=["empty", "no format", "a list", "deep", "empty entry", "no list", "deep entries"],
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


# The digests of the manifest.


def _whole_folder(folder: Path, a_record: Callable[..., Record]) -> Store:
    """A folder with one of each: a record, its trace, a replay, and the manifest that names them."""
    store = Store(folder)
    store.write(a_record())
    trace = Trace(cell=CELL, key="f6" * 32, trajectory=TRAJECTORY, untraced=())
    store.write_trace(trace)
    store.write_replay(a_replay())
    store.write_manifest(replace(MANIFEST, entries=(replace(MANIFEST.entries[0], trace=trace.key),)))
    return store


def _read_all(folder: Path) -> None:
    """Read all that a report reads."""
    store = Store(folder)
    manifest = store.read_manifest()
    store.records(manifest)
    store.traces(manifest)
    store.read_replay(CELL.id, a_replay().key)
    store.read_experiments()
    store.read_replay_index()


def test_the_manifest_names_every_file_with_its_digest(tmp_path: Path, a_record) -> None:
    store = _whole_folder(tmp_path, a_record)
    written = sorted(path for path in tmp_path.rglob("*") if path.is_file() and path.name != "manifest.json")
    assert store.read_manifest().files == tuple(
        (path.relative_to(tmp_path).as_posix(), sha256(path.read_bytes()).hexdigest()) for path in written
    )
    assert len(written) == 3


def test_a_record_that_somebody_wrote_over_is_noticed_although_it_is_whole(tmp_path: Path, a_record) -> None:
    store = _whole_folder(tmp_path, a_record)
    Path(store.record_path(ID, "a1" * 32)).write_bytes(encode(_other(a_record())))
    with pytest.raises(ResultsError, match="is not the one of the run: its bytes have changed since"):
        _read_all(tmp_path)


LATER = {
    "experiments": lambda store: store.write_experiments(Experiments()),
    "index": lambda store: store.write_replay_index(ReplayIndex()),
    "a new file": lambda store: store.write_replay(a_replay(key="77" * 32)) or store.seal(),
    "another run": lambda store: store.write_manifest(MANIFEST),
}


@pytest.mark.parametrize("later", LATER.values(), ids=LATER)
def test_what_is_damaged_is_not_taken_for_good_by_what_is_written_later(tmp_path: Path, a_record, later) -> None:
    store = _whole_folder(tmp_path, a_record)
    path = store.record_path(ID, "a1" * 32)
    path.write_bytes(encode(_other(a_record())))
    later(Store(tmp_path))
    with pytest.raises(ResultsError, match="its bytes have changed since"):
        _read_all(tmp_path)


def test_what_replaces_a_file_is_told_to_the_manifest_and_to_whoever_has_read_it(tmp_path: Path, a_record) -> None:
    """A failed cell runs again under its key: `repromatrix cell` writes the record, and no manifest of its own."""
    _whole_folder(tmp_path, a_record)
    reader, writer = Store(tmp_path), Store(tmp_path)
    assert reader.read(ID, "a1" * 32) == a_record()
    writer.write(_other(a_record()))
    assert reader.read(ID, "a1" * 32) == writer.read(ID, "a1" * 32) == _other(a_record())
    _read_all(tmp_path)


def test_the_same_again_leaves_the_manifest_alone(tmp_path: Path, a_record, monkeypatch) -> None:
    store = _whole_folder(tmp_path, a_record)
    monkeypatch.setattr(Store, "write_manifest", None)
    before = (tmp_path / "manifest.json").stat().st_mtime_ns, (tmp_path / "manifest.json").stat().st_ino
    store.write(a_record())
    store.seal()
    assert before == ((tmp_path / "manifest.json").stat().st_mtime_ns, (tmp_path / "manifest.json").stat().st_ino)


def test_without_a_manifest_there_are_no_digests_to_hold_files_against(store: Store, a_record) -> None:
    store.write(a_record())
    store.write(_other(a_record()))
    store.seal()
    assert store.read(ID, "a1" * 32) == _other(a_record())
    assert not store.has_manifest


# Values by their digests.


def test_the_bits_of_a_value_stand_once_under_their_digest(store: Store) -> None:
    digest = store.write_value(b"bits")
    assert store.write_value(b"bits") == digest == sha256(b"bits").hexdigest()
    assert [path.relative_to(store.folder).as_posix() for path in store.folder.rglob("*") if path.is_file()] == [
        f"values/{digest[:2]}/{digest}"
    ]
    assert store.read_value(digest) == b"bits"
    assert store.read_value("0" * 64) is None


def test_bits_that_are_not_those_of_their_name_are_told(store: Store) -> None:
    digest = store.write_value(b"bits")
    path = store.folder / "values" / digest[:2] / digest
    path.write_bytes(b"bats")
    with pytest.raises(ResultsError, match="not those of its name") as caught:
        store.read_value(digest)
    assert caught.value.where == str(path)


def test_values_that_no_trace_of_the_run_names_are_swept(tmp_path: Path, a_record) -> None:
    store = _whole_folder(tmp_path, a_record)
    kept, gone = store.write_value(b"kept"), store.write_value(b"gone")
    large = values.Column(name="w", role="trace", dtype="float64", shape=(17,), digests=(kept, kept))
    columns = (large, *TRAJECTORY.columns)
    store.write_trace(Trace(cell=CELL, key="f6" * 32, trajectory=Trajectory(columns=columns), untraced=()))
    store.seal()
    assert store.sweep_values(remove=False) == (1, 4)
    assert store.read_value(gone) == b"gone"
    assert store.sweep_values() == (1, 4)
    assert (store.read_value(kept), store.read_value(gone)) == (b"kept", None)
    assert store.sweep_values() == (0, 0)
    assert [name for name, _ in store.read_manifest().files if name.startswith("values/")] == [
        f"values/{kept[:2]}/{kept}"
    ]


def test_values_are_not_swept_where_it_cannot_be_told_which_are_named(tmp_path: Path, a_record) -> None:
    store = _whole_folder(tmp_path, a_record)
    gone = store.write_value(b"gone")
    store.trace_path(ID, "f6" * 32).write_bytes(b"{")
    with pytest.raises(ResultsError):
        store.sweep_values()
    assert store.read_value(gone) == b"gone"


# Folders of others: nothing but regular files.


def _link_to_itself(path: Path) -> None:
    path.rename(path.with_suffix(".real"))
    path.symlink_to(path.with_suffix(".real"))


def _replace_by(make: Callable[[Path], None]) -> Callable[[Path], None]:
    def replaced(path: Path) -> None:
        path.unlink()
        make(path)

    return replaced


def _bind(path: Path) -> None:
    here = Path.cwd()
    os.chdir(path.parent)  # a socket's path is short
    try:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(path.name)
    finally:
        os.chdir(here)


SPECIAL = {
    "a link to the file itself": _link_to_itself,
    "a link to nothing": _replace_by(lambda path: path.symlink_to("nowhere")),
    "a link to /dev/zero": _replace_by(lambda path: path.symlink_to("/dev/zero")),
    "a FIFO": _replace_by(os.mkfifo),
    "a folder": _replace_by(Path.mkdir),
    "a socket": _replace_by(_bind),
}


@pytest.mark.parametrize("name", ["records", "traces", "replays", "experiments.json", "replays.json"])
@pytest.mark.parametrize("special", SPECIAL.values(), ids=SPECIAL)
def test_what_is_no_regular_file_is_refused_with_its_path(tmp_path: Path, a_record, special, name: str) -> None:
    folder = tmp_path / "theirs"
    store = _whole_folder(folder, a_record)
    store.write_experiments(Experiments())
    store.write_replay_index(ReplayIndex())
    (path,) = (each for each in folder.rglob("*") if name in each.parts and each.is_file())
    special(path)
    with pytest.raises(ResultsError) as caught:
        _read_all(folder)
    assert caught.value.where == str(path)
    target = Store(tmp_path / "merged")
    if name != "replays":  # no pair names it, so nobody asks for it
        with pytest.raises(ResultsError):
            merge([folder], target)
        assert not target.folder.exists()


@pytest.mark.parametrize("special", SPECIAL.values(), ids=SPECIAL)
def test_a_manifest_that_is_no_regular_file_is_no_run(tmp_path: Path, a_record, special) -> None:
    store = _whole_folder(tmp_path / "theirs", a_record)
    special(store.folder / "manifest.json")
    with pytest.raises(ResultsError):
        Store(store.folder).read_manifest()
    with pytest.raises(ResultsError):
        merge([store.folder], Store(tmp_path / "merged"))
    assert not (tmp_path / "merged").exists()


def test_a_file_beyond_the_limit_is_refused(store: Store, a_record, monkeypatch) -> None:
    store.write(a_record())
    monkeypatch.setattr(files, "MOST_BYTES", 100)
    with pytest.raises(ResultsError, match="larger than 100 bytes"):
        store.read(ID, "a1" * 32)


def test_what_is_under_way_or_a_link_is_not_in_the_manifest(tmp_path: Path, a_record) -> None:
    store = _whole_folder(tmp_path, a_record)
    before = store.read_manifest().files
    path = store.record_path(ID, "a1" * 32)
    (path.parent / ".half.part").write_bytes(b"{")
    (path.parent / "link.json").symlink_to("/dev/zero")
    os.mkfifo(path.parent / "pipe.json")
    store.seal()
    assert store.read_manifest().files == before


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
    other = values.with_column(record.trajectories[0], "loss", texts=("0x1.0000000000000p+0", "nan"))
    return replace(record, trajectories=(other,))


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


def _failed_with(log: str, a_record: Callable[..., Record], folder: Path) -> Store:
    """A folder whose one cell failed, with a log of that name."""
    store = Store(folder)
    record = a_record(cell="tiny/a-1-cpu/x", outcome=Outcome.FAILED, reason="x", trajectories=(), log=log)
    _delivered(folder, record)
    return store


@pytest.mark.parametrize(
    "log",
    [
        "../secret.log",
        "/etc/passwd",
        "logs/../secret.log",
        "manifest.json",
        f"records/tiny/b-1-cpu/x/{'a1' * 8}.json",
        "logs/a-1-cpu/x.json",
        "logs/x.log",
        "logs/a-1-cpu/.x.log",
    ],
)
def test_a_record_whose_log_is_none_is_refused_and_nothing_is_written(tmp_path, store, a_record, log: str) -> None:
    (tmp_path / "secret.log").write_text("secret")
    evil = _failed_with(log, a_record, tmp_path / "evil")
    good = _run(tmp_path / "good", a_record, "tiny/b-1-cpu/x")
    for folders in ([evil.folder, good], [good, evil.folder]):
        with pytest.raises(ResultsError, match="a log in") as caught:
            merge(folders, store)
        assert caught.value.where == str(evil.record_path("tiny/a-1-cpu/x", "a1" * 32))
        assert not store.folder.exists()


def test_a_record_cannot_bring_another_one_along(tmp_path: Path, store: Store, a_record) -> None:
    """Attack 1: a forged record of a cell of another folder, which the `log` of an own record names."""
    good = _run(tmp_path / "good", a_record, "tiny/b-1-cpu/x")
    evil = _run(tmp_path / "evil", a_record, "tiny/a-1-cpu/x")
    forged = Store(evil).record_path("tiny/b-1-cpu/x", "a1" * 32)
    forged.parent.mkdir(parents=True)
    forged.write_bytes(encode(_other(a_record(cell="tiny/b-1-cpu/x"))))
    merge([good, evil], store)
    assert store.read("tiny/b-1-cpu/x", "a1" * 32) == a_record(cell="tiny/b-1-cpu/x")


LOG = "logs/a-1-cpu/default-cpu-1.log"
SPECIAL_LOGS = {
    "a link to a secret": lambda path, secret: path.symlink_to(secret),
    "a link to /dev/zero": lambda path, _: path.symlink_to("/dev/zero"),
    "a FIFO": lambda path, _: os.mkfifo(path),
    "a folder": lambda path, _: path.mkdir(),
}


@pytest.mark.parametrize("special", SPECIAL_LOGS.values(), ids=SPECIAL_LOGS)
def test_a_log_that_is_no_regular_file_is_not_copied(tmp_path: Path, store: Store, a_record, special) -> None:
    (tmp_path / "secret").write_text("secret")
    evil = _failed_with(LOG, a_record, tmp_path / "evil")
    evil.place_of_log(LOG).parent.mkdir(parents=True)
    special(evil.place_of_log(LOG), tmp_path / "secret")
    with pytest.raises(ResultsError) as caught:
        merge([evil.folder], store)
    assert caught.value.where == str(evil.folder / LOG)
    assert not store.folder.exists()


@pytest.mark.parametrize("linked", ["logs", "logs/a-1-cpu"])
def test_a_log_in_a_folder_that_is_elsewhere_is_not_copied(tmp_path: Path, store: Store, a_record, linked: str) -> None:
    secret = tmp_path / "secrets" / LOG.removeprefix(linked).strip("/")
    secret.parent.mkdir(parents=True)
    secret.write_text("secret")
    evil = _failed_with(LOG, a_record, tmp_path / "evil")
    (evil.folder / linked).parent.mkdir(exist_ok=True)
    (evil.folder / linked).symlink_to(tmp_path / "secrets")
    assert (evil.folder / LOG).read_text() == "secret"
    with pytest.raises(ResultsError, match="leads out") as caught:
        merge([evil.folder], store)
    assert caught.value.where == str(evil.folder / LOG)
    assert not store.folder.exists()


def test_a_results_folder_may_itself_be_a_link(tmp_path: Path, store: Store, a_record) -> None:
    _run(tmp_path / "one", a_record, "tiny/a-1-cpu/x", log=LOG)
    (tmp_path / "link").symlink_to(tmp_path / "one")
    merge([tmp_path / "link"], store)
    assert store.place_of_log(LOG).read_text() == "Segmentation fault\n"


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


def test_what_killed_runs_left_half_written_goes_with_the_next_run(tmp_path: Path, a_record) -> None:
    store = _whole_folder(tmp_path, a_record)
    left = store.record_path(ID, "a1" * 32).parent / ".half_one.part"
    left.write_bytes(b"{")
    store.write_manifest(MANIFEST)
    assert not left.exists()


def test_a_folder_whose_writer_was_killed_before_it_sealed_it_is_sealed_by_the_next_one(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.write_manifest(MANIFEST)
    with monkeypatch.context() as patch:
        patch.setattr(Store, "seal", lambda _: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            store.write_experiments(Experiments())
    after = Store(store.folder)
    after.read_experiments()  # as it is to be: nothing is written again
    after.seal_written()
    assert "experiments.json" in dict(after.read_manifest().files)
    assert not [name for name, _ in after.read_manifest().files if name.endswith(".next")]
