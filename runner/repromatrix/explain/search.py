"""One pair of cells as a search: it asks for cells, round by round, and ends with all that was run.

It runs nothing itself, so that one run can serve a round of many searches.
"""

from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import TypeAlias, TypeVar

from repromatrix.compare.allowance import Allowances
from repromatrix.compare.difference import Verdict
from repromatrix.explain.factors import SIDES, Change, Flips, NotTestable
from repromatrix.explain.judge.explanation import judge_of, seen
from repromatrix.explain.judge.findings import ConditionRow, Finding, Row
from repromatrix.explain.judge.flips import Judge, usable
from repromatrix.explain.judge.sets import next_sets
from repromatrix.plan import Cell
from repromatrix.results.experiments import Condition, Factor, Flip, Origin, Pair, Run, Side
from repromatrix.results.record import Record

# A cause of these is more than one thing; of pairs that are named or published conditions tell which of them it is.
_ENVIRONMENT = frozenset({"framework", "version", "flavour", "python", "device"})
OWN = 2  # A and B
# Members of the one-ULP ensemble that are asked for until enough elements differ: first few, then more.
WAVES = (range(1, 9), range(9, 17), range(17, 33))
Names: TypeAlias = tuple[str, ...]
ChangedT = TypeVar("ChangedT", Flip, Condition)
AnswerT = TypeVar("AnswerT")
Asking: TypeAlias = Generator[tuple[Cell, ...], None, AnswerT]  # wants cells, and answers when it has heard of them


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """Two cells to explain.

    Attributes:
        of: why.
        asked: conditions to try whatever else explains the difference.
    """

    flips: Flips
    of: tuple[Origin, ...]
    asked: tuple[Change, ...] = ()


class Stage(IntEnum):
    """What a search asks for, in this order; sets may take several rounds."""

    OWN = 1
    FACTORS = 2
    SETS = 3
    CONDITIONS = 4


class Search:
    """Asks for cells (`wanted`) until it needs no more.

    Attributes:
        wanted: the cells whose records it waits for; empty: it has ended.
        stage: what those are; nothing comes after conditions.
        ahead: the cells that its conditions will want, as far as that is known.
        unusable: the record of A or B that has nothing to compare, else None.
    """

    def __init__(self, question: Question, allowed: Allowances, budget: int | None = None) -> None:
        """Begin.

        Args:
            question: the pair.
            allowed: who tells rounding from more.
            budget: how many cells may be looked at; None: 2, and 2 for each factor and each condition. Members that
                tell a cause from chance do not count.
        """
        self.question, self._flips, self._allowed = question, question.flips, allowed
        self.factors = tuple(Factor(name=f.name, a=f.a, b=f.b, silent=f.silent) for f in self._flips.factors)
        self._changes = {change.name: change for change in (*question.asked, *self._flips.conditions)}
        self._budget = budget or OWN + 2 * (len(self.factors) + len(self._changes))
        self._reserved = 0
        self._records: dict[str, Record] = {}
        self._members: dict[str, Record] = {}
        self._done: list[Flip] = []
        self._conditions: list[Condition] = []
        self._exhausted = False
        self.stage = Stage.OWN
        self.ahead: tuple[Cell, ...] = ()
        self.unusable: Record | None = None
        self._course = self._rounds()
        self.wanted: tuple[Cell, ...] = next(self._course)

    def hear(self, records: Mapping[str, Record]) -> None:
        """Take the records (by cell id) of what was wanted, and want the next round."""
        for cell in self.wanted:
            (self._members if cell.member else self._records)[cell.id] = records[cell.id]
        self.wanted = next(self._course, ())

    @property
    def words(self) -> str:
        """The budget in words."""
        counts = (("factor", len(self.factors)), ("condition", len(self._changes)))
        words = " and ".join(f"{count} {name}{'' if count == 1 else 's'}" for name, count in counts)
        return f"{self._budget} cells for {words}"

    @property
    def pair(self) -> Pair:
        """All that was run; beside sets that explain the difference only those that show how small they can be."""
        judge = self._judge()
        rows = [self._row(flip, judge) for flip in self._done if len(flip.factors) > 1]
        found = [frozenset(row.factors) for row in rows if row.explains]
        kept = [
            flip
            for flip in self._done
            if len(flip.factors) == 1 or not found or any(set(flip.factors) <= names for names in found)
        ]
        return replace(self._everything, flips=tuple(kept))

    @property
    def _everything(self) -> Pair:
        own = (self._flips.a, self._flips.b)
        a, b = (_run(self._records[cell.id]) for cell in own)
        return Pair(
            a=a,
            b=b,
            of=self.question.of,
            factors=self.factors,
            flips=tuple(self._done),
            conditions=tuple(self._conditions),
            budget=self._budget,
            spent=len(self._records),
            exhausted=self._exhausted,
            members=self._member_runs(own),
        )

    def _rounds(self) -> Asking[None]:
        yield (self._flips.a, self._flips.b)
        a, b = (self._records[cell.id] for cell in (self._flips.a, self._flips.b))
        self.unusable = next((record for record in (a, b) if not usable(record)), None)
        if self.unusable or self._judge().before.verdict is Verdict.IDENTICAL:
            return
        self.stage = Stage.FACTORS
        rows = yield from self._flip([(factor.name,) for factor in self.factors])
        # Every set that was ever thought of would leave nothing for the conditions; two sets are always worth it.
        self.stage, self.ahead = Stage.SETS, self._needs(self._due(rows))
        self._reserved = min(len(self.ahead), max(0, self._budget - len(self._records) - 2 * OWN))
        sets: list[Row] = []
        while not self._exhausted and (names := next_sets(rows, sets, self._flips.bundles)):
            sets += yield from self._flip(names)
        self._reserved = 0
        self.stage, self.ahead = Stage.CONDITIONS, ()
        yield from self._apply(self._due((*rows, *sets)))

    def _flip(self, wanted: Sequence[Names]) -> Asking[list[Row]]:
        """Flip these factors; of sets that the budget does not reach only the first is told."""
        cells = [[self._flips.flipped(side, names) for side in SIDES] for names in wanted]
        yield from self._look([cell for ends in cells for cell in ends])
        flips = [
            Flip(factors=names, a=self._side(a), b=self._side(b)) for names, (a, b) in zip(wanted, cells, strict=True)
        ]
        left = next((n for n, flip in enumerate(flips) if len(flip.factors) > 1 and (flip.a.left or flip.b.left)), None)
        flips = flips if left is None else flips[: left + 1]
        flips = yield from self._confirm(flips, cells, self._row)
        self._done += flips
        judge = self._judge()
        return [self._row(flip, judge) for flip in flips]

    def _apply(self, changes: Sequence[Change]) -> Asking[None]:
        cells = self._under(changes)
        yield from self._look([cell for ends in cells for cell in ends])
        conditions = [
            Condition(
                name=change.name,
                kind="settings" if change.settings else "option",
                changes=self._flips.changes(change),
                a=self._side(a),
                b=self._side(b),
            )
            for change, (a, b) in zip(changes, cells, strict=True)
        ]
        conditions = yield from self._confirm(conditions, cells, self._condition)
        self._conditions = conditions

    def _confirm(
        self,
        changed: list[ChangedT],
        cells: Sequence[Sequence[Cell | NotTestable]],
        row: Callable[[ChangedT, Judge], Row | ConditionRow],
    ) -> Asking[list[ChangedT]]:
        """Return what was changed, with the members that tell a cause from chance where something worked once."""
        if not any(each.parameter for each in self._flips.a.workload.inputs):
            return changed  # nothing that could be moved
        for wave in WAVES:
            judge = self._judge()
            open_ = [n for n, each in enumerate(changed) if row(each, judge).finding is Finding.UNCONFIRMED]
            if not open_:
                break
            ends: list[Cell] = [cell for n in open_ for cell in cells[n] if isinstance(cell, Cell)]
            moved = _members((self._flips.a, self._flips.b, *ends), wave)
            if wanted := {cell.id: cell for cell in moved if cell.id not in self._members}:
                yield tuple(wanted.values())
            for n in open_:
                a, b = (
                    replace(side, members=self._member_runs([cell])) if isinstance(cell, Cell) else side
                    for side, cell in zip((changed[n].a, changed[n].b), cells[n], strict=True)
                )
                changed[n] = replace(changed[n], a=a, b=b)
        return changed

    def _member_runs(self, cells: Sequence[Cell]) -> tuple[Run, ...]:
        numbers = [number for wave in WAVES for number in wave]
        ids = [member.id for cell in cells for member in _members([cell], numbers)]
        return tuple(_run(self._members[name]) for name in ids if name in self._members)

    def _due(self, rows: Sequence[Row]) -> tuple[Change, ...]:
        """Return the conditions to try: those asked for, and all where what explains the difference is several things.

        Each settings starts an environment: of classes that nobody named a cause is enough.
        """
        explained = [row for row in rows if row.explains]
        several = frozenset() if self.question.of == ("classes",) else _ENVIRONMENT
        plain = explained and not any(several & set(row.factors) for row in explained)
        asked = {change.name for change in self.question.asked}
        return tuple(change for name, change in self._changes.items() if name in asked or not plain)

    def _under(self, changes: Sequence[Change]) -> list[list[Cell | NotTestable]]:
        return [[self._flips.under(side, change) for side in SIDES] for change in changes]

    def _needs(self, changes: Sequence[Change]) -> tuple[Cell, ...]:
        """Return the cells that conditions take beside those that were looked at."""
        wanted = {cell.id: cell for ends in self._under(changes) for cell in ends if isinstance(cell, Cell)}
        return tuple(cell for name, cell in wanted.items() if name not in self._records)

    def _look(self, cells: Sequence[Cell | NotTestable]) -> Asking[None]:
        """Want the cells that have no record yet, in order, as far as the budget goes."""
        todo = {cell.id: cell for cell in cells if isinstance(cell, Cell) and cell.id not in self._records}
        affordable = tuple(todo.values())[: max(0, self._budget - self._reserved - len(self._records))]
        self._exhausted |= len(affordable) < len(todo)
        if affordable:
            yield affordable

    def _side(self, cell: Cell | NotTestable) -> Side:
        if isinstance(cell, NotTestable):
            return Side(run=None, reason=cell.reason)
        if cell.id not in self._records:
            return Side(run=None, reason=f"not run: the budget of {self._budget} cells is spent", left=True)
        return Side(run=_run(self._records[cell.id]))

    def _by_key(self) -> dict[str, Record]:
        return {record.key: record for record in (*self._records.values(), *self._members.values())}

    def _judge(self) -> Judge:
        return judge_of(self._everything, self._by_key(), self._allowed)

    def _row(self, flip: Flip, judge: Judge) -> Row:
        records = self._by_key()
        return judge.row(flip.factors, seen(flip.a, records), seen(flip.b, records))

    def _condition(self, condition: Condition, judge: Judge) -> ConditionRow:
        records = self._by_key()
        return judge.condition(condition, seen(condition.a, records), seen(condition.b, records))


def _members(cells: Iterable[Cell], numbers: Sequence[int]) -> list[Cell]:
    return [replace(cell, member=number) for cell in cells for number in numbers]


def _run(record: Record) -> Run:
    return Run(id=record.cell.id, key=record.key)
