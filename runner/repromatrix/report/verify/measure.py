"""Two lists of exact losses -> how far apart they are, and what that is called: scalars only.

Hexadecimal text, `Fraction`, and Python floats where a definition says float64.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from repromatrix.floats import FORMS, ordinal, ulp
from repromatrix.report.verify.due import Due, due
from repromatrix.results.manifest import Manifest
from repromatrix.results.record import Record

# From the least to the most.
VERDICTS = ("identical", "rounding", "amplified", "divergent", "incomparable", "missing")


@dataclass(frozen=True, slots=True, kw_only=True)
class Apart:
    """How far two lists of losses are apart, over their common steps."""

    steps: int
    first: int | None
    max_abs: float | None
    max_ulp: int | None
    unmeasured: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class NoiseFloor:
    """The measured noise of a workload in a dtype; `cells`: the reference and the members; hexadecimal text."""

    cells: tuple[str, ...]
    workload: str
    dtype: str
    growth: tuple[str, ...]
    bound: tuple[str, ...]

    @property
    def due(self) -> Due:
        """It as a sentence has to stand on it."""
        own = {name: getattr(self, name) for name in ("workload", "dtype", "growth", "bound")}
        return due("noise_floor", f"floor/{self.workload}/{self.dtype}", self.cells, **own)


@dataclass(frozen=True, slots=True, kw_only=True)
class Judges:
    """By whose word a distance is close: measured bounds by (workload, dtype), else the manifest's tolerances."""

    floors: Mapping[tuple[str, str], NoiseFloor]
    tolerances: Mapping[str, tuple[float, float, str]]

    def of(self, workload: str, dtype: str, steps: int) -> tuple[str, list[float] | tuple[float, float]] | None:
        """Return who judges, with a bound for each step or (relative, absolute)."""
        floor = self.floors.get((workload, dtype))
        if floor and len(floor.bound) >= steps:
            name = f"noise floor of {workload} in {dtype}, {len(floor.cells) - 1} one-ULP members"
            return name, [float.fromhex(each) for each in floor.bound]
        return self.tolerance(dtype)

    def tolerance(self, dtype: str) -> tuple[str, tuple[float, float]] | None:
        """Return whose word a tolerance is, and (relative, absolute)."""
        if dtype not in self.tolerances:
            return None
        relative, absolute, source = self.tolerances[dtype]
        return source, (relative, absolute)


def judges_of(manifest: Manifest, records: Iterable[Record]) -> Judges:
    """Return who judges distances: what the ensembles measured, and the manifest's tolerances."""
    by_id = {each.cell.id: each for each in records}
    floors: dict[tuple[str, str], NoiseFloor] = {}
    for each in manifest.ensembles:
        found = _floor(each.workload, each.dtype, by_id.get(each.reference), [by_id.get(n) for n in each.members])
        if found and (each.workload, each.dtype) not in floors:
            floors[each.workload, each.dtype] = found
    return Judges(floors=floors, tolerances={dtype: (r, a, source) for dtype, r, a, source in manifest.tolerances})


def apart(a: Sequence[str], b: Sequence[str], dtype: str) -> Apart:
    """Measure two lists of exact losses step by step; ULPs in `dtype`. Equal values have equal texts."""
    steps = min(len(a), len(b))
    differing = [step for step in range(1, steps + 1) if a[step - 1] != b[step - 1]]
    sides = [(float.fromhex(a[step - 1]), float.fromhex(b[step - 1])) for step in differing]
    odd = next((s for s, pair in zip(differing, sides, strict=True) if not all(map(math.isfinite, pair))), None)
    measured = bool(steps) and odd is None
    return Apart(
        steps=steps,
        first=differing[0] if differing else None,
        max_abs=max((distance(*pair) for pair in sides), default=0.0) if measured else None,
        max_ulp=max((abs(ordinal(x, dtype) - ordinal(y, dtype)) for x, y in sides), default=0) if measured else None,
        unmeasured=odd,
    )


def distance(a: float, b: float) -> float:
    """Return |a - b|, the exact difference rounded once to float64."""
    try:
        return float(abs(Fraction(a) - Fraction(b)))
    except OverflowError:
        return math.inf


def judged(
    a: Sequence[str], b: Sequence[str], found: Apart, judge: tuple[str, list[float] | tuple[float, float]] | None
) -> tuple[str, str | None, str | None]:
    """Return verdict, reason, and by whose word, for two lists of one length; `judge` None: nobody can tell."""
    if found.first is None:
        return "identical", None, None
    if found.unmeasured is not None:
        left, right = (float.fromhex(each[found.unmeasured - 1]) for each in (a, b))
        return "divergent", f"step {found.unmeasured}: {left!r} against {right!r}", None
    if judge is None:
        return "incomparable", None, None
    name, bound = judge
    close = []
    for step, (x, y) in enumerate(zip(map(float.fromhex, a), map(float.fromhex, b), strict=True)):
        # A tolerance is defined in float64, rounding and all.
        allowed = bound[step] if isinstance(bound, list) else bound[1] + bound[0] * max(abs(x), abs(y))
        close.append(a[step] == b[step] or distance(x, y) <= allowed)
    if all(close):
        return "rounding", None, name
    return ("amplified" if close[found.first - 1] else "divergent"), None, name


def coarser(a: str, b: str) -> str:
    """Return the dtype with fewer significant bits, the first of equals."""
    return b if FORMS[b].precision < FORMS[a].precision else a


def _floor(workload: str, dtype: str, reference: Record | None, members: Sequence[Record | None]) -> NoiseFloor | None:
    if reference is None or not reference.trajectories:
        return None
    start = [float.fromhex(each) for each in reference.trajectories[0].losses]
    tracks = {}
    for each in members:
        if each is not None and each.trajectories:
            losses = [float.fromhex(text) for text in each.trajectories[0].losses]
            if len(losses) == len(start) and all(map(math.isfinite, losses)):
                tracks[each.cell.id] = losses
    if not tracks or not all(map(math.isfinite, start)):
        return None
    growth = [
        max(*(distance(start[step], losses[step]) for losses in tracks.values()), ulp(start[step], dtype))
        for step in range(len(start))
    ]
    bound, total = [], 0.0
    for each_growth in growth:
        total += each_growth  # in float64, step by step, as the bound is defined
        bound.append(2 * total)
    return NoiseFloor(
        cells=(reference.cell.id, *tracks),
        workload=workload,
        dtype=dtype,
        growth=tuple(map(float.hex, growth)),
        bound=tuple(map(float.hex, bound)),
    )
