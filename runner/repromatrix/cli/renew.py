"""The report of `matrix`: made again only where something that it is made of changed, or a file of it."""

from argparse import Namespace
from pathlib import Path

from repromatrix.cli.gist import Gist, Written, accepted_run
from repromatrix.cli.stamps import Stamps, digests
from repromatrix.results.store import Store

_STEP = "report"


def renewed(options: Namespace, stamps: Stamps) -> Written:
    """Write the report of the results folder, unless the one that is there is what would be written."""
    question = _question(options, stamps)
    found = _unchanged(options, stamps, question) if question else None
    if found:
        return found
    from repromatrix.cli.report import produce  # noqa: PLC0415 - only who has a report to write pays

    written = produce(options)
    if question and question == _question(options, stamps):  # else somebody wrote results meanwhile
        _keep(options, stamps, question, written)
    return written


def _question(options: Namespace, stamps: Stamps) -> str | None:
    """Return the digest over all that the report is made of; None where it cannot be read.

    Raises:
        UsageError: there is no accepted run where one is required, or it cannot be read.
    """
    accepted = accepted_run(options.accepted, required=options.require_accepted)
    try:
        results = Store(options.results).sha256()
    except OSError:
        return None
    places = [str(Path.cwd()), str(options.output), str(options.junit)]
    return stamps.question(_STEP, results, accepted.digest if accepted else None, places)


def _unchanged(options: Namespace, stamps: Stamps, question: str) -> Written | None:
    said = stamps.read(_STEP, options.output, question)
    try:
        files = tuple(map(Path, said["files"])) if said else ()
        if not said or not files or digests(files) != said["digests"]:
            return None
        return Written(files=files, gist=Gist.of_document(said["gist"]), new=False)
    except (KeyError, TypeError):  # a stamp that somebody changed
        return None


def _keep(options: Namespace, stamps: Stamps, question: str, written: Written) -> None:
    found = digests(written.files)
    if found:
        said = {"files": [str(path) for path in written.files], "digests": found, "gist": written.gist.document()}
        stamps.keep(_STEP, options.output, question, said)
