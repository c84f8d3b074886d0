"""Who is told what goes on; every room may have one."""

from contextlib import AbstractContextManager
from typing import Any, Protocol


class Listener(Protocol):
    """Takes lines for a person."""

    def say(self, text: str) -> None:
        """One line of text."""
        ...

    def warned(self, text: str) -> None:
        """Something could not be checked."""
        ...

    def progress(self, total: int) -> AbstractContextManager[Any]:
        """`total` runs follow, within this context."""
        ...
