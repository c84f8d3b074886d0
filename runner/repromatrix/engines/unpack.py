"""Unpacks wheels into a virtual environment; each file is hashed as it is written, and held against its wheel's RECORD.

Run as a script, so that it can be ended, and environments be unpacked side by side:

    python -I unpack.py FOLDER LOCK WHEEL...

What is not as it should be is a line on standard error, and exit code 1.
"""

import base64
import hashlib
import io
import os
import re
import sys
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, Literal, cast

from installer import install
from installer.destinations import SchemeDictionaryDestination
from installer.exceptions import InstallerError
from installer.records import Hash, InvalidRecordEntry, RecordEntry
from installer.scripts import Script
from installer.sources import WheelContentElement, WheelFile
from installer.utils import Scheme
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name, parse_wheel_filename
from packaging.version import Version

_PIECE = 1 << 20
_SITE = "lib/python*/site-packages"
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")
_OF_VENV = frozenset({"_virtualenv.py", "_virtualenv.pth"})
_ALGORITHM = "sha256"


class UnlikeError(Exception):
    """A file is not as its wheel, or the lock, says; or is in no wheel."""


# AssertionError: what `installer` says to an entry point that names nothing to call.
_DAMAGE = (
    UnlikeError, InstallerError, InvalidRecordEntry, zipfile.BadZipFile, zlib.error, OSError, ValueError, KeyError,
    AssertionError,
)  # fmt: skip


def unpack(folder: Path, lock: str, wheels: Iterable[Path]) -> None:
    """Unpack wheels into an environment that holds no package yet.

    Args:
        folder: a virtual environment.
        lock: requirements with the hash of each wheel.
        wheels: the wheels.

    Raises:
        UnlikeError: a wheel, or a file of one, has another hash than is told; the wheels are not those of the lock; or
            something else is installed.
        InstallerError, InvalidRecordEntry, BadZipFile, zlib.error, ValueError, KeyError, AssertionError: it is damaged.
        FileExistsError: two wheels have different files of one name.
        OSError: it cannot be written.
    """
    (site,) = sorted(folder.glob(_SITE))
    told, written = _told(lock), {str(site / name) for name in _OF_VENV}
    for wheel in sorted(wheels):
        name, version, *_ = parse_wheel_filename(wheel.name)
        hashes = told.pop((name, version), None)
        if hashes is None:
            raise UnlikeError(f"{wheel.name} is not in the lock, or twice among the wheels")
        with wheel.open("rb") as stream:
            if hashlib.file_digest(stream, "sha256").hexdigest() not in hashes:
                raise UnlikeError(f"{wheel.name} has another sha256 than its lock tells")
            stream.seek(0)
            with zipfile.ZipFile(stream) as archive:
                source = _Held(archive)
                target = _Target(folder, site, source.distribution, written)
                install(source, target, {"INSTALLER": b"repromatrix\n"})
    if told:
        lacking = ", ".join(f"{name} {version}" for name, version in sorted(told))
        raise UnlikeError(f"there is no wheel of {lacking}, which the lock names")
    _require_no_other(folder, site, written)


def _told(lock: str) -> dict[tuple[str, Version], set[str]]:
    """Return the hashes that a lock tells, by name and version.

    Raises:
        UnlikeError: a requirement without a hash, or one that pins no version.
    """
    found: dict[tuple[str, Version], set[str]] = {}
    for line in lock.replace("\\\n", " ").splitlines():
        words = line.partition(" #")[0].split(" --hash=")[0].strip()
        if not words or words.startswith(("#", "-")):
            continue
        try:
            requirement = Requirement(words)
            (version,) = [Version(each.version) for each in requirement.specifier if each.operator in {"==", "==="}]
        except ValueError as error:  # also of what is no requirement, or no version
            raise UnlikeError(f"{words}: all requirements must have one version") from error
        hashes = set(_HASH.findall(line))
        if not hashes:
            raise UnlikeError(f"{words}: all requirements must have a hash")
        found[str(canonicalize_name(requirement.name)), version] = hashes
    return found


def _require_no_other(folder: Path, site: Path, written: set[str]) -> None:
    for here, _, names in os.walk(site):
        for name in names:
            path = os.path.join(here, name)  # noqa: PTH118 - thousands, and a Path is slow
            if path not in written:
                raise UnlikeError(f"{os.path.relpath(path, folder)} is in none of its wheels")


class _Hashed:
    """A file that is hashed as it is read; whoever goes back to its start reads it all again."""

    def __init__(self, stream: BinaryIO, algorithm: str) -> None:
        self._stream, self._algorithm = stream, algorithm
        self._hash = hashlib.new(algorithm)
        self.was_read = False

    def read(self, size: int = -1) -> bytes:
        return self._hashed(self._stream.read(size))

    def readline(self) -> bytes:
        return self._hashed(self._stream.readline())

    def _hashed(self, data: bytes) -> bytes:
        self.was_read = True
        self._hash.update(data)
        return data

    def seek(self, place: int) -> int:
        self._hash = hashlib.new(self._algorithm)
        return self._stream.seek(place)

    @property
    def hash(self) -> Hash:
        """The hash of what was read, as RECORD spells it."""
        return Hash(self._algorithm, base64.urlsafe_b64encode(self._hash.digest()).rstrip(b"=").decode())


class _Held(WheelFile):
    """A wheel that holds each of its files against RECORD, once that file was read and before the next one is."""

    def get_contents(self) -> Iterator[WheelContentElement]:
        for record, stream, executable in super().get_contents():
            algorithm, _, told = record[1].partition("=")
            hashed = _Hashed(stream, algorithm or _ALGORITHM)
            yield record, cast("BinaryIO", hashed), executable
            # One that was left unread is not installed: RECORD, and bytecode. Where RECORD tells no digest, the hash
            # of the whole wheel vouches for the file.
            if told and hashed.was_read and hashed.hash.value != told:
                wheel = Path(self._zipfile.filename or "").name
                raise UnlikeError(f"{record[0]} is another file than the RECORD of {wheel} tells")


class _Target(SchemeDictionaryDestination):
    """A virtual environment: no file replaces a different one, none may be written to, none lies outside."""

    def __init__(self, folder: Path, site: Path, package: str, written: set[str]) -> None:
        places = {
            "purelib": site, "platlib": site, "scripts": folder / "bin", "data": folder,
            "headers": folder / "include" / "site" / site.parent.name / package,
        }  # fmt: skip
        super().__init__({name: str(path) for name, path in places.items()}, str(folder / "bin" / "python"), "posix")
        self._folder, self._written = str(folder), written

    def write_to_fs(self, scheme: Scheme, path: str, stream: BinaryIO, is_executable: bool) -> RecordEntry:
        target = os.path.normpath(os.path.join(self.scheme_dict[scheme], path))  # noqa: PTH118 - thousands, and a Path is slow
        if not target.startswith(f"{self._folder}/"):
            raise UnlikeError(f"{path} would be written outside of the environment")
        hashed = stream if isinstance(stream, _Hashed) else _Hashed(stream, _ALGORITHM)
        size = 0
        try:
            with _opened(target, 0o555 if is_executable else 0o444) as file:
                while data := hashed.read(_PIECE):
                    size += file.write(data)
        except FileExistsError:
            if target not in self._written or hashed.read() != Path(target).read_bytes():
                raise
            size = Path(target).stat().st_size  # two wheels have the same file
        self._written.add(target)
        return RecordEntry(path, hashed.hash, size)

    def write_script(self, name: str, module: str, attr: str, section: Literal["gui", "console"]) -> RecordEntry:
        file, data = Script(name, module, attr, section).generate(self.interpreter, self.script_kind)
        if os.path.join(self.scheme_dict["scripts"], file) in self._written:  # noqa: PTH118 - as above
            return RecordEntry(file, None, None)  # two wheels have a command of that name, which no import reads
        return self.write_to_fs(Scheme("scripts"), file, io.BytesIO(data), is_executable=True)


def _opened(path: str, mode: int) -> io.FileIO:
    """Return a new file, open for writing, in a folder that is made where it is not there.

    Raises:
        FileExistsError: there is one.
    """

    def create(name: str, _: int) -> int:
        return os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode)

    try:
        return io.FileIO(path, "w", opener=create)
    except FileNotFoundError:
        os.makedirs(os.path.dirname(path), exist_ok=True)  # noqa: PTH103, PTH120 - as above
        return io.FileIO(path, "w", opener=create)


def main(arguments: Sequence[str]) -> int:
    """Unpack what the command line says; return the exit code."""
    folder, lock, *wheels = map(Path, arguments)
    try:
        unpack(folder, lock.read_text(encoding="utf-8"), wheels)
    except _DAMAGE as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
