"""JSON documents: lists, records, numbers by step, columns side by side, runs under nested names; numbers stay text."""

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from repromatrix.errors import UsageError
from repromatrix.results.logs import columns, figures, table, words
from repromatrix.results.logs.columns import Asked, Log, Raw, Sheet

_WORD = re.compile(r'"(?:[^"\\]|\\.)*"|[][{}:,]|[^\s\][{}:,"]+')
_BY_KEY = re.compile(r"(.*?)[\s_./-]*([0-9]{1,15})")  # loss_step_10
_FIRST_WHOLE = re.compile(r"\s*\{.*\}[^\S\n]*\n\s*\S")
_NAMES = ("key", "name", "metric", "tag")  # of a record that holds one number under `value`
_SPLITS = ("mode", "split", "phase", "stage", "subset")
_FIRSTS, _EVERY = ("start_step", "first_step"), ("step_interval", "interval")
_SHORT = 60
_LONGEST_KEY = 200
_TEXTS = {str}
Way = tuple[Any, ...]


class _TwiceError(ValueError):
    """A key that stands twice in one object."""

    def __init__(self, key: str) -> None:
        super().__init__(f"the key {key[:_SHORT]!r} stands twice in one object")


def loads(text: str) -> Any:
    """Return the data of JSON, numbers as the text that stands there.

    Raises:
        ValueError: it is no JSON, or a key stands twice in one object.
        RecursionError: it is nested too deeply.
    """
    return json.loads(text, parse_float=str, parse_int=str, parse_constant=str, object_pairs_hook=_each_once)


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise _TwiceError(next(key for key, count in Counter(key for key, _ in pairs).items() if count > 1))
    return found


def document(text: str, where: str) -> Any:
    """Return the data of a JSON document; None: the text is lines, not one document.

    Raises:
        UsageError: a document with a mistake, with its line.
    """
    try:
        return loads(text)
    except RecursionError as error:
        raise UsageError("nested too deeply", where=where, hint="give a list of losses") from error
    except _TwiceError as error:
        if _first_is_whole(text):
            return None
        raise UsageError(str(error), where=f"{where}:{_twice(text)}", hint="give every key once") from error
    except json.JSONDecodeError as error:
        if error.msg == "Extra data" or _first_is_whole(text) or not _meant(text, error):
            return None
        raise UsageError(f"not JSON ({error.msg})", where=f"{where}:{error.lineno}", hint="mend that line") from error


def _first_is_whole(text: str) -> bool:
    """Whether the first line is an object by itself, and others follow."""
    return bool(_FIRST_WHOLE.match(text))


def _meant(text: str, error: json.JSONDecodeError) -> bool:
    """Whether a text that is no JSON was meant as JSON: its mistake is not at once."""
    return error.lineno > text[: len(text) - len(text.lstrip())].count("\n") + 1 or error.pos >= len(text.rstrip())


def read(document: Any, text: str, where: str, asked: Asked) -> Log:
    """Return the columns of a document.

    Raises:
        UsageError: a number or a step that is none; with the line.
    """
    found = _Walk(text)
    found.walk(document, ())
    if not found.sheets and isinstance(document, dict):
        found.walk([document], ())
    _short_names([raw for sheet in found.sheets for raw in sheet.raws])
    left_out = [f"{columns.names(found.skipped)} (no numbers by step)"] if found.skipped and found.sheets else []
    return columns.log("JSON", found.sheets, where, asked, left_out)


class _Walk:
    """Goes through a document and gathers its columns."""

    def __init__(self, text: str) -> None:
        self._text = text
        self.sheets: list[Sheet] = []
        self.skipped: list[str] = []

    def walk(self, node: Any, way: Way) -> None:
        """Gather the columns of a part, which stands at `way`."""
        if isinstance(node, list):
            self._list(node, way)
        elif isinstance(node, dict):
            self._object(node, way)
        elif way:
            self.skipped.append(str(way[-1]))

    def _list(self, node: list[Any], way: Way) -> None:
        kinds = {type(each) for each in node}
        if not node:
            return
        if not kinds & {list, dict}:
            self._add({_name(way, "loss"): node}, len(node), lambda row, _: (*way, row))
        elif kinds <= {dict}:
            if any(_series(value) for each in node for value in each.values() if isinstance(value, list)):
                for place, each in enumerate(node):
                    self.walk(each, (*way, each.get("name", place) if isinstance(each.get("name"), str) else place))
            else:
                self._records(node, way)
        elif (
            kinds <= {list}
            and len({len(each) for each in node}) == 1
            and not any(isinstance(cell, list | dict) for each in node for cell in each)
        ):
            self._rows(node, way)
        else:
            for place, each in enumerate(node):
                self.walk(each, (*way, place))

    def _rows(self, node: list[list[Any]], way: Way) -> None:
        """Gather a table without a header."""
        cells = [["" if each is None else _text(each) for each in column] for column in zip(*node, strict=True)]
        names = table.guessed(cells) or tuple(f"column {at + 1}" for at in range(len(cells)))
        kept = {
            "/".join([*_parts(way), name]): column
            for name, column in zip(names, cells, strict=True)
            if name != table.CLOCK
        }
        self._add(
            {name: [each or None for each in column] for name, column in kept.items()},
            len(node),
            lambda row, _: (*way, row),
        )

    def _records(self, node: Sequence[Mapping[str, Any]], way: Way) -> None:
        found: dict[str, tuple[list[str], list[int]]] = {}  # of each name its texts and their rows
        plain: dict[tuple[str, ...], bool] = {}  # of the keys of a record whether they are its names
        for row, each in enumerate(node):
            keys = tuple(each)
            if keys not in plain:
                plain[keys] = {*_NAMES, *_SPLITS}.isdisjoint(keys)
            bare = plain[keys] and {*map(type, each.values())} == _TEXTS
            for name, value in each.items() if bare else flat(each):
                if name not in found:
                    found[name] = ([], [])
                texts, rows = found[name]
                texts.append(value)
                rows.append(row)
        self._sheet(
            [Raw(name="/".join([*_parts(way), name]), texts=own[0], rows=own[1]) for name, own in found.items()],
            len(node),
            lambda row, _: (*way, row),
        )

    def _object(self, node: Mapping[str, Any], way: Way) -> None:
        if len(node) and all(_step(each) is not None for each in node):
            steps = list(node)
            if all(isinstance(each, dict) for each in node.values()):
                self._records([{"step": key, **each} for key, each in node.items()], way)
            elif not any(isinstance(each, list | dict) for each in node.values()):
                name = _name(way, "loss")
                self._add({"step": steps, name: list(node.values())}, len(steps), lambda row, _: (*way, steps[row]))
            return
        runs = next((key for key in ("losses", "loss") if _holds_runs(node.get(key))), None)
        if runs:
            self.skipped += [key for key in node if key != runs]
            self._object(node[runs], (*way, runs))
            return
        self._by_key(node, way)
        lists = {key: each for key, each in node.items() if isinstance(each, list)}
        beside = [key for key, each in lists.items() if _series(each)]
        axis = next((key for key in beside if words.counter(key) is not None), None)
        if axis is not None:
            same = [key for key in beside if len(lists[key]) == len(lists[axis])]
            self._add(
                {"/".join([*_parts(way), key]): lists[key] for key in same},
                len(lists[axis]),
                lambda row, name: (*way, next((key for key in same if name.endswith(key)), axis), row),
            )
            node = {key: each for key, each in node.items() if key not in same}
        every = _every(node)
        for key, each in node.items():
            if every and key in lists and _series(each):
                steps = [str(every[0] + every[1] * at) for at in range(len(each))]
                self._add({"step": steps, _name((*way, key), "loss"): each}, len(each), partial(_at, (*way, key)))
            elif isinstance(each, dict) or key in lists:
                self.walk(each, (*way, key))
            elif _BY_KEY.fullmatch(key[-_SHORT:]) is None and key not in (*_FIRSTS, *_EVERY, "end_step"):
                self.skipped.append(key)

    def _by_key(self, node: Mapping[str, Any], way: Way) -> None:
        """Gather numbers whose keys end in their step."""
        found: dict[str, list[tuple[str, str, str]]] = {}
        for key, each in node.items():
            parts = _BY_KEY.fullmatch(key) if isinstance(each, str) and len(key) < _LONGEST_KEY else None
            if parts and any(words.counter(word) is not None for word in words.tokens(parts[1])[-1:]):
                found.setdefault(parts[1], []).append((parts[2], each, key))
        for stem, entries in found.items():
            named = [word for word in re.split(r"[\s_./-]+", stem) if words.counter(word) is None]
            steps, values, keys = (list(each) for each in zip(*entries, strict=True))
            name = "/".join([*_parts(way), "_".join(named) or "loss"])
            self._add({"step": steps, name: values}, len(steps), lambda row, _, keys=keys: (*way, keys[row]))

    def _add(self, cells: Mapping[str, Sequence[Any]], count: int, way: Any) -> None:
        raws = []
        for name, values in cells.items():
            rows = [at for at, each in enumerate(values) if each is not None] if None in values else None
            texts = [_text(each) for each in values if each is not None]
            raws.append(Raw(name=name, texts=texts, rows=rows))
        self._sheet(raws, count, way)

    def _sheet(self, raws: list[Raw], count: int, way: Any) -> None:
        self.sheets.append(Sheet(raws=raws, count=count, line=lambda row, name: _line(self._text, way(row, name))))


def _at(way: Way, row: int, _: str) -> Way:
    return (*way, row)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _series(value: Any) -> bool:
    """Whether it is a list of numbers, or of what may be numbers."""
    return (
        isinstance(value, list)
        and len(value) > 0
        and not any(isinstance(each, list | dict) for each in value)
        and (any(figures.number(each) is not None for each in value[:100]))
    )


def _holds_runs(value: Any) -> bool:
    """Whether it holds a list of numbers for each run: what stands beside it is no loss."""
    return isinstance(value, dict) and len(value) > 0 and all(_series(each) for each in value.values())


def _step(key: str) -> int | None:
    return int(key) if key.isascii() and key.isdecimal() and len(key) < 16 else None  # noqa: PLR2004


def _every(node: Mapping[str, Any]) -> tuple[int, int] | None:
    """Return the first step and the interval that stand beside a list."""
    first, every = (next((node[name] for name in names if name in node), None) for names in (_FIRSTS, _EVERY))
    if not (isinstance(first, str) and isinstance(every, str)):
        return None
    start, interval = _step(first), _step(every)
    return (start, interval) if start is not None and interval else None


def _parts(way: Way) -> list[str]:
    return [str(each) for each in way if isinstance(each, str) and not words.generic(each)]


def _name(way: Way, otherwise: str) -> str:
    return "/".join(_parts(way)) or otherwise


def flat(record: Mapping[str, Any], outer: tuple[str, ...] = ()) -> Iterable[tuple[str, str]]:
    """Yield the numbers and texts of a record with their names; one that is a name and its value gives that."""
    named = next((record[each] for each in _NAMES if isinstance(record.get(each), str)), None)
    if named is not None and "value" in record and not isinstance(record["value"], list | dict):
        if record["value"] is not None:
            yield named, _text(record["value"])
        for name, value in _inner({key: each for key, each in record.items() if key not in (*_NAMES, "value")}, ()):
            if words.counter(name) is not None:
                yield words.leaf(name), value
        return
    whose = next((words.splits(record[each]) for each in _SPLITS if isinstance(record.get(each), str)), None)
    for name, value in _inner(record, outer):
        bare = whose is None or words.split(name) is not None or words.counter(name) is not None
        yield (name if bare else f"{whose}/{name}"), value


def _inner(record: Mapping[str, Any], outer: tuple[str, ...]) -> Iterable[tuple[str, str]]:
    for key, value in record.items():
        name = (*outer, str(key)) if not words.generic(str(key)) or not isinstance(value, dict) else outer
        if isinstance(value, dict):
            yield from _inner(value, name)
        elif isinstance(value, list):
            if words.counter(str(key)) is not None and value and all(isinstance(each, str) for each in value):
                yield "/".join(name), value[-1]  # [epoch, step]
                if len(value) > 1:
                    yield "epoch", value[-2]
        elif value is not None:
            yield "/".join(name), _text(value)


def _short_names(raws: Sequence[Raw]) -> None:
    """Leave out the outer names that all columns share, but for those that say whose numbers they are."""
    named = [raw.name.split("/") for raw in raws if words.counter(raw.name) is None]
    while named and all(len(each) > 1 for each in named) and len({each[0] for each in named}) == 1:
        if words.split(named[0][0]) is not None:
            return
        head = named[0][0] + "/"
        for raw in raws:
            raw.name = raw.name.removeprefix(head)
        named = [each[1:] for each in named]


def _twice(text: str) -> int:
    """Return the line of the first key that stands twice in its object; for a message alone."""
    open_: list[set[str]] = []
    last: re.Match[str] | None = None
    for word in _WORD.finditer(text):
        found = word.group()
        if found in ("[", "{"):
            open_.append(set())
        elif found in ("]", "}"):
            open_.pop()
        elif found == ":" and last is not None:
            key = json.loads(last.group())
            if key in open_[-1]:
                return text.count("\n", 0, last.start()) + 1
            open_[-1].add(key)
        last = word if found.startswith('"') else None
    return 1


def _line(text: str, way: Sequence[Any]) -> int:
    """Return the line of the value at a path of keys and places; for messages alone, so it may be slow."""
    stack: list[list[Any]] = []  # of each open bracket: what it is, the key or place of the value that comes next
    for word in _WORD.finditer(text):
        found = word.group()
        value = found not in ("]", "}", ",", ":") and not (stack and stack[-1] == ["{", None])
        if value and [each[1] for each in stack] == list(way):
            return text.count("\n", 0, word.start()) + 1
        if found in ("[", "{"):
            stack.append([found, 0 if found == "[" else None])
        elif found in ("]", "}"):
            stack.pop()
        elif found == ",":
            stack[-1][1] = stack[-1][1] + 1 if stack[-1][0] == "[" else None
        elif found.startswith('"') and stack and stack[-1][0] == "{" and stack[-1][1] is None:
            stack[-1][1] = json.loads(found)
    return 1
