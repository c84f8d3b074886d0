"""One pair of cells as a search: it asks for cells, round by round, and ends with all that was tried.

It runs nothing itself, so that one run can serve a round of many searches.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum

from repromatrix.compare.allowance import Allowances
from repromatrix.compare.difference import Verdict
from repromatrix.explain.factors import SIDES, Condition, Interventions, NotTestable
from repromatrix.explain.judge.explanation import seen
from repromatrix.explain.judge.findings import Row
from repromatrix.explain.judge.flips import Judge, usable
from repromatrix.explain.judge.sets import next_sets
from repromatrix.plan import Cell
from repromatrix.results.experiments import Attempt, ConditionTrial, Factor, Origin, Pair, Run, Trial
from repromatrix.results.record import Record

# A cause of these is more than one thing; conditions tell which of them it is.
_ENVIRONMENT = frozenset({"framework", "version", "flavour", "python", "device"})
OWN = 2  # A and B
Names = tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """Two cells to explain.

    Attributes:
        of: why.
        asked: conditions to try whatever else explains the difference.
    """

    hybrids: Interventions
    of: tuple[Origin, ...]
    asked: tuple[Condition, ...] = ()


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
            budget: how many cells may be looked at; None: 2, and 2 for each factor and each condition.
        """
        hybrids = question.hybrids
        self.question = question
        self.factors = tuple(Factor(name=f.name, a=f.a, b=f.b, silent=f.silent) for f in hybrids.factors)
        self._hybrids = hybrids
        self._allowed = allowed
        self._every = tuple({each.name: each for each in (*question.asked, *hybrids.conditions)}.values())
        self._budget = budget or OWN + 2 * (len(self.factors) + len(self._every))
        self._reserved = 0
        self._found: list[frozenset[str]] = []
        self._records: dict[str, Record] = {}
        self._trials: list[Trial] = []
        self._conditions: list[ConditionTrial] = []
        self._exhausted = False
        self.stage = Stage.OWN
        self.ahead: tuple[Cell, ...] = ()
        self.unusable: Record | None = None
        self._course = self._rounds()
        self.wanted: tuple[Cell, ...] = next(self._course)

    def hear(self, records: Mapping[str, Record]) -> None:
        """Take the records (by cell id) of what was wanted, and want the next round."""
        self._records |= {cell.id: records[cell.id] for cell in self.wanted}
        self.wanted = next(self._course, ())

    @property
    def told(self) -> str:
        """Return the budget in words."""
        counts = (("factor", len(self.factors)), ("condition", len(self._every)))
        words = " and ".join(f"{count} {name}{'' if count == 1 else 's'}" for name, count in counts)
        return f"{self._budget} cells for {words}"

    @property
    def pair(self) -> Pair:
        """Return all that was tried."""
        a, b = (self._run(cell) for cell in (self._hybrids.a, self._hybrids.b))
        return Pair(
            a=a,
            b=b,
            of=self.question.of,
            factors=self.factors,
            trials=self._telling(),
            conditions=tuple(self._conditions),
            budget=self._budget,
            spent=len(self._records),
            exhausted=self._exhausted,
        )

    def _rounds(self) -> Iterator[tuple[Cell, ...]]:
        yield (self._hybrids.a, self._hybrids.b)
        a, b = (self._records[cell.id] for cell in (self._hybrids.a, self._hybrids.b))
        self.unusable = next((each for each in (a, b) if not usable(each)), None)
        if self.unusable:
            return
        judge = Judge(a, b, self.factors, self._allowed)
        if judge.before.verdict is Verdict.IDENTICAL:
            return
        rows: list[Row] = []
        sets: list[Row] = []
        self.stage = Stage.FACTORS
        yield from self._flip([(each.name,) for each in self.factors], judge, rows)
        # Every set that was ever thought of would leave nothing for the conditions; two sets are always worth it.
        self.stage, self.ahead = Stage.SETS, self._needs(self._due(rows))
        self._reserved = min(len(self.ahead), max(0, self._budget - len(self._records) - 2 * OWN))
        while not self._exhausted and (names := next_sets(rows, sets, self._hybrids.bundles)):
            yield from self._flip(names, judge, sets)
        self._found = [frozenset(row.factors) for row in sets if row.explains]
        self._reserved = 0
        yield from self._apply(self._due((*rows, *sets)))

    def _flip(self, wanted: Sequence[Names], judge: Judge, rows: list[Row]) -> Iterator[tuple[Cell, ...]]:
        """Try these factors; of sets that the budget does not reach only the first is told."""
        cells = [(self._hybrids.flipped("a", names), self._hybrids.flipped("b", names)) for names in wanted]
        yield from self._look([cell for ends in cells for cell in ends])
        for names, (a, b) in zip(wanted, cells, strict=True):
            trial = Trial(factors=names, a=self._attempt(a), b=self._attempt(b))
            self._trials.append(trial)
            by_key = {each.key: each for each in self._records.values()}
            rows.append(judge.row(names, seen(trial.a, by_key), seen(trial.b, by_key)))
            if len(names) > 1 and (trial.a.left or trial.b.left):
                return

    def _due(self, rows: Sequence[Row]) -> tuple[Condition, ...]:
        """Return the conditions to try: those asked for, and all where options alone do not explain the difference."""
        explained = [row for row in rows if row.explains]
        plain = explained and not any(_ENVIRONMENT & set(row.factors) for row in explained)
        asked = {each.name for each in self.question.asked}
        return tuple(each for each in self._every if each.name in asked or not plain)

    def _telling(self) -> tuple[Trial, ...]:
        """Return the trials; beside sets that explain the difference only those that show how small they can be."""
        return tuple(
            each
            for each in self._trials
            if len(each.factors) == 1 or not self._found or any(set(each.factors) <= found for found in self._found)
        )

    def _under(self, conditions: Sequence[Condition]) -> list[list[Cell | NotTestable]]:
        return [[self._hybrids.under(side, each) for side in SIDES] for each in conditions]

    def _needs(self, conditions: Sequence[Condition]) -> tuple[Cell, ...]:
        """Return the cells that the conditions take beside those that were looked at."""
        wanted = {each.id: each for ends in self._under(conditions) for each in ends if isinstance(each, Cell)}
        return tuple(cell for name, cell in wanted.items() if name not in self._records)

    def _apply(self, conditions: Sequence[Condition]) -> Iterator[tuple[Cell, ...]]:
        self.stage, self.ahead = Stage.CONDITIONS, ()
        cells = self._under(conditions)
        yield from self._look([cell for ends in cells for cell in ends])
        for each, (a, b) in zip(conditions, cells, strict=True):
            changes = self._hybrids.changes(each)
            self._conditions.append(
                ConditionTrial(
                    name=each.name,
                    kind="settings" if each.settings else "option",
                    changes=changes,
                    a=self._attempt(a),
                    b=self._attempt(b),
                )
            )

    def _look(self, cells: Sequence[Cell | NotTestable]) -> Iterator[tuple[Cell, ...]]:
        """Want the cells that have no record yet, in order, as far as the budget goes."""
        todo = {each.id: each for each in cells if isinstance(each, Cell) and each.id not in self._records}
        affordable = tuple(todo.values())[: max(0, self._budget - self._reserved - len(self._records))]
        self._exhausted |= len(affordable) < len(todo)
        if affordable:
            yield affordable

    def _attempt(self, cell: Cell | NotTestable) -> Attempt:
        if isinstance(cell, NotTestable):
            return Attempt(run=None, reason=cell.reason)
        if cell.id not in self._records:
            return Attempt(run=None, reason=f"not run: the budget of {self._budget} cells is spent", left=True)
        return Attempt(run=self._run(cell))

    def _run(self, cell: Cell) -> Run:
        return Run(id=cell.id, key=self._records[cell.id].key)
