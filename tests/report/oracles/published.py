"""A published table -> how much of it is reproduced, and how many of its statements hold."""

from repromatrix.published import setups
from tests.report.oracles.kinds import PublishedTotals, VerdictTotals


def totals(table, records, known):
    """Return the counts; `known`: what is due of each figure and statement."""
    own = [each for each in known if each.values.get("workload") == table.workload]
    newest = [each for each in own if each.kind == "published_losses" and each.values["newest"]]
    finals = [each for each in own if each.kind == "published_prediction" and each.values["newest"]]
    answers = [loss["agrees"] for each in newest for loss in each.values["losses"]]
    printed = sum(map(len, table.data["losses"].values()))
    predictions = [each["prediction"] for each in table.data.get("final_predictions", {}).values()]
    given = [each.values["reproduced"] for each in finals]
    count = sum(each is not None for each in predictions)
    pinned = {
        each.title: setups.setups(each, [r for r in records if r.cell.workload == table.workload])
        for each in table.columns
    }
    loose = [each for each in newest if not pinned[each.values["column"]][0].pinned]
    source = str(table.data.get("source", table.workload))
    yield PublishedTotals(
        cells=tuple(cell for each in newest for cell in each.cells),
        workload=table.workload,
        source=source,
        losses=printed,
        reproduced=answers.count(True),
        differing=answers.count(False),
        not_computed=printed - answers.count(True) - answers.count(False),
        not_pinned=sum(loss["agrees"] is True for each in loose for loss in each.values["losses"]),
        predictions=count,
        predictions_reproduced=given.count(True),
        predictions_differing=given.count(False),
        predictions_not_computed=count - given.count(True) - given.count(False),
    )
    verdicts = [each for each in own if each.kind == "published_verdict"]
    words = [each.values["verdict"] for each in verdicts]
    if verdicts:
        yield VerdictTotals(
            cells=tuple(dict.fromkeys(cell for each in verdicts for cell in each.cells)),
            workload=table.workload,
            source=source,
            statements=len(verdicts),
            confirmed=words.count("confirmed"),
            with_condition=words.count("confirmed with a condition"),
            refuted=words.count("refuted"),
            not_tested=words.count("not tested"),
        )
