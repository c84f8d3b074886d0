"""The exact result of an output, and an input: arrays of numbers, which need no Arb to be read."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import flint

Array: TypeAlias = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Exact:
    """The exact result of one output, laid flat; of complex numbers real and imaginary parts by turns.

    Attributes:
        high: the float64 nearest to each element; infinite beyond float64.
        low: what is left, so that `high + low` has about 106 bits.
        known: the elements that have an exact result.
        terms: of a sum, how many it has; of what is made of sums, of the longest one.
        sizes: of a sum, the sum of the terms' absolute values, element by element; zero where nothing is rounded. An
            element further off than `8 terms u sizes` is wrong. None: nothing is said of it, or it is `bounded`.
        bounded: whether a result too many units in the last place away is wrong, as of an elementwise operation.
    """

    high: Array
    low: Array
    known: npt.NDArray[np.bool_]
    terms: int = 0
    sizes: Array | None = None
    bounded: bool = False

    def every(self, stride: int) -> "Exact":
        """Return that of every so many elements."""
        sizes = None if self.sizes is None else self.sizes[::stride]
        return replace(self, high=self.high[::stride], low=self.low[::stride], known=self.known[::stride], sizes=sizes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Argument:
    """An input of an operation: its elements, laid flat, each exact in float64, and its shape."""

    shape: tuple[int, ...]
    values: Array

    def balls(self) -> "list[flint.arb]":
        """Return the elements as Arb has them."""
        import flint  # noqa: PLC0415 - what only reads kept exact results does without it

        return [flint.arb(value) for value in self.values.tolist()]
