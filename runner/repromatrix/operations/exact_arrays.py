"""Exact results of operations on whole arrays: reductions, products, softmax, Fourier transforms; their gradients."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from flint import acb, acb_mat, arb, arb_mat

from repromatrix.operations.exact import Truth, of_balls, of_complex, of_numbers
from repromatrix.operations.exact_result import Argument, Exact

Arguments: TypeAlias = Sequence[Argument]
Options: TypeAlias = Mapping[str, Any]
Balls: TypeAlias = list[arb]
# A gradient: arguments, options, the weights of the outputs (None: one each), the place of the argument.
Gradient: TypeAlias = Callable[[Arguments, Options, Argument | None, int], Exact]


def lanes(argument: Argument, options: Options) -> list[list[float]]:
    """Return the elements along the axis that the options name, or all of them as one lane."""
    axis = options.get("axis")
    if axis is None:
        return [argument.values.tolist()]
    array = np.moveaxis(argument.values.reshape(argument.shape), axis, -1)
    found: list[list[float]] = array.reshape(-1, array.shape[-1]).tolist()
    return found


def rows(argument: Argument) -> list[list[float]]:
    """Return the lanes along the last axis."""
    return lanes(argument, {"axis": -1})


def balls(values: Iterable[float]) -> Balls:
    """Return numbers as Arb has them."""
    return [arb(value) for value in values]


def total(terms: Iterable[Any]) -> arb:
    """Return a sum."""
    return sum(terms, arb(0))


def _sum(arguments: Arguments, options: Options) -> Mapping[str, Exact]:
    found = lanes(arguments[0], options)
    sizes = [math.fsum(map(abs, lane)) for lane in found]
    return {"": of_balls([total(balls(lane)) for lane in found], terms=len(found[0]), sizes=sizes)}


def _mean(arguments: Arguments, options: Options) -> Mapping[str, Exact]:
    found = lanes(arguments[0], options)
    count = len(found[0])
    sizes = [math.fsum(map(abs, lane)) / count for lane in found]
    return {"": of_balls([total(balls(lane)) / count for lane in found], terms=count, sizes=sizes)}


def variance(lane: Sequence[Any], less: int = 0) -> arb:
    """Return the variance of numbers, over their count less `less`."""
    mean = total(lane) / len(lane)
    return total((value - mean) * (value - mean) for value in lane) / (len(lane) - less)


def _var(arguments: Arguments, options: Options) -> Mapping[str, Exact]:
    return {"": of_balls(variance(balls(lane)) for lane in lanes(arguments[0], options))}


def _std(arguments: Arguments, options: Options) -> Mapping[str, Exact]:
    return {"": of_balls(variance(balls(lane)).sqrt() for lane in lanes(arguments[0], options))}


def _prod(arguments: Arguments, options: Options) -> Mapping[str, Exact]:
    return {"": of_balls(math.prod(balls(lane), start=arb(1)) for lane in lanes(arguments[0], options))}


def _each(function: Callable[[list[float]], float]) -> Truth:
    """Return the truth of what is one of the elements, or a whole number; NaN if one of them is NaN."""

    def truth(arguments: Arguments, options: Options) -> Mapping[str, Exact]:
        found = lanes(arguments[0], options)
        return {"": of_numbers(math.nan if any(map(math.isnan, lane)) else function(lane) for lane in found)}

    return truth


def _norm(arguments: Arguments, options: Options) -> Mapping[str, Exact]:
    return {"": of_balls(total(x * x for x in balls(lane)).sqrt() for lane in lanes(arguments[0], options))}


def _norm1(arguments: Arguments, options: Options) -> Mapping[str, Exact]:
    return _sum([Argument(shape=arguments[0].shape, values=np.abs(arguments[0].values))], options)


def _logsumexp(arguments: Arguments, options: Options) -> Mapping[str, Exact]:
    return {"": of_balls(total(x.exp() for x in balls(lane)).log() for lane in lanes(arguments[0], options))}


def _running(step: Callable[[Any, Any], Any], *, is_sum: bool = False) -> Truth:
    def truth(arguments: Arguments, _: Options) -> Mapping[str, Exact]:
        found: Balls = []
        for value in arguments[0].balls():
            found.append(step(found[-1], value) if found else value)
        if not is_sum:
            return {"": of_balls(found)}
        sizes = np.cumsum(np.abs(arguments[0].values)).tolist()
        return {"": of_balls(found, terms=len(found), sizes=sizes)}

    return truth


def _diff(arguments: Arguments, _: Options) -> Mapping[str, Exact]:
    values = arguments[0].balls()
    return {"": of_balls(b - a for a, b in pairwise(values))}


def _trapezoid(arguments: Arguments, _: Options) -> Mapping[str, Exact]:
    values = arguments[0].balls()
    size = math.fsum(map(abs, arguments[0].values.tolist()))
    whole = total(values) - (values[0] + values[-1]) / 2
    return {"": of_balls([whole], terms=len(values), sizes=[size])}


def _softmax(arguments: Arguments, _: Options) -> Mapping[str, Exact]:
    return {"": of_balls(each for row in rows(arguments[0]) for each in softmax(balls(row)))}


def softmax(row: Balls) -> Balls:
    """Return the softmax of a row."""
    powers = [x.exp() for x in row]
    whole = total(powers)
    return [each / whole for each in powers]


def _log_softmax(arguments: Arguments, _: Options) -> Mapping[str, Exact]:
    found = (balls(row) for row in rows(arguments[0]))
    return {"": of_balls(each for row in found for each in log_softmax(row))}


def log_softmax(row: Balls) -> Balls:
    """Return the logarithms of the softmax of a row."""
    whole = total(x.exp() for x in row).log()
    return [x - whole for x in row]


def matrix(values: npt.NDArray[np.float64]) -> arb_mat:
    """Return a matrix as Arb has it."""
    return arb_mat(values.tolist())


def products(pairs: Sequence[tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]]) -> Exact:
    """Return the products of pairs of matrices, one after the other."""
    found = [each for a, b in pairs for each in (matrix(a) * matrix(b)).entries()]
    sizes = np.concatenate([(np.abs(a) @ np.abs(b)).ravel() for a, b in pairs]).tolist()
    return of_balls(found, terms=pairs[0][0].shape[-1], sizes=sizes)


def array(argument: Argument) -> npt.NDArray[np.float64]:
    """Return an argument in its shape."""
    return argument.values.reshape(argument.shape)


def _matmul(arguments: Arguments, _: Options) -> Mapping[str, Exact]:
    a, b = map(array, arguments)
    a, b = (a[None, :] if a.ndim == 1 else a), (b[:, None] if b.ndim == 1 else b)
    stacked = zip(a.reshape(-1, *a.shape[-2:]), b.reshape(-1, *b.shape[-2:]), strict=True)
    return {"": products(list(stacked))}


def _gram(arguments: Arguments, _: Options) -> Mapping[str, Exact]:
    a = array(arguments[0])
    return {"": products([(a, a.T)])}


def _outer(arguments: Arguments, _: Options) -> Mapping[str, Exact]:
    a, b = (each.balls() for each in arguments)
    return {"": of_balls(x * y for x in a for y in b)}


def _kron(arguments: Arguments, _: Options) -> Mapping[str, Exact]:
    a, b = map(array, arguments)
    return {"": of_balls(arb(x) * y for row in a for line in b for x in row.tolist() for y in line.tolist())}


def _cross(arguments: Arguments, _: Options) -> Mapping[str, Exact]:
    found, sizes = [], []
    for a, b in zip(*(rows(each) for each in arguments), strict=True):
        for i in range(3):
            j, k = (i + 1) % 3, (i + 2) % 3
            found.append(arb(a[j]) * b[k] - arb(a[k]) * b[j])
            sizes.append(abs(a[j] * b[k]) + abs(a[k] * b[j]))
    return {"": of_balls(found, terms=2, sizes=sizes)}


def _fourier(*, inverse: bool = False, half: bool = False, axes: int = 1) -> Truth:
    def truth(arguments: Arguments, _: Options) -> Mapping[str, Exact]:
        values = acb_mat(
            [[acb(x) for x in row] for row in array(arguments[0]).reshape(-1, arguments[0].shape[-1]).tolist()]
        )
        found = _transformed(values, inverse=inverse)
        if axes == 2:  # noqa: PLR2004 - rows, then columns
            found = _transformed(found.transpose(), inverse=inverse).transpose()
        entries = found.entries()
        if half:
            entries = entries[: arguments[0].shape[-1] // 2 + 1]
        size = math.fsum(map(abs, arguments[0].values.tolist())) / (len(arguments[0].values) if inverse else 1)
        return {"": of_complex(entries, terms=len(arguments[0].values), sizes=[size] * len(entries))}

    return truth


def _transformed(values: acb_mat, *, inverse: bool) -> acb_mat:
    """Return the Fourier transform of each row."""
    size = values.ncols()
    roots = [(acb(0, 2 if inverse else -2) * arb.pi() * k / size).exp() for k in range(size)]
    kernel = acb_mat([[roots[i * k % size] for k in range(size)] for i in range(size)])
    return values * kernel / acb(size) if inverse else values * kernel


ARRAYS: dict[str, Truth] = {
    "sum": _sum,
    "mean": _mean,
    "var": _var,
    "std": _std,
    "prod": _prod,
    "max": _each(max),
    "min": _each(min),
    "argmax": _each(lambda lane: lane.index(max(lane))),
    "argmin": _each(lambda lane: lane.index(min(lane))),
    "median": _each(lambda lane: sorted(lane)[len(lane) // 2]),
    "count_nonzero": _each(lambda lane: sum(value > 0 for value in lane)),
    "norm": _norm,
    "norm1": _norm1,
    "logsumexp": _logsumexp,
    "cumsum": _running(lambda a, b: a + b, is_sum=True),
    "cumprod": _running(lambda a, b: a * b),
    "cummax": _running(max),
    "diff": _diff,
    "trapezoid": _trapezoid,
    "softmax": _softmax,
    "log_softmax": _log_softmax,
    "matmul": _matmul,
    "gram": _gram,
    "dot": _matmul,
    "outer": _outer,
    "kron": _kron,
    "cross": _cross,
    "fft": _fourier(),
    "ifft": _fourier(inverse=True),
    "rfft": _fourier(half=True),
    "fft2": _fourier(axes=2),
}


def _weights(weights: Argument | None, count: int) -> list[float]:
    return [1.0] * count if weights is None else weights.values.tolist()


def _of_mean(arguments: Arguments, options: Options, _: Argument | None, __: int) -> Exact:
    count = len(lanes(arguments[0], options)[0])
    return of_balls([arb(1) / count] * len(arguments[0].values))


def _of_var(arguments: Arguments, _: Options, __: Argument | None, ___: int) -> Exact:
    values = arguments[0].balls()
    mean = total(values) / len(values)
    return of_balls(2 * (value - mean) / len(values) for value in values)


def _of_std(arguments: Arguments, _: Options, __: Argument | None, ___: int) -> Exact:
    values = arguments[0].balls()
    mean, deviation = total(values) / len(values), variance(values).sqrt()
    return of_balls((value - mean) / (len(values) * deviation) for value in values)


def _of_prod(arguments: Arguments, _: Options, __: Argument | None, ___: int) -> Exact:
    values = arguments[0].balls()
    whole = math.prod(values, start=arb(1))
    return of_balls(whole / value for value in values)


def _of_place(function: Callable[[list[float]], float]) -> Gradient:
    def gradient(arguments: Arguments, _: Options, __: Argument | None, ___: int) -> Exact:
        values = arguments[0].values.tolist()
        return of_numbers(float(value == function(values)) for value in values)

    return gradient


def _of_norm(arguments: Arguments, _: Options, __: Argument | None, ___: int) -> Exact:
    values = arguments[0].balls()
    norm = total(x * x for x in values).sqrt()
    return of_balls(x / norm for x in values)


def _of_norm1(arguments: Arguments, _: Options, __: Argument | None, ___: int) -> Exact:
    return of_numbers(float((x > 0) - (x < 0)) for x in arguments[0].values.tolist())


def _of_logsumexp(arguments: Arguments, options: Options, _: Argument | None, __: int) -> Exact:
    if options:
        return of_balls(each for row in lanes(arguments[0], options) for each in softmax(balls(row)))
    return of_balls(softmax(arguments[0].balls()))


def _of_cumsum(arguments: Arguments, _: Options, weights: Argument | None, __: int) -> Exact:
    values = balls(_weights(weights, len(arguments[0].values)))
    sizes = np.cumsum(np.abs([float(value) for value in values])[::-1])[::-1].tolist()
    found: Balls = []
    for value in reversed(values):
        found.append(found[-1] + value if found else value)
    return of_balls(reversed(found), terms=len(found), sizes=sizes)


def _of_softmax(arguments: Arguments, _: Options, weights: Argument | None, __: int) -> Exact:
    found: Balls = []
    for row, weight in _weighted_rows(arguments[0], weights):
        shares = softmax(row)
        mean = total(s * w for s, w in zip(shares, weight, strict=True))
        found += [s * (w - mean) for s, w in zip(shares, weight, strict=True)]
    return of_balls(found)


def _of_log_softmax(arguments: Arguments, _: Options, weights: Argument | None, __: int) -> Exact:
    found: Balls = []
    for row, weight in _weighted_rows(arguments[0], weights):
        whole = total(weight)
        found += [w - s * whole for s, w in zip(softmax(row), weight, strict=True)]
    return of_balls(found)


def _weighted_rows(argument: Argument, weights: Argument | None) -> Iterable[tuple[Balls, Balls]]:
    other = rows(weights) if weights else [[1.0] * argument.shape[-1]] * (len(argument.values) // argument.shape[-1])
    return ((balls(row), balls(weight)) for row, weight in zip(rows(argument), other, strict=True))


def _of_matmul(arguments: Arguments, _: Options, weights: Argument | None, place: int) -> Exact:
    a, b = map(array, arguments)
    w = array(weights) if weights else np.ones((a.shape[0], b.shape[1]))
    return products([(w, b.T) if place == 0 else (a.T, w)])


def _of_gram(arguments: Arguments, _: Options, weights: Argument | None, __: int) -> Exact:
    a = array(arguments[0])
    w = matrix(array(weights)) if weights else matrix(np.ones((len(a), len(a))))
    size = np.abs(array(weights)) if weights else np.ones((len(a), len(a)))
    sizes = ((size + size.T) @ np.abs(a)).ravel().tolist()
    return of_balls(((w + w.transpose()) * matrix(a)).entries(), terms=2 * len(a), sizes=sizes)


def _of_dot(arguments: Arguments, _: Options, __: Argument | None, place: int) -> Exact:
    return of_numbers(arguments[1 - place].values.tolist())


def _ones(arguments: Arguments, _: Options, __: Argument | None, place: int) -> Exact:
    return of_numbers([1.0] * len(arguments[place].values))


GRADIENTS: dict[str, Gradient] = {
    "sum": _ones,
    "mean": _of_mean,
    "var": _of_var,
    "std": _of_std,
    "prod": _of_prod,
    "max": _of_place(max),
    "min": _of_place(min),
    "norm": _of_norm,
    "norm1": _of_norm1,
    "logsumexp": _of_logsumexp,
    "cumsum": _of_cumsum,
    "softmax": _of_softmax,
    "log_softmax": _of_log_softmax,
    "matmul": _of_matmul,
    "gram": _of_gram,
    "dot": _of_dot,
}
