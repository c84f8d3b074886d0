"""Lines along the versions of a framework -> one table of letters for each framework."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from repromatrix.compare.versions import Line, Stop, version_key
from repromatrix.report import wording


@dataclass(frozen=True, slots=True, kw_only=True)
class LineRow:
    """One way to write the job along the versions of its table; `differs`: the line has more than one trajectory."""

    name: str
    stops: tuple[Stop, ...]
    differs: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class LineTable:
    """All lines of a framework, one column for each version.

    Attributes:
        changed: lines with more than one trajectory, `compared`: lines with losses of two versions or more.
        ran: versions with losses in any line.
    """

    title: str
    versions: tuple[str, ...]
    rows: tuple[LineRow, ...]
    changed: int
    compared: int
    ran: int


def tables(found: Iterable[Line]) -> tuple[LineTable, ...]:
    """Return one table for each framework, flavour and Python; lines that change first, else in order."""
    groups: dict[str, list[Line]] = {}
    for each in found:
        groups.setdefault(f"{wording.framework(each.framework, each.flavour)}, Python {each.python}", []).append(each)
    return tuple(_lines(title, members) for title, members in groups.items())


def _lines(title: str, members: Sequence[Line]) -> LineTable:
    versions = sorted({stop.version for each in members for stop in each.stops}, key=version_key)
    workloads = len({each.workload for each in members})
    rows = [_line(each, versions, f"{each.workload}/" if workloads > 1 else "") for each in members]
    rows.sort(key=lambda each: not each.differs)
    labelled = [[stop.version for stop in each.stops if stop.label] for each in rows]
    return LineTable(
        title=title,
        versions=tuple(versions),
        rows=tuple(rows),
        changed=sum(each.differs for each in rows),
        compared=sum(len(each) > 1 for each in labelled),
        ran=len({version for each in labelled for version in each}),
    )


def _line(line: Line, versions: Sequence[str], prefix: str) -> LineRow:
    stops = {each.version: each for each in line.stops}
    return LineRow(
        name=f"{prefix}{wording.place(line.variant, line.device, line.settings)}",
        stops=tuple(stops.get(each, Stop(version=each, label=None, cell=None, reason="not run")) for each in versions),
        differs=line.labels > 1,
    )
