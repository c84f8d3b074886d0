"""The measured part of docs/reliability.md."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from bench import measured as measured_page
from bench.torture.tally import Tally

COMMAND = "make torture"


def write(path: Path, text: str) -> None:
    """Put the text between the marks of a page.

    Raises:
        ValueError: the page has no such marks.
    """
    measured_page.write(path, text, COMMAND)


def measured(parts: Iterable[tuple[str, Sequence[Tally]]], left_out: Sequence[str]) -> str:
    """Return a table for each part, and what failed."""
    lines: list[str] = []
    failures: list[str] = []
    for title, tallies in parts:
        lines += [f"### {title}", "", "| what | tried | what came of it | failures |", "|---|--:|---|--:|"]
        for each in tallies:
            seen = ", ".join(f"{count} {name}" for name, count in sorted(each.seen.items()))
            lines.append(f"| {each.title} | {each.tried:,} | {seen} | {len(each.failures)} |")
            failures += each.failures
        tried = sum(each.tried for each in tallies)
        lines += [f"| **together** | {tried:,} | | {sum(len(each.failures) for each in tallies)} |", ""]
    lines += [f"Left out on this machine: {'; '.join(left_out) or 'nothing'}.", ""]
    lines.append(f"Failures: {len(failures)}." if failures else "Failures: none.")
    lines += ["", *(f"- `{' '.join(each.split())[:300]}`" for each in failures)] if failures else []
    return "\n".join(lines) + "\n"
