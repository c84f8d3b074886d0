"""A results folder -> all that a report is made of and held against."""

from collections.abc import Iterator

from repromatrix.errors import NewerFormatError, ResultsError
from repromatrix.operations.overview import results
from repromatrix.report.evidence import Evidence
from repromatrix.report.replayed import Replayed
from repromatrix.results.accepted import Accepted
from repromatrix.results.manifest import Manifest
from repromatrix.results.record import Record
from repromatrix.results.store import Store
from repromatrix.results.trace import Trace


def gather(store: Store, accepted: Accepted | None, *, damaged_too: bool = False) -> Evidence:
    """Read everything; with `damaged_too` a trace that cannot be read is noted, and not an error.

    Raises:
        ResultsError: there is no run, or a file of it cannot be read.
    """
    manifest = store.read_manifest()
    records, missing = store.records(manifest)
    traces, damaged = _traces(store, manifest) if damaged_too else (store.traces(manifest), {})
    experiments = store.read_experiments()
    return Evidence(
        manifest=manifest,
        records=records,
        missing=missing,
        accepted=accepted,
        traces=traces,
        damaged=damaged,
        bits=store.read_value,
        experiments=experiments,
        tried=store.records_of(experiments),
        replayed=_replayed(store),
        computed=tuple((record, results(store, record)) for record in _of_operations(store)),
    )


def _of_operations(store: Store) -> Iterator[Record]:
    """Yield the records of the cells that ran the workload `operations`.

    Raises:
        ResultsError: one of them cannot be read.
    """
    for entry in store.read_operations().entries:
        record = store.read(entry.cell, entry.key)
        if record is not None and record.trajectory is not None:
            yield record


def _replayed(store: Store) -> Replayed:
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
