"""One cell's result as a frozen value, and its JSON form (schemas/record.json, format 2).

A float is C99 hexadecimal text of the exact value; a failed cell has no trajectory, never a number. What contradicts
itself is no record.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Any

import msgspec

from repromatrix.errors import NewerFormatError, ResultsError
from repromatrix.results import document as documents
from repromatrix.results.value import Role, Trajectory, check

FORMAT = 2
_DIGEST = re.compile(r"[0-9a-f]{64}")
_MEMBER = re.compile(r"(~[1-9][0-9]*)?")
_LOG = re.compile(r"logs/[A-Za-z0-9_][A-Za-z0-9._+-]*/[A-Za-z0-9_][A-Za-z0-9._+-]*\.log")
ENGINES = ("docker", "process", "here")
BASES = ("registry", "local", "interpreter", "here")


class Outcome(StrEnum):
    """How a cell ended."""

    OK = "ok"
    FAILED = "failed"
    TIMED_OUT = "timed_out"
    SKIPPED = "skipped"
    UNAVAILABLE = "unavailable"


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """What was run, in the words of matrix.yaml; enough to compare and to print without the matrix.

    Attributes:
        task: SHA-256 over steps, metrics, inputs and numbers: cells of one task can be compared.
        code: SHA-256 over the workload's modules for the framework.
    """

    id: str
    workload: str
    framework: str
    version: str
    flavour: str
    python: str
    environment: str
    variant: str
    dtype: str
    options: tuple[tuple[str, str], ...]
    device: str
    settings: str
    steps: int
    task: str
    code: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """What the cell ran in.

    Attributes:
        engine: `docker`, `process` or `here`.
        base_kind: `registry`, `local` (built from the distribution's packages), `interpreter`, or `here` (an
            interpreter with all that was installed in it).
        base_digest: digest of the base, or the interpreter's identity.
        image_digest: digest of the image; None where there is none.
        lock_digest: SHA-256 of the environment's lock; None: no lock, the environment was taken as it was found, or the
            command was let onto the network, so that a lock does not fix what it used.
        entrypoint_digest: SHA-256 over the harness and the entrypoint.
        cpu_class: the host's instruction sets.
    """

    engine: str
    base_kind: str
    base_digest: str
    image_digest: str | None
    lock_digest: str | None
    entrypoint_digest: str
    cpu_class: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """Cell + outcome + trajectory + fingerprint.

    Attributes:
        key: SHA-256 over everything that can change the numbers; equal keys, equal question.
        reason: why the outcome is not `ok`, else None.
        log: the log's path inside the results folder, else None.
        repeats: fresh processes that ran the cell.
        trajectories: the distinct ones, first repeat first; more than one: not deterministic.
        factors: every option of the entrypoint with the value that it really used, sorted; empty where none was told.
    """

    cell: Description
    key: str
    outcome: Outcome
    reason: str | None
    log: str | None
    repeats: int
    trajectories: tuple[Trajectory, ...]
    fingerprint: Mapping[str, Any]
    provenance: Provenance | None
    factors: tuple[tuple[str, str], ...] = ()

    @property
    def deterministic(self) -> bool | None:
        """Whether all repeats gave the same bits; None where there is nothing to compare."""
        if self.outcome is not Outcome.OK or self.repeats < 2:  # noqa: PLR2004 - one run shows nothing
            return None
        return len(self.trajectories) == 1

    @property
    def pinned(self) -> bool | None:
        """Whether a lock fixes all that it used; None where nothing ran."""
        return None if self.provenance is None else self.provenance.lock_digest is not None

    @property
    def trajectory(self) -> Trajectory | None:
        """The first repeat's trajectory, None unless the outcome is `ok`."""
        return self.trajectories[0] if self.trajectories else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Document(Record):
    """A record as it stands in a file."""

    format: int = FORMAT


def encode(record: Record) -> bytes:
    """Return the record as canonical JSON: sorted keys, one trailing newline."""
    return documents.canonical(Document(**fields_of(record, Record)))


def decode(data: bytes, where: str) -> Record:
    """Read a record, strictly: canonical JSON of known fields, nothing that contradicts itself.

    Raises:
        ResultsError: damaged, or written by another release.
    """
    try:
        refuse_other_format(data, FORMAT, "a record", where)
        record = Record(**fields_of(documents.strict(data, Document), Record))
        for what in contradictions(record):
            raise ValueError(what)  # noqa: TRY301 - one way out for all that is wrong
    except ValueError as error:
        raise ResultsError(
            f"not a readable record ({error})", where=where, hint="delete that file and run the cell again"
        ) from error
    return record


def fields_of(value: Any, kind: type[Any]) -> dict[str, Any]:
    """Return the fields of a dataclass that a value has, not copied."""
    return {each.name: getattr(value, each.name) for each in fields(kind)}


class _Format(msgspec.Struct):
    """The one field that tells which reader is due."""

    format: int


def refuse_other_format(data: bytes, wanted: int, what: str, where: str) -> None:
    """Refuse a file of another format before its fields are looked at.

    Raises:
        NewerFormatError: an older or a newer release wrote it.
        ValueError: it is no JSON, or tells no format.
    """
    try:
        found = msgspec.json.decode(data, type=_Format).format
    except (msgspec.MsgspecError, RecursionError) as error:
        raise ValueError(str(error)) from error
    if found != wanted:
        older = f"run the cells again into another folder: repromatrix run --results NEW (or delete {where})"
        raise NewerFormatError(
            f"{what} of format {found}, this release reads format {wanted}",
            where=where,
            hint=older if found < wanted else "update repromatrix, or use another --results folder",
        )


def contradictions(record: Record) -> Iterator[str]:
    """Yield what in a record cannot be true of any cell."""
    yield from _names(record)
    yield from _counts(record)
    for trajectory in record.trajectories:
        try:
            check(trajectory, record.cell.steps)
        except ValueError as error:
            yield str(error)
        if trajectory.of(Role.TRACE):
            yield "a record holds no trace"
    chosen = dict(record.factors)
    for name, value in record.cell.options:
        if chosen and chosen.get(name) != value:
            yield f"asked for {name}={value}, and it was {chosen.get(name)}"


def _counts(record: Record) -> Iterator[str]:
    ok, given = record.outcome is Outcome.OK, len(record.trajectories)
    if ok != bool(given) or ok != (record.reason is None):
        yield f"the outcome {record.outcome.value} with {given} trajectories and the reason {record.reason!r}"
    if record.repeats < 0 or given > record.repeats:
        yield f"{given} trajectories of {record.repeats} repeats"
    if len(set(record.trajectories)) != given:
        yield "two equal trajectories: only different ones are kept"
    if bool(record.repeats) != (record.provenance is not None):
        yield f"{record.repeats} repeats, and {'no ' if record.provenance is None else ''}provenance"
    if record.cell.steps < min(given, 1):  # a command that failed does not tell how many there would have been
        yield f"{record.cell.steps} steps"


def _names(record: Record) -> Iterator[str]:
    cell = record.cell
    device = "" if cell.device == "cpu" else f"@{cell.device.replace(':', '')}"
    settings = "" if cell.settings == "default" else f"+{cell.settings}"
    start = f"{cell.workload}/{cell.environment}/{cell.variant}{device}{settings}"  # as `Cell.id` makes it
    if not cell.id.startswith(start) or not _MEMBER.fullmatch(cell.id.removeprefix(start)):
        yield f"the id {cell.id!r} is not that of {start}"
    if not cell.environment.startswith(f"{cell.framework}-{cell.version}-{cell.flavour}"):
        yield f"the environment {cell.environment!r} is not {cell.framework} {cell.version} {cell.flavour}"
    if not all(map(_DIGEST.fullmatch, (record.key, cell.task, cell.code))):
        yield "a key, task or code that is no SHA-256"
    if record.log is not None and not _LOG.fullmatch(record.log):
        yield f"a log in {record.log[:80]!r}"
    if made := record.provenance:
        if made.engine not in ENGINES or made.base_kind not in BASES:
            yield f"the engine {made.engine[:40]!r} on a base of the kind {made.base_kind[:40]!r}"
        if not _DIGEST.fullmatch(made.entrypoint_digest) or not made.cpu_class:
            yield "a provenance without digest of the entrypoint, or without CPU class"


def pairs(entry: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """Return a mapping of texts as sorted pairs."""
    return tuple(sorted(entry.items()))
