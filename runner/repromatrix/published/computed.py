"""The columns of a published table as computed: the cells that answer for them, all others, and how far apart. Pure."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction

from repromatrix.compare import exact
from repromatrix.explain.judge.explanation import Explanation
from repromatrix.published.blame import Explanations
from repromatrix.published.figures import Check
from repromatrix.published.setups import Setup
from repromatrix.published.verdicts import Evidence, Measured, Pair
from repromatrix.results.record import Record

Holds = Callable[[float, float], bool]
_NO_RUN = "this run has no losses of it"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Side:
    """A column in one setup."""

    title: str
    setup: Setup
    cell: str
    losses: tuple[float, ...]


class Bench:
    """The columns of a table as computed, and what was tried on them."""

    def __init__(self, check: Check, records: Sequence[Record], explained: Sequence[Explanation]) -> None:
        self._check = check
        self.records = {each.cell.id: each for each in records}
        self.explained: Explanations = {frozenset((each.a, each.b)): each for each in explained}
        self._own: dict[str, _Side] = {}
        self._others: dict[str, list[_Side]] = {}
        self._absent = {each.title: each.reason for each in check.not_run}
        for each in check.columns:
            record = self.records.get(each.cell or "")
            if each.cell and record is not None and record.trajectory is not None:
                losses = exact.decode(record.trajectory.losses)
                side = _Side(title=each.title, setup=each.setup, cell=each.cell, losses=losses)
                if each.newest:
                    self._own[each.title] = side
                else:
                    self._others.setdefault(each.title, []).append(side)
            elif each.newest:
                self._absent[each.title] = each.reason or _NO_RUN

    def absent(self, pairs: Sequence[Pair], at: int = 1) -> str | None:
        """Return why these columns cannot all be compared, at an iteration where one is meant, or None."""
        titles = dict.fromkeys(title for pair in pairs for title in pair)
        lacking = [f"{title}: {self._absent.get(title, _NO_RUN)}" for title in titles if title not in self._own]
        short = [each for title, each in self._own.items() if title in titles and len(each.losses) < at]
        return "; ".join((*lacking, *(f"{each.title}: {each.cell} has no step {at}" for each in short))) or None

    def cells(self, pair: Pair) -> Pair:
        """Return the cells that answer for two columns."""
        return self._own[pair[0]].cell, self._own[pair[1]].cell

    def printed(self, pair: Pair, iteration: int) -> tuple[str, str]:
        """Return what the document prints for two columns at an iteration."""
        losses = self._check.table.losses
        return losses[pair[0]][iteration - 1], losses[pair[1]][iteration - 1]

    def apart(self, pair: Pair, iteration: int) -> Fraction | None:
        """Return how far the own cells of two columns are apart at an iteration; None: one is no finite number."""
        a, b = (self._own[title].losses[iteration - 1] for title in pair)
        return apart(a, b)

    def own(self, pairs: Sequence[Pair], holds: Holds, at: int | None = None) -> tuple[Measured, ...]:
        """Hold a statement against the own cells of pairs of columns, at every common step or at one."""
        return tuple(_measured(self._own[a], self._own[b], holds, at, own=True) for a, b in pairs)

    def everywhere(self, test: str, pairs: Sequence[Pair], holds: Holds, at: int | None = None) -> Evidence:
        """Hold it against all their cells; of the others those stay between which the answer is another one."""
        own = self.own(pairs, holds, at)
        others, apart = 0, []
        for pair, mine in zip(pairs, own, strict=True):
            found = [_measured(a, b, holds, at, own=False) for a, b in self._elsewhere(pair, at)]
            others += len(found)
            # Never to be equal is to differ at any step, all else is to hold at every one.
            apart += [
                each
                for each in found
                if (bool(each.holds) != bool(mine.holds) if test == "never_equal" else each.whole != mine.whole)
            ]
        return Evidence(test=test, measured=(*own, *apart), others=others)

    def _elsewhere(self, pair: Pair, at: int | None) -> list[tuple[_Side, _Side]]:
        """Return the other cells of two columns; those of one framework were computed in one environment."""
        left, right = ([self._own[title], *self._others.get(title, [])] for title in pair)
        found = [(a, b) for a in left for b in right][1:]
        if left[0].setup.framework == right[0].setup.framework:
            found = [(a, b) for a, b in found if a.setup == b.setup]
        return [(a, b) for a, b in found if min(len(a.losses), len(b.losses)) >= (at or 1)]


def _measured(a: _Side, b: _Side, holds: Holds, at: int | None, *, own: bool) -> Measured:
    common = min(len(a.losses), len(b.losses))
    steps = [at] if at is not None else range(1, common + 1)
    sides = [(a.losses[step - 1], b.losses[step - 1]) for step in steps]
    far = [apart(*pair) for pair in sides]
    known = [each for each in far if each is not None] if None not in far else []
    return Measured(
        a=a.title,
        b=b.title,
        cells=(a.cell, b.cell),
        own=own,
        steps=len(sides),
        holds=tuple(step for step, pair in zip(steps, sides, strict=True) if holds(*pair)),
        least=_hexadecimal(min(known)) if known else None,
        most=_hexadecimal(max(known)) if known else None,
    )


def _hexadecimal(value: Fraction) -> str:
    try:
        return float(value).hex()
    except OverflowError:
        return math.inf.hex()


def apart(a: float, b: float) -> Fraction | None:
    """Return |a - b| exactly; None: one of them is no finite number, and not the other's own."""
    if exact.same_bits(a, b):
        return Fraction(0)
    try:
        return abs(Fraction(a) - Fraction(b))
    except (OverflowError, ValueError):  # infinite, NaN
        return None
