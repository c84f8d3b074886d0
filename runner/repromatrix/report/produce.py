"""A results folder -> the report of it on disk, with its gist."""

from collections.abc import Iterator

from repromatrix.operations.kept import Judgements
from repromatrix.report.gather import gather
from repromatrix.report.gist import Gist, Request, Written
from repromatrix.report.junit import junit
from repromatrix.report.render import write
from repromatrix.report.sections.cells import Cells
from repromatrix.report.sections.changes import Changes
from repromatrix.report.sections.published import PublishedTables, counted
from repromatrix.report.sections.statements import Statements
from repromatrix.report.view import View, build
from repromatrix.results import accepted as expected
from repromatrix.results.store import Store


def produce(request: Request) -> Written:
    """Write the report of the results folder."""
    accepted = expected.find(request.accepted, required=request.require_accepted)
    view = build(gather(Store(request.results), accepted), Judgements())
    files = write(view, request.output, {request.junit: junit(view)} if request.junit else None)
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
        elsewhere=changes.elsewhere,
        kept=not (changes.broken or changes.gone),
    )


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
