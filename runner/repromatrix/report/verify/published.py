"""Published tables + records -> the claims that a report must make of the printed figures, by another way.

Figures are decimals and fractions. What is shared with the report's own check is only which setup answers for a
column (`setups`), which is a definition and no arithmetic.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from repromatrix.published import setups
from repromatrix.published.setups import Setup
from repromatrix.report.claims.base import Claim
from repromatrix.report.claims.published import (
    Pass,
    Place,
    PublishedLosses,
    PublishedPrediction,
    PublishedTotals,
)
from repromatrix.report.verify import columns
from repromatrix.report.verify.figures import agrees, at_printed_digits
from repromatrix.report.verify.ledgers import Ledger
from repromatrix.report.verify.measure import Judges
from repromatrix.report.verify.printed import contradictions
from repromatrix.report.verify.statements import verdicts
from repromatrix.results.manifest import Column, Published
from repromatrix.results.record import Record

_AFTER, _BEFORE = "after the last update", "before the last update"


def recompute_published(
    table: Published, records: Sequence[Record], judges: Judges, ledgers: Sequence[Ledger] = ()
) -> Iterable[Claim]:
    """Return every claim about one published table; `ledgers`: what experiments on its cells show."""
    own = [each for each in records if each.cell.workload == table.workload]
    titles = _ordered(table.data["losses"], table)
    mapped = {each.title: each for each in table.columns}
    losses: list[PublishedLosses] = []
    finals: list[PublishedPrediction] = []
    pinned: dict[str, bool] = {}
    for title in titles:
        answering = setups.setups(mapped[title], own) if title in mapped else []
        for number, setup in enumerate(answering):
            losses.append(_losses(table, mapped[title], setup, own, newest=number == 0))
            pinned[losses[-1].id] = setup.pinned
            if _final(table, title):
                finals.append(_prediction(table, mapped[title], setup, own, newest=number == 0))
    newest = [each for each in losses if each.place.newest]
    values = [columns.computed(each, own) for each in newest if each.cells and each.reason is None]
    yield _totals(table, newest, finals, pinned)
    yield from losses
    yield from finals
    yield from contradictions(table, titles)
    yield from columns.pairs(table, values, judges)
    yield from columns.closest(table, values)
    yield from verdicts(table, losses, own, ledgers)


def _ordered(found: dict[str, Any], table: Published) -> list[str]:
    return [each for each in dict.fromkeys((*(c.title for c in table.columns), *found)) if each in found]


def _final(table: Published, title: str) -> list[str] | None:
    row = table.data.get("final_predictions", {}).get(title)
    return row["prediction"] if row else None


def _place(setup: Setup, *, newest: bool) -> Place:
    return Place(environment=setup.environment, device=setup.device, settings=setup.settings, newest=newest)


def _record(records: Sequence[Record], setup: Setup, variant: str) -> Record | None:
    return next((each for each in records if each.cell.variant == variant and setups.setup_of(each) == setup), None)


def _losses(
    table: Published, column: Column, setup: Setup, records: Sequence[Record], *, newest: bool
) -> PublishedLosses:
    record = _record(records, setup, column.variant)
    repeats = [each.losses for each in record.trajectories] if record else []
    found: list[tuple[str, str | None, str | None, bool | None]] = []
    for number, printed in enumerate(table.data["losses"][column.title]):
        values = [float.fromhex(each[number]) for each in repeats if len(each) > number]
        # Of repeats that differ the one that fails speaks.
        wrong = [each for each in values if not agrees(each, printed)]
        shown = [*wrong, *values][:1]
        found += [(printed, at_printed_digits(each, printed), each.hex(), not wrong) for each in shown]
        found += [(printed, None, None, None)] * (not shown)
    return PublishedLosses(
        cells=(record.cell.id,) if record else (),
        workload=table.workload,
        column=column.title,
        place=_place(setup, newest=newest),
        reason=None if repeats else setups.absence(record, column.variant, setup),
        losses=tuple(found),
    )


def _prediction(
    table: Published, column: Column, setup: Setup, records: Sequence[Record], *, newest: bool
) -> PublishedPrediction:
    printed = tuple(_final(table, column.title) or ())
    found = {name: _record(records, setup, name) for name in dict.fromkeys((column.variant, column.predictions))}
    passes = [each for name, record in found.items() if record is not None for each in _passes(name, record, printed)]
    by = [each for each in passes if each.variant == column.predictions]
    right = [each.which for each in by if each.agrees]
    return PublishedPrediction(
        cells=tuple(each.cell.id for each in found.values() if each),
        workload=table.workload,
        column=column.title,
        place=_place(setup, newest=newest),
        printed=printed,
        by=column.predictions,
        passes=tuple(passes),
        reproduced=bool(right) if by else None,
        which=right[0] if right else None,
    )


def _passes(variant: str, record: Record, printed: Sequence[str]) -> Iterable[Pass]:
    repeats = [each.predictions for each in record.trajectories]
    for which, back in ((_AFTER, 1), (_BEFORE, 2)):
        if not repeats or any(len(each) < back for each in repeats):
            continue
        rows = [tuple(map(float.fromhex, each[-back])) for each in repeats]
        wrong = [
            row
            for row in rows
            if len(row) != len(printed) or not all(agrees(x, y) for x, y in zip(row, printed, strict=True))
        ]
        shown = (wrong or rows)[0]
        texts = tuple(at_printed_digits(value, text) for value, text in zip(shown, printed, strict=False))
        yield Pass(variant=variant, which=which, texts=texts, hex=tuple(map(float.hex, shown)), agrees=not wrong)


def _totals(
    table: Published, newest: Sequence[PublishedLosses], finals: Sequence[PublishedPrediction], pinned: dict[str, bool]
) -> PublishedTotals:
    answers = [agrees for each in newest for *_, agrees in each.losses]
    printed = sum(map(len, table.data["losses"].values()))
    predictions = [each["prediction"] for each in table.data.get("final_predictions", {}).values()]
    given = [each.reproduced for each in finals if each.place.newest]
    count = sum(each is not None for each in predictions)
    return PublishedTotals(
        cells=tuple(cell for each in newest for cell in each.cells),
        workload=table.workload,
        source=str(table.data.get("source", table.workload)),
        losses=printed,
        reproduced=answers.count(True),
        differing=answers.count(False),
        not_computed=printed - answers.count(True) - answers.count(False),
        not_pinned=sum([a for *_, a in each.losses].count(True) for each in newest if not pinned[each.id]),
        predictions=count,
        predictions_reproduced=given.count(True),
        predictions_differing=given.count(False),
        predictions_not_computed=count - given.count(True) - given.count(False),
    )
