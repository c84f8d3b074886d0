"""Manifest + records -> the `View`: everything that the report shows, frozen, sorted and rounded.

The templates only lay it out. The same records give the same view; nothing here reads a clock, a host or a path.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from runner.compare.classes import Class, classes
from runner.compare.columns import Comparison, compare_columns
from runner.compare.difference import Tolerance, Verdict, tolerances
from runner.compare.published import Check, check
from runner.compare.versions import VersionPair, between_versions
from runner.report import pairs, predictions, rows, tables
from runner.report.predictions import PredictionRow
from runner.report.rows import CellRow, ClassRow, EnvironmentRow, VersionRow
from runner.results.record import Outcome, Record
from runner.results.store import Entry, Manifest, Published


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """The first screen.

    Attributes:
        cells: how many cells the run was asked for.
        outcomes: outcome -> how many records, `missing` included; only those that occur.
        health: `bad` where a cell failed, ran out of time or has no record; `note` where one was not run.
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


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedView:
    """One published table: exact results for the JSON, rows of text for the pages.

    Attributes:
        total: printed losses; `reproduced` by the newest version of each framework, `differing` not,
            `not_computed` for want of a trajectory.
    """

    check: Check
    comparison: Comparison
    total: int
    reproduced: int
    differing: int
    not_computed: int
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

    @property
    def complete(self) -> bool:
        """Whether there are printed losses, and each of them and every printed prediction is reproduced."""
        return self.reproduced == self.total > 0 and self.predictions_reproduced == self.predictions_total


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """The whole report.

    Attributes:
        records: those of the run, for the JSON.
        changed: lines whose trajectories differ, or cannot be compared, from one version to the next.
        troubles: cells without a trajectory, and those whose repeats differ.
        steps: the largest number of losses of any cell.
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
    steps: int
    environments: tuple[EnvironmentRow, ...]
    left_out: tuple[Entry, ...]
    missing: tuple[str, ...]
    tolerances: tuple[tuple[str, Tolerance], ...]


def build(manifest: Manifest, records: Sequence[Record], missing_ids: Sequence[str]) -> View:
    """Compute the report.

    Args:
        manifest: what was asked for.
        records: what is there, in the manifest's order.
        missing_ids: cells of the manifest without a record.

    Raises:
        ResultsError: a published table in the manifest cannot be read.
    """
    allowed = tolerances(manifest)
    found = classes(records)
    cells = rows.cells(records, found)
    version_pairs = between_versions(records, allowed)
    versions = rows.versions(version_pairs)
    left_out = tuple(entry for entry in manifest.entries if entry.key is None)
    return View(
        profile=manifest.profile,
        summary=_summary(records, missing_ids, left_out, found),
        published=tuple(_published(each, records, allowed) for each in manifest.published),
        version_pairs=version_pairs,
        changed=tuple(each for each in versions if each.verdict != Verdict.IDENTICAL),
        unchanged=tuple(each for each in versions if each.verdict == Verdict.IDENTICAL),
        classes=found,
        class_rows=rows.classes(found),
        records=tuple(records),
        cells=cells,
        troubles=tuple(each for each in cells if not each.losses or each.deterministic == rows.DIFFER),
        steps=max((len(each.losses) for each in cells), default=0),
        environments=rows.environments(records),
        left_out=left_out,
        missing=tuple(missing_ids),
        tolerances=tuple(sorted(allowed.items())),
    )


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
    )


def _published(table: Published, records: Sequence[Record], allowed: Mapping[str, Tolerance]) -> PublishedView:
    result = check(table, records)
    comparison = compare_columns(result, records, allowed)
    losses = [each for column in result.newest for each in column.losses]
    total = sum(map(len, result.table.losses.values()))
    reproduced, differing = (sum(each.agrees is answer for each in losses) for answer in (True, False))
    newest = [each for each in result.predictions if each.newest]
    printed = sum(each.prediction is not None for each in result.table.predictions)
    right, wrong = (sum(each.reproduced is answer for each in newest) for answer in (True, False))
    return PublishedView(
        check=result,
        comparison=comparison,
        total=total,
        reproduced=reproduced,
        differing=differing,
        not_computed=total - reproduced - differing,
        predictions_total=printed,
        predictions_reproduced=right,
        predictions_differing=wrong,
        predictions_not_computed=printed - right - wrong,
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
    )
