"""A published table's check and comparison -> the claims that the report makes of them."""

from collections.abc import Iterable

from repromatrix.published.columns import Comparison, Pair
from repromatrix.published.figures import Check, ColumnCheck
from repromatrix.published.predictions import Passes, PredictionCheck
from repromatrix.published.setups import Setup
from repromatrix.report.claims.base import Claim
from repromatrix.report.claims.published import (
    Closest,
    Contradiction,
    PairVerdict,
    Pass,
    Place,
    PublishedLosses,
    PublishedPrediction,
    PublishedTotals,
)
from repromatrix.report.claims.stated import hexadecimal


def totals(check: Check) -> PublishedTotals:
    """Count how much of a table the newest version of each framework reproduces."""
    losses = [each for column in check.newest for each in column.losses]
    total = sum(map(len, check.table.losses.values()))
    reproduced, differing = (sum(each.agrees is answer for each in losses) for answer in (True, False))
    newest = [each for each in check.predictions if each.newest]
    printed = sum(each.prediction is not None for each in check.table.predictions)
    right, wrong = (sum(each.reproduced is answer for each in newest) for answer in (True, False))
    return PublishedTotals(
        cells=tuple(each.cell for each in check.newest if each.cell),
        workload=check.workload,
        source=check.table.source,
        losses=total,
        reproduced=reproduced,
        differing=differing,
        not_computed=total - reproduced - differing,
        not_pinned=sum(each.reproduced for each in check.newest if not each.setup.pinned),
        predictions=printed,
        predictions_reproduced=right,
        predictions_differing=wrong,
        predictions_not_computed=printed - right - wrong,
    )


def of_table(check: Check, comparison: Comparison) -> tuple[Claim, ...]:
    """Return what is said of a published table: its figures, itself, its columns against each other."""
    cells = {each.title: each.cell for each in check.newest if each.cell}

    def between(*titles: str) -> tuple[str, ...]:
        return tuple(cells[title] for title in titles if title in cells)

    return (
        totals(check),
        *(_losses(each, check.workload) for each in check.columns),
        *(_prediction(each, check.workload) for each in check.predictions),
        *(
            Contradiction(
                cells=(),
                workload=check.workload,
                of=each.kind.value,
                columns=each.columns,
                printed=(each.printed.name, each.printed.text),
                against=tuple((figure.name, figure.text) for figure in each.against),
                implied=each.implied,
                sentence=each.sentence,
            )
            for each in check.contradictions
        ),
        *(
            Closest(
                cells=between(*cells),
                workload=check.workload,
                iteration=each.iteration,
                same=each.same,
                near=tuple((n.a, n.b, n.distance.hex(), n.ulps, n.ulp_dtype) for n in each.near),
            )
            for each in comparison.closest
        ),
        *(_pair(each, lists, between(each.a, each.b), check.workload) for each, lists in _listed(comparison)),
    )


def _place(setup: Setup, *, newest: bool) -> Place:
    return Place(environment=setup.environment, device=setup.device, settings=setup.settings, newest=newest)


def _losses(column: ColumnCheck, workload: str) -> Claim:
    return PublishedLosses(
        cells=(column.cell,) if column.cell else (),
        workload=workload,
        column=column.title,
        place=_place(column.setup, newest=column.newest),
        reason=column.reason,
        losses=tuple((each.published, each.computed, each.hex, each.agrees) for each in column.losses),
    )


def _prediction(check: PredictionCheck, workload: str) -> Claim:
    shown = [check.own] if check.own == check.by else [check.own, check.by]
    agreeing = check.by.agreeing
    return PublishedPrediction(
        cells=tuple(each.cell for each in shown if each.cell),
        workload=workload,
        column=check.printed.column,
        place=_place(check.setup, newest=check.newest),
        printed=check.printed.prediction or (),
        by=check.by.variant,
        passes=tuple(each for passes in shown for each in _passes(passes)),
        reproduced=check.reproduced,
        which=agreeing.convention.value if agreeing else None,
    )


def _passes(passes: Passes) -> Iterable[Pass]:
    for each in passes.forwards:
        yield Pass(
            variant=passes.variant, which=each.convention.value, texts=each.texts, hex=each.hex, agrees=each.agrees
        )


def _listed(comparison: Comparison) -> Iterable[tuple[Pair, tuple[str, ...]]]:
    """Return every pair that the report lists, once, with the lists that it is in."""
    found: dict[tuple[str, str], tuple[Pair, list[str]]] = {}
    for name in ("cross_method", "larger", "exact", "same_digits"):
        for each in getattr(comparison, name):
            found.setdefault((each.a, each.b), (each, []))[1].append(name)
    return ((each, tuple(lists)) for each, lists in found.values())


def _pair(pair: Pair, lists: tuple[str, ...], cells: tuple[str, ...], workload: str) -> Claim:
    return PairVerdict(
        cells=cells,
        workload=workload,
        a=pair.a,
        b=pair.b,
        lists=lists,
        verdict=pair.verdict.value,
        judged_by=pair.judged_by,
        ulp_dtype=pair.ulp_dtype,
        steps=pair.steps,
        first_difference=pair.first_difference,
        last_abs=hexadecimal(pair.last_abs),
        last_ulp=pair.last_ulp,
        max_abs=hexadecimal(pair.max_abs),
        max_ulp=pair.max_ulp,
        same_digits=pair.same_digits,
        factors=pair.factors,
    )
