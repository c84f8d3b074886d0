"""One cell's result as a frozen value, and its JSON form (schemas/record.json, format 1).

A float is C99 hexadecimal text of the exact value; a failed cell has no trajectory, never a number.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from runner.errors import NewerFormatError, ResultsError
from runner.results import document as documents

FORMAT = 1


class Outcome(StrEnum):
    """How a cell ended."""

    OK = "ok"
    FAILED = "failed"
    TIMED_OUT = "timed_out"
    SKIPPED = "skipped"
    UNAVAILABLE = "unavailable"


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """What was run, in the words of matrix.yaml; enough to compare and to print without the matrix."""

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Trajectory:
    """What one process computed, every float as hexadecimal text.

    Attributes:
        losses: one a step, before its update.
        predictions: steps + 1 rows of outputs; the last one after the last update.
        hidden_weights: `W[out][in]` after the last update.
        output_weights: likewise.
    """

    losses: tuple[str, ...]
    predictions: tuple[tuple[str, ...], ...]
    hidden_weights: tuple[tuple[str, ...], ...]
    output_weights: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """What the cell ran in.

    Attributes:
        engine: `docker` or `process`.
        base_kind: `registry`, `local` (built from the distribution's packages) or `interpreter`.
        base_digest: digest of the base, or the interpreter's identity.
        image_digest: digest of the image; None for the process engine.
        lock_digest: SHA-256 of the environment's lock.
        entrypoint_digest: SHA-256 over the harness and the entrypoint.
        cpu_class: the host's instruction sets.
    """

    engine: str
    base_kind: str
    base_digest: str
    image_digest: str | None
    lock_digest: str
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

    @property
    def deterministic(self) -> bool | None:
        """Whether all repeats gave the same bits; None where there is nothing to compare."""
        if self.outcome is not Outcome.OK or self.repeats < 2:  # noqa: PLR2004 - one run shows nothing
            return None
        return len(self.trajectories) == 1

    @property
    def trajectory(self) -> Trajectory | None:
        """The first repeat's trajectory, None unless the outcome is `ok`."""
        return self.trajectories[0] if self.trajectories else None


def encode(record: Record) -> bytes:
    """Return the record as canonical JSON: sorted keys, one trailing newline."""
    cell = {name: getattr(record.cell, name) for name in Description.__dataclass_fields__}
    cell["options"] = dict(record.cell.options)
    provenance = record.provenance
    document = {
        "format": FORMAT,
        "cell": cell,
        "key": record.key,
        "outcome": record.outcome.value,
        "reason": record.reason,
        "log": record.log,
        "repeats": record.repeats,
        "deterministic": record.deterministic,
        "trajectories": [
            {name: getattr(each, name) for name in Trajectory.__dataclass_fields__} for each in record.trajectories
        ],
        "fingerprint": record.fingerprint,
        "provenance": {name: getattr(provenance, name) for name in Provenance.__dataclass_fields__}
        if provenance
        else None,
    }
    return documents.write(document)


def decode(data: bytes, where: str) -> Record:
    """Read a record; `where` is its path in messages.

    Raises:
        ResultsError: damaged, or written by a newer release.
    """
    try:
        document = documents.read(data)
        found = document["format"]
        if found != FORMAT:
            raise NewerFormatError(
                f"a record of format {found}, this release reads format {FORMAT}",
                where=where,
                hint="update repromatrix, or run the cells again into another --results folder",
            )
        provenance = document["provenance"]
        return Record(
            cell=_description(document["cell"]),
            key=_text(document["key"]),
            outcome=Outcome(document["outcome"]),
            reason=_text_or_none(document["reason"]),
            log=_text_or_none(document["log"]),
            repeats=_whole(document["repeats"]),
            trajectories=_trajectories(document["outcome"], document["trajectories"]),
            fingerprint=dict(document["fingerprint"]),
            provenance=_provenance(provenance) if provenance else None,
        )
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
        raise ResultsError(
            f"not a readable record ({type(error).__name__}: {error})",
            where=where,
            hint="delete that file and run the cell again",
        ) from error


def exact(values: Any) -> tuple[str, ...]:
    """Return a list of floats as they are written in records: C99 hexadecimal text, `nan`, `inf`, `-inf`.

    Raises:
        ValueError: another way to write them: `0.5` would be read as hexadecimal, so it is not guessed at.
        TypeError: not a list of texts.
    """
    if not isinstance(values, list):
        raise TypeError(f"not a list: {values!r}"[:80])
    for text in values:
        if float.fromhex(text).hex() != text:
            raise ValueError(f"not an exact float: {text[:40]!r}")
    return tuple(values)


def _trajectories(outcome: str, entries: list[Mapping[str, Any]]) -> tuple[Trajectory, ...]:
    if (outcome == Outcome.OK) != bool(entries):
        raise ValueError(f"the outcome {outcome!r} with {len(entries)} trajectories")
    return tuple(_trajectory(each) for each in entries)


def _trajectory(entry: Mapping[str, Any]) -> Trajectory:
    return Trajectory(
        losses=exact(entry["losses"]),
        predictions=tuple(exact(row) for row in entry["predictions"]),
        hidden_weights=tuple(exact(row) for row in entry["hidden_weights"]),
        output_weights=tuple(exact(row) for row in entry["output_weights"]),
    )


def _description(entry: Mapping[str, Any]) -> Description:
    options = tuple(sorted((_text(key), _text(value)) for key, value in entry["options"].items()))
    texts = {name: _text(value) for name, value in entry.items() if name not in ("options", "steps")}
    return Description(**texts, options=options, steps=_whole(entry["steps"]))


def _provenance(entry: Mapping[str, Any]) -> Provenance:
    texts = {name: _text(value) for name, value in entry.items() if name != "image_digest"}
    return Provenance(**texts, image_digest=_text_or_none(entry["image_digest"]))


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} where text is due")
    return value


def _text_or_none(value: Any) -> str | None:
    return None if value is None else _text(value)


def _whole(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{value!r} where a whole number is due")
    return value
