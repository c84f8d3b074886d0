"""Records -> what separates a cell from the same cell in the next version, by another way."""

from collections.abc import Iterable, Sequence
from itertools import pairwise

from packaging.version import InvalidVersion, Version

from repromatrix.report.verify.due import Due, due
from repromatrix.report.verify.measure import VERDICTS, Apart, Judges, apart, coarser, judged
from repromatrix.results.record import Record
from repromatrix.results.value import Trajectory


def newest_last(version: str) -> tuple[bool, Version, str]:
    """Return a key that sorts versions by PEP 440; what is none comes before them, as text."""
    try:
        return True, Version(version), version
    except InvalidVersion:
        return False, Version("0"), version


def ways(records: Iterable[Record]) -> dict[tuple[str, ...], list[Record]]:
    """Return the records by everything in a cell but its version, in order."""
    found: dict[tuple[str, ...], list[Record]] = {}
    for record in records:
        cell = record.cell
        way = (cell.workload, cell.framework, cell.flavour, cell.python, cell.variant, cell.device, cell.settings)
        found.setdefault(way, []).append(record)
    return found


def changes(records: Sequence[Record], judges: Judges) -> Iterable[Due]:
    """Return what separates each cell from the same cell in the next newer version."""
    for found in ways(records).values():
        members = sorted(found, key=lambda each: newest_last(each.cell.version))
        for older, newer in pairwise(members):
            yield change(older, newer, judges)


def change(a: Record, b: Record, judges: Judges) -> Due:
    """Return what separates a record from a later one, by the losses of the first repeats."""
    dtype = coarser(a.cell.dtype, b.cell.dtype)
    found, state = None, None
    if a.trajectories and b.trajectories:
        left, right = a.trajectories[0], b.trajectories[0]
        state = left.state == right.state
        found, (verdict, reason, by) = _worst(left, right, a.cell.workload, dtype, judges)
        if a.cell.task != b.cell.task:
            edited = f"the workload {a.cell.workload} was edited between the two"
            found, verdict, by = None, "incomparable", None
            reason = f"{edited}: its inputs, numbers or metrics are others"
    else:
        absent = [f"{r.cell.id}: {_how(r)}" for r in (a, b) if not r.trajectories]
        verdict, reason, by = "missing", "; ".join(absent), None
    classes = [each.provenance.cpu_class for each in (a, b) if each.provenance]
    return due(
        "version_change",
        f"change/{a.cell.id}/{b.cell.version}",
        (a.cell.id, b.cell.id),
        older=a.cell.version,
        newer=b.cell.version,
        verdict=verdict,
        reason=reason,
        judged_by=by,
        ulp_dtype=dtype if found else None,
        steps=found.steps if found else 0,
        first_difference=found.first if found else None,
        max_abs=None if found is None or found.max_abs is None else found.max_abs.hex(),
        max_ulp=found.max_ulp if found else None,
        same_state=state,
        same_cpu_class=classes[0] == classes[1] if len(classes) == 2 else None,  # noqa: PLR2004 - a pair
    )


def _worst(
    left: Trajectory, right: Trajectory, workload: str, dtype: str, judges: Judges
) -> tuple[Apart, tuple[str, str | None, str | None]]:
    """Return how the metric that differs the most differs; of equals the first, which is the loss."""
    told: tuple[Apart, tuple[str, str | None, str | None]] | None = None
    for number, (a, b) in enumerate(zip(left.metrics, right.metrics, strict=False)):
        found = apart(a.texts, b.texts, dtype)
        judge = judges.of(workload, dtype, found.steps) if number == 0 else judges.tolerance(dtype)
        verdict, reason, by = _judged(a.texts, b.texts, found, judge, dtype)
        if number:
            reason = f"in {a.name}" if reason is None else f"in {a.name}, {reason}"
        if told is None or VERDICTS.index(verdict) > VERDICTS.index(told[1][0]):
            told = found, (verdict, reason, by)
    assert told is not None  # noqa: S101 - a trajectory has a metric
    return told


def _judged(
    a: Sequence[str],
    b: Sequence[str],
    found: Apart,
    judge: tuple[str, list[float] | tuple[float, float]] | None,
    dtype: str,
) -> tuple[str, str | None, str | None]:
    if len(a) != len(b) or not found.steps:
        return "incomparable", _lengths(len(a), len(b), found), None
    verdict, reason, by = judged(a, b, found, judge)
    return verdict, f"no noise floor and no tolerance for {dtype}" if verdict == "incomparable" else reason, by


def _lengths(a: int, b: int, found: Apart) -> str:
    said = f"{a} step{'s' if a != 1 else ''} against {b}"
    parted = "no difference" if found.first is None else f"they part at step {found.first}"
    return f"{said}; first {found.steps} step{'s' if found.steps != 1 else ''}: {parted}" if found.steps else said


def _how(record: Record) -> str:
    return f"{record.outcome.value} ({record.reason})" if record.reason else record.outcome.value
