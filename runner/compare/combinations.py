"""Which factors to flip together next, from what flipping them has shown so far. Pure."""

from collections.abc import Iterator, Sequence
from itertools import combinations

from runner.compare.ledger import Finding, Row

# The most promising first.
_ORDER = (Finding.CAUSE, Finding.CONTRIBUTES, Finding.INCONCLUSIVE, Finding.NOT_TESTABLE, Finding.REFUTED)


def next_set(rows: Sequence[Row], sets: Sequence[Row], bundles: Sequence[tuple[str, ...]]) -> tuple[str, ...] | None:
    """Return the set to flip next, or None: the difference is explained as simply as can be, or nothing is left.

    All factors at once are never proposed: that is the other cell. A set that explains the difference is followed by
    itself with one factor less.

    Args:
        rows: of single factors.
        sets: of the sets that were tried.
        bundles: sets that only make sense together, tried first.
    """
    if any(row.explains for row in rows):
        return None
    tried = {frozenset(row.factors) for row in sets}
    found = min((row.factors for row in sets if row.explains), key=len, default=None)
    wanted = _smaller(found) if found else _wanted(rows, bundles)
    order = [row.factors[0] for row in rows]
    for each in wanted:
        members = frozenset(each)
        if 1 < len(members) < len(rows) and members not in tried:
            return tuple(name for name in order if name in members)
    return None


def _smaller(found: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    yield from combinations(found, len(found) - 1)


def _wanted(rows: Sequence[Row], bundles: Sequence[tuple[str, ...]]) -> Iterator[tuple[str, ...]]:
    yield from bundles
    grown = sorted((row for row in rows if row.finding is Finding.CONTRIBUTES), key=_share, reverse=True)
    names = [row.factors[0] for row in grown]
    yield from (tuple(names[:size]) for size in range(2, len(names) + 1))
    yield tuple(row.factors[0] for row in rows if row.finding is not Finding.REFUTED)
    ordered = sorted(rows, key=lambda row: _ORDER.index(row.finding))
    yield from combinations([row.factors[0] for row in ordered], 2)


def _share(row: Row) -> float:
    return max(row.a.share or 0.0, row.b.share or 0.0)
