"""A sentence of the report, with the cells and the exact values that it stands on.

The pages print sentences, report.json carries them with their values, and `repromatrix verify` holds those values
against the records that other code can compute again. Floats are hexadecimal text.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from repromatrix.report import wording
from repromatrix.report.plain import plain

_LONGEST = 240


@dataclass(frozen=True, slots=True, kw_only=True)
class Sentence:
    """What the report says.

    Attributes:
        id: what it is called; stable as long as it is about the same.
        kind: what sort of thing it says, as `class_of`; sentences of a kind have the same names of values.
        text: as it is printed.
        cells: ids of the cells that it is about.
        values: everything that it says, as JSON values.
        shown: whether index.html prints it; report.json has every sentence.
    """

    id: str
    kind: str
    text: str
    cells: tuple[str, ...]
    values: Mapping[str, Any]
    shown: bool = True

    def document(self) -> dict[str, Any]:
        """Return the sentence as report.json has it."""
        return {"id": self.id, "kind": self.kind, "text": self.text, "cells": list(self.cells), "values": self.values}


def sentence(
    kind: str, name: str, text: str, cells: tuple[str, ...] = (), /, *, shown: bool = True, **values: Any
) -> Sentence:
    """Return a sentence of a kind; `name` is its id, `values` what it stands on."""
    return Sentence(id=name, kind=kind, text=text, cells=cells, values=plain(values), shown=shown)


def measured(
    first: int | None,
    max_abs: str | None,
    max_ulp: int | None,
    *,
    dtype: str | None,
    judged: str | None,
    reason: str | None = None,
) -> str:
    """Return what follows a verdict: where it begins, how far it goes, who judged, why where nobody could."""
    parts = []
    if first is not None:
        parts.append(f"first at step {first}")
    if first is not None and max_abs is not None:
        parts.append(f"at most {wording.distance(float.fromhex(max_abs))}, {wording.count(max_ulp)} ULP of {dtype}")
    if judged:
        parts.append(f"judged by {judged}")
    if reason:
        parts.append(reason)
    return f" ({'; '.join(parts)})" if parts else ""


def short(text: str) -> str:
    """Return a sentence as report.md has it: on one line, cut between words where it is very long."""
    line = " ".join(text.split())
    if len(line) <= _LONGEST:
        return line
    kept = line[: _LONGEST - 2]
    return f"{kept[: kept.rfind(' ')] if ' ' in kept else kept} …"


def hexadecimal(value: float | None) -> str | None:
    """Return a float as exact text."""
    return None if value is None else float(value).hex()
