"""What a report says along the versions of a framework, and by whose measure."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import ClassVar

from repromatrix.report import wording
from repromatrix.report.claims.base import Claim, measured

NOT_RUN = "not run"


@dataclass(frozen=True, slots=True, kw_only=True)
class UpgradeTotals(Claim):
    """How many upgrades keep every bit; an upgrade is a cell against the same one in the next version that ran.

    `cells` are all cells that are a side of one, in the order of the upgrades.

    Attributes:
        compared: upgrades with a verdict of identical, rounding, amplified or divergent.
        same_losses: those of them with the same metrics, bit for bit; `same_weights`: and the same weights at the end.
        not_compared: upgrades beyond these.
    """

    kind: ClassVar[str] = "upgrade_totals"

    compared: int
    same_losses: int
    same_weights: int
    not_compared: int

    def _id(self) -> str:
        return "upgrades"

    def _text(self) -> str:
        upgrades = "1 upgrade" if self.compared == 1 else f"{self.compared} upgrades"
        more = f"; {self.not_compared} more could not be compared" if self.not_compared else ""
        keep = "keeps" if self.same_losses == 1 else "keep"
        weights = f"({self.same_weights} of the weights too)"
        return f"{self.same_losses} of {upgrades} {keep} every bit of the metrics {weights}{more}"


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionLine(Claim):
    """One way to write the job along the versions; equal labels, equal bits at every step.

    Attributes:
        stops: (version, label or None, why there is none or None).
    """

    kind: ClassVar[str] = "version_line"

    workload: str
    framework: str
    flavour: str
    python: str
    variant: str
    device: str
    settings: str
    stops: tuple[tuple[str, str | None, str | None], ...]

    def _id(self) -> str:
        where = (self.workload, self.framework, self.flavour, self.python, self.variant, self.device, self.settings)
        return f"line/{'/'.join(where)}"

    @property
    def labels(self) -> int:
        """How many different trajectories it has."""
        return len({label for _, label, _ in self.stops if label})

    def _text(self) -> str:
        # A version without a label breaks a run of equal ones: nothing is known of what lies in between.
        runs = [
            _run(label, reason, [version for version, _, _ in run])
            for (label, reason), run in groupby(self.stops, key=lambda each: each[1:])
        ]
        on = wording.place(self.variant, self.device, self.settings)
        framework = wording.framework(self.framework, self.flavour)
        return f"{self.workload}, {on}, {framework}, Python {self.python}: {'; '.join(runs) or wording.NOTHING}"


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionChange(Claim):
    """A cell against the same cell in the next newer version that was run.

    Attributes:
        max_abs: the largest |a - b|, hexadecimal; None: not measured.
    """

    kind: ClassVar[str] = "version_change"

    older: str
    newer: str
    verdict: str
    reason: str | None
    judged_by: str | None
    ulp_dtype: str | None
    steps: int
    first_difference: int | None
    max_abs: str | None
    max_ulp: int | None
    same_state: bool | None
    same_cpu_class: bool | None

    def _id(self) -> str:
        return f"change/{self.cells[0]}/{self.newer}"

    def _text(self) -> str:
        found = f"{self.cells[0]}, {self.older} to {self.newer}: {self.verdict}"
        return found + measured(
            self.first_difference,
            self.max_abs,
            self.max_ulp,
            dtype=self.ulp_dtype,
            judged=self.judged_by,
            reason=self.reason,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class NoiseFloor(Claim):
    """The measured noise of a workload in a dtype; `cells` are the reference and the members that measured.

    Attributes:
        growth: per step the largest distance of a member from the reference, at least one ULP of the loss.
        bound: per step how far apart two runs may be and still be called rounding.
    """

    kind: ClassVar[str] = "noise_floor"

    workload: str
    dtype: str
    growth: tuple[str, ...]
    bound: tuple[str, ...]

    def _id(self) -> str:
        return f"floor/{self.workload}/{self.dtype}"

    def _text(self) -> str:
        first, last = (wording.distance(float.fromhex(each)) for each in (self.bound[0], self.bound[-1]))
        return (
            f"noise floor of {self.workload} in {self.dtype}: {first} at step 1 and {last} at step {len(self.bound)}, "
            f"a bound derived from {len(self.cells) - 1} one-ULP members of {self.cells[0]}"
        )


def _run(label: str | None, reason: str | None, versions: Sequence[str]) -> str:
    if label:
        return f"{label} {versions[0]}" + (f" to {versions[-1]}" if len(versions) > 1 else "")
    return f"{', '.join(versions)}{' ' if reason == NOT_RUN else ': '}{reason}"
