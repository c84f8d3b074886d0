"""The wheel files on this machine, by content: cache/wheels/<sha256>/<file name>. A file has its place only if whole.

A folder in which wheels are being fetched lies beside them, with a mark that names its owner: what a killed runner
had fetched whole gets its place, and the rest goes.
"""

import contextlib
import fcntl
import re
import shutil
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from repromatrix import resources
from repromatrix.engines import owner
from repromatrix.images.tags import rank

REQUIREMENTS = "lock.txt"  # in a folder of a fetch: what was asked for
_FETCH = ".fetch-"
_MARK = ".owner"
_HASH = re.compile(r"sha256:([0-9a-f]{64})")


def root() -> Path:
    """Return the folder of the store."""
    return resources.cache() / "wheels"


def find(hashes: Iterable[str], python: str) -> Path | None:
    """Return a wheel with one of these SHA-256 that fits that Python, or None."""
    for digest in sorted(hashes):
        for path in sorted((root() / digest).glob("*.whl")):
            if rank(path.name, python) is not None:
                return path
    return None


def is_sound(path: Path) -> bool:
    """Whether a file of the store is still what its folder's name says."""
    return resources.file_sha256(path) == path.parent.name


def remove(path: Path) -> None:
    """Take a file of the store from its place, all at once."""
    with fetching() as folder, contextlib.suppress(FileNotFoundError):  # another process was quicker
        path.parent.rename(folder / path.parent.name)


def keep(path: Path, digest: str) -> None:
    """Move a whole file, made in a folder of `fetching`, to its place under its SHA-256."""
    place = root() / digest
    if _holds_a_wheel(place):
        return
    with contextlib.suppress(FileNotFoundError):  # what cleans disks by the age of files leaves their folders
        place.rename(path.parent / f"{digest}.empty")
    staged = path.parent / digest
    staged.mkdir()
    shutil.move(path, staged / path.name)
    try:
        staged.replace(place)
    except OSError:
        if not _holds_a_wheel(place):  # another process may have been quicker: same content, nothing lost
            raise


def _holds_a_wheel(place: Path) -> bool:
    return any(place.glob("*.whl"))


@contextmanager
def claimed(digest: str, *, wait: bool) -> Iterator[bool]:
    """Hold a wheel that is to be fetched, and yield whether it is ours: nobody else of this machine holds it then.

    The kernel lets go of it when its holder dies.
    """
    path = resources.cache() / "claims" / digest
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True


@contextmanager
def fetching() -> Iterator[Path]:
    """Yield a folder to fetch into. On leaving, what lies there and was asked for gets its place; the rest goes."""
    name = f"{_FETCH}{uuid.uuid4().hex[:12]}"
    mark = root() / f"{name}{_MARK}"
    resources.write_atomically(mark, owner.ourselves().encode())  # before the folder: none is there unmarked
    folder = root() / name
    try:
        folder.mkdir()
        yield folder
    finally:
        salvage(folder)
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists():  # else a later runner tries again
            mark.unlink(missing_ok=True)


def sweep() -> None:
    """Give what killed runners had fetched whole its place, and remove the rest."""
    for mark in root().glob(f"{_FETCH}*{_MARK}"):
        try:
            if not owner.is_dead(mark.read_text(errors="replace")):
                continue
        except FileNotFoundError:  # its owner has finished
            continue
        with fetching() as ours:  # what is in a folder of ours nobody else sweeps
            try:
                mark.with_suffix("").rename(ours / "left")
            except FileNotFoundError:  # killed before it made the folder, or another runner sweeps it
                pass
            else:
                salvage(ours / "left")
        mark.unlink(missing_ok=True)


def salvage(folder: Path) -> None:
    """Give every whole file that the fetch in `folder` was asked for its place."""
    # More than one: a runner may have been killed in sweeping up after another.
    asked = {
        digest for each in folder.rglob(REQUIREMENTS) for digest in _HASH.findall(each.read_text(errors="replace"))
    }
    for path in sorted(folder.rglob("*.whl")):
        digest = resources.file_sha256(path)
        if digest in asked:
            keep(path, digest)
