"""`repromatrix operations`: how each environment computes each operation, and how far from the exact result."""

from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from typing import TYPE_CHECKING

from repromatrix.cli import options as shared
from repromatrix.cli import out
from repromatrix.cli.select import execution_of
from repromatrix.cli.story import Story
from repromatrix.errors import ExitCode

if TYPE_CHECKING:
    from repromatrix.operations.judgement import Arithmetic
    from repromatrix.operations.listing import Entry


def arguments(parser: ArgumentParser) -> None:
    """Say what the command takes."""
    parser.add_argument("environments", nargs="*", metavar="ENV", help="environments; default: those of the profile")
    shared.matrix(parser)
    shared.profile(parser)
    shared.engine(parser)
    shared.results(parser)
    shared.json_output(parser)
    shared.examples(parser, "operations numpy-1.26.4-cpu numpy-2.4.6-cpu")


def run(options: Namespace) -> int:
    """Replay every operation on fresh inputs, keep that, and print what it shows."""
    from repromatrix.explain.catalogue import cells_to_list, listed
    from repromatrix.explain.operations_text import plain
    from repromatrix.matrix import load
    from repromatrix.operations.catalogue import PRIMITIVES
    from repromatrix.plan import environments_named, environments_of

    matrix, story = load(options.matrix), Story.of(options)
    named = environments_named(matrix, options.environments)
    environments = named or environments_of(matrix, options.profile, ())
    cells = tuple(cells_to_list(matrix, environments))
    execution = execution_of(matrix, cells, options, story)
    with story.progress(len(cells) * len(PRIMITIVES)):
        entries = listed(execution, cells)
    if options.json:
        out.document([plain(entry) for entry in entries], indent=1)
    else:
        out.say(tell(entries))
    return int(ExitCode.OK if all(entry.how.reason is None for entry in entries) else ExitCode.CELL_FAILED)


def tell(found: "Sequence[Entry]") -> str:
    """Return the catalogue as a table; variants in which an operation is the same share a row."""
    from repromatrix.explain.operations_text import aligned, forms

    every: dict[tuple[str, str], list[str]] = {}
    groups: dict[tuple[str, str, Arithmetic], list[str]] = {}
    for each in found:
        device = "" if each.cell.device == "cpu" else f"@{each.cell.device}"
        where, variant = (each.cell.environment + device, each.cell.dtype), _variant(each)
        every.setdefault(where, []).append(variant)
        groups.setdefault((*where, each.how), []).append(variant)
    rows = [("environment", "dtype", "operation", "variants", "correct", "worst ULP", "form")]
    for (environment, dtype, how), variants in groups.items():
        whole = set(variants) == set(every[environment, dtype])
        correct = "" if how.correct is None else f"{how.correct}/{how.values}"
        worst = "" if how.worst is None else f"{how.worst:.4g}"
        told = "all" if whole else ", ".join(variants)
        rows.append((environment, dtype, how.primitive, told, correct, worst, forms(how)))
    return "\n".join(aligned(rows))


def _variant(entry: "Entry") -> str:
    from repromatrix.explain.catalogue import VARIED

    options = dict(entry.options)
    return " ".join(options[name] for name in VARIED if name in options)
