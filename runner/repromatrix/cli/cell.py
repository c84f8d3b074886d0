"""`repromatrix cell ID`: run one cell; its record on standard output."""

from argparse import ArgumentParser, Namespace

from repromatrix import harmless
from repromatrix.cli import options as shared
from repromatrix.cli import out
from repromatrix.cli.run import exit_code
from repromatrix.cli.select import execution_of
from repromatrix.cli.story import Story


def arguments(parser: ArgumentParser) -> None:
    """Say what the command takes."""
    parser.add_argument("id", metavar="ID", help="the cell, as `repromatrix plan` names it")
    shared.matrix(parser)
    shared.engine(parser)
    shared.cluster(parser)
    shared.results(parser)
    shared.examples(parser, "cell mazur/numpy-2.4.6-cpu/sequential")


def run(options: Namespace) -> int:
    """Run the cell unless its answer is in the results folder, and print the record."""
    from repromatrix.matrix import load
    from repromatrix.plan import find
    from repromatrix.results.record import encode

    matrix = load(options.matrix)
    cell = find(matrix, options.id)
    summary = execution_of(matrix, [cell], options, Story.of(options)).run([cell])
    out.presented(harmless.json_text(encode(summary.records[0]).decode()))
    return int(exit_code(summary))
