"""The losses of one run as somebody else wrote them: numbers as text, checked one by one, with the line of a mistake.

Nothing is rounded here: a number stays the text that stands in the file, since how many digits were printed matters.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from repromatrix.errors import UsageError

# What the column or the key is usually called.
STEPS = ("step", "steps", "global_step", "iteration", "iter", "epoch")  # the finer before the coarser
LOSSES = ("loss", "losses", "train_loss", "train/loss", "value")
_LONG_STEP = 16  # characters
_MOST_CHARACTERS = 1200  # of one number; the exact decimal text of a float64 is shorter
_DECIMAL = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,4})?")
_HEXADECIMAL = re.compile(r"([+-]?)0[xX]([0-9a-fA-F]*)\.?([0-9a-fA-F]*)(?:[pP]([+-]?[0-9]{1,5}))?")
_SPECIAL = re.compile(r"([+-]?)(nan|inf|infinity)", re.IGNORECASE)
_EXPECTED = "a decimal or C99 hexadecimal number that float64 holds, nan or inf"


@dataclass(frozen=True, slots=True, kw_only=True)
class Log:
    """The losses of one run.

    Attributes:
        name: its place in the file (`a/losses`), empty where the file holds one run.
        texts: the numbers as they are written, hexadecimal ones in Python's spelling; `nan`, `inf`, `-inf`.
        first_step: 0 or 1, as the file counts; 1 where it has no steps.
        steps: the step of each number where some are left out, as in a log of every tenth step; else None.
        skipped: how many entries without a loss are left out.
    """

    name: str
    texts: tuple[str, ...]
    first_step: int
    steps: tuple[int, ...] | None = None
    skipped: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One loss with its step, and where it stands; `optional`: without a loss it is left out, no mistake."""

    line: Callable[[], int]
    step: Any
    loss: Any
    optional: bool = False


def number(value: Any) -> str | None:
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


def log(name: str, items: Iterable[Item], where: str) -> Log:
    """Check every loss and every step of a run.

    Raises:
        UsageError: not a number, or a step that stands twice or out of order; with the line.
    """
    texts: list[str] = []
    steps: list[int] = []
    skipped, place = 0, f"{name}: " if name else ""
    for item in items:
        if item.optional and item.loss is None:
            skipped += 1
            continue
        found = number(item.loss)
        if found is None:
            shown = "nothing" if item.loss is None else f"{item.loss!r}"[:60]
            hint = "write the decimal point as ." if re.fullmatch(r"[+-]?\d+,\d+", str(item.loss)) else "mend that line"
            raise UsageError(f"{place}{shown} where {_EXPECTED} is due", where=f"{where}:{item.line()}", hint=hint)
        if item.step is not None:
            step = _step(item, place, where)
            if len(steps) < len(texts) or (steps and step <= steps[-1]):
                raise _wrong_step(step, steps[-1] if steps else None, f"{where}:{item.line()}", place)
            steps.append(step)
        elif steps:
            hint = "give every loss its step, or none"
            raise UsageError(f"{place}a loss without a step", where=f"{where}:{item.line()}", hint=hint)
        texts.append(found)
    first = steps[0] if steps and steps[0] in (0, 1) else 1
    whole = not steps or steps == list(range(first, first + len(steps)))
    return Log(name=name, texts=tuple(texts), first_step=first, steps=None if whole else tuple(steps), skipped=skipped)


def _step(item: Item, place: str, where: str) -> int:
    if isinstance(item.step, str) and item.step.isascii() and item.step.isdecimal() and len(item.step) < _LONG_STEP:
        return int(item.step)
    if not re.fullmatch(r"[0-9]{1,15}(\.0+)?", str(item.step).strip()):
        raise UsageError(
            f"{place}{str(item.step)[:60]!r} where a step, a whole number from 0 or 1 on, is due",
            where=f"{where}:{item.line()}",
            hint="mend that line, or leave the steps out: lines are then counted from 1",
        )
    return int(float(item.step))


def _wrong_step(step: int, last: int | None, where: str, place: str) -> UsageError:
    if last is None:
        what = f"step {step} after a loss without a step"
    elif step == last:
        what = f"step {step} stands twice"
    else:
        what = f"step {step} after step {last}: out of order, or twice"
    return UsageError(
        f"{place}{what}", where=where, hint="give every step once, in order; without steps the lines are counted from 1"
    )
