"""The workload `operations` in environments: its cells, and running them so that only files are needed afterwards."""

import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from repromatrix import draw, resources
from repromatrix.execute import host
from repromatrix.execute.run import Execution, Summary
from repromatrix.matrix import Environment, Matrix, Workload
from repromatrix.matrix.workload import load_workload
from repromatrix.plan import Cell, cells_of
from repromatrix.results.operations import Entry, Given, Table
from repromatrix.results.record import Record
from repromatrix.results.store import Store

NAME = "operations"
TIERS = {"core": NAME, "full": f"{NAME}-full"}  # the workload of each: for every day, and for nights


def workload(matrix: Matrix | None = None, name: str = NAME) -> Workload:
    """Return the workload of that name in the matrix, or the product's own.

    Raises:
        MatrixError: its folder is not what a workload is.
    """
    named = [each for each in matrix.workloads if each.name == name] if matrix else []
    return named[0] if named else _own(resources.folder("workloads") / Path(name), name)


@cache  # one command asks for it several times, and to read its table takes a sixth of a second
def _own(folder: Path, name: str) -> Workload:
    return load_workload(folder, name)


def cells(matrix: Matrix, environments: Sequence[Environment], tier: str = "core") -> tuple[Cell, ...]:
    """Return the cells of a tier of the workload in environments, of a GPU only where there is one.

    Raises:
        MatrixError: its folder is not what a workload is.
    """
    job = workload(matrix, TIERS[tier])
    found = (cell for environment in environments for cell in cells_of(matrix, job, environment))
    return tuple(cell for cell in found if cell.device == "cpu" or host.nvidia_devices())


def run(execution: Execution, asked: Sequence[Cell], *, retry: bool = True) -> Summary:
    """Run cells of the workload unless their records are there, and keep the table and its inputs beside them.

    Raises:
        NoEngineError: the engine is gone.
        ResultsError: a file cannot be written, or a newer release wrote it.
    """
    summary = execution.run(asked, retry=retry)
    keep(execution.store, asked, summary.records)
    return summary


def keep(store: Store, ran: Sequence[Cell], records: Sequence[Record]) -> None:
    """Keep beside the records the tables of those cells that ran one, and their inputs.

    Raises:
        ResultsError: a file cannot be written, or a newer release wrote it.
    """
    keys = {record.cell.id: record.key for record in records}
    tables: dict[str, list[Cell]] = {}
    for cell in ran:
        if cell.workload.rows and cell.id in keys:
            tables.setdefault(cell.workload.task, []).append(cell)
    for cells_of_it in tables.values():
        table = _table(store, cells_of_it)
        entries = [Entry(cell=cell.id, key=keys[cell.id]) for cell in cells_of_it]
        store.write_operations(store.read_operations().with_entries(table, entries))


def _table(store: Store, asked: Sequence[Cell]) -> Table:
    """Return the table of cells, its inputs in every dtype of them, whose bits are put into the store."""
    job = asked[0].workload
    known = store.read_operations().table(job.task)
    given = {(each.name, each.cell): each for each in (known.inputs if known else ())}
    for dtype in dict.fromkeys(cell.variant.dtype for cell in asked):
        for each in job.inputs:
            if (each.name, dtype) not in given:
                digest = store.write_value(draw.bits(each, dtype))
                own = each.dtype or dtype
                given[each.name, dtype] = Given(name=each.name, cell=dtype, dtype=own, shape=each.shape, digest=digest)
    return Table(task=job.task, rows=json.loads(job.rows), inputs=tuple(given.values()))
