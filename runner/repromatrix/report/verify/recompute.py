"""Manifest + records -> the claims that a report must make of them, by another way than the report's own.

Scalars only: hexadecimal text, `Fraction`, and Python floats where a definition says float64. Neither NumPy nor the
view nor the modules that measure, group and judge for the report are used; what is shared is `floats` (the formats)
and the sentences.
"""

from collections.abc import Iterable, Sequence

from repromatrix.report.claims.base import Claim
from repromatrix.report.verify import cells, measure, upgrades, versions
from repromatrix.results.manifest import Manifest
from repromatrix.results.record import Record


def recompute(manifest: Manifest, records: Sequence[Record], missing: Sequence[str]) -> tuple[Claim, ...]:
    """Return every claim about cells, classes, versions and noise, the rules of classes excepted.

    Args:
        manifest: what was asked for.
        records: those of its cells, the members of ensembles included, in its order.
        missing: ids of its cells without a record.
    """
    judges = measure.judges_of(manifest, records)
    own = own_records(manifest, records)
    changes = tuple(versions.changes(own, judges))
    return (
        *cells.cells(manifest, own, missing),
        *upgrades.frameworks(own),
        *upgrades.upgrades(changes),
        *cells.environments(own),
        *cells.classes(own),
        *versions.lines(own, manifest),
        *changes,
        *judges.floors.values(),
    )


def own_records(manifest: Manifest, records: Iterable[Record]) -> list[Record]:
    """Return the records of the report: all but the members of ensembles."""
    members = {name for each in manifest.ensembles for name in each.members}
    return [each for each in records if each.cell.id not in members]
