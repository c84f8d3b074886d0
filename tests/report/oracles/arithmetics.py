"""Replays of an operation -> the forms that fit, and how far its values are from the truth; each evidence once.

Which forms there are, what each of them computes, and what the fresh inputs of a seed are is the definition of the
forms (`repromatrix.operations`), which the report uses too. What is judged here is the evidence: which inputs, which
values.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from repromatrix.operations.catalogue import OWN_SIGMOID, Constants
from repromatrix.report.sections.operations import How, distance_in_ulps
from repromatrix.results.replay import Replay, digest, sample
from tests.report.oracles.truths import Interval, off, rounded, truths

Inputs = Mapping[str, Any]


class Arithmetics:
    """Judges how operations were computed; what was judged before is not judged again."""

    def __init__(self) -> None:
        self._hows: dict[Any, How] = {}
        self._fresh: dict[tuple[str, str, int], tuple[tuple[Inputs, ...], str]] = {}
        self._true: dict[Any, list[list[Interval] | None]] = {}

    def how(
        self, operation: str, replays: Sequence[Replay], sigmoids: Sequence[Replay] = (), *, measure: bool = False
    ) -> How:
        """Judge what a cell gave on all inputs of its replays, by `sigmoids` of the same cell where they enter."""
        lost = next((each for each in replays if not each.ok), None)
        if lost is not None:
            return _unanswered(f"{lost.outcome.value}: {lost.reason}")
        asked = [each for each in sigmoids if each.ok] if operation == "sigmoid_gradient" else []
        first = replays[0]
        key = (
            *(operation, first.cell.dtype, first.numbers, dict(first.options).get("loss_form"), measure),
            tuple((each.inputs, each.values) for each in replays),
            tuple((each.inputs, each.values) for each in asked),
        )
        if key not in self._hows:
            self._hows[key] = self._judged(operation, replays, asked, measure=measure)
        return self._hows[key]

    def _judged(self, operation: str, replays: Sequence[Replay], sigmoids: Sequence[Replay], *, measure: bool) -> How:
        from repromatrix.operations.fit import fit  # noqa: PLC0415 - all forms cost time, and most reports have no replays
        from repromatrix.operations.forms import forms  # noqa: PLC0415

        first, dtype = replays[0], replays[0].cell.dtype
        own: dict[tuple[float, ...], list[float]] = {}
        for replay in sigmoids:
            for given, values in zip(self.inputs(replay), replay.values, strict=True):
                own[tuple(given["z"])] = [float.fromhex(text) for text in values]
        calls, outputs = [], []
        for replay in replays:
            for given, values in zip(self.inputs(replay), replay.values, strict=True):
                known = own.get(tuple(given.get("z", ())))
                calls.append(given if known is None else {**given, OWN_SIGMOID: known})
                outputs.append([float.fromhex(text) for text in values])
        form = dict(first.options).get("loss_form", "half_sum")
        constants = Constants(numbers=tuple((name, float(text)) for name, text in first.numbers), loss_form=form)
        found = fit(operation, dtype, calls, outputs, constants)
        correct, worst = self._measured(operation, replays, outputs) if measure else (None, None)
        return How(
            values=found.count,
            forms=found.fitting,
            tried=len(forms(operation, dtype)),
            nearest=found.nearest,
            agreeing=found.agreeing,
            correct=correct,
            worst=worst,
            reason=None,
        )

    def _measured(
        self, operation: str, replays: Sequence[Replay], outputs: Sequence[Sequence[float]]
    ) -> tuple[int, str | None]:
        """Return how many values are the correctly rounded ones, and the largest distance from the truth.

        Raises:
            ValueError: an input that is not finite.
        """
        dtype, true = replays[0].cell.dtype, [each for replay in replays for each in self._truths(operation, replay)]
        right, distances = 0, [0.0]
        for values, each in zip(outputs, true, strict=True):
            if each is None:
                raise ValueError("an input that is not finite has no true result")
            right += sum(value == rounded(one, dtype) for value, one in zip(values, each, strict=True))
            distances += [off(value, one, dtype) for value, one in zip(values, each, strict=True)]
        return right, distance_in_ulps(max(float("inf") if one != one else one for one in distances))  # noqa: PLR0124

    def _truths(self, operation: str, replay: Replay) -> list[list[Interval] | None]:
        key = operation, replay.inputs, replay.numbers, dict(replay.options).get("loss_form")
        if key not in self._true:
            self._true[key] = [truths(operation, each, replay) for each in self.inputs(replay)]
        return self._true[key]

    def inputs(self, replay: Replay) -> Sequence[Inputs]:
        """Return what an operation was given: the recorded inputs, or the fresh ones of its seed.

        Raises:
            ValueError: this release makes other inputs of that seed.
        """
        from repromatrix.operations.fresh import samples  # noqa: PLC0415

        if replay.seed is None:
            return [floats_of(dict(each)) for each in replay.samples]
        key = replay.operation, replay.cell.dtype, replay.seed
        if key not in self._fresh:
            made = samples(*key)
            self._fresh[key] = made, digest([sample(each) for each in made])
        made, found = self._fresh[key]
        if found != replay.inputs:
            raise ValueError(f"the fresh inputs of {replay.operation} are others in this release")
        return made


def floats_of(given: Mapping[str, Any]) -> Inputs:
    """Return inputs as floats in lists."""
    return {name: _floats(each) for name, each in given.items()}


def _floats(entry: Any) -> Any:
    return float.fromhex(entry) if isinstance(entry, str) else [_floats(each) for each in entry]


def _unanswered(reason: str) -> How:
    return How(values=0, forms=(), tried=0, nearest=None, agreeing=0, correct=None, worst=None, reason=reason)
