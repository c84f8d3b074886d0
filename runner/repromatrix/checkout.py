"""What version control says of a folder: its commit, which files differ from it, who works there. Asks git."""

import getpass
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

_SECONDS = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkout:
    """A checkout.

    Attributes:
        commit: its full name; None: the folder is under no version control, or nothing is committed yet.
        dirty: paths of files that are not as in the commit, or that it does not know, sorted.
        who: the name that a commit made here would have.
    """

    commit: str | None
    dirty: tuple[str, ...]
    who: str


def look(folder: Path, besides: Iterable[Path] = ()) -> Checkout:
    """Return the checkout that a folder is in; what lies at `besides` does not make it dirty."""
    who = _git(folder, "config", "user.name").strip() or _user()
    root = _git(folder, "rev-parse", "--show-toplevel").strip()
    if not root:
        return Checkout(commit=None, dirty=(), who=who)
    entries = _git(folder, "status", "--porcelain=v1", "-z", "--no-renames", "--untracked-files=normal").split("\0")
    left_out = [each.absolute() for each in besides]
    dirty = [
        each[3:]
        for each in entries
        if each and not any((Path(root) / each[3:]).is_relative_to(place) for place in left_out)
    ]
    commit = _git(folder, "rev-parse", "--verify", "-q", "HEAD").strip()
    return Checkout(commit=commit or None, dirty=tuple(sorted(dirty)), who=who)


def _git(folder: Path, *words: str) -> str:
    """Return what git prints; nothing where there is none, or where it knows nothing of the folder."""
    command = ["git", "-C", str(folder), *words]
    try:
        done = subprocess.run(command, capture_output=True, check=False, timeout=_SECONDS, stdin=subprocess.DEVNULL)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.decode(errors="replace") if done.returncode == 0 else ""


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container may run as a user without a name
        return "unknown"
