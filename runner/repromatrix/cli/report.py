"""`repromatrix report`: records -> index.html, report.md, report.json. Needs no engine and no matrix."""

from argparse import Namespace
from collections.abc import Iterator, Sequence

from repromatrix import resources
from repromatrix.cli.gist import Gist, Written, accepted_run, demanded, print_json, tell
from repromatrix.cli.story import Story
from repromatrix.errors import ExitCode
from repromatrix.operations.kept import Judgements
from repromatrix.report.evidence import Evidence
from repromatrix.report.junit import junit
from repromatrix.report.render import write
from repromatrix.report.replayed import Replayed
from repromatrix.report.sections.cells import Cells
from repromatrix.report.sections.changes import Changes
from repromatrix.report.sections.published import PublishedTables, counted
from repromatrix.report.sections.statements import Statements
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
    evidence = Evidence(
        manifest=manifest,
        records=records,
        missing=missing,
        accepted=accepted,
        earlier=earlier,
        traces=store.traces(manifest),
        bits=store.read_value,
        experiments=experiments,
        tried=store.records_of(experiments),
        replayed=replayed(store),
    )
    view = build(evidence, Judgements())
    files = write(view, options.output)
    if options.junit:
        resources.write_atomically(options.junit, junit(view).encode())
        files = (*files, options.junit)
    return Written(files=files, gist=gist(view))


def gist(view: View) -> Gist:
    """Return what is said of a report."""
    changes, published = view.section(Changes), view.section(PublishedTables)
    missing = view.section(Cells).missing
    return Gist(
        missing=missing,
        lines=(*_of_published(view), *_of_changes(changes)),
        reproduced=bool(published.tables) and all(table.complete for table in published.tables),
        compared=changes.accepted is None or changes.compared > 0,
        kept=not (changes.broken or changes.gone),
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


def _of_changes(changes: Changes) -> Iterator[str]:
    if changes.accepted:
        yield f"{'accepted':<10} {changes.sentences[0].text}"
        for line in changes.lines:
            yield f"{'changed':<10} {line}"


def _of_published(view: View) -> Iterator[str]:
    for statements in view.section(Statements).tables:
        yield f"{'verdicts':<10} {statements.total}"
    for table in view.section(PublishedTables).tables:
        found = table.totals
        yield (
            f"{'published':<10} {found.reproduced} of {found.losses} losses and {found.predictions_reproduced} of "
            f"{found.predictions} predictions reproduced to every printed digit{counted(found)}"
        )
