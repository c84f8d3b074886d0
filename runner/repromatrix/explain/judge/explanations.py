"""What was tried -> explanations: every finding judged again from the records. Pure.

`explain`, the report and `verify` all come here, so that none can say what the records do not show.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from repromatrix.compare.allowance import Allowances
from repromatrix.explain.judge.explanation import Ledger
from repromatrix.explain.judge.findings import Finding
from repromatrix.explain.judge.flips import Experiment, Judge, usable
from repromatrix.results.experiments import Attempt, Experiments, Origin, Pair
from repromatrix.results.record import Record


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """Why two cells differ, and why that was asked: they stand for classes, for published columns, or somebody did."""

    of: tuple[Origin, ...]
    ledger: Ledger


def explanations(
    experiments: Experiments, records: Mapping[str, Record], allowed: Allowances
) -> tuple[Explanation, ...]:
    """Judge the experiments, in their order; a pair without two usable records of its own is left out.

    Args:
        experiments: what was tried (`Store.read_experiments`).
        records: by key (`Store.records_of`); what is missing there is not testable.
        allowed: who tells rounding from more.
    """
    return tuple(
        Explanation(of=pair.of, ledger=ledger(pair, records, allowed))
        for pair in experiments.pairs
        if all(run.key in records and usable(records[run.key]) for run in (pair.a, pair.b))
    )


def ledger(pair: Pair, records: Mapping[str, Record], allowed: Allowances) -> Ledger:
    """Judge what was tried on one pair, whose own two records are there and usable."""
    judge = Judge(records[pair.a.key], records[pair.b.key], pair.factors, allowed)
    rows = [judge.row(each.factors, seen(each.a, records), seen(each.b, records)) for each in pair.trials]
    return Ledger(
        a=pair.a.id,
        b=pair.b.id,
        before=judge.before,
        factors=pair.factors,
        rows=tuple(each for each in rows if len(each.factors) == 1),
        sets=tuple(each for each in rows if len(each.factors) > 1 and each.finding is not Finding.NOT_TESTABLE),
        conditions=tuple(
            judge.condition(each, seen(each.a, records), seen(each.b, records)) for each in pair.conditions
        ),
        budget=pair.budget,
        spent=pair.spent,
        exhausted=pair.exhausted,
    )


def seen(attempt: Attempt, records: Mapping[str, Record]) -> Experiment:
    """Return what was seen of one end."""
    if attempt.run is None:
        return Experiment(reason=attempt.reason, left=attempt.left)
    record = records.get(attempt.run.key)
    if record is None:
        return Experiment(reason="its record is not there", left=attempt.left)
    return Experiment(record=record, left=attempt.left)
