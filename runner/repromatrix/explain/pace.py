"""How long runs took so far, and how long others may take by that: nothing is said before something was measured."""

from dataclasses import dataclass

_MINUTE = 60.0


@dataclass(slots=True, kw_only=True)
class Pace:
    """The runs that were measured, and the seconds that they took, side by side as they were."""

    runs: int = 0
    seconds: float = 0.0

    def add(self, runs: int, seconds: float) -> None:
        """Take another measurement; what took time without a run tells nothing of runs."""
        if runs:
            self.runs += runs
            self.seconds += seconds

    def of(self, runs: int) -> str | None:
        """Return how long so many runs may take, in words; None where none was measured."""
        return in_words(self.seconds / self.runs * runs) if self.runs and runs else None


def in_words(seconds: float) -> str:
    """Return a guessed time in words, no finer than a guess can be."""
    if seconds < 1.5 * _MINUTE:
        return f"about {max(10, round(seconds / 10) * 10)} s"
    return f"about {round(seconds / _MINUTE)} min"
