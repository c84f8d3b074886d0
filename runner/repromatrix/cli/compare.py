"""`repromatrix compare A B ...`: what separates runs, cells, published columns and other people's loss logs.

Needs no engine and no matrix. Exit 0: the losses of every pair are identical, or of a verdict that --allow names; 1:
something is not. Other metrics of logs are shown; --metric makes them count. --state asks for the same weights after
the last update too.
"""

from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from repromatrix import resources
from repromatrix.cli import options as shared
from repromatrix.cli import out
from repromatrix.cli.story import Story
from repromatrix.errors import ExitCode
from repromatrix.floats import FORMS

if TYPE_CHECKING:
    from repromatrix.compare.allowance import Stated
    from repromatrix.compare.metrics import Wish
    from repromatrix.compare.pairs import Mode
    from repromatrix.results.logs.columns import Asked

_PRINTED = "printed"  # of --allow, beside the verdicts


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
    _of_logs(parser)
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
    )


def _of_logs(parser: ArgumentParser) -> None:
    """How logs of others are read."""
    from repromatrix.results.logs.columns import Repeated
    from repromatrix.results.logs.figures import Comma

    parser.add_argument(
        "--dtype",
        choices=tuple(FORMS),
        help="what a log's numbers are; default: float32 where they are printed as Python prints one, else the other "
        "side's dtype if they can be that, else float64",
    )
    parser.add_argument(
        "--column",
        action="append",
        default=[],
        metavar="NAME",
        help="the column, key or array of every log that is compared; may be repeated",
    )
    parser.add_argument(
        "--metric",
        action="append",
        default=[],
        metavar="NAME[=RULE]",
        type=_wish,
        help="how a metric of logs counts beside the losses: judged (the default), exact, rounding, shown or ignore; "
        "NAME may be a shell pattern or a word of its name; may be repeated",
    )
    steps = parser.add_mutually_exclusive_group()
    steps.add_argument(
        "--common-steps", action="store_true", help="compare logs of other steps at those that both have"
    )
    steps.add_argument(
        "--by-place", action="store_true", help="leave the steps of logs unread: compare the n-th number with the n-th"
    )
    parser.add_argument(
        "--repeated",
        choices=[each.value for each in Repeated],
        help="which number counts where a log has a step twice with two numbers, as after a restart; default: none, an "
        "error",
    )
    parser.add_argument(
        "--comma",
        choices=[each.value for each in Comma],
        help="what a comma in a number stands for; default: what the file's numbers show, else they are refused",
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

    if any(str(side).startswith("operations") for side in options.sides):
        from repromatrix.cli import compare_operations

        if pair := compare_operations.named(options):
            return compare_operations.compared(options, *pair)
    sources = Sources(options.results, _asked(options), options.metric, printed, _stated)
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
    view = build(found, terms, (_said(mode, asked=options.pairs is not None), *sources.notes))
    content = PRESENTERS[options.format](view)
    if options.output:
        resources.write_atomically(options.output, content.encode())
        Story.of(options).say(f"{'wrote':<10} {options.output}: {view.verdicts}")
    else:
        out.presented(content)
    return int(ExitCode.OK if view.passes else ExitCode.DIFFERENCE)


def _asked(options: Namespace) -> "Asked":
    from repromatrix.results.logs.columns import Asked, Repeated
    from repromatrix.results.logs.figures import Comma

    return Asked(
        columns=tuple(dict.fromkeys(options.column)),
        repeated=Repeated(options.repeated) if options.repeated else None,
        comma=Comma(options.comma) if options.comma else None,
        by_place=options.by_place,
    )


def _wish(text: str) -> "Wish":
    """Return which metric counts, and how."""
    from repromatrix.compare.metrics import Wish
    from repromatrix.compare.series import Rule

    name, equals, rule = text.rpartition("=")
    name, rule = (name, rule) if equals else (text, Rule.JUDGED.value)
    known = [each.value for each in Rule]
    if not name or rule not in known:
        raise ArgumentTypeError(f"{rule!r} is no rule: write NAME or NAME=RULE, RULE one of {', '.join(known)}")
    return Wish(name=name, rule=Rule(rule))


def _stated() -> "Iterable[Stated]":
    """Return the tolerances of the matrix, if there is one here."""
    from repromatrix.matrix import load

    path = Path("matrix.yaml")
    return load(path).stated if path.is_file() else ()


def _said(mode: "Mode", *, asked: bool) -> str:
    from repromatrix.compare.pairs import Mode

    what = {
        Mode.ALL: "all pairs are compared",
        Mode.FIRST: "each series is compared with the first",
        Mode.SAME_ID: "each cell is compared with the same cell of the other folder",
    }[mode]
    default = {Mode.ALL: "the default", Mode.SAME_ID: "the default for two results folders"}.get(mode, "")
    return f"{what} ({'as asked' if asked else default}; --pairs all, first or same-id)"
