"""The table of operations: for each output and each cell how far it is from the exact result, or why there is none."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from repromatrix.operations.cases import case_of
from repromatrix.operations.results import Errors, Judge, outputs, unstable
from repromatrix.results.record import Record
from repromatrix.results.store import Store


class Kind(StrEnum):
    """What there is of an operation in a cell."""

    GIVEN = "given"
    ABSENT = "absent"  # the framework, or its version, does not have it
    BROKEN = "broken"  # it ended with an exception


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One output of one cell.

    Attributes:
        name: `OPERATION[/CASE][/OUTPUT][/gradient]`.
        dtype: of the output; empty where there is none.
        digest: of its bits, or the elements themselves where they are few: equal for equal bits.
        errors: how far it is from the exact result; None where no exact result is known.
        reason: why there is none, else None.
        stable: whether all repeats gave these bits.
        apart: of two ways to compute it in one cell: in how many elements they differ; None: it is computed once.
    """

    name: str
    kind: Kind
    dtype: str = ""
    shape: tuple[int, ...] = ()
    digest: tuple[str, ...] = ()
    errors: Errors | None = None
    reason: str | None = None
    stable: bool = True
    apart: int | None = None


def results(store: Store, record: Record) -> dict[str, Result]:
    """Return what a cell of the workload `operations` gave, by name.

    Raises:
        ResultsError: a file cannot be read, or bits are missing.
    """
    return {each.name: each for each in _results(store, record)}


def _results(store: Store, record: Record) -> Iterator[Result]:
    if record.trajectory is None:
        return
    judge, loose = Judge.of(store, record), unstable(record)
    columns = {column.name: column for column in record.trajectory.columns}
    for name, output in outputs(store, record).items():
        found = judge.errors(name, output) if judge else None
        digest = columns[name].rows[-1]
        case = case_of(judge.table.rows, name) if judge else None
        yield Result(
            name=name,
            kind=Kind.GIVEN,
            dtype=output.dtype,
            shape=output.shape,
            digest=digest,
            errors=found,
            stable=name not in loose,
            apart=int(digest[0]) if case and case.relation else None,
        )
    for kind, lost in ((Kind.ABSENT, record.trajectory.absent), (Kind.BROKEN, record.trajectory.broken)):
        for name, reason in lost:
            yield Result(name=name, kind=kind, reason=reason)


def names(found: Sequence[dict[str, Result]]) -> tuple[str, ...]:
    """Return the names of several cells' results, in the order of the first that has them; what is absent last."""
    given = dict.fromkeys(name for each in found for name, result in each.items() if result.kind is Kind.GIVEN)
    lost = dict.fromkeys(name for each in found for name in each)
    return tuple({**given, **lost})


def word(result: Result | None, first: Result | None = None) -> str:
    """Return what a table says of a result, beside the first one of its row."""
    if result is None:
        return "-"
    if result.kind is not Kind.GIVEN:
        return result.kind.value
    if not result.stable:
        return "unstable"
    if result.apart is not None:
        return f"{result.apart} differ" if result.apart else "same bits"
    changed = f" {result.dtype}" if first and first.kind is Kind.GIVEN and first.dtype != result.dtype else ""
    if result.errors is None:
        same = first is None or (first.digest, first.dtype, first.shape) == (result.digest, result.dtype, result.shape)
        return ("same" if same else "differs") + changed if first else "given"
    wrong = "wrong " if result.errors.wrong else ""
    return f"{wrong}{result.errors.largest:.3g}{changed}"
