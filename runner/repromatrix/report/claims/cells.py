"""What a report says of its cells: how many, how they ended, whether they repeat, what they ran in."""

from dataclasses import dataclass
from typing import ClassVar

from repromatrix.report import wording
from repromatrix.report.claims.base import Claim


@dataclass(frozen=True, slots=True, kw_only=True)
class CellCount(Claim):
    """How many cells the run was asked for, in how many environments there are records."""

    kind: ClassVar[str] = "cell_count"

    count: int
    environments: int

    def _id(self) -> str:
        return "cells"

    def _text(self) -> str:
        environments = "1 environment" if self.environments == 1 else f"{self.environments} environments"
        return f"{wording.cells(self.count)} in {environments}"


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameworksRan(Claim):
    """The frameworks and versions that gave losses; `cells` are those that did.

    Attributes:
        ran: (framework, flavour, versions in order), in the order of the cells.
    """

    kind: ClassVar[str] = "frameworks_ran"

    ran: tuple[tuple[str, str, tuple[str, ...]], ...]

    def _id(self) -> str:
        return "frameworks"

    def _text(self) -> str:
        said = (wording.framework(name, flavour, ", ".join(versions)) for name, flavour, versions in self.ran)
        return f"Frameworks that ran: {'; '.join(said)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class OutcomeCount(Claim):
    """The cells with one outcome, `missing` included; every cell is in one of these."""

    kind: ClassVar[str] = "outcome_count"

    outcome: str
    count: int

    def _id(self) -> str:
        return f"outcome/{self.outcome}"

    def _text(self) -> str:
        return f"{wording.cells(self.count)} {self.outcome.replace('_', ' ')}"


@dataclass(frozen=True, slots=True, kw_only=True)
class WithoutResult(Claim):
    """A cell that has no trajectory, and why."""

    kind: ClassVar[str] = "without_result"

    outcome: str
    reason: str

    def _id(self) -> str:
        return f"without-result/{self.cells[0]}"

    def _text(self) -> str:
        return f"{self.cells[0]}: {self.outcome.replace('_', ' ')}, {self.reason}"


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut(Claim):
    """A cell that the plan left out, and why."""

    kind: ClassVar[str] = "left_out"

    reason: str

    def _id(self) -> str:
        return f"left-out/{self.cells[0]}"

    def _text(self) -> str:
        return f"{self.cells[0]} was left out of the plan: {self.reason}"


@dataclass(frozen=True, slots=True, kw_only=True)
class RanIn(Claim):
    """What cells ran in: the digests of what it was made from, and the SHA-256 of what it looked like from inside."""

    kind: ClassVar[str] = "ran_in"

    environment: str
    engine: str
    base_kind: str
    base_digest: str
    image_digest: str | None
    lock_digest: str | None
    entrypoint_digest: str
    cpu_class: str
    fingerprint_digest: str

    def _id(self) -> str:
        return f"environment/{self.cells[0]}"

    def _text(self) -> str:
        lock = f"lock {wording.digest(self.lock_digest)}" if self.lock_digest else wording.NOT_PINNED
        return (
            f"{self.environment}: {wording.cells(len(self.cells))} ran in engine {self.engine}, base {self.base_kind} "
            f"{wording.digest(self.base_digest)}, {lock}, CPU class {self.cpu_class}"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Deterministic(Claim):
    """Whether the cells that ran more than once gave the same bits again; `cells` are all of these."""

    kind: ClassVar[str] = "deterministic"

    repeated: int
    same: int
    differ: tuple[str, ...]

    def _id(self) -> str:
        return "deterministic"

    def _text(self) -> str:
        but = f"; not {wording.listed(self.differ)}" if self.differ else ""
        return f"{self.same} of {self.repeated} cells that ran more than once gave the same bits every time{but}"
