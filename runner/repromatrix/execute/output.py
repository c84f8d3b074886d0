"""What a command printed or wrote -> the trajectory of its cell: its numbers in columns, one place for each.

The readers are those of `results/logs`, as for the logs that a person compares. A place is a number of the first
metric; what the command itself counts there (`step 10`, `step 20`) is kept beside it, as the output `at/step`.
"""

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import accumulate

from repromatrix.errors import UsageError
from repromatrix.execute import patterns
from repromatrix.floats import FORMS
from repromatrix.matrix import Workload
from repromatrix.matrix.model import Command
from repromatrix.results import value as values
from repromatrix.results.logs import columns, figures, words
from repromatrix.results.logs import read as logs
from repromatrix.results.logs.columns import Asked, Column, Log, Raw, Sheet
from repromatrix.results.value import Role, Trajectory

_UNFIT = re.compile(r"[^A-Za-z0-9_./-]")
_LONGEST = 100  # of a name
_MARK = 8  # characters of the digest that tells names apart
_WIDEST = 2.0**53


class UnreadableError(Exception):
    """There is no number where one is due."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """What was read.

    Attributes:
        steps: how many numbers each metric has.
        said: what was read as what, and what was left out, in words.
    """

    trajectory: Trajectory
    steps: int
    said: str


def read(data: bytes, command: Command, workload: Workload) -> Read:
    """Return the trajectory that an output shows.

    Raises:
        UnreadableError: it shows none, a metric is not there or not finite, or there are fewer numbers than are due.
    """
    where = command.source
    if not data.strip():
        raise UnreadableError(f"nothing on {where}" if where in ("stdout", "stderr") else f"{where} is empty")
    asked = Asked(columns=workload.metrics)
    try:
        log = _matches(data, command.pattern, where, asked) if command.pattern else _log(data, where, asked)
    except UsageError as error:
        raise UnreadableError(f"{error.where}: {error.what}" if error.where else error.what) from error
    metrics = _metrics(log, workload.metrics)
    count = len(metrics[0].values)
    if workload.steps and count != workload.steps:
        raise UnreadableError(f"{count} numbers of {metrics[0].name}, and workload.yaml says {workload.steps} steps")
    for each in metrics:
        _require_finite(each)
    return _trajectory(log, metrics, where)


def with_tail(reason: str, tail: Iterable[str]) -> str:
    """Return why a command failed, with its last lines."""
    said = " | ".join(str(line) for line in tail)
    return f"{reason}; its last lines: {said}" if said else reason


def _log(data: bytes, where: str, asked: Asked) -> Log:
    """Read what names its metrics, if it does; else whatever there is, so that a message has the candidates."""
    try:
        return logs.parse(data, where, asked)
    except UsageError:
        if not asked.columns:
            raise
        return logs.parse(data, where)


def _matches(data: bytes, pattern: str, where: str, asked: Asked) -> Log:
    """Read the named groups of a pattern, match by match."""
    text = data.decode("utf-8", "replace")
    starts = [0, *(place + len(line) for place, line in _placed(text))]
    try:
        found = patterns.matches(pattern, text)
    except patterns.EndlessError as error:
        raise UnreadableError(f"the pattern of workload.yaml {error} on {where}") from error
    if not found:
        raise UnreadableError(f"nothing on {where} matches the pattern of workload.yaml")
    raws = []
    for name in re.compile(pattern).groupindex:
        rows = [row for row, match in enumerate(found) if name in match]
        raws.append(Raw(name=name, texts=[found[row][name][0].strip() for row in rows], rows=rows))
    sheet = Sheet(
        raws=raws,
        count=len(found),
        line=lambda row, name: bisect_right(starts, found[row][name][1]),
        placed=False,
    )
    return columns.log(f"{len(found):,} matches of the pattern", [sheet], where, asked)


def _placed(text: str) -> Iterable[tuple[int, str]]:
    lines = text.splitlines(keepends=True)
    return zip(accumulate(map(len, lines), initial=0), lines, strict=False)


def _metrics(log: Log, wanted: Sequence[str]) -> list[Column]:
    """Return what the cell is judged by: the columns that are named, else every loss at the steps of the first."""
    if wanted:
        found = [_find(name, log) for name in wanted]
        other = next((each for each in found if not _alike(each, found[0])), None)
        if other is not None:
            raise UnreadableError(f"{other.name} and {found[0].name} are not at the same steps: one workload reads one")
        return found
    computed = [each for each in log.columns if not words.measured(each.name)]
    losses = [each for each in computed if words.loss(each.name)]
    if not computed:
        raise UnreadableError(f"only times and the like: {columns.names(each.name for each in log.columns)}")
    if not losses:
        return [each for each in computed if _alike(each, computed[0])]
    first = min(losses, key=lambda each: (_split(each.name), *words.preference(each.name), -len(each.values)))
    return [first, *(each for each in losses if each is not first and _alike(each, first))]


def _split(name: str) -> bool:
    """Whether a loss is of something else than training."""
    return (words.split(name) or words.TRAIN) != words.TRAIN


def _find(name: str, log: Log) -> Column:
    for key in (str, words.leaf, words.canonical):
        same = [each for each in log.columns if key(each.name) == (name if key is not words.canonical else key(name))]
        if len(same) == 1:
            return same[0]
    there = columns.names(each.name for each in log.columns)
    raise UnreadableError(f"no metric {name!r} in what was read as {log.form}; there are: {there}")


def _alike(a: Column, b: Column) -> bool:
    """Whether two columns stand at the same steps."""
    if len(a.values) != len(b.values) or (a.steps is None) != (b.steps is None):
        return False
    return a.steps is None or b.steps is None or a.steps.tolist() == b.steps.tolist()


def _require_finite(column: Column) -> None:
    for place, value in enumerate(column.values.tolist()):
        if value != value or value in (float("inf"), float("-inf")):  # noqa: PLR0124 - NaN
            at = "" if column.steps is None else f" at {_said(column, place)}"
            raise UnreadableError(f"{column.name} is {value!r}{at or f' in place {place + 1}'}")


def _said(column: Column, place: int) -> str:
    row = column.steps[place].tolist() if column.steps is not None else []
    return ", ".join(f"{name} {value:.15g}" for name, value in zip(column.axis, row, strict=True))


def _trajectory(log: Log, metrics: Sequence[Column], where: str) -> Read:
    first = metrics[0]
    others = [each for each in log.columns if each not in metrics and not words.measured(each.name)]
    beside = [each for each in others if _alike(each, first)]
    axes = first.axis if first.steps is not None else ()
    fit = _told_apart(
        [
            *((each.name, _fitting(each.name)) for each in metrics),
            *((each, values.COUNTED + _fitting(each)) for each in axes),
            *((each.name, _fitting(each.name)) for each in beside),
        ]
    )
    kept = [_column(each, next(fit), Role.METRIC) for each in metrics]
    kept += [_counted(first, place, next(fit)) for place in range(len(axes))]
    kept += [_column(each, next(fit), Role.OUTPUT) for each in beside]
    measured = columns.names(each.name for each in log.columns if words.measured(each.name))
    elsewhere = columns.names(each.name for each in others if each not in beside)
    left_out = [
        *([f"{measured} (measured, not computed)"] if measured else []),
        *([f"{elsewhere} (at other steps)"] if elsewhere else []),
        *log.left_out,
    ]
    names = columns.names(each.name for each in metrics)
    said = f"{where} read as {log.form}: {names} by {' and '.join(first.axis) or 'their places'}"
    said += f"; beside it {columns.names(each.name for each in beside)}" if beside else ""
    said += f"; left out: {'; '.join(left_out)}" if left_out else ""
    return Read(trajectory=Trajectory(columns=tuple(kept)), steps=len(first.values), said=said)


def _told_apart(names: Iterable[tuple[str, str]]) -> Iterator[str]:
    """Yield a name of its own for each: what a command calls otherwise is another number.

    Args:
        names: as the command has it, and as records may.
    """
    taken = set()
    for said, fit in names:
        name = fit if fit not in taken else _marked(fit, said)
        taken.add(name)
        yield name


def _fitting(name: str) -> str:
    """Return a name as records have it; where more than a blank is lost, a mark tells it from others."""
    fit = _UNFIT.sub("_", name)[:_LONGEST]
    return fit if fit == name.replace(" ", "_") else _marked(fit, name)


def _marked(fit: str, name: str) -> str:
    return f"{fit}-{sha256(name.encode()).hexdigest()[:_MARK]}"


def _column(column: Column, name: str, role: Role) -> values.Column:
    """Return printed numbers as exact ones, in the dtype that the file states or the digits show."""
    shown = figures.told(column.values, column.texts) if column.texts is not None else None
    dtype = column.dtype if column.dtype in FORMS else shown or "float64"
    return values.Column(
        name=name,
        role=role,
        dtype=dtype,
        texts=tuple("nan" if each != each else each.hex() for each in column.values.tolist()),  # noqa: PLR0124 - NaN
    )


def _counted(column: Column, axis: int, name: str) -> values.Column:
    """Return what a command counts at each place, as an output."""
    numbers = [row[axis] for row in column.steps.tolist()] if column.steps is not None else []
    whole = all(each.is_integer() and abs(each) < _WIDEST for each in numbers)
    return values.Column(
        name=name,
        role=Role.OUTPUT,
        dtype="int64" if whole else "float64",
        texts=tuple(str(int(each)) if whole else each.hex() for each in numbers),
    )
