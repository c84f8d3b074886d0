"""The run that its reviewers accepted, as one small canonical file to commit: outcomes, digests of bits, identities.

It holds no time, no host and no path; the same results give the same bytes.
"""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from hashlib import sha256
from pathlib import Path
from typing import Any

from repromatrix import resources
from repromatrix.errors import NewerFormatError, UsageError
from repromatrix.results import document as documents
from repromatrix.results.manifest import Manifest
from repromatrix.results.record import Outcome, Record

ACCEPTED = "accepted.json"
FORMAT = 1
_DIGEST = "sha256"
MOST_BYTES = 64 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """What a cell ran in: digests, None where there is none, and the host's instruction sets."""

    engine: str
    base: str
    image: str | None
    lock: str | None
    entrypoint: str
    cpu_class: str

    def differing(self, other: "Identity") -> tuple[str, ...]:
        """Return the names of what differs, the CPU class aside."""
        names = [each.name for each in fields(self) if each.name != "cpu_class"]
        return tuple(name for name in names if getattr(self, name) != getattr(other, name))


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceptedCell:
    """One cell of the accepted run.

    Attributes:
        key: of its record.
        bits: SHA-256 over all that it computed, see `bits`; None where it has no trajectory.
        identity: None where nothing ran.
    """

    id: str
    key: str
    outcome: Outcome
    bits: str | None
    identity: Identity | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """An accepted run; its cells sorted by id."""

    profile: str
    cells: tuple[AcceptedCell, ...]

    @property
    def digest(self) -> str:
        """SHA-256 over all that its file says but this."""
        return sha256(documents.write(_document(self))).hexdigest()


def bits(record: Record) -> str | None:
    """Return the SHA-256 over all that a cell computed, whatever the order of its repeats; None without a result."""
    if not record.trajectories:
        return None
    every = sorted(
        documents.canonical(sorted(each.columns, key=lambda column: column.name)) for each in record.trajectories
    )
    return sha256(b"".join(every)).hexdigest()


def identity(record: Record) -> Identity | None:
    """Return what a cell ran in, or None."""
    made = record.provenance
    if made is None:
        return None
    return Identity(
        engine=made.engine,
        base=made.base_digest,
        image=made.image_digest,
        lock=made.lock_digest,
        entrypoint=made.entrypoint_digest,
        cpu_class=made.cpu_class,
    )


def accept(manifest: Manifest, records: Iterable[Record]) -> Accepted:
    """Return the accepted run that these records are; the members of ensembles only measure and are left out."""
    members = {name for each in manifest.ensembles for name in each.members}
    cells = [
        AcceptedCell(id=each.cell.id, key=each.key, outcome=each.outcome, bits=bits(each), identity=identity(each))
        for each in records
        if each.cell.id not in members
    ]
    return Accepted(profile=manifest.profile, cells=tuple(sorted(cells, key=lambda each: each.id)))


def encode(accepted: Accepted) -> bytes:
    """Return the file's content, its own digest among it."""
    return documents.write(_document(accepted) | {_DIGEST: accepted.digest})


def _document(accepted: Accepted) -> dict[str, Any]:
    """Return the content without its digest; each identity stands there once, and cells name it by its place."""
    places: dict[Identity, int] = {}
    cells = {
        each.id: {
            "key": each.key,
            "outcome": each.outcome.value,
            "bits": each.bits,
            "identity": None if each.identity is None else places.setdefault(each.identity, len(places)),
        }
        for each in accepted.cells
    }
    return {
        "format": FORMAT,
        "profile": accepted.profile,
        "cells": cells,
        "identities": [{each.name: getattr(found, each.name) for each in fields(Identity)} for found in places],
    }


def read(path: Path) -> Accepted:
    """Read an accepted run.

    Raises:
        UsageError: not there, or not readable.
        NewerFormatError: written by a newer release.
    """
    try:
        document = documents.read(resources.read_regular(path, most=MOST_BYTES, links=True))
        if document["format"] != FORMAT:
            raise NewerFormatError(
                f"an accepted run of format {document['format']}, this release reads format {FORMAT}",
                where=str(path),
                hint="update repromatrix, or accept a run again: repromatrix accept",
            )
        identities = [_identity(each) for each in document["identities"]]
        cells = [_cell(name, each, identities) for name, each in document["cells"].items()]
        found = Accepted(profile=_text(document["profile"]), cells=tuple(sorted(cells, key=lambda each: each.id)))
        return _unchanged(found, document)
    except FileNotFoundError as error:
        raise UsageError("no accepted run is there", where=str(path), hint="accept one: repromatrix accept") from error
    except OSError as error:
        raise UsageError(
            f"the accepted run cannot be read: {error.strerror}", where=str(path), hint="name a file: --accepted FILE"
        ) from error
    except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        raise UsageError(
            f"not an accepted run ({type(error).__name__}: {error})",
            where=str(path),
            hint="bring it back from version control, or accept a run again: repromatrix accept",
        ) from error


def _unchanged(found: Accepted, document: Mapping[str, Any]) -> Accepted:
    """Return the run that was read, held against the digest that its file tells; those of earlier releases tell none.

    Raises:
        ValueError: it is another.
    """
    if unknown := {*document} - {*_document(found), _DIGEST}:
        raise ValueError(f"no key of it is called {min(unknown)!r}")
    if document.get(_DIGEST, found.digest) != found.digest:
        raise ValueError("it is not what its digest says")
    return found


def find(path: Path | None, *, required: bool = False) -> Accepted | None:
    """Return the accepted run: that file, or accepted.json of the current folder if it is there, else None.

    Raises:
        UsageError: a file that was named or is `required` is not there, or one cannot be read.
    """
    if path is None and not os.path.lexists(ACCEPTED):
        if required:
            raise UsageError(
                "--require-accepted, and there is no accepted run",
                where=ACCEPTED,
                hint="accept one: repromatrix accept",
            )
        return None
    return read(path or Path(ACCEPTED))


def write(accepted: Accepted, path: Path) -> None:
    """Write the file atomically."""
    resources.write_atomically(path, encode(accepted))


def _identity(entry: Mapping[str, Any]) -> Identity:
    found = Identity(**entry)
    for each in fields(found):
        value = getattr(found, each.name)
        if not (value is None and each.name in {"image", "lock"}):
            _text(value)
    return found


def _cell(name: str, entry: Mapping[str, Any], identities: list[Identity]) -> AcceptedCell:
    place, digest = entry["identity"], entry["bits"]
    outcome = Outcome(entry["outcome"])
    if (digest is None) == (outcome is Outcome.OK):
        raise ValueError(f"{name}: the outcome {outcome.value!r} with the bits {digest!r}")
    if isinstance(place, int) and place < 0:
        raise IndexError(f"{name}: no identity {place}")
    return AcceptedCell(
        id=name,
        key=_text(entry["key"]),
        outcome=outcome,
        bits=None if digest is None else _text(digest),
        identity=None if place is None else identities[place],
    )


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} where text is due")
    return value
