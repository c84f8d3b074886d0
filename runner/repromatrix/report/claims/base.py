"""What a report says, as typed claims: each with the cells and the exact values that it stands on.

A claim's id and sentence are made from its values alone, so that neither can say anything else. The pages print the
sentences, report.json carries the claims, and `repromatrix verify` recomputes every one of them from the records.
Floats are hexadecimal text.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, ClassVar, TypeVar

from repromatrix.report import wording

_LONGEST = 240
_C = TypeVar("_C", bound="Claim")


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A sentence of the report.

    Attributes:
        kind: its type's name as it stands in report.json.
        cells: ids of the cells that it is about.
    """

    kind: ClassVar[str]

    cells: tuple[str, ...]

    @property
    def id(self) -> str:
        """What it is called; stable as long as it is about the same."""
        return self._id()

    @property
    def text(self) -> str:
        """The sentence as printed."""
        return self._text()

    @property
    def values(self) -> dict[str, Any]:
        """Everything that it says, as JSON values; floats as hexadecimal text."""
        return self._values()

    def document(self) -> dict[str, Any]:
        """Return the claim as report.json has it."""
        return {
            "id": self.id,
            "kind": self.kind,
            "text": self.text,
            "cells": list(self.cells),
            "values": self.values,
        }

    def _id(self) -> str:
        raise NotImplementedError

    def _text(self) -> str:
        raise NotImplementedError

    def _values(self) -> dict[str, Any]:
        return {each.name: _plain(getattr(self, each.name)) for each in fields(self) if each.name != "cells"}


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


def of_kind(claims: Sequence[Claim], kind: type[_C]) -> tuple[_C, ...]:
    """Return the claims of one kind, in order."""
    return tuple(each for each in claims if isinstance(each, kind))


def _plain(value: Any) -> Any:
    return [_plain(each) for each in value] if isinstance(value, tuple) else value
