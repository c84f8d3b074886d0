"""Nested lists of numbers as the injector's own arithmetic sees tensors; standard library only."""

import math
from typing import Any

from bench.faults import bits


def flat(value: Any) -> list[float]:
    """Return the numbers of nested lists in order."""
    return [leaf for each in value for leaf in flat(each)] if isinstance(value, list) else [value]


def shaped(values: list[float], like: Any) -> Any:
    """Return the numbers nested as `like` is."""
    numbers = iter(values)

    def fill(form: Any) -> Any:
        return [fill(each) for each in form] if isinstance(form, list) else next(numbers)

    return fill(like)


def transposed(rows: list[list[float]]) -> list[list[float]]:
    """Return rows as columns."""
    return [list(column) for column in zip(*rows, strict=True)]


def numbers(value: Any) -> Any:
    """Return decimal text in nested lists as numbers."""
    return [numbers(each) for each in value] if isinstance(value, list) else float(value)


def sigmoid(z: float, epsilon: float) -> float:
    """Return the activation with something added to its divisor."""
    try:
        return 1 / (1 + math.exp(-z) + epsilon)
    except OverflowError:
        return 0.0


def reduced(how: str, terms: list[float], dtype: str) -> float:
    """Return the sum of the terms: from the last on, without the first, or in a narrower accumulator."""
    lower = (*bits.LOWER[dtype], dtype)[0] if how == "narrow" else dtype
    chosen = {"reversed": terms[::-1], "short": terms[1:]}.get(how, terms)
    total = 0.0
    for term in chosen:
        total = bits.rounded(total + bits.rounded(term, lower), lower)
    return total
