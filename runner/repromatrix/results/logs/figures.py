"""Numbers as text, many at once: decimal or C99 hexadecimal, `nan`, `inf`; decimal commas and thousands told apart."""

import re
from collections.abc import Iterable, Sequence
from enum import StrEnum
from fractions import Fraction

import numpy as np
import numpy.typing as npt

_MOST_CHARACTERS = 1200  # of one number; the exact decimal text of a float64 is shorter
_TELLING = 9  # digits: more than a float32 needs
_NOT_PLAIN = re.compile(r"[^0-9+\-.eE\n]")
_DECIMAL = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,4})?")
_HEXADECIMAL = re.compile(r"([+-]?)0[xX]([0-9a-fA-F]*)\.?([0-9a-fA-F]*)(?:[pP]([+-]?[0-9]{1,5}))?")
_SPECIAL = re.compile(r"([+-]?)(nan|inf|infinity)", re.IGNORECASE)
_DECIMAL_COMMA = re.compile(r"[+-]?(?:[0-9]{1,3}(?:\.[0-9]{3})+|[0-9]*),[0-9]+(?:[eE][+-]?[0-9]{1,4})?")
_THOUSANDS = re.compile(r"[+-]?[0-9]{1,3}(?:,[0-9]{3})+(?:\.[0-9]*)?")
# One point behind it or two of them; a zero before it, or no three digits behind it.
_SURELY_THOUSANDS = re.compile(r"^[+-]?[1-9][0-9]{0,2}(?:(?:,[0-9]{3})+\.|(?:,[0-9]{3}){2,}$)", re.MULTILINE)
_SURELY_DECIMAL = re.compile(r"^[+-]?(?:0*,[0-9]+|[0-9.]*,(?:[0-9]{1,2}|[0-9]{4,}))(?:[eE][+-]?[0-9]+)?$", re.MULTILINE)
EXPECTED = "a decimal or C99 hexadecimal number that float64 holds, nan or inf"
NOTHING = frozenset(("", "null", "none", "n/a", "na", "-", "--", "None", "NULL", "Null", "N/A", "NA"))

Values = npt.NDArray[np.float64]


class Comma(StrEnum):
    """What a comma in a number stands for."""

    DECIMAL = "decimal"
    THOUSANDS = "thousands"


def number(value: object) -> str | None:
    """Return a number as text that `float` or `float.fromhex` reads; None: not a number of ours, or beyond float64."""
    if not isinstance(value, str) or not 0 < len(value) <= _MOST_CHARACTERS:
        return None
    text = value.strip()
    if _DECIMAL.fullmatch(text):
        return text if abs(float(text)) != float("inf") else None
    if special := _SPECIAL.fullmatch(text):
        sign, word = special.groups()
        return "nan" if word.lower() == "nan" else "-inf" if sign == "-" else "inf"
    found = _HEXADECIMAL.fullmatch(text)
    return _hexadecimal(text, *found.groups()) if found else None


def _hexadecimal(text: str, sign: str, whole: str, part: str, exponent: str | None) -> str | None:
    if not whole + part:
        return None
    try:
        value = float.fromhex(text)
    except OverflowError:
        return None
    size = int(whole + part, 16) * Fraction(2) ** (int(exponent or 0) - 4 * len(part))
    return value.hex() if Fraction(value) == (-size if sign == "-" else size) else None  # more bits than float64 has


def value(text: str) -> float:
    """Return the float64 nearest to a text that `number` returned."""
    return float.fromhex(text) if "x" in text else float(text)


def parse(texts: Sequence[str]) -> tuple[Values, str] | int:
    """Return the values of texts and the texts themselves, joined by line feeds; else the place of the first wrong one.

    Every text is taken as `number` takes it; numbers without letters are read all at once, one that stands everywhere
    once.
    """
    if len(texts) > 1 and texts[0] == texts[-1] and texts.count(texts[0]) == len(texts):
        one = parse(texts[:1])
        return one if isinstance(one, int) else (np.full(len(texts), one[0]), "\n".join([one[1]] * len(texts)))
    joined = "\n".join(texts)
    if not _NOT_PLAIN.search(joined) and len(joined) <= _MOST_CHARACTERS * max(len(texts), 1):
        try:
            values = np.fromiter(map(float, texts), dtype=np.float64, count=len(texts))
        except ValueError:
            pass
        else:
            if np.isfinite(values).all() and max(map(len, texts), default=0) <= _MOST_CHARACTERS:
                return values, joined
    kept = []
    for at, each in enumerate(texts):
        found = number(each)
        if found is None:
            return at
        kept.append(found)
    return np.fromiter(map(value, kept), dtype=np.float64, count=len(kept)), "\n".join(kept)


def told(values: Values, joined: str) -> str | None:
    """Return float32 where every number is one and one has more digits than that needs, as Python prints one.

    Args:
        values: the numbers.
        joined: their texts, by line feeds.
    """
    finite = np.isfinite(values)
    with np.errstate(over="ignore"):
        back = values.astype(np.float32).astype(np.float64)
    if "x" in joined or not (back[finite] == values[finite]).all():
        return None
    texts = joined.split("\n")
    return "float32" if max(map(len, texts)) > _TELLING and any(map(_long, texts)) else None


def _long(text: str) -> bool:
    """Whether a text has more digits than a float32 needs, zeros at its end aside, which Python does not print."""
    mantissa = text.lower().partition("e")[0]
    return significant(mantissa.rstrip("0") if "." in mantissa else mantissa) > _TELLING


def significant(text: str) -> int:
    """Return how many significant digits a decimal text shows; a zero shows one."""
    mantissa = text.lower().partition("e")[0]
    return len(mantissa.lstrip("+-0.").replace(".", "")) or 1


def like(text: str) -> bool:
    """Whether a cell may be a number, commas included."""
    return number(text) is not None or bool(_DECIMAL_COMMA.fullmatch(text) or _THOUSANDS.fullmatch(text))


def comma(texts: Iterable[str]) -> Comma | None:
    """Return what the commas of a file stand for, by any number that shows it; None: no number does."""
    joined = "\n".join(texts)
    if _SURELY_THOUSANDS.search(joined):
        return Comma.THOUSANDS
    return Comma.DECIMAL if _SURELY_DECIMAL.search(joined) else None


def without_commas(texts: Sequence[str], stands_for: Comma) -> Sequence[str]:
    """Return numbers with a decimal point and no thousands; those that are not so written stay as they are."""
    return [without_comma(each, stands_for) for each in texts] if "," in "\n".join(texts) else texts


def without_comma(text: str, stands_for: Comma) -> str:
    """Return a number with a decimal point and no thousands; one that is not so written stays as it is."""
    if "," not in text:
        return text
    if stands_for is Comma.THOUSANDS:
        return text.replace(",", "") if _THOUSANDS.fullmatch(text) else text
    return text.replace(".", "").replace(",", ".") if _DECIMAL_COMMA.fullmatch(text) else text
