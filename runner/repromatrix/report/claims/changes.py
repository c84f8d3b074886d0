"""What a report says of the accepted run, as typed claims."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from repromatrix.report import wording
from repromatrix.report.claims.base import Claim, measured

_NAMED = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class SinceAccepted(Claim):
    """How many cells changed since the accepted run; `cells` are those that both have.

    Attributes:
        digest: SHA-256 of the accepted run's file.
    """

    kind: ClassVar[str] = "since_accepted"

    profile: str
    digest: str
    accepted: int
    new: int
    gone: int
    outcomes: int
    bits: int
    identities: int

    @property
    def name(self) -> str:
        """The accepted run in words."""
        return f"the accepted run (profile {self.profile}, {wording.cells(self.accepted)})"

    def _id(self) -> str:
        return "since-accepted"

    def _text(self) -> str:
        counts = [
            (self.bits, "with other bits"),
            (self.outcomes, "with another outcome"),
            (self.new, "new"),
            (self.gone, "not asked for any more"),
            (self.identities, "with the same bits from another environment"),
        ]
        said = ", ".join(f"{count} {what}" for count, what in counts if count)
        return f"Since {self.name}: {said or 'nothing changed'}"


@dataclass(frozen=True, slots=True, kw_only=True)
class OutcomeChange(Claim):
    """A cell that ended in another way than the accepted one; `now` may be `missing`."""

    kind: ClassVar[str] = "outcome_change"

    before: str
    now: str
    reason: str | None

    def _id(self) -> str:
        return f"outcome-change/{self.cells[0]}"

    def _text(self) -> str:
        why = f" ({self.reason})" if self.reason else ""
        return f"{self.cells[0]}: {_words(self.before)} when accepted, now {_words(self.now)}{why}"


@dataclass(frozen=True, slots=True, kw_only=True)
class BitsChange(Claim):
    """A cell with other bits than the accepted one.

    Attributes:
        before: digest of the accepted bits, `now` of the present ones.
        verdict: what the metrics are to each other; None: the accepted record is not in the results folder.
        reason: in which metric beside the loss, or why where it is no matter of distance; else None.
        differing: what of the environment differs as well.
    """

    kind: ClassVar[str] = "bits_change"

    before: str
    now: str
    verdict: str | None
    reason: str | None
    judged_by: str | None
    ulp_dtype: str | None
    first_difference: int | None
    max_abs: str | None
    max_ulp: int | None
    differing: tuple[str, ...]

    def _id(self) -> str:
        return f"bits-change/{self.cells[0]}"

    def _text(self) -> str:
        found = measured(
            self.first_difference,
            self.max_abs,
            self.max_ulp,
            dtype=self.ulp_dtype,
            judged=self.judged_by,
            reason=self.reason,
        )
        metrics = "" if self.verdict is None else f", metrics {self.verdict}{found}"
        cause = f"; with another {', '.join(self.differing)}" if self.differing else "; from the same environment"
        return f"{self.cells[0]}: other bits{metrics}{cause}"


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentityChange(Claim):
    """Cells that kept every bit though something of their environment is another one."""

    kind: ClassVar[str] = "identity_change"

    environments: tuple[str, ...]
    differing: tuple[str, ...]

    def _id(self) -> str:
        return f"identity-change/{'+'.join(self.differing)}"

    def _text(self) -> str:
        kept = f"{wording.cells(len(self.cells))} kept every bit"
        return f"{_few(self.environments)}: another {', '.join(self.differing)}; {kept}"


@dataclass(frozen=True, slots=True, kw_only=True)
class CpuClassChange(Claim):
    """Cells that ran on another CPU class than the accepted ones."""

    kind: ClassVar[str] = "cpu_class_change"

    before: str
    now: str

    def _id(self) -> str:
        return f"cpu-class-change/{self.before}/{self.now}"

    def _text(self) -> str:
        ran = f"{wording.cells(len(self.cells))} ran on another CPU class than accepted"
        return f"{ran} ({self.before}; now {self.now}): bits may differ for that reason"


@dataclass(frozen=True, slots=True, kw_only=True)
class Membership(Claim):
    """Cells that only one of the two runs has; `change` is `new` or `gone`."""

    kind: ClassVar[str] = "membership"

    change: str

    def _id(self) -> str:
        return f"membership/{self.change}"

    def _text(self) -> str:
        what = "new since the accepted run" if self.change == "new" else "of the accepted run not asked for any more"
        return f"{wording.cells(len(self.cells))} {what}: {_few(self.cells)}"


def _few(names: Sequence[str]) -> str:
    """Return the first names, and how many more there are."""
    more = len(names) - _NAMED
    return wording.listed(names[:_NAMED]) + (f" and {more} more" if more > 0 else "")


def _words(outcome: str) -> str:
    return outcome.replace("_", " ")
