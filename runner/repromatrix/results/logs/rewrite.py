"""A file with some of its numbers replaced by others, all else of it byte for byte as it was.

Where a number stands in a text nobody kept. So each one that may be it is made another that can be told again, the file
is read once more, and what was read says which one it is. What comes out is read as well: if it says anything else
than it should, nothing is written.
"""

import gzip
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from repromatrix.errors import UsageError
from repromatrix.results.logs import arrays, events, figures, files, read, tensors
from repromatrix.results.logs.columns import Asked, Column, Log
from repromatrix.results.logs.figures import Comma

Moved: TypeAlias = Mapping[str, Mapping[int, str]]  # column -> place -> the new text; of a binary file a float's own
_PLAIN = re.compile(
    r"0[xX][0-9a-fA-F]*\.?[0-9a-fA-F]*(?:[pP][+-]?[0-9]+)?|(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?"
    r"|(?<![A-Za-z])(?:nan|NaN|NAN|-?inf|-?Infinity)(?![A-Za-z])"
)
_DECIMAL = re.compile(r"[0-9]{1,3}(?:\.[0-9]{3})+,[0-9]+|[0-9]*,[0-9]+(?:[eE][+-]?[0-9]+)?")
_THOUSANDS = re.compile(r"[0-9]{1,3}(?:,[0-9]{3})+(?:\.[0-9]*)?")
_FORMS: tuple[tuple[re.Pattern[str], Comma | None], ...] = (
    (_PLAIN, None), (_DECIMAL, Comma.DECIMAL), (_THOUSANDS, Comma.THOUSANDS),
)  # fmt: skip
_FIRST = 700_000_000  # of the numbers that tell places apart; nine digits each
_TRIALS = 200
_HINT = "write that file anew from the run, or mend the value by hand"
_Span: TypeAlias = tuple[int, int]
_Place: TypeAlias = tuple[str, int]


def rewritten(data: bytes, where: str, asked: Asked, log: Log, moved: Moved) -> bytes:
    """Return a file with numbers replaced.

    Args:
        data: its content.
        where: its path in messages.
        asked: how it was read.
        log: what was read of it.
        moved: what is replaced; nothing gives the very bytes.

    Raises:
        UsageError: a form that cannot be written, or a number whose place nobody can tell.
    """
    if not any(moved.values()):
        return data
    content = files.unpacked(data, where)
    if events.is_events(content):
        raise UsageError("TensorBoard events cannot be updated", where=where, hint="keep the golden as CSV or JSON")
    packed = content is not data
    if arrays.is_npy(content):
        found = arrays.replaced(content, moved, where)
    elif arrays.is_zip(content):
        found = arrays.replaced_in_zip(content, moved, where)
    elif tensors.is_safetensors(content):
        found = tensors.replaced(content, moved, where)
    else:
        found = _text(content, where, asked, log, moved)
    _require(read.parse(found, where, asked), log, moved, where)
    return gzip.compress(found, mtime=0) if packed else found


def _require(found: Log, log: Log, moved: Moved, where: str) -> None:
    """Refuse a content that says anything else than the old one with its moved numbers.

    Raises:
        UsageError: it does.
    """
    names = [each.name for each in log.columns]
    same = [each.name for each in found.columns] == names
    for old, new in zip(log.columns, found.columns, strict=False):
        values = old.values.copy()
        for place, text in moved.get(old.name, {}).items():
            values[place] = figures.value(text)
        steps = (
            np.array_equal(old.steps, new.steps)
            if old.steps is not None and new.steps is not None
            else (old.steps is new.steps)
        )
        same = same and steps and np.array_equal(values, new.values, equal_nan=True)
    if not same:
        raise UsageError("the new numbers would be read as others", where=where, hint=_HINT)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Text:
    """A text whose numbers are looked for.

    Attributes:
        encode: makes bytes of a text like it.
        log: what was read of it.
    """

    text: str
    encode: files.Encode
    where: str
    asked: Asked
    log: Log

    def located(self, spans: Sequence[_Span], left: Collection[_Place]) -> dict[_Place, _Span]:
        """Return where the numbers of the columns stand, as far as it can be told."""
        fractions = [span for span in spans if not self.text[slice(*span)].isdecimal()]  # a whole one may be a step
        found = self._told(fractions)
        rest = [span for span in spans if span not in {*found.values()}][:_TRIALS]
        for span in rest:
            if all(place in found for place in left):
                break
            found |= self._told([span])
        return found

    def _told(self, spans: Sequence[_Span]) -> dict[_Place, _Span]:
        """Return which numbers of the columns stand there; nothing where tags spoil the reading."""
        if not spans:
            return {}
        tags = {_tag(self.text[slice(*span)], _FIRST + at): span for at, span in enumerate(spans)}
        pieces, end = [], 0
        for tag, (start, stop) in tags.items():
            pieces += [self.text[end:start], tag]
            end = stop
        try:
            tagged = read.parse(self.encode("".join((*pieces, self.text[end:]))), self.where, self.asked)
        except UsageError:
            return {}
        return dict(_same(self.log, tagged, {_number(tag): span for tag, span in tags.items()}))


def _text(data: bytes, where: str, asked: Asked, log: Log, moved: Moved) -> bytes:
    text, encode = files.decoded(data, where)
    own = _Text(text=text, encode=encode, where=where, asked=asked, log=log)
    wanted = {(name, place): _at(log, name, place) for name, places in moved.items() for place in places}
    found: dict[_Place, tuple[_Span, Comma | None]] = {}
    for form, comma in _FORMS:
        left = {place: old for place, old in wanted.items() if place not in found}
        spans = list(_candidates(text, form, comma, {_bare(old) for old in left.values()})) if left else []
        located = own.located(spans, left)
        found |= {place: (span, comma) for place, span in located.items() if place in left}
    lost = next((place for place in wanted if place not in found), None)
    if lost is not None:
        raise UsageError(
            f"nobody can tell which {wanted[lost]} of it is that of {lost[0]}, the {lost[1] + 1}. one",
            where=where,
            hint=_HINT,
        )
    changes = [(span, moved[name][place], comma) for (name, place), (span, comma) in found.items()]
    return encode(_changed(text, changes))


def _at(log: Log, name: str, place: int) -> str:
    column = next(each for each in log.columns if each.name == name)
    return (column.texts or "").split("\n")[place]


def _bare(text: str) -> str:
    return text.lstrip("+-")


def _candidates(text: str, form: re.Pattern[str], comma: Comma | None, wanted: set[str]) -> Iterator[_Span]:
    for each in form.finditer(text):
        token = each.group()
        own = figures.without_comma(token, comma) if comma else figures.number(token) or token
        if _bare(own) in wanted:
            yield each.span()


def _same(log: Log, tagged: Log, known: Mapping[str, _Span]) -> Iterator[tuple[_Place, _Span]]:
    columns = {each.name: each for each in tagged.columns}
    for old in log.columns:
        new = columns.get(old.name)
        if new is None or len(new.values) != len(old.values) or old.texts is None or new.texts is None:
            continue
        yield from _changes(old, new, known)


def _changes(old: Column, new: Column, known: Mapping[str, _Span]) -> Iterator[tuple[_Place, _Span]]:
    both = zip((old.texts or "").split("\n"), (new.texts or "").split("\n"), strict=True)
    for place, (one, other) in enumerate(both):
        if one != other and (span := known.get(_number(other))):
            yield (old.name, place), span


def _tag(token: str, number: int) -> str:
    """Return a token as another number that can be told again."""
    if token[:2] in ("0x", "0X"):
        return f"0x1.{number:013x}p+0"
    if token[:1].isalpha() or token[:1] == "-":
        return f"0.{number}"
    mantissa, mark, exponent = re.fullmatch(r"([^eE]*)([eE]?)(.*)", token, re.DOTALL).groups()  # type: ignore[union-attr]
    point = "," if re.fullmatch(r"[0-9]*,[0-9]*|[0-9.]*,[0-9]*", mantissa) and mantissa.count(",") == 1 else "."
    pointed = point in mantissa
    return f"{mantissa}{'' if pointed else point}{number}{mark}{exponent}"


def _number(text: str) -> str:
    """Return the number that a tag ends with, whatever the reader made of what stands around it."""
    if "x" in text:
        return str(int(text.partition(".")[2].partition("p")[0].ljust(13, "0"), 16)) if "." in text else ""
    return re.split("[eE]", text)[0][-9:]


def _changed(text: str, changes: Sequence[tuple[_Span, str, Comma | None]]) -> str:
    pieces, end = [], 0
    for (start, stop), new, comma in sorted(changes):
        before, own = text[end:start], new
        if before.endswith("-"):  # the sign of the old number
            before = before if new.startswith("-") else before[:-1]
            own = new.removeprefix("-")
        pieces += [before, _with_comma(own, text[start:stop], comma)]
        end = stop
    return "".join((*pieces, text[end:]))


def _with_comma(new: str, old: str, comma: Comma | None) -> str:
    if comma is None:
        return new
    sign, bare = ("-", new[1:]) if new.startswith("-") else ("", new)
    whole, point, rest = bare.partition(".")
    if comma is Comma.THOUSANDS:
        return f"{sign}{int(whole):,}{point}{rest}"
    grouped = f"{int(whole):,}".replace(",", ".") if "." in old else whole
    return f"{sign}{grouped},{rest}" if point else f"{sign}{grouped}"
