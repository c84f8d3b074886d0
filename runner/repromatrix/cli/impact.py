"""`repromatrix impact A B`: what changes numerically between two environments.

Makes both, locking on the fly what the matrix does not hold, runs every job on both, and prints what changed. Exit 0:
no difference was seen; 1: something changed, failed, or is not deterministic.
"""

from argparse import ArgumentParser, Namespace
from typing import TYPE_CHECKING

from repromatrix.cli import options as shared
from repromatrix.cli import out
from repromatrix.cli.select import execution_of
from repromatrix.cli.story import Story
from repromatrix.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from repromatrix.matrix import Matrix, Settings


def arguments(parser: ArgumentParser) -> None:
    """Say what the command takes."""
    parser.add_argument(
        "before",
        metavar="A",
        help="before: FRAMEWORK==VERSION, FRAMEWORK[FLAVOUR]==VERSION, an environment of the matrix, a lock, a "
        "requirements.txt, a wheel of your own, or 'FRAMEWORK --pre' for its newest pre-release",
    )
    parser.add_argument("after", metavar="B", help="after, likewise")
    parser.add_argument("--pre", action="store_true", help="a bare FRAMEWORK is its newest release, also a pre-release")
    shared.matrix(parser)
    parser.add_argument("--select", action="append", default=[], metavar="PATTERN", help="only these variants")
    parser.add_argument(
        "--settings",
        action="append",
        default=[],
        metavar="NAME",
        help="run what changed in these settings of the matrix too, on both sides (avx2: a cap on instructions): is "
        "it the same there, or do they make the same change? `all`: in each of them",
    )
    shared.engine(parser)
    shared.results(parser)
    form = parser.add_mutually_exclusive_group()
    shared.json_output(form)
    form.add_argument("--markdown", action="store_true", help="print the result as Markdown, for a pull request")
    shared.examples(
        parser, "impact numpy==1.26.4 numpy==2.4.6", "impact numpy==1.26.4 numpy==2.4.6 --settings avx2 --markdown"
    )


def run(options: Namespace) -> int:
    """Compare two environments over everything that they share."""
    from repromatrix.explain.impact.rows import Level
    from repromatrix.explain.impact.run import Comparing, comparable, runs
    from repromatrix.explain.impact.text import markdown, text
    from repromatrix.images.lockable import Spare
    from repromatrix.matrix import load
    from repromatrix.matrix.candidates import pairs

    story, spare = Story.of(options), Spare()
    if not (options.before.strip() and options.after.strip()):
        raise UsageError("name two versions", hint="for example make impact FROM=numpy==1.26.4 TO=numpy==2.4.6")
    matrix = load(options.matrix)
    conditions = _conditions(matrix, options.settings)
    before, after = (spare.meant(matrix, each, pre=options.pre) for each in (options.before, options.after))
    named = pairs(before, after)
    cells = comparable(matrix, named, options.select)
    sides = spare.choose(tuple(cells))
    for name in spare.places(sides):
        story.say(f"{'locked':<10} {name} on the fly")
    execution = execution_of(matrix, cells[sides], options, story, lock_folders=spare.places(sides))
    with story.progress(runs(matrix, cells[sides])):
        found = Comparing(execution, matrix, sides, cells[sides]).run(conditions)
    if options.json:
        out.document(found.document(), indent=1)
    elif options.markdown:
        out.presented(markdown(found) + "\n")
    else:
        out.say(text(found))
    return int(ExitCode.OK if found.level is Level.SAME else ExitCode.DIFFERENCE)


def _conditions(matrix: "Matrix", names: list[str]) -> "list[Settings]":
    """Return the settings in which what changed runs too.

    Raises:
        UsageError: the matrix has none of that name.
    """
    from repromatrix.matrix.check import suggest

    others = {name: each for name, each in matrix.settings.items() if name != "default"}
    for name in names:
        if name not in others and name != "all":
            raise UsageError(f"no settings {name!r} in {matrix.path.name}", hint=suggest(name, [*others, "all"]))
    return list(others.values()) if "all" in names else [others[name] for name in dict.fromkeys(names)]
