"""What can be compared: a cell's losses, a column of a published table, a log that somebody else wrote.

A cell's losses are exact. Decimal text is not: what it stands for depends on the dtype that its writer had, and
often on digits that were not printed. So a series keeps its texts and is read in a dtype when it is compared.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from repromatrix.compare import arrays, digits, exact
from repromatrix.compare.arrays import Values
from repromatrix.compare.digits import Digits
from repromatrix.floats import FORMS, nearest
from repromatrix.results.logs import figures
from repromatrix.results.logs.columns import Column as Printed
from repromatrix.results.record import Description, Outcome, Provenance, Record
from repromatrix.results.value import COUNTED, Column, Trajectory

LOSS = "loss"  # the metric of a cell, a published column, and the loss of a log whatever it is called there
_PRECISION = 53  # of float64
_CACHED = 512  # series by identity: one side of many pairs is read once
_SPLIT = 64  # whose texts are kept apart; each is some 60 bytes
_GUARANTEED = {"float64": 15, "float32": 6, "bfloat16": 2, "float16": 3}  # any so many digits come back


class Rule(StrEnum):
    """How a metric counts: by what is allowed, only if it is identical, up to rounding, or not at all."""

    JUDGED = "judged"
    EXACT = "exact"
    ROUNDING = "rounding"
    SHOWN = "shown"
    IGNORE = "ignore"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Series:
    """Losses, one a step, with what is known of where they come from.

    Attributes:
        name: what it is called in the comparison; no two have the same.
        source: where it was read: a results folder, a file, a published table.
        workload: None: nobody states it.
        dtype: of a cell; None: nobody states it.
        values: exact, or the float64 nearest to the texts; None: there is no trajectory.
        joined: the printed numbers, by line feeds; None where the values are exact.
        told: the dtype that the digits show by themselves: float32 as Python prints one, else None.
        digest: equal digests, equal bits (equal texts, where there are texts).
        absent: why there are no values, else None.
        left_out: whether that is because the cell cannot run there.
        deterministic: of a cell whose repeats were compared.
        state: digest of what the last step leaves; None: unknown.
        metrics: what a cell is judged by beside its loss.
        cell: a cell's description, its id replaced by `name`; `cell_id` is the id itself.
        provenance: what a cell ran in.
        factors: the options that a cell really used.
        logged: what the source counts, a row for each number; None: it counts nothing.
        axis: the names of what it counts, the finest last.
        metric: the name of its numbers in a log; None: of a cell.
        group: what is compared with each other.
        rule: how it counts.
    """

    name: str
    source: str
    workload: str | None = None
    dtype: str | None = None
    values: Values | None = None
    joined: str | None = None
    told: str | None = None
    digest: str = ""
    absent: str | None = None
    left_out: bool = False
    deterministic: bool | None = None
    state: str | None = None
    metrics: tuple[Column, ...] = ()
    cell: Description | None = None
    cell_id: str | None = None
    provenance: Provenance | None = None
    factors: tuple[tuple[str, str], ...] = ()
    logged: Values | None = None
    axis: tuple[str, ...] = ()
    metric: str | None = None
    group: str = LOSS
    rule: Rule = Rule.JUDGED

    @property
    def steps(self) -> int:
        """How many losses there are."""
        return 0 if self.values is None else len(self.values)

    @property
    def texts(self) -> tuple[str, ...] | None:
        """The printed numbers one by one; None where the values are exact."""
        return None if self.joined is None else _texts(self.joined)

    def step(self, place: int) -> int | None:
        """Return the whole number that its source gives a place, from 0; None: it gives none, or several."""
        if self.logged is None or self.logged.shape[1] != 1 or place >= len(self.logged):
            return None
        found = float(self.logged[place, 0])
        return int(found) if found.is_integer() and self.whole else None

    @property
    def whole(self) -> bool:
        """Whether its steps are whole numbers."""
        return self.logged is not None and bool((self.logged == np.rint(self.logged)).all())

    def named(self, name: str) -> "Series":
        """Return it under another name."""
        return replace(self, name=name, cell=replace(self.cell, id=name) if self.cell else None)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Reading:
    """A series read in a dtype.

    Attributes:
        values: its numbers, each a value of the dtype.
        told_apart: whether the digits are enough to tell which values they were; always so where they are exact.
    """

    dtype: str
    values: Values
    told_apart: bool


def of_record(record: Record, source: str) -> Series:
    """Return a cell's losses, of its first repeat; the record's other numbers are not kept."""
    cell, first = record.cell, record.trajectory
    known = Series(
        name=cell.id,
        source=source,
        workload=cell.workload,
        dtype=cell.dtype,
        deterministic=record.deterministic,
        cell=cell,
        cell_id=cell.id,
        provenance=record.provenance,
        factors=record.factors,
    )
    if first is None:
        reason = f"{record.outcome.value} ({record.reason})" if record.reason else record.outcome.value
        return replace(known, absent=reason, left_out=record.outcome in (Outcome.SKIPPED, Outcome.UNAVAILABLE))
    values = arrays.decode(first.losses)
    state = hashlib.sha256(repr(first.state).encode()).hexdigest() if first.state else None
    logged, axis = _counted(first)
    digest, metrics = _judged(first, values), first.metrics[1:]
    return replace(known, values=values, digest=digest, state=state, metrics=metrics, logged=logged, axis=axis)


def _counted(trajectory: Trajectory) -> tuple[Values | None, tuple[str, ...]]:
    """Return what a command itself counts, a row for each of its numbers, and the names of that."""
    found = trajectory.counted
    if not found:
        return None, ()
    rows = [[float.fromhex(text) if "x" in text else float(text) for text in each.texts] for each in found]
    return np.array(rows).T, tuple(each.name.removeprefix(COUNTED) for each in found)


def _judged(trajectory: Trajectory, losses: Values) -> str:
    """Return a digest over all metrics; of a loss alone it is that of its values."""
    own, others = _digest(losses), trajectory.judged[1:]
    return hashlib.sha256(repr((own, others)).encode()).hexdigest() if others else own


def of_log(column: Printed, name: str, source: str) -> Series:
    """Return the numbers of a log; hexadecimal ones are exact."""
    exactly = column.texts is None or ("x" in column.texts and _is_exact(column.texts))
    joined = None if exactly else column.texts
    return Series(
        name=name,
        source=source,
        dtype=column.dtype,
        values=column.values,
        joined=joined,
        told=None if joined is None or column.dtype else figures.told(column.values, joined),
        digest=_digest(column.values) if joined is None else hashlib.sha256(joined.encode()).hexdigest(),
        logged=column.steps,
        axis=column.axis,
        metric=column.name,
    )


def _is_exact(joined: str) -> bool:
    return all("x" in each or digits.special(each) for each in joined.split("\n"))


def of_column(printed: Sequence[str], workload: str, name: str, source: str) -> Series:
    """Return a column of a published table of a workload."""
    joined = "\n".join(printed)
    values = arrays.values(map(figures.value, printed))
    return replace(
        of_log(Printed(name=name, values=values, texts=joined), name, source), workload=workload, metric=None, told=None
    )


@lru_cache(maxsize=_SPLIT)
def _texts(joined: str) -> tuple[str, ...]:
    return tuple(joined.split("\n"))


def shown(series: Series) -> Digits:
    """Return which digits the texts of a series show."""
    return _shown(series.joined)


@lru_cache(maxsize=_SPLIT)
def _shown(joined: str | None) -> Digits:
    return digits.of(() if joined is None else _texts(joined))


@lru_cache(maxsize=_CACHED)
def read(series: Series, dtype: str) -> Reading:
    """Read a series in a dtype: exact values as they are, texts as the nearest value, rounded once.

    Raises:
        ValueError: the series has no values.
    """
    if series.values is None:
        raise ValueError(f"{series.name} has no values")
    if series.joined is None:
        return Reading(dtype=dtype, values=series.values, told_apart=True)
    told = dtype == series.told or told_apart(shown(series), dtype)
    return Reading(dtype=dtype, values=_nearest(series, dtype), told_apart=told)


@lru_cache(maxsize=_CACHED)
def fits(series: Series, dtype: str) -> bool:
    """Whether every number can be one of a dtype: its value there, printed to as many digits, is the text."""
    if series.values is None:
        return False
    if series.joined is None:
        return bool(arrays.same_bits(arrays.rounded(series.values, dtype), series.values).all())
    found, texts, values = shown(series), series.texts or (), _nearest(series, dtype)
    size = np.abs(series.values)
    form = FORMS[dtype]
    normal = (size == 0) | ((size >= 2.0 ** (form.least + form.precision)) & np.isfinite(values))
    sure = found.decimal & (found.significant <= _GUARANTEED[dtype]) & normal
    return all(
        exact.agrees(float(values[at]), texts[at]) if np.isfinite(values[at]) else digits.special(texts[at])
        for at in np.flatnonzero(~sure)
    )


def told_apart(found: Digits, dtype: str) -> bool:
    """Whether decimal texts show which values of a dtype they were.

    A text with as many significant digits as tell any two values apart does. A shorter one does only beside such a
    one, where the places behind the point vary: then the writer leaves out nothing but what is not needed.
    """
    enough = FORMS[dtype].digits
    telling = found.decimal & ~found.bare  # with an exponent of its own, a zero is nothing but zero
    counts, places = found.significant[telling], found.last_place[telling]
    if (counts >= enough).all():
        return True
    return bool(counts.max() >= enough and (places != places[0]).any() and not found.padded[telling].any())


def half_units(series: Series) -> Values:
    """Return half a unit of the last printed place of each number, 0 where it is exact."""
    return np.zeros(series.steps) if series.joined is None else digits.half_units(shown(series))


def _digest(values: Values) -> str:
    return hashlib.sha256(np.where(np.isnan(values), np.nan, values).tobytes()).hexdigest()


def _nearest(series: Series, dtype: str) -> Values:
    """Return the value of a dtype nearest to each text, rounded once."""
    if series.values is None or series.joined is None or dtype == "float64":
        return arrays.values(()) if series.values is None else series.values
    # float64 is the first rounding: a second one is right unless it meets a tie that the first one made.
    found = arrays.rounded(series.values, dtype)
    for place in np.flatnonzero(_ties(series.values, dtype)):
        text = (series.texts or ())[place]
        if "x" not in text and not digits.special(text):
            found[place] = nearest(text, dtype)
    return found


def _ties(values: Values, dtype: str) -> npt.NDArray[np.bool_]:
    """Tell which float64 may lie half way between two values of a dtype, or where its places are other than usual."""
    dropped = _PRECISION - FORMS[dtype].precision
    rest = values.view(np.int64) & ((1 << dropped) - 1)
    size = np.abs(values)
    least = 2.0 ** (FORMS[dtype].least + FORMS[dtype].precision)
    largest = 2.0 ** ((1 << (FORMS[dtype].exponent_bits - 1)) - 1)
    ties: npt.NDArray[np.bool_] = (rest == 1 << (dropped - 1)) | ((size < least) & (size > 0)) | (size >= largest)
    return ties
