"""Two versions of a framework -> what changes numerically between them, variant by variant."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from repromatrix.compare.allowance import measured
from repromatrix.compare.difference import Difference, Verdict, compare
from repromatrix.errors import NothingSelectedError
from repromatrix.execute.manifest import ensemble_of
from repromatrix.execute.run import Execution
from repromatrix.matrix import Environment, Matrix
from repromatrix.plan import Cell, cells_of, ensembles, selected
from repromatrix.results.record import Outcome, Record

Sides = tuple[Environment, Environment]


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A variant in both versions.

    Attributes:
        difference: of its two cells.
        unstable: the repeats of a side differ, so its first one proves nothing about the pair.
        absent: neither version can run it, so nothing changed.
    """

    difference: Difference
    unstable: bool
    absent: bool

    @property
    def variant(self) -> str:
        """Return the name of the variant."""
        return self.difference.a.split("/", 2)[2]

    @property
    def identical(self) -> bool:
        """Whether the metrics are known to have the same bits."""
        return self.difference.verdict is Verdict.IDENTICAL and not self.unstable

    def document(self) -> dict[str, Any]:
        """Return it as plain data."""
        return self.difference.flat() | {"not_deterministic": self.unstable}


@dataclass(frozen=True, slots=True, kw_only=True)
class Upgrade:
    """What changes from one version to another.

    Attributes:
        failed: whether a cell failed or ran out of time.
    """

    before: Environment
    after: Environment
    changes: tuple[Change, ...]
    failed: bool

    @property
    def caveats(self) -> tuple[str, ...]:
        """What else may be behind the differences, in words."""
        return caveats(self.before, self.after)

    def unchanged(self, *, state: bool) -> bool:
        """Whether all metrics are known to be the same; with `state`, no other state is known either."""
        same = all(each.identical or each.absent for each in self.changes)
        return same and not (state and any(each.difference.same_state is False for each in self.changes))

    def document(self) -> dict[str, Any]:
        """Return it as plain data."""
        pairs = [each.document() for each in self.changes]
        return {"before": self.before.name, "after": self.after.name, "caveats": list(self.caveats), "pairs": pairs}


def caveats(before: Environment, after: Environment) -> tuple[str, ...]:
    """Return what differs between two environments beside the version, in words."""
    if before.flavour == after.flavour:
        return ()
    return (f"the flavours differ too: {before.flavour} against {after.flavour}",)


def comparable(matrix: Matrix, pairs: Sequence[Sides], select: Sequence[str]) -> dict[Sides, list[Cell]]:
    """Return the selected cells of every pair that has a selected variant on both sides.

    Raises:
        NothingSelectedError: no pair has one.
    """
    found = {}
    for pair in pairs:
        before, after = ({_key(cell): cell for cell in _cells(matrix, side, select)} for side in pair)
        if before.keys() & after.keys():
            found[pair] = [*before.values(), *after.values()]
    if not found:
        names = " and ".join(each.name for each in pairs[0])
        raise NothingSelectedError(
            f"no variant that {names} share is selected by {', '.join(select)}"
            if select
            else f"no variant is written for both {names}",
            hint="see: repromatrix plan",
        )
    return found


def _cells(matrix: Matrix, environment: Environment, select: Sequence[str]) -> Iterator[Cell]:
    for workload in matrix.workloads:
        cells = cells_of(matrix, workload, environment)
        yield from (cell for cell in cells if cell.device == "cpu" and selected(cell, select))


def _key(cell: Cell) -> tuple[str, str]:
    return cell.workload.name, cell.variant.name


def upgrade(execution: Execution, matrix: Matrix, sides: Sides, cells: Sequence[Cell]) -> Upgrade:
    """Run the cells of two environments, and those that measure their noise, and compare them variant by variant.

    Raises:
        EnvironmentFailedError: one of them cannot be made.
    """
    noise = ensembles(cells, matrix.noise_members)
    summary = execution.run([*cells, *(member for each in noise for member in each.members)])
    if summary.broken:
        raise summary.broken[0][1]
    records = {record.cell.id: record for record in summary.records}
    allowed = measured(map(ensemble_of, noise), records, matrix.stated)
    before, after = ({_key(cell): records[cell.id] for cell in cells if cell.environment == side} for side in sides)
    pairs = [(before[key], after[key]) for key in before if key in after]
    changes = tuple(_change(pair, compare(*pair, allowed)) for pair in pairs)
    return Upgrade(before=sides[0], after=sides[1], changes=changes, failed=summary.failed)


def runs(matrix: Matrix, cells: Sequence[Cell]) -> int:
    """Return how many runs `upgrade` needs at most."""
    members = [member for each in ensembles(cells, matrix.noise_members) for member in each.members]
    return sum(cell.runs(matrix.repeats) for cell in (*cells, *members))


def _change(pair: tuple[Record, Record], difference: Difference) -> Change:
    return Change(
        difference=difference,
        unstable=any(record.deterministic is False for record in pair),
        absent=all(record.outcome is Outcome.UNAVAILABLE for record in pair),
    )
