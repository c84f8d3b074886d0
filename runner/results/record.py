"""One cell's result as a frozen value, and its JSON form (schemas/record.json, format 1).

A float is C99 hexadecimal text of the exact value; a failed cell has no trajectory, never a number.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from runner.errors import ResultsError

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
    return json.dumps(document, sort_keys=True, indent=1, ensure_ascii=False).encode() + b"\n"


def decode(data: bytes, where: str) -> Record:
    """Read a record; `where` is its path in messages.

    Raises:
        ResultsError: damaged, or written by a newer release.
    """
    try:
        document = json.loads(data)
        found = document["format"]
        if found != FORMAT:
            raise ResultsError(
                f"a record of format {found}, this release reads format {FORMAT}",
                where=where,
                hint="update repromatrix, or run the cells again into another --results folder",
            )
        cell = document["cell"]
        return Record(
            cell=Description(**{**cell, "options": tuple(sorted(cell["options"].items()))}),
            key=document["key"],
            outcome=Outcome(document["outcome"]),
            reason=document["reason"],
            log=document["log"],
            repeats=document["repeats"],
            trajectories=tuple(_trajectory(each) for each in document["trajectories"]),
            fingerprint=document["fingerprint"],
            provenance=Provenance(**document["provenance"]) if document["provenance"] else None,
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ResultsError(
            f"not a readable record ({type(error).__name__}: {error})",
            where=where,
            hint="delete that file and run the cell again",
        ) from error


def _trajectory(entry: Mapping[str, Any]) -> Trajectory:
    for text in entry["losses"]:
        float.fromhex(text)  # a record with anything else in it is damaged
    return Trajectory(
        losses=tuple(entry["losses"]),
        predictions=tuple(map(tuple, entry["predictions"])),
        hidden_weights=tuple(map(tuple, entry["hidden_weights"])),
        output_weights=tuple(map(tuple, entry["output_weights"])),
    )
