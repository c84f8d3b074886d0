"""Binary floating-point formats: the places of their values, neighbours, ULPs. Exact, standard library only.

Every format here is exact in float64, so a Python float holds any of their values.
"""

import math
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """A binary floating-point format (IEEE 754-2019, table 3.5; bfloat16 is the upper half of binary32).

    Attributes:
        precision: significant bits, the hidden one included.
        exponent_bits: width of the exponent field.
        digits: significant decimal digits that tell any two of its values apart.
    """

    precision: int
    exponent_bits: int
    digits: int

    @property
    def least(self) -> int:
        """The exponent of the smallest subnormal: it is 2**least."""
        return 3 - (1 << (self.exponent_bits - 1)) - self.precision

    @property
    def infinity(self) -> int:
        """The place of infinity among the ordered bit patterns."""
        return ((1 << self.exponent_bits) - 1) << (self.precision - 1)


FORMS = {
    "float64": Form(precision=53, exponent_bits=11, digits=17),
    "float32": Form(precision=24, exponent_bits=8, digits=9),
    "float16": Form(precision=11, exponent_bits=5, digits=5),
    "bfloat16": Form(precision=8, exponent_bits=8, digits=4),
}


def coarser(a: str, b: str) -> str:
    """Return the dtype with fewer significant bits; ULPs across dtypes are counted in it."""
    return min(a, b, key=lambda name: FORMS[name].precision)


def ordinal(value: float, dtype: str) -> int:
    """Return the place of `value` among the values of `dtype`, negative below zero; both zeros are 0.

    Neighbours differ by one, through the subnormals and up to infinity. A value that the dtype lacks is
    first rounded to it, ties to even.

    Raises:
        ValueError: NaN has no place.
    """
    if math.isnan(value):
        raise ValueError("NaN has no place among the ordered values")
    form = FORMS[dtype]
    if value == 0:
        return 0
    if math.isinf(value):
        place = form.infinity
    else:
        unit = max(math.frexp(value)[1] - form.precision, form.least)
        # ldexp is exact here: the result has no more bits than `value`, and round() ties to even.
        significand = round(math.ldexp(abs(value), -unit))
        place = min(significand + ((unit - form.least) << (form.precision - 1)), form.infinity)
    return place if value > 0 else -place


def at(place: int, dtype: str) -> float:
    """Return the value at a place; the inverse of `ordinal`.

    Raises:
        ValueError: beyond infinity.
    """
    form = FORMS[dtype]
    if abs(place) > form.infinity:
        raise ValueError(f"{dtype} has no place {place}")
    if abs(place) == form.infinity:
        return math.copysign(math.inf, place)
    hidden = 1 << (form.precision - 1)
    binade, rest = divmod(abs(place), hidden)
    # Subnormals are the binade 0; from 1 on the hidden bit is set.
    significand, unit = (rest, form.least) if binade == 0 else (rest + hidden, form.least + binade - 1)
    return math.copysign(math.ldexp(significand, unit), place)


def ulp(value: float, dtype: str) -> float:
    """Return the distance from |value| to the next larger value of `dtype`; NaN and infinity have none: NaN."""
    if not math.isfinite(value):
        return math.nan
    place = abs(ordinal(value, dtype))
    return at(place + 1, dtype) - at(place, dtype)


def nearest(text: str, dtype: str) -> float:
    """Return the value of `dtype` nearest to a decimal text, ties to even, rounded once.

    Raises:
        ValueError: not a finite number.
    """
    number = Decimal(text)
    if not number.is_finite():
        raise ValueError(f"{text} is not a finite number")
    exact = Fraction(number)
    if not exact:
        return math.copysign(0.0, -1.0 if number.is_signed() else 1.0)
    form, size = FORMS[dtype], abs(exact)
    # floor(log2(size)), from the lengths of numerator and denominator and one comparison.
    exponent = size.numerator.bit_length() - size.denominator.bit_length()
    exponent -= size < Fraction(2) ** exponent
    unit = max(exponent + 1 - form.precision, form.least)
    significand = round(size / Fraction(2) ** unit)
    place = min(significand + ((unit - form.least) << (form.precision - 1)), form.infinity)
    return at(place if exact > 0 else -place, dtype)


def neighbour(text: str, dtype: str, places: int) -> str:
    """Return, as exact decimal text, the value of `dtype` that lies `places` above the one nearest to `text`."""
    value = at(ordinal(nearest(text, dtype), dtype) + places, dtype)
    return format(Decimal(value), "f")
