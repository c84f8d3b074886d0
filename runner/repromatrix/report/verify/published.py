"""Published tables + records -> what is due about the printed figures and statements, by another way.

Figures are decimals and fractions. What is shared with the report's own check is only which setup answers for a
column (`setups`), which is a definition and no arithmetic.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from repromatrix.published import setups
from repromatrix.published.setups import Setup
from repromatrix.report.verify.due import Due, due
from repromatrix.report.verify.figures import agrees, at_printed_digits
from repromatrix.report.verify.flips import JudgedPair
from repromatrix.report.verify.statements import verdicts
from repromatrix.results.manifest import Column, Published
from repromatrix.results.record import Record

_AFTER, _BEFORE = "after the last update", "before the last update"


def recompute_published(
    table: Published, records: Sequence[Record], judged: Sequence[JudgedPair] = ()
) -> tuple[Due, ...]:
    """Return what is due about one published table; `judged`: what experiments on its cells show."""
    own = [each for each in records if each.cell.workload == table.workload]
    mapped = {each.title: each for each in table.columns}
    losses: list[Due] = []
    finals: list[Due] = []
    for title in ordered(table):
        answering = setups.setups(mapped[title], own) if title in mapped else []
        for number, setup in enumerate(answering):
            losses.append(_losses(table, mapped[title], setup, own, newest=number == 0))
            if _final(table, title):
                finals.append(_prediction(table, mapped[title], setup, own, newest=number == 0))
    return (*losses, *finals, *verdicts(table, losses, own, judged))


def ordered(table: Published) -> list[str]:
    """Return the titles of the printed columns, those of the matrix first."""
    found = table.data["losses"]
    return [each for each in dict.fromkeys((*(c.title for c in table.columns), *found)) if each in found]


def _final(table: Published, title: str) -> list[str] | None:
    row = table.data.get("final_predictions", {}).get(title)
    return row["prediction"] if row else None


def _place(setup: Setup, *, newest: bool) -> dict[str, Any]:
    return {"environment": setup.environment, "device": setup.device, "settings": setup.settings, "newest": newest}


def _where(setup: Setup) -> str:
    return f"{setup.environment}/{setup.device}/{setup.settings}"


def _record(records: Sequence[Record], setup: Setup, variant: str) -> Record | None:
    return next((each for each in records if each.cell.variant == variant and setups.setup_of(each) == setup), None)


def _losses(table: Published, column: Column, setup: Setup, records: Sequence[Record], *, newest: bool) -> Due:
    record = _record(records, setup, column.variant)
    repeats = [each.losses for each in record.trajectories] if record else []
    found: list[dict[str, Any]] = []
    for number, printed in enumerate(table.data["losses"][column.title]):
        values = [float.fromhex(each[number]) for each in repeats if len(each) > number]
        # Of repeats that differ the one that fails speaks.
        wrong = [each for each in values if not agrees(each, printed)]
        shown = [*wrong, *values][:1]
        given = [(at_printed_digits(each, printed), each.hex(), not wrong) for each in shown]
        text, exact, same = given[0] if given else (None, None, None)
        found.append({"printed": printed, "computed": text, "hex": exact, "agrees": same})
    return due(
        "published_losses",
        f"losses/{table.workload}/{column.title}/{_where(setup)}",
        (record.cell.id,) if record else (),
        workload=table.workload,
        column=column.title,
        **_place(setup, newest=newest),
        reason=None if repeats else setups.absence(record, column.variant, setup),
        losses=found,
    )


def _prediction(table: Published, column: Column, setup: Setup, records: Sequence[Record], *, newest: bool) -> Due:
    printed = tuple(_final(table, column.title) or ())
    found = {name: _record(records, setup, name) for name in dict.fromkeys((column.variant, column.predictions))}
    passes = [each for name, record in found.items() if record is not None for each in _passes(name, record, printed)]
    by = [each for each in passes if each["variant"] == column.predictions]
    right = [each["which"] for each in by if each["agrees"]]
    return due(
        "published_prediction",
        f"prediction/{table.workload}/{column.title}/{_where(setup)}",
        tuple(each.cell.id for each in found.values() if each),
        workload=table.workload,
        column=column.title,
        **_place(setup, newest=newest),
        printed=printed,
        by=column.predictions,
        passes=passes,
        reproduced=bool(right) if by else None,
        which=right[0] if right else None,
    )


def _passes(variant: str, record: Record, printed: Sequence[str]) -> Iterable[dict[str, Any]]:
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
        exact = tuple(map(float.hex, shown))
        yield {"variant": variant, "which": which, "texts": texts, "hex": exact, "agrees": not wrong}
