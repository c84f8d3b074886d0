"""What a report says of how operations are computed: the forms that fit, and how near to the truth the values are.

Distances from the truth are in units in the last place, to three decimals, or three significant digits from a million
on; `inf` and `nan` are said as such.
"""

from dataclasses import asdict, dataclass
from typing import Any, ClassVar

from repromatrix.report import wording
from repromatrix.report.claims.base import Claim

_FEW = 4  # forms that are named
_FAR = 1e6  # from here on three significant digits are enough
NOT_THERE = "a file that it stands on is not there; ask again: repromatrix operations"
Names = tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class How:
    """How an operation is computed, as far as its values tell.

    Attributes:
        values: how many were looked at.
        forms: those that give every one of them; several: each is sufficient, none is shown to be the one used.
        nearest: where none does, the form that gives most of them, `agreeing` in number.
        correct: how many values are the correctly rounded ones; None: not measured.
        worst: the largest distance from the truth; None: not measured.
        reason: why there is no answer, else None.
    """

    values: int
    forms: Names
    tried: int
    nearest: str | None
    agreeing: int
    correct: int | None
    worst: str | None
    reason: str | None

    @property
    def text(self) -> str:
        """The forms in words."""
        if self.reason is not None:
            return self.reason
        if not self.forms:
            nearest = f", the nearest, {self.nearest}, {wording.count(self.agreeing)}" if self.nearest else ""
            return f"none of {self.tried} forms gives all {wording.count(self.values)} values{nearest}"
        more = f" and {len(self.forms) - _FEW} more" if len(self.forms) > _FEW else ""
        each = "" if len(self.forms) == 1 else ", each of them sufficient"
        return f"{', '.join(self.forms[:_FEW])}{more} (all {wording.count(self.values)} values{each})"

    @property
    def brief(self) -> str:
        """The forms alone, or why there is none."""
        if self.reason is not None or not self.forms:
            return self.text
        more = f" and {len(self.forms) - _FEW} more" if len(self.forms) > _FEW else ""
        each = "" if len(self.forms) == 1 else " (each sufficient)"
        return f"{', '.join(self.forms[:_FEW])}{more}{each}"

    @property
    def accuracy(self) -> str:
        """How near to the truth, in words; nothing where that was not measured."""
        if self.correct is None or self.worst is None:
            return ""
        return f"{wording.count(self.correct)} correctly rounded, the worst {self.worst} ULP off"


@dataclass(frozen=True, slots=True, kw_only=True)
class OperationPair(Claim):
    """How two cells compute an operation that gives other bits; `cells` are those that were replayed.

    Attributes:
        fresh: how many values were compared on fresh inputs; `fresh_differing`: how many of them differ.
        reason: why fresh inputs give no answer, else None.
        a: how the first cell computes it, judged by recorded inputs and fresh ones.
        b: how the second does.
    """

    kind: ClassVar[str] = "operation_pair"

    dtype: str
    operation: str
    fresh: int
    fresh_differing: int
    reason: str | None
    a: How
    b: How

    def _id(self) -> str:
        return f"operation-pair/{self.cells[0]}/{self.cells[1]}/{self.operation}"

    def _text(self) -> str:
        fresh = self.reason or (f"{wording.count(self.fresh_differing)} of {wording.count(self.fresh)} values differ")
        return (
            f"{self.operation} of {self.cells[0]} and {self.cells[1]} in {self.dtype}: on fresh inputs {fresh}; the "
            f"first: {self.a.text}; the second: {self.b.text}"
        )

    def _values(self) -> dict[str, Any]:
        plain = {name: getattr(self, name) for name in ("dtype", "operation", "fresh", "fresh_differing", "reason")}
        return plain | {"a": _how(self.a), "b": _how(self.b)}


@dataclass(frozen=True, slots=True, kw_only=True)
class OperationForm(Claim):
    """How these cells, and no other of the catalogue, compute an operation of a dtype on fresh inputs.

    Attributes:
        where: (environment, with its device unless that is the CPU; with which options, empty: with all of them).
        how: the same for all of them.
    """

    kind: ClassVar[str] = "operation_form"

    operation: str
    dtype: str
    where: tuple[tuple[str, Names], ...]
    how: How

    def _id(self) -> str:
        return f"operation-form/{self.operation}/{self.dtype}/{self.cells[0]}"

    def _text(self) -> str:
        accuracy = f"; {self.how.accuracy}" if self.how.accuracy else ""
        return f"{self.operation} in {self.dtype}, {where_in_words(self.where)}: {self.how.text}{accuracy}"

    def _values(self) -> dict[str, Any]:
        where = [[name, list(options)] for name, options in self.where]
        return {"operation": self.operation, "dtype": self.dtype, "where": where, "how": _how(self.how)}


@dataclass(frozen=True, slots=True, kw_only=True)
class NotListed(Claim):
    """A cell of the catalogue of which nothing can be said."""

    kind: ClassVar[str] = "not_listed"

    reason: str

    def _id(self) -> str:
        return f"not-listed/{self.cells[0]}"

    def _text(self) -> str:
        return f"{self.cells[0]} is not in the catalogue of operations: {self.reason}"


def distance_in_ulps(value: float | None) -> str | None:
    """Return a distance from the truth as the claims have it."""
    if value is None:
        return None
    return f"{value:.3f}" if value < _FAR else wording.distance(value)


def where_in_words(where: tuple[tuple[str, Names], ...]) -> str:
    """Return environments, with the options where not all of theirs are meant."""
    return ", ".join(f"{name} ({' or '.join(options)})" if options else name for name, options in where)


def _how(how: How) -> dict[str, Any]:
    return asdict(how) | {"forms": list(how.forms)}
