"""What a report says of cells with the same bits, and of the states that they end in."""

from dataclasses import dataclass
from typing import ClassVar

from repromatrix.report import wording
from repromatrix.report.claims.base import Claim

Term = tuple[tuple[str, tuple[str, ...]], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassOf(Claim):
    """These cells, and no other of the workload, share every bit of these losses."""

    kind: ClassVar[str] = "class_of"

    workload: str
    name: str
    losses: tuple[str, ...]

    def _id(self) -> str:
        return f"class/{self.workload}/{self.name}"

    def _text(self) -> str:
        whose = (
            "1 cell has losses of its own" if len(self.cells) == 1 else f"{len(self.cells)} cells have the same losses"
        )
        return f"{self.name} of {self.workload}: {whose}, bit for bit, over {len(self.losses)} steps"


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassRule(Claim):
    """This rule holds for these cells and for no other of the workload; `without`: cells that it lists instead."""

    kind: ClassVar[str] = "class_rule"

    workload: str
    name: str
    terms: tuple[Term, ...]
    without: tuple[str, ...]
    among: int

    def _id(self) -> str:
        return f"rule/{self.workload}/{self.name}"

    def _text(self) -> str:
        said = ", ".join(wording.rule_of(self.terms, len(self.without)))
        return f"{self.name} of {self.workload}, {wording.cells(len(self.cells))}, exactly these: {said}"


@dataclass(frozen=True, slots=True, kw_only=True)
class OneClassTwoStates(Claim):
    """Cells with the same losses that end with different weights; `states` are the groups with the same ones."""

    kind: ClassVar[str] = "one_class_two_states"

    workload: str
    name: str
    states: tuple[tuple[str, ...], ...]

    def _id(self) -> str:
        return f"states/{self.workload}/{self.name}"

    def _text(self) -> str:
        return (
            f"{self.name} of {self.workload}: the same losses, and {len(self.states)} different states of the weights "
            "at the end"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class SameStateOtherLosses(Claim):
    """Cells that end with the same weights in spite of other metrics on the way."""

    kind: ClassVar[str] = "same_state_other_losses"

    workload: str
    classes: tuple[str, ...]

    def _id(self) -> str:
        return f"same-state/{self.workload}/{self.cells[0]}"

    def _text(self) -> str:
        return (
            f"{wording.listed(self.classes)} of {self.workload}: {len(self.cells)} cells end with the same weights, "
            "bit for bit, in spite of other metrics on the way"
        )
