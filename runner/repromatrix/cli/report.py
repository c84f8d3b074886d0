"""`repromatrix report`: records -> index.html, report.md, report.json. Needs no engine and no matrix."""

from argparse import Namespace
from collections.abc import Iterator, Sequence

from repromatrix import resources
from repromatrix.cli.gist import Gist, Written, accepted_run, demanded, print_json, tell
from repromatrix.cli.story import Story
from repromatrix.errors import ExitCode
from repromatrix.operations.kept import Judgements
from repromatrix.report.junit import junit
from repromatrix.report.render import write
from repromatrix.report.replayed import Replayed
from repromatrix.report.view import View, build
from repromatrix.results.accepted import Accepted, bits
from repromatrix.results.record import Record
from repromatrix.results.store import Store


def run(options: Namespace) -> int:
    """Write the report; cells of the manifest without a record are named and make the exit code 5."""
    written = produce(options)
    tell(written, Story.of(options))
    if options.json:
        print_json(written)
    if written.gist.missing:
        return int(ExitCode.CELL_FAILED)
    return int(demanded(options, written.gist))


def produce(options: Namespace) -> Written:
    """Write the report of the results folder."""
    store = Store(options.results)
    manifest = store.read_manifest()
    records, missing = store.records(manifest)
    accepted = accepted_run(options.accepted, required=options.require_accepted)
    earlier = earlier_records(store, accepted, records)
    experiments = store.read_experiments()
    view = build(
        manifest,
        records,
        missing,
        accepted,
        earlier,
        traces=store.traces(manifest),
        bits=store.read_value,
        experiments=experiments,
        tried=store.records_of(experiments),
        replayed=replayed(store),
        memo=Judgements(),
    )
    files = write(view, options.output)
    if options.junit:
        resources.write_atomically(options.junit, junit(view).encode())
        files = (*files, options.junit)
    return Written(files=files, gist=gist(view))


def gist(view: View) -> Gist:
    """Return what is said of a report."""
    changes = view.changes
    return Gist(
        missing=view.missing,
        lines=(*_of_published(view), *_of_changes(view)),
        reproduced=bool(view.published) and all(table.complete for table in view.published),
        compared=changes is None or bool(changes.claims[0].cells),
        kept=changes is None or not (changes.broken or changes.gone > 0),
    )


def replayed(store: Store) -> Replayed:
    """Return the operations that were computed again, as far as their files are there.

    Raises:
        ResultsError: one of them cannot be read.
    """
    index = store.read_replay_index()
    ends = dict.fromkeys(end for pair in index.pairs for end in (pair.left, pair.right) if end is not None)
    listed = {each.cell: store.replays(each.cell, each.fresh) for each in index.listed}
    return Replayed(
        index=index,
        ends={end: store.replays_of(end) for end in ends},
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


def _of_changes(view: View) -> Iterator[str]:
    if view.changes:
        yield f"{'accepted':<10} {view.changes.claims[0].text}"
        for line in view.changes.lines:
            yield f"{'changed':<10} {line}"


def _of_published(view: View) -> Iterator[str]:
    for table in view.published:
        rest = [
            (table.not_pinned, "of these losses by no pinned environment"),
            (table.differing, "losses differ"),
            (table.not_computed, "losses not computed in this run"),
            (table.predictions_differing, "predictions differ"),
            (table.predictions_not_computed, "predictions not computed in this run"),
        ]
        more = "".join(f", {count} {what}" for count, what in rest if count)
        if table.verdict_line:
            yield f"{'verdicts':<10} {table.verdict_line}"
        yield (
            f"{'published':<10} {table.reproduced} of {table.total} losses and {table.predictions_reproduced} of "
            f"{table.predictions_total} predictions reproduced to every printed digit{more}"
        )
