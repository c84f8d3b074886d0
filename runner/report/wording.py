"""Values -> the short texts that the report shows; every rounding for display is here."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from runner.compare import exact
from runner.compare.setups import Setup

NOTHING = "\N{EN DASH}"
_DIGEST_CHARACTERS = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """A run of digits that agree with the published ones, or that differ."""

    text: str
    differs: bool


def distance(value: float | None) -> str:
    """Return a distance with three significant digits: `4.04e-8`."""
    if value is None:
        return NOTHING
    if value == 0 or not math.isfinite(value):
        return "0" if value == 0 else str(value)
    mantissa, _, exponent = f"{value:.2e}".partition("e")
    return f"{mantissa}e{int(exponent)}"


def count(value: int | None) -> str:
    """Return a whole number in groups of three: `12,345`."""
    return NOTHING if value is None else f"{value:,}"


def step(first: int | None) -> str:
    """Return the first differing step, or that there is none."""
    return "none" if first is None else str(first)


def decimal(hexadecimal: str, dtype: str) -> str:
    """Return an exact value with as many significant digits as tell its dtype's values apart."""
    return f"{float.fromhex(hexadecimal):.{exact.FORMS[dtype].digits}g}"


def setup(where: Setup) -> str:
    """Return a setup in words; the CPU and the default settings go without saying."""
    device = "" if where.device == "cpu" else f" on {where.device}"
    settings = "" if where.settings == "default" else f", settings {where.settings}"
    return f"{where.environment}{device}{settings}"


def digest(value: str | None) -> str:
    """Return the beginning of a digest."""
    return NOTHING if value is None else value.removeprefix("sha256:")[:_DIGEST_CHARACTERS]


def options(pairs: Iterable[tuple[str, str]]) -> str:
    """Return options as `name=value` words."""
    return " ".join(f"{name}={value}" for name, value in pairs) or NOTHING


def mapping(value: Any) -> str:
    """Return a part of a fingerprint as `name value` phrases; what is no mapping is shown as it is."""
    if not isinstance(value, Mapping):
        return NOTHING if value is None else str(value)
    return ", ".join(f"{name} {each}" for name, each in sorted(value.items())) or NOTHING


def listed(names: Iterable[str]) -> str:
    """Return names as a list in a sentence."""
    return ", ".join(names) or NOTHING


def marks(computed: str, published: str) -> tuple[Mark, ...]:
    """Split computed digits where they differ from the published ones; of another length: all differ."""
    if len(computed) != len(published):
        return (Mark(text=computed, differs=True),)
    pairs = [(character, character != other) for character, other in zip(computed, published, strict=True)]
    runs = groupby(pairs, key=lambda pair: pair[1])
    return tuple(Mark(text="".join(character for character, _ in run), differs=differs) for differs, run in runs)
