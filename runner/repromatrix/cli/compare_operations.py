"""`compare` of two cells of the workload `operations`: result by result, with the bits and the exact results."""

from argparse import Namespace
from collections.abc import Sequence
from typing import TYPE_CHECKING

from repromatrix.cli import out
from repromatrix.errors import ExitCode, UsageError
from repromatrix.explain.impact.operations import Both, rows
from repromatrix.explain.impact.rows import OperationRow, changed
from repromatrix.results.store import Store
from repromatrix.tables import aligned

if TYPE_CHECKING:
    from repromatrix.results.record import Record

_HEAD = ("result", "verdict", "elements", "ULP", "scaled", "error", "better")
_SIDES = 2


def named(options: Namespace) -> "tuple[Record, Record] | None":
    """Return the records of the two cells that the arguments name; None: they are no cells of operations.

    Raises:
        ResultsError: a file cannot be read.
    """
    if len(options.sides) != _SIDES:
        return None
    store = Store(options.results)
    keys = {entry.cell: entry.key for entry in store.read_operations().entries}
    found = [store.read(side, keys[side]) for side in options.sides if side in keys]
    first, second = found if len(found) == _SIDES else (None, None)
    return (first, second) if first and second else None


def compared(options: Namespace, a: "Record", b: "Record") -> int:
    """Print what of two cells differs, and return the exit code.

    Raises:
        UsageError: they computed other things, or the format is one for losses.
    """
    if options.format not in ("text", "json") or options.output:
        raise UsageError("two cells of operations are told as text or JSON", hint="use --format text or json")
    if a.cell.task != b.cell.task or a.cell.dtype != b.cell.dtype:
        raise UsageError(
            f"{a.cell.id} and {b.cell.id} computed other operations, or in another dtype",
            hint="name two cells of one tier and dtype; run both again: repromatrix operations",
        )
    every = rows(Store(options.results), Both(a=a, b=b))
    apart = changed(every)
    if options.format == "json":
        out.document([each.document() for each in every], indent=1)
    else:
        out.say(_text(a.cell.id, b.cell.id, every, apart))
    return int(ExitCode.DIFFERENCE if apart else ExitCode.OK)


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
