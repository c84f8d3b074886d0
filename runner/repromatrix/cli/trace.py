"""`repromatrix trace [A B]`: where the traces of two cells part, or those of all classes."""

import dataclasses
from argparse import ArgumentParser, Namespace
from typing import TYPE_CHECKING

from repromatrix.cli import options as shared
from repromatrix.cli import out
from repromatrix.cli.select import execution_of
from repromatrix.cli.story import Story
from repromatrix.errors import ExitCode, UsageError
from repromatrix.tables import aligned

if TYPE_CHECKING:
    from repromatrix.compare.trace import Divergence, Point
    from repromatrix.explain.partings import Partings


def arguments(parser: ArgumentParser) -> None:
    """Say what the command takes."""
    parser.add_argument("cells", nargs="*", metavar="ID", help="two cells; default: the classes of each dtype")
    parser.add_argument(
        "--no-fetch",
        action="store_true",
        help="of a large value tell only that it differs: do not run the two cells again for its bits",
    )
    shared.matrix(parser)
    shared.engine(parser)
    shared.cluster(parser)
    shared.results(parser)
    shared.json_output(parser)
    shared.examples(parser, "trace mazur/numpy-1.26.4-cpu/parallel mazur/numpy-2.4.6-cpu/parallel")


def run(options: Namespace) -> int:
    """Print where they part; exit 1 if two cells that were named do."""
    from repromatrix.explain.partings import Partings
    from repromatrix.results.store import Store

    partings = Partings(Store(options.results))
    if options.cells and len(options.cells) != 2:  # noqa: PLR2004 - a pair
        raise UsageError("name two cells, or none for all classes", hint="repromatrix trace ID ID")
    found = (_pair(options, partings),) if options.cells else partings.of_classes()
    if options.json:
        out.document([dataclasses.asdict(each) | {"same": each.same} for each in found], indent=1)
    else:
        out.say("\n\n".join(map(tell, found)))
    return int(ExitCode.DIFFERENCE if options.cells and not found[0].same else ExitCode.OK)


def _pair(options: Namespace, partings: "Partings") -> "Divergence":
    from repromatrix.explain.first import is_unseen
    from repromatrix.matrix import load
    from repromatrix.plan import find

    found = partings.of_pair(*options.cells)
    if options.no_fetch or not is_unseen(found):
        return found
    matrix, story = load(options.matrix), Story.of(options)
    execution = execution_of(matrix, [find(matrix, name) for name in options.cells], options, story)
    found, reasons = partings.fetched(found, execution, matrix)
    for name, reason in reasons.items():
        story.say(f"{'not seen':<10} {name}: {reason}")
    return found


def tell(found: "Divergence") -> str:
    """Return a divergence in a few lines of text."""
    head = f"{found.a}\n{found.b}"
    if found.reason is not None:
        lines = [f"not compared: {found.reason}"]
    elif found.point is None:
        lines = [f"no difference in any traced value of {found.steps} step{'s' if found.steps > 1 else ''}"]
    else:
        lines = _point(found.point)
    return "\n".join([head, *(f"  {line}" for line in (*lines, *found.caveats))])


def _point(point: "Point") -> list[str]:
    if point.a is None or point.b is None:
        how = "known by its digest alone (to see its bits: repromatrix trace A B)"
        return [f"part at step {point.step}, {point.tensor}: {how}"]
    index = "".join(f"[{each}]" for each in point.index)
    apart = "not finite" if point.ulps is None else f"{point.ulps} ULP of {point.ulp_dtype}"
    values = [(each.decimal, each.hexadecimal, each.bits) for each in (point.a, point.b)]
    return [f"part at step {point.step}, {point.tensor}{index}: {apart}", *aligned(values)]
