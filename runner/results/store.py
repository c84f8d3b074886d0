"""The results folder: one JSON per cell and key, logs beside them, and the manifest of the latest run.

    results/manifest.json                 the cells of the latest run, in order, each with its key
    results/records/<cell id>/<key>.json  immutable
    results/logs/<environment>/*.log      standard error of the containers

The only module that knows this layout. Writes are atomic; a newer release's files are refused.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runner import resources
from runner.errors import ResultsError
from runner.results import document as documents
from runner.results.record import Outcome, Record, decode, encode

FORMAT = 1
_KEY_CHARACTERS = 16
# What a cell id, a key or a log may add to a path; a folder may come from anywhere, so none of it may lead out.
_PLACE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+@-]*(/[A-Za-z0-9_][A-Za-z0-9._+@-]*)*")
_NO_RECORD = "0" * 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column of a published table and the variants it stands for."""

    title: str
    framework: str
    variant: str
    predictions: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """A published table with the workload it belongs to; `data` is the file's JSON content."""

    workload: str
    columns: tuple[Column, ...]
    data: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A cell of the run; key None: left out, and `reason` says why."""

    id: str
    key: str | None
    reason: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What the latest run was asked for; the report's list of what must be there.

    Attributes:
        profile: the profile's name.
        entries: cells in the order of the matrix.
        published: published tables to hold the results against.
        tolerances: dtype -> (relative, absolute, source).
    """

    profile: str
    entries: tuple[Entry, ...]
    published: tuple[Published, ...]
    tolerances: tuple[tuple[str, float, float, str], ...]


class Store:
    """Reads and writes one results folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def record_path(self, cell_id: str, key: str) -> Path:
        """Return where the record of that cell and key stands."""
        return self._place("records", cell_id, f"{key[:_KEY_CHARACTERS]}.json")

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
        """Write a record atomically.

        Raises:
            ResultsError: the disk is full, or the folder cannot be written to.
        """
        path = self.record_path(record.cell.id, record.key)
        try:
            resources.write_atomically(path, encode(record))
        except OSError as error:
            raise ResultsError(
                f"the record cannot be written: {error}", where=str(path), hint="check the disk: repromatrix doctor"
            ) from error

    def read(self, cell_id: str, key: str) -> Record | None:
        """Return the record of that cell and key, or None.

        Raises:
            ResultsError: it is there and cannot be read.
        """
        path = self.record_path(cell_id, key)
        try:
            record = decode(path.read_bytes(), str(path))
        except FileNotFoundError:
            return None
        if record.key != key or record.cell.id != cell_id:
            raise ResultsError(
                f"holds the record of {record.cell.id}, not of {cell_id}",
                where=str(path),
                hint="delete that file and run the cell again",
            )
        return record

    def write_manifest(self, manifest: Manifest) -> None:
        """Write the manifest of a run atomically."""
        document = {
            "format": FORMAT,
            "profile": manifest.profile,
            "entries": [{"id": each.id, "key": each.key, "reason": each.reason} for each in manifest.entries],
            "published": [
                {
                    "workload": each.workload,
                    "columns": [{name: getattr(c, name) for name in Column.__dataclass_fields__} for c in each.columns],
                    "data": each.data,
                }
                for each in manifest.published
            ],
            "tolerances": [list(each) for each in manifest.tolerances],
        }
        resources.write_atomically(self._manifest_path, documents.write(document))

    def read_manifest(self) -> Manifest:
        """Return the manifest of the latest run.

        Raises:
            ResultsError: there is none, it is damaged, or a newer release wrote it.
        """
        where = str(self._manifest_path)
        try:
            document = documents.read(self._manifest_path.read_bytes())
            if document["format"] != FORMAT:
                raise ResultsError(
                    f"format {document['format']}, this release reads format {FORMAT}",
                    where=where,
                    hint="update repromatrix, or use another --results folder",
                )
            return Manifest(
                profile=document["profile"],
                entries=tuple(_entry(each) for each in document["entries"]),
                published=tuple(_published(each) for each in document["published"]),
                tolerances=tuple((d, float(r), float(a), s) for d, r, a, s in document["tolerances"]),
            )
        except FileNotFoundError as error:
            raise ResultsError(
                "holds no finished run", where=str(self.folder), hint="run first: make matrix"
            ) from error
        except (ValueError, KeyError, TypeError) as error:
            raise ResultsError(
                f"not a readable manifest ({type(error).__name__}: {error})", where=where, hint="run again: make matrix"
            ) from error

    @property
    def has_manifest(self) -> bool:
        """Whether a run finished here."""
        return self._manifest_path.is_file()

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Merged:
    """What a merge gave.

    Attributes:
        manifest: the union, in the order of the expected cells where those were given.
        missing: cells without a record that were expected, or that a source's manifest names.
        unfinished: sources without a manifest: a run that ended before it wrote one.
    """

    manifest: Manifest
    missing: tuple[str, ...]
    unfinished: tuple[Path, ...]


def merge(sources: Iterable[Path], target: Store, expected: Sequence[str] = ()) -> Merged:
    """Copy the latest runs of several results folders into one.

    An expected cell that nobody delivers stands in the manifest without a record, so that the report names it.
    Of a cell in several folders the one that ran is taken.

    Raises:
        ResultsError: a source is damaged, none has a finished run, or two give different numbers for one cell.
    """
    manifests, unfinished = [], []
    found: dict[str, _Delivery] = {}
    sources = tuple(sources)
    for source in sources:
        store = Store(source)
        if not store.has_manifest:
            unfinished.append(source)
            continue
        manifests.append(store.read_manifest())
        for delivery in _deliveries(store, manifests[-1]):
            known = found.get(delivery.entry.id)
            found[delivery.entry.id] = _chosen(known, delivery, sources) if known else delivery
    if not manifests:
        raise ResultsError(
            "none of the folders holds a finished run",
            where=" ".join(map(str, unfinished)),
            hint="name at least one results folder: repromatrix merge DIR ...",
        )
    for delivery in found.values():
        _copy(delivery, target)
    absent = {cell_id: Entry(id=cell_id, key=_NO_RECORD, reason=None) for cell_id in expected if cell_id not in found}
    entries = {cell_id: each.entry for cell_id, each in found.items()} | absent
    merged = Manifest(
        profile=manifests[0].profile,
        entries=tuple(entries[cell_id] for cell_id in dict.fromkeys((*expected, *found))),
        published=tuple({each.workload: each for manifest in manifests for each in manifest.published}.values()),
        tolerances=manifests[0].tolerances,
    )
    target.write_manifest(merged)
    there = {record.cell.id for record in target.records(merged)[0]}
    due = {*expected, *(each.id for each in merged.entries if each.key is not None)}
    missing = tuple(each.id for each in merged.entries if each.id in due - there)
    return Merged(manifest=merged, missing=missing, unfinished=tuple(unfinished))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Delivery:
    """What one folder holds of a cell; no record: left out there, or gone."""

    store: Store
    entry: Entry
    record: Record | None

    @property
    def rank(self) -> int:
        """The less the better: ran, failed, not run, no record, left out."""
        if self.record is None:
            return 3 if self.entry.key is not None else 4
        return {Outcome.OK: 0, Outcome.FAILED: 1, Outcome.TIMED_OUT: 1}.get(self.record.outcome, 2)


def _deliveries(store: Store, manifest: Manifest) -> Iterable[_Delivery]:
    for entry in manifest.entries:
        record = store.read(entry.id, entry.key) if entry.key is not None else None
        yield _Delivery(store=store, entry=entry, record=record)


def _chosen(known: _Delivery, other: _Delivery, sources: Sequence[Path]) -> _Delivery:
    """Return which of two folders' results of one cell is taken: one that ran before one that did not.

    Raises:
        ResultsError: both ran and gave different numbers; taking either would lose the other unseen.
    """
    a, b = known.record, other.record
    if a and b and a.trajectories and b.trajectories and set(a.trajectories) != set(b.trajectories):
        rest = " ".join(str(each) for each in sources if each != other.store.folder)
        raise ResultsError(
            f"two different results of {known.entry.id} (keys {a.key[:_KEY_CHARACTERS]} and "
            f"{b.key[:_KEY_CHARACTERS]}): one in {known.store.folder}, one in {other.store.folder}",
            hint=f"leave one of the two out, and report it on its own: repromatrix merge {rest}",
        )
    return min(known, other, key=lambda each: each.rank)


def _copy(delivery: _Delivery, target: Store) -> None:
    record, store = delivery.record, delivery.store
    if record is None:
        return
    target.write(record)
    if record.log and store.place_of_log(record.log).is_file():
        resources.write_atomically(target.place_of_log(record.log), store.place_of_log(record.log).read_bytes())


def _entry(entry: dict[str, Any]) -> Entry:
    found = Entry(**entry)
    if not isinstance(found.id, str) or not isinstance(found.key, str | None):
        raise TypeError(f"{entry!r} is not a cell of a run")
    return found


def _published(entry: dict[str, Any]) -> Published:
    return Published(
        workload=entry["workload"], columns=tuple(Column(**each) for each in entry["columns"]), data=entry["data"]
    )
