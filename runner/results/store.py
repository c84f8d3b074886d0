"""The results folder: one JSON per cell and key, logs beside them, and the manifest of the latest run.

    results/manifest.json                 the cells of the latest run, in order, each with its key
    results/records/<cell id>/<key>.json  immutable
    results/traces/<cell id>/<key>.json   immutable; what a traced run computed on the way
    results/logs/<environment>/*.log      standard error of the containers

The only module that knows this layout. Writes are atomic; a newer release's files are refused.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runner import resources
from runner.errors import ResultsError
from runner.results import document as documents
from runner.results import trace as traces
from runner.results.record import Record, decode, encode
from runner.results.trace import Trace

FORMAT = 1
KEY_CHARACTERS = 16
# What a cell id, a key or a log may add to a path; a folder may come from anywhere, so none of it may lead out.
_PLACE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+@-]*(/[A-Za-z0-9_][A-Za-z0-9._+@-]*)*")


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
    """A cell of the run; key None: left out, and `reason` says why.

    Attributes:
        trace: the key of its trace; None without one.
        untraced: why it has none though one was asked for, else None.
    """

    id: str
    key: str | None
    reason: str | None
    trace: str | None = None
    untraced: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ensemble:
    """Cells that measure the noise floor of a workload in a dtype; all of them are entries of the manifest too.

    Attributes:
        reference: id of the cell whose initial weights were moved by one ULP each.
        members: ids of the moved ones.
    """

    workload: str
    dtype: str
    reference: str
    members: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What the latest run was asked for; the report's list of what must be there.

    Attributes:
        profile: the profile's name.
        entries: cells in the order of the matrix, the members of ensembles last.
        published: published tables to hold the results against.
        tolerances: dtype -> (relative, absolute, source).
        ensembles: which entries measure noise, and of what.
        versions: (framework, flavour, Python, version) of every environment of the matrix, run or not.
    """

    profile: str
    entries: tuple[Entry, ...]
    published: tuple[Published, ...]
    tolerances: tuple[tuple[str, float, float, str], ...]
    ensembles: tuple[Ensemble, ...] = ()
    versions: tuple[tuple[str, str, str, str], ...] = ()


class Store:
    """Reads and writes one results folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def record_path(self, cell_id: str, key: str) -> Path:
        """Return where the record of that cell and key stands."""
        return self._place("records", cell_id, f"{key[:KEY_CHARACTERS]}.json")

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

    def read(self, cell_id: str, key: str, *, predictions: bool = True) -> Record | None:
        """Return the record of that cell and key, or None; without `predictions` they may be empty, and it is faster.

        Raises:
            ResultsError: it is there and cannot be read.
        """
        path = self.record_path(cell_id, key)
        try:
            record = decode(path.read_bytes(), str(path), predictions=predictions)
        except FileNotFoundError:
            return None
        if record.key != key or record.cell.id != cell_id:
            raise ResultsError(
                f"holds the record of {record.cell.id}, not of {cell_id}",
                where=str(path),
                hint="delete that file and run the cell again",
            )
        return record

    def trace_path(self, cell_id: str, key: str) -> Path:
        """Return where the trace of that cell and key stands."""
        return self._place("traces", cell_id, f"{key[:KEY_CHARACTERS]}.json")

    def write_trace(self, trace: Trace) -> None:
        """Write a trace atomically.

        Raises:
            ResultsError: the disk is full, or the folder cannot be written to.
        """
        path = self.trace_path(trace.cell.id, trace.key)
        try:
            resources.write_atomically(path, traces.encode(trace))
        except OSError as error:
            raise ResultsError(
                f"the trace cannot be written: {error}", where=str(path), hint="check the disk: repromatrix doctor"
            ) from error

    def read_trace(self, cell_id: str, key: str) -> Trace | None:
        """Return the trace of that cell and key, or None.

        Raises:
            ResultsError: it is there and cannot be read.
        """
        path = self.trace_path(cell_id, key)
        try:
            trace = traces.decode(path.read_bytes(), str(path))
        except FileNotFoundError:
            return None
        if trace.key != key or trace.cell.id != cell_id:
            raise ResultsError(
                f"holds the trace of {trace.cell.id}, not of {cell_id}",
                where=str(path),
                hint="delete that file and run again: repromatrix run --trace",
            )
        return trace

    def traces(self, manifest: Manifest) -> dict[str, Trace]:
        """Return the traces that a manifest names and that are there, by cell id in its order.

        Raises:
            ResultsError: one of them cannot be read.
        """
        found = {each.id: self.read_trace(each.id, each.trace) for each in manifest.entries if each.trace is not None}
        return {cell_id: trace for cell_id, trace in found.items() if trace is not None}

    def adopt(self, record: Record, source: "Store", trace: str | None = None) -> None:
        """Write a record of another folder here, with its log and the trace of that key where there are such."""
        self.write(record)
        there = source.read_trace(record.cell.id, trace) if trace is not None else None
        if there is not None:
            self.write_trace(there)
        if record.log and source.place_of_log(record.log).is_file():
            resources.write_atomically(self.place_of_log(record.log), source.place_of_log(record.log).read_bytes())

    def write_manifest(self, manifest: Manifest) -> None:
        """Write the manifest of a run atomically."""
        document = {
            "format": FORMAT,
            "profile": manifest.profile,
            "entries": [{n: getattr(each, n) for n in Entry.__dataclass_fields__} for each in manifest.entries],
            "published": [
                {
                    "workload": each.workload,
                    "columns": [{name: getattr(c, name) for name in Column.__dataclass_fields__} for c in each.columns],
                    "data": each.data,
                }
                for each in manifest.published
            ],
            "tolerances": [list(each) for each in manifest.tolerances],
            "ensembles": [{n: getattr(each, n) for n in Ensemble.__dataclass_fields__} for each in manifest.ensembles],
            "versions": [list(each) for each in manifest.versions],
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
                ensembles=tuple(map(_ensemble, document.get("ensembles", []))),  # earlier releases measured no noise
                versions=tuple((f, flavour, p, v) for f, flavour, p, v in document.get("versions", [])),
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


def record_of(data: bytes, where: str) -> Record | None:
    """Return the record that a file's content is, its predictions perhaps empty; None: it is something else.

    Raises:
        ResultsError: a damaged record, or a newer release's.
    """
    # The first and the last key of what `encode` writes.
    if not (data.lstrip()[:1] == b"{" and b'"cell"' in data[:1000] and b'"trajectories"' in data):
        return None
    return decode(data, where, predictions=False)


def _entry(entry: dict[str, Any]) -> Entry:
    found = Entry(**entry)
    if not isinstance(found.id, str) or not all(isinstance(each, str | None) for each in (found.key, found.trace)):
        raise TypeError(f"{entry!r} is not a cell of a run")
    return found


def _ensemble(entry: dict[str, Any]) -> Ensemble:
    return Ensemble(**(entry | {"members": tuple(entry["members"])}))


def _published(entry: dict[str, Any]) -> Published:
    return Published(
        workload=entry["workload"], columns=tuple(Column(**each) for each in entry["columns"]), data=entry["data"]
    )
