"""One pair of cells and what was tried on it -> what that shows, judged from the losses by scalars."""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from repromatrix.report.verify.measure import VERDICTS, Judges, apart, coarser, judged
from repromatrix.results.experiments import Condition, Flip, Pair, Run, Side
from repromatrix.results.record import Record

# As long as an end could still be run, nothing is a cause and nothing refuted.
_UNFINISHED = {"cause": "contributes", "cause together": "contributes", "refuted": "inconclusive"}
_NO_SIGN = "no sign that it took effect"
_ELEMENTS = 8  # that differed before: fewer may agree by chance
Two = tuple[Record, Record]
Parts = tuple[tuple[str, str], ...]  # elements that differ, as both sides have them
_CLOSE = ("identical", "rounding")


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """An end as the sentences have it; the same fields as there, all None where nothing was tested but `reason`."""

    cell: str | None
    key: str | None
    changed: bool | None
    verdict: str | None
    first_difference: int | None
    max_abs: str | None
    max_ulp: int | None
    beyond: str | None
    share: str | None
    reason: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """What separates two cells; `size` None: not measured, or not finite; `dtype`: in which it is judged."""

    verdict: str
    size: float | None
    dtype: str = ""
    first: int | None = None
    ulps: int | None = None

    @property
    def hexadecimal(self) -> str | None:
        """The size as the sentences have it."""
        return None if self.size is None else self.size.hex()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Tested:
    """An end as the sentences have it, with what was left there, and whether that explains the pair."""

    seen: Seen
    gap: Gap | None = None
    won: bool = False
    luck: str | None = None  # what keeps it from being a cause: chance, or that nobody can tell


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A change and its verdict; `both` for conditions alone."""

    change: Flip | Condition
    finding: str
    a: Seen
    b: Seen
    both: Seen | None = None

    @property
    def tested(self) -> bool:
        """Whether any experiment gave something."""
        return self.finding != "not testable"


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedPair:
    """All that was tried on a pair."""

    pair: Pair
    before: Gap
    singles: tuple[Line, ...]
    sets: tuple[Line, ...]
    conditions: tuple[Line, ...]

    @property
    def causes(self) -> tuple[tuple[tuple[str, ...], Line], ...]:
        """The smallest sets of factors that explain the pair."""
        found = [(each.change.factors, each) for each in (*self.singles, *self.sets) if isinstance(each.change, Flip)]
        found = [(names, line) for names, line in found if line.finding in ("cause", "cause together")]
        least = min((len(names) for names, _ in found), default=0)
        return tuple((names, line) for names, line in found if len(names) == least)

    @property
    def dissolving(self) -> tuple[Line, ...]:
        """The conditions under which nothing is left to explain."""
        return tuple(each for each in self.conditions if each.finding == "cause")

    @property
    def explained(self) -> bool:
        """Whether anything explains the pair."""
        return bool(self.causes or self.dissolving)


def judged_pair(pair: Pair, records: Mapping[str, Record], judges: Judges) -> JudgedPair | None:
    """Judge a pair; None where its own records are not there or give nothing to compare."""
    a, b = records.get(pair.a.key), records.get(pair.b.key)
    if a is None or b is None or _fault(a) or _fault(b):
        return None
    bench = _Bench(a, b, judges)
    own = [_moved([run for run in pair.members if run.id.startswith(f"{cell.cell.id}~")], records) for cell in (a, b)]
    bench.members = _together(*own)
    silent = {each.name for each in pair.factors if each.silent}
    lines = [bench.flip(each, records, silent) for each in pair.flips]
    return JudgedPair(
        pair=pair,
        before=bench.before,
        singles=tuple(each for each, change in zip(lines, pair.flips, strict=True) if len(change.factors) == 1),
        sets=tuple(e for e, change in zip(lines, pair.flips, strict=True) if len(change.factors) > 1 and e.tested),
        conditions=tuple(bench.condition(each, records) for each in pair.conditions),
    )


class _Bench:
    """Holds changed cells against the two that they were made of."""

    def __init__(self, a: Record, b: Record, judges: Judges) -> None:
        self._a, self._b, self._judges = a, b, judges
        self.members: dict[int, Two] = {}
        self.before = self._gap(a, b)

    def flip(self, change: Flip, records: Mapping[str, Record], silent: set[str]) -> Line:
        found = [_found(each, records) for each in (change.a, change.b)]
        told = any(_took_effect(each, own) for each, own in zip(found, (self._a, self._b), strict=True))
        mute = all(name in silent for name in change.factors) and not told
        moved = [_moved(side.members, records) for side in (change.a, change.b)]
        a = self._seen(change.a, found[0], self._a, self._b, self._against(moved[0], 1), mute=mute)
        b = self._seen(change.b, found[1], self._b, self._a, self._against(moved[1], 0), mute=mute)
        tested = [each for each in (a, b) if each.gap]
        won = any(each.won for each in tested)
        whole = won and all(each.seen.verdict in _CLOSE for each in tested)
        cause = "cause together" if len(change.factors) > 1 else "cause"
        finding = self._word(tested, won=won, whole=cause if whole else None)
        return Line(change=change, finding=_final(finding, change, [a, b]), a=a.seen, b=b.seen)

    def _against(self, moved: Mapping[int, Record], side: int) -> dict[int, Two]:
        """Return the members of a changed cell, each with that of A (0) or B (1)."""
        there = moved.keys() & self.members.keys()
        return {number: (moved[number], self.members[number][side]) for number in there}

    def condition(self, change: Condition, records: Mapping[str, Record]) -> Line:
        found = [_found(each, records) for each in (change.a, change.b)]
        own = (self._a, self._b)
        mute = [
            change.kind == "settings" and not _took_effect(each, mine) for each, mine in zip(found, own, strict=True)
        ]
        moved = [_moved(side.members, records) for side in (change.a, change.b)]
        a = self._seen(change.a, found[0], self._a, self._b, self._against(moved[0], 1), mute=mute[0])
        b = self._seen(change.b, found[1], self._b, self._a, self._against(moved[1], 0), mute=mute[1])
        both = self._between(change, found, _together(*moved), mute=all(mute))
        tested = [each for each in (a, b, both) if each.gap]
        won = any(each.won for each in tested)
        whole = won and (both.gap is None or both.won)
        finding = self._word(tested, won=won, whole="cause" if whole else None)
        ends = [both] if both.gap else [a, b]
        return Line(change=change, finding=_final(finding, change, ends), a=a.seen, b=b.seen, both=both.seen)

    def _between(
        self, change: Condition, found: Sequence[Record | None], moved: Mapping[int, Two], *, mute: bool
    ) -> _Tested:
        reasons = [_missing(end, each) for end, each in zip((change.a, change.b), found, strict=True)]
        reason = reasons[0] or reasons[1] or (_NO_SIGN if mute else None)
        if reason is not None or found[0] is None or found[1] is None:
            return _Tested(seen=_nothing(None, None, reason))
        return self._told((found[0], found[1]), moved, cell=None, key=None, changed=None)

    def _seen(
        self, end: Side, found: Record | None, own: Record, other: Record, moved: Mapping[int, Two], *, mute: bool
    ) -> _Tested:
        reason = _missing(end, found) or (_NO_SIGN if mute else None)
        cell, key = (found.cell.id, end.run.key) if found and end.run else (None, None)
        if found is None or reason is not None:
            return _Tested(seen=_nothing(cell, key, reason))
        changed = found.trajectories != own.trajectories
        return self._told((found, other), moved, cell=cell, key=key, changed=changed)

    def _told(
        self, two: Two, moved: Mapping[int, Two], *, cell: str | None, key: str | None, changed: bool | None
    ) -> _Tested:
        gap = self._gap(*two)
        won = self._won(gap, two)
        share = _hex(1.0 if won else self._part(gap))
        size = gap.hexadecimal
        beyond = None if won or gap.verdict != "identical" else _first(*two)
        seen = Seen(
            cell=cell, key=key, changed=changed, verdict=gap.verdict, first_difference=gap.first, max_abs=size,
            max_ulp=gap.ulps, beyond=beyond, share=share, reason=None,
        )  # fmt: skip
        return _Tested(seen=seen, gap=gap, won=won, luck=self._luck(two, gap, moved) if won else None)

    def _luck(self, two: Two, gap: Gap, moved: Mapping[int, Two]) -> str | None:
        """Return `coincidence` where a member that differs is not made equal, `not confirmed` where too few differ."""
        if two[0].key == two[1].key:
            return None
        parts, alike = {_parts(self._a, self._b)}, 0
        joined = self._a.cell.dtype != self._b.cell.dtype and two[0].cell.dtype == two[1].cell.dtype
        for number in self.members.keys() & moved.keys():
            apart = _Bench(*self.members[number], self._judges)
            found = _parts(*self.members[number])
            alike += not found
            near = gap.verdict == "rounding" and apart._gap(apart._a, apart._b, gap.dtype).verdict in _CLOSE
            if found and not near:
                left = apart._gap(*moved[number])
                if not (apart._won(left, moved[number]) or (joined and left.verdict in _CLOSE)):
                    return "coincidence"
                parts.add(found)
        return None if _weighed(parts, alike, gap, coarser(*(each.cell.dtype for each in two))) else "not confirmed"

    def _part(self, gap: Gap) -> float | None:
        gain = self._gain(gap)
        if gain is None or self.before.size is None:
            return None
        return max(0.0, gain / self.before.size) if self.before.size else 0.0

    def _gain(self, gap: Gap) -> float | None:
        return None if gap.size is None or self.before.size is None else self.before.size - gap.size

    def _won(self, gap: Gap, two: Two) -> bool:
        if gap.verdict == "identical" and not _parts(*two):
            return True
        return gap.verdict in _CLOSE and self._gap(self._a, self._b, gap.dtype).verdict not in _CLOSE

    def _word(self, tested: Sequence[_Tested], *, won: bool, whole: str | None) -> str:
        if not tested:
            return "not testable"
        if whole:
            return whole
        gains = [(each, self._gain(each.gap)) for each in tested if each.gap]
        if won or any(gain is not None and each.gap and gain > self._bound(each.gap.dtype) for each, gain in gains):
            return "contributes"
        idle = [each.seen.changed is False or (gain is not None and gain <= 0) for each, gain in gains]
        return "refuted" if all(idle) else "inconclusive"

    def _gap(self, a: Record, b: Record, dtype: str = "") -> Gap:
        """Measure and judge, in the coarser dtype of the two unless another is named."""
        if not (a.trajectories and b.trajectories):
            return Gap(verdict="missing", size=None)
        if (a.cell.workload, a.cell.task) != (b.cell.workload, b.cell.task):
            return Gap(verdict="incomparable", size=None)
        dtype = dtype or coarser(a.cell.dtype, b.cell.dtype)
        pairs = zip(a.trajectories[0].metrics, b.trajectories[0].metrics, strict=False)
        gaps = [
            self._metric(x.texts, y.texts, a.cell.workload, dtype, loss=number == 0)
            for number, (x, y) in enumerate(pairs)
        ]
        return max(gaps, key=lambda gap: VERDICTS.index(gap.verdict))  # of equals the first, which is the loss

    def _metric(self, left: Sequence[str], right: Sequence[str], workload: str, dtype: str, *, loss: bool) -> Gap:
        found = apart(left, right, dtype)
        if len(left) != len(right) or not found.steps:
            return Gap(verdict="incomparable", size=found.max_abs, dtype=dtype, first=found.first, ulps=found.max_ulp)
        judge = self._judges.of(workload, dtype, found.steps) if loss else self._judges.tolerance(dtype)
        verdict, _, _ = judged(left, right, found, judge)
        return Gap(verdict=verdict, size=found.max_abs, dtype=dtype, first=found.first, ulps=found.max_ulp)

    def _bound(self, dtype: str) -> float:
        """Return by how much rounding in a dtype may set the two cells' losses apart; 0: nobody can tell."""
        losses = [each.trajectories[0].losses for each in (self._a, self._b)]
        steps = min(map(len, losses))
        judge = self._judges.of(self._a.cell.workload, dtype, steps)
        if judge is None or self._a.cell.workload != self._b.cell.workload:
            return 0.0
        _, bound = judge
        if isinstance(bound, list):
            return max(bound[:steps], default=0.0)
        sizes = [abs(float.fromhex(text)) for side in losses for text in side]
        relative, absolute = bound
        return absolute + relative * (math.nan if any(map(math.isnan, sizes)) else max(sizes, default=0.0))


def _final(finding: str, change: Flip | Condition, ends: Sequence[_Tested]) -> str:
    if change.a.left or change.b.left:
        return _UNFINISHED.get(finding, finding)
    lucks = [end.luck for end in ends if end.won]
    if not finding.startswith("cause") or "coincidence" in lucks or None in lucks:
        return "coincidence" if finding.startswith("cause") and "coincidence" in lucks else finding
    return "not confirmed"


def _moved(runs: Sequence[Run], records: Mapping[str, Record]) -> dict[int, Record]:
    """Return the records of members by their numbers; those that gave nothing are left out."""
    there = {int(run.id[run.id.rindex("~") + 1 :]): records.get(run.key) for run in runs}
    return {number: record for number, record in there.items() if record is not None and not _fault(record)}


def _together(one: Mapping[int, Record], other: Mapping[int, Record]) -> dict[int, Two]:
    return {number: (one[number], other[number]) for number in one if number in other}


def _parts(a: Record, b: Record) -> Parts:
    """Return the elements in which the first recorded value that differs does so; of a digest nobody knows but one."""
    found = _apart(a, b)
    return found[1] if found else ()


def _weighed(seen: Collection[Parts], alike: int, gap: Gap, dtype: str) -> bool:
    """Whether so many elements differed, so far apart, that they are not made equal by chance.

    Of ways to come near that are equally likely, one in 2 d + 1 gives the same value where the sides were d ULP apart;
    an element for which it is one in seven counts once, and no pair for more than the share of members that agree
    anyway allows.
    """
    ulps = 0 if gap.verdict == "identical" else gap.ulps
    most = math.log((len(seen) + alike) / alike, 7) if alike else math.inf
    counts = (sum(1 if ulps is None else _ways(*each, dtype, ulps) for each in found) for found in seen)
    return int(sum(min(count, most) for count in counts)) >= _ELEMENTS


def _ways(one: str, other: str, dtype: str, ulps: int) -> int:
    """Return for how many elements one counts that is at most so many ULP off afterwards."""
    if not {"0x", "na", "in"} & {one.lstrip("-")[:2]} or not {"0x", "na", "in"} & {other.lstrip("-")[:2]}:
        return 1
    far = apart([one], [other], dtype).max_ulp
    return 1 if far is None else max(1, int(math.log((2 * far + 1) / (2 * ulps + 1)) / math.log(7)))


def _first(a: Record, b: Record) -> str | None:
    """Return the first recorded value that differs, in words."""
    found = _apart(a, b)
    return found[0] if found else None


def _apart(a: Record, b: Record) -> tuple[str, Parts] | None:
    """Return the first recorded value that differs, and the elements in which it does; None: none does."""
    columns = [each.trajectories[0].columns for each in (a, b)]
    names = list(dict.fromkeys(column.name for side in columns for column in side))
    left, right = (
        {
            (step, names.index(column.name)): row
            for column in side
            for step, row in zip(column.at, column.rows, strict=True)
        }
        for side in columns
    )
    for place in sorted({*left, *right}):
        one, other = left.get(place, ()), right.get(place, ())
        if one != other:
            name = names[place[1]]
            both = zip(one, other, strict=True) if len(one) == len(other) else ((name, str(place[0])),)
            return f"{name} of step {place[0]}", tuple((x, y) for x, y in both if x != y)
    return None


def _found(end: Side, records: Mapping[str, Record]) -> Record | None:
    return records.get(end.run.key) if end.run else None


def _missing(end: Side, found: Record | None) -> str | None:
    """Return why an end gave nothing, or None."""
    if end.run is None:
        return end.reason
    return "its record is not there" if found is None else _fault(found)


def _fault(record: Record) -> str | None:
    if not record.trajectories:
        return f"{record.outcome.value}: {record.reason}" if record.reason else record.outcome.value
    return "its repeats differ" if record.repeats > 1 and len(record.trajectories) > 1 else None


def _took_effect(found: Record | None, own: Record) -> bool:
    """Whether bits changed, or what the environment tells of kernels really taken and of threads."""
    if found is None or _fault(found):
        return False
    return found.trajectories != own.trajectories or _taken(found) != _taken(own)


def _taken(record: Record) -> list[Any]:
    kernels = record.fingerprint.get("kernels", {}).items()
    return [
        {name: value for name, value in kernels if not name.endswith("_requested")},
        record.fingerprint.get("threads"),
    ]


def _nothing(cell: str | None, key: str | None, reason: str | None) -> Seen:
    return Seen(
        cell=cell, key=key, changed=None, verdict=None, first_difference=None, max_abs=None, max_ulp=None, beyond=None,
        share=None, reason=reason,
    )  # fmt: skip


def _hex(value: float | None) -> str | None:
    return None if value is None else value.hex()
