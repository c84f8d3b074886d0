"""What commands print on standard output and standard error; nothing else in `cli` prints."""

import json
import sys
from typing import Any

from repromatrix import harmless


def say(text: str = "", *, end: str = "\n") -> None:
    """Print a result for a person; what of it others wrote steers nothing."""
    sys.stdout.write(harmless.lines(text) + end)


def document(value: Any, *, indent: int | None = None, separators: tuple[str, str] | None = None) -> None:
    """Print a result for programs: JSON, all ASCII."""
    sys.stdout.write(harmless.json_text(json.dumps(value, indent=indent, separators=separators)) + "\n")


def presented(text: str) -> None:
    """Print a result that is a whole document already: harmless where it is shown, made by who knows its form."""
    sys.stdout.write(text)


def complain(text: str) -> None:
    """Print a message on standard error, in as many lines as it has."""
    print(harmless.lines(text), file=sys.stderr, flush=True)
