"""Why cells differ: what was changed on one side, one factor at a time and together, and what that showed."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import msgspec

from repromatrix.compare.classes import Class
from repromatrix.compare.difference import Difference
from repromatrix.compare.size import size as in_words
from repromatrix.compare.size import sized
from repromatrix.explain.judge.explanation import Explanation
from repromatrix.explain.judge.findings import ConditionRow, End, Finding, Row
from repromatrix.report import section as base
from repromatrix.report import wording
from repromatrix.report.explained import ExplainedPair, ExplainedPairs
from repromatrix.report.plain import plain
from repromatrix.report.run import Run
from repromatrix.report.section import Brief, Headline, Part, Section
from repromatrix.report.sentence import Sentence, hexadecimal, sentence
from repromatrix.results.experiments import Side

PLACE = 30
UNEXPLAINED = "unexplained"
# The findings of a factor by itself, in the order in which they are shown; that of a set is `cause together`.
FINDINGS = tuple(each.value for each in Finding)
ALONE = tuple(each for each in FINDINGS if each != Finding.TOGETHER)
_WINNING = (Finding.CAUSE, Finding.TOGETHER)
_SHOWED = {
    Finding.CAUSE: "{it} vanished",
    Finding.UNCONFIRMED: "{it} vanished, which so few elements may do by chance",
    Finding.COINCIDENCE: "{it} vanished by chance",
    Finding.CONTRIBUTES: "{it} shrank",
    Finding.INCONCLUSIVE: "{it} shrank by no more than rounding",
    Finding.REFUTED: "{it} did not shrink",
    Finding.NOT_TESTABLE: "this could not be tested",
}
_LEFT = {"identical": "the same bits", "rounding": "no more than rounding"}
_ENDS = ("at A's end", "at B's end", "at both")
_TWO = 2
_LARGEST = 3  # unexplained pairs on the first screen

Names = tuple[str, ...]


class PairPart(Part, frozen=True, kw_only=True):
    """A pair of cells with different bits; what was tried is in the sentences about its factors and conditions."""

    a: str
    b: str
    names: Annotated[
        list[str], msgspec.Meta(min_length=2, max_length=2, description="columns, classes, or the cells themselves")
    ]
    difference: str
    explained: bool
    cause: Annotated[str, msgspec.Meta(description="what the difference comes from, or that it is unexplained")]
    share: Annotated[str, msgspec.Meta(description="how much of it the cause explains, at A's end | at B's")]


class Document(Part, frozen=True, kw_only=True):
    """Pairs of cells with different bits on which there were experiments."""

    explanations: list[PairPart]


@dataclass(frozen=True, slots=True, kw_only=True)
class PairRow:
    """A pair of cells with different bits.

    Attributes:
        names: what the cells stand for: published columns, else classes, else the cells themselves; `classes` beside
            it where they are columns.
        share: how much of the difference the cause explains, at A's end and at B's.
        rest: (finding, names) of what is no cause.
    """

    names: tuple[str, str]
    classes: str
    a_cell: str
    b_cell: str
    difference: str
    cause: str
    explained: bool
    share: str
    rest: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FactorRow:
    """A factor or a condition over all pairs; `counts` in the order of `ALONE`, `together`: cause in a set."""

    name: str
    pairs: int
    counts: tuple[int, ...]
    together: int
    condition: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanations(Section):
    """All pairs.

    Attributes:
        pairs: those without a cause first, then in the order of the experiments.
        total: how many of them are explained, in words; empty without experiments.
        causes: (name, whether it is a cause at all, how many pairs have it).
    """

    pairs: tuple[PairRow, ...]
    total: str
    causes: tuple[tuple[str, bool, int], ...]
    factors: tuple[FactorRow, ...]
    findings: tuple[str, ...] = ALONE


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What was seen of one experiment: a cell that was changed, held against the one that was not.

    Attributes:
        cell: the changed one's id; None: there is none.
        key: its record's.
        changed: whether any bit of it differs from the cell that it was made of; None: not tested.
        verdict: what separates it from the other cell; None: not tested, and `reason` says why.
        first_difference: the first step whose losses differ.
        max_abs: by how much at most, hexadecimal; None also where that is not finite.
        max_ulp: the same in ULPs of the coarser dtype.
        beyond: the first recorded value that differs although every metric is the same.
        share: how much of the difference that explains, hexadecimal; None: not tested, or not finite.
    """

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

    @property
    def text(self) -> str:
        """The outcome in words."""
        if self.verdict is None:
            return f"not tested ({self.reason})"
        unchanged = "no bit changes, " if self.changed is False else ""
        if self.beyond is not None:
            return f"{unchanged}the same losses, but {self.beyond} still differs"
        far = f" by {_far(self.max_abs, self.max_ulp, self.first_difference)}" if self.max_abs is not None else ""
        share = f", {wording.share(self.share)} explained" if self.share is not None else ""
        return f"{unchanged}{self.verdict}{'' if self.verdict == 'identical' else far}{share}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """Factors that were flipped, or a condition that was applied, and what was seen at each end.

    Attributes:
        name: as the tables have it.
        values: (name, its value in A, in B) of the factors; of a condition what it sets, without values of A and B.
        condition: whether it is one.
        ends: at A, at B, and of a condition at both.
    """

    names: Names
    values: tuple[tuple[str, ...], ...]
    finding: str
    condition: bool
    ends: tuple[Seen, ...]

    @property
    def name(self) -> str:
        """It in words."""
        return f"condition {self.names[0]}" if self.condition else " + ".join(self.names)


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """A pair with all that was tried on it."""

    pair: ExplainedPair
    tried: tuple[Tried, ...]
    names: tuple[str | None, str | None]

    @property
    def cells(self) -> tuple[str, str]:
        """The two cells."""
        return self.pair.explanation.a, self.pair.explanation.b

    @property
    def explained(self) -> bool:
        """Whether an experiment shows the cause."""
        return self.pair.explanation.explained

    @property
    def causes(self) -> tuple[Names, ...]:
        """The smallest sets of factors that are a cause."""
        return tuple(row.factors for row in self.pair.explanation.causes)

    @property
    def conditions(self) -> Names:
        """The conditions that make the difference vanish, where no factors do."""
        return () if self.causes else tuple(row.name for row in self.pair.explanation.dissolved)

    @property
    def operations(self) -> Names:
        """The operations that differ on the same inputs."""
        return self.pair.explanation.operations

    @property
    def cause(self) -> str:
        """The cause in words; a condition of which nothing shows that it changes the operations is none."""
        if self.operations and not self.causes and self.explained:
            return f"operations: {', '.join(self.operations)}"
        return causes_in_words(self.causes, self.conditions) if self.explained else UNEXPLAINED


def build(run: Run) -> Explanations:
    """Make the section."""
    names = run.class_names
    told = tuple(_told(pair, names) for pair in run.explained.differing)
    ordered = (*(each for each in told if not each.explained), *(each for each in told if each.explained))
    total = tuple(_total(run.explained, told, run.classes))
    causes, factors = _causes(told), _factors(told)
    lost = tuple(_pair(each) for each in told if not each.explained)
    columns = _columns(run)
    rows = tuple(_row(each, columns) for each in ordered)
    return Explanations(
        part=Document(explanations=[_part(row) for row in rows]),
        sentences=(
            *total,
            *(text for text, _ in causes),
            *(text for text, _ in factors),
            *map(_pair, told),
            *(_verdict(each, tried) for each in told for tried in each.tried),
        ),
        data={"experiments": _data(ordered)},
        links=(("explanations", "Why they differ"),),
        headlines=tuple(_headlines(total, ordered, {record.cell.id: record.cell.dtype for record in run.records})),
        briefs=_briefs(total, [text for text, _ in causes], [text for text, _ in factors], lost),
        pairs=rows,
        total="".join(each.text for each in total),
        causes=_cause_rows(causes, len(lost)),
        factors=tuple(row for _, row in factors),
    )


def causes_in_words(causes: Iterable[Names], conditions: Iterable[str] = ()) -> str:
    """Return what explains a difference, each alone: `dtype`, `gradient + layout or framework`, `condition avx2`."""
    return " or ".join([*(" + ".join(names) for names in causes), *(f"condition {name}" for name in conditions)])


def _told(pair: ExplainedPair, names: Mapping[str, str]) -> Told:
    found = pair.explanation
    values = {factor.name: (factor.name, factor.a, factor.b) for factor in found.factors}
    flips = {flip.factors: flip for flip in pair.pair.flips}
    alone = [_flip(row, flips[row.factors].a, flips[row.factors].b, values) for row in (*found.rows, *found.sets)]
    conditions = [
        _condition(row, condition.a, condition.b)
        for row, condition in zip(found.conditions, pair.pair.conditions, strict=True)
    ]
    return Told(pair=pair, tried=(*alone, *conditions), names=(names.get(found.a), names.get(found.b)))


def _flip(row: Row, a: Side, b: Side, values: Mapping[str, tuple[str, ...]]) -> Tried:
    return Tried(
        names=row.factors,
        values=tuple(values[name] for name in row.factors),
        finding=row.finding.value,
        condition=False,
        ends=(_seen(row.a, a), _seen(row.b, b)),
    )


def _condition(row: ConditionRow, a: Side, b: Side) -> Tried:
    both = _seen(row.both, None)
    return Tried(
        names=(row.name,),
        values=row.changes,
        finding=row.finding.value,
        condition=True,
        ends=(_seen(row.a, a), _seen(row.b, b), both),
    )


def _seen(end: End, attempt: Side | None) -> Seen:
    return Seen(
        cell=end.cell if attempt else None,
        key=attempt.run.key if attempt and attempt.run and end.cell else None,
        changed=end.changed,
        verdict=end.after.verdict.value if end.after else None,
        first_difference=_measured(end, "first_difference"),
        max_abs=_size(end.after) if end.after else None,
        max_ulp=_measured(end, "max_ulp"),
        beyond=end.beyond,
        share=hexadecimal(end.share),
        reason=end.reason,
    )


def _total(explained: ExplainedPairs, told: Sequence[Told], classes: Sequence[Class]) -> Iterable[Sentence]:
    """Say once how many pairs are explained; nothing where there were no experiments."""
    if not explained.pairs and not explained.outdated:
        return
    lost = [each for each in told if not each.explained]
    values: dict[str, Any] = {
        "pairs": len(told),
        "explained": len(told) - len(lost),
        "unexplained": len(lost),
        "exhausted": sum(each.pair.explanation.exhausted for each in lost),
        "same": len(explained.pairs) - len(told),
        "outdated": explained.outdated,
        "classes": len(classes) if any("classes" in pair.pair.of for pair in explained.pairs) else 0,
    }
    cells = _cells([pair.explanation.a, pair.explanation.b] for pair in explained.pairs)
    yield sentence("explanation_totals", "explanations", _total_text(values), cells, **values)


def _total_text(values: Mapping[str, int]) -> str:
    pairs, lost = wording.pairs(values["pairs"]), values["unexplained"]
    said = [f"For {wording.count(values['explained'])} of {pairs} an experiment shows the cause"]
    some = "" if values["exhausted"] == lost else f" {wording.count(values['exhausted'])} of them"
    budget = f",{some} because the budget of experiments ran out"
    if lost:
        said.append(f"{wording.count(lost)} {_is(lost)} unexplained{budget if values['exhausted'] else ''}")
    if values["same"]:
        said.append(f"{wording.count(values['same'])} more {'has' if values['same'] == 1 else 'have'} the same bits")
    if values["classes"] > _TWO:
        classes = wording.count(values["classes"])
        said.append(f"Of {classes} classes only the pairs that tell the most were looked at")
    if values["outdated"]:
        said.append(f"{wording.pairs(values['outdated'])} of an earlier run {_is(values['outdated'])} left out")
    return ". ".join(said) + "."


def _is(number: int) -> str:
    return "is" if number == 1 else "are"


def _causes(told: Sequence[Told]) -> list[tuple[Sentence, tuple[str, int]]]:
    """Count the pairs by what explains them, the most frequent first."""
    groups: dict[str, list[Told]] = {}
    for each in told:
        if each.explained:
            groups.setdefault(each.cause, []).append(each)
    ordered = sorted(groups.items(), key=lambda item: -len(item[1]))
    return [_cause_total(name, members, len(told)) for name, members in ordered]


def _cause_total(name: str, members: Sequence[Told], among: int) -> tuple[Sentence, tuple[str, int]]:
    causes, conditions = members[0].causes, members[0].conditions
    # The smallest sets count, so all have one size.
    together = max(map(len, causes), default=0) > 1
    how = "" if not causes else " together" if together else " alone"
    text = f"{name}{how}: the cause in {wording.count(len(members))} of {wording.pairs(among)}"
    cells = _cells(each.cells for each in members)
    said = sentence(
        "cause_totals", f"cause/{name}", text, cells,
        causes=causes, conditions=conditions, pairs=len(members), among=among,
    )  # fmt: skip
    return said, (name, len(members))


def _cause_rows(causes: Iterable[tuple[Sentence, tuple[str, int]]], lost: int) -> tuple[tuple[str, bool, int], ...]:
    rows = [(name, True, pairs) for _, (name, pairs) in causes]
    none = [(UNEXPLAINED, False, lost)] if lost else []
    return tuple(sorted([*none, *rows], key=lambda row: -row[2]))


def _factors(told: Sequence[Told]) -> list[tuple[Sentence, FactorRow]]:
    """Count what changing each factor alone, or applying each condition, showed; the most frequent first."""
    found: dict[tuple[bool, str], list[tuple[Told, str]]] = {}
    for each in told:
        for tried in each.tried:
            if len(tried.names) == 1:
                found.setdefault((tried.condition, tried.names[0]), []).append((each, tried.finding))
    ordered = sorted(found.items(), key=lambda item: (item[0][0], -len(item[1])))
    return [_factor_total(name, seen, condition=condition) for (condition, name), seen in ordered]


def _factor_total(name: str, seen: Sequence[tuple[Told, str]], *, condition: bool) -> tuple[Sentence, FactorRow]:
    counts = Counter(finding for _, finding in seen)
    in_a_set = [any(len(names) > 1 and name in names for names in each.causes) for each, _ in seen]
    row = FactorRow(
        name=name,
        pairs=len(seen),
        counts=tuple(counts[each] for each in ALONE),
        together=0 if condition else sum(in_a_set),
        condition=condition,
    )
    said = sentence(
        "factor_totals",
        f"{'condition' if condition else 'factor'}-totals/{name}",
        factor_text(row),
        _cells(each.cells for each, _ in seen),
        name=name,
        condition=condition,
        pairs=len(seen),
        findings=[(finding, counts[finding]) for finding in ALONE if counts[finding]],
        together=row.together,
    )
    return said, row


def factor_text(row: FactorRow) -> str:
    """Say in how many pairs the difference vanished, shrank or stayed."""
    counts = [(finding, count) for finding, count in zip(ALONE, row.counts, strict=True) if count]
    said = [
        ("" if count == row.pairs else f"in {wording.count(count)} ")
        + _SHOWED.get(Finding(finding), finding).format(it="it" if place else "the difference")
        for place, (finding, count) in enumerate(counts)
    ]
    did, where = "changed only" if not row.condition else "applied the condition", wording.pairs(row.pairs)
    more = f"; together with other factors it is the cause in {wording.count(row.together)}" if row.together else ""
    return f"We {did} {row.name} {'to' if row.condition else 'in'} {where}: {', '.join(said)}{more}"


def _pair(told: Told) -> Sentence:
    """Say of a pair what its difference comes from, or that nothing that was tried explains it."""
    found, (a, b) = told.pair.explanation, told.names
    workload = found.a.partition("/")[0]
    size = _size(found.before)
    values: dict[str, Any] = {
        "workload": workload,
        "classes": told.names,
        "of": told.pair.pair.of,
        "verdict": found.before.verdict.value,
        "first_difference": found.before.measure.first_difference if found.before.measure else None,
        "max_abs": size,
        "max_ulp": found.before.measure.max_ulp if found.before.measure else None,
        "findings": _by_finding(told, condition=False),
        "conditions": [(tried.names[0], tried.finding) for tried in told.tried if tried.condition],
    }
    classes = f" ({a or wording.NOTHING} and {b or wording.NOTHING} of {workload})" if a or b else ""
    far = f" by up to {in_words(found.before)}" if size is not None else ""
    head = f"{found.a} and {found.b}{classes} differ{far}, {found.before.verdict.value}"
    name = "/".join(told.cells)
    if not told.explained:
        budget = f". The budget of {wording.count(found.budget)} cells ran out" if found.exhausted else ""
        nearly = f". Nearest: {found.nearly}" if found.nearly else ""
        text = f"{head}: unexplained by all that was tried{nearly}{found.in_operations}{_rest(told)}{budget}"
        values |= {"budget": found.budget, "exhausted": found.exhausted}
        return sentence("unexplained", f"unexplained/{name}", text, told.cells, **values)
    values |= {
        "causes": [(row.factors, _verdict_at(row.a), _verdict_at(row.b)) for row in found.causes],
        "untested": found.untested,
        "dissolved": [(row.name, _left(row.a), _left(row.b), _left(row.both)) for row in found.dissolved],
        "only": bool(told.causes) and len(found.factors) == 1,
    }
    text = f"{head}: {_cause_text(values, found)}{_rest(told)}"
    return sentence("explained", f"explained/{name}", text, told.cells, shown=False, **values)


def _cause_text(values: Mapping[str, Any], found: Explanation) -> str:
    conditions = "; ".join(f"{name} leaves {_leaves(left)}" for name, *left in values["dissolved"]) + found.doubt
    if not values["causes"] and found.operations:
        return (
            f"no factor that could be tested explains it, but operations do{found.in_operations}. It also vanishes "
            f"under a condition that neither cell has: {conditions}"
        )
    if not values["causes"]:
        return (
            "no factor that could be tested explains it. It vanishes under a condition that neither cell has, and "
            f"comes from what that changes: {conditions}"
        )
    said = "; or ".join(map(_one_cause, values["causes"]))
    only = ". It is the only factor in which they differ" if values["only"] else ""
    smaller = ", ".join(" + ".join(names) for names in values["untested"])
    apart = f". Not tested without the rest: {smaller}" if smaller else ""
    more = f". It also vanishes under a condition that neither cell has: {conditions}" if conditions else ""
    return f"the cause is {said}{only}{apart}{found.in_operations}{more}"


def _one_cause(cause: tuple[Names, str | None, str | None]) -> str:
    names, *left = cause
    how = "together" if len(names) > 1 else "alone"
    lacking = [side for side, verdict in zip("AB", left, strict=True) if verdict is None]
    only = f" (not tested at {lacking[0]}'s end)" if lacking else ""
    return f"{' + '.join(names)}, which changed {how} leaves {_leaves(left)}{only}"


def _leaves(found: Sequence[str | None]) -> str:
    ends = [f"{_LEFT.get(verdict, verdict)} {place}" for verdict, place in zip(found, _ENDS, strict=False) if verdict]
    return " and ".join(ends)


def _by_finding(told: Told, *, condition: bool) -> dict[str, list[str]]:
    """Return the names of what was tried and is no cause, by what was found."""
    tried = [each for each in told.tried if each.condition is condition]
    found = {word: [_plain_name(each) for each in tried if each.finding == word] for word in FINDINGS}
    return {word: names for word, names in found.items() if names and word not in _WINNING}


def _plain_name(tried: Tried) -> str:
    return " + ".join(tried.names)


def _rest(told: Told) -> str:
    said = [f"{finding}: {', '.join(names)}" for finding, names in _by_finding(told, condition=False).items()]
    conditions = _by_finding(told, condition=True).items()
    said += [f"{finding} as a condition: {', '.join(names)}" for finding, names in conditions]
    return "".join(f"; {each}" for each in said)


def _verdict(told: Told, tried: Tried) -> Sentence:
    """Say what changing factors, or applying a condition, showed on a pair."""
    a, b, *both = tried.ends
    changed = [end.cell for end in (a, b) if end.cell]
    cells, pair = tuple(dict.fromkeys((*told.cells, *changed))), " and ".join(told.cells)
    where = f"{'/'.join(told.cells)}/{'+'.join(tried.names)}"
    ends = {"a": a, "b": b}
    if both:
        sets = ", ".join(f"{name}={value}" for name, value in tried.values) or "sets nothing"
        text = (
            f"{pair}, condition {tried.names[0]} ({sets}): {tried.finding}; A under it against B {a.text}; B under it "
            f"against A {b.text}; both under it {both[0].text}"
        )
        values = {"name": tried.names[0], "changes": tried.values, "finding": tried.finding, **ends, "both": both[0]}
        return Sentence(
            id=f"condition/{where}", kind="condition_verdict", text=text, cells=cells, values=plain(values), shown=False
        )
    names = " + ".join(f"{name} ({value_a} against {value_b})" for name, value_a, value_b in tried.values)
    text = f"{pair}, {names}: {tried.finding}; changed at A's end {a.text}; at B's end {b.text}"
    values = {"factors": tried.values, "finding": tried.finding, **ends}
    return Sentence(
        id=f"factor/{where}", kind="factor_verdict", text=text, cells=cells, values=plain(values), shown=False
    )


def _row(told: Told, columns: Mapping[str, Sequence[str]]) -> PairRow:
    found = told.pair.explanation
    classes = [name or cell for name, cell in zip(told.names, told.cells, strict=True)]
    published = "published" in told.pair.pair.of
    titles = [" = ".join(columns.get(cell, ())) for cell in told.cells] if published else classes
    names = [title or own for title, own in zip(titles, classes, strict=True)]
    conditions = [(f"{word} as a condition", names) for word, names in _by_finding(told, condition=True).items()]
    return PairRow(
        names=(names[0], names[1]),
        classes=" · ".join(classes) if published else "",
        a_cell=found.a,
        b_cell=found.b,
        difference=f"{found.before.verdict.value} {in_words(found.before)}".rstrip(),
        cause=told.cause,
        explained=told.explained,
        share=_share(told),
        rest=(
            *([("nearest", found.nearly)] if found.nearly and not told.explained else ()),
            *((word, ", ".join(names)) for word, names in [*_by_finding(told, condition=False).items(), *conditions]),
        ),
    )


def _columns(run: Run) -> dict[str, list[str]]:
    """Return, by cell id, the published columns that it answers for."""
    found: dict[str, list[str]] = {}
    for table in run.tables:
        for column in table.check.newest:
            if column.cell:
                found.setdefault(column.cell, []).append(column.title)
    return found


def _share(told: Told) -> str:
    """Return how much the first cause explains at A's end and at B's; nothing without one."""
    names = told.causes[0] if told.causes else told.conditions[:1]
    shown = [each for each in told.tried if names and each.names == names and each.condition is not bool(told.causes)]
    return (
        f"{wording.share(shown[0].ends[0].share)} | {wording.share(shown[0].ends[1].share)}"
        if shown
        else wording.NOTHING
    )


def _part(row: PairRow) -> PairPart:
    names = ("difference", "explained", "cause", "share")
    return PairPart(**{name: getattr(row, name) for name in names}, a=row.a_cell, b=row.b_cell, names=list(row.names))


def _headlines(total: Sequence[Sentence], told: Sequence[Told], dtypes: Mapping[str, str]) -> Iterable[Headline]:
    """Yield the total and the largest differences without a cause, those within a dtype first."""
    for each in total:
        look = "note" if each.values["unexplained"] else "good"
        yield Headline(group="differs", words=each.text, link="explanations", look=look)
    if not total:
        none = "No experiment was run, so no cause is known: repromatrix explain"
        yield Headline(group="unexplained", words=none, link="explanations", look="dim")
    lost = [pair for pair in told if not pair.explained]

    def order(each: Told) -> tuple[bool, float]:
        a, b = (dtypes.get(cell) for cell in each.cells)
        size = _size(each.pair.explanation.before)
        return a != b, -float.fromhex(size) if size else 0.0

    for pair in sorted(lost, key=order)[:_LARGEST]:
        a, b = (name or cell for name, cell in zip(pair.names, pair.cells, strict=True))
        before = pair.pair.explanation.before
        far = f" by up to {in_words(before)}" if _size(before) else ""
        workload = pair.cells[0].partition("/")[0]
        more = f" of {workload} differ{far}, {before.verdict.value}: {' against '.join(pair.cells)}"
        yield Headline(group="unexplained", words=f"{a} and {b}", link="explanations", more=more)


def _briefs(
    total: Sequence[Sentence], causes: Sequence[Sentence], factors: Sequence[Sentence], lost: Sequence[Sentence]
) -> tuple[Brief, ...]:
    none = Brief(title="Why they differ", lines=("No experiment was run on these results: repromatrix explain",))
    found = base.brief("Why they differ", [*total, *causes])
    return (*(found or (none,)), *base.brief("What each change showed", factors), *base.brief("Unexplained", lost))


def _data(ordered: Iterable[Told]) -> dict[str, Any]:
    """Return the experiments on each pair of the table of pairs, in its order, with each text once.

    A pair is [A, B, rows]; a row: what was changed, its values in A and B, what was found, what was seen at each end;
    all of them places in `texts`.
    """
    texts: dict[str, int] = {}

    def place(text: str) -> int:
        return texts.setdefault(text, len(texts))

    pairs = [
        [*map(place, told.cells), [[place(text) for text in _texts(tried)] for tried in told.tried]] for told in ordered
    ]
    return {"texts": list(texts), "pairs": pairs}


def _texts(tried: Tried) -> list[str]:
    seen = [end.text for end in tried.ends]
    if tried.condition:
        return [tried.name, ", ".join(f"{name}={value}" for name, value in tried.values), "", tried.finding, *seen]
    values = list(tried.values[0][1:]) if len(tried.names) == 1 else ["", ""]
    return [tried.name, *values, tried.finding, *seen]


def _cells(pairs: Iterable[Sequence[str]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(cell for pair in pairs for cell in pair))


def _size(found: Difference) -> str | None:
    return hexadecimal(found.measure.max_abs) if found.measure else None


def _far(largest: str, ulps: int | None, first: int | None) -> str:
    return sized(float.fromhex(largest), ulps=ulps, dtype=None, relative=None, first=first)


def _measured(end: End, name: str) -> int | None:
    """Return a whole number of what was measured at an end."""
    found: int | None = getattr(end.after.measure, name) if end.after and end.after.measure else None
    return found


def _verdict_at(end: End) -> str | None:
    return end.after.verdict.value if end.after else None


def _left(end: End) -> str | None:
    """Return what a condition leaves at an end where the difference vanishes."""
    return _verdict_at(end) if end.share == 1 and not end.beyond else None
