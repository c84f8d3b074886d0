"""How a cell computes an operation: the forms that give its bits on every input, and the distance from the truth.

Judged from replays alone. A form that fits is sufficient; where several do, none of them is shown to be the one used.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from repromatrix.operations.catalogue import OWN_SIGMOID, Constants, Tensor
from repromatrix.operations.text import flat, write
from repromatrix.results.replay import Replay, Sample, digest, sample
from repromatrix.results.trace import Steps

if TYPE_CHECKING:
    from repromatrix.operations.truth import Truths

Inputs = Mapping[str, Tensor]
# Judgements by what they were made from: many environments compute an operation in the same way.
Memo = MutableMapping[str, "Arithmetic"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Arithmetic:
    """How an operation was computed, as far as its values tell.

    Attributes:
        values: how many outputs were looked at, over all inputs, recorded and fresh.
        forms: the names of those that give every one of them.
        tried: how many forms there are.
        nearest: where none fits, the form that gives most of the values, else None.
        agreeing: how many values the nearest gives; all of them where a form fits.
        correct: how many values are the correctly rounded ones; None: not measured.
        worst: the largest distance of a value from the truth, in ULP; None: not measured.
        reason: why there is no answer, else None.
    """

    operation: str
    dtype: str
    values: int
    forms: tuple[str, ...]
    tried: int
    nearest: str | None
    agreeing: int
    correct: int | None = None
    worst: float | None = None
    reason: str | None = None


def arithmetic(
    operation: str,
    replays: Sequence[Replay],
    sigmoids: Sequence[Replay] = (),
    *,
    measure: bool = False,
    memo: Memo | None = None,
) -> Arithmetic:
    """Judge what a cell's operation gave.

    Args:
        operation: which one.
        replays: of one cell, on recorded inputs, fresh ones, or both.
        sigmoids: those of its `sigmoid` on the same; for `sigmoid_gradient`, which may take that in place of what it
            is given.
        measure: whether to hold every value against the truth too.
        memo: what was judged before, and where this judgement goes.

    Raises:
        ValueError: fresh inputs that this release makes otherwise.
    """
    dtype = replays[0].cell.dtype
    failed = next((each for each in replays if not each.ok), None)
    if failed is not None:
        return _unanswered(operation, dtype, f"{failed.outcome.value}: {failed.reason}")
    asked = [each for each in sigmoids if each.ok] if operation == "sigmoid_gradient" else []
    memo, key = {} if memo is None else memo, _key(operation, replays, asked, measure=measure)
    found = memo.get(key)
    if found is None:
        found = memo[key] = _judged(operation, replays, asked, measure=measure)
    return found


def _judged(operation: str, replays: Sequence[Replay], sigmoids: Sequence[Replay], *, measure: bool) -> Arithmetic:
    from repromatrix.operations.fit import fit  # noqa: PLC0415 - all forms, and the arithmetic behind them, cost time
    from repromatrix.operations.forms import forms  # noqa: PLC0415

    dtype, constants = replays[0].cell.dtype, constants_of(replays[0])
    known = forms(operation, dtype)
    correct, worst = _measured(replays, constants) if measure else (None, None)
    if not known:
        return Arithmetic(
            operation=operation,
            dtype=dtype,
            values=sum(len(values) for replay in replays for values in replay.values),
            forms=(),
            tried=0,
            nearest=None,
            agreeing=0,
            correct=correct,
            worst=worst,
        )
    own = _own(sigmoids)
    calls = [_with(inputs, own) for replay in replays for inputs in inputs_of(replay)]
    outputs = [flat(values) for replay in replays for values in replay.values]
    found = fit(operation, dtype, calls, outputs, constants)
    return Arithmetic(
        operation=operation,
        dtype=dtype,
        values=found.count,
        forms=found.fitting,
        tried=len(known),
        nearest=found.nearest,
        agreeing=found.agreeing,
        correct=correct,
        worst=worst,
    )


def _key(operation: str, replays: Sequence[Replay], sigmoids: Sequence[Replay], *, measure: bool) -> str:
    constants = constants_of(replays[0])
    evidence = [[[each.inputs, each.cell.dtype, each.values] for each in some] for some in (replays, sigmoids)]
    question = [operation, constants.numbers, constants.loss_form, measure, evidence]
    return sha256(json.dumps(question).encode()).hexdigest()


def constants_of(replay: Replay) -> Constants:
    """Return what the operations of a cell take from its workload and its variant."""
    form = dict(replay.options).get("loss_form", "half_sum")
    return Constants(numbers=tuple((name, float(text)) for name, text in replay.numbers), loss_form=form)


def inputs_of(replay: Replay) -> tuple[Inputs, ...]:
    """Return the inputs of a replayed operation: those that were recorded, or the fresh ones of its seed.

    Raises:
        ValueError: fresh inputs that this release makes otherwise.
    """
    if replay.seed is None:
        return tuple(floats_of(each) for each in replay.samples)
    made, found = _fresh(replay.operation, replay.cell.dtype, replay.seed)
    if found != replay.inputs:
        raise ValueError(f"the fresh inputs of {replay.operation} are others in this release")
    return made


def floats_of(inputs: Sample) -> Inputs:
    """Return recorded inputs as floats."""
    return {name: _floats(entry) for name, entry in inputs}


@cache
def _fresh(operation: str, dtype: str, seed: int) -> tuple[tuple[Inputs, ...], str]:
    from repromatrix.operations import fresh  # noqa: PLC0415 - the arithmetic behind it costs time

    made = fresh.samples(operation, dtype, seed)
    return made, digest([sample(write(each)) for each in made])


def _floats(entry: Any) -> Tensor:
    if isinstance(entry, str):
        return float.fromhex(entry)
    return [flat(row) for row in entry] if isinstance(entry[0], tuple) else flat(entry)


def _own(sigmoids: Iterable[Replay]) -> dict[tuple[Any, ...], Tensor]:
    """Return what a cell's own sigmoid gave, by the inputs that it was given."""
    return {
        tuple(_vector(inputs["z"])): flat(values)
        for replay in sigmoids
        for inputs, values in zip(inputs_of(replay), replay.values, strict=True)
    }


def _vector(tensor: Tensor) -> list[float]:
    return [each for each in tensor if isinstance(each, float)] if isinstance(tensor, list) else []


def _with(inputs: Inputs, own: Mapping[tuple[Any, ...], Tensor]) -> Inputs:
    found = own.get(tuple(_vector(inputs.get("z", []))))
    return inputs if found is None else {**inputs, OWN_SIGMOID: found}


def _measured(replays: Sequence[Replay], constants: Constants) -> tuple[int, float]:
    """Return how many values are correctly rounded, and the largest distance from the truth."""
    found = [
        true.measured([flat(each) for each in values])
        for replay in replays
        for true, values in _held_against(replay, constants)
    ]
    return sum(correct for correct, _ in found), max(worst for _, worst in found)


def _held_against(replay: Replay, constants: Constants) -> Iterator[tuple["Truths", Steps]]:
    """Yield what is true of calls of one shape, and what a replay gave for them; recorded calls have many shapes."""
    from repromatrix.operations import truth  # noqa: PLC0415 - Arb costs time

    inputs, dtype = inputs_of(replay), replay.cell.dtype
    if replay.seed is not None:
        yield _truths(replay.operation, dtype, replay.seed, constants), replay.values
        return
    for call, values in zip(inputs, replay.values, strict=True):
        yield truth.truths(replay.operation, [call], dtype, constants), (values,)


@cache
def _truths(operation: str, dtype: str, seed: int, constants: Constants) -> "Truths":
    """Return what is true of fresh inputs: it is the same for every environment."""
    from repromatrix.operations import truth  # noqa: PLC0415

    return truth.truths(operation, _fresh(operation, dtype, seed)[0], dtype, constants)


def _unanswered(operation: str, dtype: str, reason: str) -> Arithmetic:
    return Arithmetic(
        operation=operation, dtype=dtype, values=0, forms=(), tried=0, nearest=None, agreeing=0, reason=reason
    )
