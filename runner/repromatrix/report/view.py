"""Manifest + records -> the `View`: everything that the report shows, frozen, sorted and rounded.

The templates only lay it out. The same records give the same view; nothing here reads a clock, a host or a path.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from repromatrix.compare.allowance import Allowances, Floor, Tolerance, allowances
from repromatrix.compare.classes import Class, SameState, classes, same_states
from repromatrix.compare.difference import Verdict
from repromatrix.compare.trace import Bits, Divergence, Representative, divergences, no_bits, representatives
from repromatrix.compare.versions import Line, VersionPair, between_versions, lines
from repromatrix.explain.judge.explanation import Explanation
from repromatrix.floats import FORMS
from repromatrix.operations.judgement import Memo
from repromatrix.published.columns import Comparison, compare_columns
from repromatrix.published.figures import Check, check
from repromatrix.published.statements import judge
from repromatrix.report import anatomies, explanations, pairs, predictions, rows, statements, tables, wording
from repromatrix.report import divergences as partings
from repromatrix.report.anatomies import AnatomyRow, FormRow
from repromatrix.report.changes import Changes, changes
from repromatrix.report.claims import (
    pages,
    stated,
    stated_explanations,
    stated_operations,
    stated_published,
    stated_statements,
    stated_traces,
)
from repromatrix.report.claims.base import Claim, of_kind
from repromatrix.report.claims.statements import PublishedVerdict, VerdictTotals
from repromatrix.report.divergences import DivergenceRow
from repromatrix.report.explanations import Explanations
from repromatrix.report.lines import LineTable
from repromatrix.report.lines import tables as tables_along
from repromatrix.report.predictions import PredictionRow
from repromatrix.report.replayed import Replayed
from repromatrix.report.rows import CellRow, ClassRow, EnvironmentRow, VersionRow
from repromatrix.report.statements import StatementRow
from repromatrix.results.accepted import Accepted
from repromatrix.results.experiments import Experiments
from repromatrix.results.manifest import Entry, Manifest, Published
from repromatrix.results.record import Outcome, Record
from repromatrix.results.trace import Trace

_LARGEST = 3  # classes that the first screen puts into words


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """The first screen.

    Attributes:
        cells: how many cells the run was asked for.
        outcomes: outcome -> how many records, `missing` included; only those that occur.
        health: `bad` where a cell failed, ran out of time or has no record; `note` where one was not run.
        not_pinned: environments that were taken as they were found, with no lock.
        repeated: cells that ran more than once; `not_deterministic` of them gave different bits.
    """

    environments: int
    cells: int
    ok: int
    health: str
    outcomes: tuple[tuple[str, int], ...]
    repeated: int
    not_deterministic: int
    left_out: int
    classes: int
    engines: tuple[str, ...]
    bases: tuple[str, ...]
    cpu_classes: tuple[str, ...]
    not_pinned: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedView:
    """One published table: exact results for the JSON, rows of text for the pages.

    Attributes:
        total: printed losses; `reproduced` by the newest version of each framework, `differing` not,
            `not_computed` for want of a trajectory.
        not_pinned: those of the reproduced losses that no pinned environment answers for.
        verdict_line: how many of its statements hold; empty where it makes none.
        verdicts: what became of each of them.
        claims: all that the report says of it.
    """

    check: Check
    comparison: Comparison
    total: int
    reproduced: int
    differing: int
    not_computed: int
    not_pinned: int
    predictions_total: int
    predictions_reproduced: int
    predictions_differing: int
    predictions_not_computed: int
    iterations: tuple[tables.IterationRow, ...]
    setups: tuple[tables.SetupRow, ...]
    mismatches: tuple[tables.MismatchRow, ...]
    predictions: tuple[PredictionRow, ...]
    other_predictions: tuple[PredictionRow, ...]
    closest: tuple[pairs.ClosestRow, ...]
    cross_method: tuple[pairs.PairRow, ...]
    larger: tuple[pairs.PairRow, ...]
    exact: tuple[pairs.PairRow, ...]
    same_digits: tuple[pairs.PairRow, ...]
    verdict_line: str
    verdicts: tuple[StatementRow, ...]
    claims: tuple[Claim, ...]

    @property
    def complete(self) -> bool:
        """Whether there are printed losses, and pinned environments reproduce each and every printed prediction."""
        pinned = all(each.setup.pinned for each in self.check.newest)
        return pinned and self.reproduced == self.total > 0 and self.predictions_reproduced == self.predictions_total


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """The whole report.

    Attributes:
        records: those of the run, for the JSON.
        changed: lines whose trajectories differ, or cannot be compared, from one version to the next.
        troubles: cells without a trajectory, and those whose repeats differ.
        failures: cells that failed or ran out of time.
        dtypes: those of the cells, the finest first.
        steps: the largest number of losses of any cell.
        claims: everything that the report says, typed, with the cells and values that it stands on.
        changes: what changed since the accepted run; None: there is none.
        divergences: where each class parts from the one of its dtype most like it, and the states of a class; empty
            without traces.
        traced: whose traces speak for the classes, for the picture; empty without traces.
        explanations: why pairs of cells differ, as far as that was tried.
        anatomies: what the operations of pairs do on equal inputs, as far as they were replayed.
        forms: the catalogue of operations.
    """

    profile: str
    summary: Summary
    published: tuple[PublishedView, ...]
    version_pairs: tuple[VersionPair, ...]
    changed: tuple[VersionRow, ...]
    unchanged: tuple[VersionRow, ...]
    classes: tuple[Class, ...]
    class_rows: tuple[ClassRow, ...]
    records: tuple[Record, ...]
    cells: tuple[CellRow, ...]
    troubles: tuple[CellRow, ...]
    failures: tuple[CellRow, ...]
    dtypes: tuple[str, ...]
    steps: int
    environments: tuple[EnvironmentRow, ...]
    left_out: tuple[Entry, ...]
    missing: tuple[str, ...]
    lines: tuple[Line, ...]
    line_tables: tuple[LineTable, ...]
    same_states: tuple[SameState, ...]
    floors: tuple[Floor, ...]
    tolerances: tuple[tuple[str, Tolerance], ...]
    claims: tuple[Claim, ...]
    changes: Changes | None
    divergences: tuple[Divergence, ...]
    divergence_rows: tuple[DivergenceRow, ...]
    traced: tuple[Representative, ...]
    explanations: Explanations
    anatomies: tuple[AnatomyRow, ...]
    forms: tuple[FormRow, ...]

    @property
    def claims_by_kind(self) -> dict[str, tuple[Claim, ...]]:
        """The claims by their kind's name, in order."""
        found: dict[str, list[Claim]] = {}
        for each in self.claims:
            found.setdefault(each.kind, []).append(each)
        return {kind: tuple(members) for kind, members in found.items()}

    @property
    def ran_on(self) -> tuple[str, ...]:
        """What the cells ran on, in words."""
        return tuple(map(wording.base, self.summary.bases))

    @property
    def largest(self) -> tuple[ClassRow, ...]:
        """The largest classes of float32, or of the finest dtype where nothing ran in it."""
        named = "float32" if "float32" in self.dtypes else "".join(self.dtypes[:1])
        found = [each for each in self.class_rows if each.dtypes == named and each.size > 1]
        return tuple(sorted(found, key=lambda each: -each.size)[:_LARGEST])

    @property
    def sentences(self) -> tuple[str, ...]:
        """The sentences of the claims that index.html prints."""
        return pages.on_page(each.document() for each in self.claims)

    @property
    def digest(self) -> pages.Summary:
        """The sentences that report.md begins with."""
        return pages.in_summary([each.document() for each in self.claims])


def build(
    manifest: Manifest,
    records: Sequence[Record],
    missing_ids: Sequence[str],
    accepted: Accepted | None = None,
    earlier: Mapping[str, Record] | None = None,
    *,
    traces: Mapping[str, Trace] | None = None,
    bits: Bits = no_bits,
    experiments: Experiments | None = None,
    tried: Mapping[str, Record] | None = None,
    replayed: Replayed | None = None,
    memo: Memo | None = None,
) -> View:
    """Compute the report.

    Args:
        manifest: what was asked for.
        records: what is there, in the manifest's order.
        missing_ids: cells of the manifest without a record.
        accepted: the accepted run, if there is one.
        earlier: by cell id, accepted records that are still there.
        traces: by cell id, what traced cells computed on the way.
        bits: gives the bits of a large value of a trace by their digest, where they were fetched.
        experiments: what was tried to explain pairs of cells.
        tried: by key, the records that the experiments stand on.
        replayed: operations that were computed again.
        memo: judgements of operations that were made before.

    Raises:
        ResultsError: a published table in the manifest cannot be read, or replays do not belong together.
    """
    allowed = allowances(manifest, {each.cell.id: each for each in records})
    members = {name for each in manifest.ensembles for name in each.members}
    records = [each for each in records if each.cell.id not in members]
    found = classes(records)
    cells = rows.cells(records, found)
    version_pairs = between_versions(records, allowed)
    along = lines(records, manifest.versions)
    versions = rows.versions(version_pairs)
    left_out = tuple(entry for entry in manifest.entries if entry.key is None)
    tale = stated_explanations.tale(experiments or Experiments(), manifest.entries, tried or {}, allowed)
    judged = [each.explanation for each in tale.told]
    published = tuple(_published(each, records, allowed, judged) for each in manifest.published)
    states, floors, ran_in = same_states(records, found), tuple(allowed.floors.values()), rows.environments(records)
    own = {each.cell.id for each in records}
    traces = {cell: trace for cell, trace in (traces or {}).items() if cell in own}
    parted = divergences(found, records, traces, bits)
    since = changes(accepted, records, missing_ids, earlier or {}, allowed) if accepted else None
    explained = stated_explanations.of_explanations(tale, found)
    operated = stated_operations.of_operations(replayed or Replayed(), manifest.entries, {} if memo is None else memo)
    return View(
        profile=manifest.profile,
        summary=_summary(records, missing_ids, left_out, found),
        published=published,
        version_pairs=version_pairs,
        changed=tuple(each for each in versions if each.verdict != Verdict.IDENTICAL),
        unchanged=tuple(each for each in versions if each.verdict == Verdict.IDENTICAL),
        classes=found,
        class_rows=rows.classes(found),
        records=tuple(records),
        cells=cells,
        troubles=tuple(each for each in cells if not each.losses or each.deterministic == rows.DIFFER),
        failures=tuple(
            row for row, each in zip(cells, records, strict=True) if each.outcome in (Outcome.FAILED, Outcome.TIMED_OUT)
        ),
        dtypes=tuple(name for name in FORMS if any(each.cell.dtype == name for each in records)),
        steps=max((len(each.losses) for each in cells), default=0),
        environments=ran_in,
        left_out=left_out,
        missing=tuple(missing_ids),
        lines=along,
        line_tables=tables_along(along),
        same_states=states,
        floors=floors,
        tolerances=tuple(sorted(allowed.tolerances.items())),
        claims=(
            *stated.of_cells(records, missing_ids, left_out),
            *(each for table in published for each in table.claims),
            *stated.of_classes(found, states),
            *stated.of_versions(along, version_pairs, floors),
            *stated_traces.of_traces(manifest.entries, records, traces, parted),
            *explained,
            *operated,
            *stated.of_environments(ran_in),
            *(since.claims if since else ()),
        ),
        changes=since,
        divergences=parted,
        divergence_rows=partings.rows(parted, found),
        traced=representatives(found, records, traces),
        explanations=explanations.explanations(explained, columns_of(published)),
        anatomies=anatomies.anatomies(operated),
        forms=anatomies.forms(operated),
    )


def columns_of(published: Sequence[PublishedView]) -> dict[str, list[str]]:
    """Return, by cell id, the published columns that it answers for."""
    found: dict[str, list[str]] = {}
    for table in published:
        for column in table.check.newest:
            if column.cell:
                found.setdefault(column.cell, []).append(column.title)
    return found


def _summary(
    records: Sequence[Record], missing: Sequence[str], left_out: Sequence[Entry], found: Sequence[Class]
) -> Summary:
    counted = Counter(each.outcome for each in records)
    outcomes = [(each.value.replace("_", " "), counted[each]) for each in Outcome if counted[each]]
    broken = len(missing) + counted[Outcome.FAILED] + counted[Outcome.TIMED_OUT]
    provenances = [each.provenance for each in records if each.provenance]
    return Summary(
        environments=len({each.cell.environment for each in records}),
        cells=len(records) + len(missing),
        ok=counted[Outcome.OK],
        health="bad" if broken else "good" if counted[Outcome.OK] == len(records) else "note",
        outcomes=(*outcomes, *((("missing", len(missing)),) if missing else ())),
        repeated=sum(each.deterministic is not None for each in records),
        not_deterministic=sum(each.deterministic is False for each in records),
        left_out=len(left_out),
        classes=len(found),
        engines=tuple(sorted({each.engine for each in provenances})),
        bases=tuple(sorted({each.base_kind for each in provenances})),
        cpu_classes=tuple(sorted({each.cpu_class for each in provenances})),
        not_pinned=tuple(sorted({each.cell.environment for each in records if each.pinned is False})),
    )


def _published(
    table: Published, records: Sequence[Record], allowed: Allowances, explained: Sequence[Explanation]
) -> PublishedView:
    result = check(table, records)
    comparison = compare_columns(result, records, allowed)
    judged = judge(result, records, explained)
    told = stated_statements.of_statements(table.workload, result.table.source, judged)
    totals = stated_published.totals(result)
    return PublishedView(
        check=result,
        comparison=comparison,
        total=totals.losses,
        reproduced=totals.reproduced,
        differing=totals.differing,
        not_computed=totals.not_computed,
        not_pinned=totals.not_pinned,
        predictions_total=totals.predictions,
        predictions_reproduced=totals.predictions_reproduced,
        predictions_differing=totals.predictions_differing,
        predictions_not_computed=totals.predictions_not_computed,
        iterations=tables.iterations(result),
        setups=tables.setups(result),
        mismatches=tables.mismatches(result),
        predictions=predictions.predictions(result, newest=True),
        other_predictions=predictions.predictions(result, newest=False),
        closest=pairs.closest(comparison),
        cross_method=tuple(map(pairs.pair, comparison.cross_method)),
        larger=tuple(map(pairs.pair, comparison.larger)),
        exact=tuple(map(pairs.pair, comparison.exact)),
        same_digits=tuple(map(pairs.pair, comparison.same_digits)),
        verdict_line="".join(each.text for each in of_kind(told, VerdictTotals)),
        verdicts=statements.rows(of_kind(told, PublishedVerdict)),
        claims=(*stated_published.of_table(result, comparison), *told),
    )
