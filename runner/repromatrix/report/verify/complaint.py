"""What a report says and the records do not: the value, and how its two sides are shown."""

import json
from dataclasses import dataclass
from typing import Any

_SHOWN = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Complaint:
    """What a report says and the records do not, or the other way round.

    Attributes:
        where: the sentence's id, or the part of the report.
        says: what the report has there.
        records: what the records say.
    """

    where: str
    says: str
    records: str


def differing(a: Any, b: Any) -> tuple[str, str]:
    """Return two values as texts, only their first differing part where both are mappings or lists of one length."""
    if isinstance(a, dict) and isinstance(b, dict):
        name = next(each for each in dict.fromkeys([*b, *a]) if a.get(each) != b.get(each))
        left, right = differing(a.get(name), b.get(name))
        return f"{name}: {left}", f"{name}: {right}"
    if isinstance(a, list) and isinstance(b, list) and len(a) == len(b):
        place = next(number for number, (x, y) in enumerate(zip(a, b, strict=True)) if x != y)
        left, right = differing(a[place], b[place])
        return f"[{place + 1}] {left}", f"[{place + 1}] {right}"
    return shown(a), shown(b)


def shown(value: Any) -> str:
    """Return a value as a text of bounded length."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
