"""A training job in two environments -> what changed in it: where first, how far, against which noise. Pure."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from repromatrix.compare import arrays
from repromatrix.compare.allowance import Allowances, Floor
from repromatrix.compare.difference import Difference, Verdict, compare
from repromatrix.compare.trace import Divergence
from repromatrix.explain.impact.rows import NOT_DETERMINISTIC, Level, TrainingRow
from repromatrix.floats import FORMS
from repromatrix.results.record import Outcome, Record
from repromatrix.results.value import Role, Trajectory, first_values

_FAILURES = (Outcome.FAILED, Outcome.TIMED_OUT)
_LEVELS = {Verdict.IDENTICAL: Level.SAME, Verdict.ROUNDING: Level.ROUNDING}


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A training job in both environments."""

    a: Record
    b: Record

    @property
    def variant(self) -> str:
        """Return the variant with its settings, as the cell id has it."""
        return self.a.cell.id.split("/", 2)[2]

    @property
    def ran(self) -> bool:
        """Whether both sides gave numbers."""
        return self.a.trajectory is not None and self.b.trajectory is not None

    @property
    def same(self) -> bool:
        """Whether all that was recorded has the same bits on both sides, in every repeat."""
        return self.ran and self.a.trajectories == self.b.trajectories and len(self.a.trajectories) == 1

    @property
    def first(self) -> tuple[str, int] | None:
        """The first recorded value that differs, by its name and step."""
        if self.a.trajectory is None or self.b.trajectory is None:
            return None
        return next(first_values(self.a.trajectory, self.b.trajectory), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """Over what the last loss of a job is spread, of several seeds.

    Attributes:
        seeds: how many there are.
        size: the largest minus the smallest.
    """

    seeds: int
    size: float


def spread(records: Iterable[Record]) -> Spread | None:
    """Return over what the last losses of one job with several seeds are spread; None where they tell nothing."""
    ran = [each.trajectory for each in records if each.trajectory is not None]
    last = [float.fromhex(each.losses[-1]) for each in ran]
    finite = [each for each in last if math.isfinite(each)]
    size = max(finite) - min(finite) if finite else 0.0
    return Spread(seeds=len(finite), size=size) if size else None


def row(job: Job, allowed: Allowances, parting: Divergence | None = None, seeds: Spread | None = None) -> TrainingRow:
    """Return what changed in a job.

    Args:
        job: its two records.
        allowed: the noise floors that were measured, and the tolerances.
        parting: where the traces of both part, where they were traced.
        seeds: over what the last loss is spread by other seeds, where that was measured.
    """
    known = TrainingRow(
        a=job.a.cell.id,
        b=job.b.cell.id,
        workload=job.a.cell.workload,
        variant=job.variant,
        verdict="identical",
        level=Level.SAME,
    )
    if not job.ran:
        return _without_numbers(known, job)
    unstable = [each.cell.id for each in (job.a, job.b) if each.deterministic is False]
    if unstable:
        notes = tuple(
            f"{name} is not deterministic: its repeats differ, so nothing is known of the pair" for name in unstable
        )
        return replace(known, verdict=NOT_DETERMINISTIC, level=Level.DIFFERS, notes=notes)
    if job.same:
        return replace(known, max_ulp=0)
    changed = _changed(known, job, allowed, parting)
    share = _share(job, seeds) if changed.level > Level.ROUNDING else ()  # beside the noise floor it says nothing more
    return replace(changed, notes=(*changed.notes, *share))


def _share(job: Job, seeds: Spread | None) -> Iterator[str]:
    """Yield how large the difference of the last loss is beside what another seed would make of it."""
    if seeds is None or job.a.trajectory is None or job.b.trajectory is None:
        return
    a, b = (float.fromhex(each.losses[-1]) for each in (job.a.trajectory, job.b.trajectory))
    if math.isfinite(a) and math.isfinite(b):
        share, seeded = abs(a - b) / seeds.size, f"its spread over {seeds.seeds} other seeds"
        yield f"the last loss moves by {share:.1g} of {seeded}" if share else "the last loss is the same"


def _without_numbers(known: TrainingRow, job: Job) -> TrainingRow:
    reasons = tuple(
        f"{each.cell.id}: {each.outcome.value} ({_line(each.reason)})"
        for each in (job.a, job.b)
        if each.reason is not None
    )
    if any(each.outcome in _FAILURES for each in (job.a, job.b)):
        return replace(known, verdict="fails", level=Level.WRONG, notes=reasons)
    if job.a.trajectory is None and job.b.trajectory is None:
        return replace(known, verdict="absent", notes=reasons)
    return replace(known, verdict="missing", level=Level.DIFFERS, notes=reasons)


def _changed(known: TrainingRow, job: Job, allowed: Allowances, parting: Divergence | None) -> TrainingRow:
    found = compare(job.a, job.b, allowed)
    step, name = _first(job, parting)
    measure = found.measure
    level, verdict = _LEVELS.get(found.verdict, Level.DIFFERS), found.verdict.value
    if found.verdict is Verdict.IDENTICAL:
        verdict, level = _beside_the_metrics(job)
    if _broke(job):
        level = Level.WRONG
    return replace(
        known,
        verdict=verdict,
        level=level,
        first_step=step,
        first_value=name,
        max_ulp=measure.max_ulp if measure else None,
        growth=_growth(job, allowed),
        notes=tuple(_notes(job, found, step)),
    )


def _first(job: Job, parting: Divergence | None) -> tuple[int | None, str | None]:
    """Return the first step and value that differ: of the traces where they tell of the cells, else of the records."""
    if parting is not None and parting.point is not None:
        place = "".join(f"[{each}]" for each in parting.point.index)
        return parting.point.step, f"{parting.point.tensor}{place}"
    name, step = job.first or (None, None)
    return step, name


def _beside_the_metrics(job: Job) -> tuple[str, Level]:
    """Return the verdict of a job whose metrics are the same, by how far what else was recorded is apart."""
    roles = {role for role, _ in _apart(job)}
    verdict = "state differs" if Role.STATE in roles else "outputs differ"
    close = all(scaled is not None and scaled <= _rounding(job.a.cell.dtype) for _, scaled in _apart(job))
    return verdict, Level.ROUNDING if close else Level.DIFFERS


def _rounding(dtype: str) -> float:
    """Return the scaled difference up to which two results of a long computation differ by rounding alone."""
    return float(2.0 ** (-FORMS[dtype].precision / 2)) if dtype in FORMS else 0.0


def _apart(job: Job) -> Iterator[tuple[Role, float | None]]:
    """Yield the role of every value that differs, and its scaled difference; None: only digests are known."""
    a, b = (each.trajectory or Trajectory(columns=()) for each in (job.a, job.b))
    for column in a.columns:
        other = b.column(column.name)
        if other == column:
            continue
        told = other is not None and column.inline and other.inline and column.dtype in FORMS and other.dtype in FORMS
        if not told or other is None or len(column.texts) != len(other.texts):
            yield column.role, None
        else:
            yield (
                column.role,
                arrays.measure(arrays.decode(column.texts), arrays.decode(other.texts), column.dtype).scaled,
            )


def _broke(job: Job) -> bool:
    """Whether a metric is finite before and no number after."""
    a, b = (each.trajectory or Trajectory(columns=()) for each in (job.a, job.b))
    pairs = [(one.texts, other.texts) for one, other in zip(a.metrics, b.metrics, strict=False)]
    return any(
        math.isfinite(float.fromhex(before)) and not math.isfinite(float.fromhex(after))
        for left, right in pairs
        for before, after in zip(left, right, strict=False)
    )


def _growth(job: Job, allowed: Allowances) -> float | None:
    """Return the largest difference of the losses as a multiple of the noise floor at its step."""
    if job.a.trajectory is None or job.b.trajectory is None:
        return None
    a, b = arrays.decode(job.a.trajectory.losses), arrays.decode(job.b.trajectory.losses)
    floor = allowed.of(job.a.cell.workload, job.a.cell.dtype, len(a))
    if not isinstance(floor, Floor) or len(a) != len(b) or job.a.cell.dtype != job.b.cell.dtype:
        return None
    times = max((apart / bound for apart, bound in zip(arrays.distances(a, b), floor.bound, strict=False)), default=0.0)
    return float(times) if math.isfinite(times) else None


def _notes(job: Job, found: Difference, step: int | None) -> Iterator[str]:
    if found.reason:
        yield found.reason
    yield from _beginning(job, found, step)
    if found.verdict is Verdict.IDENTICAL:
        yield "all metrics have the same bits"
    elif found.same_state is True:
        yield "the state after the last step is the same all the same"
    yield from found.caveats


def _beginning(job: Job, found: Difference, step: int | None) -> Iterator[str]:
    """Yield how it begins: at step 1 by more than rounding, or later, or as rounding."""
    measure = found.measure
    if found.verdict is Verdict.DIVERGENT and measure is not None and measure.first_difference == 1:
        yield "by more than rounding from step 1 on: look at data, initial values and defaults first"
    elif step == 1:
        yield "from step 1 on, as rounding: something is computed in another way from the start"
    elif step is not None and step <= job.a.cell.steps:
        yield f"the same bits up to step {step - 1}"


def _line(text: str | None) -> str:
    return (text or "").splitlines()[0][:160] if text else ""
