"""The measured part of docs/reliability.md."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from bench.torture.tally import Tally
from repromatrix.resources import write_atomically

BEGIN = "<!-- measured: written by make torture, do not edit -->\n"
END = "<!-- end of what is measured -->\n"


def write(path: Path, text: str) -> None:
    """Put the text between the marks of a page.

    Raises:
        ValueError: the page has no such marks.
    """
    page = path.read_text(encoding="utf-8")
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{path} lacks the marks between which the measured part stands")
    write_atomically(path, f"{before}{BEGIN}\n{text}\n{END}{after}".encode())


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
