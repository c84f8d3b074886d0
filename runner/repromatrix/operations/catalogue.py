"""The operations of a training step, a row each: what one takes and gives, what is exactly true of it, how it is drawn.

A row is all that an operation needs to be replayed. Forms, the ways to compute it that give an environment's bits, are
a plug-in (`forms`): an operation without any is replayed, compared and held against the truth like the others.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

# What one call of an operation takes: argument -> numbers in a list, or weights in rows (`W[out][in]`), as floats that
# the dtype holds exactly.
Tensor: TypeAlias = list[float] | list[list[float]]
Sample: TypeAlias = Mapping[str, Tensor]
# Beside its arguments, what an environment's own `sigmoid` gives at z: a derivative may take it in place of a given a.
OWN_SIGMOID = "s"
TALL, FLAT = (3, 2), (2, 3)  # unequal, so that a matrix that is taken for its transpose cannot pass


@dataclass(frozen=True, slots=True, kw_only=True)
class Constants:
    """What an operation takes from the workload and the variant rather than from a sample.

    Attributes:
        learning_rate: as the workload's decimal text is read in float64.
        loss_form: `half_sum` or `mean`.
    """

    learning_rate: float = 0.5
    loss_form: str = "half_sum"

    def scaled(self, total: Any, count: int) -> Any:
        """Return a loss from the sum of its squares."""
        return total / (count if self.loss_form == "mean" else 2)


class Draw(Protocol):
    """What draws fresh inputs of a dtype (`fresh`): small and usual numbers, vectors of two if no count is given."""

    def vector(self, count: int = 2, *, small: bool = False) -> list[float]:
        """Draw numbers of either sign."""

    def positive(self, count: int = 2) -> list[float]:
        """Draw numbers above 0."""

    def into(self, count: int = 2) -> list[float]:
        """Draw what goes into a layer: of either sign where the range is wide, else above 0."""

    def matrix(self, shape: tuple[int, int], *, small: bool = False) -> list[list[float]]:
        """Draw weights, or their gradient."""

    def sums(self) -> list[float]:
        """Draw what goes into an activation."""

    def outputs_and_targets(self) -> Sample:
        """Draw `o` and `t`, some of them equal or nearly so."""

    def activated(self) -> Sample:
        """Draw `z`, `a` and `e` of an activation's gradient."""


Drawn: TypeAlias = Callable[[Draw], Sample]
# Arguments by name -> what is exactly true, laid flat: of any numbers that have + - * / and exp(), balls for instance.
Exact: TypeAlias = Callable[[Mapping[str, Any], Constants], Sequence[Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """An operation.

    Attributes:
        takes: argument -> its sizes, a letter each; equal letters, equal sizes. Two letters are weights, `W[out][in]`.
        gives: the sizes of what it gives; none for a number.
        numbers: what it takes beside those from the workload's numbers, and no sample holds.
        over: the size that it sums or averages over.
        values: how many values a call has at least; fresh calls are as many as give 2048.
    """

    takes: Mapping[str, str]
    gives: str
    exact: Exact
    drawn: Drawn
    numbers: tuple[str, ...] = ()
    over: str = ""
    values: int = 2


def _dot(a: Sequence[Any], b: Sequence[Any]) -> Any:
    return sum(x * y for x, y in zip(a, b, strict=True))


def _columns(rows: Sequence[Sequence[Any]]) -> list[tuple[Any, ...]]:
    return list(zip(*rows, strict=True))


def _loss(x: Mapping[str, Any], constants: Constants) -> Sequence[Any]:
    squares = [(t - o) * (t - o) for o, t in zip(x["o"], x["t"], strict=True)]
    return [constants.scaled(sum(squares), len(squares))]


def _error(x: Mapping[str, Any], constants: Constants) -> Sequence[Any]:
    return [constants.scaled(2 * (o - t), len(x["o"])) for o, t in zip(x["o"], x["t"], strict=True)]


def _update(x: Mapping[str, Any], constants: Constants) -> Sequence[Any]:
    pairs = [pair for rows in zip(x["W"], x["g"], strict=True) for pair in zip(*rows, strict=True)]
    return [w - constants.learning_rate * g for w, g in pairs]


CATALOGUE: Mapping[str, Row] = {
    "product": Row(
        takes={"W": "oi", "v": "i"}, gives="o", over="i",
        exact=lambda x, _: [_dot(row, x["v"]) for row in x["W"]],
        drawn=lambda draw: {"W": draw.matrix(TALL), "v": draw.into()},
    ),
    "bias": Row(
        takes={"p": "o", "b": "o"}, gives="o",
        exact=lambda x, _: [p + b for p, b in zip(x["p"], x["b"], strict=True)],
        drawn=lambda draw: {"p": draw.vector(), "b": draw.vector()},
    ),
    "sigmoid": Row(
        takes={"z": "o"}, gives="o",
        exact=lambda x, _: [1 / (1 + (-z).exp()) for z in x["z"]],
        drawn=lambda draw: {"z": draw.sums()},
    ),
    "loss": Row(
        takes={"o": "t", "t": "t"}, gives="", over="t", values=1,
        exact=_loss,
        drawn=lambda draw: draw.outputs_and_targets(),
    ),
    "error": Row(
        takes={"o": "t", "t": "t"}, gives="t", over="t",
        exact=_error,
        drawn=lambda draw: draw.outputs_and_targets(),
    ),
    "sigmoid_gradient": Row(
        takes={"z": "o", "a": "o", "e": "o"}, gives="o",
        exact=lambda x, _: [e * a * (1 - a) for a, e in zip(x["a"], x["e"], strict=True)],
        drawn=lambda draw: draw.activated(),
    ),
    "outer": Row(
        takes={"d": "o", "v": "i"}, gives="oi",
        exact=lambda x, _: [d * v for d in x["d"] for v in x["v"]],
        drawn=lambda draw: {"d": draw.vector(TALL[0], small=True), "v": draw.positive()},
    ),
    "back": Row(
        takes={"W": "oi", "d": "o"}, gives="i", over="o",
        exact=lambda x, _: [_dot(column, x["d"]) for column in _columns(x["W"])],
        drawn=lambda draw: {"W": draw.matrix(FLAT), "d": draw.vector(small=True)},
    ),
    "update": Row(
        takes={"W": "oi", "g": "oi"}, gives="oi", numbers=("rate",),
        exact=_update,
        drawn=lambda draw: {"W": draw.matrix(TALL), "g": draw.matrix(TALL, small=True)},
    ),
}  # fmt: skip
