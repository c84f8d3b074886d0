"""Records -> classes: cells of one workload whose whole trajectories have the same bits.

A record has one spelling for each value, so equal texts are equal bits. A cell whose repeats differ belongs to no
class; neither does one without a trajectory. Pure.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from runner.results.record import Record, Trajectory


@dataclass(frozen=True, slots=True, kw_only=True)
class Class:
    """Cells with the same losses, bit for bit.

    Attributes:
        name: `C1`, `C2`, ... within a workload, the largest first.
        dtypes: the dtypes of its cells, sorted.
        cells: ids in the order of the records.
        losses: the losses that they share, as hexadecimal text.
        same_state: whether the weights after the last update have the same bits as well.
        cpu_classes: the hosts' instruction sets, sorted.
    """

    workload: str
    name: str
    dtypes: tuple[str, ...]
    steps: int
    cells: tuple[str, ...]
    losses: tuple[str, ...]
    same_state: bool
    cpu_classes: tuple[str, ...]


def classes(records: Iterable[Record]) -> tuple[Class, ...]:
    """Group the deterministic cells that ran, by workload in order of appearance, then by size."""
    groups: dict[str, dict[tuple[str, ...], list[Record]]] = {}
    for record in records:
        if record.trajectory is not None and len(record.trajectories) == 1:
            losses = record.trajectory.losses
            groups.setdefault(record.cell.workload, {}).setdefault(losses, []).append(record)
    found = []
    for workload, by_losses in groups.items():
        ordered = sorted(by_losses.items(), key=lambda item: -len(item[1]))
        for number, (losses, members) in enumerate(ordered, start=1):
            found.append(_class(workload, f"C{number}", losses, members))
    return tuple(found)


def _class(workload: str, name: str, losses: tuple[str, ...], members: list[Record]) -> Class:
    states = {_state(each.trajectory) for each in members if each.trajectory}
    return Class(
        workload=workload,
        name=name,
        dtypes=tuple(sorted({each.cell.dtype for each in members})),
        steps=len(losses),
        cells=tuple(each.cell.id for each in members),
        losses=losses,
        same_state=len(states) == 1,
        cpu_classes=tuple(sorted({each.provenance.cpu_class for each in members if each.provenance})),
    )


def _state(trajectory: Trajectory) -> tuple[tuple[str, ...], ...]:
    return (*trajectory.hidden_weights, *trajectory.output_weights)
