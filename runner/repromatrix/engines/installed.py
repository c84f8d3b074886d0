"""What a virtual environment holds: held against its wheels when it is made, against its seal before it is used.

The seal is over what the file system says of each file, its time of change among it, which nobody sets by hand. So an
environment that was changed, copied or brought back from a backup is made again; that is cheaper than to read it all.
Bytecode of modules that are imported later may come; bytecode that was there may not change.
"""

import base64
import csv
import hashlib
import io
import os
import stat
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

_BYTECODE = "__pycache__"
_SITE = "lib/python*/site-packages"
_RECORD = ".dist-info/RECORD"
# What an installer adds to a wheel's own files (PEP 376, PEP 610), and what it writes anew.
_ADDED = frozenset({"INSTALLER", "REQUESTED", "RECORD", "direct_url.json", "uv_cache.json"})
_OF_VENV = frozenset({"_virtualenv.py", "_virtualenv.pth"})
_SHEBANG = b"#!python"


def unlike(folder: Path, wheels: Iterable[Path]) -> str:
    """Return the first file of an environment without bytecode that is not as its wheels have it, and why; else "".

    Raises:
        OSError: a file cannot be read.
        zipfile.BadZipFile: a wheel is damaged.
    """
    (site,) = sorted(folder.glob(_SITE))
    due: set[str] = set()
    for wheel in wheels:
        with zipfile.ZipFile(wheel) as archive:
            for name, record in _contents(archive).items():
                path = _installed(name, folder, site)
                due.add(str(path))
                if why := _unlike(path, name, record, archive):
                    return f"{path.relative_to(folder)} {why} {wheel.name}"
    for path in map(Path, _files(site)):
        added = path.parent.suffix == ".dist-info" and path.name in _ADDED
        if str(path) not in due and not added and not (path.parent == site and path.name in _OF_VENV):
            return f"{path.relative_to(folder)} is in none of its wheels"
    return ""


def _contents(archive: zipfile.ZipFile) -> Mapping[str, str]:
    """Return the digest that a wheel's RECORD tells of each of its files, empty where it tells none."""
    (name,) = (each for each in archive.namelist() if each.endswith(_RECORD) and each.count("/") == 1)
    told = {row[0]: row[1] for row in csv.reader(io.StringIO(archive.read(name).decode())) if row}
    names = [each for each in archive.namelist() if not each.endswith("/")]
    return {each: told.get(each, "") for each in names if each.rpartition("/")[2] not in _ADDED or "/" not in each}


def _installed(name: str, folder: Path, site: Path) -> Path:
    """Return where a file of a wheel is installed."""
    root, _, rest = name.partition("/")
    if not root.endswith(".data"):
        return site / name
    scheme, _, inside = rest.partition("/")
    version = site.parent.name
    package = root.removesuffix(".data").rpartition("-")[0]
    places = {"purelib": site, "platlib": site, "scripts": folder / "bin", "data": folder}
    return places.get(scheme, folder / "include" / "site" / version / package) / inside


def _unlike(path: Path, name: str, record: str, archive: zipfile.ZipFile) -> str:
    if not path.is_file() or path.is_symlink():
        return "is no file, though it is one in"
    algorithm, _, digest = record.partition("=")
    if not digest:
        return "" if path.read_bytes() == archive.read(name) else "is another file than in"
    found = hashlib.new(algorithm)
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            found.update(block)
    if base64.urlsafe_b64encode(found.digest()).rstrip(b"=").decode() == digest:
        return ""
    if name.partition("/")[0].endswith(".data") and archive.read(name).startswith(_SHEBANG):
        return ""  # an installer writes the interpreter's path there; no import reads it
    return "is another file than in"


def protect(folder: Path) -> None:
    """Take the right to write from all of an environment, but for the places of bytecode; root has it all the same."""
    for here, _, names in os.walk(folder, topdown=False):
        if any(name.endswith(".py") for name in names):
            Path(here, _BYTECODE).mkdir(exist_ok=True)
        for name in names:
            path = Path(here, name)
            if not path.is_symlink():
                path.chmod(path.stat().st_mode & ~0o222)
        if Path(here).name not in (_BYTECODE, folder.name):
            Path(here).chmod(Path(here).stat().st_mode & ~0o222)


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
