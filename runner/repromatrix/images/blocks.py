"""What files take on disk, in the blocks of the file system; hard links are counted once."""

import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

_UNIT = 512  # of st_blocks, whatever the file system's own block is


def used_by(paths: Iterable[Path]) -> int:
    """Return the bytes that files and whole folders take."""
    found = {(each.st_dev, each.st_ino): each.st_blocks for path in paths for each in _walk(path)}
    return sum(found.values()) * _UNIT


def freed_with(paths: Iterable[Path]) -> int:
    """Return the bytes that go if all of `paths` go: a file that has another name elsewhere stays."""
    links: dict[tuple[int, int], int] = {}
    total = 0
    for path in paths:
        for found in _walk(path):
            key = (found.st_dev, found.st_ino)
            links[key] = links.get(key, 0) + 1
            if links[key] == found.st_nlink or stat.S_ISDIR(found.st_mode):
                total += found.st_blocks * _UNIT
    return total


def _walk(path: Path) -> Iterator[os.stat_result]:
    """Yield what the file system knows of a file, or of a folder and everything in it."""
    try:
        yield path.lstat()
        if not path.is_symlink() and path.is_dir():
            with os.scandir(path) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        yield from _walk(Path(entry.path))
                    else:
                        yield entry.stat(follow_symlinks=False)
    except FileNotFoundError:  # what is being removed while it is looked at
        return
