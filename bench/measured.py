"""A page of the documentation whose measured part a command writes, between two marks."""

from pathlib import Path

from repromatrix.resources import write_atomically

END = "<!-- end of what is measured -->\n"


def begin(command: str) -> str:
    """Return the mark behind which the measured part of a command begins."""
    return f"<!-- measured: written by {command}, do not edit -->\n"


def write(path: Path, text: str, command: str) -> None:
    """Put the text between the marks of a page.

    Raises:
        ValueError: the page has no such marks.
    """
    page = path.read_text(encoding="utf-8")
    before, mark, rest = page.partition(begin(command))
    _, end, after = rest.partition(END)
    if not mark or not end:
        raise ValueError(f"{path} lacks the marks between which the measured part stands")
    write_atomically(path, f"{before}{mark}\n{text}\n{END}{after}".encode())
