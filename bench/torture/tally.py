"""What was tried and what came of it."""

from collections import Counter
from dataclasses import dataclass, field


@dataclass(slots=True, kw_only=True)
class Tally:
    """One row of the page.

    Attributes:
        title: what was tried.
        tried: how many times.
        seen: what came of it, counted.
        failures: how to see again what must not come of it, and what did.
    """

    title: str
    tried: int = 0
    seen: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)

    def add(self, outcome: str, problems: list[str] | None = None) -> None:
        """Count one try."""
        self.tried += 1
        self.seen[outcome] += 1
        self.failures += problems or []
