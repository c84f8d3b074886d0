"""The operations of a training step, a row each: what one takes and gives, what is exactly true of it, how it is drawn.

A row is all that an operation needs to be replayed. Forms, the ways to compute it that give an environment's bits, are
a plug-in (`forms`): an operation without any is replayed, compared and held against the truth like the others.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

# What one call of an operation takes: argument -> a number, numbers in a list, or in rows (weights are `W[out][in]`),
# as floats that the dtype holds exactly.
Tensor: TypeAlias = float | list[float] | list[list[float]]
Sample: TypeAlias = Mapping[str, Tensor]
# Beside its arguments, what an environment's own `sigmoid` gives at z: a derivative may take it in place of a given a.
OWN_SIGMOID = "s"
TALL, FLAT = (3, 2), (2, 3)  # unequal, so that a matrix that is taken for its transpose cannot pass
# Likewise of an operation on a batch: rows, what goes in, what comes out.
ROWS, INTO, OUT = 4, 5, 3
ANY = "*"  # in place of letters: a tensor of any shape, the same for all that have it


@dataclass(frozen=True, slots=True, kw_only=True)
class Constants:
    """What an operation takes from the workload and the variant rather than from a sample.

    Attributes:
        numbers: those of the workload by the names that the operation gives them, as their decimal text is read in
            float64.
        loss_form: `half_sum` or `mean`.
    """

    numbers: tuple[tuple[str, float], ...] = ()
    loss_form: str = "half_sum"

    def number(self, name: str) -> float:
        """Return a number.

        Raises:
            KeyError: the operation was not given it.
        """
        return dict(self.numbers)[name]

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

    def labels(self, count: int, below: int) -> list[float]:
        """Draw whole numbers from 0 on."""

    def tanh_activated(self, count: int) -> Sample:
        """Draw `z`, `a` and `e` of the gradient of tanh, `a` near enough to that of z."""


Drawn: TypeAlias = Callable[[Draw], Sample]
# Arguments by name -> what is exactly true, laid flat: of any numbers that have + - * / and exp(), balls for instance.
Exact: TypeAlias = Callable[[Mapping[str, Any], Constants], Sequence[Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """An operation.

    Attributes:
        takes: argument -> its sizes, a letter each; equal letters, equal sizes; none for a number, `ANY` for any shape.
        gives: the sizes of what it gives; none for a number.
        numbers: what it takes beside those from the workload's numbers, and no sample holds.
        over: the size that it sums or averages over.
        together: the sizes along which an element hangs on all that is given, though it has a place there itself; but
            for the count of `over`.
        whole: the arguments that are whole numbers, and come in a dtype of their own.
        values: how many values a call has at least; fresh calls are as many as give 2048.
    """

    takes: Mapping[str, str]
    gives: str
    exact: Exact
    drawn: Drawn
    numbers: tuple[str, ...] = ()
    over: str = ""
    together: str = ""
    whole: tuple[str, ...] = ()
    values: int = 2

    def letters(self, argument: str, rank: int) -> tuple[str, ...]:
        """Return the letters of an argument's sizes, where it has so many dimensions."""
        return spelt(self.takes[argument], rank)


def spelt(letters: str, rank: int) -> tuple[str, ...]:
    """Return letters one by one; those of a tensor of any shape are counted: `*0`, `*1`."""
    return tuple(f"{ANY}{place}" for place in range(rank)) if letters == ANY else tuple(letters)


def sized(letters: str, sizes: Mapping[str, int]) -> tuple[int, ...]:
    """Return the shape that letters have where their sizes are known."""
    if letters != ANY:
        return tuple(sizes[letter] for letter in letters)
    return tuple(sizes[letter] for letter in sorted(sizes) if letter.startswith(ANY))


def narrowed(operation: str, sample: Sample, index: Sequence[int]) -> tuple[Sample, int]:
    """Return what one element of an operation's output is computed from, and its place in what comes of that.

    What an element has no part in need not be computed to tell what is true of it.

    Args:
        operation: a name of the catalogue.
        sample: what it takes.
        index: of the element.
    """
    row = CATALOGUE[operation]
    letters = spelt(row.gives, len(index))
    own = {letter: at for letter, at in zip(letters, index, strict=True) if letter not in (row.over, *row.together)}
    found: dict[str, Tensor] = {}
    sizes: dict[str, int] = {}
    for name, tensor in sample.items():
        known = row.letters(name, _rank(tensor))
        found[name] = _part(tensor, [own.get(letter) for letter in known])
        sizes |= dict(zip(known, _shape(tensor), strict=True))
    place = 0
    for letter, at in zip(letters, index, strict=True):
        place = place if letter in own else place * sizes[letter] + at
    return found, place


def _part(tensor: Any, axes: Sequence[int | None]) -> Any:
    """Return a tensor with one row only along each axis that names one."""
    if not axes:
        return tensor
    rows = tensor if axes[0] is None else tensor[axes[0] : axes[0] + 1]
    return [_part(each, axes[1:]) for each in rows]


def _shape(tensor: Any) -> tuple[int, ...]:
    return (len(tensor), *_shape(tensor[0])) if isinstance(tensor, list) else ()


def _rank(tensor: Any) -> int:
    return len(_shape(tensor))


def _dot(a: Sequence[Any], b: Sequence[Any]) -> Any:
    return sum(x * y for x, y in zip(a, b, strict=True))


def _columns(rows: Sequence[Sequence[Any]]) -> list[tuple[Any, ...]]:
    return list(zip(*rows, strict=True))


def _loss(x: Mapping[str, Any], constants: Constants) -> Sequence[Any]:
    squares = [(t - o) * (t - o) for o, t in zip(x["o"], x["t"], strict=True)]
    return [constants.scaled(sum(squares), len(squares))]


def _error(x: Mapping[str, Any], constants: Constants) -> Sequence[Any]:
    return [constants.scaled(2 * (o - t), len(x["o"])) for o, t in zip(x["o"], x["t"], strict=True)]


def flat(tensor: Any) -> list[Any]:
    """Return the numbers of a tensor laid flat, row by row."""
    return [number for each in tensor for number in flat(each)] if isinstance(tensor, list | tuple) else [tensor]


def _each(of: Callable[..., Any], *tensors: Any) -> Sequence[Any]:
    """Return what comes of the elements of tensors of one shape."""
    return [of(*each) for each in zip(*map(flat, tensors), strict=True)]


def _update(x: Mapping[str, Any], constants: Constants) -> Sequence[Any]:
    rate = constants.number("rate")
    return _each(lambda w, g: w - rate * g, x["W"], x["g"])


def _cross_entropy(x: Mapping[str, Any], _: Constants) -> Sequence[Any]:
    logs = [sum(o.exp() for o in row).log() - row[label] for row, label in zip(x["o"], x["y"], strict=True)]
    return [sum(logs) / len(logs)]


def _cross_entropy_gradient(x: Mapping[str, Any], _: Constants) -> Sequence[Any]:
    found = []
    for row, label in zip(x["o"], x["y"], strict=True):
        powers = [o.exp() for o in row]
        total = sum(powers)
        found += [(power / total - int(at == label)) / len(x["o"]) for at, power in enumerate(powers)]
    return found


def _first_moment(x: Mapping[str, Any], constants: Constants) -> Sequence[Any]:
    beta = constants.number("beta")
    return _each(lambda m, g: m * beta + (g - g * beta), x["m"], x["g"])  # exact: in floats 1 - beta would be rounded


def _second_moment(x: Mapping[str, Any], constants: Constants) -> Sequence[Any]:
    beta = constants.number("beta")
    return _each(lambda v, g: v * beta + (g * g - g * g * beta), x["v"], x["g"])


def _adam(x: Mapping[str, Any], constants: Constants) -> Sequence[Any]:
    rate, beta1, beta2, epsilon = (constants.number(name) for name in ("rate", "beta1", "beta2", "epsilon"))
    zero = flat(x["W"])[0] * 0  # in the numbers that are computed with: a power in floats would be rounded
    first, second = (1 - (zero + beta) ** x["t"] for beta in (beta1, beta2))
    return _each(lambda w, m, v: w - rate * (m / first) / ((v / second).sqrt() + epsilon), x["W"], x["m"], x["v"])


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
        takes={"W": ANY, "g": ANY}, gives=ANY, numbers=("rate",),
        exact=_update,
        drawn=lambda draw: {"W": draw.matrix(TALL), "g": draw.matrix(TALL, small=True)},
    ),
    "matmul": Row(
        takes={"x": "bi", "w": "io"}, gives="bo", over="i", values=ROWS * OUT,
        exact=lambda x, _: [_dot(row, column) for row in x["x"] for column in _columns(x["w"])],
        drawn=lambda draw: {"x": draw.matrix((ROWS, INTO)), "w": draw.matrix((INTO, OUT))},
    ),
    "add_bias": Row(
        takes={"p": "bo", "b": "o"}, gives="bo", values=ROWS * OUT,
        exact=lambda x, _: [p + b for row in x["p"] for p, b in zip(row, x["b"], strict=True)],
        drawn=lambda draw: {"p": draw.matrix((ROWS, OUT)), "b": draw.vector(OUT)},
    ),
    "tanh": Row(
        takes={"z": ANY}, gives=ANY, values=ROWS,
        exact=lambda x, _: _each(lambda z: z.tanh(), x["z"]),
        drawn=lambda draw: {"z": draw.vector(ROWS)},
    ),
    "cross_entropy": Row(
        takes={"o": "bk", "y": "b"}, gives="", over="b", whole=("y",), values=1,
        exact=_cross_entropy,
        drawn=lambda draw: {"o": draw.matrix((ROWS, OUT)), "y": draw.labels(ROWS, OUT)},
    ),
    "cross_entropy_gradient": Row(
        takes={"o": "bk", "y": "b"}, gives="bk", over="b", together="k", whole=("y",), values=ROWS * OUT,
        exact=_cross_entropy_gradient,
        drawn=lambda draw: {"o": draw.matrix((ROWS, OUT)), "y": draw.labels(ROWS, OUT)},
    ),
    "tanh_gradient": Row(
        takes={"z": ANY, "a": ANY, "e": ANY}, gives=ANY, values=ROWS,
        exact=lambda x, _: _each(lambda a, e: e * (1 - a * a), x["a"], x["e"]),
        drawn=lambda draw: draw.tanh_activated(ROWS),
    ),
    "weight_gradient": Row(
        takes={"x": "bi", "d": "bo"}, gives="io", over="b", values=INTO * OUT,
        exact=lambda x, _: [_dot(i, o) for i in _columns(x["x"]) for o in _columns(x["d"])],
        drawn=lambda draw: {"x": draw.matrix((ROWS, INTO)), "d": draw.matrix((ROWS, OUT), small=True)},
    ),
    "bias_gradient": Row(
        takes={"d": "bo"}, gives="o", over="b", values=OUT,
        exact=lambda x, _: [sum(column) for column in _columns(x["d"])],
        drawn=lambda draw: {"d": draw.matrix((ROWS, OUT), small=True)},
    ),
    "input_gradient": Row(
        takes={"d": "bo", "w": "io"}, gives="bi", over="o", values=ROWS * INTO,
        exact=lambda x, _: [_dot(d, w) for d in x["d"] for w in x["w"]],
        drawn=lambda draw: {"d": draw.matrix((ROWS, OUT), small=True), "w": draw.matrix((INTO, OUT))},
    ),
    "velocity": Row(
        takes={"m": ANY, "g": ANY}, gives=ANY, numbers=("momentum",), values=ROWS,
        exact=lambda x, constants: _each(lambda m, g: constants.number("momentum") * m + g, x["m"], x["g"]),
        drawn=lambda draw: {"m": draw.vector(ROWS, small=True), "g": draw.vector(ROWS, small=True)},
    ),
    "first_moment": Row(
        takes={"m": ANY, "g": ANY}, gives=ANY, numbers=("beta",), values=ROWS,
        exact=_first_moment,
        drawn=lambda draw: {"m": draw.vector(ROWS, small=True), "g": draw.vector(ROWS, small=True)},
    ),
    "second_moment": Row(
        takes={"v": ANY, "g": ANY}, gives=ANY, numbers=("beta",), values=ROWS,
        exact=_second_moment,
        drawn=lambda draw: {"v": draw.positive(ROWS), "g": draw.vector(ROWS, small=True)},
    ),
    "adam_update": Row(
        takes={"W": ANY, "m": ANY, "v": ANY, "t": ""}, gives=ANY, numbers=("rate", "beta1", "beta2", "epsilon"),
        whole=("t",), values=ROWS,
        exact=_adam,
        drawn=lambda draw: {
            "W": draw.vector(ROWS), "m": draw.vector(ROWS, small=True), "v": draw.positive(ROWS),
            "t": 1 + draw.labels(1, 10)[0],
        },
    ),
}  # fmt: skip
