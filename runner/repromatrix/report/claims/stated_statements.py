"""The verdicts on a document's statements -> the claims that the report makes of them."""

from collections.abc import Sequence

from repromatrix.published.verdicts import Judged
from repromatrix.report.claims.base import Claim
from repromatrix.report.claims.statements import PublishedVerdict, totals


def of_statements(workload: str, source: str, judged: Sequence[Judged]) -> tuple[Claim, ...]:
    """Return what is said of a document's statements: how many hold, then each; nothing where it makes none."""
    verdicts = [_verdict(workload, each) for each in judged]
    return (totals(workload, source, verdicts), *verdicts) if verdicts else ()


def _verdict(workload: str, judged: Judged) -> PublishedVerdict:
    """Return the claim that says a verdict."""
    return PublishedVerdict(
        cells=judged.evidence.cells,
        workload=workload,
        name=judged.id,
        says=judged.says,
        verdict=judged.word.value,
        reason=judged.reason,
        condition=judged.condition,
        evidence=judged.evidence,
    )
