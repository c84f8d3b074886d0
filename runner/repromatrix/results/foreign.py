"""Loss logs that others wrote -> their runs: CSV, JSON, JSON lines, columns, one number a line."""

import csv
import io
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from repromatrix.errors import UsageError
from repromatrix.results import log_json
from repromatrix.results.log import LOSSES, STEPS, Item, Log, log, number

MOST_BYTES = 64 << 20


def read(path: Path, column: str | None = None) -> tuple[Log, ...]:
    """Read the runs of a file.

    Args:
        path: the file.
        column: the name of the column or key with the losses, where it has none of the usual names.

    Raises:
        UsageError: no such file, too large, no text, or not of a known form; with the line.
    """
    return parse(read_bytes(path), str(path), column)


def read_bytes(path: Path) -> bytes:
    """Return a file's content.

    Raises:
        UsageError: it is not there, is no file, or is too large.
    """
    if not path.is_file():
        raise UsageError(
            "no such file", where=str(path), hint="name a file, a results folder, or a cell of the results"
        )
    if path.stat().st_size > MOST_BYTES:
        raise UsageError(
            f"larger than {MOST_BYTES >> 20} MiB", where=str(path), hint="keep the step and the loss of each line"
        )
    return path.read_bytes()


def parse(data: bytes, where: str, column: str | None = None) -> tuple[Log, ...]:
    """Read the runs of a file's content; `where` is its path in messages.

    Raises:
        UsageError: not of a known form; with the line.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        text = "\0" * (data.count(b"\n", 0, error.start) + 1)
    if "\0" in text:
        raise UsageError("not a text file", where=where, hint="give the losses as CSV, JSON or plain numbers")
    names = (column,) if column else LOSSES
    start = text.lstrip()[:1]
    if start == "{" and log_json.is_lines(text):
        logs = [log("", log_json.of_lines(text, where, names), where)]
    elif start in ("{", "["):
        logs = list(log_json.logs(log_json.document(text, where), text, where, names))
    else:
        logs = [log("", _rows(text, where, names, named=column is not None), where)]
    if not logs or not all(each.texts for each in logs):
        raise UsageError("holds no losses", where=where, hint=f"give a column or a key {' or '.join(names[:2])}")
    return tuple(logs)


def _rows(text: str, where: str, names: Sequence[str], *, named: bool) -> Iterator[Item]:
    """Yield the rows of a table with or without a header: one column is the loss, two are step and loss."""
    lines = ((at, line.strip()) for at, line in enumerate(text.splitlines(), start=1))
    filled = [(at, line) for at, line in lines if line and not (line.startswith("#") and not _names(line[1:], names))]
    if not filled:
        return
    at, head = filled[0]
    delimiter = _delimiter(head)
    header = _cells(head.lstrip("# "), delimiter)
    step, loss, width, headed = None, 0, len(header), False
    if not all(number(each) or _looks_numeric(each) for each in header):
        step, loss = _columns(header, f"{where}:{at}", names)
        filled, headed = filled[1:], step is not None
    elif named:
        raise UsageError(f"no header with a column {names[0]}", where=f"{where}:{at}", hint="leave --column out")
    elif width == 2:  # noqa: PLR2004 - a step and a loss
        step, loss = 0, 1
    elif width > 2:  # noqa: PLR2004
        hint = "write a header line that names the columns step and loss"
        raise UsageError(f"{width} columns without a header", where=f"{where}:{at}", hint=hint)
    for at, line in filled:
        cells = _cells(line, delimiter)
        if len(cells) != width:
            expected = f"{width} column{'s' if width > 1 else ''} expected, {len(cells)} found"
            raise UsageError(expected, where=f"{where}:{at}", hint=f"write that line like line {filled[0][0]}")
        # Beside a step an empty cell is another's row: Lightning writes its validation into the same file.
        found = cells[loss] or None if headed else cells[loss]
        yield Item(line=partial(int, at), step=None if step is None else cells[step], loss=found, optional=headed)


def _delimiter(line: str) -> str | None:
    """Return what separates the columns of a line; None: white space."""
    return next((each for each in (";", "\t", ",", "|") if each in line), None)


def _cells(line: str, delimiter: str | None) -> list[str]:
    if delimiter is None:
        return line.split()
    if '"' not in line:
        return [each.strip() for each in line.split(delimiter)]
    return [each.strip() for each in next(csv.reader(io.StringIO(line), delimiter=delimiter))]


def _looks_numeric(text: str) -> bool:
    """Whether a cell is a damaged number and not the name of a column."""
    return text[:1].isdigit() or text[:1] in ("-", "+", ".")


def _names(line: str, names: Sequence[str]) -> bool:
    """Whether a comment is the header, as NumPy writes it."""
    return any(each.lower() in names for each in _cells(line.strip(), _delimiter(line)))


def _columns(header: Sequence[str], where: str, names: Sequence[str]) -> tuple[int | None, int]:
    """Return the places of the step and of the loss."""
    known = [each.strip().lower() for each in header]
    steps = [at for at, each in enumerate(known) if each in STEPS]
    losses = [at for at, each in enumerate(header) if each in names] or [
        at for at, each in enumerate(known) if each in {name.lower() for name in names}
    ]
    rest = [at for at in range(len(known)) if at not in steps]
    if not losses and len(rest) == 1 and names is LOSSES:
        losses = rest
    if len(steps) > 1:  # Lightning writes epoch and step
        steps = [at for at in steps if known[at] != "epoch"]
    if len(losses) != 1 or len(steps) > 1:
        raise UsageError(
            f"the columns {', '.join(header)}: which of them is the loss?"[:300],
            where=where,
            hint="name it: --column NAME",
        )
    return (steps[0] if steps else None), losses[0]
