"""Values -> the short texts that the report shows; every rounding for display is here."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from repromatrix.compare.rules import NOT_STATED, Rule
from repromatrix.compare.size import number
from repromatrix.floats import FORMS
from repromatrix.published.setups import Setup
from repromatrix.results.record import Provenance, Record

NOTHING = "\N{EN DASH}"
NOT_PINNED = "not pinned"
_DIGEST_CHARACTERS = 12
_FEW_TERMS = 2
_FEW_NAMES = 5
_FRAMEWORKS = {"jax": "JAX", "keras": "Keras", "numpy": "NumPy", "tensorflow": "TensorFlow", "torch": "PyTorch"}
_ON_BACKENDS = frozenset({"keras"})  # their flavour names the framework that they compute with
_BASES = {
    "registry": "a container base from a registry",
    "local": "a container base made locally",
    "interpreter": "pinned Python interpreters on the host, no container",
    "here": "the Python at hand, not pinned",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """A run of digits that agree with the published ones, or that differ."""

    text: str
    differs: bool


def distance(value: float | None) -> str:
    """Return a distance with three significant digits: `4.04e-8`."""
    return NOTHING if value is None else number(value)


def count(value: int | None) -> str:
    """Return a whole number in groups of three: `12,345`."""
    return NOTHING if value is None else f"{value:,}"


def share(hexadecimal: str | None) -> str:
    """Return a share in percent; only all of it is 100%."""
    if hexadecimal is None:
        return NOTHING
    value = float.fromhex(hexadecimal)
    return ">99%" if 0.995 <= value < 1 else f"{value:.0%}"  # noqa: PLR2004 - what would be rounded to all of it


def step(first: int | None) -> str:
    """Return the first differing step, or that there is none."""
    return "none" if first is None else str(first)


def decimal(hexadecimal: str, dtype: str) -> str:
    """Return an exact value with as many significant digits as tell its dtype's values apart."""
    return f"{float.fromhex(hexadecimal):.{FORMS[dtype].digits}g}"


def setup(where: Setup) -> str:
    """Return a setup in words; the CPU, the default settings and being pinned go without saying."""
    device = "" if where.device == "cpu" else f" on {where.device}"
    settings = "" if where.settings == "default" else f", settings {where.settings}"
    return f"{where.environment}{device}{settings}{'' if where.pinned else f', {NOT_PINNED}'}"


def framework(name: str, flavour: str = "cpu", version: str = "") -> str:
    """Return a framework as it is known: `PyTorch 2.13.0`, `PyTorch 2.13.0 (cuda)`, `Keras 3.15.1 on JAX`."""
    known = " ".join(filter(None, (_FRAMEWORKS.get(name, name), version)))
    if name in _ON_BACKENDS:
        return f"{known} on {_FRAMEWORKS.get(flavour, flavour)}"
    return known if flavour == "cpu" else f"{known} ({flavour})"


def base(kind: str) -> str:
    """Return what cells ran on in words: a container's base, or none."""
    return _BASES.get(kind, kind)


def several(found: Iterable[str], most: int = _FEW_NAMES) -> str:
    """Return the first of some names, and how many more there are."""
    names = tuple(found)
    more = len(names) - most
    return " or ".join(names) if more <= 0 else f"{', '.join(names[:most])} and {more} more"


def place(variant: str, device: str, settings: str) -> str:
    """Return a variant with what is not plain about its place; the CPU and the default settings go without saying."""
    on = "" if device == "cpu" else f" on {device}"
    with_ = "" if settings == "default" else f", settings {settings}"
    return f"{variant}{on}{with_}"


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


def counted(number: int, word: str) -> str:
    """Return so many of a thing in words: `1 step`, `12 steps`."""
    return f"1 {word}" if number == 1 else f"{number:,} {word}s"


def cells(number: int) -> str:
    """Return so many cells in words."""
    return counted(number, "cell")


def pairs(number: int) -> str:
    """Return so many pairs in words."""
    return counted(number, "pair")


def environment_of(record: Record) -> tuple[str, Provenance | None, str]:
    """Return what a cell ran in: environment, provenance, and its fingerprint as sorted JSON."""
    seen = json.dumps(record.fingerprint, sort_keys=True, indent=1, ensure_ascii=False)
    return record.cell.environment, record.provenance, seen


def listed(names: Iterable[str]) -> str:
    """Return names as a list in a sentence."""
    return ", ".join(names) or NOTHING


def rule(found: Rule) -> tuple[str, ...]:
    """Return which cells a class has, in words; a cell of any part belongs: `float32; update parallel; any version`."""
    return rule_of([each.factors for each in found.terms], len(found.without))


def brief(terms: Sequence[tuple[tuple[str, tuple[str, ...]], ...]], without: int) -> str:
    """Return the beginning of a rule in words, and how many terms more it has."""
    said = [_term(each, short=True) for each in terms[:_FEW_TERMS]]
    more = len(terms) - _FEW_TERMS
    rest = [f"and {more} more {'term' if more == 1 else 'terms'}"] if more > 0 else []
    listed_ = [f"and {cells(without)} that no rule tells from other classes"] if without else []
    return ", ".join((", or: ".join(said), *rest, *listed_)) if said else f"{cells(without)} that no rule describes"


def rule_of(terms: Iterable[tuple[tuple[str, tuple[str, ...]], ...]], without: int) -> tuple[str, ...]:
    """Return a rule in words from its terms' (factor, values) pairs and how many cells it lists instead."""
    rest = [f"{cells(without)} that no rule tells from other classes"] if without else []
    parts = [*map(_term, terms), *rest]
    return tuple(f"{'or: ' if place else ''}{each}" for place, each in enumerate(parts))


def _term(factors: tuple[tuple[str, tuple[str, ...]], ...], *, short: bool = False) -> str:
    named = dict(factors)
    words = [_factor(name, values, short=short) for name, values in factors]
    if not {"version", "framework"} & named.keys():
        words.append("any framework and version that ran")
    elif "version" not in named:
        words.append("any version that ran")
    return "; ".join(words)


def _factor(name: str, values: tuple[str, ...], *, short: bool = False) -> str:
    stated = [each for each in values if each != NOT_STATED]
    if name in {"framework", "version"}:
        stated = [_built(each) for each in stated]
    # A dtype, a framework, or a version with its framework, says by itself what it is.
    names = [*stated, *(["not stated"] if len(stated) < len(values) else [])]
    said = several(names) if short else " or ".join(names)
    return said if name in {"dtype", "framework", "version"} else f"{name} {said}"


def _built(value: str) -> str:
    """Return a rule's `framework/flavour version` in words."""
    built, _, version = value.partition(" ")
    name, _, flavour = built.partition("/")
    return framework(name, flavour or "cpu", version)


def marks(computed: str, published: str) -> tuple[Mark, ...]:
    """Split computed digits where they differ from the published ones; of another length: all differ."""
    if len(computed) != len(published):
        return (Mark(text=computed, differs=True),)
    pairs = [(character, character != other) for character, other in zip(computed, published, strict=True)]
    runs = groupby(pairs, key=lambda pair: pair[1])
    return tuple(Mark(text="".join(character for character, _ in run), differs=differs) for differs, run in runs)
