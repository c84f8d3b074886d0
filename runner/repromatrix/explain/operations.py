"""Pairs of cells -> their anatomies: what is to be replayed is chosen, run where it has no answer, and judged."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from repromatrix.errors import EnvironmentFailedError
from repromatrix.execute.run import Execution
from repromatrix.explain.factors import Flips, NotTestable
from repromatrix.explain.judge.replays import Anatomy, anatomy
from repromatrix.explain.replays import Pair, Studying
from repromatrix.operations.kept import Judgements
from repromatrix.plan import Cell
from repromatrix.results.record import Outcome
from repromatrix.results.studies import End, Study, Testimony

_ANSWERS = frozenset({Outcome.OK, Outcome.UNAVAILABLE})


@dataclass(frozen=True, slots=True, kw_only=True)
class Replays:
    """What replaying pairs showed, in their order.

    Attributes:
        settled: whether all of it is an answer, so that asking again runs nothing.
    """

    anatomies: tuple[Anatomy, ...]
    settled: bool


def anatomies(execution: Execution, pairs: Sequence[Flips]) -> Replays:
    """Return the anatomy of each pair, in order; what was replayed is kept in the results folder.

    Raises:
        NoEngineError: the engine is gone.
        ResultsError: a file cannot be written or read, or a newer release wrote it.
    """
    chosen = [to_replay(each) for each in pairs]
    able = [each for each in chosen if isinstance(each, Pair)]
    studying = Studying(execution)
    studied = {(each.a, each.b): each for each in studying.pairs(able)}
    studies = [
        studied[each.a.id, each.b.id]
        if isinstance(found, Pair)
        else Study(a=each.a.id, b=each.b.id, left=None, right=None, reason=found.reason)
        for each, found in zip(pairs, chosen, strict=True)
    ]
    store = execution.store
    earlier = store.read_studies()
    if (merged := earlier.with_pairs(studies)) != earlier:  # writing seals the folder: longer than all else here
        store.write_studies(merged)
    tried = [(each, studied[each.a, each.b]) for each in able]
    return Replays(
        anatomies=judged(studies, studying.testimony),
        settled=all(_is_settled(execution, pair, study, studying.testimony) for pair, study in tried),
    )


def _is_settled(execution: Execution, pair: Pair, study: Study, testimony: Callable[[End], Testimony]) -> bool:
    """Whether to replay the pair again would run nothing."""
    if study.left is None or study.right is None:
        return all(_has_answer(execution, cell) for cell in (pair.left, pair.right))
    ends = [testimony(end) for end in (study.left, study.right)]
    replays = [[end.own, end.other, *end.recorded.values(), *end.fresh.values()] for end in ends]
    return all(each.outcome in _ANSWERS for some in replays for each in some)


def _has_answer(execution: Execution, cell: Cell) -> bool:
    """Whether a cell that cannot be replayed is not run or traced again when that is asked for."""
    try:
        record = execution.store.read(cell.id, execution.key(cell))
        traced = execution.store.read_trace(cell.id, execution.key(cell, trace=True)) is not None
    except EnvironmentFailedError:
        return False
    return record is not None and (record.outcome is Outcome.UNAVAILABLE or (record.outcome is Outcome.OK and traced))


def judged(studies: Sequence[Study], testimony: Callable[[End], Testimony | None]) -> tuple[Anatomy, ...]:
    """Return what studies show.

    Args:
        studies: of pairs.
        testimony: what the files say that an end names, as `Store.testimony` does.
    """
    memo = Judgements()
    found = []
    for each in studies:
        a, b = (None if end is None else testimony(end) for end in (each.left, each.right))
        found.append(anatomy(each, a, b, memo))
    return tuple(found)


def to_replay(pair: Flips) -> Pair | NotTestable:
    """Return the two cells whose operations tell of a pair: of one dtype, and of the same options where that can be.

    Where the environments or settings differ, one cell takes the options and the dtype of the other, as far as its
    framework has them; what is left then is what the environments do. Cells that differ in nothing else are taken as
    they are.
    """
    a, b = pair.a, pair.b
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
