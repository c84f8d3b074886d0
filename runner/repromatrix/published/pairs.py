"""The pairs of cells that published documents speak of, and what they blame on them. Pure."""

from collections.abc import Iterator, Sequence
from itertools import combinations

from repromatrix.published.assertions import Blamed, Cause
from repromatrix.published.setups import find, setups
from repromatrix.published.table import parse
from repromatrix.results.manifest import Manifest, Published
from repromatrix.results.record import Record

KIND = "published"  # why such a pair is explained


class Documents:
    """The published tables of a run, each column the cell that answers for it."""

    kind = KIND

    def __init__(self, manifest: Manifest, records: Sequence[Record]) -> None:
        self._tables = [(table, _columns(table, records)) for table in manifest.published]

    def pairs(self) -> Iterator[tuple[str, str]]:
        """Yield the cell ids of every two columns of the same length."""
        for _, columns in self._tables:
            for a, b in combinations(columns.values(), 2):
                if a.cell.steps == b.cell.steps and a.cell.id != b.cell.id:
                    yield a.cell.id, b.cell.id

    def blamed(self) -> dict[frozenset[str], tuple[Blamed, ...]]:
        """Return what the documents' statements blame, by the ids of the two cells."""
        blamed: dict[frozenset[str], tuple[Blamed, ...]] = {}
        for table, columns in self._tables:
            for statement in parse(table.data, table.workload, ()).statements:
                test = statement.test
                if isinstance(test, Cause) and all(title in columns for title in test.pair):
                    ids = frozenset(columns[title].cell.id for title in test.pair)
                    blamed[ids] = (*blamed.get(ids, ()), *test.blamed)
        return blamed


def _columns(table: Published, records: Sequence[Record]) -> dict[str, Record]:
    """Return the record that answers for each column, as the report chooses it."""
    own = [record for record in records if record.cell.workload == table.workload]
    columns: dict[str, Record] = {}
    for column in table.columns:
        places = setups(column, own)
        record = find(own, places[0], column.variant) if places else None
        if record is not None and record.trajectory is not None:
            columns[column.title] = record
    return columns
