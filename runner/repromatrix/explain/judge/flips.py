"""Two records and the experiments between them -> rows of a explanation.

An experiment is a hybrid: the cell of one side (its end) with some factors taken from the other side. Pure.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from repromatrix.compare import arrays
from repromatrix.compare.allowance import Allowances, Floor, Tolerance
from repromatrix.compare.difference import Difference, Verdict, compare, judged
from repromatrix.explain.judge.findings import ConditionRow, End, Finding, Row
from repromatrix.results.experiments import ConditionTrial, Factor
from repromatrix.results.record import Record

_SETTLED = (Verdict.IDENTICAL, Verdict.ROUNDING)
# What may be said of an end alone while the other one could still be tested.
_HALF = {
    Finding.CAUSE: Finding.CONTRIBUTES,
    Finding.TOGETHER: Finding.CONTRIBUTES,
    Finding.REFUTED: Finding.INCONCLUSIVE,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Experiment:
    """The record of a hybrid, or why there is none; `left`: it could be run, and the budget did not reach it."""

    record: Record | None = None
    reason: str | None = None
    left: bool = False


class Judge:
    """Judges experiments between two records that both have a trajectory."""

    def __init__(self, a: Record, b: Record, factors: Sequence[Factor], allowed: Allowances) -> None:
        self._a, self._b, self._allowed = a, b, allowed
        self._silent = {each.name for each in factors if each.silent}
        self.before = compare(a, b, allowed)
        self._verdicts: dict[str, Verdict] = {}

    def row(self, factors: Sequence[str], at_a: Experiment, at_b: Experiment) -> Row:
        """Judge a flip at both ends."""
        # What took effect at one end was not ignored at the other, even where it changes nothing there.
        signs = [_sign(at_a, self._a), _sign(at_b, self._b)]
        ignored = set(factors) <= self._silent and not any(signs)
        ends = (self._end(at_a, self._a, self._b, ignored=ignored), self._end(at_b, self._b, self._a, ignored=ignored))
        finding = self._finding([each for each in ends if each.after is not None], together=len(factors) > 1)
        if at_a.left or at_b.left:  # one end may show what the other contradicts
            finding = _HALF.get(finding, finding)
        return Row(factors=tuple(factors), a=ends[0], b=ends[1], finding=finding)

    def condition(self, trial: ConditionTrial, at_a: Experiment, at_b: Experiment) -> ConditionRow:
        """Judge a condition applied to A, to B and to both; `at_a`: A under it."""
        silent = trial.kind == "settings"
        signs = {"a": not silent or _sign(at_a, self._a), "b": not silent or _sign(at_b, self._b)}
        a = self._end(at_a, self._a, self._b, ignored=not signs["a"])
        b = self._end(at_b, self._b, self._a, ignored=not signs["b"])
        both = self._both(at_a, at_b, ignored=not any(signs.values()))
        finding = self._effect(a, b, both)
        if at_a.left or at_b.left:
            finding = _HALF.get(finding, finding)
        return ConditionRow(
            name=trial.name, kind=trial.kind, changes=trial.changes, a=a, b=b, both=both, finding=finding
        )

    def _both(self, at_a: Experiment, at_b: Experiment, *, ignored: bool) -> End:
        """Judge A under a condition against B under it."""
        found = [at_a.record, at_b.record]
        reasons = [each.reason or (_unusable(each.record) if each.record else "not tried") for each in (at_a, at_b)]
        reason = next((each for each in reasons if each), "no sign that it took effect" if ignored else None)
        after = compare(found[0], found[1], self._allowed) if found[0] and found[1] and reason is None else None
        return End(
            cell=None,
            changed=None,
            after=after,
            share=self._share(after) if after else None,
            gain=_gain(self.before, after) if after else None,
            reason=reason,
        )

    def _effect(self, a: End, b: End, both: End) -> Finding:
        tested = [each for each in (a, b, both) if each.after is not None]
        if not tested:
            return Finding.NOT_TESTABLE
        won = any(self._won(each.after) for each in tested if each.after)
        if won and (both.after is None or self._won(both.after)):
            return Finding.CAUSE
        if won or any(map(self._shrinks, tested)):
            return Finding.CONTRIBUTES
        return Finding.REFUTED if all(map(_changes_nothing, tested)) else Finding.INCONCLUSIVE

    def _end(self, experiment: Experiment, own: Record, other: Record, *, ignored: bool) -> End:
        found = experiment.record
        reason = experiment.reason or (_unusable(found) if found else "not tried")
        if reason is None and ignored:
            reason = "no sign that it took effect"
        after = compare(found, other, self._allowed) if found is not None and reason is None else None
        return End(
            cell=found.cell.id if found else None,
            changed=found.trajectories != own.trajectories if found and after else None,
            after=after,
            share=self._share(after) if after else None,
            gain=_gain(self.before, after) if after else None,
            reason=None if after else reason,
            left=experiment.left,
        )

    def _share(self, after: Difference) -> float | None:
        if self._won(after):
            return 1.0
        gain, size = _gain(self.before, after), self.before.measure and self.before.measure.max_abs
        if gain is None or size is None:
            return None
        return max(0.0, gain / size) if size else 0.0

    def _finding(self, ends: Sequence[End], *, together: bool) -> Finding:
        afters = [each.after for each in ends if each.after is not None]
        if not afters:
            return Finding.NOT_TESTABLE
        won = any(map(self._won, afters))
        if won and all(map(_settled, afters)):
            return Finding.TOGETHER if together else Finding.CAUSE
        if won or any(map(self._shrinks, ends)):
            return Finding.CONTRIBUTES
        return Finding.REFUTED if all(map(_changes_nothing, ends)) else Finding.INCONCLUSIVE

    def _won(self, after: Difference) -> bool:
        return after.verdict is Verdict.IDENTICAL or (_settled(after) and not self._settled_before(after.ulp_dtype))

    def _settled_before(self, dtype: str | None) -> bool:
        """Whether the cells were as close before as whoever judges what is left demands; it may be of a finer dtype."""
        if dtype is None or dtype == self.before.ulp_dtype or self.before.measure is None:
            return _settled(self.before)
        if dtype not in self._verdicts:
            a, b = (each.trajectory for each in (self._a, self._b))
            assert a is not None  # noqa: S101 - what has no trajectory is not judged
            assert b is not None  # noqa: S101
            self._verdicts[dtype] = judged(a, b, self._a.cell.workload, dtype, self._allowed).judgement.verdict
        return self._verdicts[dtype] in _SETTLED

    def _shrinks(self, end: End) -> bool:
        """Whether the largest difference shrank by more than the noise floor of what is left."""
        dtype = end.after.ulp_dtype if end.after else None
        return (end.gain or 0) > _noise(self.before, dtype, self._a, self._b, self._allowed)


def _changes_nothing(end: End) -> bool:
    """Whether no bit changed, or the difference was measured and did not shrink."""
    return end.changed is False or (end.gain is not None and end.gain <= 0)


def _settled(found: Difference) -> bool:
    return found.verdict in _SETTLED


def _gain(before: Difference, after: Difference) -> float | None:
    sizes = [each.measure.max_abs if each.measure else None for each in (before, after)]
    return None if sizes[0] is None or sizes[1] is None else sizes[0] - sizes[1]


def _noise(before: Difference, dtype: str | None, a: Record, b: Record, allowed: Allowances) -> float:
    """Return the largest |loss difference| that rounding in a dtype may make between the cells; 0: nobody can tell."""
    if before.measure is None or dtype is None:
        return 0.0
    found = allowed.of(a.cell.workload, dtype, before.measure.steps)
    if isinstance(found, Floor):
        return max(found.bound[: before.measure.steps], default=0.0)
    if isinstance(found, Tolerance):
        losses = arrays.decode([text for each in (a, b) if each.trajectory for text in each.trajectory.losses])
        return found.absolute + found.relative * float(abs(losses).max(initial=0.0))
    return 0.0


def usable(record: Record) -> bool:
    """Whether a record has one trajectory to compare."""
    return _unusable(record) is None


def _unusable(record: Record) -> str | None:
    if record.trajectory is None:
        return f"{record.outcome.value}: {record.reason}" if record.reason else record.outcome.value
    return "its repeats differ" if record.deterministic is False else None


def _sign(experiment: Experiment, own: Record) -> bool:
    """Whether bits, kernels or threads differ from those of the cell at its end."""
    found = experiment.record
    if found is None or _unusable(found):
        return False
    return found.trajectories != own.trajectories or _taken(found) != _taken(own)


def _taken(record: Record) -> tuple[dict[str, Any], Any]:
    """Return what was really taken; what was only declared is no sign."""
    kernels = dict(record.fingerprint.get("kernels", {}))
    taken = {name: value for name, value in kernels.items() if not name.endswith("_requested")}
    return taken, record.fingerprint.get("threads")
