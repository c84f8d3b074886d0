"""YAML text -> plain data and the line of every value. Knows nothing of what the keys mean.

Parsed with PyYAML's safe constructors from the node tree, which carries the line numbers; duplicate
keys are errors, and size, depth and alias expansion are bounded before anything is built.
"""

from dataclasses import dataclass
from typing import Any

import yaml

from runner.errors import MatrixError

MAX_BYTES = 1 << 20
MAX_NODES = 100_000
MAX_DEPTH = 40

NodePath = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Document:
    """Plain data (dict, list, str, int, float, bool, None) and the line of each path in it, from 1."""

    data: Any
    lines: dict[NodePath, int]

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
    if len(text.encode()) > MAX_BYTES:
        raise MatrixError(f"larger than {MAX_BYTES} bytes", where=name, hint="split it, or remove what is not needed")
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark else 1
        problem = getattr(error, "problem", None) or str(error)
        raise MatrixError(
            f"not valid YAML: {problem}", where=f"{name}:{line}", hint="check indentation, quotes and brackets there"
        ) from error
    except RecursionError as error:
        raise MatrixError("nested too deeply", where=name, hint=f"at most {MAX_DEPTH} levels are read") from error
    if node is None:
        raise MatrixError("the file is empty", where=name, hint="see docs/matrix.md for a first example")
    builder = _Builder(name)
    return Document(builder.build(node, (), 0), builder.lines)


class _Builder:
    """Walks the node tree once; counts nodes after alias expansion, so that a bomb is an error and not a wait."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.lines: dict[NodePath, int] = {}
        self._count = 0
        self._scalars = yaml.constructor.SafeConstructor()

    def build(self, node: yaml.Node, path: NodePath, depth: int) -> Any:
        self._count += 1
        line = node.start_mark.line + 1
        self.lines.setdefault(path, line)
        if self._count > MAX_NODES or depth > MAX_DEPTH:
            raise MatrixError(
                f"more than {MAX_NODES} values or {MAX_DEPTH} levels after its aliases are expanded",
                where=f"{self.name}:{line}",
                hint="write it without nested aliases",
            )
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path, depth)
        if isinstance(node, yaml.SequenceNode):
            return [self.build(child, (*path, i), depth + 1) for i, child in enumerate(node.value)]
        try:
            return self._scalars.construct_object(node)
        except (yaml.YAMLError, ValueError) as error:
            raise MatrixError(f"cannot read {node.value!r}: {error}", where=f"{self.name}:{line}") from error

    def _mapping(self, node: yaml.MappingNode, path: NodePath, depth: int) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            where = f"{self.name}:{line}"
            if not isinstance(key_node, yaml.ScalarNode):
                raise MatrixError("a key must be plain text", where=where, hint="put it in quotes")
            key = key_node.value
            if key in result:
                first = self.lines[(*path, key)]
                raise MatrixError(
                    f"the key {key!r} stands here a second time", where=where, hint=f"first in line {first}"
                )
            self.lines[(*path, key)] = line
            result[key] = self.build(value_node, (*path, key), depth + 1)
        return result
