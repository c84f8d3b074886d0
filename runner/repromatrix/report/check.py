"""A report on disk and a results folder -> what of the report does not hold."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from repromatrix import resources
from repromatrix.errors import UsageError
from repromatrix.operations.kept import Judgements
from repromatrix.report.gather import gather
from repromatrix.report.verify.check import verify
from repromatrix.report.verify.complaint import Complaint
from repromatrix.report.verify.form import read_document
from repromatrix.report.verify.layout import same_files
from repromatrix.report.view import build
from repromatrix.results.accepted import ACCEPTED, Accepted, find
from repromatrix.results.store import Store

DOCUMENT = "report.json"
_MOST_BYTES = 1 << 30  # of one file
PAGES = ("index.html", "report.md")


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """What came of a report.

    Attributes:
        sentences: how many it has.
        records: how many records they were held against.
        pages: the pages that were there.
        differences: what does not hold.
    """

    sentences: int
    records: int
    pages: tuple[str, ...]
    differences: tuple[Complaint, ...]


def check(report: Path, results: Path, accepted_file: Path | None) -> Checked:
    """Compute values, classes, printed digits and verdicts without the code that wrote them, then make the files again.

    Making the files again shows nothing of that code, but finds whatever was changed.

    Raises:
        UsageError: there is no report, or it speaks of an accepted run that is not here.
        ResultsError: the results cannot be read.
    """
    files = _files(report)
    document = read_document(files[DOCUMENT], str(report / DOCUMENT if report.is_dir() else report))
    evidence = gather(Store(results), _accepted(document, accepted_file), damaged_too=True)
    return Checked(
        sentences=len(document["sentences"]),
        records=len(evidence.records),
        pages=tuple(name for name in PAGES if name in files),
        differences=(*verify(document, evidence), *same_files(files, build(evidence, Judgements()))),
    )


def _files(path: Path) -> dict[str, bytes]:
    """Read a report's folder, the pages that are there with it, or its report.json alone.

    Raises:
        UsageError: no report is there.
    """
    folder = path.is_dir()
    try:
        found = {DOCUMENT: _read(path / DOCUMENT if folder else path, links=not folder)}
    except FileNotFoundError as error:
        where = str(path / DOCUMENT if folder else path)
        raise UsageError("no report is there", where=where, hint="write one: repromatrix report") from error
    return found | {name: _read(path / name, links=False) for name in PAGES if folder and (path / name).exists()}


def _read(path: Path, *, links: bool) -> bytes:
    """Read a file of a report.

    Raises:
        FileNotFoundError: it is not there.
        UsageError: it cannot be read.
    """
    try:
        return resources.read_regular(path, most=_MOST_BYTES, links=links)
    except FileNotFoundError:
        raise
    except OSError as error:
        hint = "name a report's folder or its report.json: repromatrix verify report"
        raise UsageError(f"the report cannot be read: {error.strerror}", where=str(path), hint=hint) from error


def _accepted(document: Mapping[str, Any], path: Path | None) -> Accepted | None:
    """Return the accepted run that a report speaks of; None where it speaks of none.

    Raises:
        UsageError: it speaks of one that is not here.
    """
    if document.get("changes") is None and path is None:
        return None
    accepted = find(path)
    if accepted is None:
        raise UsageError(
            "the report speaks of an accepted run, and there is none here",
            where=ACCEPTED,
            hint="name it: repromatrix verify REPORT --accepted FILE",
        )
    return accepted
