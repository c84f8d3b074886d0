"""What a report is made of and held against: everything that was read from a results folder."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from repromatrix.compare.trace import Bits, no_bits
from repromatrix.operations.overview import Result
from repromatrix.report.replayed import Replayed
from repromatrix.results.accepted import Accepted
from repromatrix.results.experiments import Experiments
from repromatrix.results.manifest import Manifest
from repromatrix.results.record import Record
from repromatrix.results.trace import Trace


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What was read.

    Attributes:
        records: those of the manifest's cells, in its order, the members of ensembles included.
        missing: its cells without a record.
        accepted: the accepted run, if there is one.
        traces: by cell id, those that could be read.
        damaged: by cell id, what is wrong with the others that the manifest names.
        experiments: what was tried to explain pairs of cells.
        tried: by key, the records that the experiments stand on.
        replayed: operations that were computed again.
        computed: cells of the workload `operations`, with what each gave.
        bits: gives the bits of a large value of a trace by their digest, where they were fetched.
    """

    manifest: Manifest
    records: tuple[Record, ...]
    missing: tuple[str, ...] = ()
    accepted: Accepted | None = None
    traces: Mapping[str, Trace] = field(default_factory=dict)
    damaged: Mapping[str, str] = field(default_factory=dict)
    experiments: Experiments = field(default_factory=Experiments)
    tried: Mapping[str, Record] = field(default_factory=dict)
    replayed: Replayed = field(default_factory=Replayed)
    computed: tuple[tuple[Record, Mapping[str, Result]], ...] = ()
    bits: Bits = no_bits

    @property
    def own(self) -> tuple[Record, ...]:
        """The records of the report: all but the members of ensembles."""
        members = {name for each in self.manifest.ensembles for name in each.members}
        return tuple(record for record in self.records if record.cell.id not in members)

    @property
    def jobs(self) -> tuple[Record, ...]:
        """Those of training jobs: a table of operations has no loss, and a section of its own."""
        tables = {record.cell.id for record, _ in self.computed}
        return tuple(record for record in self.own if record.cell.id not in tables)
