"""Environments -> the cells whose operations are listed, and what replaying each operation on fresh inputs shows."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import product

from repromatrix.errors import UsageError
from repromatrix.execute import host
from repromatrix.execute.run import Execution
from repromatrix.explain.network import network
from repromatrix.explain.replays import Studying
from repromatrix.explain.space import Space, Vocabulary, chosen
from repromatrix.matrix import Environment, Matrix, Workload
from repromatrix.operations.kept import Judgements
from repromatrix.operations.listing import Entry, entries
from repromatrix.plan import Cell, cells_of
from repromatrix.results.store import Store
from repromatrix.results.studies import Listing

# The options that change what a primitive is; of all others the default, and what stands here, is taken.
VARIED = ("gradient", "activation")
_TAKEN = {"compile": "eager", "update": "parallel"}


def listed(execution: Execution, cells: Sequence[Cell]) -> tuple[Entry, ...]:
    """Replay every operation of cells on fresh inputs, keep that, and return what it shows."""
    store = execution.store
    listings = Studying(execution).catalogue(cells)
    store.write_studies(store.read_studies().with_catalogue(listings))
    return tuple(_catalogue(store, listings))


def _catalogue(store: Store, listings: Iterable[Listing]) -> Iterator[Entry]:
    """Yield what the replays of a results folder show of each primitive of each cell.

    Raises:
        ResultsError: one of them cannot be read.
    """
    memo = Judgements()
    for each in listings:
        yield from entries(store.replays(each.cell, each.fresh) or {}, memo)


def cells_to_list(matrix: Matrix, environments: Sequence[Environment]) -> Iterator[Cell]:
    """Yield for each environment its eager default variants in every dtype that the matrix has for it.

    Of a GPU only where there is one.
    """
    taken_apart = [each for each in matrix.workloads if network(each) is not None]
    if not taken_apart:
        raise UsageError("no workload of this matrix has operations that are known", where=matrix.path.name)
    workload, space = taken_apart[0], Space(matrix, taken_apart[0])
    for environment in environments:
        for like in _like(matrix, workload, environment):
            for options in _variants(space.vocabulary, environment.framework):
                cell = space.cell(space.state(like) | chosen(options), like)
                if isinstance(cell, Cell):
                    yield cell


def _like(matrix: Matrix, workload: Workload, environment: Environment) -> Iterator[Cell]:
    """Yield a cell of an environment for each device and dtype."""
    found: dict[tuple[str, str], Cell] = {}
    for cell in cells_of(matrix, workload, environment):
        if cell.device == "cpu" or host.nvidia_devices():
            found.setdefault((cell.device, cell.variant.dtype), cell)
    yield from found.values()


def _variants(known: Vocabulary, framework: str) -> Iterator[dict[str, str]]:
    options = known[framework]
    defaults = {name: values[0] for name, values in options.items()}
    defaults |= {name: value for name, value in _TAKEN.items() if value in options.get(name, ())}
    varied = [name for name in VARIED if name in options]
    for values in product(*(options[name] for name in varied)):
        yield defaults | dict(zip(varied, values, strict=True))
