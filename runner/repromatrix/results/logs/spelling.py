"""How a file spells its numbers: so many digits behind the point, an exponent, all digits; a number spelt likewise."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Context, Decimal
from enum import StrEnum
from typing import Any

import numpy as np

_EXPONENT = re.compile(r"([eE])([+-]?)(0*)[0-9]*$")
_OF_FLOAT64, _OF_FLOAT32 = 15, 9  # more significant digits than a writer of fewer would give
_EXACT = Context(prec=1200, rounding=ROUND_HALF_EVEN)


class Kind(StrEnum):
    """What a writer kept the same from number to number."""

    HEXADECIMAL = "hexadecimal"
    PLACES = "places"  # digits behind the point: `%.4f`
    ROUNDED = "rounded"  # at most so many: `round(x, 4)`
    SCIENTIFIC = "scientific"  # digits behind the point of a mantissa: `%.4e`
    SIGNIFICANT = "significant"  # at most so many digits in all: `%.6g`
    SHORTEST = "shortest"  # as many as tell a float64 apart, as Python prints it
    SHORTEST32 = "shortest of float32"  # as many as tell a float32 apart, as NumPy prints it
    FLOAT32 = "float32"  # one, printed as Python prints it: all digits of the float64 that it is


@dataclass(frozen=True, slots=True, kw_only=True)
class Style:
    """A spelling; `count`: of the digits that the kind is about."""

    kind: Kind
    count: int = 0
    mark: str = "e"
    signed: bool = False
    wide: bool = True
    point: bool = True

    @property
    def whole(self) -> bool:
        """Whether its digits tell the whole number that the writer had."""
        return self.kind in {Kind.HEXADECIMAL, Kind.SHORTEST, Kind.SHORTEST32, Kind.FLOAT32}

    def spell(self, value: Decimal) -> str:
        """Return a finite number, rounded once, as the file's own are written."""
        number = float(value)
        if self.kind is Kind.HEXADECIMAL:
            return number.hex()
        if self.kind in {Kind.PLACES, Kind.ROUNDED}:
            text = f"{_EXACT.quantize(value, Decimal((0, (1,), -self.count))):f}"
            return text if self.kind is Kind.PLACES else self._stripped(text)
        if self.kind is Kind.SIGNIFICANT:
            return self._significant(value)
        spelt = {
            Kind.SCIENTIFIC: f"{value:.{self.count}e}",
            Kind.SHORTEST32: str(np.float32(number)),
            Kind.FLOAT32: repr(float(np.float32(number))),
        }
        return self._with_exponent(spelt.get(self.kind, repr(number)))

    def _significant(self, value: Decimal) -> str:
        text = f"{float(value):.{self.count}g}" if self.count <= _OF_FLOAT64 else repr(float(value))
        return self._with_exponent(text) if "e" in text else self._stripped(text)

    def _stripped(self, text: str) -> str:
        if "." not in text:
            return f"{text}.0" if self.point else text
        bare = text.rstrip("0").rstrip(".")
        return f"{bare}.0" if self.point and "." not in bare else bare

    def _with_exponent(self, text: str) -> str:
        mantissa, mark, exponent = text.lower().partition("e")
        if not mark:
            return text
        size = f"{abs(int(exponent)):02d}" if self.wide else str(abs(int(exponent)))
        sign = "-" if int(exponent) < 0 else "+" if self.signed else ""
        return f"{mantissa}{self.mark}{sign}{size}"


def style(texts: Sequence[str]) -> Style:
    """Return how texts, as the reader gives them, are spelt; those that are no finite numbers say nothing."""
    own = [each.lstrip("+-") for each in texts if not each.lstrip("+-")[:1].isalpha()]
    if any("x" in each for each in own):
        return Style(kind=Kind.HEXADECIMAL)
    mantissas = [re.split("[eE]", each)[0] for each in own]
    exponents = [found for each in own if (found := _EXPONENT.search(each))]
    marks: dict[str, Any] = {
        "mark": exponents[0][1] if exponents else "e",
        "signed": any(each[2] == "+" for each in exponents) or not any(int(each[0][1:]) > 0 for each in exponents),
        "wide": not any(len(each[0].lstrip("eE+-")) == 1 for each in exponents),
    }
    places = [len(each.partition(".")[2]) for each in mantissas]
    significant = [len(each.replace(".", "").lstrip("0")) for each in mantissas]
    point = all("." in each for each in mantissas) if not exponents else any("." in each for each in mantissas)
    most, behind = max(significant, default=1), max(places, default=0)
    if len(exponents) == len(own) and len({*places}) == 1:
        return Style(kind=Kind.SCIENTIFIC, count=behind, **marks)
    shortest = _shortest(own, most)
    if shortest is not None:
        return Style(kind=shortest, **marks)
    if not exponents and len({*places}) == 1:
        return Style(kind=Kind.PLACES, count=behind)
    rounds = not exponents and sum(each == behind for each in places) >= sum(each == most for each in significant)
    if rounds:
        return Style(kind=Kind.ROUNDED, count=behind, point=point)
    return Style(kind=Kind.SIGNIFICANT, count=most, point=point, **marks)


def _shortest(texts: Sequence[str], most: int) -> Kind | None:
    """Return the kind of texts that a writer of the shortest text gives; None: they are shorter than that."""
    if most < _OF_FLOAT32 - 1:
        return None
    values = np.array([float(each) for each in texts])
    with np.errstate(over="ignore"):
        narrow = values.astype(np.float32)
    if most > _OF_FLOAT32 and (narrow.astype(np.float64) == values).all():
        return Kind.FLOAT32
    if most <= _OF_FLOAT32:
        same = all(float(str(each)) == value for each, value in zip(narrow, values.tolist(), strict=True))
        return Kind.SHORTEST32 if same else None
    return Kind.SHORTEST if most >= _OF_FLOAT64 else None
