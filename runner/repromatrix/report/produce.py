"""A results folder -> the report of it on disk, with its gist."""

from collections.abc import Iterator, Sequence

from repromatrix import resources
from repromatrix.operations.kept import Judgements
from repromatrix.report.gist import Gist, Request, Written
from repromatrix.report.junit import junit
from repromatrix.report.render import write
from repromatrix.report.replayed import Replayed
from repromatrix.report.view import View, build
from repromatrix.results import accepted as expected
from repromatrix.results.accepted import Accepted, bits
from repromatrix.results.record import Record
from repromatrix.results.store import Store


def produce(request: Request) -> Written:
    """Write the report of the results folder."""
    store = Store(request.results)
    manifest = store.read_manifest()
    records, missing = store.records(manifest)
    accepted = expected.find(request.accepted, required=request.require_accepted)
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
    files = write(view, request.output)
    if request.junit:
        resources.write_atomically(request.junit, junit(view).encode())
        files = (*files, request.junit)
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
