"""`repromatrix report`: records -> index.html, report.md, report.json. Needs no engine and no matrix."""

import json
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path

from repromatrix import resources
from repromatrix.cli.judgements import Judgements
from repromatrix.cli.story import Story
from repromatrix.errors import ExitCode, UsageError
from repromatrix.report.junit import junit
from repromatrix.report.render import write
from repromatrix.report.replayed import Replayed
from repromatrix.report.view import View, build
from repromatrix.results.accepted import Accepted, bits, read
from repromatrix.results.record import Record
from repromatrix.results.store import Store

ACCEPTED = "accepted.json"


def run(options: Namespace) -> int:
    """Write the report; cells of the manifest without a record are named and make the exit code 5."""
    view = produce(options, Story.of(options))
    if view.missing:
        return int(ExitCode.CELL_FAILED)
    return int(demanded(options, view))


def produce(options: Namespace, story: Story) -> View:
    """Write the report of the results folder and return its view."""
    store = Store(options.results)
    manifest = store.read_manifest()
    records, missing = store.records(manifest)
    accepted = accepted_run(options.accepted)
    if options.require_accepted and accepted is None:
        raise UsageError(
            "--require-accepted, and there is no accepted run", where=ACCEPTED, hint="accept one: repromatrix accept"
        )
    earlier = earlier_records(store, accepted, records)
    experiments = store.read_experiments()
    view = build(
        manifest,
        records,
        missing,
        accepted,
        earlier,
        traces=store.traces(manifest),
        experiments=experiments,
        tried=store.records_of(experiments),
        replayed=replayed(store),
        memo=Judgements(),
    )
    files = write(view, options.output)
    if options.junit:
        resources.write_atomically(options.junit, junit(view).encode())
        files = (*files, options.junit)
    for cell_id in missing:
        story.say(f"{'missing':<10} {cell_id}")
    story.say(f"{'wrote':<10} {', '.join(str(path) for path in files)}")
    if options.json:
        print(json.dumps({"files": [str(path) for path in files], "missing": list(missing)}))
    _tell_published(view, story)
    _tell_changes(view, story)
    return view


def demanded(options: Namespace, view: View) -> ExitCode:
    """Return 1 if a demand is not met.

    `--require-published`: pinned environments reproduce the whole published tables. `--require-accepted`: every cell of
    the accepted run is there, and no bits and no outcomes changed.

    Raises:
        UsageError: `--require-accepted`, and the accepted run has no cell of this one.
    """
    whole = bool(view.published) and all(each.complete for each in view.published)
    found = view.changes
    if options.require_accepted and found and not found.claims[0].cells:
        raise UsageError(
            "--require-accepted, and no cell of this run is in the accepted one: nothing was compared",
            where=str(options.accepted or ACCEPTED),
            hint="run the same profile, or accept this run: repromatrix accept",
        )
    changed = found is not None and (found.broken or found.gone > 0)
    unmet = (options.require_published and not whole) or (options.require_accepted and changed)
    return ExitCode.DIFFERENCE if unmet else ExitCode.OK


def accepted_run(path: Path | None) -> Accepted | None:
    """Return the accepted run: that file, or accepted.json of the current folder if it is there, else None.

    Raises:
        UsageError: a file that was named is not there, or one cannot be read.
    """
    if path is None and not Path(ACCEPTED).is_file():
        return None
    return read(path or Path(ACCEPTED))


def replayed(store: Store) -> Replayed:
    """Return the operations that were computed again, as far as their files are there.

    Raises:
        ResultsError: one of them cannot be read.
    """
    studies = store.read_studies()
    ends = dict.fromkeys(end for study in studies.pairs for end in (study.left, study.right) if end is not None)
    listed = {each.cell: store.replays(each.cell, each.fresh) for each in studies.catalogue}
    return Replayed(
        studies=studies,
        ends={end: store.testimony(end) for end in ends},
        listed={cell: each for cell, each in listed.items() if each is not None},
    )


def earlier_records(store: Store, accepted: Accepted | None, records: Sequence[Record]) -> dict[str, Record]:
    """Return, by cell id, the accepted records of the cells whose bits changed, as far as they are still there."""
    now = {each.cell.id: each for each in records}
    found = {}
    for each in accepted.cells if accepted else ():
        if each.id in now and each.bits is not None and bits(now[each.id]) not in (None, each.bits):
            record = store.read(each.id, each.key)
            if record is not None:
                found[each.id] = record
    return found


def _tell_changes(view: View, story: Story) -> None:
    if view.changes:
        story.say(f"{'accepted':<10} {view.changes.claims[0].text}")
        for line in view.changes.lines:
            story.say(f"{'changed':<10} {line}")


def _tell_published(view: View, story: Story) -> None:
    for each in view.published:
        rest = [
            (each.not_pinned, "of these losses by no pinned environment"),
            (each.differing, "losses differ"),
            (each.not_computed, "losses not computed in this run"),
            (each.predictions_differing, "predictions differ"),
            (each.predictions_not_computed, "predictions not computed in this run"),
        ]
        more = "".join(f", {count} {what}" for count, what in rest if count)
        if each.verdict_line:
            story.say(f"{'verdicts':<10} {each.verdict_line}")
        story.say(
            f"{'published':<10} {each.reproduced} of {each.total} losses and {each.predictions_reproduced} of "
            f"{each.predictions_total} predictions reproduced to every printed digit{more}"
        )
