"""What can be compared: a cell's losses, a column of a published table, a log that somebody else wrote.

A cell's losses are exact. Decimal text is not: what it stands for depends on the dtype that its writer had, and
often on digits that were not printed. So a series keeps its texts and is read in a dtype when it is compared.
"""

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from repromatrix.compare import arrays, exact
from repromatrix.compare.arrays import Values
from repromatrix.floats import FORMS, nearest
from repromatrix.results.log import Log
from repromatrix.results.record import Description, Outcome, Provenance, Record
from repromatrix.results.value import Column, Trajectory

_PRECISION = 53  # of float64
_CACHED = 512  # series by identity: one side of many pairs is read once


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Series:
    """Losses, one a step, with what is known of where they come from.

    Attributes:
        name: what it is called in the comparison; no two have the same.
        source: where it was read: a results folder, a file, a published table.
        workload: None: nobody states it.
        dtype: of a cell; None: nobody states it.
        values: exact, or the float64 nearest to the texts; None: there is no trajectory.
        texts: the printed numbers; None where the values are exact.
        digest: equal digests, equal bits (equal texts, where there are texts).
        absent: why there are no values, else None.
        left_out: whether that is because the cell cannot run there.
        deterministic: of a cell whose repeats were compared.
        state: digest of what the last step leaves; None: unknown.
        metrics: what a cell is judged by beside its loss.
        cell: a cell's description, its id replaced by `name`; `cell_id` is the id itself.
        provenance: what a cell ran in.
        factors: the options that a cell really used.
        first_step: 0 or 1, as its source counts.
        logged: the step of each loss where its source leaves some out, else None.
        skipped: how many entries without a loss its source has.
    """

    name: str
    source: str
    workload: str | None = None
    dtype: str | None = None
    values: Values | None = None
    texts: tuple[str, ...] | None = None
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
    first_step: int = 1
    logged: tuple[int, ...] | None = None
    skipped: int = 0

    @property
    def steps(self) -> int:
        """How many losses there are."""
        return 0 if self.values is None else len(self.values)

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
    return replace(known, values=values, digest=_judged(first, values), state=state, metrics=first.metrics[1:])


def _judged(trajectory: Trajectory, losses: Values) -> str:
    """Return a digest over all metrics; of a loss alone it is that of its values."""
    own, others = _digest(losses), trajectory.judged[1:]
    return hashlib.sha256(repr((own, others)).encode()).hexdigest() if others else own


def of_log(log: Log, name: str, source: str) -> Series:
    """Return the losses of a log; hexadecimal numbers are exact."""
    values = _finite(log.texts)
    exactly = all("x" in each or each.lstrip("-") in ("nan", "inf") for each in log.texts)
    digest = _digest(values) if exactly else hashlib.sha256("\n".join(log.texts).encode()).hexdigest()
    texts = None if exactly else log.texts
    return Series(
        name=name,
        source=source,
        values=values,
        texts=texts,
        digest=digest,
        first_step=log.first_step,
        logged=log.steps,
        skipped=log.skipped,
    )


def of_column(printed: Sequence[str], workload: str, name: str, source: str) -> Series:
    """Return a column of a published table of a workload."""
    log = Log(name=name, texts=tuple(printed), first_step=1)
    return replace(of_log(log, name, source), workload=workload)


@lru_cache(maxsize=_CACHED)
def read(series: Series, dtype: str) -> Reading:
    """Read a series in a dtype: exact values as they are, texts as the nearest value, rounded once.

    Raises:
        ValueError: the series has no values.
    """
    if series.values is None:
        raise ValueError(f"{series.name} has no values")
    if series.texts is None:
        return Reading(dtype=dtype, values=series.values, told_apart=True)
    return Reading(dtype=dtype, values=_nearest(series, dtype), told_apart=told_apart(series.texts, dtype))


@lru_cache(maxsize=_CACHED)
def fits(series: Series, dtype: str) -> bool:
    """Whether every number can be one of a dtype: its value there, printed to as many digits, is the text."""
    if series.values is None:
        return False
    if series.texts is None:
        return bool(arrays.same_bits(arrays.rounded(series.values, dtype), series.values).all())
    pairs = zip(_nearest(series, dtype).tolist(), series.texts, strict=True)
    return all(exact.agrees(value, text) if np.isfinite(value) else _special(text) for value, text in pairs)


def told_apart(texts: Sequence[str], dtype: str) -> bool:
    """Whether decimal texts show which values of a dtype they were.

    A text with as many significant digits as tell any two values apart does. A shorter one does only beside such a
    one, where the places behind the point vary: then the writer leaves out nothing but what is not needed.
    """
    enough = FORMS[dtype].digits
    # With an exponent of its own, a zero is nothing but zero.
    figures = [each for each in texts if not (_special(each) or "x" in each or re.fullmatch("[-+.0]+[eE].*", each))]
    counts = [significant(text) for text in figures]
    if all(count >= enough for count in counts):
        return True
    places = set(map(last_place, figures))
    return max(counts) >= enough and len(places) > 1 and not _padded(figures)


def significant(text: str) -> int:
    """Return how many significant digits a decimal text shows; a zero shows one."""
    mantissa = text.lower().partition("e")[0]
    return len(mantissa.lstrip("+-0.").replace(".", "")) or 1


def last_place(text: str) -> int:
    """Return the exponent of ten of the last digit that a decimal text shows."""
    mantissa, _, exponent = text.lower().partition("e")
    return int(exponent or 0) - len(mantissa.partition(".")[2])


@lru_cache(maxsize=_CACHED)
def half_units(series: Series) -> Values:
    """Return half a unit of the last printed place of each number, 0 where it is exact."""
    if series.texts is None:
        return np.zeros(series.steps)
    return np.array([0.0 if _special(each) or "x" in each else _half(each) for each in series.texts])


def _half(text: str) -> float:
    return float(f"5e{last_place(text) - 1}")


def _padded(figures: Iterable[str]) -> bool:
    """Whether a text ends in a zero that a writer of the shortest text would leave out, `0.50` but not `1.0`."""
    return any(re.search(r"\.[0-9]+0(?:[eE]|$)", each) for each in figures)


def _special(text: str) -> bool:
    return text.lstrip("-") in ("nan", "inf")


def _finite(texts: Iterable[str]) -> Values:
    return arrays.values(float.fromhex(each) if "x" in each else float(each) for each in texts)


def _digest(values: Values) -> str:
    return hashlib.sha256(np.where(np.isnan(values), np.nan, values).tobytes()).hexdigest()


def _nearest(series: Series, dtype: str) -> Values:
    """Return the value of a dtype nearest to each text, rounded once."""
    if series.values is None or series.texts is None or dtype == "float64":
        return arrays.values(()) if series.values is None else series.values
    # float64 is the first rounding: a second one is right unless it meets a tie that the first one made.
    found = arrays.rounded(series.values, dtype)
    for place in np.flatnonzero(_ties(series.values, dtype)):
        text = series.texts[place]
        if "x" not in text and not _special(text):
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
