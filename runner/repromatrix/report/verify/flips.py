"""One pair of cells and what was tried on it -> what that shows, judged from the losses by scalars."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from repromatrix.report.verify.measure import VERDICTS, Judges, apart, coarser, judged
from repromatrix.results.experiments import Attempt, ConditionTrial, Pair, Trial
from repromatrix.results.record import Record

# As long as an end could still be run, nothing is a cause and nothing refuted.
_UNFINISHED = {"cause": "contributes", "cause together": "contributes", "refuted": "inconclusive"}
_NO_SIGN = "no sign that it took effect"
_CLOSE = ("identical", "rounding")


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """An end as the sentences have it; the same fields as there, all None where nothing was tested but `reason`."""

    cell: str | None
    key: str | None
    changed: bool | None
    verdict: str | None
    max_abs: str | None
    share: str | None
    reason: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """What separates two cells; `size` None: not measured, or not finite; `dtype`: in which it is judged."""

    verdict: str
    size: float | None
    dtype: str = ""

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A trial and its verdict; `both` for conditions alone."""

    trial: Trial | ConditionTrial
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
        found = [(each.trial.factors, each) for each in (*self.singles, *self.sets) if isinstance(each.trial, Trial)]
        found = [(names, line) for names, line in found if line.finding in ("cause", "cause together")]
        least = min((len(names) for names, _ in found), default=0)
        return tuple((names, line) for names, line in found if len(names) == least)

    @property
    def dissolving(self) -> tuple[Line, ...]:
        """The conditions under which nothing is left to explain."""
        return tuple(each for each in self.conditions if each.finding == "cause")

    @property
    def attributed(self) -> bool:
        """Whether anything explains the pair."""
        return bool(self.causes or self.dissolving)


def judged_pair(pair: Pair, records: Mapping[str, Record], judges: Judges) -> JudgedPair | None:
    """Judge a pair; None where its own records are not there or give nothing to compare."""
    a, b = records.get(pair.a.key), records.get(pair.b.key)
    if a is None or b is None or _fault(a) or _fault(b):
        return None
    bench = _Bench(a, b, judges)
    silent = {each.name for each in pair.factors if each.silent}
    lines = [bench.flip(each, records, silent) for each in pair.trials]
    return JudgedPair(
        pair=pair,
        before=bench.before,
        singles=tuple(each for each, trial in zip(lines, pair.trials, strict=True) if len(trial.factors) == 1),
        sets=tuple(e for e, trial in zip(lines, pair.trials, strict=True) if len(trial.factors) > 1 and e.tested),
        conditions=tuple(bench.condition(each, records) for each in pair.conditions),
    )


class _Bench:
    """Holds changed cells against the two that they were made of."""

    def __init__(self, a: Record, b: Record, judges: Judges) -> None:
        self._a, self._b, self._judges = a, b, judges
        self.before = self._gap(a, b)

    def flip(self, trial: Trial, records: Mapping[str, Record], silent: set[str]) -> Line:
        found = [_found(each, records) for each in (trial.a, trial.b)]
        told = any(_took_effect(each, own) for each, own in zip(found, (self._a, self._b), strict=True))
        mute = all(name in silent for name in trial.factors) and not told
        a = self._seen(trial.a, found[0], self._a, self._b, mute=mute)
        b = self._seen(trial.b, found[1], self._b, self._a, mute=mute)
        tested = [each for each in (a, b) if each.gap]
        won = any(each.won for each in tested)
        whole = won and all(each.seen.verdict in _CLOSE for each in tested)
        cause = "cause together" if len(trial.factors) > 1 else "cause"
        finding = self._word(tested, won=won, whole=cause if whole else None)
        return Line(trial=trial, finding=_final(finding, trial), a=a.seen, b=b.seen)

    def condition(self, trial: ConditionTrial, records: Mapping[str, Record]) -> Line:
        found = [_found(each, records) for each in (trial.a, trial.b)]
        own = (self._a, self._b)
        mute = [
            trial.kind == "settings" and not _took_effect(each, mine) for each, mine in zip(found, own, strict=True)
        ]
        a = self._seen(trial.a, found[0], self._a, self._b, mute=mute[0])
        b = self._seen(trial.b, found[1], self._b, self._a, mute=mute[1])
        both = self._between(trial, found, mute=all(mute))
        tested = [each for each in (a, b, both) if each.gap]
        won = any(each.won for each in tested)
        whole = won and (both.gap is None or both.won)
        finding = self._word(tested, won=won, whole="cause" if whole else None)
        return Line(trial=trial, finding=_final(finding, trial), a=a.seen, b=b.seen, both=both.seen)

    def _between(self, trial: ConditionTrial, found: Sequence[Record | None], *, mute: bool) -> _Tested:
        reasons = [_missing(end, each) for end, each in zip((trial.a, trial.b), found, strict=True)]
        reason = reasons[0] or reasons[1] or (_NO_SIGN if mute else None)
        if reason is not None or found[0] is None or found[1] is None:
            return _Tested(seen=_nothing(None, None, reason))
        return self._told(self._gap(found[0], found[1]), cell=None, key=None, changed=None)

    def _seen(self, end: Attempt, found: Record | None, own: Record, other: Record, *, mute: bool) -> _Tested:
        reason = _missing(end, found) or (_NO_SIGN if mute else None)
        cell, key = (found.cell.id, end.run.key) if found and end.run else (None, None)
        if found is None or reason is not None:
            return _Tested(seen=_nothing(cell, key, reason))
        changed = found.trajectories != own.trajectories
        return self._told(self._gap(found, other), cell=cell, key=key, changed=changed)

    def _told(self, gap: Gap, *, cell: str | None, key: str | None, changed: bool | None) -> _Tested:
        won = self._won(gap)
        share = _hex(1.0 if won else self._part(gap))
        size = gap.hexadecimal
        seen = Seen(cell=cell, key=key, changed=changed, verdict=gap.verdict, max_abs=size, share=share, reason=None)
        return _Tested(seen=seen, gap=gap, won=won)

    def _part(self, gap: Gap) -> float | None:
        gain = self._gain(gap)
        if gain is None or self.before.size is None:
            return None
        return max(0.0, gain / self.before.size) if self.before.size else 0.0

    def _gain(self, gap: Gap) -> float | None:
        return None if gap.size is None or self.before.size is None else self.before.size - gap.size

    def _won(self, gap: Gap) -> bool:
        if gap.verdict != "rounding":
            return gap.verdict == "identical"
        return self._gap(self._a, self._b, gap.dtype).verdict not in _CLOSE

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
            return Gap(verdict="incomparable", size=found.max_abs, dtype=dtype)
        judge = self._judges.of(workload, dtype, found.steps) if loss else self._judges.tolerance(dtype)
        verdict, _, _ = judged(left, right, found, judge)
        return Gap(verdict=verdict, size=found.max_abs, dtype=dtype)

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


def _final(finding: str, trial: Trial | ConditionTrial) -> str:
    return _UNFINISHED.get(finding, finding) if trial.a.left or trial.b.left else finding


def _found(end: Attempt, records: Mapping[str, Record]) -> Record | None:
    return records.get(end.run.key) if end.run else None


def _missing(end: Attempt, found: Record | None) -> str | None:
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
    return Seen(cell=cell, key=key, changed=None, verdict=None, max_abs=None, share=None, reason=reason)


def _hex(value: float | None) -> str | None:
    return None if value is None else value.hex()
