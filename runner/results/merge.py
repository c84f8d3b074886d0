"""Several results folders -> one, for a report over all of them. Loses no result unseen."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from runner.errors import ResultsError
from runner.results.record import Outcome, Record
from runner.results.store import KEY_CHARACTERS, Entry, Manifest, Store

_NO_RECORD = "0" * 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Merged:
    """What a merge gave.

    Attributes:
        manifest: the union, in the order of the expected cells where those were given.
        missing: cells without a record that were expected, or that a source's manifest names.
        unfinished: sources without a manifest: a run that ended before it wrote one.
    """

    manifest: Manifest
    missing: tuple[str, ...]
    unfinished: tuple[Path, ...]


def merge(sources: Iterable[Path], target: Store, expected: Sequence[str] = ()) -> Merged:
    """Copy the latest runs of several results folders into one.

    An expected cell that nobody delivers stands in the manifest without a record, so that the report names it.
    Of a cell in several folders the one that ran is taken.

    Raises:
        ResultsError: a source is damaged, none has a finished run, two give different numbers for one cell, or two
            mean different things by the name of an environment that is not pinned.
    """
    manifests, unfinished = [], []
    found: dict[str, _Delivery] = {}
    names: dict[str, _Delivery] = {}
    sources = tuple(sources)
    for source in sources:
        store = Store(source)
        if not store.has_manifest:
            unfinished.append(source)
            continue
        manifests.append(store.read_manifest())
        for delivery in _deliveries(store, manifests[-1]):
            _check_name(names, delivery)
            known = found.get(delivery.entry.id)
            found[delivery.entry.id] = _chosen(known, delivery, sources) if known else delivery
    if not manifests:
        raise ResultsError(
            "none of the folders holds a finished run",
            where=" ".join(map(str, unfinished)),
            hint="name at least one results folder: repromatrix merge DIR ...",
        )
    for delivery in found.values():
        if delivery.record is not None:
            target.adopt(delivery.record, delivery.store, delivery.entry.trace)
    absent = {cell_id: Entry(id=cell_id, key=_NO_RECORD, reason=None) for cell_id in expected if cell_id not in found}
    entries = {cell_id: each.entry for cell_id, each in found.items()} | absent
    merged = Manifest(
        profile=manifests[0].profile,
        entries=tuple(entries[cell_id] for cell_id in dict.fromkeys((*expected, *found))),
        published=tuple({each.workload: each for manifest in manifests for each in manifest.published}.values()),
        tolerances=manifests[0].tolerances,
        # A job of a split run measures for its own cells; of several floors of one workload and dtype the first counts.
        ensembles=tuple({(e.workload, e.dtype, e.reference): e for m in manifests for e in m.ensembles}.values()),
        versions=tuple(dict.fromkeys(each for manifest in manifests for each in manifest.versions)),
    )
    target.write_manifest(merged)
    there = {record.cell.id for record in target.records(merged)[0]}
    due = {*expected, *(each.id for each in merged.entries if each.key is not None)}
    missing = tuple(each.id for each in merged.entries if each.id in due - there)
    return Merged(manifest=merged, missing=missing, unfinished=tuple(unfinished))


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
        return {Outcome.OK: 0, Outcome.FAILED: 1, Outcome.TIMED_OUT: 1}.get(self.record.outcome, 2)


def _deliveries(store: Store, manifest: Manifest) -> Iterable[_Delivery]:
    for entry in manifest.entries:
        record = store.read(entry.id, entry.key) if entry.key is not None else None
        yield _Delivery(store=store, entry=entry, record=record)


def _check_name(names: dict[str, _Delivery], delivery: _Delivery) -> None:
    """Hold an environment against that of the same name before it; a lock answers for a name, without one nobody does.

    Raises:
        ResultsError: they are not the same and one of them is not pinned.
    """
    record = delivery.record
    if record is None or record.provenance is None:
        return
    environment = record.cell.environment
    known = names.setdefault(environment, delivery)
    other = known.record
    if other is None or other.provenance is None or known.store.folder == delivery.store.folder:
        return
    if False not in (record.pinned, other.pinned):
        return
    if (record.provenance.lock_digest, record.provenance.base_digest) != (
        other.provenance.lock_digest,
        other.provenance.base_digest,
    ):
        raise ResultsError(
            f"two different environments are named {environment}: one in {known.store.folder}, one in "
            f"{delivery.store.folder}",
            hint=f"give one of them a name of its own: repromatrix run --here {record.cell.framework} --label NAME",
        )


def _chosen(known: _Delivery, other: _Delivery, sources: Sequence[Path]) -> _Delivery:
    """Return which of two folders' results of one cell is taken: one that ran before one that did not.

    Raises:
        ResultsError: both ran and gave different numbers; taking either would lose the other unseen.
    """
    a, b = known.record, other.record
    if a and b and a.trajectories and b.trajectories and set(a.trajectories) != set(b.trajectories):
        rest = " ".join(str(each) for each in sources if each != other.store.folder)
        raise ResultsError(
            f"two different results of {known.entry.id} (keys {a.key[:KEY_CHARACTERS]} and "
            f"{b.key[:KEY_CHARACTERS]}): one in {known.store.folder}, one in {other.store.folder}",
            hint=f"leave one of the two out, and report it on its own: repromatrix merge {rest}",
        )
    return min(known, other, key=lambda each: (each.rank, each.entry.trace is None))
