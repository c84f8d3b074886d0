"""`repromatrix report`: records -> index.html, report.md, report.json. Needs no engine and no matrix."""

import json
from argparse import Namespace

from runner.cli.story import Story
from runner.errors import ExitCode
from runner.report.render import write
from runner.report.view import View, build
from runner.results.store import Store


def run(options: Namespace) -> int:
    """Write the report; cells of the manifest without a record are named and make the exit code 5."""
    view = produce(options, Story.of(options))
    if view.missing:
        return int(ExitCode.CELL_FAILED)
    return int(published_code(options, view))


def produce(options: Namespace, story: Story) -> View:
    """Write the report of the results folder and return its view."""
    store = Store(options.results)
    manifest = store.read_manifest()
    records, missing = store.records(manifest)
    view = build(manifest, records, missing)
    files = write(view, options.output)
    for cell_id in missing:
        story.say(f"{'missing':<10} {cell_id}")
    story.say(f"{'wrote':<10} {', '.join(str(path) for path in files)}")
    if options.json:
        print(json.dumps({"files": [str(path) for path in files], "missing": list(missing)}))
    _tell_published(view, story)
    return view


def published_code(options: Namespace, view: View) -> ExitCode:
    """Return 1 if --require-published is given and not every published loss and prediction is reproduced."""
    if not options.require_published:
        return ExitCode.OK
    whole = bool(view.published) and all(each.complete for each in view.published)
    return ExitCode.OK if whole else ExitCode.DIFFERENCE


def _tell_published(view: View, story: Story) -> None:
    for each in view.published:
        rest = [
            (each.differing, "losses differ"),
            (each.not_computed, "losses not computed in this run"),
            (each.predictions_differing, "predictions differ"),
            (each.predictions_not_computed, "predictions not computed in this run"),
        ]
        more = "".join(f", {count} {what}" for count, what in rest if count)
        story.say(
            f"{'published':<10} {each.reproduced} of {each.total} losses and {each.predictions_reproduced} of "
            f"{each.predictions_total} predictions reproduced to every printed digit{more}"
        )
