"""The verdicts on a document's statements -> the rows of the section that shows them, the refuted ones first."""

from collections.abc import Iterable
from dataclasses import dataclass

from repromatrix.published.verdicts import Word, plain
from repromatrix.report.claims.statements import PublishedVerdict

_ORDER = (Word.REFUTED, Word.CONDITION, Word.NOT_TESTED, Word.CONFIRMED)
_CLASSES = {Word.CONFIRMED: "yes", Word.CONDITION: "part", Word.REFUTED: "off", Word.NOT_TESTED: "none"}


@dataclass(frozen=True, slots=True, kw_only=True)
class StatementRow:
    """One statement; `look` is the class of its verdict's cell."""

    id: str
    says: str
    verdict: str
    look: str
    condition: str
    evidence: str


def rows(verdicts: Iterable[PublishedVerdict]) -> tuple[StatementRow, ...]:
    """Return a row for each verdict, what is wrong first; else in the document's order."""
    found = sorted(verdicts, key=lambda each: _ORDER.index(Word(each.verdict)))
    return tuple(
        StatementRow(
            id=each.name,
            says=each.says,
            verdict=each.verdict,
            look=_CLASSES[Word(each.verdict)],
            condition=each.on,
            evidence=each.shown,
        )
        for each in found
    )


def document(found: PublishedVerdict) -> dict[str, object]:
    """Return a verdict as report.json has it beside the table."""
    condition = None if found.condition is None else plain(found.condition) | {"says": found.on}
    return {
        "id": found.name,
        "says": found.says,
        "verdict": found.verdict,
        "reason": found.reason,
        "condition": condition,
        "evidence": plain(found.evidence) | {"says": found.shown},
    }
