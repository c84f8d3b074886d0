"""Replays -> what a report must say of operations, by another way."""

from collections.abc import Iterable, Mapping, Sequence

from repromatrix.operations.catalogue import CATALOGUE
from repromatrix.report.replayed import Replayed
from repromatrix.report.sections.operations import NOT_THERE, How
from repromatrix.report.verify.due import Due
from repromatrix.results.manifest import Manifest
from repromatrix.results.record import Description
from repromatrix.results.replays import CellReplays, ReplayedCell, ReplayedPair
from tests.report.oracles.arithmetics import Arithmetics
from tests.report.oracles.kinds import NotListed, OperationForm, OperationsOf, OperationTotals, SourceTotals
from tests.report.oracles.replayed import Found, details, found

_TOLD_APART_BY = ("gradient", "activation")


def operated(replayed: Replayed, manifest: Manifest) -> Iterable[Due]:
    """Return all that is due of operations.

    Raises:
        ValueError: replays that do not belong together, or fresh inputs that this release makes otherwise; the report
            could not be made of them either.
    """
    arithmetics = Arithmetics()
    keys = {each.id: each.key for each in manifest.entries if each.key is not None}
    pairs = [each for each in replayed.index.pairs if _of_this_run(each, keys)]
    judged = [(each, _sides(each, replayed)) for each in pairs]
    results = [(pair, sides, found(pair, sides)) for pair, sides in judged]
    if replayed.index.pairs:
        yield from _totals(results, len(replayed.index.pairs) - len(pairs))
    for pair, _, each in results:
        yield _operations_of(pair, each)
    told: set[tuple[str, str]] = set()
    for _, (a, b), each in results:
        if each.reason is None and a is not None and b is not None:
            cells = a.trace.cell.id, b.trace.cell.id
            yield from () if cells in told else details(each, (a, b), arithmetics)
            told.add(cells)
    yield from _forms(replayed, arithmetics)
    for listing in replayed.index.listed:
        if listing.cell not in replayed.listed:
            yield NotListed(cells=(listing.cell,), reason=NOT_THERE)


Sides = tuple[CellReplays | None, CellReplays | None]
Result = tuple[ReplayedPair, Sides, Found]


def _of_this_run(pair: ReplayedPair, keys: Mapping[str, str]) -> bool:
    ends: list[ReplayedCell] = [each for each in (pair.left, pair.right) if each is not None]
    stale = any(each.cell in keys and keys[each.cell] != each.record for each in ends)
    return not stale and (pair.a in keys or pair.b in keys)


def _sides(pair: ReplayedPair, replayed: Replayed) -> Sides:
    a, b = (None if each is None else replayed.ends.get(each) for each in (pair.left, pair.right))
    return a, b


def _totals(results: Sequence[Result], outdated: int) -> Iterable[Due]:
    answered = [(pair, each) for pair, _, each in results if each.reason is None]
    kinds = [_kind(each) for _, each in answered]
    yield OperationTotals(
        cells=_cells([pair for pair, _, _ in results]),
        apart=kinds.count("apart"),
        joined=kinds.count("joined"),
        same=kinds.count("same"),
        unclear=kinds.count("unclear"),
        not_replayed=len(results) - len(answered),
        outdated=outdated,
    )
    for name in CATALOGUE:
        apart = [pair for pair, each in answered if name in {operation for _, operation in each.sources}]
        passing = [
            1
            for pair, each in answered
            if pair not in apart and name in {each.places[place].operation for place in each.passing}
        ]
        if apart:
            yield SourceTotals(
                cells=_cells(apart), operation=name, apart=len(apart), passing=len(passing), among=len(answered)
            )


def _kind(each: Found) -> str:
    if each.sources or each.wiring:
        return "apart" if each.sources else "joined"
    return "unclear" if each.fused or any(at.reason for at in each.places.values()) else "same"


def _operations_of(pair: ReplayedPair, each: Found) -> Due:
    ends = [end.cell for end in (pair.left, pair.right) if end is not None] if each.reason is None else []
    return OperationsOf(
        cells=(pair.a, pair.b),
        replayed=tuple(ends),
        dtype=each.dtype,
        sources=each.sources,
        passing=each.passing,
        wiring=each.wiring,
        unknown=tuple((name, at.reason) for name, at in each.places.items() if at.reason),
        fused=each.fused,
        reason=each.reason,
    )


def _forms(replayed: Replayed, arithmetics: Arithmetics) -> Iterable[Due]:
    listed = [replayed.listed.get(each.cell, {}) for each in replayed.index.listed]
    for operation in CATALOGUE:
        own = [each for each in listed if operation in each]
        for dtype in dict.fromkeys(each[operation].cell.dtype for each in own):
            members = [each for each in own if each[operation].cell.dtype == dtype]
            sigmoids = [[each["sigmoid"]] if "sigmoid" in each else [] for each in members]
            hows = [
                arithmetics.how(operation, [each[operation]], sigmoid, measure=True)
                for each, sigmoid in zip(members, sigmoids, strict=True)
            ]
            cells = [each[operation].cell for each in members]
            for how in dict.fromkeys(hows):
                yield _form(operation, dtype, how, [c for c, h in zip(cells, hows, strict=True) if h == how], cells)


def _form(operation: str, dtype: str, how: How, cells: Sequence[Description], every: Sequence[Description]) -> Due:
    where = []
    for name in dict.fromkeys(_place(each) for each in cells):
        own = [each for each in cells if _place(each) == name]
        rest = [each for each in every if _place(each) == name and each not in own]
        where.append((name, tuple(_words(each) for each in own) if rest else ()))
    return OperationForm(
        cells=tuple(each.id for each in cells), operation=operation, dtype=dtype, where=tuple(where), how=how
    )


def _place(cell: Description) -> str:
    return f"{cell.environment}@{cell.device}" if cell.device != "cpu" else cell.environment


def _words(cell: Description) -> str:
    options = dict(cell.options)
    return " ".join(f"{name}={options[name]}" for name in sorted(_TOLD_APART_BY) if name in options) or cell.variant


def _cells(pairs: Iterable[ReplayedPair]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(cell for each in pairs for cell in (each.a, each.b)))
