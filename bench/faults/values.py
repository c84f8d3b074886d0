"""Recorded values as the injector sees them; standard library only."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from bench.faults import bits


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A tensor on the host: its elements laid flat, row by row."""

    dtype: str
    shape: tuple[int, ...]
    numbers: list[float]

    @property
    def texts(self) -> tuple[int, ...]:
        """What tells its elements apart bit by bit, one NaN aside."""
        return bits.text(self.numbers)

    def of(self, numbers: list[float]) -> "Shown":
        """Return other elements in its dtype and shape."""
        return Shown(dtype=self.dtype, shape=self.shape, numbers=[bits.rounded(each, self.dtype) for each in numbers])


def turned(shown: Shown) -> Shown:
    """Return the transposed of a matrix; all else as it is."""
    if len(shown.shape) != 2:  # noqa: PLR2004
        return shown
    rows, columns = shown.shape
    numbers = [shown.numbers[row * columns + column] for column in range(columns) for row in range(rows)]
    return Shown(dtype=shown.dtype, shape=(columns, rows), numbers=numbers)


def element_wise(values: list[float], change: Callable[[float], float], element: int | None) -> list[float]:
    """Return the values with one element changed, or all."""
    if element is None:
        return [change(value) for value in values]
    place = element % len(values) if values else 0
    return [change(value) if index == place else value for index, value in enumerate(values)]


def flat(value: Any) -> list[Any]:
    """Return the leaves of nested lists in order."""
    return [leaf for entry in value for leaf in flat(entry)] if isinstance(value, list) else [value]


def shaped(values: list[Any], shape: tuple[int, ...]) -> Any:
    """Return values laid flat as nested lists."""
    if not shape:
        return values[0]
    size = len(values) // shape[0] if shape[0] else 0
    return [shaped(values[place * size : (place + 1) * size], shape[1:]) for place in range(shape[0])]
