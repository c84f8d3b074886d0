"""An operation of a cell computed again on given inputs, and its JSON form (schemas/replay.json, format 2).

The operation is `step`, one step on the tensors of a trace, or a primitive: the product, the sigmoid and so on. It is
computed by the very code of the cell's training step. Inputs are either recorded ones, kept here, or fresh ones from a
seeded generator, of which only the seed and the digest are kept.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, TypeAlias

import msgspec

from repromatrix.errors import ResultsError
from repromatrix.results import document as documents
from repromatrix.results.packed import pack, unpack
from repromatrix.results.record import Description, Outcome, refuse_other_format
from repromatrix.results.trace import Steps
from repromatrix.results.value import exact

FORMAT = 2
STEP = "step"
# What a step gives, in the order in which it computes them: the tensors of a trace, and what lies between.
PLACES = (
    "hidden_product",
    "hidden_pre",
    "hidden",
    "output_product",
    "output_pre",
    "output",
    "loss",
    "output_error",
    "output_delta",
    "grad_output_weights",
    "hidden_error",
    "hidden_delta",
    "grad_hidden_weights",
    "output_weights",
    "hidden_weights",
)
# Numbers of a tensor as hexadecimal text, row by row.
Nested: TypeAlias = "str | tuple[Nested, ...]"
# An input's name -> its numbers, sorted by name.
Sample: TypeAlias = tuple[tuple[str, Nested], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where the inputs of a primitive were recorded: at a place of a step of a cell; the step from 1."""

    cell: str
    place: str
    step: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """What a cell's operation gave on a list of inputs.

    Attributes:
        key: SHA-256 over everything that can change the numbers, the inputs included.
        operation: `step` or a primitive's name.
        inputs: SHA-256 over the inputs; equal digests, equal inputs.
        learning_rate: the workload's, as decimal text.
        trace: id and key of the trace whose steps are replayed; None for a primitive.
        origins: where each input of a primitive was recorded; empty for a step, and for fresh inputs.
        samples: the recorded inputs of a primitive; empty for a step, and for fresh inputs.
        seed: of the generator of fresh inputs, else None.
        reason: why the outcome is not `ok`, else None.
        options: every option of the entrypoint with the value that it used, sorted.
        outputs: name -> its values for each input, laid flat; for a step the places, for a primitive its own name.
            Empty unless the outcome is `ok`.
    """

    cell: Description
    key: str
    operation: str
    inputs: str
    learning_rate: str
    trace: tuple[str, str] | None
    origins: tuple[Origin, ...]
    samples: tuple[Sample, ...]
    seed: int | None
    outcome: Outcome
    reason: str | None
    options: tuple[tuple[str, str], ...]
    outputs: tuple[tuple[str, Steps], ...]

    @property
    def ok(self) -> bool:
        """Whether there are outputs."""
        return self.outcome is Outcome.OK

    @property
    def values(self) -> Steps:
        """What a primitive gave for each input; empty without an answer."""
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


def encode(replay: Replay) -> bytes:
    """Return the replay as canonical JSON: sorted keys, one trailing newline."""
    document = {
        "format": FORMAT,
        "cell": msgspec.to_builtins(replay.cell),
        "key": replay.key,
        "operation": replay.operation,
        "inputs": replay.inputs,
        "learning_rate": replay.learning_rate,
        "trace": None if replay.trace is None else list(replay.trace),
        "origins": [[each.cell, each.place, each.step] for each in replay.origins],
        "samples": [dict(each) for each in replay.samples],
        "seed": replay.seed,
        "outcome": replay.outcome.value,
        "reason": replay.reason,
        "options": dict(replay.options),
        "outputs": {name: _written(values, replay) for name, values in replay.outputs},
    }
    return documents.write(document)


def decode(data: bytes, where: str) -> Replay:
    """Read a replay; `where` is its path in messages.

    Raises:
        ResultsError: damaged, or written by a newer release.
    """
    try:
        refuse_other_format(data, FORMAT, "a replay", where)
        document = documents.read(data)
        replay = _replay(document)
        _check(replay)
    except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
        raise ResultsError(
            f"not a readable replay ({type(error).__name__}: {error})",
            where=where,
            hint="delete that file and ask again: repromatrix explain or repromatrix operations",
        ) from error
    return replay


def _replay(document: dict[str, Any]) -> Replay:
    cell = msgspec.convert(document["cell"], Description)
    trace = document["trace"]
    outputs = [(name, _read(entry, cell.dtype)) for name, entry in document["outputs"].items()]
    texts = {name: str(document[name]) for name in ("key", "operation", "inputs", "learning_rate")}
    return Replay(
        cell=cell,
        **texts,
        trace=None if trace is None else (str(trace[0]), str(trace[1])),
        origins=tuple(Origin(cell=str(c), place=str(p), step=int(s)) for c, p, s in document["origins"]),
        samples=tuple(sample(each) for each in document["samples"]),
        seed=None if document["seed"] is None else int(document["seed"]),
        outcome=Outcome(document["outcome"]),
        reason=None if document["reason"] is None else str(document["reason"]),
        options=tuple(sorted((str(name), str(value)) for name, value in document["options"].items())),
        outputs=tuple(sorted(outputs, key=lambda each: PLACES.index(each[0]) if each[0] in PLACES else 0)),
    )


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
    if replay.ok and replay.operation != STEP and [name for name, _ in replay.outputs] != [replay.operation]:
        raise ValueError("a primitive has one output, of its own name")
    counts = {len(values) for _, values in replay.outputs}
    if len(counts) > 1 or (replay.samples and counts - {len(replay.samples)}):
        raise ValueError(f"outputs of {sorted(counts)} inputs")


def _written(values: Steps, replay: Replay) -> Any:
    """Return outputs as JSON data: fresh ones, thousands of one width, are packed."""
    if replay.seed is None:
        return values
    width = len(values[0])
    return {"width": width, "bits": pack([each for row in values for each in row], replay.cell.dtype)}


def _read(entry: Any, dtype: str) -> Steps:
    if isinstance(entry, list):
        return tuple(exact(row, dtype) for row in entry)
    width, values = int(entry["width"]), unpack(entry["bits"], dtype)
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
    return tuple(map(_nested, value))
