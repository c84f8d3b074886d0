"""The options of every entrypoint and the values of each, read from its source without running it."""

import ast
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TypeAlias

from repromatrix import resources
from repromatrix.errors import EnvironmentFailedError

# framework -> option -> its values, the default first
Vocabulary: TypeAlias = Mapping[str, Mapping[str, tuple[str, ...]]]


def vocabulary(frameworks: Iterable[str]) -> Vocabulary:
    """Return the options that the entrypoints of these frameworks declare.

    Raises:
        EnvironmentFailedError: an entrypoint is missing, or declares no `OPTIONS` that can be read.
    """
    folder = resources.folder("images")
    return {name: _options(folder / name / "entrypoint.py", folder) for name in frameworks}


def _options(path: Path, shared: Path) -> dict[str, tuple[str, ...]]:
    try:
        found = _assigned(path, "OPTIONS")
        pairs = zip(found.keys, found.values, strict=True) if isinstance(found, ast.Dict) else ()
        return {str(ast.literal_eval(key)): _values(value, shared) for key, value in pairs if key is not None}
    except (OSError, SyntaxError, ValueError, TypeError, KeyError) as error:
        raise EnvironmentFailedError(
            f"its OPTIONS cannot be read ({type(error).__name__}: {error})",
            where=str(path),
            hint="write them as a dict of texts to tuples of texts, as images/numpy/entrypoint.py does",
        ) from error


def _values(node: ast.expr, shared: Path) -> tuple[str, ...]:
    """Return a tuple of texts; a name stands for what backends.py calls so, which several entrypoints share."""
    if isinstance(node, ast.Name | ast.Attribute):
        name = node.id if isinstance(node, ast.Name) else node.attr
        node = _assigned(shared / "backends.py", name)
    values = ast.literal_eval(node)
    if not isinstance(values, tuple) or not values or not all(isinstance(each, str) for each in values):
        raise TypeError(f"{values!r} is no tuple of texts")
    return values


def _assigned(path: Path, name: str) -> ast.expr:
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == name for t in node.targets):
            return node.value
    raise KeyError(f"{path.name} has no {name}")
