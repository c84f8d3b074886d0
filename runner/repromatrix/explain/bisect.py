"""Releases in order and what gives the value of one -> the release in which the value changed. Pure but for the asking.

A release that cannot be tried is skipped, and its neighbours are asked in its place; where that leaves a gap, the
answer is the gap.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from repromatrix.errors import RepromatrixError


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """A release that was asked for its value.

    Attributes:
        value: equal texts, equal bits; None: it could not be had.
        reason: why not; empty where it could.
    """

    version: str
    value: str | None
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """Two releases between which the value changed.

    Attributes:
        last: the last one that was tried and has the value of before.
        first: the first one that has another.
        between: releases between them that could not be tried.
    """

    last: str
    first: str
    between: tuple[str, ...] = ()


Ask = Callable[[str], Tried]


class EndError(RepromatrixError):
    """An end of the releases has no value, so there is nothing to look for."""


@dataclass(slots=True, kw_only=True)
class Search:
    """Looks for changes among releases; each is asked at most once.

    Attributes:
        versions: the oldest first.
        ask: gives the value of a release.
        tried: what was asked so far.
    """

    versions: Sequence[str]
    ask: Ask
    tried: dict[str, Tried] = field(default_factory=dict)

    def first(self) -> Change | None:
        """Return the change next to the first release, by halving; None where both ends have the same value.

        Raises:
            EndError: an end has no value.
        """
        low, high = 0, len(self.versions) - 1
        before, after = (self._end(place) for place in (low, high))
        if before == after:
            return None
        while (middle := self._between(low, high)) is not None:
            if self._at(middle).value == before:
                low = middle
            else:
                high = middle
        return self._change(low, high)

    def every(self) -> tuple[Change, ...]:
        """Ask every release and return all changes, those that come and go too.

        Raises:
            EndError: an end has no value.
        """
        for place in (0, len(self.versions) - 1):
            self._end(place)
        there = [place for place in range(len(self.versions)) if self._at(place).value is not None]
        return tuple(
            self._change(low, high) for low, high in pairwise(there) if self._at(low).value != self._at(high).value
        )

    def others(self, change: Change) -> tuple[Change, ...]:
        """Return further changes that the releases tried so far show, beside one; what lies between was not tried."""
        there = [each for each in self.versions if each in self.tried and self.tried[each].value is not None]
        return tuple(
            self._change(self.versions.index(low), self.versions.index(high))
            for low, high in pairwise(there)
            if self.tried[low].value != self.tried[high].value and (low, high) != (change.last, change.first)
        )

    def labels(self) -> dict[str, str]:
        """Return a letter for the value of each release that was tried, in order: A, B, A tells what came back."""
        letters: dict[str, str] = {}
        known = [self.tried[each] for each in self.versions if each in self.tried]
        for each in known:
            if each.value is not None:
                letters.setdefault(each.value, _letter(len(letters)))
        return {each.version: letters[each.value] for each in known if each.value is not None}

    def _at(self, place: int) -> Tried:
        version = self.versions[place]
        if version not in self.tried:
            self.tried[version] = self.ask(version)
        return self.tried[version]

    def _end(self, place: int) -> str:
        found = self._at(place)
        if found.value is None:
            raise EndError(
                f"{found.version}, an end of the releases, has no value: {found.reason}",
                hint="name another release as this end",
            )
        return found.value

    def _between(self, low: int, high: int) -> int | None:
        """Return the place nearest to the middle that has a value, or None where none is left."""
        return next((place for place in _outward(low, high) if self._at(place).value is not None), None)

    def _change(self, low: int, high: int) -> Change:
        between = tuple(self.versions[low + 1 : high])
        return Change(last=self.versions[low], first=self.versions[high], between=between)


def _outward(low: int, high: int) -> Iterator[int]:
    """Yield the places between two others, from the middle outward."""
    middle = (low + high) // 2
    places = range(low + 1, high)
    yield from sorted(places, key=lambda place: abs(place - middle))


def _letter(number: int) -> str:
    return chr(ord("A") + number) if number < 26 else f"A{number}"  # noqa: PLR2004 - letters
