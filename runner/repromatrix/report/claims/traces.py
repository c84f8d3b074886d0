"""What a report says of traces: where cells first part, which cells tracing changes, and what could not be traced."""

from dataclasses import dataclass
from typing import ClassVar

from repromatrix.report import wording
from repromatrix.report.claims.base import Claim


@dataclass(frozen=True, slots=True, kw_only=True)
class Traced(Claim):
    """How many cells were traced; `changed` of them gave other bits when they were."""

    kind: ClassVar[str] = "traced"

    count: int
    changed: int

    def _id(self) -> str:
        return "traced"

    def _text(self) -> str:
        return f"{wording.cells(self.count)} traced; tracing changes the bits of {self.changed or 'none'} of them"


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstDivergence(Claim):
    """The first step, tensor and element in which the traces of two cells differ.

    Attributes:
        steps: how many steps both have; 0 where they cannot be compared.
        tensors: the names of those that both have, in the order in which a step computes them.
        step: from 1; None, like all that follows, where they are the same or cannot be compared.
        index: the element's place; empty for a number.
        a: the one's value, hexadecimal; `a_bits`: as its dtype stores it; None too where only digests are known.
        ulps: None too where a value is not finite.
        reason: why they cannot be compared, else None.
        caveats: what was not compared, in words.
    """

    kind: ClassVar[str] = "first_divergence"

    workload: str
    steps: int
    tensors: tuple[str, ...]
    step: int | None
    tensor: str | None
    index: tuple[int, ...] | None
    a: str | None
    a_bits: str | None
    b: str | None
    b_bits: str | None
    ulps: int | None
    ulp_dtype: str | None
    reason: str | None
    caveats: tuple[str, ...]

    def _id(self) -> str:
        return f"first-divergence/{self.cells[0]}/{self.cells[1]}"

    def _text(self) -> str:
        pair = f"{self.cells[0]} and {self.cells[1]}"
        if self.reason is not None:
            return f"{pair} cannot be compared: {self.reason}"
        more = "".join(f"; {each}" for each in self.caveats)
        if self.step is None:
            return f"{pair} are the same in every traced tensor of {_steps(self.steps)}{more}"
        if self.a is None:
            same = "every traced tensor before it is the same"
            return f"{pair} first part at step {self.step} in {self.tensor}; {same}{more}"
        place = "".join(f"[{each}]" for each in self.index or ())
        far = f"{wording.count(self.ulps)} ULP of {self.ulp_dtype}" if self.ulps is not None else "not finite"
        return (
            f"{pair} first part at step {self.step} in {self.tensor}{place}: {self.a} ({self.a_bits}) against {self.b} "
            f"({self.b_bits}), {far}; every traced tensor before it is the same{more}"
        )


def _steps(number: int) -> str:
    return "1 step" if number == 1 else f"{wording.count(number)} steps"


@dataclass(frozen=True, slots=True, kw_only=True)
class TracingChanges(Claim):
    """A cell whose traced run has other bits than its record, so that its trace explains nothing.

    Attributes:
        first_loss: the first step whose loss differs; None: only predictions or weights do.
    """

    kind: ClassVar[str] = "tracing_changes"

    first_loss: int | None

    def _id(self) -> str:
        return f"tracing-changes/{self.cells[0]}"

    def _text(self) -> str:
        where = (
            "in its predictions or weights"
            if self.first_loss is None
            else f"from the loss of step {self.first_loss} on"
        )
        return f"tracing changes {self.cells[0]} {where}, so its trace explains nothing"


@dataclass(frozen=True, slots=True, kw_only=True)
class UntracedTensors(Claim):
    """Tensors that these cells could not tell without changing the computation."""

    kind: ClassVar[str] = "untraced_tensors"

    tensors: tuple[str, ...]
    reason: str

    def _id(self) -> str:
        return f"untraced-tensors/{self.cells[0]}/{self.tensors[0]}"

    def _text(self) -> str:
        return f"{wording.listed(self.tensors)} of {wording.cells(len(self.cells))} not traced: {self.reason}"


@dataclass(frozen=True, slots=True, kw_only=True)
class WithoutTrace(Claim):
    """A cell that was to be traced and has no trace, and why."""

    kind: ClassVar[str] = "without_trace"

    reason: str

    def _id(self) -> str:
        return f"without-trace/{self.cells[0]}"

    def _text(self) -> str:
        return f"{self.cells[0]} has no trace: {self.reason}"
