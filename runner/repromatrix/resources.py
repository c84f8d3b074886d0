"""Where the product's own files lie, the one way to write a file, and digests of what files hold.

In a checkout `images/` and `templates/` stand beside the package; in an installed wheel they are
package data. Nothing here knows what the files mean.
"""

import errno
import os
import sys
import tempfile
from collections.abc import Collection, Iterator
from hashlib import sha256
from pathlib import Path

from repromatrix.errors import RepromatrixError

_PACKAGE = Path(__file__).parent
_COMPILED = "__pycache__"


def folder(name: str) -> Path:
    """Return the product's folder `name` (`images` or `templates`), from the checkout or from the wheel."""
    packaged = _PACKAGE / "_data" / name
    found = packaged if packaged.is_dir() else _PACKAGE.parents[1] / name
    if not found.is_dir():
        raise RepromatrixError(
            f"the folder {name}/ of repromatrix is missing",
            where=str(found),
            hint="install it again: pip install --force-reinstall repromatrix",
        )
    return found


def matrix() -> Path:
    """Return the matrix that comes with the product."""
    packaged = _PACKAGE / "_data" / "matrix.yaml"
    return packaged if packaged.is_file() else _PACKAGE.parents[1] / "matrix.yaml"


def is_installed(path: Path) -> bool:
    """Whether a path lies in the installed product, where nothing of the user's is written."""
    return path.absolute().is_relative_to(_PACKAGE / "_data")


def schema(name: str) -> Path:
    """Return the path of the JSON Schema `name`."""
    return _PACKAGE / "schemas" / f"{name}.json"


def schemas() -> tuple[str, ...]:
    """Return the names of all JSON Schemas."""
    return tuple(sorted(path.stem for path in (_PACKAGE / "schemas").glob("*.json")))


def cache() -> Path:
    """Return the folder for wheels, environments and build logs: REPROMATRIX_CACHE or the user's cache folder."""
    own = os.environ.get("REPROMATRIX_CACHE")
    if own:
        return Path(own).absolute()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "repromatrix"


def write_atomically(path: Path, data: bytes) -> None:
    """Write `data` so that a reader, or a kill at any moment, sees the old file or the new one, never a part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=".part")
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file's content, lower-case hexadecimal."""
    digest = sha256()
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def tree_sha256(folder: Path, *, without: Collection[str] = ()) -> str:
    """Return the SHA-256 over the names and contents of all files below a folder, but those in folders `without`.

    Raises:
        OSError: a file or a folder cannot be read, or what is there is neither: a pipe, say, would never end.
    """
    digest = sha256()
    for path in _files(folder, without):
        if not os.path.isfile(path):  # noqa: PTH113 - thousands, and a Path is slow
            raise OSError(errno.EINVAL, "not a regular file", path)
        name = os.fsencode(path)[len(os.fsencode(folder)) :]
        digest.update(name + b"\0" + sha256(Path(path).read_bytes()).digest())
    return digest.hexdigest()


def product_sha256() -> str:
    """Return the SHA-256 over all that decides what the product makes of given files: its own, and what it stands on.

    Its own are the package with its schemas, `images/` and `templates/`. Python and the installed distributions count
    by their releases.

    Raises:
        OSError: a file cannot be read.
    """
    own = [_PACKAGE, folder("images"), folder("templates")]
    parts = [sys.version, *_distributions(), *(tree_sha256(each, without=(_COMPILED,)) for each in own)]
    return sha256("\n".join(parts).encode()).hexdigest()


def _files(folder: Path, without: Collection[str]) -> Iterator[str]:
    def refuse(error: OSError) -> None:
        raise error

    for here, folders, names in os.walk(folder, onerror=refuse, followlinks=True):
        folders[:] = sorted(set(folders).difference(without))
        yield from (os.path.join(here, name) for name in sorted(names))  # noqa: PTH118 - thousands, and a Path is slow


def _distributions() -> list[str]:
    """Return the names and versions of what is installed, as the folders that say so are called."""
    places = [Path(place) for place in sys.path if place]
    return sorted(path.name for place in places for path in place.glob("*.dist-info"))
