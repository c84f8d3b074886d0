"""`repromatrix operations`: which form each operation of each environment is, and how far from the truth."""

import json
from argparse import Namespace
from collections.abc import Iterable, Iterator, Sequence
from itertools import product

from repromatrix.cli.registry import share_of
from repromatrix.cli.select import engine as choose_engine
from repromatrix.cli.select import require_locks
from repromatrix.cli.story import Story
from repromatrix.errors import ExitCode, UsageError
from repromatrix.execute import host
from repromatrix.execute.run import Execution
from repromatrix.explain.operations_text import aligned, forms, plain
from repromatrix.explain.replays import Replayer
from repromatrix.explain.space import Hybrids, Vocabulary, chosen
from repromatrix.matrix import Environment, Matrix, Workload, load
from repromatrix.matrix.check import suggest
from repromatrix.operations.catalogue import CATALOGUE
from repromatrix.operations.judgement import Arithmetic
from repromatrix.operations.kept import Judgements
from repromatrix.operations.listing import Entry, entries
from repromatrix.plan import Cell, cells_of, plan
from repromatrix.results.replays import ListedCell
from repromatrix.results.store import Store

# The options that change what an operation is; of all others the default, and what stands here, is taken.
_VARIED = ("gradient", "activation")
_TAKEN = {"compile": "eager", "update": "parallel"}


def run(options: Namespace) -> int:
    """Replay every operation on fresh inputs, keep that, and print what it shows."""
    matrix, story, store = load(options.matrix), Story.of(options), Store(options.results)
    environments = _environments(matrix, options)
    require_locks(matrix.path, environments)
    cells = tuple(cells_to_list(matrix, environments))
    engine = choose_engine(options, story, environments)
    execution = Execution(
        matrix=matrix,
        engine=engine,
        store=store,
        listener=story,
        jobs=options.jobs,
        share=share_of(options, engine, story),
    )
    with story.progress(len(cells) * len(CATALOGUE)):
        listings = Replayer(execution).catalogue(cells)
    store.write_replay_index(store.read_replay_index().with_listed(listings))
    found = tuple(catalogue(store, listings))
    if options.json:
        print(json.dumps([plain(each) for each in found], indent=1))
    else:
        print(tell(found))
    return int(ExitCode.OK if all(each.how.reason is None for each in found) else ExitCode.CELL_FAILED)


def catalogue(store: Store, listings: Iterable[ListedCell]) -> Iterator[Entry]:
    """Yield what the replays of a results folder show of each operation of each cell.

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
    with_graph = [each for each in matrix.workloads if each.graph is not None]
    if not with_graph:
        raise UsageError(
            "no workload of this matrix has a graph of its step",
            where=matrix.path.name,
            hint="say in its workload.yaml which operations a step is made of: docs/workloads.md",
        )
    workload, hybrids = with_graph[0], Hybrids(matrix, with_graph[0])
    for environment in environments:
        for like in _like(matrix, workload, environment):
            for options in _variants(hybrids.vocabulary, environment.framework):
                cell = hybrids.cell(hybrids.state(like) | chosen(options), like)
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
    varied = [name for name in _VARIED if name in options]
    for values in product(*(options[name] for name in varied)):
        yield defaults | dict(zip(varied, values, strict=True))


def _environments(matrix: Matrix, options: Namespace) -> tuple[Environment, ...]:
    if not options.environments:
        return plan(matrix, profile=options.profile, select=()).environments
    known = {each.name: each for each in matrix.environments}
    for name in options.environments:
        if name not in known:
            raise UsageError(
                f"no environment {name!r}", where=matrix.path.name, hint=suggest(name, sorted(known))[:300]
            )
    return tuple(known[name] for name in dict.fromkeys(options.environments))


def tell(found: Sequence[Entry]) -> str:
    """Return the catalogue as a table; variants in which an operation is the same share a row."""
    every: dict[tuple[str, str], list[str]] = {}
    groups: dict[tuple[str, str, Arithmetic], list[str]] = {}
    for each in found:
        device = "" if each.cell.device == "cpu" else f"@{each.cell.device}"
        where, variant = (each.cell.environment + device, each.cell.dtype), _variant(each)
        every.setdefault(where, []).append(variant)
        groups.setdefault((*where, each.how), []).append(variant)
    rows = [("environment", "dtype", "operation", "variants", "correct", "worst ULP", "form")]
    for (environment, dtype, how), variants in groups.items():
        whole = set(variants) == set(every[environment, dtype])
        correct = "" if how.correct is None else f"{how.correct}/{how.values}"
        worst = "" if how.worst is None else f"{how.worst:.4g}"
        told = "all" if whole else ", ".join(variants)
        rows.append((environment, dtype, how.operation, told, correct, worst, forms(how)))
    return "\n".join(aligned(rows))


def _variant(entry: Entry) -> str:
    options = dict(entry.options)
    return " ".join(options[name] for name in _VARIED if name in options)
