"""The results folder: one JSON per cell and key, logs beside them, and the manifest of the latest run.

    results/manifest.json                 the cells of the latest run, in order, each with its key
    results/impact.json                   likewise those that `impact` looked at, each with its latest key
    results/records/<cell id>/<key>.json  immutable
    results/traces/<cell id>/<key>.json   immutable; what a traced run computed on the way
    results/replays/<cell id>/<key>.json  immutable; what an operation gave on inputs of its own
    results/values/<ab>/<SHA-256>         the bits of a large value: of a trace where asked for, of operations
    results/experiments.json              what was tried to explain pairs of cells
    results/replays.json                  whose operations were replayed, and which replays tell of them
    results/operations.json               which cells ran the workload `operations`, and its table
    results/logs/<environment>/*.log      standard error of the containers

The only module that knows this layout. Writes are atomic; a newer release's files are refused.
"""

import os
import re
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

from repromatrix import resources
from repromatrix.errors import ResultsError
from repromatrix.results import experiments as tried
from repromatrix.results import files
from repromatrix.results import manifest as manifests
from repromatrix.results import operations as computed
from repromatrix.results import replay as replays
from repromatrix.results import replays as replays_index
from repromatrix.results import trace as traces
from repromatrix.results.experiments import Experiments
from repromatrix.results.files import KeyedT, Sort
from repromatrix.results.manifest import Manifest
from repromatrix.results.record import Record, decode, encode
from repromatrix.results.replay import Replay
from repromatrix.results.replays import CellReplays, Keys, ReplayedCell, ReplayIndex
from repromatrix.results.trace import Trace

KEY_CHARACTERS = 16
_SEALED = ("records", "replays", "traces", "values")  # whose files the manifest names with their digests
_AGAIN = {
    "explain": "delete that file and explain again: repromatrix explain",
    "operations": "delete that file and run them again: repromatrix operations",
}
_REWRITTEN = ("experiments.json", "operations.json", "replays.json")  # which the manifest names too, and which change
_NEXT = ".next"  # beside the name of one: the digest that it is about to have
# What a cell id, a key or a log may add to a path; a folder may come from anywhere, so none of it may lead out.
_PLACE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+@~-]*(/[A-Za-z0-9_][A-Za-z0-9._+@~-]*)*")
_RECORD = Sort(name="record", encode=encode, decode=decode, again="delete that file and run the cell again")
_TRACE = Sort(
    name="trace",
    encode=traces.encode,
    decode=traces.decode,
    again="delete that file and run again: repromatrix run --trace",
)
_REPLAY = Sort(
    name="replay",
    encode=replays.encode,
    decode=replays.decode,
    again="delete that file and ask again: repromatrix explain or repromatrix operations",
)


class Store:
    """Reads and writes one results folder.

    Whatever it writes, it writes atomically, and raises `ResultsError` where the disk is full or the folder cannot be
    written to.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._digests: dict[str, str] | None = None
        self._unsealed = False  # whether files were written here that the manifest may not name

    def record_path(self, cell_id: str, key: str) -> Path:
        """Return where the record of that cell and key stands."""
        return self._place("records", cell_id, f"{key[:KEY_CHARACTERS]}.json")

    def trace_path(self, cell_id: str, key: str) -> Path:
        """Return where the trace of that cell and key stands."""
        return self._place("traces", cell_id, f"{key[:KEY_CHARACTERS]}.json")

    def replay_path(self, cell_id: str, key: str) -> Path:
        """Return where the replay of that cell and key stands."""
        return self._place("replays", cell_id, f"{key[:KEY_CHARACTERS]}.json")

    def log_path(self, environment: str, name: str) -> Path:
        """Return where a log of an environment stands."""
        return self._place("logs", environment, f"{name}.log")

    def place_of_log(self, log: str) -> Path:
        """Return where the log that a record names stands."""
        return self._place(log)

    def relative(self, path: Path) -> str:
        """Return a path of this folder as it stands in records: relative, with slashes."""
        return path.relative_to(self.folder).as_posix()

    def write(self, record: Record) -> None:
        """Write a record."""
        self._write(_RECORD, self.record_path(record.cell.id, record.key), record)

    def read(self, cell_id: str, key: str) -> Record | None:
        """Return the record of that cell and key, or None.

        Raises:
            ResultsError: it is there and cannot be read.
        """
        return self._read(_RECORD, self.record_path(cell_id, key), cell_id, key)

    def write_trace(self, trace: Trace) -> None:
        """Write a trace."""
        self._write(_TRACE, self.trace_path(trace.cell.id, trace.key), trace)

    def read_trace(self, cell_id: str, key: str) -> Trace | None:
        """Return the trace of that cell and key, or None.

        Raises:
            ResultsError: it is there and cannot be read.
        """
        return self._read(_TRACE, self.trace_path(cell_id, key), cell_id, key)

    def write_replay(self, replay: Replay) -> None:
        """Write a replay."""
        self._write(_REPLAY, self.replay_path(replay.cell.id, replay.key), replay)

    def read_replay(self, cell_id: str, key: str) -> Replay | None:
        """Return the replay of that cell and key, or None.

        Raises:
            ResultsError: it is there and cannot be read.
        """
        return self._read(_REPLAY, self.replay_path(cell_id, key), cell_id, key)

    def write_value(self, data: bytes) -> str:
        """Write the bits of a value and return their SHA-256; equal values are one file."""
        digest = sha256(data).hexdigest()
        path = self._value_path(digest)
        if not path.is_file():
            files.write(path, data, "the value")
        return digest

    def read_value(self, digest: str) -> bytes | None:
        """Return the bits of a value by their SHA-256, or None.

        Raises:
            ResultsError: they are there and are not what they are called.
        """
        path = self._value_path(digest)
        data = files.read(path, "the value")
        if data is not None and sha256(data).hexdigest() != digest:
            raise ResultsError(
                "the value's bytes are not those of its name",
                where=str(path),
                hint="delete that file and fetch it again",
            )
        return data

    def sweep_values(self, *, remove: bool = True) -> tuple[int, int]:
        """Remove the values that neither a trace of the latest run nor an operation names.

        Return how many they are, and their bytes.

        Raises:
            ResultsError: there is no run, or a trace cannot be read; then nothing is removed.
        """
        manifest = self.read_manifest()
        there = [path for path in sorted((self.folder / "values").rglob("*")) if _whole(path)]
        columns = [column for trace in self.traces(manifest).values() for column in trace.trajectory.columns]
        named = {digest for column in columns for digest in column.digests} | self._digests_of_operations()
        gone = [path for path in there if path.name not in named]
        size = sum(path.stat().st_size for path in gone)
        for path in gone if remove else ():
            path.unlink(missing_ok=True)
        if gone and remove:
            self.seal()
        return len(gone), size

    def _digests_of_operations(self) -> set[str]:
        """Return the digests of the values that operations were given and gave."""
        listing = self.read_operations()
        records = [self.read(entry.cell, entry.key) for entry in listing.entries]
        columns = [c for record in records if record for each in record.trajectories for c in each.columns]
        given = {each.digest for table in listing.tables for each in table.inputs}
        return given | {digest for column in columns for digest in column.digests}

    def _value_path(self, digest: str) -> Path:
        return self._place("values", digest[:2], digest)

    def read_log(self, log: str) -> bytes | None:
        """Return the content of the log that a record names, or None.

        Raises:
            ResultsError: it is there and cannot be read, or a linked folder leads out of this one.
        """
        path = self.place_of_log(log)
        if not path.parent.resolve().is_relative_to(self.folder.resolve()):
            raise ResultsError(
                "the log is in a linked folder that leads out of the results",
                where=str(path),
                hint="these results were not written by repromatrix; do not use them",
            )
        return files.read(path, "the log")

    def adopt(self, record: Record, source: "Store") -> None:
        """Write a record of another folder here, with its log where there is one."""
        log = source.read_log(record.log) if record.log else None
        if record.log and log is not None:
            files.write(self.place_of_log(record.log), log, "the log")
        self.write(record)  # last: a record's log is there before it

    def traces(self, manifest: Manifest) -> dict[str, Trace]:
        """Return the traces that a manifest names and that are there, by cell id in its order.

        Raises:
            ResultsError: one of them cannot be read.
        """
        found = {each.id: self.read_trace(each.id, each.trace) for each in manifest.entries if each.trace is not None}
        return {cell_id: trace for cell_id, trace in found.items() if trace is not None}

    def records(self, manifest: Manifest) -> tuple[tuple[Record, ...], tuple[str, ...]]:
        """Return the records of a manifest's cells in its order, and the ids of those that are missing."""
        found, missing = [], []
        for entry in manifest.entries:
            if entry.key is None:
                continue
            record = self.read(entry.id, entry.key)
            if record is None:
                missing.append(entry.id)
            else:
                found.append(record)
        return tuple(found), tuple(missing)

    def write_replay_index(self, index: ReplayIndex) -> None:
        """Write whose operations were replayed."""
        self._rewrite(replays_index.FILE, replays_index.encode(index), "the replayed operations")

    def read_replay_index(self) -> ReplayIndex:
        """Return whose operations were replayed; nobody's where none were.

        Raises:
            ResultsError: the file is there and cannot be read, or an older release wrote one.
        """
        path, former = self._place(replays_index.FILE), self._place(replays_index.FORMER)
        data = self._read_rewritten(path, "the replayed operations", _AGAIN["explain"])
        if data is not None:
            return replays_index.decode(data, str(path))
        if former.exists():
            replays_index.refuse_former(str(former))
        return ReplayIndex()

    def replays_of(self, cell: ReplayedCell) -> CellReplays | None:
        """Return what the files say that a replayed cell names; None if one of them is not there.

        Raises:
            ResultsError: one of them cannot be read.
        """
        record, trace = self.read(cell.cell, cell.record), self.read_trace(cell.cell, cell.trace)
        own, other = (self.read_replay(cell.cell, key) for key in (cell.own, cell.other))
        recorded, fresh = (self.replays(cell.cell, keys) for keys in (cell.recorded, cell.fresh))
        if record is None or trace is None or own is None or other is None or recorded is None or fresh is None:
            return None
        return CellReplays(record=record, trace=trace, own=own, other=other, recorded=recorded, fresh=fresh)

    def replays(self, cell_id: str, keys: Keys) -> dict[str, Replay] | None:
        """Return the replays of a cell by the names that they are given here; None if one of them is not there.

        Raises:
            ResultsError: one of them cannot be read.
        """
        found = {name: self.read_replay(cell_id, key) for name, key in keys}
        there = {name: each for name, each in found.items() if each is not None}
        return there if len(there) == len(found) else None

    def write_operations(self, listing: computed.Listing) -> None:
        """Write which cells ran the workload `operations`."""
        self._rewrite("operations.json", computed.encode(listing), "the list of operations")

    def read_operations(self) -> computed.Listing:
        """Return which cells ran the workload `operations`; none where none did.

        Raises:
            ResultsError: the file is there and cannot be read.
        """
        path = self._place("operations.json")
        data = self._read_rewritten(path, "the list of operations", _AGAIN["operations"])
        return computed.Listing() if data is None else computed.decode(data, str(path))

    def write_experiments(self, experiments: Experiments) -> None:
        """Write the experiments."""
        self._rewrite("experiments.json", tried.encode(experiments), "the experiments")

    def read_experiments(self) -> Experiments:
        """Return what was tried, nothing where no pair was explained.

        Raises:
            ResultsError: it is there and cannot be read.
        """
        path = self._place("experiments.json")
        data = self._read_rewritten(path, "the experiments", _AGAIN["explain"])
        return Experiments() if data is None else tried.decode(data, str(path))

    def records_of(self, experiments: Experiments) -> dict[str, Record]:
        """Return, by key, the records that experiments stand on, as far as they are there.

        Raises:
            ResultsError: one of them cannot be read.
        """
        runs = dict.fromkeys(run for pair in experiments.pairs for run in pair.runs)
        found = ((run.key, self.read(run.id, run.key)) for run in runs)
        return {key: record for key, record in found if record is not None}

    def sha256(self) -> str:
        """Return the SHA-256 over all files that answers stand on: everything but the logs.

        Raises:
            OSError: one of them cannot be read.
        """
        return resources.tree_sha256(self.folder, without=("logs",))

    @property
    def has_manifest(self) -> bool:
        """Whether a run finished here, or something else is called as its manifest is, which reading it tells."""
        return os.path.lexists(self._manifest_path)

    def write_manifest(self, manifest: Manifest) -> Manifest:
        """Write the manifest of a run, with the digest of every file that is there, and return it."""
        resources.sweep_parts(self.folder.rglob(".*"))
        return self._write_manifest(replace(manifest, files=self._sealed()))

    def write_impact(self, manifest: Manifest) -> None:
        """Add the cells that `impact` looked at to those that it looked at before; of one id the latest key counts."""
        merged = manifests.merged(self.read_impact(), manifest)
        if merged != self.read_impact():
            files.write(self._place("impact.json"), manifests.encode(merged), "the list of what impact looked at")

    def read_impact(self) -> Manifest | None:
        """Return the cells that `impact` looked at, None where it never did.

        Raises:
            ResultsError: the list is there and cannot be read.
        """
        path = self._place("impact.json")
        data = files.read(path, "the list of what impact looked at")
        return None if data is None else manifests.decode(data, str(path))

    def seal(self) -> None:
        """Write the manifest again where files have come or gone since; nothing where no run finished here."""
        if self.has_manifest:
            manifest = self.read_manifest()
            if manifest.files != self._sealed():
                self.write_manifest(manifest)
        self._unsealed = False

    def seal_written(self) -> None:
        """Seal the folder if this store wrote to it; to look through all of its files takes long."""
        if self._unsealed:
            self.seal()

    def _write_manifest(self, manifest: Manifest) -> Manifest:
        files.write(self._manifest_path, manifests.encode(manifest), "the manifest")
        self._digests = dict(manifest.files)
        return manifest

    def read_manifest(self) -> Manifest:
        """Return the manifest of the latest run.

        Raises:
            ResultsError: there is none, it is damaged, or a newer release wrote it.
        """
        data = files.read(self._manifest_path, "the manifest")
        if data is None:
            raise ResultsError("holds no finished run", where=str(self.folder), hint="run first: make matrix")
        manifest = manifests.decode(data, str(self._manifest_path))
        self._digests = dict(manifest.files)
        # Who was to write a file anew was killed before the folder was sealed.
        self._unsealed = self._unsealed or any(name.endswith(_NEXT) for name in self._digests)
        return manifest

    def _write(self, sort: Sort[KeyedT], path: Path, thing: KeyedT) -> None:
        sort.write(path, thing)
        self._unsealed = True
        told, digest = self._told(path), resources.file_sha256(path)
        if told not in (None, digest) and self.has_manifest:  # in place of a failure, or of what was damaged
            manifest = self.read_manifest()
            digests = dict(manifest.files) | {self.relative(path): digest}
            self._write_manifest(replace(manifest, files=tuple(digests.items())))

    def _read(self, sort: Sort[KeyedT], path: Path, cell_id: str, key: str) -> KeyedT | None:
        told = self._told(path)
        try:
            return sort.read(path, cell_id, key, told)
        except ResultsError:
            self._digests = None  # somebody else may have replaced the file, and its digest
            if self._told(path) == told:
                raise
            return sort.read(path, cell_id, key, self._told(path))

    def _rewrite(self, name: str, data: bytes, what: str) -> None:
        """Write a file in place of another; the manifest tells both digests until the new one is there."""
        if self.has_manifest:
            manifest = self.read_manifest()
            digests = dict(manifest.files) | {f"{name}{_NEXT}": sha256(data).hexdigest()}
            self._write_manifest(replace(manifest, files=tuple(sorted(digests.items()))))
        files.write(self._place(name), data, what)
        self.seal()

    def _read_rewritten(self, path: Path, what: str, again: str) -> bytes | None:
        """Return the content of a file that may be replaced at any time, None if there is none.

        Raises:
            ResultsError: it cannot be read, or is not what the manifest tells.
        """
        for _ in range(2):  # once more with the manifest of now: somebody else may have replaced both
            data = files.read(path, what)
            if data is None or self._is_told(path, sha256(data).hexdigest()):
                return data
            self._digests = None
        raise ResultsError(
            f"{what} are not those of the run: their bytes have changed since", where=str(path), hint=again
        )

    def _is_told(self, path: Path, digest: str) -> bool:
        told = {self._told(path), self._told(path.with_name(f"{path.name}{_NEXT}"))} - {None}
        return not told or digest in told

    def _told(self, path: Path) -> str | None:
        """Return the digest that the manifest has of a file."""
        if self._digests is None:
            self._digests = self._digests_of_manifest()
        return self._digests.get(self.relative(path))

    def _digests_of_manifest(self) -> dict[str, str]:
        """Return the digests that a manifest tells; none where there is no manifest, or none that can be read."""
        try:
            return dict(self.read_manifest().files)
        except ResultsError:
            return {}

    def _sealed(self) -> tuple[tuple[str, str], ...]:
        """Return the digest of every file that answers stand on.

        One that is told already stays: whoever writes a file tells its digest, and what changed otherwise is damaged.
        """
        told = self._digests_of_manifest()
        found = (path for name in _SEALED for path in sorted((self.folder / name).rglob("*")) if _whole(path))
        digests = {
            name: told.get(name) or resources.file_sha256(self.folder / name) for name in map(self.relative, found)
        }
        for path in (self.folder / name for name in _REWRITTEN):
            if _whole(path):
                name, digest = path.name, resources.file_sha256(path)
                digests[name] = digest if digest in (told.get(f"{name}{_NEXT}"), told.get(name, digest)) else told[name]
        return tuple(sorted(digests.items()))

    def _place(self, *parts: str) -> Path:
        """Return a path of this folder.

        Raises:
            ResultsError: it would lead out of the folder.
        """
        relative = "/".join(parts)
        if not _PLACE.fullmatch(relative):
            raise ResultsError(
                f"not a place in a results folder: {relative!r}",
                where=str(self.folder),
                hint="these results were not written by repromatrix; do not use them",
            )
        return self.folder / relative

    @property
    def _manifest_path(self) -> Path:
        return self.folder / "manifest.json"


def _whole(path: Path) -> bool:
    """Whether it is a file that was written whole: no link, no folder, nothing under way."""
    return path.is_file() and not path.is_symlink() and not path.name.startswith(".")


def record_of(data: bytes, where: str) -> Record | None:
    """Return the record that a file's content is; None: it is something else.

    Raises:
        ResultsError: a damaged record, or a newer release's.
    """
    # The first and the last key of what `encode` writes.
    if not (data.lstrip()[:1] == b"{" and b'"cell"' in data[:1000] and b'"trajectories"' in data):
        return None
    return decode(data, where)
