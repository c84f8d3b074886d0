"""Whether a change that makes two cells equal may do so by chance. Pure.

Two orders of a sum agree in one element of seven, so a change that merely moves a result by one unit in the last place
often lands on the other cell's bits. Many elements do not agree by chance. Those count that differed before at the
first recorded value that differs: it is computed from what both sides still have alike, while all that follows only
passes that difference on. Where a record holds no more than a value's digest, one element of it counts.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import inf, isfinite, log

from repromatrix.floats import ordinal
from repromatrix.results.record import Record
from repromatrix.results.value import by_name, first_values

ENOUGH = 8  # elements; that so many agree by chance, where each does so once in seven times, is one in five millions


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What speaks for an end at which the difference vanishes.

    Attributes:
        elements: that differed before, over the run and the members of the one-ULP ensemble.
        members: that differed before; those in which the sides agreed anyway do not count.
        failed: of these, those in which the change does not make the difference vanish.
        proven: the changed cell is the other cell, so that nothing is left to chance.
    """

    elements: int
    members: int = 0
    failed: int = 0
    proven: bool = False

    @property
    def enough(self) -> bool:
        """Whether chance is excluded."""
        return self.proven or (not self.failed and self.elements >= ENOUGH)

    @property
    def words(self) -> str:
        """What it is, in words."""
        if self.failed:
            return f"by chance: it does not in {self.failed} of {self.members} members that differ"
        return f"{self.elements} elements differed, {ENOUGH} exclude chance"


def worth(one: str, other: str, dtype: str, left: int = 0) -> int:
    """Return for how many elements one counts, by its two values in hexadecimal text.

    One that lies a unit in the last place off agrees by chance once in seven times, one that lies d units off about
    once in 2 d + 1: so it counts for log(2 d + 1) / log 7 of them, and a loss that is half of another for more than
    enough. Where k units are left it may have come as near in 2 k + 1 ways.
    """
    a, b = float.fromhex(one), float.fromhex(other)
    if not (isfinite(a) and isfinite(b)):
        return 1
    return max(1, int(log((2 * abs(ordinal(a, dtype) - ordinal(b, dtype)) + 1) / (2 * left + 1)) / log(7)))


def weight(found: Iterable[tuple[str, str]], dtype: str, left: int) -> int:
    """Return for how many elements those count that differed, where a change left at most so many ULP of `dtype`."""
    return sum(worth(one, other, dtype, left) if _is_float(one) and _is_float(other) else 1 for one, other in found)


def _is_float(text: str) -> bool:
    return "0x" in text or text in {"nan", "inf", "-inf"}


def counted(counts: Sequence[int], agreed: int) -> int:
    """Return for how many elements those count that differed, in the pair itself and in members.

    Args:
        counts: how many elements differed in each.
        agreed: the members in which the sides agreed anyway. Where they often do, as an operation differs on few inputs
            only, to agree once more shows little, however many elements differed: with a share p of them each counts
            for no more than log(1 / p) / log 7.
    """
    share = agreed / (len(counts) + agreed)
    most = log(1 / share) / log(7) if share else inf
    return int(sum(min(count, most) for count in counts))


def differing(a: Record, b: Record) -> int:
    """Return how many elements differ in the first recorded value that differs; 0: all that is recorded is the same."""
    return len(differences(a, b))


def differences(a: Record, b: Record) -> tuple[tuple[str, str], ...]:
    """Return the elements that differ in the first recorded value that differs, as both have them.

    A member that was moved may come to the very values of another one, in a narrow dtype above all: then it shows
    nothing that the other does not.
    """
    first = first_differing(a, b)
    if first is None:
        return ()
    name, step = first
    columns = [by_name(record.trajectory).get(name) for record in (a, b) if record.trajectory]
    rows = [column.row(step) or () for column in columns if column]
    if len(rows) < len(columns) or len(rows[0]) != len(rows[1]):
        return ((name, str(step)),)
    return tuple((one, other) for one, other in zip(*rows, strict=True) if one != other)


def first_differing(a: Record, b: Record) -> tuple[str, int] | None:
    """Return name and step of the first recorded value that differs; None: none does."""
    if a.trajectory is None or b.trajectory is None:
        return None
    return next(first_values(a.trajectory, b.trajectory), None)


def total(evidence: Iterable[Evidence]) -> Evidence:
    """Return the evidence of several ends at which the difference vanishes, as one."""
    ends = list(evidence)
    failed = [end for end in ends if end.failed]
    return failed[0] if failed else max(ends, key=lambda end: (end.proven, end.elements))
