"""Which pairs of cells to explain: two that are named, pairs of classes that tell the most, published columns."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Protocol, TypeAlias

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
from repromatrix.results.experiments import Origin
from repromatrix.results.manifest import Manifest
from repromatrix.results.record import Record
from repromatrix.results.store import Store

_PUBLISHED, _CLASS = "published:", "class:"


class Blamed(Protocol):
    """What somebody blames a difference on: an option or settings."""

    @property
    def kind(self) -> str:
        """`option` or `settings`."""

    @property
    def name(self) -> str:
        """Its name."""

    @property
    def value(self) -> str:
        """An option's value."""


class Documents(Protocol):
    """What documents say about the cells of a run."""

    def pairs(self) -> Iterable[tuple[str, str]]:
        """Return the ids of every two cells that they hold against each other."""

    def blamed(self) -> Mapping[frozenset[str], Sequence[Blamed]]:
        """Return what they blame, by the ids of the two cells."""


Read: TypeAlias = Callable[[Manifest, Sequence[Record]], Documents]


class _Spaces(dict[str, Space]):
    """By the name of a workload what its cells can be asked for: worked out when it is asked for, as it takes time."""

    def __init__(self, matrix: Matrix) -> None:
        super().__init__()
        self._matrix = matrix

    def __missing__(self, name: str) -> Space:
        workload = next(each for each in self._matrix.workloads if each.name == name)
        self[name] = Space(self._matrix, workload)
        return self[name]


class Pairs:
    """Finds pairs among the cells of a matrix and those of the latest run."""

    def __init__(self, matrix: Matrix, store: Store, documents: Read) -> None:
        """Begin.

        Args:
            matrix: whose cells.
            store: where the latest run is.
            documents: reads what documents say about the cells of a run.
        """
        self._matrix = matrix
        self._store = store
        self._documents = documents
        self._spaces = _Spaces(matrix)
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
            own = tuple(entry for entry in self._manifest.entries if entry.id not in members)
            self._records = list(self._store.records(replace(self._manifest, entries=own))[0])
        return self._manifest

    def _said(self) -> Documents:
        return self._documents(self._run(), self._records)

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
        for ids in self._said().pairs():
            if all(name in self._cells for name in ids):
                yield self._cells[ids[0]], self._cells[ids[1]]

    def _asked(self) -> dict[frozenset[str], tuple[Change, ...]]:
        """Return the conditions that documents blame, by the two cells."""
        if not self._store.has_manifest:
            return {}
        blamed = self._said().blamed()
        return {ids: tuple(filter(None, map(self._condition, things))) for ids, things in blamed.items()}

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
