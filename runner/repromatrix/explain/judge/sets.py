"""Which factors to flip together next, from what flipping them has shown so far. Pure."""

from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import TypeAlias

from repromatrix.explain.judge.findings import Finding, Row

Names: TypeAlias = tuple[str, ...]
# The most promising first.
_ORDER = (
    Finding.CAUSE,
    Finding.CONTRIBUTES,
    Finding.INCONCLUSIVE,
    Finding.COINCIDENCE,
    Finding.NOT_TESTABLE,
    Finding.REFUTED,
)


def next_sets(rows: Sequence[Row], sets: Sequence[Row], bundles: Sequence[Names]) -> tuple[Names, ...]:
    """Return the sets to flip next, the most promising first; none: explained as simply as can be, or nothing left.

    Sets that do not wait for each other's result come together, so that few rounds of runs answer many pairs. All
    factors at once are never proposed: that is the other cell. Sets that explain the difference are followed by the
    smallest of them with one factor less.

    Args:
        rows: of single factors.
        sets: of the sets that were tried.
        bundles: sets that only make sense together, tried first.
    """
    if any(row.explains or row.finding is Finding.UNCONFIRMED for row in rows):
        return ()
    tried = {frozenset(row.factors) for row in sets}
    found = min((row.factors for row in sets if row.explains), key=len, default=None)
    order = [row.factors[0] for row in rows]
    members = dict.fromkeys(map(frozenset, _smaller(found) if found else _wanted(rows, bundles)))
    new = [each for each in members if 1 < len(each) < len(rows) and each not in tried]
    return tuple(tuple(name for name in order if name in each) for each in new)


def _smaller(found: Names) -> Iterator[Names]:
    yield from combinations(found, len(found) - 1)


def _wanted(rows: Sequence[Row], bundles: Sequence[Names]) -> Iterator[Names]:
    yield from bundles
    grown = sorted((row for row in rows if row.finding is Finding.CONTRIBUTES), key=_share, reverse=True)
    names = [row.factors[0] for row in grown]
    yield from (tuple(names[:size]) for size in range(2, len(names) + 1))
    yield tuple(row.factors[0] for row in rows if row.finding is not Finding.REFUTED)
    ordered = sorted(rows, key=lambda row: _ORDER.index(row.finding))
    yield from combinations([row.factors[0] for row in ordered], 2)


def _share(row: Row) -> float:
    return max(row.a.share or 0.0, row.b.share or 0.0)
