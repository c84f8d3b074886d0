"""Which pairs of cells to explain: two that are named, pairs of classes that tell the most, published columns."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import combinations

from repromatrix.compare.classes import Class, classes
from repromatrix.compare.versions import version_key
from repromatrix.errors import UsageError
from repromatrix.explain.factors import Change, Flips
from repromatrix.explain.nearness import Nearness
from repromatrix.explain.search import Question
from repromatrix.explain.space import Space
from repromatrix.matrix import Matrix
from repromatrix.matrix.check import suggest
from repromatrix.plan import Cell, find, universe
from repromatrix.published.assertions import Blamed, Cause
from repromatrix.published.setups import find as find_record
from repromatrix.published.setups import setups
from repromatrix.published.table import parse
from repromatrix.results.experiments import Origin
from repromatrix.results.manifest import Manifest, Published
from repromatrix.results.record import Record
from repromatrix.results.store import Store

_PUBLISHED, _CLASS = "published:", "class:"


class Pairs:
    """Finds pairs among the cells of a matrix and those of the latest run."""

    def __init__(self, matrix: Matrix, store: Store) -> None:
        self._matrix = matrix
        self._store = store
        self._spaces = {each.name: Space(matrix, each) for each in matrix.workloads}
        self._cells = {cell.id: cell for cell in universe(matrix)}
        self._nearness = Nearness(self._spaces)
        self._manifest: Manifest | None = None
        self._records: list[Record] = []

    def named(self, a: str, b: str) -> Question:
        """Return the pair of two names: cell ids, `published:COLUMN` or `class:NAME`.

        Raises:
            UsageError: a name that means nothing, the same cell twice, or two workloads or lengths.
        """
        left, right = (self._members(each) for each in (a, b))
        first, second = self._nearness.nearest(left, right)
        if first.id == second.id:
            raise UsageError(f"both are {first.id}", hint="name two cells: repromatrix plan")
        return self._question(first, second, ("asked",), self._asked().get(frozenset((first.id, second.id)), ()))

    def every(self, origins: Iterable[Origin]) -> list[Question]:
        """Return the pairs of these origins in the latest run, in the order of its records.

        Raises:
            ResultsError: there is no run.
        """
        self._run()
        asked = self._asked()
        found: dict[frozenset[str], tuple[Cell, Cell, list[Origin]]] = {}
        of: dict[Origin, Iterator[tuple[Cell, Cell]]] = {"classes": self._of_classes(), "published": self._of_columns()}
        for origin in origins:
            for a, b in of[origin]:
                found.setdefault(frozenset((a.id, b.id)), (a, b, []))[2].append(origin)
        return [self._question(a, b, tuple(of), asked.get(ids, ())) for ids, (a, b, of) in found.items()]

    def keys(self) -> dict[str, str | None]:
        """Return the keys of the latest run's cells."""
        return {each.id: each.key for each in self._run().entries}

    def places(self) -> frozenset[tuple[str, str]]:
        """Return the environments and devices that the latest run has records of."""
        self._run()
        return frozenset((each.cell.environment, each.cell.device) for each in self._records)

    def _question(self, a: Cell, b: Cell, of: tuple[Origin, ...], asked: Sequence[Change]) -> Question:
        flips = Flips(self._matrix, a, b, space=self._spaces[a.workload.name])
        return Question(flips=flips, of=of, asked=tuple(asked))

    def _run(self) -> Manifest:
        if self._manifest is None:
            self._manifest = self._store.read_manifest()
            members = {name for each in self._manifest.ensembles for name in each.members}
            self._records = [r for r in self._store.records(self._manifest)[0] if r.cell.id not in members]
        return self._manifest

    def _of_classes(self) -> Iterator[tuple[Cell, Cell]]:
        found = classes(self._records)
        members = [[self._cells[name] for name in each.cells if name in self._cells] for each in found]
        # Of equally near cells those of the environments that most classes know: fewer environments are started.
        known = Counter(name for cells in members for name in {cell.environment.name for cell in cells})
        for cells in members:
            cells.sort(key=lambda cell: -known[cell.environment.name])
        alike: dict[tuple[str, int], list[list[Cell]]] = {}
        for each, cells in zip(found, members, strict=True):
            if cells:
                alike.setdefault((each.workload, each.steps), []).append(cells)
        for groups in alike.values():
            yield from self._nearness.chosen(groups)

    def _of_columns(self) -> Iterator[tuple[Cell, Cell]]:
        for table in self._run().published:
            cells = self._columns(table)
            for a, b in combinations(cells.values(), 2):
                if a.steps == b.steps and a.id != b.id:
                    yield a, b

    def _columns(self, table: Published) -> dict[str, Cell]:
        """Return the cell that answers for each column in the latest run, as the report chooses it."""
        records = [each for each in self._records if each.cell.workload == table.workload]
        found = {}
        for column in table.columns:
            places = setups(column, records)
            record = find_record(records, places[0], column.variant) if places else None
            if record is not None and record.trajectory is not None and record.cell.id in self._cells:
                found[column.title] = self._cells[record.cell.id]
        return found

    def _asked(self) -> dict[frozenset[str], tuple[Change, ...]]:
        """Return the conditions that claims of published tables blame, by the cells of the two columns."""
        if not self._store.has_manifest:
            return {}
        found: dict[frozenset[str], tuple[Change, ...]] = {}
        for table in self._run().published:
            cells = self._columns(table)
            for test in (each.test for each in parse(table.data, table.workload, ()).statements):
                if isinstance(test, Cause) and all(title in cells for title in test.pair):
                    ids = frozenset(cells[title].id for title in test.pair)
                    found[ids] = (*found.get(ids, ()), *filter(None, map(self._condition, test.blamed)))
        return found

    def _condition(self, blamed: Blamed) -> Change | None:
        if blamed.kind == "option":
            return Change(option=blamed.name, value=blamed.value)
        settings = self._matrix.settings.get(blamed.name) if blamed.kind == "settings" else None
        return Change(settings=settings) if settings else None

    def _members(self, text: str) -> list[Cell]:
        if text.startswith(_PUBLISHED):
            return [_of_column(self._matrix, text.removeprefix(_PUBLISHED))]
        if text.startswith(_CLASS):
            return self._of_class(text.removeprefix(_CLASS))
        return [find(self._matrix, text)]

    def _of_class(self, name: str) -> list[Cell]:
        self._run()
        every = classes(self._records)
        several = len({each.workload for each in every}) > 1

        def names(each: Class) -> tuple[str, ...]:
            return (f"{each.workload}/{each.name}", *(() if several else (each.name,)))

        found = next((each for each in every if name in names(each)), None)
        cells = [self._cells[each] for each in found.cells if each in self._cells] if found else []
        if not cells:
            known = [each for one in every for each in names(one)]
            raise UsageError(
                f"no class {name!r} in the latest run", where=str(self._store.folder), hint=suggest(name, known)[:300]
            )
        return cells


def _of_column(matrix: Matrix, title: str) -> Cell:
    """Return the cell that a published column is: its variant in the newest version of its framework."""
    columns = [(each, c) for each in matrix.workloads if each.published for c in each.published.columns]
    for workload, column in columns:
        if column.title.casefold() == title.casefold():
            cells = [
                cell
                for cell in universe(matrix)
                if cell.id == f"{workload.name}/{cell.environment.name}/{column.variant}"
                and cell.environment.framework == column.framework
            ]
            # Of equal versions the flavour `cpu` on the matrix's own Python is the document's.
            cells.sort(key=lambda cell: (cell.environment.flavour == "cpu", not cell.environment.suffix))
            cells.sort(key=lambda cell: version_key(cell.environment.version))
            if cells:
                return cells[-1]
    raise UsageError(f"no published column {title!r}", hint=suggest(title, [c.title for _, c in columns])[:300])
