"""`repromatrix run`: run the cells of a profile and write their records and the manifest."""

import json
from argparse import ArgumentParser, Namespace
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from repromatrix.cli import here
from repromatrix.cli import options as shared
from repromatrix.cli.registry import share_of
from repromatrix.cli.select import engine as choose_engine
from repromatrix.cli.select import read
from repromatrix.cli.story import Story
from repromatrix.engines.base import Engine
from repromatrix.errors import ExitCode, MatrixError
from repromatrix.execute.run import Execution, Summary
from repromatrix.execute.trace import Traced, Tracing
from repromatrix.matrix import Matrix
from repromatrix.plan import Ensemble, Plan
from repromatrix.results import manifest as manifests
from repromatrix.results.manifest import Column, Entry, Manifest, Published
from repromatrix.results.record import Outcome
from repromatrix.results.store import Store

_FAILURES = frozenset({Outcome.FAILED, Outcome.TIMED_OUT})


def arguments(parser: ArgumentParser) -> None:
    """Say what the command takes."""
    shared.selection(parser)
    shared.engine(parser)
    shared.json_output(parser)
    shared.results(parser)
    parser.add_argument(
        "--trace",
        action="store_true",
        help="run each cell that is ok once more and keep every value of every step: where do two cells part?",
    )
    group = parser.add_argument_group("in the Python at hand, with nothing installed and no lock")
    group.add_argument(
        "--here", metavar="FRAMEWORK", help="run the cells of this framework in the first Python on PATH"
    )
    group.add_argument("--python", metavar="PATH", help="another Python for --here")
    group.add_argument(
        "--label", metavar="NAME", help="the flavour of its environment, to tell machines apart; default: here"
    )
    group.add_argument(
        "--device",
        action="append",
        default=[],
        type=shared.device,
        metavar="DEVICE",
        help="cpu, cuda:0, ...; may be repeated; default: cpu, and cuda:0 where there is one",
    )
    shared.examples(parser, "run --select numpy", "run --trace", "run --here torch")


def run(options: Namespace) -> int:
    """Run what has no answer yet."""
    summary = execute(options, Story.of(options))
    if options.json:
        print(json.dumps({record.cell.id: record.outcome.value for record in summary.records}, indent=1))
    return int(exit_code(summary))


def execute(options: Namespace, story: Story) -> Summary:
    """Run the plan of the options and leave records and manifest in the results folder."""
    matrix, plan, engine = here.prepare(options, story) if options.here else _pinned(options, story)
    target = Store(options.results)
    share = share_of(options, engine, story)
    execution = Execution(matrix=matrix, engine=engine, store=target, listener=story, jobs=options.jobs, share=share)
    cells = plan.every_cell
    with story.progress(len(cells) * matrix.repeats + len(plan.cells) * options.trace):
        summary = execution.run(cells)
        kept = no_cell_ran(summary) and target.has_manifest
        if not kept:  # else `report` and `verify` would lose the last run that gave something
            target.write_manifest(manifest(matrix, plan, summary))
        if options.trace and not kept:
            traced = Tracing(execution).run(plan.cells, summary.records)
            target.write_manifest(manifest(matrix, plan, summary, traced))
            story.say(f"{'traced':<10} {sum(each.key is not None for each in traced)} of {len(plan.cells)} cells")
    story.say(tell(summary, options.results, frozenset(each.id for each in cells[len(plan.cells) :])))
    return summary


def _pinned(options: Namespace, story: Story) -> tuple[Matrix, Plan, Engine]:
    here.refuse_without(options)
    matrix, plan = read(options)
    return matrix, plan, choose_engine(options, story, plan.environments)


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
        tolerances=tuple((d, each.relative, each.absolute, each.source) for d, each in matrix.tolerances.items()),
        ensembles=tuple(map(_ensemble, plan.ensembles)),
        versions=tuple((each.framework, each.flavour, each.python, each.version) for each in matrix.environments),
    )


def _ensemble(found: Ensemble) -> manifests.Ensemble:
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
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, TypeError) as error:
        raise MatrixError(
            f"not published figures in JSON: {error}", where=str(path), hint="see docs/matrix.md, workloads.published"
        ) from error


def tell(summary: Summary, results: Path, members: frozenset[str]) -> str:
    """Return the run in one line; members of ensembles are told apart, unless they fail."""
    told = [r for r in summary.records if r.cell.id not in members or r.outcome in _FAILURES]
    noise = len(summary.records) - len(told)
    outcomes = Counter(record.outcome for record in told)
    parts = [f"{outcomes[each]} {each.value.replace('_', ' ')}" for each in Outcome if outcomes[each]]
    now = f"{summary.ran} ran now, {summary.made} environments built"
    more = f", {noise} more for the noise floor" if noise else ""
    return f"{len(told)} cells: {', '.join(parts)}{more}; {now} ({results})"


def no_cell_ran(summary: Summary) -> bool:
    """Whether environments could not be made and no cell has run, now or earlier: there is nothing to report."""
    return bool(summary.broken) and not any(record.repeats for record in summary.records)


def exit_code(summary: Summary) -> ExitCode:
    """Return what the process should say of a run."""
    if summary.broken:
        return ExitCode.ENVIRONMENT
    if any(record.outcome in _FAILURES for record in summary.records):
        return ExitCode.CELL_FAILED
    return ExitCode.OK
