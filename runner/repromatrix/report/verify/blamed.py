"""What a document blames, against an explanation as recomputed: the verdict and its rows, by another way."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from repromatrix.published.verdicts import Condition, Kind, Left, Tried, Word
from repromatrix.report.verify.flips import JudgedPair, Line, Seen
from repromatrix.results.experiments import Flip
from repromatrix.results.factors import option_factor, option_factors
from repromatrix.results.record import Record

_CAUSES = ("cause", "cause together")
Answer = tuple[Word, Condition | None, str | None]


def blamed(
    entries: Sequence[Mapping[str, str]], pair: JudgedPair, records: Mapping[str, Record]
) -> tuple[Answer, tuple[Tried, ...]]:
    """Return the verdict on what a statement blames, and the rows that it stands on."""
    own = [_thing(each, pair, records) for each in entries]
    names = {name for each in own for name in each.names}
    singles = [each for each in (*pair.singles, *pair.sets) if each.finding in _CAUSES]
    explaining = [*sorted(singles, key=lambda each: len(_names(each))), *pair.dissolving]
    whole = [_row(each, pair, names) for each in explaining]
    rows = []
    for each in (*own, *whole):
        if each not in rows:
            rows.append(each)
    answer = _answer(own, whole, pair)
    if answer[0] is Word.REFUTED and any(_open(_entry(each, pair)) for each in entries):
        answer = Word.NOT_TESTED, None, "the budget ended the search before all that is blamed was tested"
    return answer, tuple(rows)


def vanishing(pair: JudgedPair) -> tuple[Tried, ...]:
    """Return what leaves the same bits at some end of a pair that has other ones."""
    if pair.before.verdict == "identical":
        return ()
    every = (_row(each, pair, set()) for each in (*pair.singles, *pair.sets, *pair.conditions))
    return tuple(each for each in every if "identical" in [end.verdict for end in each.ends])


def smallest(rows: Sequence[Tried]) -> Condition | None:
    """Return the smallest changes of those that leave the same bits, with the cells that have them."""
    if not rows:
        return None
    least = min(len(each.names) for each in rows)
    names, cells = [], []
    for row in rows:
        if len(row.names) > least:
            continue
        names += [] if " + ".join(row.names) in names else [" + ".join(row.names)]
        for end in row.ends:
            if end.verdict == "identical" and end.cells not in cells:
                cells.append(end.cells)
    return Condition(kind=Kind.EXPERIMENT, names=tuple(names), cells=tuple((a, b) for a, b in cells))


def _answer(own: Sequence[Tried], whole: Sequence[Tried], pair: JudgedPair) -> Answer:
    if pair.before.verdict == "identical":
        return Word.REFUTED, None, None
    said = [" + ".join(each.names) for each in own]
    accounted = {name for each in whole for name in each.names}
    proven = {name for each in whole for name in each.names if set(each.names) <= set(said)}
    matter = [name for name, each in zip(said, own, strict=True) if each.finding == "contributes" or name in accounted]
    strange = [" + ".join(each.names) for each in whole if not set(each.names) & set(matter)]
    if set(said) <= proven:
        also = Condition(kind=Kind.ALSO, names=_once(strange)) if strange else None
        return (Word.CONDITION, also, None) if also else (Word.CONFIRMED, None, None)
    if matter:
        return Word.CONDITION, Condition(kind=Kind.CAUSES, names=_once(matter)), None
    if {each.finding for each in own} == {"not testable"}:
        return Word.NOT_TESTED, None, "no experiment could test what is blamed"
    if not strange:
        why = "no experiment accounts for the difference, with what is blamed or without it"
        return Word.NOT_TESTED, None, why
    return Word.REFUTED, None, None


def _once(texts: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(texts))


def _open(line: Line | None) -> bool:
    """Whether an end of it could still be run."""
    return line is not None and any(end.left for end in (line.change.a, line.change.b))


def _read(entry: Mapping[str, str]) -> tuple[str, str, str]:
    """Return what kind of thing is blamed, its name, and what an explanation calls it."""
    kind = next(iter(entry.keys() & {"factor", "option", "settings"}))
    return kind, entry[kind], f"{entry[kind]}={entry['value']}" if kind == "option" else entry[kind]


def _entry(entry: Mapping[str, str], pair: JudgedPair) -> Line | None:
    return _line(*_read(entry), entry.get("value"), pair)


def _thing(entry: Mapping[str, str], pair: JudgedPair, records: Mapping[str, Record]) -> Tried:
    kind, name, said = _read(entry)
    line = _entry(entry, pair)
    if line is not None:
        return _row(line, pair, set(_names(line)))
    values = [_value(records.get(run.id), name) for run in (pair.pair.a, pair.pair.b)]
    alike = kind == "factor" and values[0] is not None and values[0] == values[1]
    return Tried(
        between=(pair.pair.a.id, pair.pair.b.id),
        names=(said,),
        kind={"factor": "factors"}.get(kind, kind),
        blamed=True,
        finding="no difference" if alike else "not testable",
        ends=(),
    )


def _line(kind: str, name: str, said: str, value: Any, pair: JudgedPair) -> Line | None:
    for each in pair.conditions:
        if not isinstance(each.change, Flip) and (each.change.kind, each.change.name) == (kind, said):
            return each
    if kind == "settings":
        return None
    called = option_factor(name) if kind == "option" else name
    for factor in pair.pair.factors:
        if factor.name == called and (kind == "factor" or value in (factor.a, factor.b)):
            return next((each for each in pair.singles if _names(each) == (called,)), None)
    return None


def _value(record: Record | None, name: str) -> str | None:
    if record is None:
        return None
    if name in ("framework", "version", "flavour", "python", "dtype", "device"):
        return str(getattr(record.cell, name))
    return option_factors(record.factors).get(name)


def _names(line: Line) -> tuple[str, ...]:
    return (line.change.name,) if not isinstance(line.change, Flip) else line.change.factors


def _row(line: Line, pair: JudgedPair, names: set[str]) -> Tried:
    a, b = pair.pair.a.id, pair.pair.b.id
    ends = [_left("a", line.a, line.a.cell, b), _left("b", line.b, line.b.cell, a)]
    if line.both is not None:
        ends.append(_left("both", line.both, line.a.cell if line.both.verdict else None, line.b.cell))
    return Tried(
        between=(a, b),
        names=_names(line),
        kind=line.change.kind if not isinstance(line.change, Flip) else "factors",
        blamed=all(name in names for name in _names(line)),
        finding=line.finding,
        ends=tuple(ends),
    )


def _left(where: str, seen: Seen, changed: str | None, other: str | None) -> Left:
    found = [changed, other if seen.verdict else None]
    return Left(
        where=where,
        cells=tuple(each for each in found if each is not None),
        changed=seen.changed,
        verdict=seen.verdict,
        reason=seen.reason,
    )
