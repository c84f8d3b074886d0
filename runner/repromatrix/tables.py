"""Rows of texts -> a table for a terminal, or for Markdown."""

from collections.abc import Iterable, Iterator, Sequence

from repromatrix import harmless


def aligned(rows: Iterable[Sequence[str]]) -> list[str]:
    """Return a line a row, its columns as wide as their widest text."""
    every = list(rows)
    widths = [max(map(len, column)) for column in zip(*every, strict=True)]
    return ["  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip() for row in every]


def grid(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """Yield the lines of a table in Markdown; `head` is ours, what the rows hold is made harmless."""
    yield f"| {' | '.join(head)} |"
    yield f"|{' --- |' * len(head)}"
    for row in rows:
        yield f"| {' | '.join(map(harmless.markdown, row))} |"
