"""What a report says of operations on equal inputs: which give other bits, and which only pass a difference on."""

from dataclasses import dataclass
from typing import ClassVar

from repromatrix.report import wording
from repromatrix.report.claims.base import Claim

Names = tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class OperationTotals(Claim):
    """How many pairs were replayed operation by operation, and what that showed.

    Attributes:
        apart: pairs with an operation that gives other bits on equal inputs.
        joined: pairs of whose operations none does, but the steps join them in another way.
        same: pairs with neither.
        unclear: pairs with neither, of which not every operation is known, or a step cannot be taken apart.
        not_replayed: pairs without an answer.
        outdated: pairs of an earlier run, of which this report says nothing.
    """

    kind: ClassVar[str] = "operation_totals"

    apart: int
    joined: int
    same: int
    unclear: int
    not_replayed: int
    outdated: int

    def _id(self) -> str:
        return "operations"

    def _text(self) -> str:
        replayed = self.apart + self.joined + self.same + self.unclear
        rest = [
            (self.unclear, "with none seen, as far as they can be taken apart"),
            (self.not_replayed, "could not be replayed"),
            (self.outdated, "of an earlier run left out"),
        ]
        more = "".join(f"; {wording.count(count)} {what}" for count, what in rest if count)
        return (
            f"{wording.pairs(replayed)} replayed operation by operation on equal inputs: in "
            f"{wording.count(self.apart)} an operation gives other bits, in {wording.count(self.joined)} only the way "
            f"in which the step joins them differs, in {wording.count(self.same)} neither{more}"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceTotals(Claim):
    """In how many pairs an operation gives other bits on equal inputs, or only passes a difference on."""

    kind: ClassVar[str] = "source_totals"

    operation: str
    apart: int
    passing: int
    among: int

    def _id(self) -> str:
        return f"operations/{self.operation}"

    def _text(self) -> str:
        return (
            f"{self.operation}: other bits on equal inputs in {wording.count(self.apart)} of "
            f"{wording.pairs(self.among)}, a difference only passed on in {wording.count(self.passing)}"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class AnatomyOf(Claim):
    """What the operations of two cells show; `cells` are those that were asked for.

    Attributes:
        replayed: the cells that stand for them, of one dtype and, where that can be, of the same options; empty: none.
        sources: the places whose operations give other bits on equal inputs, each with the operation's name.
        passing: the places that only pass a difference on.
        wiring: traced tensors that differ though each operation on the way to them gives equal bits.
        unknown: places without an answer, and why.
        fused: of the replayed cells, those whose step cannot be taken apart, so that its operations need not be what
            makes it differ.
        reason: why nothing was replayed, else None.
    """

    kind: ClassVar[str] = "anatomy"

    replayed: Names
    dtype: str | None
    sources: tuple[tuple[str, str], ...]
    passing: Names
    wiring: Names
    unknown: tuple[tuple[str, str], ...]
    fused: Names
    reason: str | None

    def _id(self) -> str:
        return f"anatomy/{self.cells[0]}/{self.cells[1]}"

    def _text(self) -> str:
        pair = f"{self.cells[0]} and {self.cells[1]}"
        if self.reason is not None:
            return f"{pair}: operations not replayed: {self.reason}"
        other = f", replayed as {' and '.join(self.replayed)}" if self.replayed != self.cells else ""
        return f"{pair}{other}, {self.dtype}: {self.conclusion}"

    @property
    def conclusion(self) -> str:
        """What the operations show, in words."""
        parts = [f"other bits on equal inputs from {sources_in_words(self.sources)}"] if self.sources else []
        if not parts:
            parts.append(
                "no operation is seen to give other bits" if self.unknown else "every operation gives equal bits"
            )
        if self.wiring:
            parts.append(f"the steps join their operations in another way at {', '.join(self.wiring)}")
        if self.passing:
            parts.append(f"only passed on by {', '.join(self.passing)}")
        if self.unknown:
            parts.append(f"not known of {', '.join(place for place, _ in self.unknown)} ({self.unknown[0][1]})")
        if self.fused:
            parts.append(f"the step of {' and of '.join(self.fused)} cannot be taken apart")
        return "; ".join(parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class OperationSource(Claim):
    """An operation that gives other bits on equal inputs; `cells` are the two that were replayed, then whose inputs.

    Attributes:
        compared: how many recorded calls; `differing`: how many of them differ. The first of these is told.
        step: from 1; `index`: the output's element, weights as `W[out][in]`.
        inputs: the numbers that the element is computed from, each with its name and index, hexadecimal.
        a: what the first cell gives, hexadecimal; `a_bits`: as its dtype stores it; `a_off`: its distance from the
            truth, None where there is no true value. So the second's, and the correctly rounded result.
    """

    kind: ClassVar[str] = "operation_source"

    dtype: str
    place: str
    operation: str
    compared: int
    differing: int
    step: int
    index: tuple[int, ...]
    inputs: tuple[tuple[str, str], ...]
    a: str
    a_bits: str
    a_off: str | None
    b: str
    b_bits: str
    b_off: str | None
    correct: str | None
    correct_bits: str | None

    def _id(self) -> str:
        return f"operation/{self.cells[0]}/{self.cells[1]}/{self.place}"

    def _text(self) -> str:
        index = "".join(f"[{each}]" for each in self.index)
        given = ", ".join(f"{name} = {number}" for name, number in self.inputs)
        off = [f", {each} ULP off" if each is not None else "" for each in (self.a_off, self.b_off)]
        correct = f", correctly rounded {self.correct} ({self.correct_bits})" if self.correct else ""
        return (
            f"{self.operation} at {self.place}{index} of {self.cells[0]} and {self.cells[1]}: other bits on "
            f"{wording.count(self.differing)} of {wording.count(self.compared)} equal inputs, first on those of step "
            f"{self.step} of {self.cells[2]}: {self.a} ({self.a_bits}{off[0]}) against {self.b} "
            f"({self.b_bits}{off[1]}){correct}, from {given}"
        )


def sources_in_words(sources: tuple[tuple[str, str], ...]) -> str:
    """Return operations with the places where they differ: `sigmoid (hidden, output), outer (grad_hidden_weights)`."""
    places: dict[str, list[str]] = {}
    for place, operation in sources:
        places.setdefault(operation, []).append(place)
    return ", ".join(f"{operation} ({', '.join(at)})" for operation, at in places.items())
