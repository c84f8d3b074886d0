"""Every single bit of every file of a results folder, and of an accepted run, is noticed by the file's name.

Each 61st bit in every test, all of them with `--every-bit`.
"""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from repromatrix.errors import RepromatrixError, ResultsError
from repromatrix.report.gather import gather
from repromatrix.results import accepted as baseline
from repromatrix.results import files
from repromatrix.results.experiments import Experiments, Pair, Run
from repromatrix.results.manifest import Entry, Manifest
from repromatrix.results.merge import merge
from repromatrix.results.record import Outcome
from repromatrix.results.replay import Replay, digest, sample
from repromatrix.results.replays import ListedCell, ReplayIndex
from repromatrix.results.store import Store
from repromatrix.results.trace import Trace
from repromatrix.results.value import Trajectory
from tests import values
from tests.results.conftest import CELL, RECORD, TRAJECTORY

KEY, TRACE, REPLAY = "a1" * 32, "b2" * 32, "c3" * 32
SAMPLE = sample({"p": [0.5, 0.25], "b": [1.0, 1.0]})
STEP = 61  # a prime, so that every bit of a byte has its turn


REPLAY_OF_CELL = Replay(
    cell=CELL,
    key=REPLAY,
    operation="bias",
    inputs=digest([SAMPLE]),
    places=(),
    numbers=(("rate", "0.5"),),
    trace=None,
    begin=None,
    origins=(),
    samples=(),
    seed=0,
    outcome=Outcome.OK,
    reason=None,
    options=(("gradient", "manual"),),
    outputs=(("bias", (((0.5).hex(), "nan"),)),),
)


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    """A results folder with a file of every kind, and an accepted run."""
    folder = tmp_path_factory.mktemp("whole")
    store, other = Store(folder / "results"), replace(RECORD, cell=replace(CELL, id=f"{CELL.id}~1"), key="d4" * 32)
    store.write(RECORD)
    store.write(other)
    bits = store.write_value(b"\0" * 17)
    large = values.Column(name="w", role="trace", dtype="float64", shape=(17,), digests=(bits, bits))
    traced = Trajectory(columns=(large, *TRAJECTORY.columns))
    store.write_trace(Trace(cell=CELL, key=TRACE, trajectory=traced, untraced=()))
    store.write_replay(REPLAY_OF_CELL)
    entry = Entry(id=CELL.id, key=KEY, reason=None, trace=TRACE)
    manifest = store.write_manifest(Manifest(profile="p", entries=(entry,), published=(), tolerances=()))
    a, b = Run(id=CELL.id, key=KEY), Run(id=other.cell.id, key=other.key)
    pair = Pair(a=a, b=b, of=("asked",), factors=(), flips=(), conditions=(), budget=2, spent=2, exhausted=False)
    store.write_experiments(Experiments(pairs=(pair,)))
    listed = ListedCell(cell=CELL.id, environment=CELL.environment, fresh=(("bias", REPLAY),))
    store.write_replay_index(ReplayIndex(listed=(listed,)))
    baseline.write(baseline.accept(manifest, [RECORD, other]), folder / "accepted.json")
    return folder


def _read(folder: Path) -> None:
    """Read all that a report is made of, the bits of values too."""
    accepted = baseline.find(folder / "accepted.json", required=True)
    store = Store(folder / "results")
    evidence = gather(store, accepted)
    for trace in evidence.traces.values():
        for name in {name for column in trace.trajectory.columns for name in column.digests}:
            store.read_value(name)


KINDS = ("records", "traces", "replays", "values", "manifest.json", "experiments.json", "replays.json", "accepted.json")


@pytest.mark.parametrize("kind", KINDS)
def test_each_bit_is_noticed_by_the_name_of_its_file(whole: Path, tmp_path: Path, kind: str, every_bit: bool) -> None:
    folder = shutil.copytree(whole, tmp_path / "copy")
    paths = sorted(path for path in folder.rglob("*") if path.is_file() and kind in path.parts)
    assert paths
    _read(folder)
    for path in paths:
        data = path.read_bytes()
        for place in range(0, 8 * len(data), 1 if every_bit else STEP):
            changed = bytearray(data)
            changed[place // 8] ^= 1 << place % 8
            path.write_bytes(changed)
            with pytest.raises(RepromatrixError) as caught:
                _read(folder)
            assert caught.value.where == str(path), place
            assert caught.value.hint
        path.write_bytes(data)
    _read(folder)


@pytest.mark.parametrize("kind", ["records", "experiments.json", "replays.json"])
def test_what_is_damaged_is_not_sealed_as_if_it_were_right(whole: Path, tmp_path: Path, kind: str) -> None:
    folder = shutil.copytree(whole, tmp_path / "copy")
    path = next(path for path in sorted(folder.rglob("*")) if path.is_file() and kind in path.parts)
    path.write_bytes(path.read_bytes().replace(b"numpy", b"numpz"))
    Store(folder / "results").seal()
    with pytest.raises(ResultsError, match="bytes have changed since"):
        _read(folder)


@pytest.mark.parametrize("written", [False, True], ids=["before the file", "after the file"])
def test_a_kill_between_a_file_that_is_rewritten_and_the_manifest_leaves_a_whole_folder(
    whole: Path, tmp_path: Path, monkeypatch, written: bool
) -> None:
    folder = shutil.copytree(whole, tmp_path / "copy")
    store = Store(folder / "results")
    write = files.write

    def killed(path: Path, data: bytes, what: str) -> None:
        if path.name == "experiments.json" and not written:
            raise KeyboardInterrupt
        write(path, data, what)

    monkeypatch.setattr(files, "write", killed)
    monkeypatch.setattr(Store, "seal", lambda _: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        store.write_experiments(Experiments())
    monkeypatch.undo()
    _read(folder)
    assert bool(Store(folder / "results").read_experiments().pairs) is not written
    Store(folder / "results").write_experiments(Experiments())
    assert [name for name, _ in Store(folder / "results").read_manifest().files if ".next" in name] == []


def test_an_accepted_run_of_an_earlier_release_tells_no_digest_and_is_read(whole: Path, tmp_path: Path) -> None:
    document = json.loads((whole / "accepted.json").read_bytes())
    del document["sha256"]
    (tmp_path / "accepted.json").write_text(json.dumps(document))
    assert baseline.read(tmp_path / "accepted.json") == baseline.read(whole / "accepted.json")


def test_what_is_no_id_of_a_cell_is_told_before_a_merge_writes(whole: Path, tmp_path: Path) -> None:
    with pytest.raises(ResultsError, match="not a place in a results folder"):
        merge([whole / "results"], Store(tmp_path / "merged"), expected=["../../x"])
    assert not (tmp_path / "merged").exists()
