"""The ledger of an explanation as values: what flipping each factor showed, the conclusion, and their JSON form."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from runner.compare.difference import Difference, Verdict

_LEFT = {Verdict.IDENTICAL: "the same bits", Verdict.ROUNDING: "no more than rounding"}


class Finding(StrEnum):
    """What flipping a factor, or a set of factors, shows.

    `cause`: at every end that can be tested the pair is identical or within the noise floor afterwards, and at one of
    them at least it was not so before. `cause together`: the same of a set, though of none of its factors alone.
    `contributes`: the largest difference shrinks by more than the noise floor, or vanishes at one end alone.
    `inconclusive`: it shrinks, by no more than the noise floor. `refuted`: alone, it changes nothing that separates the
    cells: no bit at its end, or the difference does not shrink. `not testable`: there is no such experiment.
    """

    CAUSE = "cause"
    TOGETHER = "cause together"
    CONTRIBUTES = "contributes"
    INCONCLUSIVE = "inconclusive"
    REFUTED = "refuted"
    NOT_TESTABLE = "not testable"


@dataclass(frozen=True, slots=True, kw_only=True)
class Factor:
    """One thing in which the cells differ, its values in A and in B, and whether a library may ignore it silently."""

    name: str
    a: str
    b: str
    silent: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """One experiment as it is judged.

    Attributes:
        cell: the hybrid's id; None: there is none.
        changed: whether any bit of its trajectory differs from that of the cell at its end.
        after: what separates the hybrid from the other side's cell; None: it was not tested.
        share: how much of the difference is explained: 1 if the hybrid is identical to the other side, or within the
            noise floor where the cells were beyond it; else 1 - (largest |loss difference| over the steps afterwards) /
            (the same before), at least 0. None: not tested, or a loss is not finite.
        gain: by how much the largest |loss difference| shrank; None as for `share`.
        reason: why it was not tested, else None.
    """

    cell: str | None
    changed: bool | None
    after: Difference | None
    share: float | None
    gain: float | None
    reason: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What flipping one factor, or several together, shows.

    Attributes:
        a: the experiment at A's end: A with these factors from B, against B.
        b: the experiment at B's end: B with these factors from A, against A.
    """

    factors: tuple[str, ...]
    a: End
    b: End
    finding: Finding

    @property
    def explains(self) -> bool:
        """Whether the experiment accounts for the whole difference."""
        return self.finding in (Finding.CAUSE, Finding.TOGETHER)

    @property
    def leaves(self) -> str:
        """What is left after a flip that explains the difference, in words."""
        ends = [(name, end.after) for name, end in (("A", self.a), ("B", self.b)) if end.after]
        return " and ".join(f"{_LEFT[after.verdict]} at {name}'s end" for name, after in ends)

    @property
    def sentence(self) -> str:
        """The row in words, from its values only."""
        ends = "; ".join(f"{_end(end)} at {name}'s end" for name, end in (("A", self.a), ("B", self.b)))
        return f"{' + '.join(self.factors)}: {self.finding.value}: {ends}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ledger:
    """Why two cells differ.

    Attributes:
        before: what separates the cells themselves.
        rows: a row for each factor, flipped alone.
        sets: a row for each set of factors that could be flipped together at an end, in the order they were tried.
        budget: how many cells might be looked at, A and B included; `spent`: how many were.
        exhausted: whether the budget ended the search.
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

    @property
    def explained(self) -> tuple[Row, ...]:
        """The rows that account for the whole difference, the smallest sets first."""
        found = [row for row in (*self.rows, *self.sets) if row.explains]
        return tuple(sorted(found, key=lambda row: len(row.factors)))

    @property
    def attributed(self) -> bool:
        """Whether there is nothing to explain, or an experiment that explains it."""
        return self.before.verdict is Verdict.IDENTICAL or bool(self.explained)

    @property
    def sentence(self) -> str:
        """The conclusion in words, from values only."""
        if self.before.verdict is Verdict.IDENTICAL:
            return "The two cells have the same bits: nothing is to be explained."
        if self.explained:
            least = [each for each in self.explained if len(each.factors) == len(self.explained[0].factors)]
            how = "together" if len(least[0].factors) > 1 else "alone"
            found = "; or to ".join(
                f"{' + '.join(each.factors)}, which flipped {how} leaves {each.leaves}" for each in least
            )
            only = " It is the only factor in which they differ." if len(self.factors) == 1 else ""
            return f"The difference is attributed to {found}.{only}{self._apart(least[0])}"
        tried = ", ".join(" + ".join(each.factors) for each in (*self.rows, *self.sets) if _tested(each))
        more = f" The budget of {self.budget} cells is spent." if self.exhausted else ""
        return f"The difference is not attributed. Tried: {tried or 'nothing that can be tested'}.{more}"

    def _apart(self, found: Row) -> str:
        """Say which members of a set nobody can flip alone."""
        stuck = [row.factors[0] for row in self.rows if not _tested(row) and row.factors[0] in found.factors]
        return f" Not to be tested alone: {', '.join(stuck)}." if stuck else ""

    def document(self) -> dict[str, Any]:
        """Return everything as JSON values (schemas/explanation.json)."""
        return {
            "format": 1,
            "a": self.a,
            "b": self.b,
            "before": self.before.flat(),
            "factors": [{"name": each.name, "a": each.a, "b": each.b} for each in self.factors],
            "rows": list(map(_row_document, self.rows)),
            "sets": list(map(_row_document, self.sets)),
            "attributed": self.attributed,
            "sentence": self.sentence,
            "budget": self.budget,
            "spent": self.spent,
            "exhausted": self.exhausted,
        }


def _tested(row: Row) -> bool:
    return row.finding is not Finding.NOT_TESTABLE


def _end(end: End) -> str:
    if end.after is None:
        return f"not tested ({end.reason})"
    unchanged = "no bit changes, " if end.changed is False else ""
    size = end.after.measure.max_abs if end.after.measure else None
    far = "" if size is None or end.after.verdict is Verdict.IDENTICAL else f" by {size:.3g}"
    return f"{unchanged}{end.after.verdict.value}{far}"


def _row_document(row: Row) -> dict[str, Any]:
    ends = {name: _end_document(end) for name, end in (("a", row.a), ("b", row.b))}
    finding = row.finding.value
    return {"factors": list(row.factors), **ends, "finding": finding, "sentence": row.sentence}


def _end_document(end: End) -> dict[str, Any]:
    after = end.after.flat() if end.after else None
    return {"cell": end.cell, "changed": end.changed, "after": after, "share": end.share, "reason": end.reason}
