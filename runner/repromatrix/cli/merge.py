"""`repromatrix merge DIR ...`: several results folders into one, for a report over all of them."""

import json
from argparse import ArgumentParser, Namespace
from pathlib import Path

from repromatrix import resources
from repromatrix.cli import options as shared
from repromatrix.cli import out
from repromatrix.cli.story import Story
from repromatrix.errors import ExitCode, UsageError

_MOST_BYTES = 64 << 20  # of the output of `plan`


def arguments(parser: ArgumentParser) -> None:
    """Say what the command takes."""
    parser.add_argument("sources", nargs="+", type=Path, metavar="DIR", help="results folders")
    parser.add_argument(
        "--expect", type=Path, metavar="FILE", help="output of `plan --format json`: cells that must be there"
    )
    shared.json_output(parser)
    shared.results(parser)
    shared.examples(
        parser, "merge machine-1/results machine-2/results --results both", more=("merge parts/* --expect plan.json",)
    )


def run(options: Namespace) -> int:
    """Merge, and say which cells have no record: those that a folder names, and with --expect the planned ones."""
    from repromatrix.results.merge import merge
    from repromatrix.results.store import Store

    story = Story.of(options)
    expected = _expected(options.expect) if options.expect else []
    merged = merge(options.sources, Store(options.results), expected)
    for source in merged.unfinished:
        story.say(f"{'unfinished':<10} {source}: its run wrote no manifest")
    for remark in merged.remarks:
        story.say(f"{'remark':<10} {remark}")
    for cell_id in merged.missing:
        story.say(f"{'missing':<10} {cell_id}")
    members = {name for each in merged.manifest.ensembles for name in each.members}
    gone = members | set(merged.missing)
    count = sum(each.key is not None and each.id not in gone for each in merged.manifest.entries)
    story.say(f"{count} cells from {len(options.sources)} folders, {len(merged.missing)} missing ({options.results})")
    if options.json:
        unfinished, remarks = [str(source) for source in merged.unfinished], list(merged.remarks)
        out.document({"cells": count, "missing": list(merged.missing), "unfinished": unfinished, "remarks": remarks})
    return int(ExitCode.CELL_FAILED if merged.missing or merged.unfinished else ExitCode.OK)


def _expected(path: Path) -> list[str]:
    try:
        data = resources.read_regular(path, most=_MOST_BYTES, links=True)
        return [str(cell["id"]) for cell in json.loads(data)["cells"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(
            f"not the output of `repromatrix plan --format json` ({error})", where=str(path), hint="make it again"
        ) from error
