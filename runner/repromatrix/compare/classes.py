"""Records -> classes: cells of one workload whose whole trajectories have the same bits, and what describes them.

A record has one spelling for each value, so equal texts are equal bits. A cell whose repeats differ belongs to no
class; neither does one without a trajectory. Pure.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from repromatrix.compare.rules import Rule, Rules
from repromatrix.results.record import Record
from repromatrix.results.value import Trajectory

State = tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Class:
    """Cells with the same losses, bit for bit.

    Attributes:
        name: `C1`, `C2`, ... within a workload, the largest first.
        dtypes: the dtypes of its cells, sorted.
        cells: ids in the order of the records.
        losses: the losses that they share, as hexadecimal text.
        states: its cells by the bits of their weights after the last update, the largest group first.
        rule: a short description over factors, held against every cell of the workload.
        cpu_classes: the hosts' instruction sets, sorted.
    """

    workload: str
    name: str
    dtypes: tuple[str, ...]
    steps: int
    cells: tuple[str, ...]
    losses: tuple[str, ...]
    states: tuple[tuple[str, ...], ...]
    rule: Rule
    cpu_classes: tuple[str, ...]

    @property
    def same_state(self) -> bool:
        """Whether the weights after the last update have the same bits as well."""
        return len(self.states) == 1


@dataclass(frozen=True, slots=True, kw_only=True)
class SameState:
    """Cells that end with the same weights, bit for bit, though their losses differ.

    Attributes:
        classes: the names of their classes.
    """

    workload: str
    cells: tuple[str, ...]
    classes: tuple[str, ...]


def classes(records: Iterable[Record]) -> tuple[Class, ...]:
    """Group the deterministic cells that ran, by workload in order of appearance, then by size."""
    groups: dict[str, dict[tuple[tuple[str, ...], ...], list[Record]]] = {}
    for record in records:
        if record.trajectory is not None and len(record.trajectories) == 1:
            groups.setdefault(record.cell.workload, {}).setdefault(record.trajectory.judged, []).append(record)
    found = []
    for workload, by_losses in groups.items():
        rules = Rules([each for members in by_losses.values() for each in members])
        ordered = sorted(by_losses.items(), key=lambda item: -len(item[1]))
        for number, (judged, members) in enumerate(ordered, start=1):
            found.append(_class(workload, f"C{number}", judged[0], members, rules))
    return tuple(found)


def same_states(records: Iterable[Record], found: Sequence[Class]) -> tuple[SameState, ...]:
    """Return the groups of cells with the same weights at the end and different losses on the way."""
    names = {cell: (each.workload, each.name) for each in found for cell in each.cells}
    groups: dict[tuple[str, State], list[str]] = {}
    for record in records:
        if record.trajectory is not None and record.cell.id in names:
            groups.setdefault((record.cell.workload, _state(record.trajectory)), []).append(record.cell.id)
    result = []
    for (workload, _), cells in groups.items():
        between = tuple(dict.fromkeys(names[each][1] for each in cells))
        if len(between) > 1:
            result.append(SameState(workload=workload, cells=tuple(cells), classes=between))
    return tuple(result)


def _class(workload: str, name: str, losses: tuple[str, ...], members: list[Record], rules: Rules) -> Class:
    states: dict[State, list[str]] = {}
    for each in members:
        if each.trajectory:
            states.setdefault(_state(each.trajectory), []).append(each.cell.id)
    return Class(
        workload=workload,
        name=name,
        dtypes=tuple(sorted({each.cell.dtype for each in members})),
        steps=len(losses),
        cells=tuple(each.cell.id for each in members),
        losses=losses,
        states=tuple(tuple(each) for each in sorted(states.values(), key=lambda group: -len(group))),
        rule=rules.rule(each.cell.id for each in members),
        cpu_classes=tuple(sorted({each.provenance.cpu_class for each in members if each.provenance})),
    )


def _state(trajectory: Trajectory) -> State:
    return trajectory.state
