"""A report that is made again only where something that it is made of changed, or a file of it."""

from pathlib import Path

from repromatrix.report.gist import Gist, Request, Written
from repromatrix.results.accepted import find
from repromatrix.results.stamps import Stamps, digests
from repromatrix.results.store import Store

_STEP = "report"


def renewed(request: Request, stamps: Stamps) -> Written:
    """Write the report of the results folder, unless the one that is there is what would be written."""
    question = _question(request, stamps)
    found = _unchanged(request, stamps, question) if question else None
    if found:
        return found
    from repromatrix.report.produce import produce  # noqa: PLC0415 - only who has a report to write pays

    written = produce(request)
    if question and question == _question(request, stamps):  # else somebody wrote results meanwhile
        _keep(request, stamps, question, written)
    return written


def _question(request: Request, stamps: Stamps) -> str | None:
    """Return the digest over all that the report is made of; None where it cannot be read.

    Raises:
        UsageError: there is no accepted run where one is required, or it cannot be read.
    """
    accepted = find(request.accepted, required=request.require_accepted)
    try:
        results = Store(request.results).sha256()
    except OSError:
        return None
    places = [str(Path.cwd()), str(request.output), str(request.junit)]
    return stamps.question(_STEP, results, accepted.digest if accepted else None, places)


def _unchanged(request: Request, stamps: Stamps, question: str) -> Written | None:
    said = stamps.read(_STEP, request.output, question)
    try:
        files = tuple(map(Path, said["files"])) if said else ()
        if not said or not files or digests(files) != said["digests"]:
            return None
        return Written(files=files, gist=Gist.of_document(said["gist"]), new=False)
    except (KeyError, TypeError):  # a stamp that somebody changed
        return None


def _keep(request: Request, stamps: Stamps, question: str, written: Written) -> None:
    found = digests(written.files)
    if found:
        said = {"files": [str(path) for path in written.files], "digests": found, "gist": written.gist.document()}
        stamps.keep(_STEP, request.output, question, said)
