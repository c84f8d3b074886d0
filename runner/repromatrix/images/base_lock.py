"""The lock of a locally built base: every package of the distribution in it, by hash.

A lock is `images/bases/<suite>-py<X.Y>.lock`, one package a line, sorted. A distribution's mirror moves on and serves
only what is newest, so a lock cannot be asked for; it is what a build is held against.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from repromatrix import resources
from repromatrix.errors import EnvironmentFailedError

_LINE = re.compile(r"(?P<name>[^\s=]+)=(?P<version>\S+) (?P<architecture>\S+) sha256:(?P<sha256>[0-9a-f]{64})")
_NAMED = 5  # packages in a message
_COMMAND = "repromatrix base --write-lock"


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """One package of a distribution; `sha256` is of its .deb file, in lower-case hexadecimal."""

    name: str
    version: str
    architecture: str
    sha256: str

    @property
    def identity(self) -> str:
        """As dpkg writes it: `name:architecture=version`."""
        return f"{self.name}:{self.architecture}={self.version}"

    @property
    def line(self) -> str:
        """The line of a lock."""
        return f"{self.name}={self.version} {self.architecture} sha256:{self.sha256}"


def path_of(name: str, folder: Path | None = None) -> Path:
    """Return where the lock of a base stands, `name` as in `bullseye-py3.9`; `folder` stands for images/."""
    return (folder or resources.folder("images")) / "bases" / f"{name}.lock"


def read(name: str, folder: Path | None = None) -> tuple[Package, ...] | None:
    """Return the packages of a lock, None where there is none.

    Raises:
        EnvironmentFailedError: it is damaged; `where` is file and line.
    """
    path = path_of(name, folder)
    if not path.is_file():
        return None
    return tuple(_packages(path))


def _packages(path: Path) -> Iterator[Package]:
    for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
        if not line.startswith("#"):
            found = _LINE.fullmatch(line)
            if not found:
                raise EnvironmentFailedError(
                    f"not a line of a base's lock: {line[:80]!r}",
                    where=f"{path}:{number}",
                    hint=f"make it again: {_COMMAND}",
                )
            yield Package(**found.groupdict())


def text(name: str, packages: Sequence[Package]) -> str:
    """Return the whole lock: the same packages, in whatever order, give the same text."""
    lines = sorted(each.line for each in packages)
    return "\n".join([f"# The packages of the base {name}; made by: {_COMMAND}", *lines]) + "\n"


def write(name: str, packages: Sequence[Package], folder: Path | None = None) -> bool:
    """Write the lock; return whether the file changed."""
    path, new = path_of(name, folder), text(name, packages).encode()
    if path.is_file() and path.read_bytes() == new:
        return False
    resources.write_atomically(path, new)
    return True


def digest(name: str, packages: Sequence[Package]) -> str:
    """Return the SHA-256 of the lock that these packages make, with its `sha256:` in front."""
    return f"sha256:{sha256(text(name, packages).encode()).hexdigest()}"


def difference(locked: Sequence[Package], built: Sequence[Package]) -> tuple[str, ...]:
    """Say package by package how what was built differs from what is locked; empty where nothing does."""
    before, after = ({(each.name, each.architecture): each for each in side} for side in (locked, built))
    return tuple(
        _change(before.get(key), after.get(key))
        for key in sorted(before.keys() | after.keys())
        if before.get(key) != after.get(key)
    )


def _change(before: Package | None, after: Package | None) -> str:
    if before is None or after is None:
        there, how = (after, "not locked") if after else (before, "gone")
        return f"{there.name} {there.version} ({how})" if there else ""
    if before.version != after.version:
        return f"{after.name} {before.version} -> {after.version}"
    return f"{after.name} {after.version} (another file)"


def summary(name: str, built: Sequence[Package], folder: Path | None = None) -> str:
    """Return an empty text if `built` is as locked, else how it differs, in one line of bounded length.

    Raises:
        EnvironmentFailedError: the lock is damaged.
    """
    locked = read(name, folder)
    if locked is None:
        return f"no lock: {_COMMAND}"
    changes = difference(locked, built)
    if not changes:
        return ""
    more = f" and {len(changes) - _NAMED} more" if len(changes) > _NAMED else ""
    return f"{len(changes)} of {len(built)} packages differ from the lock: {'; '.join(changes[:_NAMED])}{more}"
