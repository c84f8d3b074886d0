"""Two records -> a `Difference`: first differing step, distances over all steps, a verdict, what to beware of.

A failed or missing side is a verdict of its own, never a number. Pure.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from enum import StrEnum
from typing import Any

from repromatrix.compare import arrays
from repromatrix.compare.allowance import Allowance, Allowances
from repromatrix.compare.arrays import Measure, Values
from repromatrix.floats import coarser
from repromatrix.results.record import Record
from repromatrix.results.value import Column, Trajectory


class Verdict(StrEnum):
    """What a pair of trajectories is to each other.

    `identical`: the same bits at every step. `rounding`: never further apart than the noise bound or tolerance.
    `amplified`: so at first, and further apart later. `divergent`: further apart from their first difference on, or one
    of them is no finite number. `incomparable`: other workloads, lengths, or nobody to judge. `missing`: a side has no
    trajectory.
    """

    IDENTICAL = "identical"
    ROUNDING = "rounding"
    AMPLIFIED = "amplified"
    DIVERGENT = "divergent"
    INCOMPARABLE = "incomparable"
    MISSING = "missing"


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """What separates two cells.

    Attributes:
        a: a cell's id.
        b: the other's.
        reason: why the verdict is no matter of distance, else None.
        judged_by: whose word tells rounding from more; None where nobody had to judge.
        ulp_dtype: the dtype that ULPs are counted in; None without a measure.
        measure: the distances of the losses; None without one.
        same_state: whether the weights after the last update have the same bits; None where a side has none.
        same_cpu_class: False: the hosts' instruction sets differ too, so the pair does not isolate anything else.
        caveats: what else the numbers depend on, in words.
    """

    a: str
    b: str
    verdict: Verdict
    reason: str | None
    judged_by: str | None
    ulp_dtype: str | None
    measure: Measure | None
    same_state: bool | None
    same_cpu_class: bool | None
    caveats: tuple[str, ...]

    def flat(self) -> dict[str, Any]:
        """Return everything as JSON values without nesting; without a measure its figures are null and `steps` is 0."""
        own = {each.name: getattr(self, each.name) for each in fields(self) if each.name != "measure"}
        measured = {each.name: getattr(self.measure, each.name, None) for each in fields(Measure)}
        return (
            own
            | measured
            | {
                "verdict": self.verdict.value,
                "steps": self.measure.steps if self.measure else 0,
                "caveats": list(self.caveats),
            }
        )


# From the least to the most.
_ORDER = (
    Verdict.IDENTICAL,
    Verdict.ROUNDING,
    Verdict.AMPLIFIED,
    Verdict.DIVERGENT,
    Verdict.INCOMPARABLE,
    Verdict.MISSING,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """A verdict, why where it is no matter of distance, and by whose word."""

    verdict: Verdict
    reason: str | None = None
    judged_by: str | None = None


def compare(a: Record, b: Record, allowed: Allowances) -> Difference:
    """Compare the first repeats of two cells; the noise floor of the coarser dtype counts."""
    if a.trajectory is None or b.trajectory is None:
        reason = "; ".join(f"{r.cell.id}: {_absence(r)}" for r in (a, b) if r.trajectory is None)
        return _difference(a, b, Judgement(verdict=Verdict.MISSING, reason=reason))
    if a.cell.workload != b.cell.workload:
        reason = f"workload {a.cell.workload} against {b.cell.workload}"
        return _difference(a, b, Judgement(verdict=Verdict.INCOMPARABLE, reason=reason))
    if a.cell.task != b.cell.task:
        reason = f"the workload {a.cell.workload} was edited between the two: its inputs, numbers or metrics are others"
        return _difference(a, b, Judgement(verdict=Verdict.INCOMPARABLE, reason=reason))
    dtype = coarser(a.cell.dtype, b.cell.dtype)
    chosen = judged(a.trajectory, b.trajectory, a.cell.workload, dtype, allowed)
    return _difference(a, b, chosen.judgement, chosen.measure, dtype)


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """One metric of two trajectories.

    Attributes:
        metric: its name; None: the loss.
    """

    metric: str | None
    measure: Measure
    judgement: Judgement


def judged(a: Trajectory, b: Trajectory, workload: str, dtype: str, allowed: Allowances) -> Judged:
    """Return the metric in which two trajectories of one task differ the most, ULPs in `dtype`."""
    left, right = arrays.decode(a.losses), arrays.decode(b.losses)
    found = arrays.measure(left, right, dtype)
    judgement = judge(left, right, found, allowed.of(workload, dtype, found.steps), dtype)
    loss = Judged(metric=None, measure=found, judgement=judgement)
    return worst((loss, *metrics(a.metrics[1:], b.metrics[1:], allowed.tolerances.get(dtype), dtype)))


def metrics(a: Sequence[Column], b: Sequence[Column], allowed: Allowance | None, dtype: str) -> Iterator[Judged]:
    """Judge the metrics beside the loss; the noise floor is the loss's, so a tolerance judges these."""
    for left, right in zip(a, b, strict=False):
        one, other = arrays.decode(left.texts), arrays.decode(right.texts)
        measure = arrays.measure(one, other, dtype)
        judgement = judge(one, other, measure, allowed, dtype)
        reason = f"in {left.name}" if judgement.reason is None else f"in {left.name}, {judgement.reason}"
        yield Judged(metric=left.name, measure=measure, judgement=replace(judgement, reason=reason))


def worst(judged: Iterable[Judged]) -> Judged:
    """Return the metric that differs by the most, by its verdict; of equals the first, which is the loss."""
    return max(judged, key=lambda each: _ORDER.index(each.judgement.verdict))


def judge(a: Values, b: Values, found: Measure, allowed: Allowance | None, dtype: str) -> Judgement:
    """Return the verdict over the common steps; trajectories of two lengths are `incomparable`, though measured."""
    if len(a) != len(b) or not found.steps:
        return Judgement(verdict=Verdict.INCOMPARABLE, reason=_lengths(len(a), len(b), found))
    if found.first_difference is None:
        return Judgement(verdict=Verdict.IDENTICAL)
    if found.unmeasured is not None:
        at = found.unmeasured - 1
        return Judgement(verdict=Verdict.DIVERGENT, reason=f"step {at + 1}: {float(a[at])!r} against {float(b[at])!r}")
    if allowed is None:
        return Judgement(verdict=Verdict.INCOMPARABLE, reason=f"no noise floor and no tolerance for {dtype}")
    close = allowed.close(a, b)
    if close.all():
        return Judgement(verdict=Verdict.ROUNDING, judged_by=allowed.source)
    verdict = Verdict.AMPLIFIED if close[found.first_difference - 1] else Verdict.DIVERGENT
    return Judgement(verdict=verdict, judged_by=allowed.source)


def _lengths(a: int, b: int, found: Measure) -> str:
    said = f"{a} step{'' if a == 1 else 's'} against {b}"
    if not found.steps:
        return said
    parted = "no difference" if found.first_difference is None else f"they part at step {found.first_difference}"
    return f"{said}; first {found.steps} step{'' if found.steps == 1 else 's'}: {parted}"


def same_state(a: Trajectory, b: Trajectory) -> bool:
    """Whether what the last step leaves has the same bits; a record has one spelling for each value."""
    return a.state == b.state


def _difference(
    a: Record, b: Record, judgement: Judgement, found: Measure | None = None, dtype: str | None = None
) -> Difference:
    return Difference(
        a=a.cell.id,
        b=b.cell.id,
        verdict=judgement.verdict,
        reason=judgement.reason,
        judged_by=judgement.judged_by,
        ulp_dtype=dtype,
        measure=found,
        same_state=same_state(a.trajectory, b.trajectory) if a.trajectory and b.trajectory else None,
        same_cpu_class=_same_cpu_class(a, b),
        caveats=_caveats(a, b),
    )


def _absence(record: Record) -> str:
    return f"{record.outcome.value} ({record.reason})" if record.reason else record.outcome.value


def _same_cpu_class(a: Record, b: Record) -> bool | None:
    if a.provenance is None or b.provenance is None:
        return None
    return a.provenance.cpu_class == b.provenance.cpu_class


def _caveats(a: Record, b: Record) -> tuple[str, ...]:
    found = []
    if _same_cpu_class(a, b) is False:
        found.append("the CPU classes differ too, so this is not a difference of the versions alone")
    if a.pinned is False or b.pinned is False:
        found.append("not pinned: other packages than the framework may differ as well")
    if a.cell.dtype != b.cell.dtype:
        found.append(f"{a.cell.dtype} against {b.cell.dtype}: ULPs in {coarser(a.cell.dtype, b.cell.dtype)}")
    found += [
        f"{each.cell.id} is not deterministic: its first repeat is compared"
        for each in (a, b)
        if each.deterministic is False
    ]
    return tuple(found)
