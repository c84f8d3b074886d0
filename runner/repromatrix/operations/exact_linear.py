"""Exact results of linear algebra, and of what only moves elements."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeAlias

import numpy as np
from flint import acb_mat, arb, arb_mat

from repromatrix.operations.exact import TooWideError, Truth, of_balls, of_numbers
from repromatrix.operations.exact_result import Argument, Exact

Arguments: TypeAlias = Sequence[Argument]
Options: TypeAlias = Mapping[str, Any]
_POWER = 3  # of matrix_power


def _matrix(argument: Argument) -> arb_mat:
    return arb_mat(argument.values.reshape(argument.shape).tolist())


def _entries(found: arb_mat) -> Exact:
    return of_balls(found.entries())


def _solve(arguments: Arguments, _: Options) -> Mapping[str, Exact]:
    a, b = map(_matrix, arguments)
    return {"": _entries(_solved(a, b))}


def _solved(a: arb_mat, b: arb_mat) -> arb_mat:
    try:
        return a.solve(b)
    except ZeroDivisionError as error:
        raise TooWideError("singular at this precision") from error


def _of_solve(arguments: Arguments, _: Options, __: Argument | None, place: int) -> Exact:
    a, b = map(_matrix, arguments)
    ones = arb_mat([[1] * b.ncols()] * b.nrows())
    by_right = _solved(a.transpose(), ones)
    return _entries(by_right if place == 1 else -(by_right * _solved(a, b).transpose()))


def _triangular_solve(arguments: Arguments, _: Options) -> Mapping[str, Exact]:
    a = _matrix(arguments[0])
    lower = arb_mat([[a[i, j] if j <= i else arb(0) for j in range(a.ncols())] for i in range(a.nrows())])
    scale = float(np.abs(arguments[0].values).max())
    return {"": of_balls(_solved(lower, a).entries(), scale=scale)}


def _inverted(a: arb_mat) -> arb_mat:
    try:
        return a.inv()
    except ZeroDivisionError as error:
        raise TooWideError("singular at this precision") from error


def _inverse(arguments: Arguments, _: Options) -> Mapping[str, Exact]:
    return {"": _entries(_inverted(_matrix(arguments[0])))}


def _of_inverse(arguments: Arguments, _: Options, __: Argument | None, ___: int) -> Exact:
    turned = _inverted(_matrix(arguments[0])).transpose()
    ones = arb_mat([[1] * turned.ncols()] * turned.nrows())
    return _entries(-(turned * ones * turned))


def _determinant(arguments: Arguments, _: Options) -> Mapping[str, Exact]:
    return {"": of_balls([_matrix(arguments[0]).det()])}


def _of_determinant(arguments: Arguments, _: Options, __: Argument | None, ___: int) -> Exact:
    a = _matrix(arguments[0])
    whole = a.det()
    return of_balls(whole * each for each in _inverted(a).transpose().entries())


def _slogdet(arguments: Arguments, _: Options) -> Mapping[str, Exact]:
    whole = _matrix(arguments[0]).det()
    return {"sign": of_numbers([1.0 if whole > 0 else -1.0]), "log": of_balls([abs(whole).log()])}


def _cholesky(arguments: Arguments, _: Options) -> Mapping[str, Exact]:
    a = _matrix(arguments[0])
    size = a.nrows()
    found = [[arb(0)] * size for _ in range(size)]
    for i in range(size):
        for j in range(i + 1):
            rest = a[i, j] - sum((found[i][k] * found[j][k] for k in range(j)), arb(0))
            found[i][j] = rest.sqrt() if i == j else rest / found[j][j]
    return {"": of_balls(each for row in found for each in row)}


def _qr(arguments: Arguments, _: Options) -> Mapping[str, Exact]:
    """Return it with a positive diagonal, which makes it the only one."""
    a = _matrix(arguments[0])
    size = a.nrows()
    columns: list[list[arb]] = []
    upper = [[arb(0)] * size for _ in range(size)]
    for j in range(size):
        rest = [a[i, j] for i in range(size)]
        for k, column in enumerate(columns):
            upper[k][j] = _dot(column, rest)
            rest = [x - upper[k][j] * y for x, y in zip(rest, column, strict=True)]
        upper[j][j] = _dot(rest, rest).sqrt()
        columns.append([x / upper[j][j] for x in rest])
    turned = [columns[j][i] for i in range(size) for j in range(size)]
    return {"q": of_balls(turned), "r": of_balls(each for row in upper for each in row)}


def _dot(a: Sequence[arb], b: Sequence[arb]) -> arb:
    return sum((x * y for x, y in zip(a, b, strict=True)), arb(0))


def _svd(arguments: Arguments, _: Options) -> Mapping[str, Exact]:
    a = _matrix(arguments[0])
    values, _vectors = _eigen(a.transpose() * a)
    return {"": of_balls(value.sqrt() for value in reversed(values))}


def _eigh(arguments: Arguments, _: Options) -> Mapping[str, Exact]:
    """Return it with vectors whose first element is positive."""
    values, vectors = _eigen(_matrix(arguments[0]))
    columns = []
    for vector in vectors:
        length = _dot(vector, vector).sqrt()
        columns.append([(x if vector[0] > 0 else -x) / length for x in vector])
    turned = [column[i] for i in range(len(values)) for column in columns]
    return {"values": of_balls(values), "vectors": of_balls(turned)}


def _eigen(a: arb_mat) -> tuple[list[arb], list[list[arb]]]:
    """Return the eigenvalues of a symmetric matrix, rising, and a vector for each.

    Raises:
        TooWideError: they cannot be told apart with so many bits.
    """
    try:
        values, vectors = acb_mat(a).eig(right=True)
    except ValueError as error:
        raise TooWideError("eigenvalues are not apart") from error
    real = [value.real for value in values]
    order = sorted(range(len(real)), key=lambda place: float(real[place].mid()))
    return [real[j] for j in order], [[vectors[i, j].real for i in range(len(real))] for j in order]


def _matrix_exp(arguments: Arguments, _: Options) -> Mapping[str, Exact]:
    return {"": _entries(_matrix(arguments[0]).exp())}


def _matrix_power(arguments: Arguments, _: Options) -> Mapping[str, Exact]:
    return {"": _entries(_matrix(arguments[0]) ** _POWER)}


def _places(argument: Argument) -> Any:
    return argument.values.reshape(argument.shape).astype(np.int64)


def _embedding(arguments: Arguments, _: Options) -> Mapping[str, Exact]:
    table = arguments[0].values.reshape(arguments[0].shape)
    return {"": of_numbers(table[_places(arguments[1])].ravel().tolist())}


def _of_embedding(arguments: Arguments, options: Options, weights: Argument | None, _: int) -> Exact:
    if weights is None:
        raise ValueError("the gradient of an embedding takes weights: one row for each id")
    empty = Argument(shape=arguments[0].shape, values=np.zeros_like(arguments[0].values))
    return _scatter_add([empty, arguments[1], weights], options)[""]


def _scatter_add(arguments: Arguments, _: Options) -> Mapping[str, Exact]:
    width = arguments[0].shape[1]
    found, sizes = arguments[0].balls(), np.abs(arguments[0].values)
    for row, place in enumerate(_places(arguments[1]).tolist()):
        for column in range(width):
            value = float(arguments[2].values[row * width + column])
            found[place * width + column] += value
            sizes[place * width + column] += abs(value)
    return {"": of_balls(found, terms=len(arguments[1].values) + 1, sizes=sizes.tolist())}


def _segment_sum(arguments: Arguments, options: Options) -> Mapping[str, Exact]:
    rows, ids = arguments
    count = options["count"]
    empty = Argument(shape=(count, rows.shape[1]), values=np.zeros(count * rows.shape[1]))
    return _scatter_add([empty, ids, rows], {})


def _gather(arguments: Arguments, _: Options) -> Mapping[str, Exact]:
    x = arguments[0].values.reshape(arguments[0].shape).tolist()
    found = [x[row][place] for row, places in enumerate(_places(arguments[1]).tolist()) for place in places]
    return {"": of_numbers(found)}


def _of_gather(arguments: Arguments, _: Options, __: Argument | None, ___: int) -> Exact:
    found = np.zeros(arguments[0].shape)
    for row, places in enumerate(_places(arguments[1]).tolist()):
        for place in places:
            found[row, place] += 1
    return of_numbers(found.ravel().tolist())


def _one_hot(arguments: Arguments, options: Options) -> Mapping[str, Exact]:
    count = options["count"]
    return {"": of_numbers(float(label == place) for label in arguments[0].values.tolist() for place in range(count))}


def _order(values: Sequence[float]) -> list[int]:
    return sorted(range(len(values)), key=values.__getitem__)


def _sort(arguments: Arguments, _: Options) -> Mapping[str, Exact]:
    return {"": of_numbers(sorted(arguments[0].values.tolist()))}


def _argsort_stable(arguments: Arguments, _: Options) -> Mapping[str, Exact]:
    return {"": of_numbers(_order(arguments[0].values.tolist()))}


def _argsort(arguments: Arguments, _: Options) -> Mapping[str, Exact]:
    values = arguments[0].values.tolist()
    return {"": _untied(_order(values), values)}


def _untied(places: Sequence[int], values: Sequence[float]) -> Exact:
    """Return places as an exact result, those of equal elements without one: their order is nobody's."""
    counts = Counter(values)
    known = np.array([counts[values[place]] == 1 for place in places])
    return replace(of_numbers(places), known=known)


def _topk(arguments: Arguments, options: Options) -> Mapping[str, Exact]:
    values = arguments[0].values.tolist()
    places = sorted(range(len(values)), key=lambda place: (-values[place], place))[: options["k"]]
    return {"values": of_numbers(values[place] for place in places), "places": _untied(places, values)}


def _bincount(arguments: Arguments, _: Options) -> Mapping[str, Exact]:
    values = arguments[0].values.tolist()
    return {"": of_numbers(values.count(value) for value in range(int(max(values)) + 1))}


LINEAR: dict[str, Truth] = {
    "solve": _solve,
    "triangular_solve": _triangular_solve,
    "inverse": _inverse,
    "determinant": _determinant,
    "slogdet": _slogdet,
    "cholesky": _cholesky,
    "qr": _qr,
    "svd": _svd,
    "eigh": _eigh,
    "matrix_exp": _matrix_exp,
    "matrix_power": _matrix_power,
    "embedding": _embedding,
    "scatter_add": _scatter_add,
    "segment_sum": _segment_sum,
    "gather": _gather,
    "one_hot": _one_hot,
    "sort": _sort,
    "argsort": _argsort,
    "argsort_stable": _argsort_stable,
    "topk": _topk,
    "bincount": _bincount,
}

LINEAR_GRADIENTS: dict[str, Any] = {
    "solve": _of_solve,
    "inverse": _of_inverse,
    "determinant": _of_determinant,
    "embedding": _of_embedding,
    "gather": _of_gather,
}
