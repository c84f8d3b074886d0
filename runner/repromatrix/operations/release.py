"""Which release of all that judges operations this is; what is derived from it is kept under its name."""

import ast
from collections.abc import Iterator
from functools import cache
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path

_CHARACTERS = 16
_PACKAGE = Path(__file__).parents[1]
# What makes a judgement and fresh inputs; all that these import is found from there.
_JUDGES = ("operations/judgement.py", "operations/kept.py")
_LIBRARIES = ("numpy", "python-flint")


@cache
def code(package: Path = _PACKAGE) -> tuple[Path, ...]:
    """Return the modules whose change makes another release: those that judge, and whatever they import."""
    found: set[Path] = set()
    todo = [package / name for name in _JUDGES]
    while todo:
        path = todo.pop()
        if path not in found and path.is_file():
            found.add(path)
            todo += _imported(path, package)
    return tuple(sorted(found))


def _imported(path: Path, package: Path) -> Iterator[Path]:
    """Yield where the modules of this package may lie that a module imports, wherever in it the statement stands."""
    for node in ast.walk(ast.parse(path.read_bytes())):
        names = [each.name for each in node.names] if isinstance(node, ast.Import | ast.ImportFrom) else []
        if isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{name}" for name in names] + [str(node.module)]
        for own in (name.split(".")[1:] for name in names if name.startswith("repromatrix.")):
            yield (package / Path(*own)).with_suffix(".py")


@cache
def release() -> str:
    """Return the start of the digest over that code and the versions of its libraries, 16 hexadecimal digits."""
    return digest(code(), _PACKAGE)


def digest(paths: tuple[Path, ...], package: Path) -> str:
    """Return the start of the digest over modules of a package and the versions of the libraries."""
    parts = [f"{name} {version(name)}".encode() for name in _LIBRARIES]
    parts += [str(path.relative_to(package)).encode() + b"\0" + path.read_bytes() for path in paths]
    return sha256(b"".join(sha256(part).digest() for part in parts)).hexdigest()[:_CHARACTERS]
