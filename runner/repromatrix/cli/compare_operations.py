"""`compare` of cells of the workload `operations`: result by result, with the bits and the exact results."""

from argparse import Namespace
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from itertools import combinations
from typing import TYPE_CHECKING

from repromatrix.cli import out
from repromatrix.errors import ExitCode, NothingSelectedError, UsageError
from repromatrix.explain.impact.operations import Both, rows
from repromatrix.explain.impact.rows import OperationRow, changed
from repromatrix.results.store import Store
from repromatrix.tables import aligned

if TYPE_CHECKING:
    from repromatrix.results.record import Record

_HEAD = ("result", "verdict", "elements", "ULP", "scaled", "error", "better")
_TWO = 2
PREFIX = "operations"  # of the workloads' names
_FIRST, _SAME_ID = "first", "same-id"


def named(options: Namespace) -> "tuple[Record, ...]":
    """Return the records of the cells that the arguments name, each once; none where no argument is such a cell.

    One that is named twice is there twice.

    Raises:
        NothingSelectedError: it is one cell alone.
        UsageError: others than cells of operations stand among them.
        ResultsError: a record is not there, or cannot be read.
    """
    store = Store(options.results)
    keys = _keys(store)
    chosen = {side: [each for each in keys if fnmatchcase(each, side)] for side in options.sides}
    found = dict.fromkeys(cell for cells in chosen.values() for cell in cells)
    if not found:
        return ()
    if others := [side for side, cells in chosen.items() if not cells]:
        raise UsageError(
            f"{others[0]} is no cell of operations in {options.results}, as the others are",
            hint=f"name cells of operations alone; there are: {', '.join(keys)}",
        )
    if len(found) < _TWO and len(options.sides) < _TWO:
        raise NothingSelectedError(
            f"{next(iter(found))} is one cell: nothing to compare it with",
            hint=f"name another cell, or a pattern of several; there are: {', '.join(keys)}",
        )
    records = tuple(_read(store, cell, keys[cell]) for cell in found)
    return records if len(records) > 1 else records * _TWO


def _keys(store: Store) -> dict[str, str]:
    """Return the key of each cell of operations: of the command, of `impact`, of a matrix that names them."""
    listed = store.read_manifest().entries if store.has_manifest else ()
    return {each.id: each.key for each in listed if each.key and each.id.startswith(PREFIX)} | {
        entry.cell: entry.key for entry in store.read_operations().entries
    }


def _read(store: Store, cell: str, key: str) -> "Record":
    record = store.read(cell, key)
    if record is None:
        raise UsageError(f"{store.folder} has no record of {cell}", hint="run it again: repromatrix operations")
    return record


def compared(options: Namespace, records: "Sequence[Record]") -> int:
    """Print what of each pair of cells differs, and return the exit code.

    Raises:
        UsageError: two of them computed other things, or what is asked for is for losses.
    """
    if options.format not in ("text", "json") or options.output:
        raise UsageError("cells of operations are told as text or JSON", hint="use --format text or json")
    if options.pairs == _SAME_ID:
        raise UsageError(
            "--pairs same-id is for two results folders", hint="cells of operations: --pairs all or --pairs first"
        )
    store, differ = Store(options.results), False
    documents = []
    for a, b in _pairs(records, options.pairs):
        every = rows(store, Both(a=a, b=b))
        apart = changed(every)
        differ |= bool(apart)
        if options.format == "json":
            results = [each.document() for each in every]
            documents.append({"a": a.cell.id, "b": b.cell.id, "differ": len(apart), "results": results})
        else:
            out.say(_text(a.cell.id, b.cell.id, every, apart))
    if options.format == "json":
        out.document({"pairs": documents}, indent=1)
    return int(ExitCode.DIFFERENCE if differ else ExitCode.OK)


def _pairs(records: "Sequence[Record]", mode: str | None) -> "Iterator[tuple[Record, Record]]":
    """Yield the pairs: all, or each with the first.

    Raises:
        UsageError: two of the cells have not one table and dtype; said before anything is printed.
    """
    first = records[0].cell
    for each in records[1:]:
        if (each.cell.task, each.cell.dtype) != (first.task, first.dtype):
            raise UsageError(
                f"{first.id} and {each.cell.id} computed other operations, or in another dtype",
                hint="name cells of one tier and dtype; run them again: repromatrix operations",
            )
    yield from ((records[0], each) for each in records[1:]) if mode == _FIRST else combinations(records, 2)


def _text(a: str, b: str, every: Sequence[OperationRow], apart: Sequence[OperationRow]) -> str:
    lines = [f"{a} | {b}", f"{len(apart)} of {len(every)} results differ"]
    largest = sorted(apart, key=lambda each: each.weight, reverse=True)
    return "\n".join([*lines, *(aligned([_HEAD, *map(_row, largest)]) if apart else ())])


def _row(row: OperationRow) -> tuple[str, ...]:
    name = "/".join(filter(None, (row.operation, row.case, "gradient" if row.gradient and not row.case else "")))
    verdict = f"{row.verdict}: {row.dtype_a} -> {row.dtype_b}" if row.dtype_a != row.dtype_b else row.verdict
    return (
        name,
        verdict,
        f"{row.changed} of {row.size}",
        "-" if row.max_ulp is None else f"{row.max_ulp:.4g}",
        "-" if row.scaled is None else f"{row.scaled:.2g}",
        "-" if row.error_a is None or row.error_b is None else f"{row.error_a:.3g} -> {row.error_b:.3g}",
        {"b": "second", "a": "first"}.get(row.better, row.better),
    )
