"""A value as a processor stores it: by fractions and `struct`, apart from the report's own way."""

import math
import struct
from fractions import Fraction

from repromatrix.floats import FORMS

_STORED = {"float64": (">d", 8), "float32": (">f", 4), "float16": (">e", 2), "bfloat16": (">f", 4)}


def stored(text: str, form: str) -> str:
    """Return the bits of the nearest value of a format."""
    return _bits(_rounded(float.fromhex(text), form), form)


def _rounded(value: float, form: str) -> float:
    """Return the nearest value of a format, ties to even, by fractions."""
    if not math.isfinite(value) or value == 0:
        return value
    _, exponent = math.frexp(value)
    shape = FORMS[form]
    smallest = 3 - (1 << (shape.exponent_bits - 1)) - shape.precision
    unit = Fraction(2) ** max(exponent - shape.precision, smallest)
    nearest = round(Fraction(value) / unit) * unit
    largest = (2 - Fraction(2) ** (1 - shape.precision)) * Fraction(2) ** ((1 << (shape.exponent_bits - 1)) - 1)
    return math.copysign(math.inf if abs(nearest) > largest else float(nearest), value)


def _bits(value: float, form: str) -> str:
    """Return the bits that a processor stores for a value of a format; bfloat16 is the upper half of float32."""
    if math.isnan(value):
        shape = FORMS[form]  # the quiet one: all of the exponent and the first bit behind it
        width = shape.exponent_bits + shape.precision
        ones = (1 << (shape.exponent_bits + 1)) - 1
        return f"0x{ones << (shape.precision - 2):0{width // 4}x}"
    kind, size = _STORED[form]
    data = struct.pack(kind, value)
    return f"0x{data[: 2 if form == 'bfloat16' else size].hex()}"
