"""The rows of a table of operations -> its cases, each with its inputs and the name of its exact result."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from repromatrix.operations.exact_result import Argument

NONE = "none"  # the truth of a row that has no exact result
_PART = re.compile(r"([\w-]+)(?:\[(:,)?:(\d+)\])?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One case of an operation.

    Attributes:
        name: `OPERATION` or `OPERATION/CASE`.
        args: names of its inputs.
        truth: the name of its exact result.
        gradient: the places of the arguments by which it is derived.
        weights: the input by which the outputs are weighted before they are summed and derived; None: one each.
        options: what the line is given beside the arguments.
        terms: of the longest sum in it, which bounds what is neither elementwise nor a sum; 0: not stated.
        relation: the two ways to compute it whose differing elements are counted; None: it is computed once.
        sample: of a large output every so many elements are kept, and a digest; 0: all.
    """

    name: str
    args: tuple[str, ...]
    truth: str
    gradient: tuple[int, ...]
    weights: str | None
    options: Mapping[str, Any]
    terms: int = 0
    relation: str | None = None
    sample: int = 0

    @property
    def slopes(self) -> dict[str, int]:
        """The names of its gradients -> the place of the argument."""
        if len(self.gradient) == 1:
            return {f"{self.name}/gradient": self.gradient[0]}
        return {f"{self.name}/gradient-{place}": place for place in self.gradient}


def cases(rows: Mapping[str, Any]) -> Iterator[Case]:
    """Yield every case of the rows of a table, in its order."""
    for operation, row in rows.items():
        if not row.get("only_cases"):
            yield _case(operation, row)
        for name, change in row.get("cases", {}).items():
            yield _case(f"{operation}/{name}", row | change)


def _case(name: str, row: Mapping[str, Any]) -> Case:
    return Case(
        name=name,
        args=tuple(row.get("args", ())),
        truth=row["truth"],
        gradient=tuple(row.get("gradient", ())),
        weights=row.get("weights"),
        options=row.get("options", {}),
        terms=row.get("terms", 0),
        relation=row.get("relation"),
        sample=row.get("sample", 0),
    )


def argument(given: Mapping[str, Argument], text: str) -> Argument:
    """Return an input, or what `NAME[:n]` or `NAME[:,:n]` says of it: its first elements, or columns."""
    name, columns, count = part_of(text)
    found = given[name]
    if count is None:
        return found
    array = found.values.reshape(found.shape)
    array = array[:, : int(count)] if columns else array[: int(count)]
    return Argument(shape=array.shape, values=array.reshape(-1))


def part_of(text: str) -> tuple[str, str | None, str | None]:
    """Return the input that `NAME[:n]` or `NAME[:,:n]` names, whether columns are meant, and how many."""
    found = _PART.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} names no part of an input")
    name, columns, count = found.groups()
    return name, columns, count


def case_of(rows: Mapping[str, Any], name: str) -> Case | None:
    """Return the case that has an output of that name, or None."""
    operation = name.partition("/")[0]
    row = {operation: rows[operation]} if operation in rows else {}
    found = (case for case in cases(row) if name == case.name or name.startswith(f"{case.name}/"))
    return max(found, key=lambda case: len(case.name), default=None)
