"""What the repeats of a cell gave -> its record. Pure."""

from collections.abc import Sequence
from hashlib import sha256
from typing import Any

from repromatrix.execute.lines import Finished
from repromatrix.plan import Cell
from repromatrix.results.record import Description, Outcome, Provenance, Record
from repromatrix.results.value import Trajectory


def describe(cell: Cell, trajectory: Trajectory | None = None) -> Description:
    """Return the cell in the words of a record; `trajectory` tells how many steps a command has."""
    return Description(
        id=cell.id,
        workload=cell.workload.name,
        framework=cell.environment.framework,
        version=cell.environment.version,
        flavour=cell.environment.flavour,
        python=cell.environment.python,
        environment=cell.environment.name,
        variant=cell.variant.name,
        dtype=cell.variant.dtype,
        options=cell.variant.options,
        device=cell.device,
        settings=cell.settings.name,
        steps=cell.steps or (len(trajectory.losses) if trajectory else 0),
        task=cell.workload.task,
        code=cell.workload.code(cell.environment.framework),
    )


def assemble(
    cell: Cell,
    *,
    key: str,
    finished: Sequence[Finished],
    logs: Sequence[str],
    fingerprint: dict[str, Any],
    provenance: Provenance,
) -> Record:
    """Return the record of a cell whose repeats have all ended; the first that went wrong decides the outcome.

    Args:
        cell: what ran.
        key: its key.
        finished: what each repeat gave, in order.
        logs: the repeats' logs, in the same order.
        fingerprint: the environment as seen from inside.
        provenance: where it ran.
    """
    ended = [_of_one_length(each, finished[0]) for each in finished]
    wrong = next(((each, log) for each, log in zip(ended, logs, strict=True) if each.outcome is not Outcome.OK), None)
    trajectories: tuple[Trajectory, ...] = ()
    if wrong is None:
        trajectories = tuple(dict.fromkeys(each.trajectory for each in finished if each.trajectory is not None))
    return Record(
        cell=describe(cell, trajectories[0] if trajectories else None),
        key=key,
        outcome=wrong[0].outcome if wrong else Outcome.OK,
        reason=wrong[0].reason if wrong else None,
        log=wrong[1] if wrong and wrong[0].outcome is not Outcome.UNAVAILABLE else None,
        repeats=len(finished),
        trajectories=trajectories,
        fingerprint=fingerprint,
        provenance=provenance,
        factors=() if wrong else finished[0].options,
    )


def _of_one_length(found: Finished, first: Finished) -> Finished:
    """Return what a repeat gave; a failure where a command printed another number of values than the first time."""
    own, before = found.trajectory, first.trajectory
    if own is None or before is None or len(own.losses) == len(before.losses):
        return found
    reason = f"it gave {len(before.losses)} numbers the first time and {len(own.losses)} in another repeat"
    return Finished(id=found.id, outcome=Outcome.FAILED, reason=reason)


def unrun(cell: Cell, outcome: Outcome, reason: str) -> Record:
    """Return the record of a cell that no process ran."""
    return Record(
        cell=describe(cell),
        key=sha256(f"{cell.id}\0{outcome}\0{reason}".encode()).hexdigest(),
        outcome=outcome,
        reason=reason,
        log=None,
        repeats=0,
        trajectories=(),
        fingerprint={},
        provenance=None,
    )
