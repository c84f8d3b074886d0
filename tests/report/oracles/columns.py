"""The published columns against each other, as a report must compare them, by another way."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations

from repromatrix.floats import FORMS, ordinal
from repromatrix.report.verify import measure
from repromatrix.report.verify.due import Due
from repromatrix.report.verify.measure import Judges
from repromatrix.results.manifest import Published
from repromatrix.results.record import Record
from tests.report.oracles.kinds import Closest, PairVerdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Computed:
    """A column as the newest version gives it: the first repeat's losses, exact, and what each rounds to."""

    title: str
    record: Record
    losses: tuple[str, ...]
    rounded: tuple[str, ...]


def computed(found: Due, records: Sequence[Record]) -> Computed:
    """Return a column with the exact losses behind it."""
    record = next(each for each in records if each.cell.id == found.cells[0])
    rounded = tuple(each["computed"] or "" for each in found.values["losses"])
    return Computed(title=found.values["column"], record=record, losses=record.trajectories[0].losses, rounded=rounded)


def pairs(table: Published, values: Sequence[Computed], judges: Judges) -> Iterable[Due]:
    """Return what must be said of every pair of columns that the report lists."""
    for a, b in combinations(values, 2):
        dtype = measure.coarser(a.record.cell.dtype, b.record.cell.dtype)
        common = min(len(a.losses), len(b.losses))
        left, right = a.losses[:common], b.losses[:common]
        found = measure.apart(left, right, dtype)
        if not common:
            continue
        verdict, _, by = measure.judged(left, right, found, judges.of(table.workload, dtype, common))
        last = (float.fromhex(left[-1]), float.fromhex(right[-1]))
        same_last = left[-1] == right[-1]
        measured = same_last or all(map(math.isfinite, last))
        factors = _factors(a.record, b.record)
        # Where a column prints fewer figures than the other, only the common ones are looked at.
        alike = all(x == y for x, y in zip(a.rounded, b.rounded, strict=False))
        lists = [
            *(["cross_method"] if verdict == "rounding" and factors else []),
            *(["larger"] if verdict in ("amplified", "divergent") else []),
            *(["exact"] if verdict == "identical" else []),
            *(["same_digits"] if alike and verdict != "identical" else []),
        ]
        if not lists:
            continue
        far = 0.0 if same_last else measure.distance(*last) if measured else None
        yield PairVerdict(
            cells=(a.record.cell.id, b.record.cell.id),
            workload=table.workload,
            a=a.title,
            b=b.title,
            lists=tuple(lists),
            verdict=verdict,
            judged_by=by,
            ulp_dtype=dtype,
            steps=found.steps,
            first_difference=found.first,
            last_abs=None if far is None else far.hex(),
            last_ulp=_ulps(left[-1], right[-1], dtype),
            max_abs=None if found.max_abs is None else found.max_abs.hex(),
            max_ulp=found.max_ulp,
            same_digits=alike,
            factors=factors,
        )


def _factors(a: Record, b: Record) -> tuple[str, ...]:
    used, stated = (a.factors, b.factors), (a.cell.options, b.cell.options)
    left, right = map(dict, used if all(used) else stated)
    return tuple(
        f"{name}: {left.get(name, '-')} / {right.get(name, '-')}"
        for name in sorted({*left, *right})
        if left.get(name) != right.get(name)
    )


def _ulps(a: str, b: str, dtype: str) -> int | None:
    if a == b:
        return 0
    x, y = float.fromhex(a), float.fromhex(b)
    return abs(ordinal(x, dtype) - ordinal(y, dtype)) if math.isfinite(x) and math.isfinite(y) else None


def closest(table: Published, values: Sequence[Computed]) -> Iterable[Due]:
    """Return which columns agree at single iterations, and how near the others are."""
    last = max((len(each.losses) for each in values), default=0)
    for iteration in sorted({1, 2, last}):
        if not 0 < iteration <= last:
            continue
        groups: dict[str, list[Computed]] = {}
        for each in values:
            if len(each.losses) >= iteration:
                groups.setdefault(each.losses[iteration - 1], []).append(each)
        near = []
        for (x, a), (y, b) in combinations(groups.items(), 2):
            dtype = min((each.record.cell.dtype for each in (*a, *b)), key=lambda name: FORMS[name].precision)
            ulps = _ulps(x, y, dtype)
            if ulps is not None:
                far = measure.distance(float.fromhex(x), float.fromhex(y))
                near.append((tuple(e.title for e in a), tuple(e.title for e in b), far.hex(), ulps, dtype))
        yield Closest(
            cells=tuple(each.record.cell.id for each in values),
            workload=table.workload,
            iteration=iteration,
            same=tuple(tuple(e.title for e in group) for group in groups.values() if len(group) > 1),
            near=tuple(sorted(near, key=lambda each: float.fromhex(each[2]))),
        )
