"""Two records -> a `Difference`: first differing step, distances over all steps, a verdict, what to beware of.

A failed or missing side is a verdict of its own, never a number. Pure.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from runner.compare import exact
from runner.results.record import Record
from runner.results.store import Manifest


class Verdict(StrEnum):
    """What a pair of trajectories is to each other."""

    IDENTICAL = "identical"
    ROUNDING = "rounding"
    AMPLIFIED = "amplified"
    DIVERGENT = "divergent"
    INCOMPARABLE = "incomparable"
    MISSING = "missing"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tolerance:
    """What counts as close: `|a - b| <= absolute + relative * max(|a|, |b|)`, and who says so."""

    relative: float
    absolute: float
    source: str

    def allows(self, a: float, b: float) -> bool:
        """Whether two finite values are close."""
        return abs(a - b) <= self.absolute + self.relative * max(abs(a), abs(b))


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """Distances of two trajectories over their common steps.

    Attributes:
        steps: how many steps both have.
        first_difference: the first step, from 1, whose bits differ; None: the same bits everywhere.
        max_abs: the largest |a - b| over all common steps, correctly rounded to float64.
        max_rel: the largest |a - b| / max(|a|, |b|).
        max_ulp: the largest ULP distance, in the coarser dtype.
        unmeasured: the first step at which one side is not finite and the other differs; then no maximum is given.
    """

    steps: int
    first_difference: int | None
    max_abs: float | None
    max_rel: float | None
    max_ulp: int | None
    unmeasured: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """What separates two cells.

    Attributes:
        a: a cell's id.
        b: the other's.
        reason: why there is no measure, else None.
        ulp_dtype: the dtype that ULPs are counted in; None without a measure.
        same_cpu_class: False: the hosts' instruction sets differ too, so the pair does not isolate anything else.
        caveats: what else the numbers depend on, in words.
    """

    a: str
    b: str
    verdict: Verdict
    reason: str | None
    ulp_dtype: str | None
    steps: int
    first_difference: int | None
    max_abs: float | None
    max_rel: float | None
    max_ulp: int | None
    same_cpu_class: bool | None
    caveats: tuple[str, ...]


def tolerances(manifest: Manifest) -> dict[str, Tolerance]:
    """Return the manifest's tolerances by dtype."""
    return {
        dtype: Tolerance(relative=relative, absolute=absolute, source=source)
        for dtype, relative, absolute, source in manifest.tolerances
    }


def measure(a: Sequence[float], b: Sequence[float], dtype: str) -> Measure:
    """Measure the common steps of two trajectories; ULPs in `dtype`."""
    pairs = list(zip(a, b, strict=False))
    distances = [exact.ulps(left, right, dtype) for left, right in pairs]
    unmeasured = next((step for step, each in enumerate(distances, start=1) if each is None), None)
    known = [each for each in distances if each is not None]
    complete = bool(pairs) and unmeasured is None
    return Measure(
        steps=len(pairs),
        first_difference=exact.first_difference(a, b),
        max_abs=max(absolute(left, right) for left, right in pairs) if complete else None,
        max_rel=max(_relative(left, right) for left, right in pairs) if complete else None,
        max_ulp=max(known) if complete else None,
        unmeasured=unmeasured,
    )


def absolute(a: float, b: float) -> float:
    """Return |a - b|; IEEE subtraction rounds the exact difference correctly. The same bits give 0, NaN too."""
    return 0.0 if exact.same_bits(a, b) else abs(a - b)


def _relative(a: float, b: float) -> float:
    distance = absolute(a, b)
    return distance / max(abs(a), abs(b)) if distance else 0.0


def compare(a: Record, b: Record, allowed: Mapping[str, Tolerance]) -> Difference:
    """Compare the first repeats of two cells; `allowed` is by dtype, the coarser one counts."""
    caveats = _caveats(a, b)
    if a.trajectory is None or b.trajectory is None:
        reason = "; ".join(f"{r.cell.id}: {_absence(r)}" for r in (a, b) if r.trajectory is None)
        return _without_measure(a, b, Verdict.MISSING, reason, caveats)
    left, right = exact.decode(a.trajectory.losses), exact.decode(b.trajectory.losses)
    if a.cell.workload != b.cell.workload:
        reason = f"workload {a.cell.workload} against {b.cell.workload}"
        return _without_measure(a, b, Verdict.INCOMPARABLE, reason, caveats)
    if len(left) != len(right):
        reason = f"{len(left)} steps against {len(right)}"
        return _without_measure(a, b, Verdict.INCOMPARABLE, reason, caveats)
    dtype = exact.coarser(a.cell.dtype, b.cell.dtype)
    found = measure(left, right, dtype)
    verdict, why = judge(left, right, found, allowed.get(dtype), dtype)
    return Difference(
        a=a.cell.id,
        b=b.cell.id,
        verdict=verdict,
        reason=why,
        ulp_dtype=dtype,
        steps=found.steps,
        first_difference=found.first_difference,
        max_abs=found.max_abs,
        max_rel=found.max_rel,
        max_ulp=found.max_ulp,
        same_cpu_class=_same_cpu_class(a, b),
        caveats=caveats,
    )


def judge(
    a: Sequence[float], b: Sequence[float], found: Measure, allowed: Tolerance | None, dtype: str
) -> tuple[Verdict, str | None]:
    """Return the verdict over the common steps, and why where it is `incomparable`."""
    if found.first_difference is None:
        return Verdict.IDENTICAL, None
    if found.unmeasured is not None:
        step = found.unmeasured
        return Verdict.INCOMPARABLE, f"step {step}: {a[step - 1]!r} against {b[step - 1]!r}"
    if allowed is None:
        return Verdict.INCOMPARABLE, f"the matrix has no tolerance for {dtype}"
    first = found.first_difference - 1
    # Equal non-finite values are allowed by their bits; arithmetic on them would give NaN.
    close = [exact.same_bits(x, y) or allowed.allows(x, y) for x, y in zip(a, b, strict=False)]
    if all(close):
        return Verdict.ROUNDING, None
    return (Verdict.AMPLIFIED if close[first] else Verdict.DIVERGENT), None


def _without_measure(a: Record, b: Record, verdict: Verdict, reason: str, caveats: tuple[str, ...]) -> Difference:
    return Difference(
        a=a.cell.id,
        b=b.cell.id,
        verdict=verdict,
        reason=reason,
        ulp_dtype=None,
        steps=0,
        first_difference=None,
        max_abs=None,
        max_rel=None,
        max_ulp=None,
        same_cpu_class=_same_cpu_class(a, b),
        caveats=caveats,
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
    if a.cell.dtype != b.cell.dtype:
        found.append(f"{a.cell.dtype} against {b.cell.dtype}: ULPs in {exact.coarser(a.cell.dtype, b.cell.dtype)}")
    found += [
        f"{each.cell.id} is not deterministic: its first repeat is compared"
        for each in (a, b)
        if each.deterministic is False
    ]
    return tuple(found)
