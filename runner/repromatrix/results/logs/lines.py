"""Lines that a program printed: `step 10 | loss: 0.5`, JSON and Python dicts behind any prefix, progress bars.

Lines of one shape differ in their numbers alone. Each shape is understood once, and its numbers are taken from all of
its lines.
"""

import ast
import re
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import accumulate
from typing import Any

from repromatrix.errors import UsageError
from repromatrix.results.logs import columns, figures, json_text, words
from repromatrix.results.logs.columns import Asked, Log, Raw, Sheet

_HOLE, _MOMENT = "\0", "\ue001"
_MOST_SHAPES = 20_000
_MOST_NUMBERS = 3_000_000
_BLOCK, _FIRST = 1 << 20, 1 << 16
_LOOKED_AT = 1 << 16
_ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
# Each begins with what it finds most often: a pattern that begins with a look behind is several times slower.
_MOMENTS = re.compile(
    r"[0-9](?<![\w:.].)(?:"
    r"[0-9]{3}[-/][0-9]{2}[-/][0-9]{2}"
    r"(?:[T _][0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:[.,][0-9]+)?)?(?:Z|[+-][0-9]{2}:?[0-9]{2})?)?"
    r"|[0-9]{0,2}:[0-9]{2}:[0-9]{2}(?:[.,][0-9]+)?"
    r"|[0-9]*:[0-9]{2}<(?:[0-9]+(?::[0-9]{2})+|\?)"
    r")"
)
_NUMBER = re.compile(
    r"([0-9nNiI.](?<![\w.@#].)(?:"
    r"(?<=0)[xX][0-9a-fA-F]*\.?[0-9a-fA-F]*(?:[pP][+-]?[0-9]+)?"
    r"|(?<=[0-9])(?:(?<![\[({,].)[0-9]*(?:,[0-9]+)+|[0-9]*)(?:\.[0-9]*)?(?:[eE][+-]?[0-9]+)?"
    r"|(?<=\.)[0-9]+(?:[eE][+-]?[0-9]+)?"
    r"|(?<=[nN])[aA][nN]|(?<=[iI])[nN][fF](?:inity)?"
    r")(?=[A-Za-z%]{0,8}(?![\w])(?!\.\w)))"
)
_SIMPLE = r"(?:[0-9]+(?:\.[0-9]*)?(?:[eE][+-]?[0-9]+)?|nan)"  # what of it nearly all logs have
_SPANNED = re.compile("[0-9\0\ue001][-/:][0-9\0\ue001]")  # numbers that are a moment, if they are long enough
_UNIT = re.compile(r"(?:%|[A-Za-z]+)?(?:/[A-Za-z]+)?")
_WRAPPED = re.compile(r"(?:torch\.)?(?:tensor|Tensor|array|Array|float|(?:np|numpy|jnp)\.\w+)\([ ]?\[?[ ]?(?=\0)")
_CUT = re.compile(r"[,;|\t{}\[\]<>\"\ue001]|(?<!\w)'|'(?!\w)|\s-\s|:\s|=|\s{2,}|^\s*-+\s")
_TOTAL = re.compile(r"\s*/\s*|\s+(?:out )?of\s+")
_WORD = re.compile(r"\s+([A-Za-z]+)")
_SIGN = re.compile(r"(?<![\w.)\]])[+-]$")
_FILE = re.compile(r"\.[A-Za-z]{1,4}$")
_HELD = 7 * 10**15  # stands for a number while its shape is read as JSON
_HELD_TEXT = re.compile(r"-?7[0-9]{15}")
_LIST = re.compile(r"\[([^\[\]{}]*)\]")
_LONGEST = 1 << 16  # of a line; one with more is looked at for lists alone
_LONGEST_NAME = 200
_BEFORE = {"at", "in", "for", "after", "before", "on", "of", "from"}  # a step that is spoken of
_FEW_WORDS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class _Field:
    """A named number of a shape: which of its holes."""

    name: str
    hole: int
    sign: str = ""


@dataclass(slots=True, kw_only=True)
class _Shape:
    """What a shape of lines holds.

    Attributes:
        heading: whether it only says where the following lines stand: `Epoch 3/10`.
    """

    fields: list[_Field] = field(default_factory=list)
    heading: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class _Main:
    """The one shape of the lines so far.

    Attributes:
        shape: the lines.
        pattern: what matches one of them whole, and captures the fields that change from line to line.
        fields: all fields, in the order of their holes.
        same: hole -> the text that all lines so far have there.
        moments: whether the pattern matches moments as they are printed.
    """

    shape: str
    pattern: re.Pattern[str]
    fields: tuple[_Field, ...]
    same: dict[int, str]
    moments: bool

    def looser(self) -> "_Main | None":
        """Return it with no text that is the same in all lines; None: it has none."""
        return _main(self.shape, self.fields, {}, moments=self.moments) if self.same else None


def _main(shape: str, fields: Sequence[_Field], same: dict[int, str], *, moments: bool) -> _Main | None:
    """Return what matches lines of a shape; None: they have no named numbers, or are long.

    Args:
        shape: the lines.
        fields: the named numbers in them.
        same: hole -> the text that all of them have there.
        moments: whether moments have been taken out of the lines.
    """
    named = {each.hole for each in fields}
    if not named or len(named) != len(fields) or len(shape) > _LONGEST:
        return None
    moments = moments and not _SPANNED.search(shape)
    pieces = [re.escape(piece).replace("\\ ", " +") for piece in shape.split(_HOLE)]
    parts = [pieces[0]]
    for hole, piece in enumerate(pieces[1:]):
        parts += [re.escape(same[hole]) if hole in same else f"({_SIMPLE})" if hole in named else _SIMPLE, piece]
    whole = "".join(parts)
    whole = whole.replace(_MOMENT, f"(?>{_MOMENTS.pattern})") if moments else whole
    return _Main(
        shape=shape,
        pattern=re.compile(f"^{whole}$", re.MULTILINE),
        fields=tuple(sorted(fields, key=lambda each: each.hole)),
        same=same,
        moments=moments,
    )


def read(text: str, where: str, asked: Asked) -> Log:
    """Return the named numbers of lines.

    Raises:
        UsageError: there are none; a line of JSON is broken; a number or a step is none; with the line.
    """
    text = _ESCAPE.sub(" ", text) if "\x1b" in text else text
    text = re.sub("\b+", "\r", text) if "\b" in text else text
    versions = [_at_last(text), text.replace("\r", "\n")] if "\r" in text else [text]
    logs = []
    for each in versions:
        logs.append(_lines(each, where, asked))
        if _several(logs[-1]):
            return logs[-1]
    lists = _lists(text, where, asked)
    if lists and lists.columns:
        return lists
    single = next((each for each in logs if each.columns), None)
    if single:
        return single
    first, line = next(((at, each) for at, each in enumerate(text.split("\n"), start=1) if each.strip()), (1, ""))
    raise UsageError(
        f"no named numbers in its lines, of which the first is {line.strip()[:60]!r}" if line else "holds no losses",
        where=f"{where}:{first}" if line else where,
        hint="print lines such as: step 1 loss 0.5",
    )


def _at_last(text: str) -> str:
    """Return a text as a terminal shows it at last: of what was overwritten the last."""
    return "\n".join(each.rstrip("\r").rpartition("\r")[2] for each in text.split("\n"))


def _several(log: Log) -> bool:
    return any(len(each.values) > 1 for each in log.columns)


def _lines(text: str, where: str, asked: Asked) -> Log:
    moments = bool(_MOMENTS.search(text[:_LOOKED_AT]) or _MOMENTS.search(text[-_LOOKED_AT:]))
    found = _Found(where, moments=moments)
    start = line = 0
    while start < len(text):
        end = text.find("\n", start + (_BLOCK if start else _FIRST)) + 1 or len(text)
        line = found.take(text[start:end], line)
        start = end
    every = found.columns()
    _commas(every, asked)
    sheet = Sheet(raws=every, count=line + 1, line=lambda row, _: row + 1, placed=False)
    unread = found.unread
    said = [f"{unread:,} line{'' if unread == 1 else 's'} without named numbers"] if unread else []
    return columns.log(found.form, [sheet], where, asked, said)


class _Found:
    """Gathers the named numbers of a text, block by block.

    Attributes:
        unread: how many lines have none.
        form: what the lines are, in words.
    """

    def __init__(self, where: str, *, moments: bool) -> None:
        self._where, self._moments = where, moments
        self._shapes: dict[str, _Shape] = {}
        self._raws: dict[str, tuple[Raw, list[int]]] = {}  # each with the line of each of its cells
        self._scattered: set[str] = set()
        self._headings: set[str] = set()
        self._beside: set[str] = set()
        self._strict: bool | None = None  # whether the lines are objects, so that a broken one is a mistake
        self._main: _Main | None = None
        self._count = self.unread = 0
        self.form = "printed lines"

    def take(self, block: str, line: int) -> int:
        """Take the lines of a block, which begins at a line of the file; return the line after it.

        Raises:
            UsageError: a broken line of JSON, too many shapes, too many numbers.
        """
        if count := self._by_main(block, line, moments=True):
            return line + count
        block = _MOMENTS.sub(_MOMENT, block) if self._moments else block
        if count := self._by_main(block, line, moments=False):
            return line + count
        if len(block) > _BLOCK + _LONGEST:
            block = "\n".join(each if len(each) <= _LONGEST else "" for each in block.split("\n"))
        parts = _NUMBER.split(block)
        numbers = parts[1::2]
        bare = _HOLE.join(parts[0::2])
        lines = (re.sub(" {2,}", " ", bare) if "  " in bare else bare).split("\n")
        if not lines[-1]:
            lines.pop()
        starts = [0, *accumulate(each.count(_HOLE) for each in lines)]
        places: dict[str, list[int]] = {}
        for at, shape in enumerate(lines):
            if shape:
                places.setdefault(shape, []).append(at)
        for shape, own in places.items():
            self._take(shape, own, line, numbers, starts)
        single = next(iter(places)) if len(places) == 1 and len(lines) == len(places[next(iter(places))]) else None
        self._main = None
        if single is not None:
            count = single.count(_HOLE)
            same = {hole: numbers[hole] for hole in range(count) if len({*numbers[hole::count]}) == 1}
            self._main = _main(single, self._shapes[single].fields, same, moments=self._moments)
        self._require_bounded()
        return line + len(lines)

    def _by_main(self, block: str, line: int, *, moments: bool) -> int:
        """Take the lines of a block, with moments in it or without; return how many there are, else 0."""
        while self._main is not None and self._main.moments is moments:
            if count := self._take_main(self._main, block, line):
                return count
            self._main = self._main.looser()
        return 0

    def _take_main(self, main: _Main, block: str, line: int) -> int:
        """Take the lines of a block if all have the shape of those before; return how many there are, else 0."""
        count = block.count("\n") + (not block.endswith("\n"))
        found = main.pattern.findall(block)
        if len(found) != count:
            return 0
        rows = list(range(line, line + count))
        captured = iter([found] if main.pattern.groups == 1 else zip(*found, strict=True))
        for each in main.fields:
            texts = [main.same[each.hole]] * count if each.hole in main.same else next(captured)
            self._add(each, texts, rows)
        self._require_bounded()
        return count

    def _require_bounded(self) -> None:
        if self._count > _MOST_NUMBERS:
            hint = "keep the step and the loss of each line"
            raise UsageError(f"more than {_MOST_NUMBERS:,} named numbers", where=self._where, hint=hint)

    def _take(self, shape: str, places: list[int], line: int, numbers: list[str], starts: list[int]) -> None:
        if self._strict is None and shape.strip():
            first = shape.strip()
            self._strict = first.startswith("{") and first.endswith("}") and _json(first) is not None
            self.form = "JSON lines" if self._strict and first.lstrip("{ ").startswith('"') else self.form
        if self._strict and shape.lstrip().startswith("{") and shape not in self._shapes:
            holes = iter(numbers[starts[places[0]] : starts[places[0] + 1]])
            _check_json(shape, re.sub(_HOLE, lambda _: next(holes), shape), f"{self._where}:{line + places[0] + 1}")
        found = self._shapes.get(shape)
        if found is None:
            found = self._shapes[shape] = _shape(shape)
            if len(self._shapes) > _MOST_SHAPES:
                hint = "keep the lines with the losses: grep loss"
                raise UsageError(f"its lines have more than {_MOST_SHAPES:,} shapes", where=self._where, hint=hint)
            counted = {each.name for each in found.fields if words.counter(each.name) is not None}
            (self._headings if found.heading else self._beside).update(counted)
        self.unread += 0 if found.fields else len(places)
        rows = [at + line for at in places] if line else places
        for each in found.fields:
            self._add(each, [numbers[starts[at] + each.hole] for at in places], rows)

    def _add(self, field: _Field, texts: Sequence[str], rows: list[int]) -> None:
        raw, own = self._raws.setdefault(field.name, (Raw(name=field.name), []))
        if own and own[-1] > rows[0]:
            self._scattered.add(field.name)
        raw.texts += [field.sign + text for text in texts] if field.sign else texts
        own += rows
        self._count += len(texts)

    def columns(self) -> list[Raw]:
        """Return what was gathered, in the order of the lines."""
        every = []
        for raw, rows in self._raws.values():
            raw.rows = None if rows[0] == 0 and rows[-1] == len(rows) - 1 and raw.name not in self._scattered else rows
            raw.spread = raw.name in self._headings - self._beside
            every.append(_sorted(raw) if raw.name in self._scattered else raw)
        return every


def _sorted(raw: Raw) -> Raw:
    """Return cells in the order of their lines, the last of each line."""
    cells = dict(sorted(zip(raw.rows or (), raw.texts, strict=True), key=lambda each: each[0]))
    return replace(raw, texts=list(cells.values()), rows=list(cells))


def _commas(raws: Sequence[Raw], asked: Asked) -> None:
    having = [each for each in raws if "," in "\n".join(each.texts)]
    stands_for = asked.comma or figures.comma(text for each in having for text in each.texts if "," in text)
    if stands_for is not None:
        for each in having:
            each.texts = list(figures.without_commas(each.texts, stands_for))


def _shape(shape: str) -> _Shape:
    """Return the named numbers of a shape; the first of a name."""
    if _HOLE not in shape:
        return _Shape()
    found = _record(shape) if "{" in shape else None
    if found is None:
        found = list(_scan(shape))
    named = list({each.name: each for each in reversed(found)}.values())[::-1]
    counted = [each for each in named if words.counter(each.name) is not None]
    heading = bool(named) and len(counted) == len(named) and len(re.findall(r"[A-Za-z]+", shape)) <= _FEW_WORDS
    if counted and not heading and len(counted) == len(named):
        return _Shape()
    return _Shape(fields=named, heading=heading and all(each.name != "progress" for each in named))


def _record(shape: str) -> list[_Field] | None:
    """Return the numbers of a JSON object or a Python dict in a shape, and the steps in front of it."""
    start, end = shape.find("{"), shape.rfind("}")
    if end < start:
        return None
    before = shape[:start]
    skipped = before.count(_HOLE)
    record = _json(shape[start : end + 1])
    if record is None:
        return None
    outer = [each for each in _scan(before + " ") if words.counter(each.name) is not None] if skipped else []
    whose = words.splits(before[-_LONGEST_NAME:])
    found = []
    for name, value in json_text.flat(record):
        if not _HELD_TEXT.fullmatch(value) or _HELD_TEXT.search(name):
            continue
        bare = whose is None or words.split(name) is not None or words.counter(name) is not None
        sign = value[:1].strip("7")
        hole = skipped + int(value.lstrip("-")) - _HELD
        found.append(_Field(name=name if bare else f"{whose}/{name}", hole=hole, sign=sign))
    return _short([*outer, *found])


def _short(fields: Sequence[_Field]) -> list[_Field]:
    """Return fields without the outer names that tell nothing apart."""
    short = [
        "/".join(
            [*(part for part in each.name.split("/")[:-1] if words.split(part) is not None), words.leaf(each.name)]
        )
        for each in fields
    ]
    counts = Counter(short)
    return [
        replace(each, name=name if counts[name] == 1 else each.name) for name, each in zip(short, fields, strict=True)
    ]


def _json(body: str) -> dict[str, Any] | None:
    """Return the object that a shape is, each number held by one that tells which hole it is in; None: it is none."""
    pieces = body.split(_HOLE)
    text = "".join(f"{piece}{_HELD + at if at < len(pieces) - 1 else ''}" for at, piece in enumerate(pieces))
    try:
        found = json_text.loads(text)
    except (ValueError, RecursionError):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of what the line would mean as Python
                found = _as_texts(ast.literal_eval(text.strip())) if len(text) < _LONGEST else None
        except (ValueError, SyntaxError, RecursionError, MemoryError, TypeError):
            return None
    return found if isinstance(found, dict) else None


def _as_texts(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _as_texts(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_as_texts(each) for each in value]
    return value if isinstance(value, bool) or value is None else str(value)


def _check_json(shape: str, line: str, where: str) -> None:
    """Refuse a broken line among lines of JSON.

    Raises:
        UsageError: it is broken.
    """
    try:
        json_text.loads(line)
    except RecursionError as error:
        raise UsageError("not a JSON object (nested too deeply)", where=where, hint="mend that line") from error
    except ValueError as error:
        if "twice" in str(error):
            raise UsageError(str(error), where=where, hint="give every key once") from error
        if _json(shape) is None:
            hint = "mend that line, or leave it out"
            raise UsageError(f"not a JSON object ({getattr(error, 'msg', error)})", where=where, hint=hint) from error


def _scan(shape: str) -> Iterator[_Field]:
    """Yield the numbers of a shape that have a name in front of them, or a unit of counting behind."""
    shape = _WRAPPED.sub(" ", shape)
    pieces = shape.split(_HOLE)
    whose = words.splits(_heading(pieces[0][-_LONGEST_NAME:]))
    unit = ""
    for hole in range(len(pieces) - 1):
        before, after = pieces[hole].removeprefix(unit), pieces[hole + 1]
        sign = _SIGN.search(before) if before or not hole else None
        before = before[: sign.start()] if sign else before
        glued = _UNIT.match(after)
        unit = glued[0] if glued else ""
        if hole and _TOTAL.fullmatch(before):
            continue
        name = _name(before) or ""
        part = _TOTAL.fullmatch(after) is not None and hole + 2 < len(pieces)
        behind = _WORD.match(pieces[hole + 2] if part else after)
        if not words.known(name) and behind and words.counter(behind[1]) is not None and not name.endswith(":"):
            name = behind[1]
        elif not name and part:
            name = "progress"
        elif not hole and before.strip() == "[" and after.startswith("]"):
            name = "count"
        name = name.rstrip(":")
        kind = words.unit(unit)
        if not name or kind is False:
            continue
        if kind and not words.measured(name):
            name = f"{name} ({unit})"
        counts = words.counter(name) is not None
        whose = whose or (words.splits(name) if counts else None)
        whole = name if counts or whose is None or words.split(name) is not None else f"{whose}/{name}"
        yield _Field(name=whole, hole=hole, sign="-" if sign and sign[0] == "-" else "")


def _heading(before: str) -> str:
    """Return what stands in front of the first name."""
    name = (_name(before) or "").rstrip(":")
    return before[: before.rfind(name)] if name else before


def _name(before: str) -> str | None:
    """Return the name that stands in front of a number, with a colon behind it where one stands there."""
    before = before[-_LONGEST_NAME:]
    text = before.rstrip(" \t\"'[(<$")
    if not text or (text.endswith("-") and text == before):
        return None
    explicit = text.endswith((":", "="))
    separate = text != before
    text = text.rstrip(":= \t\"'")
    part = _CUT.split(text)[-1].strip(" #*->.+~&!\u2022\u2588")
    if not re.search("[A-Za-z]", part) or _FILE.search(part) or not (explicit or separate):
        return (
            None if not part or not explicit or _FILE.search(part) or not re.search("[^\\W\\d]", part) else f"{part}:"
        )
    every = part.split()
    if len(every) > 1 and every[-2].lower() in _BEFORE and words.counter(every[-1]) is not None:
        every = every[-1:]
    most = 6 if explicit else 3
    part = " ".join(every) if len(every) <= most else " ".join(every[-2:] if explicit else every[-1:])
    part = part.split(") ")[-1].lstrip("()")
    return f"{part}:" if explicit else part


def _here(line: int, _row: int, _name: str) -> int:
    return line


def _lists(text: str, where: str, asked: Asked) -> Log | None:
    """Return lists of numbers, each a column under the name in front of it or on the line above."""
    sheets = []
    for found in _LIST.finditer(text):
        if found[1].count(",") + found[1].count(" ") > _MOST_NUMBERS:
            hint = "save the numbers as .npy"
            raise UsageError(f"a list of more than {_MOST_NUMBERS:,} numbers as text", where=where, hint=hint)
        cells = found[1].replace(",", " ").split()
        if len(cells) < 2 or not any(figures.number(each) for each in cells[:100]):  # noqa: PLR2004
            continue
        above = text[max(0, found.start() - _LONGEST_NAME) : found.start()].rstrip().rpartition("\n")[2]
        name = (_name(above + " ") or "loss").rstrip(":")
        line = text.count("\n", 0, found.start()) + 1
        sheets.append(Sheet(raws=[Raw(name=name, texts=cells)], count=len(cells), line=partial(_here, line)))
    return columns.log("printed lists", sheets, where, asked) if sheets else None
