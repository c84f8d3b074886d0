"""Records -> what ran, and how many upgrades keep every bit, by another way than the report's own."""

from collections.abc import Iterable, Sequence

from repromatrix.report.verify.due import Due
from repromatrix.report.verify.versions import newest_last
from repromatrix.results.record import Record
from tests.report.oracles.kinds import FrameworksRan, UpgradeTotals

_COMPARED = ("identical", "rounding", "amplified", "divergent")


def frameworks(records: Iterable[Record]) -> Iterable[Due]:
    """Return which frameworks and versions gave losses."""
    ran = [each.cell for each in records if each.trajectories]
    kinds = dict.fromkeys((each.framework, each.flavour) for each in ran)
    versions = {kind: {each.version for each in ran if (each.framework, each.flavour) == kind} for kind in kinds}
    if ran:
        yield FrameworksRan(
            cells=tuple(each.id for each in ran),
            ran=tuple((*kind, tuple(sorted(found, key=newest_last))) for kind, found in versions.items()),
        )


def upgrades(changes: Sequence[Due]) -> Iterable[Due]:
    """Count the upgrades that keep every bit; their changes have been recomputed."""
    same = [each for each in changes if each.values["verdict"] == "identical"]
    compared = sum(each.values["verdict"] in _COMPARED for each in changes)
    if changes:
        yield UpgradeTotals(
            cells=tuple(dict.fromkeys(cell for each in changes for cell in each.cells)),
            compared=compared,
            same_losses=len(same),
            same_weights=sum(bool(each.values["same_state"]) for each in same),
            not_compared=len(changes) - compared,
        )
