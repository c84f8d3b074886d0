"""The manifest of a run, what the run was asked for: as frozen values and as JSON (format 2).

It names every file of the results folder with its SHA-256, and its own content with another: what changes afterwards,
a flipped bit or a hand, is noticed by name.
"""

from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any

import msgspec

from repromatrix.errors import ResultsError
from repromatrix.results import document as documents
from repromatrix.results.record import fields_of, refuse_other_format

FORMAT = 2


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
        files: (path in the folder, SHA-256) of all records, traces, replays and values, sorted by path.
    """

    profile: str
    entries: tuple[Entry, ...]
    published: tuple[Published, ...]
    tolerances: tuple[tuple[str, float, float, str], ...]
    ensembles: tuple[Ensemble, ...] = ()
    versions: tuple[tuple[str, str, str, str], ...] = ()
    files: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Document(Manifest):
    """A manifest as it stands in its file; `digest`: over all else of it."""

    format: int = FORMAT
    digest: str = ""


def merged(earlier: Manifest | None, latest: Manifest) -> Manifest:
    """Return the cells of two manifests in one: of a cell, or an ensemble, that both have, the latest counts."""
    if earlier is None:
        return latest
    entries = {each.id: each for each in (*earlier.entries, *latest.entries)}
    ensembles = {(each.workload, each.dtype, each.reference): each for each in (*earlier.ensembles, *latest.ensembles)}
    return replace(latest, entries=tuple(entries.values()), ensembles=tuple(ensembles.values()))


def encode(manifest: Manifest) -> bytes:
    """Return the manifest as canonical JSON: sorted keys, one trailing newline."""
    bare = Document(**fields_of(manifest, Manifest))
    return documents.canonical(replace(bare, digest=sha256(documents.canonical(bare)).hexdigest()))


def decode(data: bytes, where: str) -> Manifest:
    """Read a manifest; `where` is its path in messages.

    Raises:
        NewerFormatError: another release wrote it.
        ResultsError: damaged.
    """
    try:
        refuse_other_format(data, FORMAT, "a manifest", where)
        manifest = Manifest(**fields_of(msgspec.json.decode(data, type=Document), Manifest))
        if encode(manifest) != data:
            raise ValueError("it is not what its digest says")  # noqa: TRY301 - one way out for all that is wrong
    except (ValueError, RecursionError, msgspec.MsgspecError) as error:
        raise ResultsError(f"not a readable manifest ({error})", where=where, hint="run again: make matrix") from error
    return manifest
