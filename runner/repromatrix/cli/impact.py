"""`repromatrix impact A B`: what changes numerically between two environments.

Makes both, locking on the fly what the matrix does not hold, runs every job on both, and prints what changed. Exit 0:
no difference was seen; 1: something changed, failed, or is not deterministic.
"""

from argparse import Action, ArgumentParser, Namespace
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from repromatrix.cli import options as shared
from repromatrix.cli import out
from repromatrix.cli.select import execution_of
from repromatrix.cli.story import Story
from repromatrix.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from repromatrix.engines.base import Engine
    from repromatrix.explain.impact.rows import Impact
    from repromatrix.matrix import Environment, Matrix, Settings


def arguments(parser: ArgumentParser) -> None:
    """Say what the command takes."""
    parser.usage = "%(prog)s [options] A B  |  A --here  |  --here B"
    parser.add_argument(
        "sides",
        nargs="+",
        metavar="A B",
        help="before and after: FRAMEWORK==VERSION, FRAMEWORK[FLAVOUR]==VERSION, an environment of the matrix, a lock, "
        "a requirements.txt, a wheel of your own, or 'FRAMEWORK --pre' for its newest pre-release",
    )
    parser.add_argument("--here", action=_Here, help="in place of A or of B: the first Python on PATH, as it is")
    parser.add_argument("--python", metavar="PATH", help="another Python for --here")
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
    parser.add_argument(
        "--full", action="store_true", help="run large training jobs in every dtype and compilation too (minutes)"
    )
    shared.engine(parser)
    shared.cluster(parser)
    shared.results(parser)
    form = parser.add_mutually_exclusive_group()
    shared.json_output(form)
    form.add_argument("--markdown", action="store_true", help="print the result as Markdown, for a pull request")
    shared.examples(
        parser,
        "impact numpy==1.26.4 numpy==2.4.6",
        "impact numpy==1.26.4 --here",
        "impact numpy==1.26.4 numpy==2.4.6 --settings avx2 --markdown",
        more=(
            "impact numpy==1.26.4 numpy==2.4.6 --select 'mlp/*'",
            "impact numpy==1.26.4 --here --python ~/envs/new/bin/python",
            "impact numpy==2.4.6 numpy --pre",
        ),
    )


class _Here(Action):
    """Notes on which side the Python at hand stands: on that of its place among the arguments."""

    def __init__(self, option_strings: Sequence[str], dest: str, **known: Any) -> None:
        super().__init__(option_strings, dest, nargs=0, **known)

    def __call__(self, _parser: ArgumentParser, options: Namespace, _values: object, _option: object = None) -> None:
        """Note it."""
        setattr(options, self.dest, 1 if options.sides else 0)


def run(options: Namespace) -> int:
    """Compare two environments over everything that they share."""
    from repromatrix.explain.impact.rows import Level
    from repromatrix.explain.impact.text import markdown, text

    found = compared(options, Story.of(options))
    if options.json:
        out.document(found.document(), indent=1)
    elif options.markdown:
        out.presented(markdown(found) + "\n")
    else:
        out.say(text(found))
    return int(ExitCode.OK if found.level is Level.SAME else ExitCode.DIFFERENCE)


def compared(options: Namespace, story: Story) -> "Impact":
    """Return what the command finds.

    Raises:
        RepromatrixError: the two cannot be compared.
    """
    from repromatrix.explain.impact.run import Comparing, comparable, left_out, runs
    from repromatrix.images.lockable import Spare
    from repromatrix.matrix import load
    from repromatrix.matrix.candidates import pairs

    spare = Spare()
    _require_two(options)
    matrix = load(options.matrix)
    conditions = _conditions(matrix, options.settings)
    meant = [spare.meant(matrix, each, pre=options.pre) for each in options.sides]
    at_hand = None
    if options.here is not None:
        matrix, at_hand = _at_hand(matrix, meant[0][0].framework, options, story)
        meant.insert(options.here, matrix.environments[-1:])
    named = pairs(meant[0], meant[1])
    full = options.full or bool(options.select)
    cells = comparable(matrix, named, options.select, full=full)
    sides = spare.choose(tuple(cells))
    whole = comparable(matrix, [sides], options.select)[sides]
    without = len({(cell.workload.name, cell.variant.name) for cell in whole if not full and left_out(matrix, cell)})
    for name in spare.places(sides):
        story.say(f"{'locked':<10} {name} on the fly")
    folders = spare.places(sides)
    execution = execution_of(matrix, cells[sides], options, story, at_hand=at_hand, lock_folders=folders)

    def lock(environment: "Environment") -> None:
        spare.require(environment)
        folders.update(spare.places([environment]))

    with story.progress(runs(matrix, cells[sides])):
        return Comparing(execution, matrix, sides, cells[sides], lock, without=without).run(conditions)


def _require_two(options: Namespace) -> None:
    """Check that there are two sides.

    Raises:
        UsageError: there are not.
    """
    if options.python and options.here is None:
        raise UsageError("--python goes with --here only", hint="repromatrix impact numpy==1.26.4 --here --python PATH")
    wanted = 1 if options.here is not None else 2
    if len(options.sides) != wanted or not all(each.strip() for each in options.sides):
        told = "name one version beside --here" if options.here is not None else "name two versions"
        raise UsageError(told, hint="for example make impact FROM=numpy==1.26.4 TO=numpy==2.4.6")


def _at_hand(matrix: "Matrix", framework: str, options: Namespace, story: Story) -> "tuple[Matrix, Engine]":
    """Return the matrix with the Python at hand as its last environment, and the engine of that."""
    from repromatrix.execute.here import prepare

    found, _, engine = prepare(matrix, framework, story, python=options.python, devices=("cpu",))
    return found, engine


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
