"""`repromatrix run`: run the cells of a profile and write their records and the manifest."""

from argparse import ArgumentParser, Namespace
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from repromatrix import resources
from repromatrix.cli import options as shared
from repromatrix.cli import out
from repromatrix.cli.select import execution_of, read
from repromatrix.cli.story import Story
from repromatrix.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from repromatrix.engines.base import Engine
    from repromatrix.execute.run import Summary
    from repromatrix.matrix import Matrix
    from repromatrix.plan import Plan

_OF_HERE = ("python", "label", "device")


def arguments(parser: ArgumentParser) -> None:
    """Say what the command takes."""
    shared.selection(parser, own=True)
    shared.engine(parser)
    shared.cluster(parser)
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
    shared.examples(
        parser,
        "run --select numpy",
        "run --trace",
        "run --here torch",
        more=("run --here torch --python ~/envs/torch/bin/python --label gpu-node --device cuda:0",),
    )


def run(options: Namespace) -> int:
    """Run what has no answer yet."""
    summary = execute(options, Story.of(options))
    if options.json:
        out.document({record.cell.id: record.outcome.value for record in summary.records}, indent=1)
    return int(exit_code(summary))


def execute(options: Namespace, story: Story) -> "Summary":
    """Run the plan of the options and leave records and manifest in the results folder."""
    from repromatrix.execute.manifest import run_plan

    matrix, plan, at_hand = _here(options, story) if options.here else _pinned(options)
    execution = execution_of(matrix, plan.cells, options, story, at_hand=at_hand)
    with story.progress(sum(cell.runs(matrix.repeats) for cell in plan.every_cell) + len(plan.cells) * options.trace):
        summary, traced = run_plan(execution, matrix, plan, trace=options.trace)
    if traced:
        story.say(f"{'traced':<10} {sum(each.key is not None for each in traced)} of {len(plan.cells)} cells")
    members = frozenset(cell.id for cell in plan.every_cell[len(plan.cells) :])
    story.say(tell(summary, options.results, members))
    return summary


def _pinned(options: Namespace) -> "tuple[Matrix, Plan, Engine | None]":
    for name in _OF_HERE:
        if getattr(options, name):
            raise UsageError(f"--{name} goes with --here only", hint=f"repromatrix run --here FRAMEWORK --{name} ...")
    return (*read(options), None)


def _here(options: Namespace, story: Story) -> "tuple[Matrix, Plan, Engine | None]":
    from repromatrix.execute.here import prepare
    from repromatrix.matrix import load

    if options.engine != "auto":
        raise UsageError(
            "--here and --engine do not go together", hint="--here is an engine of its own: leave --engine out"
        )
    if options.registry:
        raise UsageError("--here and --registry do not go together", hint="--here makes no image: leave --registry out")
    if options.profile != "default":
        raise UsageError("--here and --profile do not go together", hint="choose cells with --select")
    own = {"python": options.python, "label": options.label, "devices": options.device}
    matrix = options.matrix if options.matrix.exists() else resources.matrix()
    return prepare(load(matrix), options.here, story, select=options.select, **own)


def tell(summary: "Summary", results: Path, members: frozenset[str]) -> str:
    """Return the run in one line; members of ensembles are told apart, unless they fail."""
    from repromatrix.execute.run import FAILURES
    from repromatrix.results.record import Outcome

    told = [r for r in summary.records if r.cell.id not in members or r.outcome in FAILURES]
    noise = len(summary.records) - len(told)
    outcomes = Counter(record.outcome for record in told)
    parts = [f"{outcomes[each]} {each.value.replace('_', ' ')}" for each in Outcome if outcomes[each]]
    now = f"{summary.ran} ran now, {summary.made} environments built"
    more = f", {noise} more for the noise floor" if noise else ""
    return f"{len(told)} cells: {', '.join(parts)}{more}; {now} ({results})"


def exit_code(summary: "Summary") -> ExitCode:
    """Return what the process should say of a run."""
    if summary.broken:
        return ExitCode.ENVIRONMENT
    return ExitCode.CELL_FAILED if summary.failed else ExitCode.OK
