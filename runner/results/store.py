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

    def adopt(self, record: Record, source: "Store") -> None:
        """Write a record of another folder here, with its log where there is one."""
        self.write(record)
        if record.log and source.place_of_log(record.log).is_file():
            resources.write_atomically(self.place_of_log(record.log), source.place_of_log(record.log).read_bytes())

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


def _entry(entry: dict[str, Any]) -> Entry:
    found = Entry(**entry)
    if not isinstance(found.id, str) or not isinstance(found.key, str | None):
        raise TypeError(f"{entry!r} is not a cell of a run")
    return found


def _published(entry: dict[str, Any]) -> Published:
    return Published(
        workload=entry["workload"], columns=tuple(Column(**each) for each in entry["columns"]), data=entry["data"]
    )
