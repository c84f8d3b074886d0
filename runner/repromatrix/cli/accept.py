"""`repromatrix accept`: this run's outcomes and bits become what is expected, in one small file to commit."""

from argparse import ArgumentParser, Namespace
from collections import Counter
from pathlib import Path

from repromatrix.cli import options as shared
from repromatrix.cli import out
from repromatrix.cli.story import Story
from repromatrix.errors import ExitCode, ResultsError


def arguments(parser: ArgumentParser) -> None:
    """Say what the command takes."""
    shared.results(parser)
    parser.add_argument(
        "--output", type=Path, default=Path("accepted.json"), metavar="FILE", help="default: accepted.json"
    )
    shared.json_output(parser)


def run(options: Namespace) -> int:
    """Write the file; a run that is not whole is not accepted.

    Raises:
        ResultsError: cells of the run have no record.
    """
    from repromatrix.results.accepted import accept, write
    from repromatrix.results.record import Outcome
    from repromatrix.results.store import Store

    store, story = Store(options.results), Story.of(options)
    manifest = store.read_manifest()
    records, missing = store.records(manifest)
    if missing:
        raise ResultsError(
            f"{len(missing)} cells of the run have no record, the first is {missing[0]}",
            where=str(options.results),
            hint="finish the run first: make matrix",
        )
    accepted = accept(manifest, records)
    write(accepted, options.output)
    outcomes = Counter(each.outcome for each in accepted.cells)
    for each in accepted.cells:
        if each.outcome in (Outcome.FAILED, Outcome.TIMED_OUT):
            story.say(f"{'warning':<10} {each.id} is accepted as {each.outcome.value.replace('_', ' ')}")
    counted = ", ".join(f"{outcomes[each]} {each.value.replace('_', ' ')}" for each in Outcome if outcomes[each])
    story.say(f"{'accepted':<10} {len(accepted.cells)} cells: {counted} ({options.output}); commit it")
    if options.json:
        out.document({"file": str(options.output), "cells": len(accepted.cells), "digest": accepted.digest})
    return int(ExitCode.OK)
