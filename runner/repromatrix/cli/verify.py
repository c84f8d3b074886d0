"""`repromatrix verify REPORT`: what it says held against the records by other code, then every byte made again."""

import json
from argparse import Namespace
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from repromatrix.cli.gist import ACCEPTED, accepted_run
from repromatrix.cli.printable import printable
from repromatrix.cli.report import earlier_records, replayed
from repromatrix.cli.story import Story
from repromatrix.errors import ExitCode, NewerFormatError, ResultsError, UsageError
from repromatrix.operations.kept import Judgements
from repromatrix.report.evidence import Evidence
from repromatrix.report.verify.check import verify
from repromatrix.report.verify.form import read_document
from repromatrix.report.verify.layout import same_files
from repromatrix.report.view import build
from repromatrix.results.accepted import Accepted
from repromatrix.results.manifest import Manifest
from repromatrix.results.store import Store
from repromatrix.results.trace import Trace

DOCUMENT = "report.json"
PAGES = ("index.html", "report.md")


def run(options: Namespace) -> int:
    """Name each value that does not hold and where a file has other bytes than the records give; 1 if there is one.

    Values, classes, first differences, printed digits and verdicts are computed without the code that wrote them.
    Making the files again shows nothing of that code, but finds whatever was changed.
    """
    story = Story.of(options)
    files = _files(options.report)
    where = options.report / DOCUMENT if options.report.is_dir() else options.report
    document = read_document(files[DOCUMENT], str(where))
    store = Store(options.results)
    manifest = store.read_manifest()
    records, missing = store.records(manifest)
    accepted = _accepted(document, options.accepted)
    earlier = earlier_records(store, accepted, records)
    traces, damaged = _traces(store, manifest)
    experiments = store.read_experiments()
    evidence = Evidence(
        manifest=manifest,
        records=records,
        missing=missing,
        accepted=accepted,
        earlier=earlier,
        traces=traces,
        bits=store.read_value,
        damaged=damaged,
        experiments=experiments,
        tried=store.records_of(experiments),
        replayed=replayed(store),
    )
    complaints = (*verify(document, evidence), *same_files(files, build(evidence, Judgements())))
    for each in complaints:
        where, says, told = (printable(text, lines=False) for text in (each.where, each.says, each.records))
        story.say(f"{'differs':<10} {where}\n  the report says:  {says}\n  the records say:  {told}")
    sentences = len(document["sentences"])
    pages = [name for name in PAGES if name in files]
    answer = f"{len(complaints)} differences" if complaints else "all hold"
    story.say(
        f"{'verified':<10} {sentences} sentences against {len(records)} records, {' and '.join(pages) or 'no page'}: "
        f"{answer}"
    )
    if options.json:
        print(json.dumps({"sentences": sentences, "differences": [asdict(each) for each in complaints]}))
    return int(ExitCode.DIFFERENCE if complaints else ExitCode.OK)


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
    accepted = accepted_run(path)
    if accepted is None:
        raise UsageError(
            "the report speaks of an accepted run, and there is none here",
            where=ACCEPTED,
            hint="name it: repromatrix verify REPORT --accepted FILE",
        )
    return accepted
