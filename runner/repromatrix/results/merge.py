"""Several results folders -> one, for a report over all of them. Loses no result unseen."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from repromatrix.errors import ResultsError
from repromatrix.results.experiments import Experiments
from repromatrix.results.gather import Gathered, gather
from repromatrix.results.manifest import Entry, Manifest
from repromatrix.results.operations import Entry as Listed
from repromatrix.results.pieces import Kind, Piece, Pieces, contradict, rank
from repromatrix.results.record import Record
from repromatrix.results.replays import ReplayIndex
from repromatrix.results.store import Store

_NO_RECORD = "0" * 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Merged:
    """What a merge gave.

    Attributes:
        manifest: the union, in the order of the expected cells where those were given.
        missing: cells without a record that were expected, or that a source's manifest names.
        unfinished: sources without a manifest: a run that ended before it wrote one.
        remarks: in words which experiments and replayed operations were not taken, and what is gone that they stand on.
    """

    manifest: Manifest
    missing: tuple[str, ...]
    unfinished: tuple[Path, ...]
    remarks: tuple[str, ...] = ()


def merge(sources: Iterable[Path], target: Store, expected: Sequence[str] = ()) -> Merged:
    """Copy the latest runs of several results folders into one, with their experiments and operations.

    An expected cell that nobody delivers stands in the manifest without a record, so that the report names it.
    Of a cell in several folders the one that ran is taken, and of its experiments those that are of it.

    Raises:
        ResultsError: a source is damaged, none has a finished run, two give different numbers for one cell or stand on
            such for one pair, or two mean different things by the name of an environment that is not pinned.
    """
    for cell_id in expected:
        target.record_path(cell_id, _NO_RECORD)  # what is no cell's id is told before anything is written
    manifests, unfinished = [], []
    found: dict[str, _Delivery] = {}
    sources = tuple(sources)
    pieces, stores = Pieces(sources), [Store(source) for source in sources]
    for source, store in zip(sources, stores, strict=True):
        if not store.has_manifest:
            unfinished.append(source)
            continue
        manifests.append(store.read_manifest())
        for delivery in _deliveries(store, manifests[-1]):
            if delivery.record is not None:
                pieces.check_name(delivery.record, store)
            known = found.get(delivery.entry.id)
            found[delivery.entry.id] = _chosen(known, delivery, pieces) if known else delivery
    if not manifests:
        raise ResultsError(
            "none of the folders holds a finished run",
            where=" ".join(map(str, unfinished)),
            hint="name at least one results folder: repromatrix merge DIR ...",
        )
    for delivery in found.values():
        if delivery.record is not None:
            pieces.add(_piece(delivery.record), delivery.store)
            if delivery.entry.trace is not None:
                pieces.add(Piece(kind=Kind.TRACE, cell=delivery.entry.id, key=delivery.entry.trace), delivery.store)
    gathered = gather(stores, {cell_id: each.entry.key for cell_id, each in found.items()}, pieces)
    experiments, index = target.read_experiments(), target.read_replay_index()
    operations = _operations(stores, pieces)
    pieces.write(target)
    _carry(operations, target)
    _write(gathered, target, experiments, index)
    absent = {cell_id: Entry(id=cell_id, key=_NO_RECORD, reason=None) for cell_id in expected if cell_id not in found}
    entries = {cell_id: each.entry for cell_id, each in found.items()} | absent
    manifest = Manifest(
        profile=manifests[0].profile,
        entries=tuple(entries[cell_id] for cell_id in dict.fromkeys((*expected, *found))),
        published=tuple({each.workload: each for manifest in manifests for each in manifest.published}.values()),
        tolerances=manifests[0].tolerances,
        # A job of a split run measures for its own cells; of several floors of one workload and dtype the first counts.
        ensembles=tuple({(e.workload, e.dtype, e.reference): e for m in manifests for e in m.ensembles}.values()),
        versions=tuple(dict.fromkeys(each for manifest in manifests for each in manifest.versions)),
    )
    merged = target.write_manifest(manifest)
    there = {record.cell.id for record in target.records(merged)[0]}
    due = {*expected, *(each.id for each in merged.entries if each.key is not None)}
    missing = tuple(each.id for each in merged.entries if each.id in due - there)
    remarks = (*gathered.remarks, *_replaced(target, experiments, index))
    return Merged(manifest=merged, missing=missing, unfinished=tuple(unfinished), remarks=remarks)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Delivery:
    """What one folder holds of a cell; no record: left out there, or gone."""

    store: Store
    entry: Entry
    record: Record | None

    @property
    def rank(self) -> int:
        """The less the better: ran, failed, not run, no record, left out."""
        if self.record is None:
            return 3 if self.entry.key is not None else 4
        return rank(self.record)


def _operations(stores: Sequence[Store], pieces: Pieces) -> dict[str, tuple[Store, Listed, Record]]:
    """Return the cells of the workload `operations` of folders: their ids -> folder, entry and record.

    Raises:
        ResultsError: two folders give different numbers for one cell, or a file is damaged.
    """
    found: dict[str, tuple[Store, Listed, Record]] = {}
    for store in stores:
        for entry in store.read_operations().entries:
            record = store.read(entry.cell, entry.key)
            if record is None:
                continue
            known = found.get(entry.cell)
            if known and contradict(known[2], record):
                raise pieces.conflict((_piece(known[2]), known[0]), (_piece(record), store))
            if known is None or rank(record) < rank(known[2]):
                found[entry.cell] = store, entry, record
    return found


def _carry(operations: Mapping[str, tuple[Store, Listed, Record]], target: Store) -> None:
    """Write cells of the workload `operations` with their outputs' bits, and their tables with those of the inputs."""
    listing = target.read_operations()
    for store, entry, record in operations.values():
        table = store.read_operations().table(record.cell.task)
        columns = (column for trajectory in record.trajectories for column in trajectory.columns)
        given = {each.digest for each in table.inputs} if table else set()
        for digest in given.union(*(column.digests for column in columns)):
            bits = store.read_value(digest)
            if bits is not None:
                target.write_value(bits)
        target.adopt(record, store)
        listing = listing.with_entries(table, (entry,)) if table else listing
    if operations:
        target.write_operations(listing)


def _write(gathered: Gathered, target: Store, experiments: Experiments, index: ReplayIndex) -> None:
    """Write what was gathered into a folder that had these before; those of other pairs and cells stay."""
    if gathered.experiments.pairs:
        target.write_experiments(experiments.merged(gathered.experiments.pairs))
    together = index.with_pairs(gathered.index.pairs).with_listed(gathered.index.listed)
    if together != index:
        target.write_replay_index(together)


def _replaced(target: Store, experiments: Experiments, index: ReplayIndex) -> Iterator[str]:
    """Yield in words what a folder had before, and has no more."""
    kept = {replace(each, of=()) for each in target.read_experiments().pairs}
    now = target.read_replay_index()
    count = sum(replace(each, of=()) not in kept for each in experiments.pairs)
    count += len({*index.pairs, *index.listed} - {*now.pairs, *now.listed})
    if count:
        yield f"{count} pairs or cells that {target.folder} had explained before: taken from the merged folders"


def _deliveries(store: Store, manifest: Manifest) -> Iterable[_Delivery]:
    for entry in manifest.entries:
        record = store.read(entry.id, entry.key) if entry.key is not None else None
        yield _Delivery(store=store, entry=entry, record=record)


def _chosen(known: _Delivery, other: _Delivery, pieces: Pieces) -> _Delivery:
    """Return which of two folders' results of one cell is taken: one that ran before one that did not.

    Raises:
        ResultsError: both ran and gave different numbers.
    """
    a, b = known.record, other.record
    if a and b and contradict(a, b):
        raise pieces.conflict((_piece(a), known.store), (_piece(b), other.store))
    return min(known, other, key=lambda each: (each.rank, each.entry.trace is None))


def _piece(record: Record) -> Piece:
    return Piece(kind=Kind.RECORD, cell=record.cell.id, key=record.key)
