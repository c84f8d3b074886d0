"""Which claims' sentences stand on which page; the presenters print them and `verify` looks for them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from repromatrix.report import wording
from repromatrix.report.claims.base import short
from repromatrix.report.claims.cells import CellCount, Deterministic, FrameworksRan, OutcomeCount
from repromatrix.report.claims.changes import (
    BitsChange,
    CpuClassChange,
    IdentityChange,
    Membership,
    OutcomeChange,
    SinceAccepted,
)
from repromatrix.report.claims.classes import ClassRule, OneClassTwoStates, SameStateOtherLosses
from repromatrix.report.claims.explanations import CauseTotals, ExplanationTotals, FactorTotals, NotAttributed
from repromatrix.report.claims.forms import NotListed, OperationForm
from repromatrix.report.claims.operations import AnatomyOf, OperationTotals, SourceTotals
from repromatrix.report.claims.published import Contradiction, PublishedTotals
from repromatrix.report.claims.statements import PublishedVerdict, VerdictTotals
from repromatrix.report.claims.traces import FirstDivergence, Traced, TracingChanges, UntracedTensors, WithoutTrace
from repromatrix.report.claims.versions import NoiseFloor, UpgradeTotals, VersionLine

MOST = 12  # rules, lines, changes; a summary is read in seconds
_COUNTS = (PublishedTotals, VerdictTotals, CellCount, OutcomeCount, FrameworksRan, Deterministic, UpgradeTotals, Traced)
_TRACES = (FirstDivergence, TracingChanges, UntracedTensors, WithoutTrace)
_CHANGES = (CpuClassChange, BitsChange, OutcomeChange, Membership, IdentityChange)
_WHY = (ExplanationTotals, CauseTotals, FactorTotals, NotAttributed)
_OPERATIONS = (OperationTotals, SourceTotals, AnatomyOf, NotListed)
_PAGE = (
    *(*_COUNTS, Contradiction, ClassRule, OneClassTwoStates, SameStateOtherLosses, VersionLine, NoiseFloor, *_TRACES),
    *(*_WHY, *_OPERATIONS, PublishedVerdict),
)

Document = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sentences:
    """Sentences with how many more there are of their kind."""

    texts: tuple[str, ...]
    more: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What report.md says first.

    Attributes:
        counts: published figures, cells, outcomes, determinism.
        classes: the rules of the largest classes.
        lines: the ways to write the job whose trajectory changes along the versions.
        changes: what changed since the accepted run, its count first; empty without one.
        divergences: where the largest classes part, and what cannot be told of that; empty without traces.
        totals: how many pairs are attributed and to what; empty without experiments.
        factors: what flipping each factor showed over all pairs, refuted ones included.
        not_attributed: pairs that nothing explains.
        operations: which operations differ on equal inputs; empty where none was replayed.
        forms: how operations are computed; empty without a catalogue.
    """

    counts: tuple[str, ...]
    classes: Sentences
    lines: Sentences
    changes: Sentences
    divergences: Sentences
    totals: Sentences
    factors: Sentences
    not_attributed: Sentences
    operations: Sentences
    forms: Sentences

    @property
    def texts(self) -> tuple[str, ...]:
        """All of its sentences."""
        why = (self.totals, self.factors, self.not_attributed, self.operations, self.forms)
        parts = (self.classes, self.lines, self.changes, self.divergences, *why)
        return (*self.counts, *(text for part in parts for text in part.texts))


def on_page(claims: Iterable[Document]) -> tuple[str, ...]:
    """Return the sentences that index.html has, from claims as report.json has them, in their order."""
    kinds = {each.kind for each in (*_PAGE, SinceAccepted, CpuClassChange)}
    return tuple(each["text"] for each in claims if each["kind"] in kinds)


def in_summary(claims: Sequence[Document]) -> Summary:
    """Return the sentences that report.md begins with, from claims as report.json has them."""
    rules = sorted(_of(claims, ClassRule.kind), key=lambda each: -len(each["cells"]))
    lines = [each for each in _of(claims, VersionLine.kind) if _labels(each) > 1]
    changes = [each for kind in (SinceAccepted, *_CHANGES) for each in _of(claims, kind.kind)]
    counts = [each for kind in _COUNTS for each in _of(claims, kind.kind)]
    return Summary(
        counts=tuple(short(each["text"]) for each in counts),
        classes=Sentences(texts=tuple(map(_brief, rules[:MOST])), more=max(0, len(rules) - MOST)),
        lines=_sentences(lines),
        changes=_sentences(changes),
        divergences=_sentences([each for kind in _TRACES for each in _of(claims, kind.kind)]),
        totals=_sentences([each for kind in (ExplanationTotals, CauseTotals) for each in _of(claims, kind.kind)]),
        factors=_sentences(_of(claims, FactorTotals.kind)),
        not_attributed=_sentences(_of(claims, NotAttributed.kind)),
        operations=_sentences([each for kind in _OPERATIONS for each in _of(claims, kind.kind)]),
        forms=_sentences(_of(claims, OperationForm.kind)),
    )


def _brief(rule: Document) -> str:
    """Return a class's rule as report.md has it: how many cells first, then its first terms."""
    values = rule["values"]
    said = wording.brief(values["terms"], len(values["without"]))
    return short(f"{values['name']} of {values['workload']}, {wording.cells(len(rule['cells']))}: {said}")


def _of(claims: Iterable[Document], kind: str) -> list[Document]:
    return [each for each in claims if each["kind"] == kind]


def _labels(line: Document) -> int:
    return len({label for _, label, _ in line["values"]["stops"] if label})


def _sentences(claims: Sequence[Document]) -> Sentences:
    return Sentences(texts=tuple(short(each["text"]) for each in claims[:MOST]), more=max(0, len(claims) - MOST))
