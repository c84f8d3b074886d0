"""Pairs of cells -> what their operations show: what to replay is chosen, run where it has no answer, and judged."""

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from repromatrix.errors import EnvironmentFailedError
from repromatrix.execute.run import Execution
from repromatrix.explain.factors import Flips, NotTestable
from repromatrix.explain.first import first_differences
from repromatrix.explain.judge.replays import PairFinding, pair_finding
from repromatrix.explain.replays import Pair, Replayer
from repromatrix.operations.kept import Judgements
from repromatrix.plan import Cell
from repromatrix.results.record import Outcome
from repromatrix.results.replays import CellReplays, ReplayedCell, ReplayedPair

_ANSWERS = frozenset({Outcome.OK, Outcome.UNAVAILABLE})
_Read = Callable[[ReplayedCell], CellReplays]


@dataclass(frozen=True, slots=True, kw_only=True)
class Replays:
    """What replaying pairs showed, in their order.

    Attributes:
        settled: whether all of it is an answer, so that asking again runs nothing.
    """

    findings: tuple[PairFinding, ...]
    settled: bool


def replay(execution: Execution, pairs: Sequence[Flips]) -> Replays:
    """Return what the operations of each pair show, in order; what was replayed is kept in the results folder.

    Raises:
        NoEngineError: the engine is gone.
        ResultsError: a file cannot be written or read, or a newer release wrote it.
    """
    store = execution.store
    store.read_replay_index()  # what cannot be read ends it before anything runs
    chosen = [to_replay(pair) for pair in pairs]
    able = [pair for pair in chosen if isinstance(pair, Pair)]
    replayer = Replayer(execution)
    told = {(pair.a, pair.b): pair for pair in replayer.pairs(able)}
    replayed = [
        told[pair.a.id, pair.b.id]
        if isinstance(cells, Pair)
        else ReplayedPair(a=pair.a.id, b=pair.b.id, left=None, right=None, reason=cells.reason)
        for pair, cells in zip(pairs, chosen, strict=True)
    ]
    earlier = store.read_replay_index()
    if (merged := earlier.with_pairs(replayed)) != earlier:  # writing seals the folder: longer than all else here
        store.write_replay_index(merged)
    else:
        store.seal_written()
    traced = {(pair.a, pair.b): both for pair in able if (both := replayer.traced(pair))}
    firsts = dict(zip(traced, first_differences(execution, list(traced.values())), strict=True))
    return Replays(
        findings=tuple(
            dataclasses.replace(found, first=firsts.get((found.a, found.b)))
            for found in judged(replayed, replayer.replays_of)
        ),
        settled=all(_is_settled(execution, pair, told[pair.a, pair.b], replayer.replays_of) for pair in able),
    )


def _is_settled(execution: Execution, asked: Pair, pair: ReplayedPair, read: _Read) -> bool:
    """Whether to replay the pair again would run nothing."""
    if not pair.cells:
        return all(_has_answer(execution, cell) for cell in (asked.left, asked.right))
    cells = [read(cell) for cell in pair.cells]
    replays = [[cell.own, cell.other, *cell.recorded.values(), *cell.fresh.values()] for cell in cells]
    return all(each.outcome in _ANSWERS for some in replays for each in some)


def _has_answer(execution: Execution, cell: Cell) -> bool:
    """Whether a cell that cannot be replayed is not run or traced again when that is asked for."""
    try:
        record = execution.store.read(cell.id, execution.key(cell))
        traced = execution.store.read_trace(cell.id, execution.key(cell, trace=True)) is not None
    except EnvironmentFailedError:
        return False
    return record is not None and (record.outcome is Outcome.UNAVAILABLE or (record.outcome is Outcome.OK and traced))


def judged(
    pairs: Sequence[ReplayedPair], read: Callable[[ReplayedCell], CellReplays | None]
) -> tuple[PairFinding, ...]:
    """Return what replayed pairs show.

    Args:
        pairs: which.
        read: what the files hold that a cell names, as `Store.replays_of` does.
    """
    memo = Judgements()
    found = []
    for pair in pairs:
        a, b = (None if cell is None else read(cell) for cell in (pair.left, pair.right))
        found.append(pair_finding(pair, a, b, memo))
    return tuple(found)


def to_replay(pair: Flips) -> Pair | NotTestable:
    """Return the two cells whose operations tell of a pair: of one dtype, and of the same options where that can be.

    Where the environments or settings differ, one cell takes the options and the dtype of the other, as far as its
    framework has them; what is left then is what the environments do. Cells that differ in nothing else are taken as
    they are.
    """
    a, b = pair.a, pair.b
    if a.workload.graph is None:  # then their traces are compared as they are
        return Pair(a=a.id, b=b.id, left=a, right=b)
    options = [each.name for each in pair.factors if each.kind in ("variant", "option")]
    if len(options) < len(pair.factors):
        able = [each for each in options if not isinstance(pair.flipped("a", [each]), NotTestable)]
        for names in (options, able):
            left, right = pair.flipped("a", names), pair.flipped("b", names)
            if not isinstance(left, NotTestable) and left.variant.dtype == b.variant.dtype:
                return Pair(a=a.id, b=b.id, left=left, right=b)
            if not isinstance(right, NotTestable) and right.variant.dtype == a.variant.dtype:
                return Pair(a=a.id, b=b.id, left=a, right=right)
    if a.variant.dtype == b.variant.dtype:
        return Pair(a=a.id, b=b.id, left=a, right=b)
    return NotTestable(
        reason=f"{a.variant.dtype} against {b.variant.dtype}, and no cell of one environment has the dtype of the other"
        if len(options) < len(pair.factors)
        else f"{a.variant.dtype} against {b.variant.dtype}: no input of one is an input of the other"
    )
