"""Records -> what changes from one version of a framework to the next, all else in the cell equal."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from runner.compare.difference import Difference, Tolerance, compare
from runner.compare.setups import version_key
from runner.results.record import Record


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionPair:
    """Two neighbouring versions of those that were run; nothing is said about versions in between."""

    workload: str
    framework: str
    flavour: str
    variant: str
    device: str
    settings: str
    older: str
    newer: str
    difference: Difference


def between_versions(records: Sequence[Record], allowed: Mapping[str, Tolerance]) -> tuple[VersionPair, ...]:
    """Compare each cell with the same cell in the next newer version that was run, lines in the records' order."""
    lines: dict[tuple[str, ...], list[Record]] = {}
    for record in records:
        cell = record.cell
        line = (cell.workload, cell.framework, cell.flavour, cell.python, cell.variant, cell.device, cell.settings)
        lines.setdefault(line, []).append(record)
    found = []
    for members in lines.values():
        ordered = sorted(members, key=lambda each: version_key(each.cell.version))
        found += [_pair(a, b, allowed) for a, b in pairwise(ordered)]
    return tuple(found)


def _pair(older: Record, newer: Record, allowed: Mapping[str, Tolerance]) -> VersionPair:
    cell = older.cell
    return VersionPair(
        workload=cell.workload,
        framework=cell.framework,
        flavour=cell.flavour,
        variant=cell.variant,
        device=cell.device,
        settings=cell.settings,
        older=cell.version,
        newer=newer.cell.version,
        difference=compare(older, newer, allowed),
    )
