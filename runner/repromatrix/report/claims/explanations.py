"""What a report says of why cells differ: how many pairs are attributed and to what, and each pair in a sentence."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from repromatrix.report import wording
from repromatrix.report.claims.base import Claim

_LEFT = {"identical": "the same bits", "rounding": "no more than rounding"}
_PAIRS = {
    "classes": "of classes with different bits",
    "published": "of published columns with different bits",
    "asked": "with different bits that somebody asked for",
}
Names = tuple[str, ...]
# Factors that account for the whole difference, and what flipping them leaves at A's end and at B's.
Cause = tuple[Names, str | None, str | None]
# A condition under which the difference vanishes, and what it leaves at A's end, at B's and at both.
Dissolved = tuple[str, str | None, str | None, str | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class ExplanationTotals(Claim):
    """How many pairs of a kind were experimented on, and of how many the difference is attributed.

    Attributes:
        of: `classes`, `published` or `asked`.
        pairs: those with different bits; `same` more have the same ones.
        exhausted: those of the not attributed ones for which the budget ended the search.
        outdated: pairs of an earlier run, of which this report says nothing.
        classes: of `classes`: how many classes this run has; not every pair of them is looked at.
    """

    kind: ClassVar[str] = "explanation_totals"

    of: str
    pairs: int
    attributed: int
    not_attributed: int
    same: int
    exhausted: int
    outdated: int
    classes: int

    def _id(self) -> str:
        return f"explanations/{self.of}"

    def _text(self) -> str:
        rest = [
            (self.exhausted, "of these when the budget was spent"),
            (self.same, "more with the same bits"),
            (self.outdated, "of an earlier run left out"),
        ]
        more = "".join(f"; {wording.count(count)} {what}" for count, what in rest if count)
        pairs = f"{wording.pairs(self.pairs)} {_PAIRS.get(self.of, self.of)}"
        pairs += f" that were looked at, of {wording.count(self.classes)} classes," if self.classes else ""
        are = "is" if self.attributed == 1 else "are"
        return (
            f"{wording.count(self.attributed)} of {pairs} {are} attributed by experiment, "
            f"{wording.count(self.not_attributed)} {'is' if self.not_attributed == 1 else 'are'} not{more}"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class CauseTotals(Claim):
    """How many pairs are attributed to the same factors.

    Attributes:
        causes: sets of factors, each of which accounts for the whole difference of each of these pairs; empty where
            only conditions do.
        conditions: conditions under which it vanishes, where no factors account for it.
    """

    kind: ClassVar[str] = "cause_totals"

    causes: tuple[Names, ...]
    conditions: Names
    pairs: int
    among: int

    def _id(self) -> str:
        return f"cause/{in_words(self.causes, self.conditions)}"

    def _text(self) -> str:
        are = "is" if self.pairs == 1 else "are"
        # The smallest sets count, so all have one size.
        size = max(map(len, self.causes), default=0)
        how = "" if not size else ", flipped alone" if size == 1 else ", flipped together"
        return (
            f"{wording.count(self.pairs)} of {wording.pairs(self.among)} with different bits {are} attributed to "
            f"{in_words(self.causes, self.conditions)}{how}"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class FactorTotals(Claim):
    """What flipping a factor alone, or applying a condition, showed over all pairs.

    Attributes:
        condition: whether it is a condition, applied to both sides, and no factor in which they differ.
        pairs: pairs that differ in it, or to which it was applied.
        findings: verdict -> how many of these pairs; those that occur, in the order of the verdicts.
        together: pairs that a set with this factor explains, though it does not alone.
    """

    kind: ClassVar[str] = "factor_totals"

    name: str
    condition: bool
    pairs: int
    findings: tuple[tuple[str, int], ...]
    together: int

    def _id(self) -> str:
        return f"{'condition' if self.condition else 'factor'}-totals/{self.name}"

    def _text(self) -> str:
        what = f"condition {self.name}, applied to" if self.condition else f"{self.name}, flipped in"
        said = ", ".join(f"{finding} {wording.count(count)}" for finding, count in self.findings)
        more = f"; of a set that is the cause {wording.count(self.together)}" if self.together else ""
        return f"{what} {wording.pairs(self.pairs)}: {said or 'nothing tested'}{more}"


@dataclass(frozen=True, slots=True, kw_only=True)
class _OfPair(Claim):
    """A pair and what was found of its factors.

    Attributes:
        classes: the names of the cells' classes; None for a cell that this run did not ask for.
        verdict: what separates the cells themselves; `max_abs`: by how much at most, hexadecimal.
        contributes: factors, and sets joined by ` + `, with that verdict; so the others.
    """

    workload: str
    classes: tuple[str | None, str | None]
    of: Names
    verdict: str
    max_abs: str | None
    not_confirmed: Names
    coincidence: Names
    contributes: Names
    inconclusive: Names
    refuted: Names
    not_testable: Names
    conditions: tuple[tuple[str, str], ...]

    def _pair(self) -> str:
        a, b = self.classes
        classes = f" ({a or wording.NOTHING} and {b or wording.NOTHING} of {self.workload})" if a or b else ""
        far = f" by {wording.distance(float.fromhex(self.max_abs))}" if self.max_abs is not None else ""
        return f"{self.cells[0]} and {self.cells[1]}{classes}, {self.verdict}{far}"

    def _rest(self) -> str:
        rest = [
            ("not confirmed", self.not_confirmed),
            ("coincidence", self.coincidence),
            ("contributes", self.contributes),
            ("inconclusive", self.inconclusive),
            ("refuted", self.refuted),
            ("not testable", self.not_testable),
        ]
        said = [f"{finding}: {', '.join(names)}" for finding, names in rest if names]
        for finding in dict.fromkeys(each for _, each in self.conditions if each != "cause"):
            names = [name for name, each in self.conditions if each == finding]
            said.append(f"{finding} as a condition: {', '.join(names)}")
        return "".join(f"; {each}" for each in said)


@dataclass(frozen=True, slots=True, kw_only=True)
class Explained(_OfPair):
    """A pair whose whole difference an experiment accounts for.

    Attributes:
        causes: the smallest sets of factors that do, one as well as the other; empty where only a condition does.
        untested: the causes with one factor less, where no experiment says whether that is enough.
        dissolved: the conditions under which it vanishes.
        only: whether the cells differ in nothing but the cause.
    """

    kind: ClassVar[str] = "explained"

    causes: tuple[Cause, ...]
    untested: tuple[Names, ...]
    dissolved: tuple[Dissolved, ...]
    only: bool

    def _id(self) -> str:
        return f"explained/{self.cells[0]}/{self.cells[1]}"

    def _text(self) -> str:
        conditions = "; ".join(f"{name} leaves {_left(left)}" for name, *left in self.dissolved)
        if not self.causes:
            return (
                f"{self._pair()}: no factor that could be tested explains it; it vanishes under a condition that "
                f"neither cell has, and is attributed to what that changes: {conditions}{self._rest()}"
            )
        said = "; or to ".join(map(_cause, self.causes))
        only = "; it is the only factor in which they differ" if self.only else ""
        smaller = ", ".join(" + ".join(each) for each in self.untested)
        apart = f"; not tested without the rest: {smaller}" if smaller else ""
        more = f"; it also vanishes under a condition that neither cell has: {conditions}" if conditions else ""
        return f"{self._pair()}: attributed to {said}{only}{apart}{more}{self._rest()}"


@dataclass(frozen=True, slots=True, kw_only=True)
class NotAttributed(_OfPair):
    """A pair that nothing that was tried explains.

    Attributes:
        budget: how many cells might be looked at; `exhausted`: whether that ended the search.
    """

    kind: ClassVar[str] = "not_attributed"

    budget: int
    exhausted: bool

    def _id(self) -> str:
        return f"not-attributed/{self.cells[0]}/{self.cells[1]}"

    def _text(self) -> str:
        spent = f"; the budget of {wording.count(self.budget)} cells is spent" if self.exhausted else ""
        return f"{self._pair()}: not attributed to anything that was tried{self._rest()}{spent}"


def in_words(causes: Iterable[Names], conditions: Iterable[str] = ()) -> str:
    """Return what explains a difference, each alone: `dtype`, `gradient + layout or framework`, `condition avx2`."""
    return " or ".join([*(" + ".join(each) for each in causes), *(f"condition {each}" for each in conditions)])


def _cause(cause: Cause) -> str:
    names, *left = cause
    how = "together" if len(names) > 1 else "alone"
    lacking = [name for name, verdict in zip("AB", left, strict=True) if verdict is None]
    only = f" (not tested at {lacking[0]}'s end)" if lacking else ""
    return f"{' + '.join(names)}, which flipped {how} leaves {_left(left)}{only}"


def _left(found: Sequence[str | None]) -> str:
    places = ("at A's end", "at B's end", "at both")
    ends = [f"{_LEFT.get(each, each)} {place}" for each, place in zip(found, places, strict=False) if each]
    return " and ".join(ends)
