"""Records -> what changes along the versions of a framework, all else in the cell equal."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count, pairwise
from string import ascii_uppercase

from packaging.version import InvalidVersion, Version

from repromatrix.compare.allowance import Allowances
from repromatrix.compare.difference import Difference, compare
from repromatrix.results.record import Record


def version_key(version: str) -> tuple[int, Version, str]:
    """Return a key that sorts versions by PEP 440; what is none sorts before them, as text."""
    try:
        return 1, Version(version), version
    except InvalidVersion:
        return 0, Version("0"), version


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionPair:
    """Two neighbouring versions of those that were run; nothing is said about versions in between."""

    workload: str
    framework: str
    flavour: str
    python: str
    variant: str
    device: str
    settings: str
    older: str
    newer: str
    difference: Difference


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """One version on a line.

    Attributes:
        label: `A`, `B`, ...: equal labels, equal bits at every step; None: no trajectory to label.
        cell: the cell's id; None: the matrix has this version, and this run did not ask for it.
        reason: why there is no label, else None.
    """

    version: str
    label: str | None
    cell: str | None
    reason: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """All versions of a framework that the matrix has, in order, for one way to write the job.

    Attributes:
        gaps: whether a version has no label; then nothing is known of it, nor of releases outside of the matrix.
    """

    workload: str
    framework: str
    flavour: str
    python: str
    variant: str
    device: str
    settings: str
    stops: tuple[Stop, ...]

    @property
    def gaps(self) -> bool:
        """Whether a version of the line has no label."""
        return any(each.label is None for each in self.stops)

    @property
    def labels(self) -> int:
        """How many different trajectories the line has."""
        return len({each.label for each in self.stops if each.label})


def lines(records: Sequence[Record], known: Iterable[tuple[str, str, str, str]] = ()) -> tuple[Line, ...]:
    """Follow each way to write the job along the versions; a difference may come and go (A, B, A).

    Args:
        records: those of the run.
        known: (framework, flavour, Python, version) of every environment of the matrix, run or not.
    """
    versions: dict[tuple[str, str, str], set[str]] = {}
    for framework, flavour, python, version in known:
        versions.setdefault((framework, flavour, python), set()).add(version)
    found = []
    for members in _by_line(records).values():
        cell = members[0].cell
        by_version = {each.cell.version: each for each in members}
        every = {*by_version, *versions.get((cell.framework, cell.flavour, cell.python), ())}
        if len(every) > 1:
            found.append(
                Line(
                    workload=cell.workload,
                    framework=cell.framework,
                    flavour=cell.flavour,
                    python=cell.python,
                    variant=cell.variant,
                    device=cell.device,
                    settings=cell.settings,
                    stops=_stops(sorted(every, key=version_key), by_version),
                )
            )
    return tuple(found)


def _stops(versions: Sequence[str], records: dict[str, Record]) -> tuple[Stop, ...]:
    labels: dict[tuple[tuple[str, ...], ...], str] = {}
    names = _names()
    stops = []
    for version in versions:
        record = records.get(version)
        if record is None:
            stops.append(Stop(version=version, label=None, cell=None, reason="not run"))
        elif record.trajectory is None:
            reason = f"{record.outcome.value}: {record.reason}" if record.reason else record.outcome.value
            stops.append(Stop(version=version, label=None, cell=record.cell.id, reason=reason))
        elif len(record.trajectories) > 1:
            stops.append(Stop(version=version, label=None, cell=record.cell.id, reason="its repeats differ"))
        else:
            losses = record.trajectory.judged
            if losses not in labels:
                labels[losses] = next(names)
            stops.append(Stop(version=version, label=labels[losses], cell=record.cell.id, reason=None))
    return tuple(stops)


def _names() -> Iterator[str]:
    for number in count():
        for letter in ascii_uppercase:
            yield f"{letter}{number or ''}"


def _by_line(records: Iterable[Record]) -> dict[tuple[str, ...], list[Record]]:
    found: dict[tuple[str, ...], list[Record]] = {}
    for record in records:
        cell = record.cell
        line = (cell.workload, cell.framework, cell.flavour, cell.python, cell.variant, cell.device, cell.settings)
        found.setdefault(line, []).append(record)
    return found


def between_versions(records: Sequence[Record], allowed: Allowances) -> tuple[VersionPair, ...]:
    """Compare each cell with the same cell in the next newer version that was run, lines in the records' order."""
    found = []
    for members in _by_line(records).values():
        ordered = sorted(members, key=lambda each: version_key(each.cell.version))
        found += [_pair(a, b, allowed) for a, b in pairwise(ordered)]
    return tuple(found)


def _pair(older: Record, newer: Record, allowed: Allowances) -> VersionPair:
    cell = older.cell
    return VersionPair(
        workload=cell.workload,
        framework=cell.framework,
        flavour=cell.flavour,
        python=cell.python,
        variant=cell.variant,
        device=cell.device,
        settings=cell.settings,
        older=cell.version,
        newer=newer.cell.version,
        difference=compare(older, newer, allowed),
    )
