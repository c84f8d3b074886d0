"""Every number that a printed figure can stand for, as a closed interval of exact fractions."""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Self


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """The numbers from `low` to `high`, both included."""

    low: Fraction
    high: Fraction

    @classmethod
    def printed(cls, text: str) -> Self:
        """Return what rounds to the decimal `text`: half a unit of its last place to both sides."""
        number = Decimal(text)
        half = Fraction(Decimal((0, (1,), int(number.as_tuple().exponent)))) / 2
        return cls(low=Fraction(number) - half, high=Fraction(number) + half)

    @classmethod
    def exact(cls, text: str) -> Self:
        """Return the one number that the decimal `text` is."""
        return cls(low=Fraction(text), high=Fraction(text))

    def __sub__(self, other: "Interval") -> "Interval":
        return Interval(low=self.low - other.high, high=self.high - other.low)

    def __abs__(self) -> "Interval":
        ends = (abs(self.low), abs(self.high))
        return Interval(low=Fraction(0) if self.low <= 0 <= self.high else min(ends), high=max(ends))

    def meets(self, other: "Interval") -> bool:
        """Whether some number lies in both."""
        return self.low <= other.high and other.low <= self.high


def half_sum_of_squares(intervals: Iterable[Interval]) -> Interval:
    """Return half the sum of the squares, the loss of such a table (its `problem.loss`)."""
    sizes = [abs(each) for each in intervals]
    return Interval(
        low=sum((each.low**2 for each in sizes), Fraction(0)) / 2,
        high=sum((each.high**2 for each in sizes), Fraction(0)) / 2,
    )
