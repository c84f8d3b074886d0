"""What every reader gives: named columns of numbers with their steps; and how cells of text become such columns."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from repromatrix.errors import UsageError
from repromatrix.results.logs import figures, words
from repromatrix.results.logs.figures import Values

Places: TypeAlias = npt.NDArray[np.int64]
_WIDEST = 2.0**53
_NAMES = 6  # in a sentence


class Repeated(StrEnum):
    """Which number of a step that stands twice is taken."""

    FIRST = "first"
    LAST = "last"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What the command line says of a file.

    Attributes:
        columns: the names to read, or empty: all.
        repeated: which number to take where a step stands twice with two numbers; None: refuse it.
        comma: what a comma in a number stands for; None: as the file shows.
        by_place: whether steps are left unread, and numbers counted from 1.
    """

    columns: tuple[str, ...] = ()
    repeated: Repeated | None = None
    comma: figures.Comma | None = None
    by_place: bool = False


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Column:
    """Numbers under a name.

    Attributes:
        name: as the file has it, outer names in front (`train/loss`).
        values: exact, or the float64 nearest to the texts.
        texts: the numbers as they are written, joined by line feeds; None: the values are exact.
        dtype: what the file states; None: nothing.
        steps: a row for each number, what its source counts; None: it counts nothing.
        axis: the names of what is counted, the finest last.
    """

    name: str
    values: Values
    texts: str | None = None
    dtype: str | None = None
    steps: Values | None = None
    axis: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Log:
    """A file as it was read.

    Attributes:
        form: what it was read as, in words.
        columns: its numbers.
        left_out: what was not read, and why, in words.
    """

    form: str
    columns: tuple[Column, ...]
    left_out: tuple[str, ...] = ()


@dataclass(slots=True, kw_only=True)
class Raw:
    """The cells of a column that are filled.

    Attributes:
        rows: the row of each cell; None: one a row.
        spread: whether a cell holds for the rows below it too.
        unit: what stands behind its numbers.
    """

    name: str
    texts: list[str] = field(default_factory=list)
    rows: list[int] | None = None
    spread: bool = False
    unit: str = ""

    def places(self) -> Places:
        """Return the row of each cell."""
        return np.arange(len(self.texts)) if self.rows is None else np.asarray(self.rows, dtype=np.int64)


@dataclass(slots=True, kw_only=True)
class Sheet:
    """Columns over the same rows.

    Attributes:
        line: a row and a column's name -> the line of the file, for messages.
        placed: whether a row without a cell is a place without a number; lines of a log are not.
    """

    raws: list[Raw]
    count: int
    line: Callable[[int, str], int]
    placed: bool = True


class _WrongError(Exception):
    """A column that cannot be used, with its message."""

    def __init__(self, error: UsageError, short: str) -> None:
        super().__init__(short)
        self.error, self.short = error, short


def names(found: Iterable[str]) -> str:
    """Return some names in a sentence."""
    every = list(dict.fromkeys(found))
    more = len(every) - _NAMES
    return ", ".join(every[:_NAMES]) + (f" and {more:,} more" if more > 0 else "")


def log(form: str, sheets: Sequence[Sheet], where: str, asked: Asked, left_out: Sequence[str] = ()) -> Log:
    """Return the columns of sheets: which of them count steps, which are numbers, which are neither.

    Raises:
        UsageError: a number or a step that is none; a step that stands twice with two numbers; with the line.
    """
    columns: list[Column] = []
    wrong: dict[str, _WrongError] = {}
    texts: list[str] = []
    for sheet in sheets:
        axes = {} if asked.by_place else _axes(sheet, where, asked)
        for raw in sheet.raws:
            if raw.name in axes or (not asked.columns and words.counter(raw.name) is not None and axes):
                continue
            if asked.by_place and words.counter(raw.name) is not None and raw.name not in asked.columns:
                continue
            try:
                column = _column(raw, sheet, axes, where, asked)
            except _WrongError as error:
                wrong[raw.name] = error
                continue
            if column is None:
                texts.append(raw.name)
            else:
                columns.append(column)
    columns = _once(columns)
    needed = [each for name, each in wrong.items() if words.loss(name) or name in asked.columns or not columns]
    if needed and not (asked.columns and {each.name for each in columns} >= {*asked.columns}):
        raise needed[0].error
    kept, single = _single(columns, asked)
    said = [
        *([f"{names(texts)} (text)"] if texts else []),
        *([f"{names(single)} (one number)"] if single else []),
        *(f"{name} ({each.short})" for name, each in list(wrong.items())[:_NAMES]),
    ]
    return Log(form=form, columns=tuple(kept), left_out=(*said, *left_out))


def _once(columns: Sequence[Column]) -> list[Column]:
    """Return columns under names of their own, the first of a name."""
    return list({each.name: each for each in reversed(columns)}.values())[::-1]


def _single(columns: Sequence[Column], asked: Asked) -> tuple[list[Column], list[str]]:
    """Leave out what stands there once where other numbers stand at many steps: a setting or a summary."""
    most = max((len(each.values) for each in columns), default=0)
    if asked.columns or most < 2:  # noqa: PLR2004
        return list(columns), []
    return [each for each in columns if len(each.values) > 1], [each.name for each in columns if len(each.values) == 1]


def _axes(sheet: Sheet, where: str, asked: Asked) -> dict[str, tuple[int, Values]]:
    """Return what counts the rows: name -> how coarse it is, and its number at each row, NaN where there is none."""
    found: dict[str, tuple[int, Values]] = {}
    for raw in sheet.raws:
        rank = words.counter(raw.name)
        if rank is None or raw.name in asked.columns or not raw.texts:
            continue
        read = figures.parse(figures.without_commas(raw.texts, figures.Comma.THOUSANDS))
        if isinstance(read, int):
            if rank == 0 and figures.number(raw.texts[0]) is not None:
                raise _no_step(raw, sheet, read, where)
            continue
        values = read[0]
        if not np.isfinite(values).all() or (np.abs(values) >= _WIDEST).any():
            continue
        whole = values == np.rint(values)
        if rank != words.EPOCH and not whole.all():
            if rank == 0:
                raise _no_step(raw, sheet, int(np.flatnonzero(~whole)[0]), where)
            continue
        full = np.full(sheet.count, np.nan)
        full[raw.places()] = values
        if raw.spread:
            full = filled(full)
        if rank > words.EPOCH and not rises(values):
            continue  # tokens a step are no count of steps
        found[raw.name] = (rank, full)
    return found


def rises(values: Values) -> bool:
    """Whether each number is larger than the one before."""
    return len(values) > 1 and bool((np.diff(values) > 0).all())


def _no_step(raw: Raw, sheet: Sheet, place: int, where: str) -> UsageError:
    line = sheet.line(int(raw.places()[place]), raw.name)
    return UsageError(
        f"{raw.texts[place][:60]!r} where a step, a whole number from 0 or 1 on, is due",
        where=f"{where}:{line}",
        hint="mend that line, or type --by-place: the numbers are then counted from 1",
    )


def _column(raw: Raw, sheet: Sheet, axes: dict[str, tuple[int, Values]], where: str, asked: Asked) -> Column | None:
    """Return a column of numbers; None: it is text."""
    texts, rows = raw.texts, raw.places()
    if not texts:
        return None
    read = figures.parse(texts)
    if isinstance(read, int) and not figures.NOTHING.isdisjoint(texts):
        filled = [at for at, each in enumerate(texts) if each not in figures.NOTHING]
        texts, rows = [texts[at] for at in filled], rows[filled]
        read = figures.parse(texts) if texts else 0
    if isinstance(read, int):
        if not texts or not _numeric(texts, raw.name, asked):
            return None
        raise _no_number(raw.name, texts[read], f"{where}:{sheet.line(int(rows[read]), raw.name)}")
    values, joined = read
    column = Column(name=raw.name, values=values, texts=joined)
    return _counted(column, rows, sheet, axes, where=where, asked=asked)


def _numeric(texts: Sequence[str], name: str, asked: Asked) -> bool:
    """Whether a column with a cell that is no number was meant as numbers."""
    some = texts[:1000]
    good = sum(map(figures.like, some))
    return name in asked.columns or (words.loss(name) and bool(good)) or 2 * good >= len(some)


def _no_number(name: str, text: str, where: str) -> _WrongError:
    hint = "mend that line"
    if figures.like(text) and "," in text:
        hint = "say what its comma is: --comma decimal or --comma thousands"
    shown = f"{text!r}"[:60]
    return _WrongError(
        UsageError(f"{name}: {shown} where {figures.EXPECTED} is due", where=where, hint=hint), f"{shown} is no number"
    )


def _counted(
    column: Column,
    rows: Places,
    sheet: Sheet,
    axes: dict[str, tuple[int, Values]],
    *,
    where: str,
    asked: Asked,
) -> Column:
    """Return a column with its steps, each once and in order; a step that stands twice with one number is one."""
    usable = sorted(
        ((rank, name, full[rows]) for name, (rank, full) in axes.items() if not np.isnan(full[rows]).any()),
        key=lambda each: (each[0], not rises(each[2])),
    )
    if not usable and not sheet.placed:
        usable = _last_said(axes, rows)
    if not usable:
        if len(rows) == sheet.count or not sheet.placed:
            return column
        places: Values = np.asarray(rows + 1, dtype=np.float64)
        return replace(column, steps=places[:, None], axis=("row",))
    rank, name, steps = usable[0]
    if rank == words.EPOCH and (steps != np.rint(steps)).any():
        return replace(column, steps=steps[:, None], axis=(name,))  # part of an epoch: a place, not a step
    if rises(steps):
        return replace(column, steps=steps[:, None], axis=(name,))
    for _, outer, values in usable[1:]:
        further, inner = np.diff(values), np.diff(steps)
        in_order = ((further > 0) | ((further == 0) & (inner > 0))).all()
        if in_order and (values == np.rint(values)).all():
            pairs: Values = np.stack((values, steps), axis=1)
            return replace(column, steps=pairs, axis=(outer, name))
    return _each_once(
        replace(column, steps=steps[:, None], axis=(name,)),
        lambda place: f"{where}:{sheet.line(int(rows[place]), column.name)}",
        asked,
    )


def _last_said(axes: dict[str, tuple[int, Values]], rows: Places) -> list[tuple[int, str, Values]]:
    """Return the steps that lines above say, where each number has one of its own."""
    for name, (rank, full) in sorted(axes.items(), key=lambda each: each[1][0]):
        steps = filled(full)[rows]
        if rank < words.EPOCH and rises(steps):
            return [(rank, name, steps)]
    return []


def filled(full: Values) -> Values:
    """Return numbers with each gap filled by the last one before it."""
    last = np.maximum.accumulate(np.where(np.isnan(full), -1, np.arange(len(full))))
    result: Values = np.where(last >= 0, full[last], np.nan)
    return result


def stepped(column: Column, steps: Values, where: str, asked: Asked) -> Column:
    """Return exact numbers with their steps, each step once.

    Raises:
        UsageError: a step stands twice with two numbers, or the steps are out of order.
    """
    try:
        return _each_once(replace(column, steps=steps[:, None], axis=("step",)), lambda _: where, asked)
    except _WrongError as error:
        raise error.error from error


def with_steps(column: Column, steps: Column) -> Column:
    """Return exact numbers with the steps that stand beside them, where there are as many."""
    if len(column.values) != len(steps.values):
        return column
    return replace(column, steps=steps.values[:, None], axis=(steps.name,))


def _each_once(column: Column, at: Callable[[int], str], asked: Asked) -> Column:
    """Return each step once: what stands twice with one number is one, with two a mistake unless one is asked for."""
    steps = column.steps[:, 0] if column.steps is not None else np.zeros(0)
    if rises(steps) or len(steps) == 1:
        return column
    texts = column.texts.split("\n") if column.texts is not None else [repr(each) for each in column.values.tolist()]
    seen: dict[float, int] = {}
    for place, step in enumerate(steps.tolist()):
        before = seen.setdefault(step, place)
        if before == place:
            continue
        same = texts[before] == texts[place] or column.values[before] == column.values[place]
        if not same and asked.repeated is None:
            raise _twice(column.name, step, (texts[before], texts[place]), at(place))
        if asked.repeated is Repeated.LAST:
            seen[step] = place
    kept = sorted(seen.values()) if asked.repeated is not Repeated.LAST else [seen[each] for each in sorted(seen)]
    found = steps[kept]
    if not rises(found) and len(found) > 1:
        wrong = int(np.flatnonzero(np.diff(found) <= 0)[0]) + 1
        raise _out_of_order(column.name, found[wrong], found[wrong - 1], at(kept[wrong]))
    return replace(
        column,
        values=column.values[kept],
        texts=None if column.texts is None else "\n".join(texts[each] for each in kept),
        steps=found[:, None],
    )


def _twice(name: str, step: float, both: tuple[str, str], where: str) -> _WrongError:
    what = f"step {int(step)}"
    return _WrongError(
        UsageError(
            f"{name}: {what} stands twice, with {both[0][:30]} and {both[1][:30]}",
            where=where,
            hint="say which number counts: --repeated first or --repeated last",
        ),
        f"{what} stands twice",
    )


def _out_of_order(name: str, step: float, last: float, where: str) -> _WrongError:
    what = f"step {int(step)} after step {int(last)}"
    return _WrongError(
        UsageError(
            f"{name}: {what}: out of order",
            where=where,
            hint="give the steps in order, or type --by-place: the numbers are then counted from 1",
        ),
        f"{what}: out of order",
    )


def exact(name: str, values: npt.NDArray[Any], dtype: str | None, **words_: Any) -> Column:
    """Return numbers of a binary file, which are exact."""
    with np.errstate(invalid="ignore"):  # of NaN that signal
        return Column(name=name, values=values.astype(np.float64).ravel(), dtype=dtype, **words_)
