"""JSON and JSON lines -> losses: lists of numbers, lists of objects with step and loss, runs under nested names."""

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from repromatrix.errors import UsageError
from repromatrix.results.log import LOSSES, STEPS, Item, Log, log

_HISTORY = "log_history"  # of Hugging Face's trainer_state.json
_WORD = re.compile(r'"(?:[^"\\]|\\.)*"|[][{}:,]|[^\s\][{}:,"]+')


class _Number(str):
    """A number of a JSON document, as it is written."""

    __slots__ = ()


class _TwiceError(ValueError):
    """A key that stands twice in one object."""

    def __init__(self, key: str) -> None:
        super().__init__(f"the key {key[:60]!r} stands twice in one object")


def _loads(text: str) -> Any:
    return json.loads(
        text, parse_float=_Number, parse_int=_Number, parse_constant=_Number, object_pairs_hook=_each_once
    )


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise _TwiceError(next(key for key, count in Counter(key for key, _ in pairs).items() if count > 1))
    return found


def document(text: str, where: str) -> Any:
    """Return the data of a JSON document, numbers as the text that stands there.

    Raises:
        UsageError: not JSON; with the line.
    """
    try:
        return _loads(text)
    except RecursionError as error:
        raise UsageError("nested too deeply", where=where, hint="give a list of losses") from error
    except _TwiceError as error:
        raise UsageError(str(error), where=f"{where}:{_twice(text)}", hint="give every key once") from error
    except ValueError as error:
        line = getattr(error, "lineno", 1)
        raise UsageError(
            f"not JSON ({getattr(error, 'msg', error)})", where=f"{where}:{line}", hint="mend that line"
        ) from error


def is_lines(text: str) -> bool:
    """Whether each line is a document of its own: the first one that is not empty is."""
    first, _, rest = text.lstrip().partition("\n")
    try:
        document = _loads(first)
        return isinstance(document, dict) and bool(rest.strip() or isinstance(_pick(document, LOSSES), str))
    except (ValueError, RecursionError):
        return bool(rest.strip()) and first.rstrip().endswith("}")


def of_lines(text: str, where: str, names: Sequence[str]) -> Iterator[Item]:
    """Yield the losses of JSON lines, an object each.

    Raises:
        UsageError: a line is no object with a loss.
    """
    for at, line in enumerate(text.splitlines(), start=1):
        if line.strip():
            yield _item(_json_line(line, f"{where}:{at}"), partial(int, at), where, names)


def _json_line(line: str, where: str) -> Any:
    try:
        return _loads(line)
    except _TwiceError as error:
        raise UsageError(str(error), where=where, hint="give every key once") from error
    except (ValueError, RecursionError) as error:
        raise UsageError(
            f"not a JSON object ({getattr(error, 'msg', 'nested too deeply')})", where=where, hint="mend that line"
        ) from error


def _item(entry: Any, line: Callable[[], int], where: str, names: Sequence[str]) -> Item:
    loss = _pick(entry, names) if isinstance(entry, dict) else None
    if loss is None:
        raise UsageError(
            f"an object with {' or '.join(names[:2])} expected, {json.dumps(entry)[:60]} found",
            where=f"{where}:{line()}",
            hint="leave out the lines without a loss, or name the key: --column NAME",
        )
    return Item(line=line, step=_pick(entry, STEPS), loss=loss if isinstance(loss, str) else json.dumps(loss))


def _pick(entry: Mapping[str, Any], names: Sequence[str]) -> Any:
    return next((entry[name] for name in names if entry.get(name) is not None), None)


def logs(entry: Any, text: str, where: str, names: Sequence[str], way: tuple[Any, ...] = ()) -> Iterator[Log]:
    """Yield every run of a part of a JSON document, however its names are nested.

    Args:
        entry: the part.
        text: the whole document, for the lines of messages.
        where: the file's path in messages.
        names: keys that hold losses.
        way: keys and places that lead to the part.

    Raises:
        UsageError: what is there is no list of losses; with the line.
    """
    name = "/".join(map(str, way))
    if isinstance(entry, list):
        lines = (partial(_line, text, (*way, at)) for at in range(len(entry)))
        if entry and isinstance(entry[0], dict):
            items = (_item(entry, line, where, names) for entry, line in zip(entry, lines, strict=True))
        else:
            items = (
                Item(line=line, step=None, loss=each if each is None or isinstance(each, str) else json.dumps(each))
                for each, line in zip(entry, lines, strict=True)
            )
        yield log(name, items, where)
        return
    if isinstance(entry, dict) and isinstance(entry.get(_HISTORY), list):
        yield log(name, _history(entry[_HISTORY], text, where, names, (*way, _HISTORY)), where)
        return
    if not isinstance(entry, dict):
        raise UsageError(
            f"{name or 'the document'}: a list of losses expected, {json.dumps(entry)[:60]} found",
            where=f"{where}:{_line(text, way)}",
            hint="give a list of numbers, or an object with the key losses",
        )
    key = next((each for each in (*names, *(("losses", "loss") if len(names) == 1 else ())) if each in entry), None)
    inner = entry if key is None else {key: entry[key]}
    for each, value in inner.items():
        # The name of the one key that is expected says nothing; those beside it are not losses.
        yield from _named(logs(value, text, where, names, (*way, each)), each if each == key else None)


def _history(entries: list[Any], text: str, where: str, names: Sequence[str], way: tuple[Any, ...]) -> Iterator[Item]:
    """Yield what a training loop logged, its other entries too: those of an evaluation or of the end have no loss."""
    wanted = ("loss",) if names is LOSSES else names  # `train_loss` at the end is the mean of the run
    for at, entry in enumerate(entries):
        loss = _pick(entry, wanted) if isinstance(entry, dict) else None
        if loss is None and isinstance(entry, dict) and not any(name in entry for name in wanted):
            yield Item(line=partial(_line, text, (*way, at)), step=None, loss=None, optional=True)
        else:
            yield _item(entry, partial(_line, text, (*way, at)), where, wanted)


def _named(logs: Iterable[Log], dropped: str | None) -> Iterator[Log]:
    for each in logs:
        yield replace(each, name="/".join(part for part in each.name.split("/") if part != dropped))


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
