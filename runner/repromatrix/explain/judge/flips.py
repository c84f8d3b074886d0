"""Two records and the cells that were changed between them -> rows of an explanation. Pure.

A changed cell is that of one side (its end) with some factors taken from the other side, or under a condition.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from repromatrix.compare import arrays
from repromatrix.compare.allowance import Allowances, Floor, Tolerance
from repromatrix.compare.difference import Difference, Verdict, compare, judged
from repromatrix.explain.judge.chance import Evidence, counted, differences, differing, first_differing, total, weight
from repromatrix.explain.judge.findings import ConditionRow, End, Finding, Row
from repromatrix.floats import coarser
from repromatrix.results.experiments import Condition, Factor
from repromatrix.results.record import Record

_SETTLED = (Verdict.IDENTICAL, Verdict.ROUNDING)
# What may be said of an end alone while the other one could still be tested.
_HALF = {
    Finding.CAUSE: Finding.CONTRIBUTES,
    Finding.TOGETHER: Finding.CONTRIBUTES,
    Finding.REFUTED: Finding.INCONCLUSIVE,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Changed:
    """The record of a changed cell, or why there is none; `left`: it could be run, and the budget did not reach it.

    Attributes:
        members: by number, the same cell from inputs moved by one ULP.
    """

    record: Record | None = None
    reason: str | None = None
    left: bool = False
    members: Mapping[int, Record] = field(default_factory=dict)


class Judge:
    """Judges changed cells against two records that both have a trajectory."""

    def __init__(
        self,
        a: Record,
        b: Record,
        factors: Sequence[Factor],
        allowed: Allowances,
        members: tuple[Mapping[int, Record], Mapping[int, Record]] = ({}, {}),
    ) -> None:
        """Begin.

        Args:
            a: a record.
            b: the other.
            factors: in which they differ.
            allowed: who tells rounding from more.
            members: of A and of B, by number, from inputs moved by one ULP.
        """
        self._a, self._b, self._allowed = a, b, allowed
        self._members = members
        self._silent = {factor.name for factor in factors if factor.silent}
        self.before = compare(a, b, allowed)
        self._verdicts: dict[str, Verdict] = {}

    def row(self, factors: Sequence[str], at_a: Changed, at_b: Changed) -> Row:
        """Judge a flip at both ends."""
        # What took effect at one end was not ignored at the other, even where it changes nothing there.
        signs = [_sign(at_a, self._a), _sign(at_b, self._b)]
        ignored = set(factors) <= self._silent and not any(signs)
        a = self._end(at_a, self._a, self._b, ignored=ignored)
        b = self._end(at_b, self._b, self._a, ignored=ignored)
        finding = self._finding([end for end in (a, b) if end.after is not None], together=len(factors) > 1)
        return Row(factors=tuple(factors), a=a, b=b, finding=_final(finding, (at_a, at_b), (a, b)))

    def condition(self, condition: Condition, at_a: Changed, at_b: Changed) -> ConditionRow:
        """Judge a condition applied to A, to B and to both; `at_a`: A under it."""
        silent = condition.kind == "settings"
        signs = {"a": not silent or _sign(at_a, self._a), "b": not silent or _sign(at_b, self._b)}
        a = self._end(at_a, self._a, self._b, ignored=not signs["a"])
        b = self._end(at_b, self._b, self._a, ignored=not signs["b"])
        both = self._both(at_a, at_b, ignored=not any(signs.values()))
        ends = (both,) if both.after is not None else (a, b)
        return ConditionRow(
            name=condition.name,
            kind=condition.kind,
            changes=condition.changes,
            a=a,
            b=b,
            both=both,
            finding=_final(self._effect(a, b, both), (at_a, at_b), ends),
        )

    def _both(self, at_a: Changed, at_b: Changed, *, ignored: bool) -> End:
        """Judge A under a condition against B under it."""
        found = [at_a.record, at_b.record]
        reasons = [each.reason or (_unusable(each.record) if each.record else "not tried") for each in (at_a, at_b)]
        reason = next((each for each in reasons if each), "no sign that it took effect" if ignored else None)
        if found[0] is None or found[1] is None or reason is not None:
            return End(cell=None, changed=None, after=None, share=None, gain=None, reason=reason)
        members = {0: (found[0], found[1]), **_both(at_a.members, at_b.members)}
        return self._tested(members, cell=None, changed=None)

    def _effect(self, a: End, b: End, both: End) -> Finding:
        tested = [each for each in (a, b, both) if each.after is not None]
        if not tested:
            return Finding.NOT_TESTABLE
        won = any(end.won for end in tested)
        if won and (both.after is None or both.won):
            return Finding.CAUSE
        if won or any(map(self._shrinks, tested)):
            return Finding.CONTRIBUTES
        return Finding.REFUTED if all(map(_changes_nothing, tested)) else Finding.INCONCLUSIVE

    def _end(self, changed: Changed, own: Record, other: Record, *, ignored: bool) -> End:
        record = changed.record
        cell = record.cell.id if record else None
        reason = changed.reason or (_unusable(record) if record else "not tried")
        if reason is None and ignored:
            reason = "no sign that it took effect"
        if record is None or reason is not None:
            return End(cell=cell, changed=None, after=None, share=None, gain=None, reason=reason, left=changed.left)
        of_other = self._members[1] if other is self._b else self._members[0]
        pairs = {0: (record, other), **_both(changed.members, of_other)}
        return self._tested(pairs, cell=cell, changed=record.trajectories != own.trajectories)

    def _tested(self, pairs: Mapping[int, tuple[Record, Record]], *, cell: str | None, changed: bool | None) -> End:
        """Return an end by what separates the changed cell from the other one, and their members by number."""
        after = compare(*pairs[0], self._allowed)
        won = self._won(after, *pairs[0])
        beyond = None if won or after.verdict is not Verdict.IDENTICAL else first_differing(*pairs[0])
        return End(
            cell=cell,
            changed=changed,
            after=after,
            share=1.0 if won else self._share(after),
            gain=_gain(self.before, after),
            reason=None,
            won=won,
            beyond=f"{beyond[0]} of step {beyond[1]}" if beyond else None,
            evidence=self._evidence(pairs, after) if won else None,
        )

    def _evidence(self, pairs: Mapping[int, tuple[Record, Record]], after: Difference) -> Evidence:
        """Return what speaks for it that a change which works does not do so by chance."""
        if pairs[0][0].key == pairs[0][1].key:
            return Evidence(elements=0, proven=True)
        own = _both(*self._members)
        # Of two dtypes made one, rounding may be left; chance makes no dtype of another.
        joined = self._a.cell.dtype != self._b.cell.dtype and len({record.cell.dtype for record in pairs[0]}) == 1
        seen = {differences(self._a, self._b)}
        members, failed, agreed = 0, 0, 0
        for number in sorted(own.keys() & pairs.keys()):
            judge = Judge(*own[number], (), self._allowed)
            found = differences(*own[number])
            agreed += not found
            if not found or (after.verdict is not Verdict.IDENTICAL and judge._settled_before(after.ulp_dtype)):
                continue
            members += 1
            seen.add(found)
            left = compare(*pairs[number], self._allowed)
            failed += not (judge._won(left, *pairs[number]) or (joined and _settled(left)))
        # Of two dtypes the coarser one: so far apart the sides were in what they then agree in.
        dtype = coarser(*(record.cell.dtype for record in pairs[0]))
        most = 0 if after.verdict is Verdict.IDENTICAL else after.measure.max_ulp if after.measure else None
        counts = [len(each) if most is None else weight(each, dtype, most) for each in seen]
        return Evidence(elements=counted(counts, agreed), members=members, failed=failed)

    def _share(self, after: Difference) -> float | None:
        gain, size = _gain(self.before, after), self.before.measure and self.before.measure.max_abs
        if gain is None or size is None:
            return None
        return max(0.0, gain / size) if size else 0.0

    def _finding(self, ends: Sequence[End], *, together: bool) -> Finding:
        afters = [each.after for each in ends if each.after is not None]
        if not afters:
            return Finding.NOT_TESTABLE
        won = any(end.won for end in ends)
        if won and all(map(_settled, afters)):
            return Finding.TOGETHER if together else Finding.CAUSE
        if won or any(map(self._shrinks, ends)):
            return Finding.CONTRIBUTES
        return Finding.REFUTED if all(map(_changes_nothing, ends)) else Finding.INCONCLUSIVE

    def _won(self, after: Difference, changed: Record, other: Record) -> bool:
        """Whether a change leaves the same bits in all that is recorded, or only noise where there was more."""
        same = after.verdict is Verdict.IDENTICAL and not differing(changed, other)
        return same or (_settled(after) and not self._settled_before(after.ulp_dtype))

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


def _final(finding: Finding, changed: Sequence[Changed], ends: Sequence[End]) -> Finding:
    """Return what may be said in the end: an end that could still be run may contradict, and chance may have helped."""
    if any(side.left for side in changed):
        return _HALF.get(finding, finding)
    if finding not in (Finding.CAUSE, Finding.TOGETHER):
        return finding
    evidence = total(end.evidence for end in ends if end.evidence)
    if evidence.enough:
        return finding
    return Finding.COINCIDENCE if evidence.failed else Finding.UNCONFIRMED


def _both(a: Mapping[int, Record], b: Mapping[int, Record]) -> dict[int, tuple[Record, Record]]:
    """Return the members, by number, of which both sides gave something to compare."""
    there = sorted(number for number in a.keys() & b.keys() if usable(a[number]) and usable(b[number]))
    return {number: (a[number], b[number]) for number in there}


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


def _sign(changed: Changed, own: Record) -> bool:
    """Whether bits, kernels or threads differ from those of the cell at its end."""
    found = changed.record
    if found is None or _unusable(found):
        return False
    return found.trajectories != own.trajectories or _taken(found) != _taken(own)


def _taken(record: Record) -> tuple[dict[str, Any], Any]:
    """Return what was really taken; what was only declared is no sign."""
    kernels = dict(record.fingerprint.get("kernels", {}))
    taken = {name: value for name, value in kernels.items() if not name.endswith("_requested")}
    return taken, record.fingerprint.get("threads")
