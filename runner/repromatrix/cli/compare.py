"""`repromatrix compare A B ...`: what separates runs, cells, published columns and other people's loss logs.

Needs no engine and no matrix. Exit 0: the losses of every pair are identical, or of a verdict that --allow names; 1:
something is not. Other metrics of logs are shown; --metric makes them count. --state asks for the same weights after
the last update too.
"""

from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from repromatrix import resources
from repromatrix.cli import logs, out
from repromatrix.cli import options as shared
from repromatrix.cli.story import Story
from repromatrix.errors import ExitCode

if TYPE_CHECKING:
    from repromatrix.compare.pairs import Mode

_PRINTED = "printed"  # of --allow, beside the verdicts
_COUNTED = (
    "of cells of operations only how many results they gave is judged here, not their bits: name them by id, in one "
    "results folder (repromatrix merge)"
)


def arguments(parser: ArgumentParser) -> None:
    """Say what the command takes."""
    from repromatrix.compare.difference import Verdict
    from repromatrix.compare.pairs import Mode
    from repromatrix.report.comparison_pages import PRESENTERS

    shared.once(parser)
    allowed = (*(verdict.value for verdict in Verdict if verdict is not Verdict.IDENTICAL), _PRINTED)
    parser.add_argument(
        "sides",
        nargs="+",
        metavar="A",
        help="a cell or a pattern of cells, a record, a results folder, published:COLUMN, or a loss log (a table, "
        "JSON, printed lines, .npy, .npz, safetensors, TensorBoard events, any of them gzipped); NAME= in front names "
        "it, ::COLUMN behind it chooses one of its columns",
    )
    shared.results(parser)
    parser.add_argument(
        "--pairs",
        choices=[mode.value for mode in Mode],
        help="default: same-id for two results folders (what changed between the runs), else all",
    )
    parser.add_argument(
        "--limit", type=shared.positive, default=200, metavar="N", help="more pairs are given by class; default: 200"
    )
    logs.arguments(parser)
    parser.add_argument(
        "--allow",
        action="append",
        default=[],
        choices=allowed,
        help="a verdict that is fine beside identical; printed: numbers that the printed digits do not tell apart; "
        "may be repeated",
    )
    shared.state(parser)
    parser.add_argument("--format", choices=tuple(PRESENTERS), default="text", help="default: text")
    parser.add_argument("--output", type=Path, metavar="FILE", help="write there instead of standard output")
    shared.examples(
        parser,
        "compare before/results after/results",
        "compare mazur/torch-2.13.0-cpu/auto mine=losses.csv --dtype float32",
        "compare 'mazur/*/auto' --allow rounding",
        "compare golden.txt train.log --metric grad_norm=exact --allow printed",
        "compare table.csv::numpy table.csv::torch",
        more=(
            "compare 'mazur/*/auto' --results night/results",
            "compare a.csv b.csv --column val_loss --common-steps",
            "compare a.csv b.csv --by-place --repeated last --comma decimal",
            "compare before/results after/results --pairs all --limit 20 --state",
            "compare a.csv b.csv --format md --output table.md",
        ),
    )


def run(options: Namespace) -> int:
    """Compare what the arguments name and print or write the comparison."""
    from repromatrix.compare.difference import Verdict
    from repromatrix.compare.pair import Terms
    from repromatrix.compare.pairs import Mode, compare
    from repromatrix.compare.sources import Sources
    from repromatrix.published.series import printed
    from repromatrix.report.comparison import build
    from repromatrix.report.comparison_pages import PRESENTERS

    shared.require_apart((options.output,), options.sides)
    if any(str(side).startswith("operations") for side in options.sides):
        from repromatrix.cli import compare_operations

        if records := compare_operations.named(options):
            return compare_operations.compared(options, records)
    sources = Sources(options.results, logs.asked(options), options.metric, printed, logs.stated)
    series = sources.read(options.sides)
    folders = len(options.sides) == 2 == sources.folders  # noqa: PLR2004
    mode = Mode(options.pairs) if options.pairs else Mode.SAME_ID if folders else Mode.ALL
    found = compare(
        series,
        mode,
        sources.allowed(),
        limit=options.limit,
        dtype=options.dtype,
        common_steps=options.common_steps,
    )
    allowed = tuple(dict.fromkeys(Verdict(name) for name in options.allow if name != _PRINTED))
    terms = Terms(verdicts=allowed, printed=_PRINTED in options.allow, state=options.state)
    notes = (_said(mode, asked=options.pairs is not None), *sources.notes)
    if any(each.cell and each.cell.workload.startswith("operations") for each in series):
        notes += (_COUNTED,)
    view = build(found, terms, notes)
    content = PRESENTERS[options.format](view)
    if options.output:
        resources.write_atomically(options.output, content.encode())
        Story.of(options).say(f"{'wrote':<10} {options.output}: {view.verdicts}")
    else:
        out.presented(content)
    return int(ExitCode.OK if view.passes else ExitCode.DIFFERENCE)


def _said(mode: "Mode", *, asked: bool) -> str:
    from repromatrix.compare.pairs import Mode

    what = {
        Mode.ALL: "all pairs are compared",
        Mode.FIRST: "each series is compared with the first",
        Mode.SAME_ID: "each cell is compared with the same cell of the other folder",
    }[mode]
    default = {Mode.ALL: "the default", Mode.SAME_ID: "the default for two results folders"}.get(mode, "")
    return f"{what} ({'as asked' if asked else default}; --pairs all, first or same-id)"
