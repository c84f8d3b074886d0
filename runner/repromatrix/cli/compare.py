"""`repromatrix compare A B ...`: what separates runs, cells, published columns and other people's loss logs.

Needs no engine and no matrix. Exit 0: the metrics of every pair are identical, or of a verdict that --allow names; 1:
something is not. --state asks for the same weights after the last update too.
"""

import sys
from argparse import Namespace

from repromatrix import resources
from repromatrix.cli.sources import Sources
from repromatrix.cli.story import Story
from repromatrix.compare.difference import Verdict
from repromatrix.compare.pair import Terms
from repromatrix.compare.pairs import Mode, compare
from repromatrix.errors import ExitCode
from repromatrix.report.comparison import build
from repromatrix.report.comparison_pages import PRESENTERS

PRINTED = "printed"  # of --allow, beside the verdicts


def run(options: Namespace) -> int:
    """Compare what the arguments name and print or write the comparison."""
    sources = Sources(options.results, options.column)
    series = sources.read(options.sides)
    folders = len(options.sides) == 2 == sources.folders  # noqa: PLR2004
    mode = Mode(options.pairs) if options.pairs else Mode.SAME_ID if folders else Mode.ALL
    found = compare(series, mode, sources.allowed(), limit=options.limit, dtype=options.dtype)
    allowed = tuple(dict.fromkeys(Verdict(each) for each in options.allow if each != PRINTED))
    terms = Terms(verdicts=allowed, printed=PRINTED in options.allow, state=options.state)
    view = build(found, terms, (_said(mode, asked=options.pairs is not None),))
    content = PRESENTERS[options.format](view)
    if options.output:
        resources.write_atomically(options.output, content.encode())
        Story.of(options).say(f"{'wrote':<10} {options.output}: {view.verdicts}")
    else:
        sys.stdout.write(content)
    return int(ExitCode.OK if view.passes else ExitCode.DIFFERENCE)


def _said(mode: Mode, *, asked: bool) -> str:
    what = {
        Mode.ALL: "all pairs are compared",
        Mode.FIRST: "each series is compared with the first",
        Mode.SAME_ID: "each cell is compared with the same cell of the other folder",
    }[mode]
    default = {Mode.ALL: "the default", Mode.SAME_ID: "the default for two results folders"}.get(mode, "")
    return f"{what} ({'as asked' if asked else default}; --pairs all, first or same-id)"
