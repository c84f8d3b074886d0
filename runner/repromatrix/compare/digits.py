"""How many digits decimal texts show and to which place, all at once."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from repromatrix.compare.arrays import Bools, Values
from repromatrix.results.logs.figures import significant

_ZERO, _NINE, _POINT = ord("0"), ord("9"), ord(".")
_LETTERS = re.compile("[a-zA-Z]")
_LONGEST = 64  # of a text that is looked at beside others
_PLAIN = re.compile(f"[^a-zA-Z\x80-\U0010ffff]{{,{_LONGEST}}}")
Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Digits:
    """What texts show.

    Attributes:
        decimal: which are decimal digits; the others are hexadecimal, NaN or infinite.
        significant: how many significant digits; of a zero one.
        last_place: the exponent of ten of the last digit.
        padded: whether it ends in a zero that a writer of the shortest text would leave out, `0.50` but not `1.0`.
        bare: whether it is a zero with an exponent, which is nothing but zero.
    """

    decimal: Bools
    significant: Integers
    last_place: Integers
    padded: Bools
    bare: Bools


def of(texts: Sequence[str]) -> Digits:
    """Return what texts of numbers show."""
    distinct = dict.fromkeys(texts)
    if 2 * len(distinct) < len(texts):
        return _of_few(texts, list(distinct))
    if not _LETTERS.search("\n".join(texts)) and max(map(len, texts), default=0) <= _LONGEST:
        return _plain(texts)
    odd = [at for at, each in enumerate(texts) if not _PLAIN.fullmatch(each)]
    if 2 * len(odd) > len(texts):
        return _one_by_one(texts)
    rest = list(texts)
    for at in odd:
        rest[at] = "0"
    found, own = _plain(rest), _one_by_one([texts[at] for at in odd])
    for each in fields(found):
        getattr(found, each.name)[odd] = getattr(own, each.name)
    return found


def _of_few(texts: Sequence[str], distinct: Sequence[str]) -> Digits:
    """Return what texts show, most of which stand there several times."""
    found, places = of(distinct), {each: at for at, each in enumerate(distinct)}
    at = np.fromiter(map(places.__getitem__, texts), dtype=np.int64, count=len(texts))
    return Digits(**{each.name: getattr(found, each.name)[at] for each in fields(found)})


def _plain(texts: Sequence[str]) -> Digits:
    """Return what decimal texts without an exponent show."""
    count = len(texts)
    found = np.array(texts, dtype="S").view(np.uint8).reshape(count, -1) if count else np.zeros((0, 1), np.uint8)
    digit = (found >= _ZERO) & (found <= _NINE)
    started = np.logical_or.accumulate(digit & (found != _ZERO), axis=1)
    behind = np.logical_or.accumulate(found == _POINT, axis=1) & digit
    places = behind.sum(axis=1)
    lengths = (found != 0).sum(axis=1)
    last = found[np.arange(count), np.maximum(lengths - 1, 0)]
    return Digits(
        decimal=np.ones(count, dtype=np.bool_),
        significant=np.maximum((digit & started).sum(axis=1), 1),
        last_place=-places,
        padded=(last == _ZERO) & (places > 1),
        bare=np.zeros(count, dtype=np.bool_),
    )


def _one_by_one(texts: Sequence[str]) -> Digits:
    decimal = np.array([not (special(each) or "x" in each) for each in texts], dtype=np.bool_)
    own = [each if fine else "0" for each, fine in zip(texts, decimal.tolist(), strict=True)]
    return Digits(
        decimal=decimal,
        significant=np.array([significant(each) for each in own], dtype=np.int64),
        last_place=np.array([last_place(each) for each in own], dtype=np.int64),
        padded=np.array([bool(re.search(r"\.[0-9]+0(?:[eE]|$)", each)) for each in own], dtype=np.bool_),
        bare=np.array([bool(re.fullmatch("[-+.0]+[eE].*", each)) for each in own], dtype=np.bool_),
    )


def last_place(text: str) -> int:
    """Return the exponent of ten of the last digit that a decimal text shows."""
    mantissa, _, exponent = text.lower().partition("e")
    return int(exponent or 0) - len(mantissa.partition(".")[2])


def special(text: str) -> bool:
    """Whether a text is NaN or an infinity."""
    return text.lstrip("-") in ("nan", "inf")


def half_units(found: Digits) -> Values:
    """Return half a unit of the last place of each number, 0 where it is no decimal."""
    places, at = np.unique(found.last_place, return_inverse=True)
    halves = np.array([float(f"5e{place - 1}") for place in places.tolist()])
    result: Values = np.where(found.decimal, halves[at.ravel()] if len(places) else 0.0, 0.0)
    return result
