"""`repromatrix run`: run the cells of a profile and write their records and the manifest."""

import json
from argparse import Namespace
from collections import Counter
from pathlib import Path
from typing import Any

from runner.cli.select import engine as choose_engine
from runner.cli.select import read
from runner.cli.story import Story
from runner.errors import ExitCode, MatrixError
from runner.execute.run import Execution, Summary
from runner.matrix import Matrix
from runner.plan import Plan
from runner.results.record import Outcome
from runner.results.store import Column, Entry, Manifest, Published, Store


def run(options: Namespace) -> int:
    """Run what has no answer yet."""
    summary = execute(options, Story.of(options))
    if options.json:
        print(json.dumps({record.cell.id: record.outcome.value for record in summary.records}, indent=1))
    return int(exit_code(summary))


def execute(options: Namespace, story: Story) -> Summary:
    """Run the plan of the options and leave records and manifest in the results folder."""
    matrix, plan = read(options)
    engine = choose_engine(options, story)
    store = Store(options.results)
    execution = Execution(matrix=matrix, engine=engine, store=store, listener=story, jobs=options.jobs)
    with story.progress(len(plan.cells) * matrix.repeats):
        summary = execution.run(plan.cells)
    store.write_manifest(manifest(matrix, plan, summary))
    story.say(tell(summary, options.results))
    return summary


def manifest(matrix: Matrix, plan: Plan, summary: Summary) -> Manifest:
    """Return the list of what the report must show."""
    keys = {record.cell.id: record.key for record in summary.records}
    entries = [Entry(id=cell.id, key=keys[cell.id], reason=None) for cell in plan.cells]
    entries += [Entry(id=each.cell.id, key=None, reason=each.reason) for each in plan.left_out]
    return Manifest(
        profile=plan.profile,
        entries=tuple(entries),
        published=tuple(_published(matrix, {cell.workload.name for cell in plan.cells})),
        tolerances=tuple((d, each.relative, each.absolute, each.source) for d, each in matrix.tolerances.items()),
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
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, TypeError) as error:
        raise MatrixError(
            f"not published figures in JSON: {error}", where=str(path), hint="see docs/matrix.md, workloads.published"
        ) from error


def tell(summary: Summary, results: Path) -> str:
    """Return the run in one line."""
    outcomes = Counter(record.outcome for record in summary.records)
    parts = [f"{outcomes[each]} {each.value.replace('_', ' ')}" for each in Outcome if outcomes[each]]
    now = f"{summary.ran} ran now, {summary.made} environments built"
    return f"{len(summary.records)} cells: {', '.join(parts)}; {now} ({results})"


def exit_code(summary: Summary) -> ExitCode:
    """Return what the process should say of a run."""
    if summary.broken:
        return ExitCode.ENVIRONMENT
    if any(record.outcome in (Outcome.FAILED, Outcome.TIMED_OUT) for record in summary.records):
        return ExitCode.CELL_FAILED
    return ExitCode.OK
