"""The columns of published tables -> series, to be compared with cells and logs."""

from collections.abc import Iterator

from repromatrix.compare import series
from repromatrix.compare.series import Series
from repromatrix.published.table import parse
from repromatrix.results.manifest import Manifest


def printed(manifest: Manifest) -> Iterator[Series]:
    """Yield the losses of every column of the tables that a run names, under its title.

    Raises:
        ResultsError: a table cannot be read.
    """
    for table in manifest.published:
        columns = parse(table.data, table.workload, [column.title for column in table.columns])
        for title, losses in columns.losses.items():
            yield series.of_column(losses, table.workload, title, columns.source)
