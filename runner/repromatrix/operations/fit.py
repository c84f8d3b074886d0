"""Which forms give the very bits of an environment."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from repromatrix.operations import soft
from repromatrix.operations.catalogue import CATALOGUE, OWN_SIGMOID, Constants, Sample, Tensor
from repromatrix.operations.form import Form, Inputs
from repromatrix.operations.forms import forms
from repromatrix.operations.text import stacked

# Nearly every form that does not fit differs in the first few calls; only the best of those are compared in all.
_FIRST, _BEST = 64, 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """The forms that agree with outputs in every bit; where there are several, each is sufficient and none is unique.

    Attributes:
        fitting: their names, the most usual first.
        count: how many values were compared.
        nearest: where none fits, the name of the form that agrees in most values; None if there is no form at all.
        agreeing: in how many values the named ones agree.
    """

    fitting: tuple[str, ...]
    count: int
    nearest: str | None
    agreeing: int


@dataclass(frozen=True, slots=True)
class _Group:
    """Calls of one shape: their inputs, and a row of outputs for each."""

    inputs: Inputs
    outputs: soft.Array

    def first(self) -> "_Group":
        return _Group({name: values[:_FIRST] for name, values in self.inputs.items()}, self.outputs[:_FIRST])

    def agreeing(self, form: Form, dtype: str, constants: Constants) -> int:
        found = form.evaluate(self.inputs, dtype, constants)
        return int(soft.same(found.reshape(self.outputs.shape), self.outputs).sum())

    def telling(self) -> set[str]:
        """Return the names of the inputs, without the environment's own sigmoid where that is the given one."""
        own = self.inputs.get(OWN_SIGMOID)
        return set(self.inputs) - (
            {OWN_SIGMOID} if own is not None and soft.same(own, self.inputs["a"]).all() else set()
        )

    def terms(self, operation: str) -> int:
        """Return how many terms the operation sums or averages over."""
        row = CATALOGUE[operation]
        axes = ((name, sizes.index(row.over)) for name, sizes in row.takes.items() if row.over and row.over in sizes)
        return next((self.inputs[name].shape[1 + axis] for name, axis in axes), 1)  # the first axis is the samples'


def fit(
    operation: str, dtype: str, samples: Sequence[Sample], outputs: Sequence[Sequence[float]], constants: Constants
) -> Fit:
    """Return which forms give the outputs of an operation on samples, bit by bit; every NaN is the same.

    A form that needs more than the operation's inputs (`catalogue.OWN_SIGMOID`) is tried if every sample has it.

    Args:
        operation: of `catalogue.CATALOGUE`.
        dtype: of the inputs and the outputs.
        samples: recorded ones and fresh ones may stand together, also where their shapes differ.
        outputs: for each sample its values, laid flat row by row.
        constants: what the operation takes from workload and variant.

    Raises:
        ValueError: no samples, or outputs that do not belong to them.
        KeyError: no such operation.
    """
    groups = _groups(samples, outputs)
    terms = max(group.terms(operation) for group in groups)
    known = set.intersection(*(group.telling() for group in groups))
    tried = {
        form.name: form
        for form in forms(operation, dtype)
        if form.least_terms <= terms
        and (form.needs is None or form.needs in known)
        and (constants.loss_form == "mean" or not form.mean_only)
    }

    def counted(names: Sequence[str], parts: Sequence[_Group]) -> dict[str, int]:
        return {name: sum(part.agreeing(tried[name], dtype, constants) for part in parts) for name in names}

    few = [group.first() for group in groups]
    seen = sum(group.outputs.size for group in few)
    begun = counted(tuple(tried), few)
    count = sum(group.outputs.size for group in groups)
    found = counted([name for name, agreeing in begun.items() if agreeing == seen], groups)
    fitting = tuple(name for name, agreeing in found.items() if agreeing == count)
    if fitting:
        return Fit(fitting=fitting, count=count, nearest=None, agreeing=count)
    best = sorted(begun, key=lambda name: -begun[name])[:_BEST]
    found |= counted([name for name in best if name not in found], groups)
    nearest = max(found, key=lambda name: found[name], default=None)
    return Fit(fitting=(), count=count, nearest=nearest, agreeing=found[nearest] if nearest else 0)


def _groups(samples: Sequence[Sample], outputs: Sequence[Sequence[float]]) -> list[_Group]:
    if not samples or len(samples) != len(outputs):
        raise ValueError(f"{len(samples)} samples and {len(outputs)} outputs")
    places: dict[tuple[object, ...], list[int]] = {}
    for index, sample in enumerate(samples):
        shape = tuple((name, _shape(tensor)) for name, tensor in sorted(sample.items()))
        places.setdefault((shape, len(outputs[index])), []).append(index)
    return [
        _Group(stacked([samples[index] for index in group]), np.array([outputs[index] for index in group], np.float64))
        for group in places.values()
    ]


def _shape(tensor: Tensor) -> tuple[int, ...]:
    if not isinstance(tensor, list):
        return ()
    first = tensor[0] if tensor else 0.0
    return (len(tensor), len(first)) if isinstance(first, list) else (len(tensor),)
