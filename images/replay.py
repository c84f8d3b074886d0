"""Operations of a step on given inputs: each alone, or a whole step from the tensors of a trace.

What an operation is lives in the workload's module: `operations(task)` gives the very functions that its training step
calls, or the framework's own derivatives of them, so nothing is computed in another way here. What is computed from
what comes with the job (docs/operations.md): no operation, value or tensor is known by name here.

Standard library only, Python 3.9 or newer.
"""

from __future__ import annotations

import re
import struct
from math import copysign, frexp, inf, isinf, isnan, ldexp, prod
from typing import TYPE_CHECKING, Any, Dict, List, Mapping, Optional, Sequence, Tuple

from job import Input, Place, Unavailable
from values import texts

if TYPE_CHECKING:
    from task import Task

AFTER = "'"  # behind the name of a parameter: what the step leaves of it
ANY = "*"  # in place of letters: any shape
NUMBER = re.compile(r"[+-]?(0x[01](\.[0-9a-f]*)?p[+-]?\d+|inf)|nan", re.IGNORECASE)
# The bits of a significand, the exponent of the smallest number, and that of the first that is too large.
FORMS = {"float32": (24, -149, 128), "float16": (11, -24, 16), "bfloat16": (8, -133, 128)}
INTEGERS = {"int32": "i", "int64": "q"}
Shape = Tuple[int, ...]


class Operations:
    """What a step is made of: a method, or an attribute that can be called, for each operation by its name.

    Each takes and gives the framework's own tensors in the shapes that a step has, and changes none that it is given;
    a number is one of Python's. One that the variant cannot do alone raises Unavailable.

    Attributes:
        turned: whether weights are stored with a column per unit, `W[in][out]`.
        rows: whether a vector is a row, the batch of one sample.
    """

    turned = rows = False

    def __init__(self, task: Task) -> None:
        self.task = task

    def function(self, name: str) -> Any:
        """The function of an operation."""
        found = getattr(self, name, None)
        if not callable(found):
            raise Unavailable(f"the module has no operation {name!r}")
        return found

    def tensor(self, values: Any, shape: Shape, dtype: Optional[str] = None) -> Any:
        """The framework's tensor of numbers laid flat, weights row by row; in the cell's dtype or another."""
        if len(shape) > 1 and self.turned:
            values, shape = turned(values, shape), shape[::-1]
        elif len(shape) == 1 and self.rows:
            shape = (1, *shape)
        return self.task.made(Input(dtype or self.task.dtype, shape, packed(values, dtype or self.task.dtype)))

    def flat(self, tensor: Any, shape: Shape) -> List[str]:
        """The exact numbers of a tensor, weights row by row with a row per unit."""
        value = self.task.value(tensor)
        found = texts(value.dtype, value.data)
        return turned(found, shape[::-1]) if len(shape) > 1 and self.turned else found


def replayed(own: Operations, places: Sequence[Place], samples: Sequence[Any]) -> List[Dict[str, List[str]]]:
    """What is computed at each place from each sample, in order; from the step's own where a sample lacks a value."""
    if not samples:
        raise ValueError("no samples")
    read = [parse_sample(f"samples[{i}]", sample) for i, sample in enumerate(samples)]
    return [Step(own, f"samples[{i}]", sample).run(places) for i, sample in enumerate(read)]


class Step:
    """One step on one sample."""

    def __init__(self, own: Operations, where: str, sample: Mapping[str, Tuple[Any, Shape]]) -> None:
        self.own, self.where, self.sample = own, where, sample
        self.tensors: Dict[str, Any] = {}
        self.shapes: Dict[str, Shape] = {}

    def run(self, places: Sequence[Place]) -> Dict[str, List[str]]:
        for place in places:
            sizes = self.sizes(place)
            given = [self.argument(name, sized(letters, sizes), dtype) for name, letters, dtype in place.takes]
            self.tensors[place.value] = self.own.function(place.operation)(*given)
            self.shapes[place.value] = sized(place.gives, sizes)
        return {place.value: self.own.flat(self.tensors[place.value], self.shapes[place.value]) for place in places}

    def sizes(self, place: Place) -> Dict[str, int]:
        """The sizes of a place's arguments by their letters; a number has that of the others."""
        sizes: Dict[str, int] = {}
        rank = 0  # of what may have any shape, once one was seen
        for name, letters, _ in place.takes:
            if name not in self.sample and name.rstrip(AFTER) not in self.shapes:
                raise ValueError(f"{self.where} has no {name!r}")
            shape = self.sample[name][1] if name in self.sample else self.shapes[name.rstrip(AFTER)]
            if not shape:
                continue
            rank = (rank or len(shape)) if letters == ANY else rank
            spelt = [f"{ANY}{axis}" for axis in range(rank)] if letters == ANY else list(letters)
            if len(shape) != len(spelt):
                raise ValueError(f"{self.where}.{name} has {len(shape)} dimensions where {len(spelt)} are due")
            for letter, size in zip(spelt, shape):
                due = sizes.setdefault(letter, size)
                if size != due:
                    raise ValueError(f"{self.where}.{name}: {size} entries where {due} are due")
        return sizes

    def argument(self, name: str, shape: Shape, dtype: Optional[str]) -> Any:
        if name not in self.sample:
            return self.tensors[name.rstrip(AFTER)]
        values, own = self.sample[name]
        if not shape:
            return values[0] if dtype is None else int(values[0])
        laid = values if own else values * prod(shape)
        return self.own.tensor(laid, shape) if dtype is None else self.own.tensor(laid, shape, dtype)


def sized(letters: str, sizes: Mapping[str, int]) -> Shape:
    """The shape that letters have."""
    if letters == ANY:
        return tuple(sizes[letter] for letter in sorted(sizes) if letter.startswith(ANY))
    return tuple(sizes[letter] for letter in letters)


def parse_sample(where: str, document: Any) -> Dict[str, Tuple[List[float], Shape]]:
    """The numbers of a sample laid flat, with their shapes; a number alone has none.

    It may hold more than is taken: what another cell's step was given, with other options.
    """
    if not isinstance(document, dict):
        raise ValueError(f"{where} is no object of lists")  # noqa: TRY004 (input, which the caller tells as such)
    return {name: parse_tensor(f"{where}.{name}", entry) for name, entry in document.items()}


def parse_tensor(where: str, entry: Any) -> Tuple[List[float], Shape]:
    """A number, a list of numbers, or rows of them."""
    if not isinstance(entry, list):
        return [number(where, entry)], ()
    if not entry or entry[0] == []:
        raise ValueError(f"{where} is empty")
    if not isinstance(entry[0], list):
        return [number(where, text) for text in entry], (len(entry),)
    if not all(isinstance(row, list) and len(row) == len(entry[0]) for row in entry):
        raise ValueError(f"{where} has rows of several lengths")
    return [number(where, text) for row in entry for text in row], (len(entry), len(entry[0]))


def number(where: str, text: Any) -> float:
    """An exact number. Decimal text is refused: `float.fromhex` would take it for hexadecimal."""
    if not isinstance(text, str) or not NUMBER.fullmatch(text):
        raise ValueError(f"{where} is not hexadecimal text: {str(text)[:80]!r}")
    return float.fromhex(text)


def packed(values: Sequence[float], dtype: str) -> bytes:
    """Numbers as little-endian bits of a dtype; what it does not hold is rounded, as a cell's own inputs are."""
    if dtype in INTEGERS:
        return struct.pack(f"<{len(values)}{INTEGERS[dtype]}", *map(int, values))
    if dtype == "float64":
        return struct.pack(f"<{len(values)}d", *values)
    fitting = [rounded(value, *FORMS[dtype]) for value in values]
    data = struct.pack(f"<{len(values)}{'e' if dtype == 'float16' else 'f'}", *fitting)
    if dtype == "bfloat16":  # the upper half of a float32
        data = b"".join(data[place + 2 : place + 4] for place in range(0, len(data), 4))
    return data


def rounded(value: float, precision: int, least: int, top: int) -> float:
    """The nearest number of so many bits that is a multiple of 2**least; from 2**top on, infinity. Ties to even."""
    if not value or isnan(value) or isinf(value):
        return value
    exponent = frexp(value)[1]
    if exponent > top:
        return copysign(inf, value)
    unit = max(exponent - precision, least)
    size = ldexp(round(ldexp(abs(value), -unit)), unit)
    return copysign(inf if size >= 2.0**top else size, value)


def turned(values: Any, shape: Shape) -> Any:
    """Rows laid flat as columns laid flat."""
    height, width = shape
    return [values[row * width + column] for column in range(width) for row in range(height)]
