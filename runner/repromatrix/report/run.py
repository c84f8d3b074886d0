"""Evidence -> what several sections need of it, computed once."""

from collections.abc import Mapping
from dataclasses import dataclass

from repromatrix.compare.allowance import Allowances, allowances
from repromatrix.compare.classes import Class, classes
from repromatrix.operations.judgement import Memo
from repromatrix.published.columns import Comparison, compare_columns
from repromatrix.published.figures import Check, check
from repromatrix.published.statements import judge
from repromatrix.published.verdicts import Judged
from repromatrix.report.evidence import Evidence
from repromatrix.report.explained import ExplainedPairs, explained_pairs
from repromatrix.results.manifest import Published
from repromatrix.results.record import Record
from repromatrix.results.trace import Trace


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A published table: its figures, its columns against each other, the verdicts on its statements."""

    check: Check
    comparison: Comparison
    judged: tuple[Judged, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What the sections are made of.

    Attributes:
        evidence: all that was read.
        records: those of the report: all but the members of ensembles.
        jobs: those of training jobs among them, which classes and versions are of.
        allowed: who judges distances.
        explained: the pairs on which there were experiments.
        traces: by cell id, those of the report's cells.
        memo: judgements of operations that were made before.
    """

    evidence: Evidence
    records: tuple[Record, ...]
    jobs: tuple[Record, ...]
    allowed: Allowances
    classes: tuple[Class, ...]
    explained: ExplainedPairs
    tables: tuple[Table, ...]
    traces: Mapping[str, Trace]
    memo: Memo

    @property
    def class_names(self) -> dict[str, str]:
        """Cell id -> the name of its class."""
        return {cell: found.name for found in self.classes for cell in found.cells}


def run_of(evidence: Evidence, memo: Memo) -> Run:
    """Compute what several sections need.

    Raises:
        ResultsError: a published table in the manifest cannot be read.
    """
    records = evidence.own
    allowed = allowances(evidence.manifest, {record.cell.id: record for record in evidence.records})
    explained = explained_pairs(evidence, allowed)
    own = {record.cell.id for record in records}
    return Run(
        evidence=evidence,
        records=records,
        jobs=evidence.jobs,
        allowed=allowed,
        classes=classes(evidence.jobs),
        explained=explained,
        tables=tuple(_table(each, records, allowed, explained) for each in evidence.manifest.published),
        traces={cell: trace for cell, trace in evidence.traces.items() if cell in own},
        memo=memo,
    )


def _table(published: Published, records: tuple[Record, ...], allowed: Allowances, explained: ExplainedPairs) -> Table:
    result = check(published, records)
    return Table(
        check=result,
        comparison=compare_columns(result, records, allowed),
        judged=tuple(judge(result, records, [pair.explanation for pair in explained.pairs])),
    )
