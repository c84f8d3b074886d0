"""Explanations of pairs -> the claims that the report makes of them."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from repromatrix.compare.allowance import Allowances
from repromatrix.compare.classes import Class
from repromatrix.compare.difference import Difference, Verdict
from repromatrix.explain.judge.explanation import Explanation, explanations
from repromatrix.explain.judge.findings import ConditionRow, End, Finding, Row
from repromatrix.report.claims.base import Claim
from repromatrix.report.claims.explanations import (
    CauseTotals,
    Explained,
    ExplanationTotals,
    FactorTotals,
    NotAttributed,
)
from repromatrix.report.claims.flips import ConditionVerdict, FactorVerdict, Seen
from repromatrix.results.experiments import ORIGINS, Experiments, Pair, Side
from repromatrix.results.manifest import Entry
from repromatrix.results.record import Record

_ORDER = tuple(each.value for each in Finding)


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """A pair of this run with its explanation."""

    pair: Pair
    explanation: Explanation

    @property
    def differs(self) -> bool:
        """Whether there is anything to explain."""
        return self.explanation.before.verdict is not Verdict.IDENTICAL

    @property
    def causes(self) -> tuple[Row, ...]:
        """The smallest sets of factors that account for the difference."""
        return self.explanation.causes


@dataclass(frozen=True, slots=True, kw_only=True)
class Tale:
    """What the report says of experiments: the pairs of this run, and how many are of an earlier one by origin."""

    told: tuple[Told, ...] = ()
    outdated: Mapping[str, int]


def tale(
    experiments: Experiments, entries: Iterable[Entry], records: Mapping[str, Record], allowed: Allowances
) -> Tale:
    """Judge the pairs whose cells are those of this run, or that somebody asked for.

    Args:
        experiments: what was tried.
        entries: those of the manifest.
        records: by key, what the experiments stand on.
        allowed: who tells rounding from more.
    """
    keys = {each.id: each.key for each in entries}
    told: list[Told] = []
    outdated: Counter[str] = Counter()
    for pair in experiments.pairs:
        found = explanations(Experiments(pairs=(pair,)), records, allowed) if _current(pair, keys) else ()
        told += [Told(pair=pair, explanation=each) for each in found]
        outdated.update(() if found else pair.of)
    return Tale(told=tuple(told), outdated=outdated)


def _current(pair: Pair, keys: Mapping[str, str | None]) -> bool:
    """Whether this run has the pair's records; a cell that it was not asked for may be of a pair that was asked for."""
    absent = [run for run in (pair.a, pair.b) if keys.get(run.id) is None]
    return all(keys[run.id] == run.key for run in (pair.a, pair.b) if run not in absent) and (
        not absent or "asked" in pair.of
    )


def of_explanations(found: Tale, classes: Sequence[Class]) -> tuple[Claim, ...]:
    """Return what is said of experiments; nothing where there were none."""
    differing = [each for each in found.told if each.differs]
    names = {cell: each.name for each in classes for cell in each.cells}
    return (
        *_totals(found, classes),
        *_causes(differing),
        *_factors(differing),
        *(_pair(each, names) for each in differing),
        *(claim for each in differing for claim in _verdicts(each)),
    )


def _totals(found: Tale, classes: Sequence[Class]) -> Iterable[Claim]:
    for origin in ORIGINS:
        own = [each for each in found.told if origin in each.pair.of]
        if not own and not found.outdated.get(origin):
            continue
        apart = [each for each in own if each.differs]
        lost = [each for each in apart if not each.explanation.attributed]
        yield ExplanationTotals(
            cells=_cells(own),
            of=origin,
            pairs=len(apart),
            attributed=len(apart) - len(lost),
            not_attributed=len(lost),
            same=len(own) - len(apart),
            exhausted=sum(each.explanation.exhausted for each in lost),
            outdated=found.outdated.get(origin, 0),
            classes=len(classes) if origin == "classes" else 0,
        )


def _causes(differing: Sequence[Told]) -> Iterable[Claim]:
    groups: dict[tuple[tuple[tuple[str, ...], ...], tuple[str, ...]], list[Told]] = {}
    for each in differing:
        if each.explanation.attributed:
            causes = tuple(row.factors for row in each.causes)
            conditions = () if causes else tuple(row.name for row in each.explanation.dissolved)
            groups.setdefault((causes, conditions), []).append(each)
    for (causes, conditions), members in sorted(groups.items(), key=lambda item: -len(item[1])):
        yield CauseTotals(
            cells=_cells(members), causes=causes, conditions=conditions, pairs=len(members), among=len(differing)
        )


def _factors(differing: Sequence[Told]) -> Iterable[Claim]:
    found: dict[tuple[bool, str], list[tuple[Told, str]]] = {}
    for each in differing:
        for row in each.explanation.rows:
            found.setdefault((False, row.factors[0]), []).append((each, row.finding.value))
        for condition in each.explanation.conditions:
            found.setdefault((True, condition.name), []).append((each, condition.finding.value))
    for (condition_, name), seen in sorted(found.items(), key=lambda item: (item[0][0], -len(item[1]))):
        counted = Counter(finding for _, finding in seen)
        yield FactorTotals(
            cells=_cells([told for told, _ in seen]),
            name=name,
            condition=condition_,
            pairs=len(seen),
            findings=tuple((each, counted[each]) for each in _ORDER if counted[each]),
            together=sum(not condition_ and _in_a_set(told, name) for told, _ in seen),
        )


def _in_a_set(told: Told, name: str) -> bool:
    return any(name in row.factors for row in told.causes if len(row.factors) > 1)


def _pair(told: Told, names: Mapping[str, str]) -> Claim:
    found, causes = told.explanation, told.causes
    rows = [(" + ".join(each.factors), each.finding) for each in (*found.rows, *found.sets)]

    def with_finding(finding: Finding) -> tuple[str, ...]:
        return tuple(name for name, own in rows if own is finding)

    workload, _, _ = found.a.partition("/")
    words: dict[str, Any] = {
        "cells": (found.a, found.b),
        "workload": workload,
        "classes": (names.get(found.a), names.get(found.b)),
        "of": told.pair.of,
        "verdict": found.before.verdict.value,
        "max_abs": _size(found.before),
        "not_confirmed": with_finding(Finding.UNCONFIRMED),
        "coincidence": with_finding(Finding.COINCIDENCE),
        "contributes": with_finding(Finding.CONTRIBUTES),
        "inconclusive": with_finding(Finding.INCONCLUSIVE),
        "refuted": with_finding(Finding.REFUTED),
        "not_testable": with_finding(Finding.NOT_TESTABLE),
        "conditions": tuple((each.name, each.finding.value) for each in found.conditions),
    }
    if not found.attributed:
        return NotAttributed(**words, budget=found.budget, exhausted=found.exhausted)
    return Explained(
        **words,
        causes=tuple((each.factors, _verdict(each.a), _verdict(each.b)) for each in causes),
        untested=found.untested,
        dissolved=tuple((c.name, _left(c.a), _left(c.b), _left(c.both)) for c in found.dissolved),
        only=bool(causes) and len(found.factors) == 1,
    )


def _verdicts(told: Told) -> Iterable[Claim]:
    found = told.explanation
    values = {each.name: (each.name, each.a, each.b) for each in found.factors}
    trials = {each.factors: each for each in told.pair.flips}
    for row in (*found.rows, *found.sets):
        trial = trials[row.factors]
        a, b = _seen(row.a, trial.a), _seen(row.b, trial.b)
        yield FactorVerdict(
            cells=_with_hybrids(found, a, b),
            factors=tuple(values[name] for name in row.factors),
            finding=row.finding.value,
            a=a,
            b=b,
        )
    for condition, tried in zip(found.conditions, told.pair.conditions, strict=True):
        a, b = _seen(condition.a, tried.a), _seen(condition.b, tried.b)
        yield _condition(condition, _with_hybrids(found, a, b), a, b)


def _condition(row: ConditionRow, cells: tuple[str, ...], a: Seen, b: Seen) -> ConditionVerdict:
    both = replace(_seen(row.both, None), cell=None)
    return ConditionVerdict(
        cells=cells, name=row.name, changes=row.changes, finding=row.finding.value, a=a, b=b, both=both
    )


def _seen(end: End, attempt: Side | None) -> Seen:
    return Seen(
        cell=end.cell,
        key=attempt.run.key if attempt and attempt.run and end.cell else None,
        changed=end.changed,
        verdict=end.after.verdict.value if end.after else None,
        max_abs=_size(end.after) if end.after else None,
        share=None if end.share is None else end.share.hex(),
        reason=end.reason,
    )


def _size(found: Difference) -> str | None:
    return None if found.measure is None or found.measure.max_abs is None else float(found.measure.max_abs).hex()


def _verdict(end: End) -> str | None:
    return end.after.verdict.value if end.after else None


def _left(end: End) -> str | None:
    """Return what a condition leaves at an end where the difference vanishes."""
    return _verdict(end) if end.share == 1 else None


def _with_hybrids(found: Explanation, *ends: Seen) -> tuple[str, ...]:
    return tuple(dict.fromkeys((found.a, found.b, *(each.cell for each in ends if each.cell))))


def _cells(found: Iterable[Told]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(cell for each in found for cell in (each.explanation.a, each.explanation.b)))
