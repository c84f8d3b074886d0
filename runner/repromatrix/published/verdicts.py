"""The verdict on a statement of a published document, with its evidence: values only, and their JSON form."""

from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Any

Pair = tuple[str, str]


class Word(StrEnum):
    """What becomes of a statement.

    `not tested`: the run lacks a cell or an experiment, or nobody can tell what the statement means.
    """

    CONFIRMED = "confirmed"
    CONDITION = "confirmed with a condition"
    REFUTED = "refuted"
    NOT_TESTED = "not tested"


class Kind(StrEnum):
    """What a condition is.

    `printed`: of the printed figures alone. `steps`: at these steps. `except`: between the columns' own cells, but not
    between these others. `only`: between these cells, but not between the columns' own. `experiment`: not once these
    factors are flipped. `causes`: these of the things that are blamed; the others are not shown to matter. `also`: the
    things that are blamed, and as well these.
    """

    PRINTED = "printed"
    STEPS = "steps"
    EXCEPT = "except"
    ONLY = "only"
    EXPERIMENT = "experiment"
    CAUSES = "causes"
    ALSO = "also"


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """On what a statement holds.

    Attributes:
        steps: at which it holds, from 1; empty where that is not what it is about.
        cells: pairs of cells' ids.
        names: factors or conditions, as explained call them.
    """

    kind: Kind
    steps: tuple[int, ...] = ()
    cells: tuple[Pair, ...] = ()
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """Two columns in two cells, and where the statement holds of them.

    Attributes:
        a: a column's title, `b`: the other's.
        cells: where they were computed.
        own: whether these are the cells that answer for the columns: the newest version of each framework.
        steps: how many steps were looked at.
        holds: those at which the statement holds, from 1.
        least: the smallest distance of their losses there, hexadecimal; None where one is no finite number.
        most: the largest.
    """

    a: str
    b: str
    cells: Pair
    own: bool
    steps: int
    holds: tuple[int, ...]
    least: str | None
    most: str | None

    @property
    def whole(self) -> bool:
        """Whether the statement holds at every step."""
        return len(self.holds) == self.steps > 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Left:
    """One end of an experiment: which cell was compared with which, and the verdict; without one, why.

    Attributes:
        where: `a`, `b`, or `both` where a condition was applied to both sides.
        changed: whether any bit differs from the cell at that end; None: not tested, or both sides were changed.
    """

    where: str
    cells: tuple[str, ...]
    changed: bool | None
    verdict: str | None
    reason: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """A row of a explanation that a verdict stands on.

    Attributes:
        between: the two cells that the explanation is about.
        names: the factors that were flipped, or the condition that was applied.
        kind: `factors`, `settings` or `option`.
        blamed: whether the statement blames it.
        finding: the row's; `no difference` where both cells have the same value of the factor.
        ends: what was left at each end; empty where there is no such row.
    """

    between: Pair
    names: tuple[str, ...]
    kind: str
    blamed: bool
    finding: str
    ends: tuple[Left, ...]

    @property
    def said(self) -> str:
        """What was tried, as explained say it."""
        return " + ".join(self.names)


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What a verdict stands on.

    Attributes:
        test: the type of the statement's test; None where it has none.
        computed: for a stated difference, the exact one of the columns' own cells at the stated digits.
        printed: likewise the difference of the printed figures.
        limits: the ends of a stated range, as they are printed.
        measured: the pairs of columns: their own cells, of `only_equal` those with the same bits at some step; then the
            other cells between which the answer is another one.
        others: how many other pairs of cells were looked at.
        explained: the pairs of cells whose experiments were looked at.
        tried: the rows of those explained that matter.
    """

    test: str | None
    computed: str | None = None
    printed: str | None = None
    limits: tuple[str, ...] = ()
    measured: tuple[Measured, ...] = ()
    others: int = 0
    explained: tuple[Pair, ...] = ()
    tried: tuple[Tried, ...] = ()

    @property
    def own(self) -> tuple[Measured, ...]:
        """What was measured between the cells that answer for the columns."""
        return tuple(each for each in self.measured if each.own)

    @property
    def cells(self) -> tuple[str, ...]:
        """The cells that it is about, each once."""
        measured = [cell for each in self.measured for cell in each.cells]
        explained = [cell for pair in self.explained for cell in pair]
        ends = [end for each in self.tried for end in each.ends]
        return tuple(dict.fromkeys((*measured, *explained, *(cell for end in ends for cell in end.cells))))


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """A statement with its verdict.

    Attributes:
        reason: why it was not tested; None where it was.
        condition: on what it holds; None unless the verdict has one.
    """

    id: str
    says: str
    word: Word
    reason: str | None
    condition: Condition | None
    evidence: Evidence


def plain(value: Any) -> Any:
    """Return these values as JSON has them."""
    if hasattr(value, "__dataclass_fields__"):
        return {each.name: plain(getattr(value, each.name)) for each in fields(value)}
    if isinstance(value, StrEnum):
        return value.value
    return [plain(each) for each in value] if isinstance(value, tuple) else value
