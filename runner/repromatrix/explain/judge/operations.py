"""What the operations of a pair of cells show: what they do on the same inputs, and whether a step is fused."""

from dataclasses import dataclass

from repromatrix.compare.trace import Divergence, Value
from repromatrix.explain.judge.sources import Source
from repromatrix.operations.judgement import Arithmetic


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """What a cell's operation gave, and its distance from the truth in ULP; None where there is no true value."""

    value: Value
    ulps: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """The first inputs on which an operation of two cells differs.

    Attributes:
        cell: id of the cell whose step the inputs are from.
        step: from 1.
        index: of the output's element, weights as `W[out][in]`; empty for a number.
        inputs: the numbers that this element is computed from, each with its name and index: `W[0][1]`.
        correct: the correctly rounded result; None where there is no true value.
    """

    cell: str
    step: int
    index: tuple[int, ...]
    inputs: tuple[tuple[str, Value], ...]
    a: Output
    b: Output
    correct: Value | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaceFinding:
    """An operation at its place in the step, on the same inputs.

    Attributes:
        place: a value of the step.
        operation: what is computed there.
        compared: how many calls, recorded in the steps of both cells.
        differing: on how many of them the two differ.
        parted: whether the two cells themselves, each in its own run, differ there at any step.
        example: the first call that differs, None if none does.
        reason: why there is no answer, else None.
        other: the operation by which the second cell computes it, where that is another one; empty: none at all.
    """

    place: str
    operation: str
    compared: int
    differing: int
    parted: bool
    example: Example | None
    reason: str | None
    other: str | None = None

    @property
    def source(self) -> bool:
        """Whether the operation differs on the same inputs."""
        return self.differing > 0

    @property
    def passes(self) -> bool:
        """Whether it only passes a difference on: the same on the same inputs, and different in the two runs."""
        return self.parted and self.reason is None and not self.source


@dataclass(frozen=True, slots=True, kw_only=True)
class OperationFinding:
    """An operation on fresh inputs, and how each cell computes it where they differ on any inputs.

    Attributes:
        fresh: how many values were compared on fresh inputs.
        fresh_differing: how many of them differ.
        a: how the first cell computes it; None where the two never differ.
        b: the second.
        reason: why fresh inputs give no answer, else None.
    """

    operation: str
    fresh: int
    fresh_differing: int
    a: Arithmetic | None
    b: Arithmetic | None
    reason: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SideFinding:
    """One of the two cells that were replayed.

    Attributes:
        cell: its id.
        separable: whether its step can be computed operation by operation: the replay of its own trace gives it back.
        fused: where it does not, the first source of each tensor that is not given back.
        other: the first source of each tensor that comes out otherwise when it replays the other cell's trace.
        untraced: the tensors that its trace lacks, with the reasons.
        reason: why its step could not be replayed, else None.
    """

    cell: str
    separable: bool | None
    fused: tuple[Source, ...]
    other: tuple[Source, ...]
    untraced: tuple[tuple[str, str], ...]
    reason: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PairFinding:
    """Which operations make two cells differ.

    Attributes:
        a: id of a cell that was asked for.
        b: the other's.
        dtype: of both cells that were replayed; None: nothing was.
        left: what was replayed for `a`; another cell where `a` has other options or another dtype than `b`.
        right: what was replayed for `b`.
        places: in the order in which a step computes them.
        operations: those that were replayed.
        wiring: the traced values that differ though they are computed from the same values, and no operation on the
            way to them differs: the two steps combine the same operations in another order.
            A source on the way hides that; `options` tells of it too.
        options: the options in which the replayed cells still differ: name, value of the left one, of the right one.
        reason: why there is no answer, else None.
        first: where the traces of two cells differ first that are traced and cannot be replayed; else None.
        step: the one step that was replayed, the first in which the two differ, as traces have large values by their
            digests only; None: all of them.
    """

    a: str
    b: str
    dtype: str | None
    left: SideFinding | None
    right: SideFinding | None
    places: tuple[PlaceFinding, ...]
    operations: tuple[OperationFinding, ...]
    wiring: tuple[str, ...]
    options: tuple[tuple[str, str, str], ...]
    reason: str | None
    first: Divergence | None = None
    step: int | None = None

    @property
    def sources(self) -> tuple[PlaceFinding, ...]:
        """The operations that differ on the same inputs."""
        return tuple(each for each in self.places if each.source)

    @property
    def passing(self) -> tuple[PlaceFinding, ...]:
        """The operations that only pass on what they are given."""
        return tuple(each for each in self.places if each.passes)

    @property
    def separable(self) -> bool:
        """Whether both steps can be computed operation by operation, so that the operations tell of the cells."""
        return all(side is not None and side.separable is True for side in (self.left, self.right))
