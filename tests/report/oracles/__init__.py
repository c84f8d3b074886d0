"""Everything else that a report says, computed again by another way than its own: sums, lists and words of the values.

`repromatrix verify` recomputes the values themselves; these guard our own counting, so the tests do.
"""

from repromatrix.report.verify import check, measure, versions
from repromatrix.report.verify.cells import classes
from repromatrix.report.verify.published import ordered
from tests.report.oracles import cells, columns, explanations, lines, published, traces, upgrades
from tests.report.oracles.changes import recompute_changes
from tests.report.oracles.operations import operated
from tests.report.oracles.printed import contradictions


def due(evidence):
    """Return what is due of every sentence but the rules of classes: what `verify` computes again, and the rest."""
    own, manifest = evidence.own, evidence.manifest
    judges = measure.judges_of(manifest, evidence.records)
    known = check.expected(evidence)
    found = [
        *known,
        *cells.cells(manifest, own, evidence.missing),
        *cells.environments(own),
        *upgrades.frameworks(own),
        *upgrades.upgrades(tuple(versions.changes(own, judges))),
        *lines.lines(own, manifest),
        *traces.told(manifest, own, evidence.traces),
        *explanations.totals(evidence, judges, tuple(classes(own))),
        *operated(evidence.replayed, manifest),
    ]
    for table in manifest.published:
        losses = [each for each in known if each.kind == "published_losses" and each.values["newest"]]
        losses = [each for each in losses if each.values["workload"] == table.workload]
        values = [columns.computed(each, own) for each in losses if each.cells and each.values["reason"] is None]
        found += [
            *published.totals(table, own, known),
            *contradictions(table, ordered(table)),
            *columns.pairs(table, values, judges),
            *columns.closest(table, values),
        ]
    if evidence.accepted is not None:
        found += recompute_changes(evidence.accepted, own, evidence.missing, judges)
    return found
