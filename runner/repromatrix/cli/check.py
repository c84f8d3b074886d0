"""`repromatrix check GOLDEN RUN`: a run held against a golden file, whoever wrote it, metric by metric.

Exit 0: every metric of the golden is as expected at each of its steps; 1: one is not, or the run lacks it; 2: a file
cannot be used; 3: an argument names nothing.
"""

import glob
import re
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from repromatrix import resources
from repromatrix.cli import logs, out
from repromatrix.cli import options as shared
from repromatrix.cli.story import Story
from repromatrix.errors import ExitCode, NothingSelectedError, UsageError

if TYPE_CHECKING:
    from repromatrix.compare.golden import Held
    from repromatrix.compare.sources import Sources

_PRINTED = "printed"
_PLACES = ("{machine}", "{cpu_class}")


def arguments(parser: ArgumentParser) -> None:
    """Say what the command takes."""
    from repromatrix.compare.difference import Verdict
    from repromatrix.report.comparison_pages import PRESENTERS

    shared.once(parser)
    parser.add_argument(
        "golden",
        metavar="GOLDEN",
        help="what is expected: a log or a golden file of any form that compare reads, or a cell; FILE::COLUMN names "
        "one of its columns; {machine} and {cpu_class} in it stand for this machine's",
    )
    parser.add_argument("runs", nargs="+", metavar="RUN", help="a log, a record, a cell or a pattern of cells")
    shared.results(parser)
    logs.arguments(parser, common=False)
    parser.add_argument(
        "--allow",
        action="append",
        default=[],
        choices=(Verdict.ROUNDING.value, _PRINTED),
        help="rounding: metrics may differ as far as rounding brings them; printed: numbers that the printed digits do "
        "not tell apart; may be repeated; default: neither",
    )
    parser.add_argument(
        "--update",
        action="store_true",
        help="write the numbers that moved into the golden, spelt as it spells its own; no other byte of it changes",
    )
    parser.add_argument(
        "--repeats",
        type=shared.positive,
        metavar="N",
        help="for scores that are noisy by nature: the first N files or cells are repeats of the golden, the others of "
        "the run; their last numbers are held against each other with at most 0.1 %% of false alarms",
    )
    parser.add_argument("--format", choices=tuple(PRESENTERS), default="text", help="default: text")
    parser.add_argument("--output", type=Path, metavar="FILE", help="write there instead of standard output")
    parser.add_argument("--junit", type=Path, metavar="FILE", help="write the answer for a CI's test view as well")
    parser.add_argument("--summary", type=Path, metavar="FILE", help="write the answer in Markdown as well")
    shared.examples(
        parser,
        "check golden.txt train.log",
        "check golden.json train.log --metric loss=exact --metric grad_norm=rounding --junit check.xml",
        "check golden.csv mazur/numpy-2.4.6-cpu/parallel",
        "check --update golden.txt train.log",
        "check --repeats 8 golden/*.json new/*.json",
        more=(
            "check golden.csv mazur/numpy-2.4.6-cpu/parallel --results night/results",
            "check golden.csv run.csv --column val_loss --dtype float32 --by-place --repeated last --comma decimal",
            "check golden.csv run.csv --allow printed --format md --output answer.md --summary summary.md",
        ),
    )


def run(options: Namespace) -> int:
    """Hold the runs against the golden and print or write what came of it."""
    from repromatrix.compare import golden
    from repromatrix.compare.difference import Verdict
    from repromatrix.compare.pair import Terms
    from repromatrix.compare.sources import Sources
    from repromatrix.published.series import printed
    from repromatrix.report.comparison import of_golden
    from repromatrix.report.comparison_pages import PRESENTERS

    options.golden = _of_this_machine(options.golden)
    shared.require_apart((options.junit, options.summary, options.output), (options.golden, *options.runs))
    if options.repeats:
        return _repeats(options)
    sources = Sources(options.results, logs.asked(options), options.metric, printed, logs.stated)
    every = golden.held(sources, options.golden, options.runs, options.metric)
    story = Story.of(options)
    if options.update:
        return _update(every, sources, options, story)
    found = golden.check(every, sources.allowed(), options.dtype)
    allowed = tuple(dict.fromkeys(Verdict(name) for name in options.allow if name != _PRINTED))
    view = of_golden(found, Terms(verdicts=allowed, printed=_PRINTED in options.allow), options.golden)
    for path, form in ((options.junit, "junit"), (options.summary, "md"), (options.output, options.format)):
        if path is not None:
            resources.write_atomically(path, PRESENTERS[form](view).encode())
            story.say(f"{'wrote':<10} {path}: {view.verdicts}")
    if options.output is None:
        out.presented(PRESENTERS[options.format](view))
    return int(ExitCode.OK if view.passes else ExitCode.DIFFERENCE)


def _of_this_machine(golden: str) -> str:
    """Return the golden of this machine, where its name says that it is one.

    Raises:
        NothingSelectedError: there are goldens of other machines alone.
    """
    if not any(each in golden for each in _PLACES):
        return golden
    import platform

    from repromatrix.execute import host

    own = golden.replace(_PLACES[0], platform.machine()).replace(_PLACES[1], host.cpu_class())
    path = Path(own.partition("::")[0])
    pattern = re.sub(r"\{(?:machine|cpu_class)\}", "*", glob.escape(golden.partition("::")[0]))
    others = sorted(glob.glob(pattern)) if not path.exists() else []  # noqa: PTH207 - a Path takes no absolute pattern
    if others:
        raise NothingSelectedError(
            f"no golden for this machine; there are: {', '.join(others)}",
            where=str(path),
            hint="keep the numbers of a run of this machine there; those of others are not held against it",
        )
    return own


def _repeats(options: Namespace) -> int:
    """Hold repeats of a run against repeats of a golden.

    Raises:
        UsageError: options that do not go together, or too few repeats.
    """
    from repromatrix.compare import golden
    from repromatrix.compare.sources import Sources
    from repromatrix.published.series import printed
    from repromatrix.report.shifts import PRESENTERS, passes

    every = (options.golden, *options.runs)
    if options.update or options.allow:
        raise UsageError("--repeats does not go with --update or --allow", hint="leave them out")
    if options.repeats >= len(every):
        raise UsageError(
            f"--repeats {options.repeats}, and {len(every)} files or cells in all: none is of the run",
            hint="name the repeats of the golden first, then those of the run",
        )
    sources = Sources(options.results, logs.asked(options), options.metric, printed, logs.stated)
    found = golden.shifts(sources, every[: options.repeats], every[options.repeats :], options.metric)
    story = Story.of(options)
    for path, form in ((options.junit, "junit"), (options.summary, "md"), (options.output, options.format)):
        if path is not None:
            resources.write_atomically(path, PRESENTERS[form](found).encode())
            story.say(f"{'wrote':<10} {path}")
    if options.output is None:
        out.presented(PRESENTERS[options.format](found))
    return int(ExitCode.OK if passes(found) else ExitCode.DIFFERENCE)


def _update(every: "Sequence[Held]", sources: "Sources", options: Namespace, story: Story) -> int:
    """Write the golden as the one run has it.

    Raises:
        UsageError: several runs, or a golden that cannot be written.
    """
    from repromatrix.compare import golden
    from repromatrix.results.logs import files
    from repromatrix.results.logs.rewrite import rewritten

    if len(every) > 1:
        raise UsageError("--update takes one run", hint=f"name one: repromatrix check --update {options.golden} RUN")
    one = every[0]
    moved = golden.moved(one, options.dtype)
    read = one.golden.read
    count = sum(map(len, moved.values()))
    if read is None or not count:
        story.say(f"{'unchanged':<10} {options.golden}: no number of it moved")
        return int(ExitCode.OK)
    path = Path(read.source)
    resources.write_atomically(path, rewritten(files.read(path), read.source, sources.asked(read), read.log, moved))
    for name, places in moved.items():
        story.say(f"{'moved':<10} {name}: {len(places):,} of {one.golden.steps(name):,} numbers")
    story.say(f"{'wrote':<10} {path}: {count:,} numbers moved; look at the difference, then commit it")
    return int(ExitCode.OK)
