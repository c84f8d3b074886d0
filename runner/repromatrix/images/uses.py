"""Who uses what is in the cache, so that cleaning does not take it away: locks that the kernel frees with their holder.

A runner holds a shared lock for each environment that it makes or runs. One that cleans holds the gate, at which a
runner that starts meanwhile waits, and sees whose locks are held.
"""

import fcntl
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO

from repromatrix import resources

_SUFFIX = ".lock"


def root() -> Path:
    """Return the folder of these locks."""
    return resources.cache() / "uses"


@contextmanager
def using(names: Iterable[str]) -> Iterator[None]:
    """Keep the environments of these names, and all that they are made of, from being cleaned away."""
    wanted = sorted(set(names))
    with ExitStack() as stack:
        if wanted:
            with _opened(_gate()) as gate:
                fcntl.flock(gate, fcntl.LOCK_SH)
                for name in wanted:
                    fcntl.flock(stack.enter_context(_opened(root() / f"{name}{_SUFFIX}")), fcntl.LOCK_SH)
        yield


@contextmanager
def cleaning() -> Iterator[frozenset[str]]:
    """Yield the names of the environments that are in use; none comes into use as long as the context lasts."""
    with _opened(_gate()) as gate:
        fcntl.flock(gate, fcntl.LOCK_EX)
        yield frozenset(path.stem for path in root().glob(f"*{_SUFFIX}") if path != _gate() and not is_free(path))


def is_free(lock: Path) -> bool:
    """Whether nobody holds a lock at this moment."""
    if not lock.exists():
        return True
    with lock.open("rb") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True


def _gate() -> Path:
    return root() / f".gate{_SUFFIX}"


def _opened(path: Path) -> IO[bytes]:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path.open("ab")
