"""Series -> classes of equal ones, each with a short rule that describes its cells."""

from collections.abc import Sequence
from dataclasses import dataclass

from repromatrix.compare.rules import Rule, Rules
from repromatrix.compare.series import Series
from repromatrix.results.record import Outcome, Record


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """A class: series with the same losses, dtype and workload.

    Attributes:
        name: `C1`, `C2`, ... the largest first.
        rule: what describes its cells among the cells of the workload that are compared; None: they are no cells, or
            one cell is compared from several sources.
    """

    name: str
    workload: str | None
    dtype: str | None
    steps: int
    members: tuple[str, ...]
    rule: Rule | None


def classes_of(series: Sequence[Series]) -> tuple[tuple[int, ...], ...]:
    """Return the places of equal series, the largest class first; each absent or unsteady one is a class of its own."""
    found: dict[tuple[object, ...], list[int]] = {}
    for place, each in enumerate(series):
        alone = place if each.absent or each.deterministic is False else None
        steps = None if each.logged is None else each.logged.tobytes()
        key = (each.workload, each.dtype, each.joined is None, each.digest, steps, each.group, alone)
        found.setdefault(key, []).append(place)
    return tuple(tuple(each) for each in sorted(found.values(), key=lambda each: -len(each)))


def describe(series: Sequence[Series], classes: Sequence[Sequence[int]]) -> tuple[Group, ...]:
    """Describe the classes that have a trajectory, in their order."""
    ids = [each.cell_id for each in series if each.cell_id]
    rules: dict[str | None, Rules] = {}
    if len(set(ids)) == len(ids):
        for workload in dict.fromkeys(each.workload for each in series if each.cell):
            cells = [each for each in series if each.cell and each.workload == workload and not each.absent]
            rules[workload] = Rules([_record(each) for each in cells])
    found: list[Group] = []
    for places in classes:
        first = series[places[0]]
        if first.absent:
            continue
        members = tuple(series[each].name for each in places)
        of = rules.get(first.workload) if first.cell else None
        found.append(
            Group(
                name=f"C{len(found) + 1}",
                workload=first.workload,
                dtype=first.dtype,
                steps=first.steps,
                members=members,
                rule=of.rule(members) if of else None,
            )
        )
    return tuple(found)


def _record(series: Series) -> Record:
    """Return what a rule looks at: the cell and what it ran in."""
    if series.cell is None:
        raise ValueError(f"{series.name} is no cell")
    return Record(
        cell=series.cell,
        key="",
        outcome=Outcome.OK,
        reason=None,
        log=None,
        repeats=1,
        trajectories=(),
        fingerprint={},
        provenance=series.provenance,
        factors=series.factors,
    )
