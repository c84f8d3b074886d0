"""Which release of all that judges operations this is; what is derived from it is kept under its name."""

from functools import cache
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path

_CHARACTERS = 16
_PACKAGE = Path(__file__).parents[1]
# The rooms that judge, whole, and what they stand on.
_CODE = ("errors.py", "floats.py", "graph.py", "resources.py", "operations/*.py", "results/*.py")
_LIBRARIES = ("numpy", "python-flint")


def code(package: Path = _PACKAGE) -> tuple[Path, ...]:
    """Return the modules whose change makes another release."""
    return tuple(path for pattern in _CODE for path in sorted(package.glob(pattern)))


@cache
def release() -> str:
    """Return the start of the digest over that code and the versions of its libraries, 16 hexadecimal digits."""
    return digest(code(), _PACKAGE)


def digest(paths: tuple[Path, ...], package: Path) -> str:
    """Return the start of the digest over modules of a package and the versions of the libraries."""
    parts = [f"{name} {version(name)}".encode() for name in _LIBRARIES]
    parts += [str(path.relative_to(package)).encode() + b"\0" + path.read_bytes() for path in paths]
    return sha256(b"".join(sha256(part).digest() for part in parts)).hexdigest()[:_CHARACTERS]
