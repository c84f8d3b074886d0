"""The run that its reviewers accepted, as one canonical file to commit: what each cell is expected to give, and where.

A cell is accepted for the CPU class that it ran on, and its id names its environment. The file holds its metrics,
digests of its outputs and its state, and what it ran in; and of each change who accepted it, when and why. It holds no
host and no path.
"""

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any

import msgspec

from repromatrix import resources
from repromatrix.errors import UsageError
from repromatrix.results import document as documents
from repromatrix.results.manifest import Manifest
from repromatrix.results.record import Outcome, Record, refuse_other_format
from repromatrix.results.value import Column, Role, Trajectory, check

ACCEPTED = "accepted.json"
FORMAT = 2
NOWHERE = "none"  # in place of a CPU class, where nothing ran
MOST_BYTES = 64 << 20
_SHOWN = 16  # characters of the digest that names what a cell ran in
_TOLD = {"variables": "settings.variables", "threads": "settings.threads"}  # of a fingerprint, as a person sets them
Digest = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]


class _Part(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A part of the file."""


class Identity(_Part, frozen=True, kw_only=True):
    """What a cell ran in.

    Attributes:
        engine: `docker`, `process` or `here`.
        base: digest of the base, or the interpreter's identity.
        image: digest of the image, or null.
        lock: digest of the environment's lock, or null.
        entrypoint: digest of the harness and the entrypoint.
        cpu_class: the host's instruction sets.
        told: what the environment tells of itself: packages, settings, kernels, the Python, the C library.
    """

    engine: str
    base: str
    image: str | None
    lock: str | None
    entrypoint: str
    cpu_class: str
    told: dict[str, str]

    def differing(self, other: "Identity") -> tuple[str, ...]:
        """Return the names of the digests that differ."""
        names = ("engine", "base", "image", "lock", "entrypoint")
        return tuple(name for name in names if getattr(self, name) != getattr(other, name))

    def moved(self, other: "Identity") -> dict[str, tuple[str | None, str | None]]:
        """Return what both tell otherwise: name -> what this one tells, what the other does; None: nothing."""
        names = sorted({*self.told, *other.told})
        both = {name: (self.told.get(name), other.told.get(name)) for name in names}
        return {name: told for name, told in both.items() if told[0] != told[1]}


class AcceptedCell(_Part, frozen=True, kw_only=True):
    """What a cell is expected to give on a CPU class.

    Attributes:
        key: of its record.
        task: SHA-256 over its inputs, numbers and metrics.
        steps: how many it has.
        outcome: how it ended.
        bits: SHA-256 over all that it computed; null: nothing.
        identity: what it ran in, by its name in `identities`; null: nothing ran.
        metrics: the numbers that it is judged by, of its first repeat.
        outputs: SHA-256 of each output over all steps.
        state: SHA-256 of each value that the last step leaves.
    """

    key: Digest
    task: Digest
    steps: Annotated[int, msgspec.Meta(ge=1)]
    outcome: Outcome
    bits: Digest | None
    identity: str | None
    metrics: tuple[Column, ...]
    outputs: dict[str, Digest]
    state: dict[str, Digest]


class Change(_Part, frozen=True, kw_only=True):
    """One time that somebody accepted a run that is another than the one before.

    Attributes:
        when: in UTC.
        who: as version control knows them.
        because: the cause; empty: nobody had to say one, since no accepted value changed.
        commit: of the checkout; null: it is under no version control.
        allowed: what was accepted all the same: `dirty`, `not-finite`, `repeats`.
        dirty: the files of the checkout that differed from the commit.
        new: how many cells were not accepted before.
        gone: the cells that no longer are.
        moved: the cells whose values or outcomes changed.
    """

    when: Annotated[str, msgspec.Meta(pattern="^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$")]
    who: str
    because: str
    commit: str | None
    allowed: tuple[str, ...]
    dirty: tuple[str, ...]
    new: int
    gone: tuple[str, ...]
    moved: tuple[str, ...]


class Accepted(_Part, frozen=True, kw_only=True):
    """An accepted run.

    Attributes:
        cells: cell id -> CPU class, `none` where nothing ran -> what is expected.
        identities: what cells ran in, by name.
        history: the changes, the first one first.
    """

    profile: str
    cells: dict[str, dict[str, AcceptedCell]]
    identities: dict[str, Identity]
    history: tuple[Change, ...] = ()

    @property
    def digest(self) -> str:
        """SHA-256 over all that its file says but this."""
        return sha256(documents.canonical(_document(self))).hexdigest()

    def of(self, cell: str, cpu_class: str | None) -> AcceptedCell | None:
        """Return what is expected of a cell on a CPU class; where it ran nowhere, on any.

        None: the cell is not accepted, or on other CPU classes alone.
        """
        known = self.cells.get(cell, {})
        if cpu_class is None:
            return next(iter(known.values()), None)
        return known.get(cpu_class, known.get(NOWHERE))

    def changed(self, change: Change) -> "Accepted":
        """Return it with one more change in its history."""
        return msgspec.structs.replace(self, history=(*self.history, change))

    def told(self) -> list[dict[str, Any]]:
        """Return its history as JSON values."""
        found: list[dict[str, Any]] = msgspec.to_builtins(self.history)
        return found

    def identity(self, cell: AcceptedCell) -> Identity | None:
        """Return what a cell ran in."""
        return None if cell.identity is None else self.identities[cell.identity]


class Document(Accepted, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An accepted run as it stands in its file; `sha256`: over all else of it."""

    format: int = FORMAT
    sha256: str = ""


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
        told=dict(sorted(_told(record.fingerprint))),
    )


def _told(fingerprint: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, value in fingerprint.items():
        if isinstance(value, Mapping):
            yield from ((f"{_TOLD.get(name, name)}.{key}", _text(each)) for key, each in value.items())
        else:
            yield name, _text(value)


def _text(value: Any) -> str:
    if isinstance(value, list):
        return " ".join(map(_text, value))
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True)


def digests(trajectory: Trajectory | None, role: Role) -> dict[str, str]:
    """Return the SHA-256 of every column of a role by name."""
    own = trajectory.of(role) if trajectory else ()
    return {each.name: sha256(documents.canonical(each)).hexdigest() for each in own}


def accept(manifest: Manifest, records: Iterable[Record], before: Accepted | None = None) -> Accepted:
    """Return the accepted run that these records are; the members of ensembles only measure and are left out.

    Args:
        manifest: of the run.
        records: its cells.
        before: what was accepted before; what it says of other CPU classes, and its history, stay.
    """
    members = {name for each in manifest.ensembles for name in each.members}
    own = [each for each in records if each.cell.id not in members]
    classes = {NOWHERE, *(_class(each) for each in own)}
    cells: dict[str, dict[str, AcceptedCell]] = {}
    identities: dict[str, Identity] = {}
    for cell, known in before.cells.items() if before else ():
        kept = {place: each for place, each in known.items() if place not in classes}
        if before and kept:
            cells[cell] = kept
            identities |= {each.identity: before.identities[each.identity] for each in kept.values() if each.identity}
    for each in own:
        ran = identity(each)
        name = None if ran is None else sha256(documents.canonical(ran)).hexdigest()[:_SHOWN]
        if ran and name:
            identities[name] = ran
        cells.setdefault(each.cell.id, {})[_class(each)] = _cell(each, name)
    return Accepted(
        profile=manifest.profile, cells=cells, identities=identities, history=before.history if before else ()
    )


def _class(record: Record) -> str:
    return record.provenance.cpu_class if record.provenance else NOWHERE


def _cell(record: Record, name: str | None) -> AcceptedCell:
    first = record.trajectory
    return AcceptedCell(
        key=record.key,
        task=record.cell.task,
        steps=record.cell.steps,
        outcome=record.outcome,
        bits=bits(record),
        identity=name,
        metrics=first.metrics if first else (),
        outputs=digests(first, Role.OUTPUT),
        state=digests(first, Role.STATE),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Moves:
    """What an acceptance changes: places are `CELL on CPU CLASS`."""

    new: tuple[str, ...]
    gone: tuple[str, ...]
    moved: tuple[str, ...]


def moves(before: Accepted | None, now: Accepted) -> Moves:
    """Return what changes from one accepted run to the next."""
    old, new = (_places(each) if each else {} for each in (before, now))
    return Moves(
        new=tuple(place for place in new if place not in old),
        gone=tuple(place for place in old if place not in new),
        moved=tuple(place for place in new if place in old and _values(new[place]) != _values(old[place])),
    )


def _places(of: Accepted) -> dict[str, AcceptedCell]:
    return {
        f"{name} on {place}" if place != NOWHERE else name: each
        for name, known in of.cells.items()
        for place, each in known.items()
    }


def _values(cell: AcceptedCell) -> tuple[Outcome, str | None]:
    return cell.outcome, cell.bits


def encode(accepted: Accepted) -> bytes:
    """Return the file's content, its own digest among it."""
    return documents.canonical(_document(accepted, accepted.digest))


def _document(accepted: Accepted, digest: str = "") -> Document:
    own = {each: getattr(accepted, each) for each in Accepted.__struct_fields__}
    return Document(**own, sha256=digest)


def read(path: Path) -> Accepted:
    """Read an accepted run, strictly: canonical JSON of known fields, nothing that contradicts itself.

    Raises:
        UsageError: not there, or not readable.
        NewerFormatError: written by another release.
    """
    try:
        data = resources.read_regular(path, most=MOST_BYTES, links=True)
        refuse_other_format(data, FORMAT, "an accepted run", str(path))
        found = documents.strict(data, Document)
        accepted = Accepted(**{each: getattr(found, each) for each in Accepted.__struct_fields__})
        for what in contradictions(accepted):
            raise ValueError(what)  # noqa: TRY301 - one way out for all that is wrong
        if accepted.digest != found.sha256:
            raise ValueError("it is not what its digest says")  # noqa: TRY301
    except FileNotFoundError as error:
        raise UsageError("no accepted run is there", where=str(path), hint="accept one: repromatrix accept") from error
    except OSError as error:
        raise UsageError(
            f"the accepted run cannot be read: {error.strerror}", where=str(path), hint="name a file: --accepted FILE"
        ) from error
    except ValueError as error:
        raise UsageError(
            f"not an accepted run ({error})",
            where=str(path),
            hint="bring it back from version control, or accept a run again: repromatrix accept",
        ) from error
    return accepted


def contradictions(accepted: Accepted) -> Iterator[str]:
    """Yield what in an accepted run cannot be true of any."""
    used = set()
    for name, known in accepted.cells.items():
        if not known:
            yield f"{name} is accepted on no CPU class"
        for place, cell in known.items():
            used.add(cell.identity)
            yield from (f"{name}: {what}" for what in _wrong(accepted, place, cell))
    if spare := {*accepted.identities} - used:
        yield f"no cell ran in {min(spare)}"


def _wrong(accepted: Accepted, place: str, cell: AcceptedCell) -> Iterator[str]:
    ok = cell.outcome is Outcome.OK
    if ok != (cell.bits is not None) or ok != bool(cell.metrics):
        yield f"the outcome {cell.outcome.value!r} with the bits {cell.bits!r}"
    ran = None if cell.identity is None else accepted.identities.get(cell.identity)
    if cell.identity is not None and ran is None:
        yield f"no identity {cell.identity}"
    if (ran.cpu_class if ran else NOWHERE) != place:
        yield f"it did not run on {place}"
    if cell.metrics:
        try:
            check(Trajectory(columns=cell.metrics), cell.steps)
        except ValueError as error:
            yield str(error)
        if any(each.role is not Role.METRIC for each in cell.metrics):
            yield "a metric that is none"


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
