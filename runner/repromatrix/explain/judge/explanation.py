"""Why two cells differ: what was tried, judged again from the records, the conclusion, and their JSON form. Pure.

`explain`, the report and `verify` all come here, so that none can say what the records do not show.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from repromatrix.compare.allowance import Allowances
from repromatrix.compare.difference import Difference, Verdict
from repromatrix.compare.size import size
from repromatrix.explain.judge.findings import ConditionRow, Finding, Row
from repromatrix.explain.judge.flips import Changed, Judge, usable
from repromatrix.results.experiments import Experiments, Factor, Origin, Pair, Run, Side, member
from repromatrix.results.record import Record

# Factors in which operations of two cells may differ when their options are the same.
PLACES = frozenset({"framework", "version", "flavour", "python", "device"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """Why two cells differ.

    Attributes:
        of: why that was asked: the cells stand for classes, for published columns, or somebody asked.
        before: what separates the cells themselves.
        rows: a row for each factor, flipped alone.
        sets: a row for each set of factors that could be flipped together at an end, in the order they were tried.
        conditions: a row for each condition that was tried: changes that neither cell has.
        budget: how many cells might be looked at, A and B included; `spent`: how many were.
        exhausted: whether the budget ended the search.
        operations: those that differ on the same inputs, where both cells' steps can be taken apart. What they
            contradict is not said: nothing shows that a condition changes one of them.
    """

    a: str
    b: str
    before: Difference
    factors: tuple[Factor, ...]
    rows: tuple[Row, ...]
    sets: tuple[Row, ...]
    budget: int
    spent: int
    exhausted: bool
    conditions: tuple[ConditionRow, ...] = ()
    of: tuple[Origin, ...] = ()
    operations: tuple[str, ...] = ()

    @property
    def explaining(self) -> tuple[Row, ...]:
        """The rows that account for the whole difference, the smallest sets first."""
        found = [row for row in (*self.rows, *self.sets) if row.explains]
        return tuple(sorted(found, key=lambda row: len(row.factors)))

    @property
    def causes(self) -> tuple[Row, ...]:
        """The smallest of the rows that account for the whole difference."""
        return tuple(each for each in self.explaining if len(each.factors) == len(self.explaining[0].factors))

    @property
    def untested(self) -> tuple[tuple[str, ...], ...]:
        """What the causes are with one factor less, where no experiment says whether that is enough; each once."""
        tested = {frozenset(each.factors) for each in (*self.rows, *self.sets) if _tested(each)}
        smaller = [some for each in self.causes for some in combinations(each.factors, len(each.factors) - 1) if some]
        return tuple(dict.fromkeys(each for each in smaller if frozenset(each) not in tested))

    @property
    def dissolved(self) -> tuple[ConditionRow, ...]:
        """The conditions under which the difference vanishes."""
        return tuple(each for each in self.conditions if each.explains)

    @property
    def explained(self) -> bool:
        """Whether there is nothing to explain, or an experiment that explains it."""
        return self.before.verdict is Verdict.IDENTICAL or bool(self.explaining) or bool(self.dissolved)

    @property
    def nearly(self) -> str:
        """What makes the losses the same and not all else that is recorded, in words; empty: nothing does."""
        ends = [(row, end.beyond) for row in (*self.rows, *self.sets) for end in (row.a, row.b) if end.beyond]
        least = min((len(row.factors) for row, _ in ends), default=0)
        told: dict[str, list[str]] = {}
        for row, beyond in ends:
            if beyond and len(row.factors) == least:
                told.setdefault(" + ".join(row.factors), []).append(beyond)
        return "; ".join(
            f"{name} leaves the same losses, but {' and '.join(dict.fromkeys(rest))} differs"
            for name, rest in told.items()
        )

    @property
    def sentence(self) -> str:
        """The conclusion in words, from values only; what the replayed operations contradict is not said."""
        if self.before.verdict is Verdict.IDENTICAL:
            if self.before.same_state is False:
                return "The two cells have the same losses to the bit, but another final state, which is not explained."
            return "The two cells have the same losses to the bit: nothing is to be explained."
        far = size(self.before)
        what = f"The difference of {far}" if far else "The difference"
        if self.explaining:
            how = "together" if len(self.causes[0].factors) > 1 else "alone"
            found = "; or by ".join(
                f"{' + '.join(each.factors)}: flipped {how} it leaves {each.leaves}" for each in self.causes
            )
            only = " It is the only factor in which they differ." if len(self.factors) == 1 else ""
            return f"{what} is caused by {found}.{only}{self._apart()}{self._operated()}{self._without()}"
        if self.operations and self.dissolved:
            return (
                f"{what} is explained by no factor that could be tested, but by operations."
                f"{self._operated()}{self._without()}"
            )
        if self.dissolved:
            return (
                f"{what} is explained by no factor that could be tested. It vanishes under a condition that neither "
                f"cell has; the cause is what that changes: {self._conditions()}."
            )
        singles = [" + ".join(each.factors) for each in (*self.rows, *self.sets) if _tested(each)]
        tried = ", ".join([*singles, *(each.name for each in self.conditions if _tested(each))])
        nearly = f" Nearest: {self.nearly}." if self.nearly else ""
        more = f" The budget ended the search after {self.spent} cells." if self.exhausted else ""
        tested = tried or "nothing that can be tested"
        return f"{what} is unexplained. Tried: {tested}.{nearly}{self._operated()}{more}"

    @property
    def in_operations(self) -> str:
        """Which operations differ, in words, where that is no matter of options alone: a clause that follows others."""
        named = {name for row in self.causes for name in row.factors}
        somewhere = PLACES & {factor.name for factor in self.factors}
        if not self.operations or (named and somewhere and not named & somewhere):
            return ""
        names = self.operations
        listed = f"{names[0]} differs" if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]} differ"
        return f". On the same inputs {listed}"

    @property
    def doubt(self) -> str:
        """Why a condition is not called the cause where operations are named, in words: a clause that follows it."""
        if not self.operations or not self.dissolved:
            return ""
        return f"; that this changes {' or '.join(self.operations)} was not shown, so it is not called the cause"

    def _operated(self) -> str:
        return f"{self.in_operations.removeprefix('.')}." if self.in_operations else ""

    def _without(self) -> str:
        """Say under which conditions the difference vanishes too."""
        found = self._conditions()
        if not found:
            return ""
        return f" It also vanishes under a condition that neither cell has: {found}{self.doubt}."

    def _conditions(self) -> str:
        return "; ".join(f"{each.name} leaves {each.leaves}" for each in self.dissolved)

    def _apart(self) -> str:
        """Say which smaller sets might do as well, for all that was tested."""
        found = ", ".join(" + ".join(each) for each in self.untested)
        return f" Not tested without the rest: {found}." if found else ""

    def document(self) -> dict[str, Any]:
        """Return everything as JSON values (schemas/explanation.json)."""
        return {
            "format": 1,
            "a": self.a,
            "b": self.b,
            "before": self.before.flat(),
            "factors": [{"name": each.name, "a": each.a, "b": each.b} for each in self.factors],
            "rows": [each.document() for each in self.rows],
            "sets": [each.document() for each in self.sets],
            "conditions": [each.document() for each in self.conditions],
            "explained": self.explained,
            "sentence": self.sentence,
            "budget": self.budget,
            "spent": self.spent,
            "exhausted": self.exhausted,
        }


def _tested(row: Row | ConditionRow) -> bool:
    return row.finding is not Finding.NOT_TESTABLE


def explanations(
    experiments: Experiments, records: Mapping[str, Record], allowed: Allowances
) -> tuple[Explanation, ...]:
    """Judge the experiments, in their order; a pair without two usable records of its own is left out.

    Args:
        experiments: what was tried (`Store.read_experiments`).
        records: by key (`Store.records_of`); what is missing there is not testable.
        allowed: who tells rounding from more.
    """
    return tuple(
        judged(pair, records, allowed)
        for pair in experiments.pairs
        if all(run.key in records and usable(records[run.key]) for run in (pair.a, pair.b))
    )


def judged(pair: Pair, records: Mapping[str, Record], allowed: Allowances) -> Explanation:
    """Judge what was run for one pair, whose own two records are there and usable."""
    judge = judge_of(pair, records, allowed)
    rows = [judge.row(flip.factors, seen(flip.a, records), seen(flip.b, records)) for flip in pair.flips]
    conditions = [judge.condition(each, seen(each.a, records), seen(each.b, records)) for each in pair.conditions]
    return Explanation(
        of=pair.of,
        a=pair.a.id,
        b=pair.b.id,
        before=judge.before,
        factors=pair.factors,
        rows=tuple(row for row in rows if len(row.factors) == 1),
        sets=tuple(row for row in rows if len(row.factors) > 1 and row.finding is not Finding.NOT_TESTABLE),
        conditions=tuple(conditions),
        budget=pair.budget,
        spent=pair.spent,
        exhausted=pair.exhausted,
    )


def judge_of(pair: Pair, records: Mapping[str, Record], allowed: Allowances) -> Judge:
    """Return who judges what was changed in a pair."""
    members = [_members([run for run in pair.members if _of(run) == own.id], records) for own in (pair.a, pair.b)]
    return Judge(records[pair.a.key], records[pair.b.key], pair.factors, allowed, (members[0], members[1]))


def seen(side: Side, records: Mapping[str, Record]) -> Changed:
    """Return what was seen of one side."""
    if side.run is None:
        return Changed(reason=side.reason, left=side.left)
    record = records.get(side.run.key)
    if record is None:
        return Changed(reason="its record is not there", left=side.left)
    return Changed(record=record, left=side.left, members=_members(side.members, records))


def _members(runs: Iterable[Run], records: Mapping[str, Record]) -> dict[int, Record]:
    return {member(run): records[run.key] for run in runs if run.key in records}


def _of(run: Run) -> str:
    """Return the cell that a run is a member of."""
    return run.id.rpartition("~")[0]
