"""What a document blames a difference on, against the explanation of the experiments on those two cells. Pure."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from repromatrix.compare.difference import Verdict
from repromatrix.explain.judge.explanation import Explanation
from repromatrix.explain.judge.findings import ConditionRow, End, Finding, Row
from repromatrix.published.assertions import Blamed
from repromatrix.published.verdicts import Condition, Kind, Left, Tried, Word
from repromatrix.results.factors import option_factor, option_factors
from repromatrix.results.record import Record

# By the ids of the two cells, whichever comes first.
Explanations: TypeAlias = dict[frozenset[str], Explanation]

NO_DIFFERENCE = "no difference"
_NONE_TESTED = "no experiment could test what is blamed"
_UNFINISHED = "the budget ended the search before all that is blamed was tested"
_NOT_ATTRIBUTED = "no experiment accounts for the difference, with what is blamed or without it"
_DESCRIBED = ("framework", "version", "flavour", "python", "dtype", "device")


@dataclass(frozen=True, slots=True, kw_only=True)
class Blame:
    """What experiments make of what is blamed, and the rows of the explanation behind it."""

    word: Word
    reason: str | None
    condition: Condition | None
    tried: tuple[Tried, ...]


def blame(blamed: Sequence[Blamed], explanation: Explanation, records: Mapping[str, Record]) -> Blame:
    """Judge whether what is blamed is the cause.

    Confirmed: each of the things blamed accounts for the whole difference, or all of them together, and nothing else
    does. Refuted: none of those that could be tested does or contributes, all of them were tested, and something else
    accounts for it.
    """
    own = [_blamed(each, explanation, records) for each in blamed]
    names = {name for each in own for name in each.names}
    rows: tuple[Row | ConditionRow, ...] = (*explanation.explaining, *explanation.dissolved)
    whole = [_tried(explanation, each, names) for each in rows]
    word, condition, reason = _word(own, whole, explanation)
    if word is Word.REFUTED and any(_unfinished(each, explanation) for each in blamed):
        word, reason = Word.NOT_TESTED, _UNFINISHED
    return Blame(word=word, reason=reason, condition=condition, tried=tuple(dict.fromkeys((*own, *whole))))


def _word(
    own: Sequence[Tried], whole: Sequence[Tried], explanation: Explanation
) -> tuple[Word, Condition | None, str | None]:
    """Return the verdict on what is blamed (`own`), given the rows that account for the whole difference."""
    if explanation.before.verdict is Verdict.IDENTICAL:
        return Word.REFUTED, None, None
    blamed = {name for each in own for name in each.names}
    proven = {name for each in whole if each.blamed for name in each.names}
    # What takes part in the difference, though not alone, or only with what is not blamed.
    partly = {each.said for each in own if each.finding == Finding.CONTRIBUTES}
    partly |= {name for each in whole for name in each.names if name in blamed}
    others = tuple(dict.fromkeys(each.said for each in whole if not partly & set(each.names)))
    if blamed <= proven:
        condition = Condition(kind=Kind.ALSO, names=others) if others else None
        return (Word.CONDITION if condition else Word.CONFIRMED), condition, None
    if partly:
        some = tuple(dict.fromkeys(each.said for each in own if each.said in partly))
        return Word.CONDITION, Condition(kind=Kind.CAUSES, names=some), None
    if all(each.finding == Finding.NOT_TESTABLE for each in own):
        return Word.NOT_TESTED, None, _NONE_TESTED
    return (Word.REFUTED, None, None) if others else (Word.NOT_TESTED, None, _NOT_ATTRIBUTED)


def equalling(explanation: Explanation) -> tuple[Tried, ...]:
    """Return the experiments that leave the same bits at some end, of cells that differ themselves."""
    if explanation.before.verdict is Verdict.IDENTICAL:
        return ()
    rows: tuple[Row | ConditionRow, ...] = (*explanation.rows, *explanation.sets, *explanation.conditions)
    tried = [_tried(explanation, each, set()) for each in rows]
    return tuple(each for each in tried if any(end.verdict == Verdict.IDENTICAL for end in each.ends))


def least(tried: Iterable[Tried]) -> Condition | None:
    """Return on what a difference depends: the smallest changes of those that make it vanish."""
    found = sorted(tried, key=lambda each: len(each.names))
    smallest = [each for each in found if len(each.names) == len(found[0].names)]
    names = dict.fromkeys(each.said for each in smallest)
    cells = [(end.cells[0], end.cells[1]) for each in smallest for end in each.ends if end.verdict == Verdict.IDENTICAL]
    return Condition(kind=Kind.EXPERIMENT, names=tuple(names), cells=tuple(dict.fromkeys(cells))) if cells else None


def _blamed(thing: Blamed, explanation: Explanation, records: Mapping[str, Record]) -> Tried:
    """Return the row of what is blamed; of what both cells have alike, that; else that nobody could test it."""
    row = _row(thing, explanation)
    if row is not None:
        return _tried(explanation, row, {row.name} if isinstance(row, ConditionRow) else set(row.factors))
    a, b = (_state(records.get(cell)).get(thing.name) for cell in (explanation.a, explanation.b))
    alike = thing.kind == "factor" and a is not None and a == b
    return Tried(
        between=(explanation.a, explanation.b),
        names=(thing.said,),
        kind="factors" if thing.kind == "factor" else thing.kind,
        blamed=True,
        finding=NO_DIFFERENCE if alike else Finding.NOT_TESTABLE.value,
        ends=(),
    )


def _unfinished(thing: Blamed, explanation: Explanation) -> bool:
    row = _row(thing, explanation)
    return row is not None and (row.a.left or row.b.left)


def _row(thing: Blamed, explanation: Explanation) -> Row | ConditionRow | None:
    if thing.kind != "factor":
        found = [each for each in explanation.conditions if (each.kind, each.name) == (thing.kind, thing.said)]
        if found:
            return found[0]
    # One side may have the value already: then it is no condition but a factor of the pair.
    name = option_factor(thing.name) if thing.kind == "option" else thing.name
    known = [each for each in explanation.factors if each.name == name and thing.kind != "settings"]
    if not known or (thing.kind == "option" and thing.value not in (known[0].a, known[0].b)):
        return None
    return next((each for each in explanation.rows if each.factors == (name,)), None)


def _state(record: Record | None) -> dict[str, str]:
    if record is None:
        return {}
    return option_factors(record.factors) | {name: getattr(record.cell, name) for name in _DESCRIBED}


def _tried(explanation: Explanation, row: Row | ConditionRow, blamed: set[str]) -> Tried:
    names = (row.name,) if isinstance(row, ConditionRow) else row.factors
    return Tried(
        between=(explanation.a, explanation.b),
        names=names,
        kind=row.kind if isinstance(row, ConditionRow) else "factors",
        blamed=blamed >= set(names),
        finding=row.finding.value,
        ends=tuple(_ends(row)),
    )


def _ends(row: Row | ConditionRow) -> Iterator[Left]:
    named: list[tuple[str, End]] = [("a", row.a), ("b", row.b)]
    if isinstance(row, ConditionRow):
        named.append(("both", row.both))
    for where, end in named:
        cells: tuple[str, ...] = (end.cell,) if end.cell else ()
        if end.after is not None:
            cells = (end.after.a, end.after.b)
        yield Left(
            where=where,
            cells=cells,
            changed=end.changed,
            verdict=end.after.verdict.value if end.after else None,
            reason=end.reason,
        )
