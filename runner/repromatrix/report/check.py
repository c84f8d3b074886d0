"""A report on disk and a results folder -> what of the report does not hold."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from repromatrix.errors import NewerFormatError, ResultsError, UsageError
from repromatrix.operations.kept import Judgements
from repromatrix.report.produce import earlier_records, replayed
from repromatrix.report.verify.check import Evidence, Written, verify
from repromatrix.report.verify.complaint import Complaint
from repromatrix.report.verify.form import read_document
from repromatrix.report.verify.layout import same_files
from repromatrix.report.view import build
from repromatrix.results.accepted import ACCEPTED, Accepted, find
from repromatrix.results.manifest import Manifest
from repromatrix.results.store import Store
from repromatrix.results.trace import Trace

DOCUMENT = "report.json"
PAGES = ("index.html", "report.md")


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """What came of a report.

    Attributes:
        claims: how many of its statements were recomputed.
        records: how many records they were held against.
        pages: the pages that were there.
        differences: what does not hold.
    """

    claims: int
    records: int
    pages: tuple[str, ...]
    differences: tuple[Complaint, ...]


def check(report: Path, results: Path, accepted_file: Path | None) -> Checked:
    """Recompute a report's statements without the code that wrote them, then make its files again.

    Making the files again shows nothing of that code, but finds what was changed beside the statements.

    Raises:
        UsageError: there is no report, or it speaks of an accepted run that is not here.
        ResultsError: the results cannot be read.
    """
    files = _files(report)
    written = _written(files, report)
    store = Store(results)
    manifest = store.read_manifest()
    records, missing = store.records(manifest)
    accepted = _accepted(written.document, accepted_file)
    earlier = earlier_records(store, accepted, records)
    traces, damaged = _traces(store, manifest)
    experiments = store.read_experiments()
    tried = store.records_of(experiments)
    operations = replayed(store)
    claimed = verify(
        written,
        Evidence(
            manifest=manifest,
            records=records,
            missing=missing,
            accepted=accepted,
            earlier=earlier,
            traces=traces,
            bits=store.read_value,
            damaged=damaged,
            experiments=experiments,
            tried=tried,
            replayed=operations,
        ),
    )
    view = build(
        manifest,
        records,
        missing,
        accepted,
        earlier,
        traces=traces,
        bits=store.read_value,
        experiments=experiments,
        tried=tried,
        replayed=operations,
        memo=Judgements(),
    )
    return Checked(
        claims=len(written.document["claims"]),
        records=len(records),
        pages=tuple(name for name in PAGES if name in files),
        differences=(*claimed, *same_files(files, view)),
    )


def _files(path: Path) -> dict[str, bytes]:
    """Read a report's folder, the pages that are there with it, or its report.json alone.

    Raises:
        UsageError: no report is there.
    """
    folder = path.is_dir()
    try:
        found = {DOCUMENT: (path / DOCUMENT if folder else path).read_bytes()}
    except FileNotFoundError as error:
        where = str(path / DOCUMENT if folder else path)
        raise UsageError("no report is there", where=where, hint="write one: repromatrix report") from error
    return found | {name: (path / name).read_bytes() for name in PAGES if folder and (path / name).is_file()}


def _written(files: Mapping[str, bytes], path: Path) -> Written:
    # What is no text cannot have the sentences, and is told as that.
    html, markdown = (files[name].decode(errors="replace") if name in files else None for name in PAGES)
    where = str(path / DOCUMENT if path.is_dir() else path)
    return Written(document=read_document(files[DOCUMENT], where), html=html, markdown=markdown)


def _traces(store: Store, manifest: Manifest) -> tuple[dict[str, Trace], dict[str, str]]:
    """Return the traces that the manifest names, and what is wrong with those that cannot be read, by cell id.

    Raises:
        NewerFormatError: a newer release wrote one.
    """
    found: dict[str, Trace] = {}
    damaged: dict[str, str] = {}
    for each in manifest.entries:
        if each.trace is None:
            continue
        try:
            trace = store.read_trace(each.id, each.trace)
        except NewerFormatError:
            raise
        except ResultsError as error:
            damaged[each.id] = error.what
            continue
        if trace is None:
            damaged[each.id] = "the manifest names one, and its file is not there"
        else:
            found[each.id] = trace
    return found, damaged


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
