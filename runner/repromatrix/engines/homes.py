"""Temporary folders of builds, runs and resolvers, in the cache; what a killed runner left there is swept."""

import contextlib
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from repromatrix import resources
from repromatrix.engines import owner

_MARK = ".owner"


@contextmanager
def home() -> Iterator[Path]:
    """Yield an empty folder, which goes with the context."""
    name = uuid.uuid4().hex[:12]
    mark = _parent() / f"{name}{_MARK}"
    resources.write_atomically(mark, owner.ourselves().encode())  # before the folder: none is there unmarked
    try:
        folder = Path(tempfile.mkdtemp(dir=_parent(), prefix=f"{name}-"))
        try:
            yield folder
        finally:
            _remove(folder)
    finally:
        _unmark(mark)


def sweep() -> None:
    """Remove the folders of runners that were killed."""
    for mark in _parent().glob(f"*{_MARK}"):
        try:
            dead = owner.is_dead(mark.read_text(errors="replace"))
        except OSError:  # its owner has finished, or it is not ours to read
            continue
        if dead:
            for folder in _parent().glob(f"{mark.stem}-*"):
                _remove(folder)
            with contextlib.suppress(OSError):
                _unmark(mark)


def _remove(folder: Path) -> None:
    with contextlib.suppress(OSError):  # what cannot be removed now, a later runner tries again
        resources.remove_tree(folder)


def _parent() -> Path:
    return resources.cache() / "runs"


def _unmark(mark: Path) -> None:
    """Remove the mark, unless something could not be removed: a later runner tries again."""
    if not any(mark.parent.glob(f"{mark.stem}-*")):
        mark.unlink(missing_ok=True)
