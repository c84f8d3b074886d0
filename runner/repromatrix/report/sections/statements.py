"""What a published document says beside its figures: the verdict on each statement, its condition and evidence."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from repromatrix.published.verdicts import Condition, Evidence, Judged, Kind, Left, Measured, Tried, Word
from repromatrix.report import section as base
from repromatrix.report import wording
from repromatrix.report.run import Run, Table
from repromatrix.report.section import Brief, Headline, Nothing, Part, Section
from repromatrix.report.sentence import Sentence, sentence

PLACE = 100
Document = Nothing  # the verdicts stand beside their table (`published`)
_FEW = 3
_PLACES = {"a": "at A's end", "b": "at B's end", "both": "at both ends"}
_ORDER = (Word.REFUTED, Word.CONDITION, Word.NOT_TESTED, Word.CONFIRMED)
_LOOKS = {Word.CONFIRMED: "yes", Word.CONDITION: "part", Word.REFUTED: "off", Word.NOT_TESTED: "none"}


class ConditionPart(Part, frozen=True, kw_only=True):
    """On what a statement holds; `says`: in words."""

    kind: Kind
    steps: list[int]
    cells: list[tuple[str, str]]
    names: list[str]
    says: str


class EvidencePart(Part, frozen=True, kw_only=True):
    """What a verdict stands on; `says`: in words."""

    test: str | None
    computed: str | None
    printed: str | None
    limits: list[str]
    measured: list[Measured]
    others: int
    explained: list[tuple[str, str]]
    tried: list[Tried]
    says: str


class VerdictPart(Part, frozen=True, kw_only=True):
    """The verdict on a statement; `reason`: why it was not tested."""

    id: str
    says: str
    verdict: Word
    reason: str | None
    condition: ConditionPart | None
    evidence: EvidencePart


@dataclass(frozen=True, slots=True, kw_only=True)
class StatementRow:
    """One statement; `look` is the class of its verdict's cell."""

    id: str
    says: str
    verdict: str
    look: str
    condition: str
    evidence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TableStatements:
    """The statements of one table, what is wrong first; `total`: how many hold, in words."""

    place: int
    total: str
    rows: tuple[StatementRow, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Statements(Section):
    """The statements of all tables that make any."""

    tables: tuple[TableStatements, ...]


def build(run: Run) -> Statements:
    """Make the section."""
    having = [(place, table) for place, table in enumerate(run.tables, start=1) if table.judged]
    totals = [_total(table) for _, table in having]
    tables = tuple(
        TableStatements(place=place, total=total.text, rows=_rows(table.judged))
        for (place, table), total in zip(having, totals, strict=True)
    )
    verdicts = [[sentence_of(table.check.workload, judged) for judged in table.judged] for _, table in having]
    return Statements(
        sentences=tuple(each for total, own in zip(totals, verdicts, strict=True) for each in (total, *own)),
        links=tuple((f"p{table.place}-verdicts", "Right and wrong") for table in tables),
        headlines=tuple(
            Headline(group="agrees", words=table.total, link=f"p{table.place}-verdicts") for table in tables
        ),
        briefs=tuple(each for total, table in zip(totals, tables, strict=True) for each in _briefs(total, table)),
        tables=tables,
    )


def part(judged: Judged) -> VerdictPart:
    """Return a verdict as report.json has it beside the table."""
    condition, evidence = judged.condition, judged.evidence
    return VerdictPart(
        id=judged.id,
        says=judged.says,
        verdict=judged.word,
        reason=judged.reason,
        condition=None if condition is None else _condition_part(condition, on(judged)),
        evidence=EvidencePart(
            test=evidence.test,
            computed=evidence.computed,
            printed=evidence.printed,
            limits=list(evidence.limits),
            measured=list(evidence.measured),
            others=evidence.others,
            explained=list(evidence.explained),
            tried=list(evidence.tried),
            says=shown(judged),
        ),
    )


def _condition_part(found: Condition, says: str) -> ConditionPart:
    return ConditionPart(
        kind=found.kind, steps=list(found.steps), cells=list(found.cells), names=list(found.names), says=says
    )


def on(judged: Judged) -> str:
    """Return the condition in words, or why there is no verdict; empty without either."""
    return _condition(judged.condition) if judged.condition else judged.reason or ""


def shown(judged: Judged) -> str:
    """Return the evidence in words."""
    return _evidence(judged.evidence) if judged.word is not Word.NOT_TESTED or judged.evidence.tried else ""


def _rows(judged: Iterable[Judged]) -> tuple[StatementRow, ...]:
    return tuple(
        StatementRow(
            id=each.id,
            says=each.says,
            verdict=each.word.value,
            look=_LOOKS[each.word],
            condition=on(each),
            evidence=shown(each),
        )
        for each in sorted(judged, key=lambda each: _ORDER.index(each.word))
    )


def _total(table: Table) -> Sentence:
    """Count the verdicts on a document."""
    words = [judged.word for judged in table.judged]
    names = {
        "confirmed": Word.CONFIRMED,
        "with_condition": Word.CONDITION,
        "refuted": Word.REFUTED,
        "not_tested": Word.NOT_TESTED,
    }
    counts: dict[str, Any] = {name: words.count(word) for name, word in names.items()}
    said = ", ".join(f"{counts[name]} {word.value}" for name, word in names.items() if counts[name])
    source, workload = table.check.table.source, table.check.workload
    cells = tuple(dict.fromkeys(cell for judged in table.judged for cell in judged.evidence.cells))
    return sentence(
        "published_verdict_totals", f"verdicts/{workload}", f"Of {len(words)} statements of {source}: {said}", cells,
        workload=workload, source=source, statements=len(words), **counts,
    )  # fmt: skip


def sentence_of(workload: str, judged: Judged) -> Sentence:
    """Return the verdict on a statement as a sentence."""
    condition = f" ({on(judged)})" if on(judged) else ""
    evidence = f": {shown(judged)}" if shown(judged) else ""
    return sentence(
        "published_verdict",
        f"verdict/{workload}/{judged.id}",
        f"{judged.id}, “{judged.says}”: {judged.word.value}{condition}{evidence}",
        judged.evidence.cells,
        workload=workload,
        name=judged.id,
        says=judged.says,
        verdict=judged.word,
        reason=judged.reason,
        condition=judged.condition,
        evidence=judged.evidence,
    )


def _briefs(total: Sentence, table: TableStatements) -> Iterable[Brief]:
    yield from base.brief("What the published table got right and wrong", [total])
    rows = [
        (row.id, _cut(row.says, 200), row.verdict, _cut(row.condition, 300) or wording.NOTHING, _cut(row.evidence, 300))
        for row in table.rows
        if row.look != "yes"
    ]
    head = ("statement", "what it says", "verdict", "condition, or why not", "evidence")
    yield from base.table("Statements that are not simply confirmed", head, rows)


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _condition(found: Condition) -> str:
    between = _several(f"{a} and {b}" for a, b in found.cells)
    names = ", ".join(found.names)
    said = {
        Kind.PRINTED: "only of the printed figures",
        Kind.STEPS: f"only at {_steps(found.steps)}",
        Kind.EXCEPT: f"not between {between}",
        Kind.ONLY: f"only between {between}",
        Kind.EXPERIMENT: f"not with {' or '.join(found.names)} changed: the same bits in {between}",
        Kind.CAUSES: f"of what is blamed, {names}",
        Kind.ALSO: f"as well as {names}",
    }
    return said[found.kind]


def _evidence(found: Evidence) -> str:
    own = found.own
    match found.test:
        case "difference":
            said = f"{found.computed or 'no finite number'} computed, {found.printed} between the printed figures"
        case "equal" | "ordering":
            word = "the same bits" if found.test == "equal" else "lower"
            said = _several(_pair(each, word) for each in own)
        case "never_equal":
            said = _never(found)
        case "range":
            said = _range(own, found.limits)
        case "only_equal":
            longest = sorted(own, key=lambda each: -len(each.holds))
            said = f"{_pairs(own)} the same bits at some step{': ' if own else ''}{_several(map(_where, longest))}"
        case "cause":
            said = _cause(found.tried)
        case _:
            return ""
    others = _others(found)
    return f"{said}{'; ' if said and others else ''}{others}"


def _others(found: Evidence) -> str:
    """Return what other versions and settings say, if there are any."""
    if not found.others:
        return ""
    unlike = sum(not each.own for each in found.measured)
    pairs = "1 other pair of cells" if found.others == 1 else f"{found.others} other pairs of cells"
    return f"{'another answer' if unlike else 'the same answer'} in {f'{unlike} of ' if unlike else ''}{pairs}"


def _pair(found: Measured, word: str) -> str:
    most = None if found.most is None else float.fromhex(found.most)
    far = f", at most {wording.distance(most)} apart" if most else ""
    where = f"at {_steps(found.holds)} of {found.steps}" if found.holds else f"at none of {found.steps} steps"
    return f"{found.a} and {found.b}: {word} {where}{far}"


def _where(found: Measured) -> str:
    return f"{found.a} and {found.b} ({_steps(found.holds)})"


def _pairs(found: Sequence[Measured]) -> str:
    return "1 pair of columns has" if len(found) == 1 else f"{len(found)} pairs of columns have"


def _never(found: Evidence) -> str:
    same = [each for each in found.own if not each.holds]
    if same:
        said = f"{_pairs(same)} the same bits: {_several(f'{each.a} and {each.b}' for each in same)}"
    else:
        said = f"none of {len(found.own)} pairs of columns has the same bits at every step"
    looked = f"; {len(found.explained)} of them were experimented on" if found.explained else "; no experiment was made"
    tried = sorted(found.tried, key=lambda each: len(each.names))
    left = [f"{each.said} of {' and '.join(each.between)}" for each in tried]
    return f"{said}{looked}{f', the same bits after changing {_several(left)}' if left else ''}"


def _range(own: Sequence[Measured], limits: Sequence[str]) -> str:
    low, high = limits
    least = [float.fromhex(each.least) for each in own if each.least is not None]
    most = [float.fromhex(each.most) for each in own if each.most is not None]
    ends = f", {wording.distance(min(least))} to {wording.distance(max(most))} apart" if least else ""
    below, above = sum(each < float(low) for each in least), sum(each > float(high) for each in most)
    return (
        f"{len(own)} pairs of columns{ends}: {sum(each.whole for each in own)} of them in the range at every step, "
        f"{below} closer than {low} at some step, {above} further apart than {high} at some step"
    )


def _cause(tried: Sequence[Tried]) -> str:
    blamed = [each for each in tried if each.blamed]
    others = [f"{each.said}{_ends(each.ends)}" for each in tried if not each.blamed]
    said = [f"experiments show the cause: {', or '.join(others)}"] if others else []
    if len(blamed) < _FEW:
        said += [f"{each.said}: {each.finding}{_ends(each.ends)}" for each in blamed]
    else:
        findings = dict.fromkeys(each.finding for each in blamed)
        said += [f"{word}: {', '.join(each.said for each in blamed if each.finding == word)}" for word in findings]
    return "; ".join(said)


def _ends(ends: Sequence[Left]) -> str:
    """Return what was left at each end, equal ends together."""
    said: dict[str, list[str]] = {}
    for end in ends:
        unchanged = "no bit changes, " if end.changed is False else ""
        text = f"{unchanged}{end.verdict}" if end.verdict else f"not tested ({end.reason})"
        said.setdefault(text, []).append(_PLACES[end.where])
    parts = "; ".join(f"{text} {', '.join(places)}" for text, places in said.items())
    return f" ({parts})" if parts else ""


def _steps(steps: Sequence[int]) -> str:
    """Return steps with their runs joined: `steps 1, 3 to 10`."""
    runs: list[list[int]] = []
    for step in steps:
        if runs and runs[-1][1] == step - 1:
            runs[-1][1] = step
        else:
            runs.append([step, step])
    said = ", ".join(str(first) if first == last else f"{first} to {last}" for first, last in runs)
    return f"step{'' if len(steps) == 1 else 's'} {said}"


def _several(texts: Iterable[str]) -> str:
    """Return the first few texts, and how many more there are."""
    found = list(texts)
    more = len(found) - _FEW
    return "; ".join([*found[:_FEW], *([f"and {more} more"] if more > 0 else [])])
