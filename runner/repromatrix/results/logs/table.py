"""Tables of text: CSV and its kin, white space, Markdown; with a header, a header in a comment, or none.

Columns without a header are told by what stands in them: a clock rises by seconds since 1970, a step by whole numbers.
"""

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from repromatrix.errors import UsageError
from repromatrix.results.logs import columns, figures, words
from repromatrix.results.logs.columns import Asked, Log, Raw, Sheet

_DELIMITERS = (";", "\t", "|", ",", None)  # None: white space
_SHOWN = {None: "white space", "\t": "tabs", ";": "semicolons", ",": "commas", "|": "bars"}
_RULE = re.compile(r"[\s|:+=-]+")  # below a header in Markdown
_RULES = frozenset("|:+=-")
_CLOCKS = ((1e8, 5e9), (1e11, 5e12), (1e14, 5e15), (1e17, 5e18))  # seconds since 1970, and their thousandths
_DATE = re.compile(r"\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}|\d{1,2}:\d{2}")
CLOCK = "\0clock"  # in place of a name
_LOOKED_AT = 200  # lines
_NAMING = {"tag", "metric", "key", "name", "variable"}  # columns that say what the number of a row is
_BOUNDS = ("__MIN", "__MAX")  # of a sampled chart, beside its column


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """How a text is a table.

    Attributes:
        header: the names of the columns, or None.
        start: the place of the first line with cells, the header's or that of a row.
    """

    delimiter: str | None
    header: tuple[str, ...] | None
    start: int
    width: int


def layout(text: str) -> Layout | None:
    """Return how a text is a table, by its first lines; None: it is none."""
    lines = text[: 1 << 20].split("\n", _LOOKED_AT)[:_LOOKED_AT]
    filled = [at for at, line in enumerate(lines) if line.strip()]
    comments = [at for at in filled if lines[at].lstrip().startswith("#")]
    rows = [at for at in filled if at not in set(comments) and not _is_rule(lines[at])][:2]
    if not rows:
        return None
    found = [each for delimiter in _DELIMITERS if (each := _layout(lines, rows, comments, delimiter))]
    return max(found, key=lambda each: each.width > 1, default=None)


def _layout(lines: Sequence[str], rows: Sequence[int], comments: Sequence[int], delimiter: str | None) -> Layout | None:
    heads = [_cells(lines[at], delimiter) for at in rows]
    first, width = heads[0], len(heads[0])
    if delimiter is not None and width < 2:  # noqa: PLR2004
        return None
    if all(figures.like(each) or each in figures.NOTHING for each in first) and any(map(figures.like, first)):
        before = [at for at in comments if at < rows[0]]
        named = [_cells(lines[at].lstrip(" #"), each) for at in before for each in (delimiter, ",", None)]
        header = next(
            (each for each in reversed(named) if len(each) == width and not any(map(figures.like, each))), None
        )
        header = header if header and (width > 1 or words.known(header[0])) else None
        return Layout(delimiter=delimiter, header=tuple(header) if header else None, start=rows[0], width=width)
    if any(map(figures.like, first)) or len(heads) == 1 or any(each.endswith((":", "=")) for each in first):
        return None
    if delimiter is None and len(heads[1]) == width + 1 and heads[1][0] == "0":  # an index without a name, as of pandas
        first, width = ["", *first], width + 1
    if len(heads[1]) != width or not any(map(figures.like, heads[1])):
        return None
    return Layout(delimiter=delimiter, header=tuple(first), start=rows[0], width=width)


def _is_rule(line: str) -> bool:
    return bool(_RULE.fullmatch(line)) and "-" in line and not figures.like(line.strip())


def _cells(line: str, delimiter: str | None) -> list[str]:
    if delimiter is None:
        return line.split()
    line = _unbarred(line) if delimiter == "|" else line
    if '"' not in line:
        return [each.strip() for each in line.split(delimiter)]
    try:
        return [each.strip() for each in next(csv.reader([line], delimiter=delimiter, strict=True), [])]
    except csv.Error:
        return []


def _unbarred(line: str) -> str:
    return line.strip().removeprefix("|").removesuffix("|")


def read(text: str, found: Layout, where: str, asked: Asked) -> Log:
    """Return the columns of a table.

    Raises:
        UsageError: a line with more or fewer cells, no number, a table of runs; with the line.
    """
    cells, lines = _fast(text, found) or _slow(text, found, where)
    header = found.header or guessed(cells)
    if header is None:
        raise UsageError(
            f"{found.width} columns without a header, and none of them counts steps",
            where=f"{where}:{found.start + 1}",
            hint="write a header line that names the columns, step and loss for example",
        )
    cells = _commas(cells, asked)
    raws = [Raw(name=name, texts=column) for name, column in zip(header, cells, strict=True) if name]
    bounds = [each.name for each in raws if each.name.endswith(_BOUNDS) and each.name[:-5] in header]
    raws = [_filled(each) for each in raws if each.name not in bounds and each.name != CLOCK]
    if found.header:
        raws = _by_name(raws)
        _refuse_runs(raws, where, found.start)
    count = len(cells[0]) if cells else 0
    sheet = Sheet(raws=raws, count=count, line=lambda row, _: int(lines[row]))
    twice = sorted({each for each in header if header.count(each) > 1 and each})
    if any(words.loss(each) or words.counter(each) is not None or each in asked.columns for each in twice):
        raise UsageError(
            f"the column {columns.names(twice)} stands twice",
            where=f"{where}:{found.start + 1}",
            hint="give every column a name of its own",
        )
    left_out = [
        *(["the columns of least and largest values"] if bounds else []),
        *(["a clock"] if CLOCK in header else []),
    ]
    form = f"a table, columns between {_SHOWN[found.delimiter]}" if found.width > 1 else "one number a line"
    return columns.log(form, [sheet], where, asked, left_out)


def _fast(text: str, found: Layout) -> tuple[list[list[str]], Sequence[int]] | None:
    """Return the columns and the lines of a table whose lines all have the same separators; None: it has others."""
    delimiter = found.delimiter or " "
    if '"' in text or "#" in text or delimiter == "|" or (found.delimiter is None and "\t" in text):
        return None
    start = 0
    for _ in range(found.start + (found.header is not None)):
        start = text.find("\n", start) + 1
    body = text[start:].rstrip("\n") + "\n"
    if not body.isascii():
        return None
    data = np.frombuffer(body.encode(), dtype=np.uint8)
    ends, cuts = data == ord("\n"), data == ord(delimiter)
    order = ends[ends | cuts]
    if (
        len(order) % found.width
        or not (order.reshape(-1, found.width)[:, -1]).all()
        or order.sum() * found.width != len(order)
    ):
        return None
    flat = body.replace("\n", delimiter).split(delimiter)
    flat.pop()
    if found.delimiter is None and "" in flat:
        return None
    if " " in body or "\t" in body:
        flat = list(map(str.strip, flat))
    header = found.header
    if header and header[0] in flat:
        return None  # it stands there again
    shift = found.start + (header is not None) + 1
    return [flat[at :: found.width] for at in range(found.width)], range(shift, shift + len(flat) // found.width)


def _slow(text: str, found: Layout, where: str) -> tuple[list[list[str]], Sequence[int]]:
    lines = text.split("\n")
    header = [each for each in found.header if each or found.delimiter is not None] if found.header else None
    kept = [at for at in range(found.start, len(lines)) if _is_row(lines[at])]
    quoted = '"' in text
    read = _at_once([lines[at] for at in kept], found.delimiter) if quoted else None
    rows: list[list[str]] = []
    numbers: list[int] = []
    for place, at in enumerate(kept):
        if read is not None:
            row = read[place]
        elif quoted:
            row = _quoted(lines[at], found.delimiter, f"{where}:{at + 1}")
        else:
            row = _cells(lines[at], found.delimiter)
        if row == header:
            continue  # a log that was appended to
        if len(row) != found.width:
            expected = f"{found.width} column{'s' if found.width > 1 else ''} expected, {len(row)} found"
            hint = f"write that line like line {(numbers or [found.start + 1])[0]}"
            raise UsageError(expected, where=f"{where}:{at + 1}", hint=hint)
        rows.append(row)
        numbers.append(at + 1)
    return [list(each) for each in zip(*rows, strict=True)] or [[] for _ in range(found.width)], numbers


def _is_row(line: str) -> bool:
    first = line.lstrip()[:1]
    return bool(first) and first != "#" and not (first in _RULES and _is_rule(line))


def _at_once(lines: Sequence[str], delimiter: str | None) -> list[list[str]] | None:
    """Return the cells of lines, read in one go; None: a line is not a row by itself."""
    if delimiter is None or delimiter == "|":
        return None
    try:
        rows = list(csv.reader(lines, delimiter=delimiter, strict=True))
    except csv.Error:
        return None
    return [[*map(str.strip, each)] for each in rows] if len(rows) == len(lines) else None


def _quoted(line: str, delimiter: str | None, where: str) -> list[str]:
    if delimiter is None:
        return [each.strip('"') for each in line.split()]
    line = _unbarred(line) if delimiter == "|" else line
    try:
        return [each.strip() for each in next(csv.reader([line], delimiter=delimiter, strict=True), [])]
    except csv.Error as error:
        raise UsageError(f"not CSV ({error})", where=where, hint="mend that line") from error


def _commas(cells: list[list[str]], asked: Asked) -> list[list[str]]:
    """Return cells with decimal points and without thousands."""
    having = [at for at, column in enumerate(cells) if "," in "\n".join(column)]
    if not having:
        return cells
    stands_for = asked.comma or figures.comma(each for at in having for each in cells[at] if "," in each)
    if stands_for is None:
        return cells  # a number with a comma is then refused, with its line
    return [list(figures.without_commas(column, stands_for)) for column in cells]


def _by_name(raws: list[Raw]) -> list[Raw]:
    """Return a table with a row for each number, which a column names, with a column for each name; else as it is."""
    naming = next((each for each in raws if each.name.lower() in _NAMING), None)
    value = next((each for each in raws if each.name.lower() == "value"), None)
    if naming is None or value is None or naming.rows is not None or value.rows is not None:
        return raws
    if any(map(figures.like, naming.texts[:_LOOKED_AT])):
        return raws
    runs = next((each for each in raws if each.name.lower() == "run" and each.rows is None), None)
    several = runs is not None and len({*runs.texts}) > 1
    names = (
        [f"{run}/{name}" for run, name in zip(runs.texts, naming.texts, strict=True)]
        if runs and several
        else (naming.texts)
    )
    found: dict[str, tuple[list[str], list[int]]] = {}
    for row, (name, text) in enumerate(zip(names, value.texts, strict=True)):
        texts, rows = found.setdefault(name, ([], []))
        texts.append(text)
        rows.append(row)
    counting = [each for each in raws if words.counter(each.name) is not None]
    return [*counting, *(Raw(name=name, texts=texts, rows=rows) for name, (texts, rows) in found.items())]


def _filled(raw: Raw) -> Raw:
    """Return a column without its empty cells."""
    if "" not in raw.texts:
        return raw
    rows = [at for at, each in enumerate(raw.texts) if each]
    return Raw(name=raw.name, texts=[raw.texts[at] for at in rows], rows=rows)


def guessed(cells: Sequence[Sequence[str]]) -> tuple[str, ...] | None:
    """Return names for columns without a header; None: nobody can tell what they are."""
    if len(cells) == 1:
        return ("loss",)
    read = [figures.parse(each) for each in cells]
    values = [None if isinstance(each, int) else each[0] for each in read]
    found: list[str] = [""] * len(cells)
    for at, column in enumerate(values):
        if (
            column is not None
            and len(column)
            and any((low < column).all() and (column < high).all() for low, high in _CLOCKS)
        ):
            found[at] = CLOCK
    left = [at for at in range(len(cells)) if not found[at]]
    counts = [at for at in left if _counts(values[at], strictly=len(left) > 2)]  # noqa: PLR2004
    if len(left) > 1 and counts:
        found[counts[0]] = "step"
        left.remove(counts[0])
    elif len(left) > 1:
        return None
    for at in left:
        found[at] = "loss" if len(left) == 1 else f"column {at + 1}"
    return tuple(found)


def _counts(values: figures.Values | None, *, strictly: bool) -> bool:
    if values is None or not len(values) or not np.isfinite(values).all() or (values != np.rint(values)).any():
        return False
    rises = bool((np.diff(values) > 0).all())
    return rises and (len(values) > 1 or not strictly) if strictly else bool(values[0] >= 0)


def _refuse_runs(raws: Sequence[Raw], where: str, start: int) -> None:
    """Refuse a table whose rows are runs: none of its columns counts, and each row has a name of its own.

    Raises:
        UsageError: it is one.
    """
    counting = [figures.parse(each.texts) for each in raws if words.counter(each.name) is not None]
    if any(isinstance(each, int) or len(each[0]) < 2 or columns.rises(each[0]) for each in counting):  # noqa: PLR2004
        return
    for raw in raws:
        texts = raw.texts
        named = not any(map(figures.like, texts)) and not any(map(_DATE.match, texts)) and not words.measured(raw.name)
        if texts and named and len({*texts}) == len(texts) and not all(each in figures.NOTHING for each in texts):
            raise UsageError(
                f"a table of runs: each row is a run, named by {raw.name}, so there are no steps to compare",
                where=f"{where}:{start + 1}",
                hint="export the history of a run: a row a step",
            )
