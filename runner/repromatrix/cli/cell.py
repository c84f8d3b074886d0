"""`repromatrix cell ID`: run one cell; its record on standard output."""

import sys
from argparse import ArgumentParser, Namespace

from repromatrix.cli import options as shared
from repromatrix.cli.registry import share_of
from repromatrix.cli.run import exit_code
from repromatrix.cli.select import engine as choose_engine
from repromatrix.cli.select import require_locks
from repromatrix.cli.story import Story
from repromatrix.execute.run import Execution
from repromatrix.matrix import load
from repromatrix.plan import find
from repromatrix.results.record import encode
from repromatrix.results.store import Store


def arguments(parser: ArgumentParser) -> None:
    """Say what the command takes."""
    parser.add_argument("id", metavar="ID", help="the cell, as `repromatrix plan` names it")
    shared.matrix(parser)
    shared.engine(parser)
    shared.results(parser)
    shared.examples(parser, "cell mazur/numpy-2.4.6-cpu/sequential")


def run(options: Namespace) -> int:
    """Run the cell unless its answer is in the results folder, and print the record."""
    matrix = load(options.matrix)
    cell = find(matrix, options.id)
    require_locks(matrix.path, [cell.environment])
    story = Story.of(options)
    engine = choose_engine(options, story, [cell.environment])
    share, store = share_of(options, engine, story), Store(options.results)
    execution = Execution(matrix=matrix, engine=engine, store=store, listener=story, jobs=options.jobs, share=share)
    summary = execution.run([cell])
    sys.stdout.write(encode(summary.records[0]).decode())
    return int(exit_code(summary))
