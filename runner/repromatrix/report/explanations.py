"""The claims about experiments -> rows of text for the pages, and the ledgers that the script shows on demand."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from repromatrix.explain.judge.findings import Finding
from repromatrix.report import wording
from repromatrix.report.claims.base import Claim, of_kind
from repromatrix.report.claims.explanations import CauseTotals, Explained, FactorTotals, NotAttributed, in_words
from repromatrix.report.claims.flips import ConditionVerdict, FactorVerdict, Seen

FINDINGS = tuple(finding.value for finding in Finding)
NOT_ATTRIBUTED = "not attributed"
_Pair: TypeAlias = Explained | NotAttributed
_Verdict: TypeAlias = FactorVerdict | ConditionVerdict


@dataclass(frozen=True, slots=True, kw_only=True)
class PairRow:
    """A pair of cells with different bits.

    Attributes:
        names: what the cells stand for: published columns, else classes, else the cells themselves; `classes` beside
            it where they are columns.
        cause: what the difference is attributed to, or that it is not.
        share: how much of it that explains, at A's end and at B's.
        rest: (verdict, names) of what is no cause.
    """

    names: tuple[str, str]
    classes: str
    a_cell: str
    b_cell: str
    difference: str
    cause: str
    attributed: bool
    share: str
    rest: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CauseRow:
    """How many pairs have the same cause, or none."""

    name: str
    attributed: bool
    pairs: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FactorRow:
    """A factor or a condition over all pairs; `counts` in the order of `FINDINGS`, without a set's own verdict."""

    name: str
    pairs: int
    counts: tuple[int, ...]
    together: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanations:
    """What the section shows.

    Attributes:
        pairs: those without a cause first, then in the order of the experiments.
        ledgers: for each of these, what its ledger has, as JSON values; see `_ledger`.
        texts: the texts that the ledgers name by their places.
    """

    pairs: tuple[PairRow, ...]
    causes: tuple[CauseRow, ...]
    factors: tuple[FactorRow, ...]
    conditions: tuple[FactorRow, ...]
    ledgers: tuple[Any, ...]
    texts: tuple[str, ...]


class _Texts:
    """Texts by their places, each once: a page has the same names and distances again and again."""

    def __init__(self) -> None:
        self._places: dict[str, int] = {}

    def __call__(self, text: str) -> int:
        return self._places.setdefault(text, len(self._places))

    @property
    def all(self) -> tuple[str, ...]:
        return tuple(self._places)


def explanations(claims: Sequence[Claim], columns: Mapping[str, Sequence[str]]) -> Explanations:
    """Return what the section shows of the claims; `columns`: cell id -> the published columns that it answers for."""
    ordered: tuple[_Pair, ...] = (*of_kind(claims, NotAttributed), *of_kind(claims, Explained))
    every: tuple[_Verdict, ...] = (*of_kind(claims, FactorVerdict), *of_kind(claims, ConditionVerdict))
    verdicts: dict[tuple[str, ...], list[_Verdict]] = {}
    for verdict in every:
        verdicts.setdefault(verdict.cells[:2], []).append(verdict)
    texts = _Texts()
    found = {each.cells: verdicts.get(each.cells, []) for each in ordered}
    totals = of_kind(claims, FactorTotals)
    return Explanations(
        pairs=tuple(_pair(each, found[each.cells], columns) for each in ordered),
        causes=_causes_of(of_kind(claims, CauseTotals), len(of_kind(claims, NotAttributed))),
        factors=tuple(_factor(each) for each in totals if not each.condition),
        conditions=tuple(_factor(each) for each in totals if each.condition),
        ledgers=tuple(_ledger(each, found[each.cells], texts) for each in ordered),
        texts=texts.all,
    )


def _pair(
    found: _Pair,
    verdicts: Iterable[_Verdict],
    columns: Mapping[str, Sequence[str]],
) -> PairRow:
    a, b = found.cells
    published = [" = ".join(columns.get(each, ())) for each in found.cells] if "published" in found.of else []
    classes = [name or cell for name, cell in zip(found.classes, found.cells, strict=True)]
    names = [column or own for column, own in zip(published or classes, classes, strict=True)]
    attributed = isinstance(found, Explained)
    causes, conditions = _causes(found)
    rest = [(name, getattr(found, name.replace(" ", "_"))) for name in FINDINGS[2:]]
    rest += [
        (f"{finding} as a condition", tuple(name for name, own in found.conditions if own == finding))
        for finding in FINDINGS[2:]
    ]
    return PairRow(
        names=(names[0], names[1]),
        classes=" · ".join(classes) if published else "",
        a_cell=a,
        b_cell=b,
        difference=found.verdict + (f" {_distance(found.max_abs)}" if found.max_abs else ""),
        cause=in_words(causes, conditions) if attributed else NOT_ATTRIBUTED,
        attributed=attributed,
        share=_shares(verdicts, causes[0] if causes else (), conditions[0] if conditions else None),
        rest=tuple((name, ", ".join(names)) for name, names in rest if names),
    )


def _causes(found: _Pair) -> tuple[tuple[tuple[str, ...], ...], tuple[str, ...]]:
    if not isinstance(found, Explained):
        return (), ()
    causes = tuple(names for names, *_ in found.causes)
    return causes, () if causes else tuple(name for name, *_ in found.dissolved)


def _causes_of(totals: Iterable[CauseTotals], lost: int) -> tuple[CauseRow, ...]:
    rows = [CauseRow(name=in_words(each.causes, each.conditions), attributed=True, pairs=each.pairs) for each in totals]
    none = [CauseRow(name=NOT_ATTRIBUTED, attributed=False, pairs=lost)] if lost else []
    return tuple(sorted([*none, *rows], key=lambda row: -row.pairs))


def _shares(verdicts: Iterable[_Verdict], names: tuple[str, ...], condition: str | None) -> str:
    """Return how much the first cause explains at A's end and at B's; nothing without one."""
    for each in verdicts:
        if isinstance(each, ConditionVerdict) and each.name == condition:
            return _both(each.a, each.b)
        if isinstance(each, FactorVerdict) and tuple(name for name, _, _ in each.factors) == names:
            return _both(each.a, each.b)
    return wording.NOTHING


def _both(a: Seen, b: Seen) -> str:
    return f"{wording.share(a.share)} | {wording.share(b.share)}"


def _distance(hexadecimal: str) -> str:
    return wording.distance(float.fromhex(hexadecimal))


def _factor(found: FactorTotals) -> FactorRow:
    counts = dict(found.findings)
    own = tuple(counts.get(each, 0) for each in FINDINGS if each != "cause together")
    return FactorRow(name=found.name, pairs=found.pairs, counts=own, together=found.together)


def _ledger(found: _Pair, verdicts: Iterable[_Verdict], texts: _Texts) -> Any:
    """Return [A, B, rows]; a row: what was changed, its values in A and B, verdict, what was seen; all as places."""
    rows = [
        [*_changed(each, texts), texts(each.finding), *(texts(seen.text) for seen in _seen(each))] for each in verdicts
    ]
    return [*map(texts, found.cells), rows]


def _changed(found: _Verdict, texts: _Texts) -> list[int]:
    if isinstance(found, ConditionVerdict):
        changes = ", ".join(f"{name}={value}" for name, value in found.changes)
        return [texts(f"condition {found.name}"), texts(changes), texts("")]
    alone = len(found.factors) == 1
    names = " + ".join(name for name, _, _ in found.factors)
    return [texts(names), *(texts(value if alone else "") for value in found.factors[0][1:])]


def _seen(found: _Verdict) -> tuple[Seen, ...]:
    return (found.a, found.b, found.both) if isinstance(found, ConditionVerdict) else (found.a, found.b)
