"""`repromatrix merge DIR ...`: several results folders into one, for a report over all of them."""

import json
from argparse import Namespace
from pathlib import Path

from runner.cli.story import Story
from runner.errors import ExitCode, UsageError
from runner.results.store import Manifest, Store, merge


def run(options: Namespace) -> int:
    """Merge, and with --expect say which planned cells nobody delivered."""
    story = Story.of(options)
    store = Store(options.results)
    manifest = merge(options.sources, store)
    missing = _missing(options.expect, store, manifest) if options.expect else []
    story.say(f"{len(manifest.entries)} cells from {len(options.sources)} folders ({options.results})")
    for cell_id in missing:
        story.say(f"{'missing':<10} {cell_id}")
    return int(ExitCode.CELL_FAILED if missing else ExitCode.OK)


def _missing(expected: Path, store: Store, manifest: Manifest) -> list[str]:
    try:
        wanted = [cell["id"] for cell in json.loads(expected.read_text())["cells"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(
            f"not the output of `repromatrix plan --format json` ({error})", where=str(expected), hint="make it again"
        ) from error
    there = {record.cell.id for record in store.records(manifest)[0]}
    return [cell_id for cell_id in wanted if cell_id not in there]
