"""What a virtual environment holds: protected and sealed when it is made, held against its seal before it is used.

The seal is over what the file system says of each file, its time of change among it, which nobody sets by hand. So an
environment that was changed, copied or brought back from a backup is made again; that is cheaper than to read it all.
Bytecode of modules that are imported later may come; bytecode that was there may not change.
"""

import hashlib
import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

_BYTECODE = "__pycache__"


def protect(folder: Path) -> None:
    """Take the right to write from all of an environment, but for the places of bytecode; root has it all the same."""
    for here, _, names in os.walk(folder, topdown=False):
        if any(name.endswith(".py") for name in names):
            Path(here, _BYTECODE).mkdir(exist_ok=True)
        for name in names:
            _protect(os.path.join(here, name))  # noqa: PTH118 - thousands, and a Path is slow
        if Path(here).name not in (_BYTECODE, folder.name):
            _protect(here)


def _protect(path: str) -> None:
    mode = os.lstat(path).st_mode
    if mode & 0o222 and not stat.S_ISLNK(mode):
        Path(path).chmod(mode & ~0o222)


def bytecode(folder: Path) -> list[str]:
    """Return the files of bytecode that are there."""
    return [name for name in (path[len(str(folder)) + 1 :] for path in _files(folder)) if _is_bytecode(name)]


def seal(folder: Path, compiled: Iterable[str], *, without: str) -> str:
    """Return the seal of an environment as it is now.

    Args:
        folder: the environment.
        compiled: the files of bytecode that were there when it was made.
        without: the file of the folder that tells the seal.

    Raises:
        OSError: the folder cannot be read.
    """
    digest, known, start = hashlib.sha256(), {*compiled}, len(str(folder)) + 1
    for path in _files(folder):
        name = path[start:]
        if name == without or (_is_bytecode(name) and name not in known):
            continue
        seen = os.lstat(path)
        target = str(Path(path).readlink()) if stat.S_ISLNK(seen.st_mode) else ""
        facts = (name, target, seen.st_mode, seen.st_size, seen.st_mtime_ns, seen.st_ctime_ns, seen.st_ino)
        digest.update(repr(facts).encode(errors="surrogateescape"))
    return digest.hexdigest()


def _is_bytecode(name: str) -> bool:
    parts = name.rsplit("/", 2)
    return len(parts) > 1 and parts[-2] == _BYTECODE and name.endswith(".pyc")


def _files(folder: Path) -> Iterator[str]:
    """Yield every file and link below a folder, always in the same order."""

    def refuse(error: OSError) -> None:
        raise error

    for here, folders, names in os.walk(folder, onerror=refuse):
        folders.sort()
        links = [name for name in folders if os.path.islink(os.path.join(here, name))]  # noqa: PTH114, PTH118 - thousands, and a Path is slow
        yield from (os.path.join(here, name) for name in sorted((*names, *links)))  # noqa: PTH118
