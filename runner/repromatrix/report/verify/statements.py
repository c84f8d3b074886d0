"""A document's statements and the records -> the verdicts that a report must give, by another way.

Statements are read here from the document's own data; figures are decimals and fractions, bits are texts.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import combinations, product
from typing import Any

from repromatrix.published import setups
from repromatrix.published.verdicts import Condition, Evidence, Kind, Measured, Word
from repromatrix.report.verify import blamed, gaps
from repromatrix.report.verify.due import Due, due
from repromatrix.report.verify.flips import JudgedPair
from repromatrix.report.verify.gaps import Holds, Pair
from repromatrix.results.manifest import Published
from repromatrix.results.record import Record


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    word: Word
    evidence: Evidence
    condition: Condition | None = None
    reason: str | None = None


def verdicts(
    table: Published, losses: Sequence[Due], records: Sequence[Record], judged: Iterable[JudgedPair]
) -> Iterable[Due]:
    """Return every verdict that a report must give on a table's statements.

    Args:
        table: the document's data.
        losses: its columns as recomputed, in every setup.
        records: those of the run.
        judged: what experiments show, as recomputed.
    """
    entries = table.data.get("claims", [])
    court = _Court(table, losses, records, judged)
    yield from (_verdict(table.workload, each, court.judge(each)) for each in entries)


def _verdict(workload: str, entry: Mapping[str, Any], found: _Found) -> Due:
    return due(
        "published_verdict",
        f"verdict/{workload}/{entry['id']}",
        found.evidence.cells,
        workload=workload,
        name=entry["id"],
        says=entry.get("says") or _said(entry),
        verdict=found.word.value,
        reason=found.reason,
        condition=found.condition,
        evidence=found.evidence,
    )


def _said(entry: Mapping[str, Any]) -> str:
    stated = entry if entry.get("kind") == "difference" else entry["test"]
    apart = f"differ by {stated['value']}" if Decimal(stated["value"]) else "are the same"
    return f"{stated['a']} and {stated['b']} {apart} at iteration {stated['iteration']}"


class _Court:
    """The columns of a document with what computed them."""

    def __init__(
        self,
        table: Published,
        losses: Sequence[Due],
        records: Sequence[Record],
        judged: Iterable[JudgedPair],
    ) -> None:
        self._printed = table.data["losses"]
        self._records = {each.cell.id: each for each in records}
        self._tried = {frozenset((each.pair.a.id, each.pair.b.id)): each for each in judged}
        self._frameworks = {each.title: each.framework for each in table.columns}
        answering = [(each.values, each.cells[0]) for each in losses if each.cells and each.values["reason"] is None]
        self._own = {column["column"]: self._records[cell] for column, cell in answering if column["newest"]}
        self._others: dict[str, list[Record]] = {}
        for column, cell in answering:
            if not column["newest"]:
                self._others.setdefault(column["column"], []).append(self._records[cell])
        newest = [each.values for each in losses if each.values["newest"]]
        self._absent = {column["column"]: column["reason"] for column in newest}
        for title in self._printed:
            if title not in self._absent:
                self._absent[title] = self._missing(title, table.workload, records)

    def judge(self, entry: Mapping[str, Any]) -> _Found:
        """Return the verdict on a statement."""
        stated = entry if entry.get("kind") == "difference" else entry.get("test")
        if stated is None:
            reason = "its data file has no test that says what it means"
            return _Found(word=Word.NOT_TESTED, reason=reason, evidence=Evidence(test=None))
        name = "difference" if entry.get("kind") == "difference" else stated["type"]
        pairs, at = _pairs(stated, name), int(stated["iteration"]) if name == "difference" else 1
        lacking = self._lacking([*pairs, tuple(stated["pair"])] if name == "only_equal" else pairs, at)
        if lacking:
            return _Found(word=Word.NOT_TESTED, reason=lacking, evidence=Evidence(test=name))
        return {
            "difference": self._difference,
            "equal": lambda _, p: _everywhere(self._look("equal", p, gaps.same)),
            "ordering": lambda _, p: _everywhere(self._look("ordering", p, gaps.lower)),
            "range": self._range,
            "only_equal": self._only,
            "never_equal": self._never,
            "cause": self._cause,
        }[name](stated, pairs)

    def _missing(self, title: str, workload: str, records: Sequence[Record]) -> str:
        framework = self._frameworks.get(title)
        if framework is None:
            return "no variant is named for it"
        ran = any(each.cell.framework == framework for each in records)
        return f"no record of {framework}{f' with the workload {workload}' if ran else ''} in this run"

    def _lacking(self, pairs: Sequence[Pair], at: int) -> str | None:
        titles = list(dict.fromkeys(title for pair in pairs for title in pair))
        gone = [f"{each}: {self._absent[each] or 'this run has no losses of it'}" for each in titles
                if each not in self._own]  # fmt: skip
        short = [
            f"{title}: {record.cell.id} has no step {at}"
            for title, record in self._own.items()
            if title in titles and len(gaps.losses(record)) < at
        ]
        return "; ".join([*gone, *short]) or None

    def _look(self, name: str, pairs: Sequence[Pair], holds: Holds, at: int | None = None) -> Evidence:
        own, apart, others = [], [], 0
        for a, b in pairs:
            mine = gaps.measured((a, b), (self._own[a], self._own[b]), holds, at, own=True)
            own.append(mine)
            for left, right in self._versions(a, b, at or 1):
                others += 1
                found = gaps.measured((a, b), (left, right), holds, at, own=False)
                if _answer(found, name) != _answer(mine, name):
                    apart.append(found)
        return Evidence(test=name, measured=(*own, *apart), others=others)

    def _versions(self, a: str, b: str, at: int) -> Iterable[tuple[Record, Record]]:
        sides = [[self._own[title], *self._others.get(title, [])] for title in (a, b)]
        together = self._frameworks[a] == self._frameworks[b]
        for number, (left, right) in enumerate(product(*sides)):
            apart = together and setups.setup_of(left) != setups.setup_of(right)
            if number and not apart and all(len(gaps.losses(each)) >= at for each in (left, right)):
                yield left, right

    def _difference(self, stated: Mapping[str, Any], pairs: Sequence[Pair]) -> _Found:
        value, at = stated["value"], int(stated["iteration"])

        def holds(a: str, b: str) -> bool:
            far = gaps.apart(a, b)
            return a == b if not Decimal(value) else far is not None and gaps.is_printed(far, value)

        found = self._look("difference", pairs, holds, at)
        far = gaps.apart(*(gaps.losses(self._own[title])[at - 1] for title in pairs[0]))
        one, other = (Decimal(self._printed[title][at - 1]) for title in pairs[0])
        printed = gaps.between(one, other)
        evidence = Evidence(
            test="difference",
            computed=None if far is None else gaps.digits(far, value),
            printed=gaps.digits(printed, value),
            measured=found.measured,
            others=found.others,
        )
        right = not printed if not Decimal(value) else gaps.is_printed(printed, value)
        if right and not found.measured[0].holds:
            return _Found(word=Word.CONDITION, condition=Condition(kind=Kind.PRINTED), evidence=evidence)
        return _everywhere(evidence)

    def _range(self, stated: Mapping[str, Any], pairs: Sequence[Pair]) -> _Found:
        low, high = stated["low"], stated["high"]

        def holds(a: str, b: str) -> bool:
            far = gaps.apart(a, b)
            return far is not None and Decimal(low) <= far <= Decimal(high)

        own = self._look("range", pairs, holds).own
        return _everywhere(Evidence(test="range", limits=(low, high), measured=own))

    def _only(self, stated: Mapping[str, Any], pairs: Sequence[Pair]) -> _Found:
        same = tuple(each for each in self._look("only_equal", pairs, gaps.same).own if each.holds)
        one = len(same) == 1 and sorted((same[0].a, same[0].b)) == sorted(stated["pair"])
        right = one and same[0].holds == (stated["iteration"],)
        return _Found(
            word=Word.CONFIRMED if right else Word.REFUTED, evidence=Evidence(test="only_equal", measured=same)
        )

    def _never(self, _: Mapping[str, Any], pairs: Sequence[Pair]) -> _Found:
        found = self._look("never_equal", pairs, lambda a, b: a != b)
        cells = [(self._own[a].cell.id, self._own[b].cell.id) for a, b in pairs]
        looked = tuple(each for each in cells if frozenset(each) in self._tried)
        tried = tuple(row for each in looked for row in blamed.vanishing(self._tried[frozenset(each)]))
        evidence = Evidence(
            test="never_equal", measured=found.measured, others=found.others, explained=looked, tried=tried
        )
        same = [each for each in evidence.measured if not each.holds]
        if any(each.own for each in same):
            return _Found(word=Word.REFUTED, evidence=evidence)
        condition = blamed.smallest(tried)
        if same:
            condition = Condition(kind=Kind.EXCEPT, cells=tuple(each.cells for each in same))
        return _Found(word=Word.CONDITION if condition else Word.CONFIRMED, condition=condition, evidence=evidence)

    def _cause(self, stated: Mapping[str, Any], pairs: Sequence[Pair]) -> _Found:
        a, b = (self._own[title].cell.id for title in pairs[0])
        found = self._tried.get(frozenset((a, b)))
        if found is None:
            reason = f"no experiment on {a} and {b}; make them: repromatrix explain"
            return _Found(word=Word.NOT_TESTED, reason=reason, evidence=Evidence(test="cause"))
        (word, condition, why), tried = blamed.blamed(stated["blamed"], found, self._records)
        evidence = Evidence(test="cause", explained=((found.pair.a.id, found.pair.b.id),), tried=tried)
        return _Found(word=word, condition=condition, reason=why, evidence=evidence)


def _pairs(stated: Mapping[str, Any], name: str) -> list[Pair]:
    if name == "difference":
        return [(stated["a"], stated["b"])]
    if name == "ordering":
        return [(stated["lower"], stated["higher"])]
    if name == "cause":
        a, b = stated["columns"]
        return [(a, b)]
    if "pairs" in stated:
        return [(a, b) for a, b in stated["pairs"]]
    if stated.get("others"):
        return list(product(stated["columns"], stated["others"]))
    return list(combinations(stated["columns"], 2))


def _everywhere(evidence: Evidence) -> _Found:
    """Return the verdict on what must hold at each step, between all cells."""
    own = evidence.own
    good, bad = (
        [each for each in evidence.measured if (len(each.holds) == each.steps) is want] for want in (True, False)
    )
    condition = None
    if not bad:
        return _Found(word=Word.CONFIRMED, evidence=evidence)
    if all(each in good for each in own):
        condition = Condition(kind=Kind.EXCEPT, cells=tuple(each.cells for each in bad))
    else:
        longest = max(each.steps for each in own)
        steps = [
            step for step in range(1, longest + 1) if not any(step <= e.steps and step not in e.holds for e in own)
        ]
        if steps:
            condition = Condition(kind=Kind.STEPS, steps=tuple(steps))
        elif {(e.a, e.b) for e in own} == {(e.a, e.b) for e in good}:
            condition = Condition(kind=Kind.ONLY, cells=tuple(each.cells for each in good))
    return _Found(word=Word.CONDITION if condition else Word.REFUTED, condition=condition, evidence=evidence)


def _answer(found: Measured, name: str) -> bool:
    return bool(found.holds) if name == "never_equal" else len(found.holds) == found.steps > 0
