"""One cell's result as a frozen value, and its JSON form (schemas/record.json, format 1).

A float is C99 hexadecimal text of the exact value; a failed cell has no trajectory, never a number.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from itertools import chain
from typing import Any

from repromatrix.errors import NewerFormatError, ResultsError
from repromatrix.results import document as documents

FORMAT = 1
# Exactly what float.hex() writes: each value has one spelling. A line each, so that one match reads a whole list.
_EXACT = re.compile(
    r"""(?:
      -?0x1\.[0-9a-f]{13}p(?:-(?:[1-9][0-9]{0,2}|10[01][0-9]|102[0-2])|\+(?:0|[1-9][0-9]{0,2}|10[01][0-9]|102[0-3]))\n
    | -?0x0\.(?!0{13})[0-9a-f]{13}p-1022\n
    | -?0x0\.0p\+0\n
    | nan\n
    | -?inf\n
    )*+""",
    re.VERBOSE,
)
# Where the predictions stand in what `encode` writes. A line of this indent is nowhere else: text has no line breaks.
_TRAJECTORIES, _PREDICTIONS, _END = b'\n "trajectories": [\n', b'\n   "predictions": [\n', b"\n   ]"


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
        engine: `docker`, `process` or `here`.
        base_kind: `registry`, `local` (built from the distribution's packages), `interpreter`, or `here` (an
            interpreter with all that was installed in it).
        base_digest: digest of the base, or the interpreter's identity.
        image_digest: digest of the image; None where there is none.
        lock_digest: SHA-256 of the environment's lock; None: no lock, the environment was taken as it was found.
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
        """Whether a lock fixes every package of its environment; None where nothing ran."""
        return None if self.provenance is None else self.provenance.lock_digest is not None

    @property
    def trajectory(self) -> Trajectory | None:
        """The first repeat's trajectory, None unless the outcome is `ok`."""
        return self.trajectories[0] if self.trajectories else None


def encode(record: Record) -> bytes:
    """Return the record as canonical JSON: sorted keys, one trailing newline."""
    provenance = record.provenance
    document = {
        "format": FORMAT,
        "cell": write_description(record.cell),
        "key": record.key,
        "outcome": record.outcome.value,
        "reason": record.reason,
        "log": record.log,
        "repeats": record.repeats,
        "deterministic": record.deterministic,
        "trajectories": [write_trajectory(each) for each in record.trajectories],
        "factors": dict(record.factors),
        "fingerprint": record.fingerprint,
        "provenance": {name: getattr(provenance, name) for name in Provenance.__dataclass_fields__}
        if provenance
        else None,
    }
    return documents.write(document)


def decode(data: bytes, where: str, *, predictions: bool = True) -> Record:
    """Read a record.

    Args:
        data: the file's content.
        where: its path in messages.
        predictions: False: they are not looked at and may be left empty; they are two thirds of a long record.

    Raises:
        ResultsError: damaged, or written by a newer release.
    """
    try:
        document = documents.read(data if predictions else _without_predictions(data))
        found = document["format"]
        if found != FORMAT:
            raise NewerFormatError(
                f"a record of format {found}, this release reads format {FORMAT}",
                where=where,
                hint="update repromatrix, or run the cells again into another --results folder",
            )
        provenance = document["provenance"]
        return Record(
            cell=read_description(document["cell"]),
            key=_text(document["key"]),
            outcome=Outcome(document["outcome"]),
            reason=_text_or_none(document["reason"]),
            log=_text_or_none(document["log"]),
            repeats=_whole(document["repeats"]),
            trajectories=_trajectories(document["outcome"], document["trajectories"]),
            fingerprint=dict(document["fingerprint"]),
            provenance=_provenance(provenance) if provenance else None,
            factors=_pairs(document.get("factors", {})),  # earlier releases did not ask for them
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
    lines = "\n".join(values) + "\n" if values else ""
    if _EXACT.fullmatch(lines) and lines.count("\n") == len(values):
        return tuple(values)
    wrong = next(text for text in values if "\n" in text or not _EXACT.fullmatch(f"{text}\n"))
    raise ValueError(f"not an exact float: {wrong[:40]!r}")


def _rows(rows: Any) -> tuple[tuple[str, ...], ...]:
    """Return rows of floats; all of them are looked at in one go."""
    if not isinstance(rows, list) or not all(isinstance(row, list) for row in rows):
        raise TypeError(f"not a list of lists: {rows!r}"[:80])
    exact(list(chain.from_iterable(rows)))
    return tuple(map(tuple, rows))


def _without_predictions(data: bytes) -> bytes:
    """Return a record as `encode` writes it without its predictions; what is written in another way, whole."""
    parts, done = [], 0
    last = data.rfind(_TRAJECTORIES)
    start = data.find(_PREDICTIONS, last) if last >= 0 else -1
    while start >= 0 and (end := data.find(_END, start + len(_PREDICTIONS))) >= 0:
        parts += [data[done:start], _PREDICTIONS]
        done = end
        start = data.find(_PREDICTIONS, end)
    return b"".join((*parts, data[done:]))


def _trajectories(outcome: str, entries: list[Mapping[str, Any]]) -> tuple[Trajectory, ...]:
    if (outcome == Outcome.OK) != bool(entries):
        raise ValueError(f"the outcome {outcome!r} with {len(entries)} trajectories")
    return tuple(read_trajectory(each) for each in entries)


def write_trajectory(trajectory: Trajectory) -> dict[str, Any]:
    """Return a trajectory as JSON data."""
    return {name: getattr(trajectory, name) for name in Trajectory.__dataclass_fields__}


def read_trajectory(entry: Mapping[str, Any]) -> Trajectory:
    """Return the trajectory that JSON data holds.

    Raises:
        ValueError: not exact floats; KeyError, TypeError: another shape.
    """
    return Trajectory(
        losses=exact(entry["losses"]),
        predictions=_rows(entry["predictions"]),
        hidden_weights=_rows(entry["hidden_weights"]),
        output_weights=_rows(entry["output_weights"]),
    )


def write_description(cell: Description) -> dict[str, Any]:
    """Return a cell as JSON data."""
    return {name: getattr(cell, name) for name in Description.__dataclass_fields__} | {"options": dict(cell.options)}


def read_description(entry: Mapping[str, Any]) -> Description:
    """Return the cell that JSON data describes.

    Raises:
        KeyError, TypeError: another shape.
    """
    texts = {name: _text(value) for name, value in entry.items() if name not in ("options", "steps")}
    return Description(**texts, options=_pairs(entry["options"]), steps=_whole(entry["steps"]))


def _pairs(entry: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted((_text(key), _text(value)) for key, value in entry.items()))


def _provenance(entry: Mapping[str, Any]) -> Provenance:
    optional = {name: _text_or_none(entry[name]) for name in ("image_digest", "lock_digest")}
    texts = {name: _text(value) for name, value in entry.items() if name not in optional}
    return Provenance(**texts, image_digest=optional["image_digest"], lock_digest=optional["lock_digest"])


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
