"""Values: what a cell records, step by step, in columns; exact, and strictly checked where they come in.

A column is one named value over the steps: its dtype and shape, and for each step its elements as exact text where they
are few, or the SHA-256 of their bits where they are many. The bits themselves, where somebody asked for them, lie in
the results folder under that digest.
"""

import re
import struct
from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum
from functools import cache
from math import prod
from typing import TypeAlias

import msgspec

from repromatrix.floats import FORMS, at, ordinal

COUNTED = "at/"  # in front of the name of what a command counts at each of its numbers: an output, `at/step`
INLINE = 16  # elements up to which a value is told in full; the harness has the same number (images/values.py)
INTEGERS = ("int64", "int32", "int16", "int8", "uint64", "uint32", "uint16", "uint8", "bool")
# Bytes of an element of each dtype.
WIDTHS = {
    dtype: int(dtype.strip("abcdefghijklmnopqrstuvwxyz")) // 8 for dtype in (*FORMS, *INTEGERS) if dtype != "bool"
}
WIDTHS["bool"] = 1
Rows: TypeAlias = tuple[tuple[str, ...], ...]

_DTYPE = re.compile(r"[a-z][a-z0-9_]*")
_WHOLE = re.compile(r"(?:(?:0|-?[1-9][0-9]{0,19})\n)*+")
_DIGESTS = re.compile(r"(?:[0-9a-f]{64}\n)*+")
# What float.hex() writes of the normal values of each dtype, zeros, NaN and infinities: one match for a whole list.
_DIGITS = {
    "float64": r"[0-9a-f]{13}",
    "float32": r"[0-9a-f]{5}[02468ace]0{7}",
    "float16": r"[0-9a-f]{2}[048c]0{10}",
    "bfloat16": r"[0-9a-f][02468ace]0{11}",
}
_LEAST = {"float64": 1022, "float32": 126, "float16": 14, "bfloat16": 126}


@cache
def _form(dtype: str) -> re.Pattern[str]:
    """Return the form of a list of values of a dtype; to compile it costs time, so only when it is asked for."""
    least, digits = _LEAST[dtype], _DIGITS[dtype]
    exponents = rf"(?:\+(?:0|{_numbers(least + 1)})|-(?:{_numbers(least)}))"
    return re.compile(rf"(?:(?:-?0x1\.{digits}p{exponents}|-?0x0\.0p\+0|nan|-?inf)\n)*+")


def _numbers(last: int) -> str:
    """Return what matches the numbers from 1 to the last, digit by digit: it is as fast for all of them."""
    text = str(last)
    found = ["[1-9]" + "[0-9]" * more for more in range(len(text) - 1)]
    for place, digit in enumerate(text):
        least = 0 if place else 1
        if int(digit) > least:
            found.append(f"{text[:place]}[{least}-{int(digit) - 1}]" + "[0-9]" * (len(text) - place - 1))
    return "|".join([*found, text])


_HEX = re.compile(r"-?0x[01]\.[0-9a-f]{13}p[+-](?:0|[1-9][0-9]{0,3})|-?0x0\.0p\+0|nan|-?inf")


class Role(StrEnum):
    """What a value is in its cell."""

    METRIC = "metric"  # a number that the cell is judged by
    OUTPUT = "output"  # always recorded, never judged
    STATE = "state"  # what a step leaves
    TRACE = "trace"  # all else, in a traced run


class Column(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One named value over the steps.

    Attributes:
        shape: of the value at one step; empty: a number.
        steps: the steps at which it was recorded, rising; None: 1, 2, ... without a gap, of a value with elements.
        texts: its elements, step by step and row by row: floats in C99 hexadecimal text (`nan`, `inf`, `-inf`),
            integers in decimal.
        digests: in their place, where they are more than `INLINE`: for each step the SHA-256 of the bits.
    """

    name: str
    role: Role
    dtype: str
    shape: tuple[int, ...] = ()
    steps: tuple[int, ...] | None = None
    texts: tuple[str, ...] = ()
    digests: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        """How many elements it has at one step."""
        return prod(self.shape)

    @property
    def inline(self) -> bool:
        """Whether its elements are told."""
        return self.size <= INLINE and (self.dtype in FORMS or self.dtype in INTEGERS)

    @property
    def count(self) -> int:
        """At how many steps it was recorded."""
        if not self.size:
            return len(self.steps or ())
        return len(self.texts) // self.size if self.inline else len(self.digests)

    @property
    def at(self) -> tuple[int, ...]:
        """The steps at which it was recorded."""
        return tuple(range(1, self.count + 1)) if self.steps is None else self.steps

    @property
    def final(self) -> int:
        """The last step at which it was recorded, 0 where there is none."""
        return self.count if self.steps is None else (self.steps or (0,))[-1]

    @property
    def rows(self) -> Rows:
        """For each step what is told of it: the elements, or the one digest."""
        if not self.inline:
            return tuple((digest,) for digest in self.digests)
        return tuple(self.texts[step * self.size : (step + 1) * self.size] for step in range(self.count))

    def row(self, step: int) -> tuple[str, ...] | None:
        """Return what is told of a step; None: it was not recorded there."""
        if self.steps is None:
            place = step - 1 if 1 <= step <= self.count else None
        else:
            place = self.steps.index(step) if step in self.steps else None
        if place is None:
            return None
        size = self.size
        return self.texts[place * size : (place + 1) * size] if self.inline else (self.digests[place],)

    def last(self) -> "Column":
        """Return it with nothing but its last step."""
        texts = self.texts[-self.size :] if self.inline else ()
        steps = told_steps(self.at[-1:], self.size)
        return msgspec.structs.replace(self, steps=steps, texts=texts, digests=self.digests[-1:])


class Trajectory(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What one process computed.

    Attributes:
        columns: in the order in which their values were first recorded.
        absent: what the framework, or this version of it, does not have, with the reasons, sorted.
        broken: what ended with an exception of its own, with the reasons, sorted.
    """

    columns: tuple[Column, ...]
    absent: tuple[tuple[str, str], ...] = ()
    broken: tuple[tuple[str, str], ...] = ()

    def of(self, role: Role) -> tuple[Column, ...]:
        """Return the columns of a role."""
        return tuple(each for each in self.columns if each.role is role)

    def column(self, name: str) -> Column | None:
        """Return the column of that name, or None."""
        return next((each for each in self.columns if each.name == name), None)

    @property
    def metrics(self) -> tuple[Column, ...]:
        """The numbers that the cell is judged by, its loss first."""
        return self.of(Role.METRIC)

    @property
    def losses(self) -> tuple[str, ...]:
        """The first metric at each step."""
        return self.metrics[0].texts

    @property
    def judged(self) -> tuple[tuple[str, ...], ...]:
        """All metrics at each step: equal, if and only if two trajectories have the same bits."""
        return tuple(each.texts for each in self.metrics)

    @property
    def predictions(self) -> Rows:
        """The first output at each step; empty where there is none that is told in full, as floats."""
        told = (each.rows for each in self.of(Role.OUTPUT) if each.inline and each.dtype in FORMS)
        return next(told, ())

    @property
    def state(self) -> tuple[tuple[str, ...], ...]:
        """What the last step leaves, comparable: for each value its name, dtype, shape and bits."""
        return tuple(
            (each.name, each.dtype, str(each.shape), *each.rows[-1]) for each in self.of(Role.STATE) if each.rows
        )

    @property
    def counted(self) -> tuple[Column, ...]:
        """What a command itself counts at each of its numbers; empty where they are counted from 1."""
        return tuple(each for each in self.of(Role.OUTPUT) if each.name.startswith(COUNTED))

    def said(self, step: int) -> str:
        """Return what a step is called: by what a command itself counts, where it does."""
        rows = [(each.name.removeprefix(COUNTED), each.texts[step - 1]) for each in self.counted if step <= each.count]
        return ", ".join(f"{name} {text}" for name, text in rows) or f"step {step}"

    def tensor(self, name: str) -> Rows:
        """Return the rows of a matrix that is told in full, at its last step.

        Raises:
            KeyError: there is none of that name.
        """
        column = self.column(name)
        if column is None or not column.inline or not column.shape:
            raise KeyError(name)
        elements, width = column.rows[-1], column.shape[-1]
        return tuple(elements[place : place + width] for place in range(0, len(elements), width))

    def untraced(self) -> "Trajectory":
        """Return what an untraced run of the same cell tells: metrics, outputs, and the state after the last step."""
        kept = [each for each in self.columns if each.role is not Role.TRACE]
        order = {Role.METRIC: 0, Role.OUTPUT: 0, Role.STATE: 1}
        told = [each.last() if each.role is Role.STATE else each for each in kept]
        return msgspec.structs.replace(self, columns=tuple(sorted(told, key=lambda each: order[each.role])))


def check(trajectory: Trajectory, steps: int, metrics: Iterable[str] | None = None) -> None:
    """Refuse what contradicts itself.

    Args:
        trajectory: what came in.
        steps: of the cell.
        metrics: their names, where they are known.

    Raises:
        ValueError: a text that is no value of its dtype, wrong counts, steps that do not rise, a name twice, or metrics
            that are no floats or do not cover every step.
    """
    names = [each.name for each in trajectory.columns]
    if len(set(names)) != len(names):
        raise ValueError(f"{next(name for name in names if names.count(name) > 1)!r} is there twice")
    _check_lost(trajectory)
    for column in trajectory.columns:
        check_column(column)
        if column.final > steps + (column.role is Role.OUTPUT):
            raise ValueError(f"{column.name} has a step {column.final} of {steps}")
    found = [each.name for each in trajectory.metrics]
    if not found or (metrics is not None and found != list(metrics)):
        wanted = f" instead of {', '.join(metrics)}" if metrics is not None else ""
        raise ValueError(f"the metrics are {', '.join(found) or 'none'}{wanted}")
    for column in trajectory.metrics:
        if column.dtype not in FORMS:
            raise ValueError(f"the metric {column.name} is of {column.dtype}, expected one of {', '.join(FORMS)}")
        if column.shape or column.count != steps or column.final != steps:
            raise ValueError(f"the metric {column.name} has {column.count} values where {steps} are due")
    for column in trajectory.of(Role.STATE):
        if column.final != steps:
            raise ValueError(f"the state {column.name} is not that after the last step")


def _check_lost(trajectory: Trajectory) -> None:
    lost = [name for name, _ in (*trajectory.absent, *trajectory.broken)]
    if len(set(lost)) != len(lost):
        raise ValueError("what is absent or broken is there twice")
    for each in (trajectory.absent, trajectory.broken):
        if list(each) != sorted(each):
            raise ValueError("what is absent or broken is not sorted")


def check_column(column: Column) -> None:
    """Refuse a column that contradicts itself.

    Raises:
        ValueError: see `check`.
    """
    if not column.name or not _DTYPE.fullmatch(column.dtype) or any(size < 0 for size in column.shape):
        raise ValueError(f"{column.name!r} is of {column.dtype[:40]!r} and the shape {list(column.shape)}")
    if column.inline:
        if column.digests:
            kind = f"{column.dtype}{list(column.shape)}"
            raise ValueError(f"{column.name}: the elements of {kind} are told, not their digest")
        if len(column.texts) % column.size if column.size else column.texts:
            raise ValueError(f"{column.name}: {len(column.texts)} elements are no whole number of {column.shape}")
        exact(column.texts, column.dtype)
    elif column.texts or not matches(_DIGESTS, column.digests):
        raise ValueError(f"{column.name}: of {column.dtype}{list(column.shape)} each step is one SHA-256")
    if not column.count:
        raise ValueError(f"{column.name} has no values")
    steps = column.steps
    if steps is not None and told_steps(steps, column.size) is None:
        raise ValueError(f"{column.name} tells its steps, which have no gap")
    if steps is not None and (len(steps) != column.count or list(steps) != sorted({*steps}) or steps[:1] < (1,)):
        raise ValueError(f"{column.name}: {len(steps)} steps of {column.count} values, or not rising from 1")


def told_steps(steps: Iterable[int], size: int) -> tuple[int, ...] | None:
    """Return steps as a column of values of `size` elements has them: None for 1, 2, ... where the elements tell it."""
    found = tuple(steps)
    return None if size and found == tuple(range(1, len(found) + 1)) else found


def exact(texts: Iterable[str], dtype: str) -> tuple[str, ...]:
    """Return texts, each of which is how a value of the dtype is written.

    Raises:
        ValueError: one is not: `0.5`, say, or more bits than the dtype has.
    """
    texts = tuple(texts)
    if dtype in INTEGERS:
        low, high = _limits(dtype)
        if not matches(_WHOLE, texts) or not all(low <= int(text) <= high for text in texts):
            raise ValueError(f"not all are {dtype}: {texts[:3]}"[:120])
        return texts
    if dtype not in FORMS:
        raise ValueError(f"{dtype[:40]!r} has no exact texts")
    if not matches(_form(dtype), texts):
        for text in texts:  # subnormal values, or what is none
            if not _HEX.fullmatch(text) or not _is_of(text, dtype):
                raise ValueError(f"not a {dtype}: {text[:40]!r}")
    return texts


def _limits(dtype: str) -> tuple[int, int]:
    """Return the least and the largest value of an integer dtype."""
    bits = 1 if dtype == "bool" else 8 * WIDTHS[dtype]
    return (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if dtype.startswith("int") else (0, (1 << bits) - 1)


def _is_of(text: str, dtype: str) -> bool:
    try:
        value = float.fromhex(text)
    except OverflowError:
        return False
    if value != value or value in (float("inf"), float("-inf")):  # noqa: PLR0124 - NaN
        return True
    return value.hex() == text and abs(at(ordinal(value, dtype), dtype)) == abs(value)


def matches(form: re.Pattern[str], texts: tuple[str, ...]) -> bool:
    """Whether every text is of a form that ends each with a line break; looked at in one go."""
    lines = "\n".join(texts) + "\n" if texts else ""
    return form.fullmatch(lines) is not None and lines.count("\n") == len(texts)


def columns(entries: Iterable[tuple[int, str, str, str, tuple[int, ...], list[str] | str]]) -> tuple[Column, ...]:
    """Return columns out of values in the order in which they were recorded.

    Args:
        entries: step, name, role, dtype, shape, and the elements as texts or the digest.

    Raises:
        ValueError: a value whose role, dtype or shape is not that of its other steps, or twice at one step.
    """
    found: dict[str, _Growing] = {}
    for step, name, role, dtype, shape, told in entries:
        kind = (role, dtype, tuple(shape))
        growing = found.setdefault(name, _Growing(kind))
        if growing.kind != kind:
            raise ValueError(f"{name} is {_words(kind)} at step {step} and {_words(growing.kind)} before")
        growing.add(name, step, told)
    return tuple(growing.column(name) for name, growing in found.items())


def _words(kind: tuple[str, str, tuple[int, ...]]) -> str:
    return f"a {kind[0]} of {kind[1]}{list(kind[2])}"


class _Growing:
    """A column under way."""

    def __init__(self, kind: tuple[str, str, tuple[int, ...]]) -> None:
        self.kind = kind
        self.steps: list[int] = []
        self.texts: list[str] = []
        self.digests: list[str] = []

    def add(self, name: str, step: int, told: list[str] | str) -> None:
        if not isinstance(told, str) and len(told) != prod(self.kind[2]):
            raise ValueError(f"{name} has {len(told)} elements at step {step}, and the shape {list(self.kind[2])}")
        if self.steps and step <= self.steps[-1]:
            raise ValueError(f"{name} is recorded at step {step} after step {self.steps[-1]}")
        self.steps.append(step)
        if isinstance(told, str):
            self.digests.append(told)
        else:
            self.texts += told

    def column(self, name: str) -> Column:
        role, dtype, shape = self.kind
        return Column(
            name=name,
            role=Role(role),
            dtype=dtype,
            shape=shape,
            steps=told_steps(self.steps, prod(shape)),
            texts=tuple(self.texts),
            digests=tuple(self.digests),
        )


def first_difference(a: bytes, b: bytes, dtype: str) -> tuple[int, str, str] | None:
    """Return the first element in which the bits of two values differ: its place, and both elements as exact text.

    None where no element differs, or where the dtype's elements cannot be written as text.
    """
    width = WIDTHS.get(dtype)
    if width is None or len(a) != len(b):
        return None
    for place in range(0, len(a), width):
        one, other = a[place : place + width], b[place : place + width]
        if one != other:
            return place // width, element(one, dtype), element(other, dtype)
    return None


def element(data: bytes, dtype: str) -> str:
    """Return one element, given as little-endian bits, as exact text."""
    if dtype in INTEGERS:
        return str(int.from_bytes(data, "little", signed=dtype.startswith("int")))
    code = {"float64": "<d", "float32": "<f", "float16": "<e", "bfloat16": "<f"}[dtype]
    value: float = struct.unpack(code, b"\0\0" + data if dtype == "bfloat16" else data)[0]
    return value.hex()


def first_values(a: Trajectory, b: Trajectory) -> Iterator[tuple[str, int]]:
    """Yield name and step of the values in which two runs of one job differ, the first step first."""
    left, right = (
        {
            (step, name): row
            for name, column in by_name(each).items()
            for step, row in zip(column.at, column.rows, strict=True)
        }
        for each in (a, b)
    )
    order = {name: place for place, name in enumerate((*by_name(a), *by_name(b)))}
    differing = (place for place in left.keys() | right.keys() if left.get(place) != right.get(place))
    yield from ((name, step) for step, name in sorted(differing, key=lambda each: (each[0], order[each[1]])))


def by_name(trajectory: Trajectory) -> Mapping[str, Column]:
    """Return the columns by name, in order."""
    return {each.name: each for each in trajectory.columns}
