"""Where the product's own files lie, the one way to write a file, and digests of what files hold.

In a checkout `images/` and `templates/` stand beside the package; in an installed wheel they are
package data. Nothing here knows what the files mean.
"""

import contextlib
import errno
import os
import re
import secrets
import stat
import sys
import uuid
from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import cache as once
from functools import lru_cache
from hashlib import sha256
from pathlib import Path

from repromatrix.errors import RepromatrixError, UsageError

try:
    import fcntl
except ImportError:  # Windows: files are written whole there too, but nobody's half is swept
    fcntl = None  # type: ignore[assignment]

_PACKAGE = Path(__file__).parent
_COMPILED = "__pycache__"
_PART = ".part"
# Not on every system; where a flag is not there, what it keeps away is looked at before and after.
_SAFELY = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
_NO_LINK = getattr(os, "O_NOFOLLOW", 0)
_NEW = os.O_RDWR | os.O_CREAT | os.O_EXCL | _NO_LINK | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
_KINDS = {
    stat.S_ISLNK: "a link",
    stat.S_ISDIR: "a folder",
    stat.S_ISFIFO: "a pipe",
    stat.S_ISSOCK: "a socket",
    stat.S_ISCHR: "a device",
    stat.S_ISBLK: "a device",
}


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
    """Return the folder for wheels, environments and build logs: REPROMATRIX_CACHE or the user's cache folder.

    Raises:
        UsageError: nobody knows where the user's is.
    """
    own = os.environ.get("REPROMATRIX_CACHE")
    return Path(own).absolute() if own else user_cache() / "repromatrix"


def user_cache() -> Path:
    """Return the folder in which programs of this user keep what can be made again.

    Raises:
        UsageError: no variable tells it, and this account has no home.
    """
    told = os.environ.get("XDG_CACHE_HOME", "")
    if os.path.isabs(told):  # noqa: PTH117 - one that is not absolute is to be ignored, its standard says
        return Path(told)
    try:
        return Path.home() / ".cache"
    except RuntimeError as error:
        raise UsageError(
            "this account has no home folder, so nothing can be kept",
            hint="name a folder for wheels and environments: set REPROMATRIX_CACHE",
        ) from error


def keep(path: Path, data: bytes) -> None:
    """Write what only saves the time to make it again; where it cannot be written, it is made again."""
    with contextlib.suppress(OSError):
        write_atomically(path, data)


def write_atomically(path: Path, data: bytes) -> None:
    """Write `data` so that a reader, or a kill at any moment, sees the old file or the new one, never a part.

    Raises:
        OSError: it cannot be written; `filename` is the file's.
    """
    write_together({path: data})


def write_together(files: Mapping[Path, bytes]) -> None:
    """Write several files, each as `write_atomically` does; where there is no room for one, none is written.

    Raises:
        OSError: one cannot be written; `filename` is the file's.
    """
    parts: dict[Path, Path] = {}
    with contextlib.ExitStack() as stack:
        try:
            for path, data in files.items():
                with _named(path):
                    parts[path] = _part(path, stack)
                    _fill(parts[path], data)
            for path, part in parts.items():
                with _named(path):
                    part.replace(path)
        except BaseException:
            for part in parts.values():
                part.unlink(missing_ok=True)
            raise


@contextlib.contextmanager
def _named(path: Path) -> Iterator[None]:
    """Have each error of the system name the file that was to be written: an error of a full disk names none."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error


def _part(path: Path, stack: contextlib.ExitStack) -> Path:
    """Return a new file beside `path`, locked until the stack unwinds: what is not is nobody's any more."""
    _make(path.parent)
    if str(path.parent) not in _swept:
        _swept.add(str(path.parent))
        sweep_parts(path.parent.iterdir())
    while True:
        part = path.parent / f".{secrets.token_hex(4)}{_PART}"
        try:
            handle = os.open(part, _NEW, 0o666)  # less what the umask takes away
        except FileExistsError:
            continue
        stack.callback(os.close, handle)
        if not fcntl:
            return part
        with contextlib.suppress(OSError):  # a file system without locks: nothing is swept there either
            fcntl.flock(handle, fcntl.LOCK_EX)
        if os.fstat(handle).st_nlink:  # else it was swept before it was locked
            return part


def _make(folder: Path) -> None:
    """Make a folder and those above it, of any depth: `Path.mkdir` calls itself for each."""
    try:
        folder.mkdir(exist_ok=True)
    except FileNotFoundError:
        for each in (*reversed(folder.parents), folder):
            each.mkdir(exist_ok=True)


def _fill(part: Path, data: bytes) -> None:
    with part.open("wb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())


def sweep_parts(paths: Iterable[Path]) -> None:
    """Remove those files of `paths` that a killed writer left half written; whose writer lives, stays."""
    for path in paths:
        if not re.fullmatch(rf"\.[a-z0-9_]{{8}}{re.escape(_PART)}", path.name):
            continue
        with contextlib.suppress(OSError):  # it has just got its place, is locked, or is not ours to remove
            handle = os.open(path, _SAFELY | _NO_LINK)
            try:
                if fcntl and stat.S_ISREG(os.fstat(handle).st_mode):
                    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    path.unlink()
            finally:
                os.close(handle)


_swept: set[str] = set()  # folders that were looked through: once is enough for a process


def read_regular(path: Path, *, most: int, links: bool) -> bytes:
    """Return the content of a file that may be somebody else's: nothing else is opened, and no more is read than told.

    Args:
        path: the file.
        most: bytes that it may have.
        links: whether the file itself may be a link; not where somebody else chose its name.

    Raises:
        OSError: it is not there, cannot be read, is too large, or is no regular file: a pipe or a device never ends.
    """
    _require_regular(path, path.stat(follow_symlinks=links), most)
    flags = _SAFELY | (0 if links else _NO_LINK)
    with os.fdopen(os.open(path, flags), "rb") as stream:
        found = os.fstat(stream.fileno())  # once more: it may have been replaced since
        _require_regular(path, found, most)
        data = stream.read(max(found.st_size, 1))
        if stream.read(1):  # it grows, or tells no size, as files of the kernel do
            raise OSError(errno.EFBIG, f"longer than its {found.st_size} bytes", str(path))
        return data


def _require_regular(path: Path, found: os.stat_result, most: int) -> None:
    if not stat.S_ISREG(found.st_mode):
        kind = next((word for is_such, word in _KINDS.items() if is_such(found.st_mode)), "something else")
        raise OSError(errno.EINVAL, f"not a regular file but {kind}", str(path))
    if found.st_size > most:
        raise OSError(errno.EFBIG, f"larger than {most:,} bytes", str(path))


def remove_tree(folder: Path) -> None:
    """Remove a folder with all that is in it, however deep, also where the right to write was taken from it.

    Absent is no error.

    Raises:
        OSError: something of it cannot be removed.
    """
    if folder.is_symlink():
        raise NotADirectoryError(errno.ENOTDIR, "a link, not a folder", str(folder))
    # A folder within a folder within it is moved up first: no path gets long, and nothing calls itself.
    with contextlib.suppress(FileNotFoundError):
        folder.chmod(0o700)
        while own := _folders_alone(folder):
            for each in own:
                for inner in _folders_alone(each):
                    inner.rename(folder / f".{uuid.uuid4().hex}")
                each.rmdir()
        folder.rmdir()


def _folders_alone(folder: Path) -> list[Path]:
    """Remove what is in a folder but its folders, and return those, with the right to write there."""
    found = []
    for entry in [*os.scandir(folder)]:
        path = Path(entry.path)
        if entry.is_dir(follow_symlinks=False):
            path.chmod(0o700)
            found.append(path)
        else:
            path.unlink()
    return found


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


def content_sha256(path: Path) -> str:
    """Return the SHA-256 of a file, or over all files below a folder; read again only where something changed.

    Raises:
        OSError: it cannot be read, or is neither.
    """
    every = list(_files(path, ())) if path.is_dir() else [str(path)]
    return _content_sha256(path, tuple((each, *_signature(os.stat(each))) for each in every))  # noqa: PTH116


def _signature(seen: os.stat_result) -> tuple[int, ...]:
    return seen.st_size, seen.st_mtime_ns, seen.st_ctime_ns, seen.st_ino


@lru_cache(maxsize=1024)
def _content_sha256(path: Path, _seen: tuple[tuple[str | int, ...], ...]) -> str:
    return tree_sha256(path) if path.is_dir() else file_sha256(path)


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


@once
def own_sha256() -> str:
    """Return the SHA-256 over the code of the package and of `images/`: equal ones do the same with the same job.

    Raises:
        OSError: a file cannot be read.
    """
    digest = sha256()
    for place in (_PACKAGE, folder("images")):
        for path in sorted(place.rglob("*.py")):
            name = path.relative_to(place).as_posix()
            if not name.startswith("_data/"):
                digest.update(f"{name}\0{file_sha256(path)}\n".encode())
    return digest.hexdigest()


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
