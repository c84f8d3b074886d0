"""YAML text -> plain data and the line of every value. Knows nothing of what the keys mean.

Only plain data is read: any other tag is an error, and so are duplicate keys. Size, depth, the number of
values and alias expansion are bounded before anything is built.
"""

import contextlib
import re
from dataclasses import dataclass
from functools import cache
from typing import Any

import yaml
from yaml.composer import Composer

from repromatrix.errors import MatrixError

MAX_BYTES = 1 << 20
MAX_NODES = 20_000
MAX_DEPTH = 40

NodePath = tuple[str | int, ...]

# Tabs between values, ? inside brackets, tags, what is not ASCII: libyaml accepts some that PyYAML refuses.
_DISPUTED = re.compile(r"[\t?]|[^\x00-\x7f]|(?:^|[^\"'])!")
_PLAIN = "tag:yaml.org,2002:"
_SCALARS = frozenset(_PLAIN + name for name in ("str", "int", "float", "bool", "null"))


@dataclass(frozen=True, slots=True)
class Document:
    """Plain data (dict, list, str, int, float, bool, None) and where it stands.

    Attributes:
        data: the whole file.
        lines: path -> line, from 1.
        written: path -> the text of a scalar that is not a string, as it stands in the file (`2.10`).
    """

    data: Any
    lines: dict[NodePath, int]
    written: dict[NodePath, str]

    def line(self, path: NodePath) -> int:
        """Return the line of `path`, or of its nearest parent that has one."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)


def parse(text: str, name: str) -> Document:
    """Parse YAML `text`; `name` is the file's name in messages.

    Raises:
        MatrixError: not YAML, a duplicate key, or a bound exceeded; with file and line.
    """
    if len(text) > MAX_BYTES:
        raise too_large(name)
    try:
        node = _composed(text, name)
    except (yaml.YAMLError, ValueError, OverflowError) as error:  # the last two: an escape that is no character
        raise _not_yaml(error, name) from error
    if node is None:
        raise MatrixError("the file is empty", where=f"{name}:1", hint="see docs/matrix.md for a first example")
    builder = _Builder(name)
    return Document(builder.build(node, (), 0), builder.lines, builder.written)


def too_large(name: str) -> MatrixError:
    """Return the error for a file of more than MAX_BYTES."""
    return MatrixError(
        f"larger than {MAX_BYTES} bytes", where=f"{name}:1", hint="split it, or remove what is not needed"
    )


def _not_yaml(error: Exception, name: str) -> MatrixError:
    lines = [
        mark.line + 1
        for mark in (getattr(error, "problem_mark", None), getattr(error, "context_mark", None))
        if mark is not None
    ]
    line, begun = (lines[0], lines[-1]) if lines else (1, 1)
    hint = "check indentation, quotes and brackets there" + (f", and what line {begun} begins" if begun < line else "")
    problem = getattr(error, "problem", None) or str(error).splitlines()[0]
    return MatrixError(f"not valid YAML: {problem}", where=f"{name}:{line}", hint=hint)


def _composed(text: str, name: str) -> yaml.Node | None:
    """Return the nodes of a text, read by libyaml, which is six times as fast as PyYAML's own parser.

    What libyaml refuses, and what it alone accepts, goes to PyYAML's: so messages are the same on every machine.

    Raises:
        MatrixError: a bound exceeded.
        yaml.YAMLError, ValueError, OverflowError: not YAML.
    """
    if yaml.__with_libyaml__ and not _DISPUTED.search(text):
        with contextlib.suppress(yaml.YAMLError, ValueError):
            return _libyaml()(text, name).get_single_node()
    return _Loader(text, name).get_single_node()


class _Bounded(Composer):
    """Composes nodes, and gives up at the bounds instead of after them."""

    peek_event: Any  # of the parser

    def __init__(self, text: str, name: str) -> None:
        self._read(text)
        Composer.__init__(self)
        self._file = name
        self._nodes = 0
        self._depth = 0

    def _read(self, text: str) -> None:
        """Begin the parser."""
        raise NotImplementedError

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        self._nodes += 1
        self._depth += 1
        if self._nodes > MAX_NODES or self._depth > MAX_DEPTH:
            raise _too_much(self._file, self.peek_event().start_mark.line + 1)
        node: yaml.Node | None = super().compose_node(parent, index)
        self._depth -= 1
        return node


class _Loader(_Bounded, yaml.SafeLoader):
    """Takes what PyYAML's own parser reads."""

    def _read(self, text: str) -> None:
        yaml.SafeLoader.__init__(self, text)


@cache
def _libyaml() -> type[_Bounded]:
    """Return the class that takes what libyaml reads: not every build of PyYAML has it."""

    class Loader(_Bounded, yaml.CSafeLoader):
        def _read(self, text: str) -> None:
            yaml.CSafeLoader.__init__(self, text)

    return Loader


def _too_much(name: str, line: int) -> MatrixError:
    return MatrixError(
        f"more than {MAX_NODES} values or {MAX_DEPTH} levels, its aliases expanded",
        where=f"{name}:{line}",
        hint="write less, and without nested aliases",
    )


class _Builder:
    """Walks the node tree once; counts nodes after alias expansion, so that a bomb is an error and not a wait."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.lines: dict[NodePath, int] = {}
        self.written: dict[NodePath, str] = {}
        self._count = 0
        self._scalars = yaml.constructor.SafeConstructor()

    def build(self, node: yaml.Node, path: NodePath, depth: int) -> Any:
        self._count += 1
        line = node.start_mark.line + 1
        self.lines.setdefault(path, line)
        if self._count > MAX_NODES or depth > MAX_DEPTH:
            raise _too_much(self.name, line)
        if isinstance(node, yaml.MappingNode) and node.tag == f"{_PLAIN}map":
            return self._mapping(node, path, depth)
        if isinstance(node, yaml.SequenceNode) and node.tag == f"{_PLAIN}seq":
            return [self.build(child, (*path, i), depth + 1) for i, child in enumerate(node.value)]
        if isinstance(node, yaml.ScalarNode) and node.tag in _SCALARS:
            return self._scalar(node, path, line)
        raise MatrixError(
            f"not plain data: it is tagged {node.tag.replace(_PLAIN, '!!')}",
            where=f"{self.name}:{line}",
            hint="text that looks like a date or like = needs quotes; objects are not read",
        )

    def _scalar(self, node: yaml.ScalarNode, path: NodePath, line: int) -> Any:
        _whole(node.value, f"{self.name}:{line}")
        try:
            value = self._scalars.construct_object(node)
        except (yaml.YAMLError, ValueError, LookupError) as error:
            raise MatrixError(
                f"cannot read {node.value[:80]!r} as {node.tag.removeprefix(_PLAIN)}",
                where=f"{self.name}:{line}",
                hint="put it in quotes if it is text",
            ) from error
        if not isinstance(value, str):
            self.written[path] = node.value
        return value

    def _mapping(self, node: yaml.MappingNode, path: NodePath, depth: int) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            where = f"{self.name}:{line}"
            if not isinstance(key_node, yaml.ScalarNode):
                raise MatrixError("a key must be plain text", where=where, hint="put it in quotes")
            key = key_node.value
            _whole(key, where)
            if key in result:
                first = self.lines[(*path, key)]
                raise MatrixError(
                    f"the key {key!r} stands here a second time", where=where, hint=f"first in line {first}"
                )
            self.lines[(*path, key)] = line
            result[key] = self.build(value_node, (*path, key), depth + 1)
        return result


def _whole(text: str, where: str) -> None:
    """Refuse half a surrogate pair, which an escape can spell and no file takes."""
    if not text.isascii() and any("\ud800" <= each <= "\udfff" for each in text):
        raise MatrixError(f"not a character in {text[:80]!r}", where=where, hint="write the character itself")
