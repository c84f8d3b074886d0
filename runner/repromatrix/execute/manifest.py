"""A run -> the manifest: the list of what its report must show."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from repromatrix.errors import MatrixError
from repromatrix.execute import operations
from repromatrix.execute.run import Execution, Summary
from repromatrix.execute.trace import Traced, Tracing
from repromatrix.matrix import Matrix
from repromatrix.matrix import published as tables
from repromatrix.plan import Ensemble, Plan
from repromatrix.results import manifest as manifests
from repromatrix.results.manifest import Column, Entry, Manifest, Published


def run_plan(execution: Execution, matrix: Matrix, plan: Plan, *, trace: bool) -> tuple[Summary, tuple[Traced, ...]]:
    """Run a plan, trace its cells if that is asked for, and write the manifest.

    A run in which no environment could be made leaves the manifest of the last one: `report` and `verify` would else
    lose the last run that gave something.
    """
    store = execution.store
    summary = execution.run(plan.every_cell)
    if summary.nothing_ran and store.has_manifest:
        return summary, ()
    operations.keep(store, plan.cells, summary.records)
    store.write_manifest(manifest(matrix, plan, summary))
    if not trace:
        return summary, ()
    traced = Tracing(execution).run(plan.cells, summary.records)
    store.write_manifest(manifest(matrix, plan, summary, traced))
    return summary, traced


def manifest(matrix: Matrix, plan: Plan, summary: Summary, traced: Sequence[Traced] = ()) -> Manifest:
    """Return the list of what the report must show."""
    keys = {record.cell.id: record.key for record in summary.records}
    traces = {each.id: (each.key, each.reason) for each in traced}
    entries = []
    for cell in plan.every_cell:
        trace, untraced = traces.get(cell.id, (None, None))
        entries.append(Entry(id=cell.id, key=keys[cell.id], reason=None, trace=trace, untraced=untraced))
    entries += [Entry(id=each.cell.id, key=None, reason=each.reason) for each in plan.left_out]
    return Manifest(
        profile=plan.profile,
        entries=tuple(entries),
        published=tuple(_published(matrix, {cell.workload.name for cell in plan.cells})),
        tolerances=matrix.stated,
        ensembles=tuple(map(ensemble_of, plan.ensembles)),
        versions=tuple((each.framework, each.flavour, each.python, each.version) for each in matrix.environments),
    )


def ensemble_of(found: Ensemble) -> manifests.Ensemble:
    """Return an ensemble by the ids of its cells."""
    cell = found.reference
    return manifests.Ensemble(
        workload=cell.workload.name,
        dtype=cell.variant.dtype,
        reference=cell.id,
        members=tuple(each.id for each in found.members),
    )


def _published(matrix: Matrix, workloads: set[str]) -> list[Published]:
    return [
        Published(
            workload=each.name,
            columns=tuple(
                Column(title=c.title, framework=c.framework, variant=c.variant, predictions=c.predictions)
                for c in each.published.columns
            ),
            data=_figures(each.published.data),
        )
        for each in matrix.workloads
        if each.name in workloads and each.published
    ]


def _figures(path: Path) -> dict[str, Any]:
    try:
        return tables.read(path)
    except (OSError, ValueError) as error:
        raise MatrixError(
            f"not published figures in JSON: {error}", where=str(path), hint="see docs/matrix.md, workloads.published"
        ) from error
