"""What in a run should not become what is expected: other inputs, numbers that are not finite, repeats that differ."""

from collections.abc import Sequence

from repromatrix.floats import FORMS
from repromatrix.results.record import Record
from repromatrix.results.value import Role

_NOT_FINITE = frozenset(("nan", "inf", "-inf"))


def unequal_inputs(records: Sequence[Record]) -> str | None:
    """Return which two cells of one workload had other inputs, in words; None: none."""
    first: dict[str, Record] = {}
    for each in records:
        known = first.setdefault(each.cell.workload, each)
        if known.cell.task != each.cell.task:
            return (
                f"records of unequal inputs: the workload {each.cell.workload} was edited between {known.cell.id} and "
                f"{each.cell.id}"
            )
    return None


def not_finite(records: Sequence[Record]) -> list[str]:
    """Return which metrics, or values that the last step leaves, are not finite, one for each cell."""
    found = []
    for each in records:
        for column in each.trajectory.columns if each.trajectory else ():
            judged = column.role in {Role.METRIC, Role.STATE} and column.dtype in FORMS and column.inline
            wrong = next((at for at, text in enumerate(column.texts) if text in _NOT_FINITE), None) if judged else None
            if wrong is not None:
                step = column.at[wrong // max(column.size, 1)]
                found.append(f"{each.cell.id}: {column.name} is {column.texts[wrong]} at step {step}")
                break
    return found


def repeats_differ(records: Sequence[Record]) -> list[str]:
    """Return which cells are not deterministic."""
    return [
        f"{each.cell.id}: its {each.repeats} repeats gave {len(each.trajectories)} different results"
        for each in records
        if each.deterministic is False
    ]
