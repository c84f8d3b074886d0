"""An operation of a cell computed again on given inputs, and its JSON form (schemas/replay.json, format 4).

It is `step`, one step on the tensors of a trace, place by place, or an operation of the catalogue alone. It is computed
by the very code of the cell's training step. Inputs are either recorded ones, kept here, or fresh ones from a seeded
generator, of which only the seed and the digest are kept.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, TypeAlias

from repromatrix.errors import ResultsError
from repromatrix.graph import STEP, Place
from repromatrix.results import document as documents
from repromatrix.results.packed import pack, unpack
from repromatrix.results.record import Description, Outcome, fields_of, refuse_other_format
from repromatrix.results.trace import Steps
from repromatrix.results.value import exact

FORMAT = 4
# Numbers of a tensor as hexadecimal text: one, a list of them, or rows.
Nested: TypeAlias = str | tuple[str | tuple[str, ...], ...]
# An input's name -> its numbers, sorted by name.
Sample: TypeAlias = tuple[tuple[str, Nested], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where the inputs of an operation were recorded: at a place of a step of a cell; the step from 1."""

    cell: str
    place: str
    step: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Packed:
    """The values of thousands of calls: base64 of their bits, `width` values a call."""

    width: int
    bits: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What a cell's operation was computed on.

    Attributes:
        key: SHA-256 over everything that can change the numbers, the inputs included.
        operation: `step` or an operation's name.
        inputs: SHA-256 over the inputs; equal digests, equal inputs.
        places: of a step what it computes from what, in order; empty for an operation.
        numbers: those of the workload that an operation takes, by its own names for them, as decimal text.
        trace: id and key of the trace whose steps are replayed; None for an operation.
        begin: the first of these steps, from 1; None for an operation.
        origins: where each input of an operation was recorded; empty for a step, and for fresh inputs.
        samples: the recorded inputs of an operation; empty for a step, and for fresh inputs.
        seed: of the generator of fresh inputs, else None.
        reason: why the outcome is not `ok`, else None.
        options: every option of the cell with the value that it used, sorted.
    """

    cell: Description
    key: str
    operation: str
    inputs: str
    places: tuple[Place, ...]
    numbers: tuple[tuple[str, str], ...]
    trace: tuple[str, str] | None
    begin: int | None
    origins: tuple[Origin, ...]
    samples: tuple[Sample, ...]
    seed: int | None
    outcome: Outcome
    reason: str | None
    options: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay(Question):
    """What a cell's operation gave on a list of inputs.

    Attributes:
        outputs: name -> its values for each input, laid flat; for a step the places, for an operation its own name.
            Empty unless the outcome is `ok`.
    """

    outputs: tuple[tuple[str, Steps], ...]

    @property
    def ok(self) -> bool:
        """Whether there are outputs."""
        return self.outcome is Outcome.OK

    @property
    def values(self) -> Steps:
        """What an operation gave for each input; empty without an answer."""
        return dict(self.outputs).get(self.operation, ())

    @property
    def steps(self) -> tuple[Mapping[str, tuple[str, ...]], ...]:
        """What a step gave, place by place, for each step of the trace."""
        count = len(self.outputs[0][1]) if self.outputs else 0
        return tuple({name: values[step] for name, values in self.outputs} for step in range(count))


def digest(samples: Sequence[Sample]) -> str:
    """Return the SHA-256 over inputs."""
    return sha256(json.dumps(samples).encode()).hexdigest()


def sample(inputs: Mapping[str, Any]) -> Sample:
    """Return an input whose numbers, floats or hexadecimal text, are in nested sequences.

    Raises:
        ValueError: a text that is not an exact float; TypeError: neither numbers nor sequences of them.
    """
    return tuple(sorted((name, _nested(value)) for name, value in inputs.items()))


@dataclass(frozen=True, slots=True, kw_only=True)
class Document(Question):
    """A replay as it stands in its file: the values of fresh inputs, thousands of one width, are packed."""

    outputs: tuple[tuple[str, Steps | Packed], ...]
    format: int = FORMAT


def encode(replay: Replay) -> bytes:
    """Return the replay as canonical JSON: sorted keys, one trailing newline."""
    outputs = tuple((name, _written(values, replay)) for name, values in replay.outputs)
    return documents.canonical(Document(**fields_of(replay, Question), outputs=outputs))


def decode(data: bytes, where: str) -> Replay:
    """Read a replay; `where` is its path in messages.

    Raises:
        ResultsError: damaged, or written by another release.
    """
    try:
        refuse_other_format(data, FORMAT, "a replay", where)
        found = documents.strict(data, Document)
        outputs = tuple((name, _read(values, found.cell.dtype)) for name, values in found.outputs)
        replay = Replay(**fields_of(found, Question), outputs=outputs)
        _check(replay)
    except (ArithmeticError, LookupError, TypeError, ValueError) as error:
        raise ResultsError(
            f"not a readable replay ({error})",
            where=where,
            hint="delete that file and ask again: repromatrix explain or repromatrix operations",
        ) from error
    return replay


def _check(replay: Replay) -> None:
    if replay.ok != bool(replay.outputs) or replay.ok != (replay.reason is None):
        raise ValueError(f"the outcome {replay.outcome} with {len(replay.outputs)} outputs")
    if len(replay.origins) != len(replay.samples):
        raise ValueError(f"{len(replay.origins)} origins of {len(replay.samples)} inputs")
    if replay.samples and digest(replay.samples) != replay.inputs:
        raise ValueError("the inputs are not those of the digest")
    kinds = [replay.trace is not None, bool(replay.samples), replay.seed is not None]
    if sum(kinds) != 1 or kinds[0] != (replay.operation == STEP):
        raise ValueError("inputs are of a trace, recorded or fresh, and only a step is of a trace")
    if (replay.begin is None) != (replay.trace is None):
        raise ValueError("of a trace is told from which step on it is replayed, and of nothing else")
    if bool(replay.places) != (replay.operation == STEP):
        raise ValueError("a step has places, and an operation has none")
    due = [each.value for each in replay.places] or [replay.operation]
    if replay.ok and [name for name, _ in replay.outputs] != due:
        raise ValueError("outputs are those of the places, in their order; of an operation one, of its own name")
    counts = {len(values) for _, values in replay.outputs}
    if len(counts) > 1 or (replay.samples and counts - {len(replay.samples)}):
        raise ValueError(f"outputs of {sorted(counts)} inputs")
    if any(sample(dict(each)) != each for each in replay.samples):
        raise ValueError("inputs that are not as they are written here")


def _written(values: Steps, replay: Replay) -> Steps | Packed:
    if replay.seed is None:
        return values
    return Packed(width=len(values[0]), bits=pack([text for row in values for text in row], replay.cell.dtype))


def _read(entry: Steps | Packed, dtype: str) -> Steps:
    if not isinstance(entry, Packed):
        return tuple(exact(row, dtype) for row in entry)
    width, values = entry.width, unpack(entry.bits, dtype)
    if width < 1 or len(values) % width:
        raise ValueError(f"{len(values)} values in rows of {width}")
    return tuple(values[place : place + width] for place in range(0, len(values), width))


def _nested(value: Any) -> Nested:
    if isinstance(value, float):
        return value.hex()
    if isinstance(value, str):
        return exact([value], "float64")[0]
    if not isinstance(value, list | tuple):
        raise TypeError(f"not numbers in lists: {value!r}"[:80])
    return tuple(_row(each) for each in value)


def _row(value: Any) -> str | tuple[str, ...]:
    found = _nested(value)
    if isinstance(found, str):
        return found
    if not all(isinstance(each, str) for each in found):
        raise TypeError(f"numbers in more than two dimensions: {value!r}"[:80])
    return tuple(each for each in found if isinstance(each, str))
