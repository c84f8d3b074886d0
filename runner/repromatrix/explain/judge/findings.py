"""What an experiment shows, as values and in words: one factor or several flipped, or a condition that neither had."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from repromatrix.compare.difference import Difference, Verdict
from repromatrix.compare.size import size
from repromatrix.explain.judge.chance import Evidence
from repromatrix.results.experiments import Kind

_LEFT = {Verdict.IDENTICAL: "the same bits", Verdict.ROUNDING: "no more than rounding"}


class Finding(StrEnum):
    """What flipping a factor, or a set of factors, shows.

    `cause`: at every end that can be tested the pair is identical or within the noise floor afterwards, and at one of
    them at least it was not so before, by the same floor: that of the coarser dtype of what is left.
    `cause together`: the same of a set, though of none of its factors alone.
    `not confirmed`: it would be a cause, but too few elements differed before to exclude chance.
    `coincidence`: it would be a cause, but from inputs moved by one ULP it does not work.
    `contributes`: the largest difference shrinks by more than the noise floor, or vanishes at one end alone.
    `inconclusive`: it shrinks, by no more than the noise floor. `refuted`: alone, it changes nothing that separates the
    cells: no bit at its end, or the difference does not shrink. `not testable`: there is no such experiment.

    Of a condition, which neither cell has: `cause`: applied to both, or to the one that can have it, it leaves the pair
    identical or within the noise floor, which it was not before. `contributes`: so at one end alone, or the largest
    difference shrinks by more than the noise floor. The rest as above.
    """

    CAUSE = "cause"
    TOGETHER = "cause together"
    UNCONFIRMED = "not confirmed"
    COINCIDENCE = "coincidence"
    CONTRIBUTES = "contributes"
    INCONCLUSIVE = "inconclusive"
    REFUTED = "refuted"
    NOT_TESTABLE = "not testable"


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """One experiment as it is judged.

    Attributes:
        cell: the changed cell's id; None: there is none.
        changed: whether any bit of its trajectory differs from that of the cell at its end.
        after: what separates the changed cell from the other side's cell; None: it was not tested.
        share: how much of the difference is explained: 1 if it won; else 1 - (largest |loss difference| over the steps
            afterwards) / (the same before), at least 0. None: not tested, or a loss is not finite.
        gain: by how much the largest |loss difference| shrank; None as for `share`.
        reason: why it was not tested, else None.
        left: it could be run, and the budget did not reach it.
        won: whether the pair is identical or within the noise floor afterwards, which it was not before.
        beyond: the first recorded value that still differs although every metric is the same; None: none does.
        evidence: what excludes, or does not, that it won by chance; None: it did not win.
    """

    cell: str | None
    changed: bool | None
    after: Difference | None
    share: float | None
    gain: float | None
    reason: str | None
    left: bool = False
    won: bool = False
    beyond: str | None = None
    evidence: Evidence | None = None


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
        ends = (("A", self.a), ("B", self.b))
        found = " and ".join(f"{_left(end)} at {name}'s end" for name, end in ends if end.after)
        lacking = [name for name, end in ends if not end.after]
        return f"{found} (not tested at {lacking[0]}'s end)" if lacking else found

    @property
    def sentence(self) -> str:
        """The row in words, from its values only."""
        ends = "; ".join(f"{_end(end)} at {name}'s end" for name, end in (("A", self.a), ("B", self.b)))
        return f"{' + '.join(self.factors)}: {self.finding.value}: {ends}"

    def document(self) -> dict[str, Any]:
        """Return the row as JSON values."""
        ends = {name: _end_document(end) for name, end in (("a", self.a), ("b", self.b))}
        return {"factors": list(self.factors), **ends, "finding": self.finding.value, "sentence": self.sentence}


@dataclass(frozen=True, slots=True, kw_only=True)
class ConditionRow:
    """What a condition shows: a named change that neither cell has, applied to each of them and to both.

    Attributes:
        name: the settings' name, or `option=value`.
        changes: what it sets, by name.
        a: A under it, against B.
        b: B under it, against A.
        both: A under it against B under it; its `cell` and `changed` are None.
    """

    name: str
    kind: Kind
    changes: tuple[tuple[str, str], ...]
    a: End
    b: End
    both: End
    finding: Finding

    @property
    def explains(self) -> bool:
        """Whether the difference vanishes under it."""
        return self.finding is Finding.CAUSE

    @property
    def ends(self) -> tuple[tuple[str, End], ...]:
        """Where it was applied, in words, and what was left."""
        return (("at A's end", self.a), ("at B's end", self.b), ("at both ends", self.both))

    @property
    def leaves(self) -> str:
        """What is left under it, in words, where that is nothing that needs a cause."""
        return " and ".join(f"{_left(end)} {where}" for where, end in self.ends if end.won)

    @property
    def sentence(self) -> str:
        """The row in words, from its values only."""
        what = ", ".join(f"{name}={value}" for name, value in self.changes)
        ends = "; ".join(f"{_end(end)} {where}" for where, end in self.ends)
        return f"{self.name}{f' ({what})' if self.kind == 'settings' else ''}: {self.finding.value}: {ends}"

    def document(self) -> dict[str, Any]:
        """Return the row as JSON values."""
        ends = {name: _end_document(end) for name, end in (("a", self.a), ("b", self.b), ("both", self.both))}
        own = {"name": self.name, "kind": self.kind, "changes": dict(self.changes)}
        return {**own, **ends, "finding": self.finding.value, "sentence": self.sentence}


def _left(end: End) -> str:
    """Return what is left at an end that was tested and settled."""
    return "the same losses" if end.beyond or end.after is None else _LEFT[end.after.verdict]


def _end(end: End) -> str:
    if end.after is None:
        return f"not tested ({end.reason})"
    unchanged = "no bit changes, " if end.changed is False else ""
    if end.beyond is not None:
        return f"{unchanged}the same losses, but {end.beyond} still differs"
    far = size(end.after)
    return f"{unchanged}{end.after.verdict.value}{f' by {far}' if far else ''}"


def _end_document(end: End) -> dict[str, Any]:
    after = end.after.flat() if end.after else None
    return {"cell": end.cell, "changed": end.changed, "after": after, "share": end.share, "reason": end.reason}
