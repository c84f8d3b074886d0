"""What a form is: one way to compute an operation, operation by operation, with its bits."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from repromatrix.operations.catalogue import Constants
from repromatrix.operations.soft import Array

Inputs = Mapping[str, Array]


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """One way to compute an operation.

    Attributes:
        name: short, and speaks for itself: `fma-chain-ascending`.
        says: a sentence for a stranger: what is computed in which order, and where it is rounded.
        evaluate: (inputs, dtype, constants) -> the outputs. An input is a float64 array that holds values of the dtype,
            its first axis the samples; so is the output, one row (or, for `loss`, one number) a sample.
        needs: an input beside those of the operation (`catalogue.OWN_SIGMOID`), or None.
        least_terms: of a sum, from which on it is another form than those named before it.
        mean_only: whether it is another form only where the loss is a mean.
    """

    name: str
    says: str
    evaluate: Callable[[Inputs, str, Constants], Array]
    needs: str | None = None
    least_terms: int = 1
    mean_only: bool = False
