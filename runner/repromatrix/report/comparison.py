"""A comparison -> its view, frozen and in words; what text, Markdown, JSON and JUnit are made of."""

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from repromatrix.compare.arrays import Measure
from repromatrix.compare.difference import Verdict
from repromatrix.compare.groups import Group
from repromatrix.compare.pair import Pair, Terms, Value
from repromatrix.compare.pairs import Comparison, Mode
from repromatrix.compare.rules import Rule as Description
from repromatrix.compare.series import Rule
from repromatrix.floats import FORMS, ordinal
from repromatrix.report import wording

COLUMNS = ("verdict", "first", "ULP", "absolute", "relative", "scaled", "digits", "growth", "state")
_DETAILED = 4  # pairs whose first differing step is shown
_MEMBERS = 3
_FEW = 20  # pairs that are all listed, those with nothing to tell too


@dataclass(frozen=True, slots=True, kw_only=True)
class PairRow:
    """A pair in words.

    Attributes:
        label: both sides, or the one cell of two folders.
        figures: in the order of the columns.
        folded: `identical` or `missing` where a page for people may leave it out, its number being told.
        passes: what the exit code goes by.
    """

    a: str
    b: str
    label: str
    figures: tuple[str, ...]
    pairs: str
    reason: str | None
    passes: bool
    folded: str | None
    detail: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupRow:
    """A class in words."""

    name: str
    count: int
    what: str
    rule: str
    members: str


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """Everything that is shown; `comparison` holds the exact values for JSON, `command` is what was typed."""

    comparison: Comparison
    terms: Terms
    passes: bool
    title: str
    notes: tuple[str, ...]
    groups: tuple[GroupRow, ...]
    pairs: tuple[PairRow, ...]
    absent: tuple[str, ...]
    verdicts: str
    judged: str
    judged_by: tuple[str, ...]
    caveats: tuple[str, ...]
    command: str = "compare"


def build(comparison: Comparison, terms: Terms, notes: Sequence[str] = ()) -> View:
    """Return a comparison in words.

    Args:
        comparison: what was found.
        terms: what passes.
        notes: what the caller has to say, before the comparison's own notes.
    """
    folds = _folds(comparison, terms)
    detailed = len(comparison.pairs) <= _DETAILED
    differences = [each.difference for each in comparison.pairs]
    judged = [each.difference for each in comparison.pairs if each.rule is not Rule.SHOWN]
    caveats = Counter(caveat for each in judged for caveat in each.caveats)
    return View(
        comparison=comparison,
        terms=terms,
        passes=comparison.passes(terms),
        title=f"{len(comparison.series):,} series, {counted(comparison.total, 'pair')}",
        notes=(*notes, *comparison.notes),
        groups=tuple(map(_group, comparison.groups)),
        pairs=tuple(
            _row(each, comparison, terms, folded=fold, detailed=detailed)
            for each, fold in zip(comparison.pairs, folds, strict=True)
        ),
        absent=tuple(f"{each.name}: {each.absent}" for each in comparison.series if each.absent),
        verdicts=", ".join(f"{count:,} {verdict.value}" for verdict, count in comparison.verdicts.items()) or "none",
        judged=_judged(comparison, terms),
        judged_by=tuple(dict.fromkeys(each.judged_by for each in differences if each.judged_by)),
        caveats=tuple(text if count == 1 else f"{text} ({count} pairs)" for text, count in caveats.items()),
    )


def of_golden(comparison: Comparison, terms: Terms, golden: str) -> View:
    """Return a comparison with a golden in words.

    Args:
        comparison: what was found.
        terms: what passes.
        golden: what the golden is called.
    """
    view = build(comparison, terms)
    counted_ = [each for each in comparison.pairs if each.rule is not Rule.SHOWN]
    fine = sum(each.passes(terms) for each in counted_)
    judged = f"{fine:,} of {counted(len(counted_), 'metric')} {'is' if len(counted_) == 1 else 'are'} as expected"
    return replace(view, title=f"checked against {golden}", judged=judged, command="check")


def _judged(comparison: Comparison, terms: Terms) -> str:
    """Return what the exit code goes by, and how the weights are."""
    states = Counter[str]()
    for each in comparison.pairs:
        states[state(each)] += each.stands_for
    found = ", ".join(
        f"{count:,} {'unknown' if name == wording.NOTHING else name}"
        for name, count in sorted(states.items(), reverse=True)
    )
    weights = f"weights after the last update: {found or 'unknown'}"
    if terms.state:
        return f"judged are the metrics and, where both sides have them, the weights (--state); {weights}"
    return f"judged are the metrics alone; {weights} (--state makes other weights fail too)"


def _folds(of: Comparison, terms: Terms) -> list[str | None]:
    """Tell of each pair whether a page for people may leave it out, and as what: of many cells the untold ones."""
    if of.mode is not Mode.SAME_ID or of.by_class or len(of.pairs) <= _FEW:
        return [None] * len(of.pairs)
    found: list[str | None] = []
    missing = 0
    strict = Terms(state=terms.state)
    for each in of.pairs:
        missing += each.difference.verdict is Verdict.MISSING
        lost = each.difference.verdict is Verdict.MISSING and missing > _FEW
        found.append("identical" if each.passes(strict) and not each.other_state else "missing" if lost else None)
    return found


def state(pair: Pair) -> str:
    """Return whether the weights after the last update have the same bits, in a word."""
    same = pair.difference.same_state
    if same is None:
        return "mixed" if pair.other_state else wording.NOTHING
    return "same" if same else "other"


def _row(pair: Pair, of: Comparison, terms: Terms, *, folded: str | None, detailed: bool) -> PairRow:
    found, verdict = pair.difference.measure, pair.difference.verdict.value
    if pair.difference.verdict is Verdict.INCOMPARABLE and found is not None and found.first_difference is None:
        found = None  # of two lengths: what the common steps say stands in the reason
    same_cell = of.mode is Mode.SAME_ID and not of.by_class
    return PairRow(
        a=pair.difference.a,
        b=pair.difference.b,
        label=pair.cells[0] if same_cell else _label(pair),
        figures=(
            verdict if pair.exact else f"{verdict}~",
            wording.NOTHING if found is None else wording.step(found.first_difference),
            wording.count(found.max_ulp if found and pair.exact else None),
            wording.distance(found.max_abs if found else None),
            wording.distance(found.max_rel if found else None),
            wording.distance(found.scaled if found else None),
            _digits(found),
            wording.NOTHING if found is None or found.growth is None else f"{found.growth:.3g}",
            state(pair),
        ),
        pairs=f"{pair.stands_for:,}",
        reason="; ".join(_reasons(pair, terms)) or None,
        passes=pair.passes(terms),
        folded=folded,
        detail=_detail(pair) if detailed else (),
    )


def _reasons(pair: Pair, terms: Terms) -> Iterator[str]:
    if pair.difference.reason:
        yield pair.difference.reason
    if pair.untold:
        more = "allowed by --allow printed" if terms.printed else "needs --allow printed to pass"
        yield f"{counted(pair.untold, 'step')} written otherwise, with too few digits to tell: {more}"
    if not pair.deterministic:
        yield "not deterministic"
    if pair.rule is Rule.SHOWN:
        yield f"shown, not judged: --metric {pair.metric} makes it count"
    elif pair.rule is not Rule.JUDGED:
        yield f"judged as {pair.rule.value} (--metric)"


def _label(pair: Pair) -> str:
    both = f"{pair.difference.a} | {pair.difference.b}"
    return f"{both}  {_members(pair.cells)}" if pair.cells else both


def _digits(found: Measure | None) -> str:
    if found is None or found.unmeasured is not None or not found.steps:
        return wording.NOTHING
    return "all" if found.digits is None else f"{max(found.digits, 0.0):.1f}"


def _detail(pair: Pair) -> tuple[str, ...]:
    found, point = pair.difference.measure, pair.first
    if found is None or point is None:
        return ()
    values = [
        (decimal(each), *(text or wording.NOTHING for text in (hexadecimal(each), pattern(each))), each.dtype)
        for each in (point.a, point.b)
    ]
    widths = [max(len(each[at]) for each in values) for at in range(4)]
    logged = "" if point.label is None else f", {point.label} of the logs"
    lines = [f"of {counted(found.steps, 'step')}, the first that differs is {point.step:,}{logged}:"]
    for name, each in zip("ab", values, strict=True):
        cells = "  ".join(cell.ljust(width) for cell, width in zip(each, widths, strict=True))
        lines.append(f"{name}  {cells}".rstrip())
    if found.max_abs is not None:
        lines.append(
            f"tolerance that would have been needed: {wording.distance(found.max_abs)} absolute, "
            f"or {wording.distance(found.max_rel)} relative"
        )
    return tuple(lines)


def decimal(value: Value) -> str:
    """Return a number as it was written, or in as many digits as tell it apart."""
    return value.written or f"{value.number:.{FORMS[value.dtype].digits}g}"


def hexadecimal(value: Value) -> str | None:
    """Return the exact value; None: the digits do not tell it."""
    return value.number.hex() if value.told else None


def pattern(value: Value) -> str | None:
    """Return the bits; None: the digits do not tell them."""
    return bits(value.number, value.dtype) if value.told else None


def bits(value: float, dtype: str) -> str:
    """Return the bit pattern of a value of a dtype: sign, exponent, significand; NaN has many: `nan`."""
    if math.isnan(value):
        return "nan"
    form = FORMS[dtype]
    width = form.precision + form.exponent_bits - 1  # without the sign
    pattern = f"{abs(ordinal(value, dtype)):0{width}b}"
    sign = "1" if math.copysign(1, value) < 0 else "0"
    return f"{sign} {pattern[: form.exponent_bits]} {pattern[form.exponent_bits :]}"


def _group(group: Group) -> GroupRow:
    return GroupRow(
        name=group.name,
        count=len(group.members),
        what=" ".join(each for each in (group.workload, group.dtype, counted(group.steps, "step")) if each),
        rule="" if group.rule is None else rule(group.rule),
        members=_members(group.members),
    )


def _members(names: Sequence[str]) -> str:
    more = len(names) - _MEMBERS
    return ", ".join(names[:_MEMBERS]) + (f" and {more:,} more" if more > 0 else "")


def rule(found: Description) -> str:
    """Return a rule in words: `framework torch; update parallel or sequential`."""
    terms = [
        "; ".join(f"{name} {' or '.join(values)}" for name, values in each.factors) or "all cells"
        for each in found.terms
    ]
    if found.without:
        terms.append(f"{counted(len(found.without), 'cell')} that no rule separates")
    return ", or ".join(terms)


def counted(count: int, word: str, plural: str | None = None) -> str:
    """Return a count with its word: `1 step`, `1,000 steps`."""
    return f"{count:,} {word if count == 1 else plural or f'{word}s'}"
