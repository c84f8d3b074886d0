"""What a report says of each experiment between two cells: factors flipped at either end, conditions on both sides."""

from dataclasses import asdict, dataclass
from typing import Any, ClassVar

from repromatrix.report import wording
from repromatrix.report.claims.base import Claim

Names = tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What was seen of one experiment: a cell that was changed, held against the one that was not.

    Attributes:
        cell: the changed one's id; None: there is none.
        key: its record's.
        changed: whether any bit of it differs from the cell that it was made of; None: not tested.
        verdict: what separates it from the other cell; None: not tested, and `reason` says why.
        max_abs: by how much at most, hexadecimal; None also where that is not finite.
        share: how much of the difference that explains, hexadecimal; None: not tested, or not finite.
    """

    cell: str | None
    key: str | None
    changed: bool | None
    verdict: str | None
    max_abs: str | None
    share: str | None
    reason: str | None

    @property
    def text(self) -> str:
        """The outcome in words."""
        if self.verdict is None:
            return f"not tested ({self.reason})"
        unchanged = "no bit changes, " if self.changed is False else ""
        far = f" by {wording.distance(float.fromhex(self.max_abs))}" if self.max_abs is not None else ""
        share = f", {wording.share(self.share)} explained" if self.share is not None else ""
        return f"{unchanged}{self.verdict}{'' if self.verdict == 'identical' else far}{share}"


@dataclass(frozen=True, slots=True, kw_only=True)
class FactorVerdict(Claim):
    """What flipping factors showed; `cells` are the two cells, then the hybrids.

    Attributes:
        factors: (name, its value in A, in B); several: flipped together.
        a: A with these factors from B, against B.
        b: B with them from A, against A.
    """

    kind: ClassVar[str] = "factor_verdict"

    factors: tuple[tuple[str, str, str], ...]
    finding: str
    a: Seen
    b: Seen

    def _id(self) -> str:
        names = "+".join(name for name, _, _ in self.factors)
        return f"factor/{self.cells[0]}/{self.cells[1]}/{names}"

    def _text(self) -> str:
        names = " + ".join(f"{name} ({a} against {b})" for name, a, b in self.factors)
        return (
            f"{self.cells[0]} and {self.cells[1]}, {names}: {self.finding}; flipped at A's end {self.a.text}; "
            f"at B's end {self.b.text}"
        )

    def _values(self) -> dict[str, Any]:
        ends = {"a": asdict(self.a), "b": asdict(self.b)}
        return {"factors": [list(each) for each in self.factors], "finding": self.finding} | ends


@dataclass(frozen=True, slots=True, kw_only=True)
class ConditionVerdict(Claim):
    """What a change that neither cell has showed; `cells` are the two cells, then those under the condition.

    Attributes:
        changes: what it sets, by name.
        a: A under it, against B.
        b: B under it, against A.
        both: both under it, against each other.
    """

    kind: ClassVar[str] = "condition_verdict"

    name: str
    changes: tuple[tuple[str, str], ...]
    finding: str
    a: Seen
    b: Seen
    both: Seen

    def _id(self) -> str:
        return f"condition/{self.cells[0]}/{self.cells[1]}/{self.name}"

    def _text(self) -> str:
        changes = ", ".join(f"{name}={value}" for name, value in self.changes)
        return (
            f"{self.cells[0]} and {self.cells[1]}, condition {self.name} ({changes or 'sets nothing'}): "
            f"{self.finding}; A under it against B {self.a.text}; B under it against A {self.b.text}; both under it "
            f"{self.both.text}"
        )

    def _values(self) -> dict[str, Any]:
        ends = {"a": asdict(self.a), "b": asdict(self.b), "both": asdict(self.both)}
        changes = [list(each) for each in self.changes]
        return {"name": self.name, "changes": changes, "finding": self.finding} | ends
