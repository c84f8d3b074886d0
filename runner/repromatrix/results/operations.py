"""Which cells ran the workload `operations`, and what its table was (schemas/operations.json, format 1).

The table and the bits of its inputs lie in the results folder, so that who reads the results alone can compute what is
exactly right, also of a table that this release no longer has.
"""

from collections.abc import Iterable
from typing import Any

import msgspec

from repromatrix.errors import ResultsError
from repromatrix.results import document as documents
from repromatrix.results.record import refuse_other_format

FORMAT = 1


class Given(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An input of the table in a dtype.

    Attributes:
        cell: the dtype of the cells that were given it.
        dtype: its own.
        digest: SHA-256 of its bits, which lie in results/values.
    """

    name: str
    cell: str
    dtype: str
    shape: tuple[int, ...]
    digest: str


class Table(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of operations and its inputs.

    Attributes:
        task: the workload's digest, which the records of its cells have.
        rows: operation -> its row, as workload.yaml has it.
    """

    task: str
    rows: dict[str, Any]
    inputs: tuple[Given, ...]


class Entry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A cell whose operations were run: its id and the key of its record."""

    cell: str
    key: str


class Listing(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All of them; a cell stands once, with its latest record."""

    tables: tuple[Table, ...] = ()
    entries: tuple[Entry, ...] = ()
    format: int = FORMAT

    def table(self, task: str) -> Table | None:
        """Return the table of that digest, or None."""
        return next((table for table in self.tables if table.task == task), None)

    def with_entries(self, table: Table, entries: Iterable[Entry]) -> "Listing":
        """Return these with other cells added; a newer entry of a cell takes the place of the older."""
        found = {entry.cell: entry for entry in (*self.entries, *entries)}
        tables = {each.task: each for each in (*self.tables, table)}
        return Listing(tables=tuple(tables.values()), entries=tuple(found.values()))


def encode(listing: Listing) -> bytes:
    """Return it as canonical JSON."""
    return documents.canonical(listing)


def decode(data: bytes, where: str) -> Listing:
    """Read it, strictly.

    Raises:
        ResultsError: damaged, or written by another release.
    """
    try:
        refuse_other_format(data, FORMAT, "a list of operations", where)
        return documents.strict(data, Listing)
    except ValueError as error:
        raise ResultsError(
            f"not a readable list of operations ({error})",
            where=where,
            hint="delete that file and run the operations again: repromatrix operations",
        ) from error
