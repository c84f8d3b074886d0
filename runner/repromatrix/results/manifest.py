"""The manifest of a run, what the run was asked for: as frozen values and as JSON (format 1)."""

from dataclasses import dataclass
from typing import Any

from repromatrix.errors import NewerFormatError, ResultsError
from repromatrix.results import document as documents

FORMAT = 1


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


def encode(manifest: Manifest) -> bytes:
    """Return the manifest as canonical JSON: sorted keys, one trailing newline."""
    document = {
        "format": FORMAT,
        "profile": manifest.profile,
        "entries": [_fields(each) for each in manifest.entries],
        "published": [
            {
                "workload": each.workload,
                "columns": [_fields(column) for column in each.columns],
                "data": each.data,
            }
            for each in manifest.published
        ],
        "tolerances": [list(each) for each in manifest.tolerances],
        "ensembles": [_fields(each) for each in manifest.ensembles],
        "versions": [list(each) for each in manifest.versions],
    }
    return documents.write(document)


def decode(data: bytes, where: str) -> Manifest:
    """Read a manifest; `where` is its path in messages.

    Raises:
        NewerFormatError: a newer release wrote it.
        ResultsError: damaged.
    """
    try:
        document = documents.read(data)
        if document["format"] != FORMAT:
            raise NewerFormatError(
                f"format {document['format']}, this release reads format {FORMAT}",
                where=where,
                hint="update repromatrix, or use another --results folder",
            )
        return Manifest(
            profile=document["profile"],
            entries=tuple(map(_entry, document["entries"])),
            published=tuple(map(_published, document["published"])),
            tolerances=tuple((d, float(r), float(a), s) for d, r, a, s in document["tolerances"]),
            ensembles=tuple(map(_ensemble, document.get("ensembles", []))),  # earlier releases measured no noise
            versions=tuple((f, flavour, p, v) for f, flavour, p, v in document.get("versions", [])),
        )
    except (ValueError, KeyError, TypeError) as error:
        raise ResultsError(
            f"not a readable manifest ({type(error).__name__}: {error})", where=where, hint="run again: make matrix"
        ) from error


def _fields(each: Entry | Column | Ensemble) -> dict[str, Any]:
    return {name: getattr(each, name) for name in each.__dataclass_fields__}


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
