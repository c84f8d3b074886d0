"""Every statement of a published document -> its verdict, with the evidence: exact values and experiments. Pure.

The cells that answer for the columns decide; all other versions and settings of the run are looked at for conditions.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from repromatrix.compare import exact
from repromatrix.explain.judge.explanation import Explanation
from repromatrix.published import blame
from repromatrix.published.assertions import (
    Cause,
    Difference,
    Equal,
    NeverEqual,
    OnlyEqual,
    Ordering,
    Range,
    Statement,
)
from repromatrix.published.computed import Bench, Holds, apart
from repromatrix.published.figures import Check
from repromatrix.published.verdicts import Condition, Evidence, Judged, Kind, Measured, Pair, Word
from repromatrix.results.record import Record

NO_TEST = "its data file has no test that says what it means"


def judge(check: Check, records: Sequence[Record], explained: Sequence[Explanation]) -> tuple[Judged, ...]:
    """Give each statement of a table its verdict.

    Args:
        check: the table against the records.
        records: those of the run.
        explained: what experiments showed of pairs of its cells; none: causes are not tested.
    """
    bench = Bench(check, records, explained)
    return tuple(_statement(each, bench) for each in check.table.statements)


def _statement(statement: Statement, bench: Bench) -> Judged:
    found: _Found
    match statement.test:
        case None:
            found = _Found(word=Word.NOT_TESTED, reason=NO_TEST, evidence=Evidence(test=None))
        case Difference() as test:
            found = _difference(test, bench)
        case Equal() as test:
            found = _pairwise("equal", test.pairs, bench, exact.same_bits)
        case Ordering() as test:
            found = _pairwise("ordering", ((test.lower, test.higher),), bench, lambda a, b: a < b)
        case Range() as test:
            found = _range(test, bench)
        case OnlyEqual() as test:
            found = _only_equal(test, bench)
        case NeverEqual() as test:
            found = _never_equal(test, bench)
        case Cause() as test:
            found = _cause(test, bench)
    return Judged(
        id=statement.id,
        says=statement.says,
        word=found.word,
        reason=found.reason,
        condition=found.condition,
        evidence=found.evidence,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    word: Word
    evidence: Evidence
    condition: Condition | None = None
    reason: str | None = None


def _not_tested(test: str, reason: str) -> _Found:
    return _Found(word=Word.NOT_TESTED, reason=reason, evidence=Evidence(test=test))


def _difference(test: Difference, bench: Bench) -> _Found:
    pair = (test.a, test.b)
    lacking = bench.absent([pair], test.iteration)
    if lacking:
        return _not_tested("difference", lacking)
    zero = Fraction(test.value) == 0

    def holds(a: float, b: float) -> bool:
        # A stated zero says "the same", which is a matter of bits.
        far = apart(a, b)
        return exact.same_bits(a, b) if zero else far is not None and _rounds_to(far, test.value)

    found = bench.everywhere("difference", [pair], holds, test.iteration)
    one, other = map(Fraction, bench.printed(pair, test.iteration))
    printed, far = abs(one - other), bench.apart(pair, test.iteration)
    computed = None if far is None else _shown(far, test.value)
    evidence = replace(found, computed=computed, printed=_shown(printed, test.value))
    if not found.measured[0].whole and _rounds_to(printed, test.value):
        return _Found(word=Word.CONDITION, condition=Condition(kind=Kind.PRINTED), evidence=evidence)
    return _by_cells(evidence)


def _pairwise(name: str, pairs: Sequence[Pair], bench: Bench, holds: Holds) -> _Found:
    lacking = bench.absent(pairs)
    if lacking:
        return _not_tested(name, lacking)
    return _by_cells(bench.everywhere(name, pairs, holds))


def _by_cells(evidence: Evidence) -> _Found:
    """Judge what must hold at every step of every pair of columns."""
    failing = tuple(each.cells for each in evidence.measured if not each.whole)
    if not failing:
        return _Found(word=Word.CONFIRMED, evidence=evidence)
    condition: Condition | None = None
    if all(each.whole for each in evidence.own):
        condition = Condition(kind=Kind.EXCEPT, cells=failing)
    elif steps := _everywhere(evidence.own):
        condition = Condition(kind=Kind.STEPS, steps=steps)
    else:
        whole = [each for each in evidence.measured if each.whole]
        if {(each.a, each.b) for each in evidence.own} == {(each.a, each.b) for each in whole}:
            condition = Condition(kind=Kind.ONLY, cells=tuple(each.cells for each in whole))
    return _Found(word=Word.CONDITION if condition else Word.REFUTED, condition=condition, evidence=evidence)


def _everywhere(measured: Sequence[Measured]) -> tuple[int, ...]:
    """Return the steps at which a statement holds of all pairs that have them."""
    every = range(1, max((each.steps for each in measured), default=0) + 1)
    return tuple(step for step in every if all(step in each.holds or step > each.steps for each in measured))


def _range(test: Range, bench: Bench) -> _Found:
    lacking = bench.absent(test.pairs)
    if lacking:
        return _not_tested("range", lacking)
    low, high = Fraction(test.low), Fraction(test.high)

    def holds(a: float, b: float) -> bool:
        far = apart(a, b)
        return far is not None and low <= far <= high

    return _by_cells(Evidence(test="range", limits=(test.low, test.high), measured=bench.own(test.pairs, holds)))


def _only_equal(test: OnlyEqual, bench: Bench) -> _Found:
    lacking = bench.absent((*test.pairs, test.pair))
    if lacking:
        return _not_tested("only_equal", lacking)
    same = tuple(each for each in bench.own(test.pairs, exact.same_bits) if each.holds)
    right = [({each.a, each.b}, each.holds) for each in same] == [(set(test.pair), (test.iteration,))]
    evidence = Evidence(test="only_equal", measured=same)
    return _Found(word=Word.CONFIRMED if right else Word.REFUTED, evidence=evidence)


def _never_equal(test: NeverEqual, bench: Bench) -> _Found:
    lacking = bench.absent(test.pairs)
    if lacking:
        return _not_tested("never_equal", lacking)
    found = bench.everywhere("never_equal", test.pairs, lambda a, b: not exact.same_bits(a, b))
    looked = [cells for pair in test.pairs if frozenset(cells := bench.cells(pair)) in bench.explained]
    tried = tuple(each for cells in looked for each in blame.equalling(bench.explained[frozenset(cells)]))
    evidence = replace(found, explained=tuple(looked), tried=tried)
    if any(not each.holds for each in evidence.own):
        return _Found(word=Word.REFUTED, evidence=evidence)
    same = tuple(each.cells for each in evidence.measured if not each.holds)
    if same:
        return _Found(word=Word.CONDITION, condition=Condition(kind=Kind.EXCEPT, cells=same), evidence=evidence)
    condition = blame.least(tried)
    return _Found(word=Word.CONDITION if condition else Word.CONFIRMED, condition=condition, evidence=evidence)


def _cause(test: Cause, bench: Bench) -> _Found:
    lacking = bench.absent([test.pair])
    if lacking:
        return _not_tested("cause", lacking)
    cells = bench.cells(test.pair)
    explanation = bench.explained.get(frozenset(cells))
    if explanation is None:
        return _not_tested("cause", f"no experiment on {cells[0]} and {cells[1]}; make them: repromatrix explain")
    found = blame.blame(test.blamed, explanation, bench.records)
    evidence = Evidence(test="cause", explained=((explanation.a, explanation.b),), tried=found.tried)
    return _Found(word=found.word, reason=found.reason, condition=found.condition, evidence=evidence)


def _rounds_to(value: Fraction, text: str) -> bool:
    return Fraction(exact.rounded(value, text)) == Fraction(text) if Fraction(text) else value == 0


def _shown(value: Fraction, like: str) -> str:
    """Return a difference at the stated digits; where those are a zero, at three of its own."""
    return exact.rounded(value, like if Fraction(like) else f"{float(value):.2e}")
