"""Traces of a results folder -> where two cells part, or those of all classes; bits that are missing are run for."""

from collections.abc import Mapping

from repromatrix.compare.classes import classes
from repromatrix.compare.trace import Divergence, divergence, divergences
from repromatrix.errors import NothingSelectedError, UsageError
from repromatrix.execute.run import Execution
from repromatrix.explain.first import Traced, with_bits
from repromatrix.matrix import Matrix
from repromatrix.matrix.check import suggest
from repromatrix.plan import find
from repromatrix.results.store import Store


class Partings:
    """Where the traced cells of the latest run part."""

    def __init__(self, store: Store) -> None:
        """Read the traces.

        Raises:
            ResultsError: there is no run, or a trace cannot be read.
            NothingSelectedError: nothing was traced.
        """
        self._store = store
        self._manifest = store.read_manifest()
        self._traces = store.traces(self._manifest)
        self._where = str(store.folder)
        if not self._traces:
            hint = "run once more: repromatrix run --trace"
            raise NothingSelectedError("these results have no traces", where=self._where, hint=hint)

    def of_classes(self) -> tuple[Divergence, ...]:
        """Return where the classes of each dtype part."""
        members = {name for each in self._manifest.ensembles for name in each.members}
        records = [each for each in self._store.records(self._manifest)[0] if each.cell.id not in members]
        return divergences(classes(records), records, self._traces, self._store.read_value)

    def of_pair(self, a: str, b: str) -> Divergence:
        """Return where two cells part.

        Raises:
            UsageError: one has no trace, or one that explains nothing.
        """
        for name in (a, b):
            self._require_trace(name)
        for name in (a, b):
            self._require_faithful(name, f"compare what was not traced: repromatrix compare {a} {b}")
        return divergence(self._traces[a], self._traces[b], self._store.read_value)

    def fetched(self, found: Divergence, execution: Execution, matrix: Matrix) -> tuple[Divergence, Mapping[str, str]]:
        """Run both cells once more for the bits of the value in which they part, and look again.

        Returns:
            where they part, and by cell why its bits could not be had.
        """
        (a, of_a), (b, of_b) = ((find(matrix, name), self._traces[name]) for name in (found.a, found.b))
        return with_bits(execution, Traced(a=a, b=b, of_a=of_a, of_b=of_b), found)

    def _require_trace(self, name: str) -> None:
        if name in self._traces:
            return
        entry = next((each for each in self._manifest.entries if each.id == name), None)
        why = f": {entry.untraced}" if entry and entry.untraced else ""
        hint = "run once more: repromatrix run --trace" if entry else suggest(name, sorted(self._traces))[:300]
        raise UsageError(f"no trace of {name!r}{why}", where=self._where, hint=hint)

    def _require_faithful(self, name: str, hint: str) -> None:
        key = next((each.key for each in self._manifest.entries if each.id == name), None)
        record = self._store.read(name, key or "")
        if record is None or not self._traces[name].tells_of(record):
            raise UsageError(f"tracing changes {name}, so its trace explains nothing", where=self._where, hint=hint)
