"""What repromatrix has made on this machine: in its cache folder, and images in the Docker engine.

Only names that repromatrix writes are its own. Whatever else lies in the cache is foreign: it is told and left alone.
"""

import os
import re
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from repromatrix import resources
from repromatrix.engines import owner
from repromatrix.engines.docker import TAG_LABEL
from repromatrix.engines.docker_images import Held
from repromatrix.errors import UsageError
from repromatrix.images import uses
from repromatrix.images.blocks import used_by

BASE_LABEL = "repromatrix.base-digest"
STANDS_ON_LABEL = "org.opencontainers.image.base.digest"
TITLE_LABEL = "org.opencontainers.image.title"
ASIDE = ".removed-"
_PART = r"\.[a-z0-9_]{8}\.part"
_PART_SECONDS = 3600  # a file that is being written is younger


class Kind(StrEnum):
    """What a thing is, in the reader's words."""

    IMAGE = "image"
    ENVIRONMENT = "environment"
    STAGED = "staged sources"
    WHEEL = "wheel"
    LOG = "log"
    LOCK = "lock"
    BASE = "base"
    UNPACKED = "unpacked wheels"
    JUDGEMENTS = "judgements"
    FRESH = "fresh inputs"
    EXACT = "exact results"
    CHECKED = "passed checks"
    STAMP = "stamp"
    JOB = "default job"
    LEFT = "left behind"


@dataclass(frozen=True, slots=True, kw_only=True)
class Thing:
    """One thing that repromatrix made.

    Attributes:
        kind: what it is.
        name: for the reader; within the cache its path there.
        size: bytes on disk, for an image those that it shares with no other.
        made: seconds since 1970.
        environment: whose it is, empty where it belongs to none or to many.
        identity: content tag of an image or environment, SHA-256 of a wheel, the release of the operations that
            judgements and fresh inputs belong to, the code of exact results and of checks.
        paths: what goes with it.
        references: its names in the engine.
        busy: why it cannot go now.
    """

    kind: Kind
    name: str
    size: int
    made: float
    environment: str = ""
    identity: str = ""
    paths: tuple[Path, ...] = ()
    references: tuple[str, ...] = ()
    busy: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Inventory:
    """What there is."""

    things: tuple[Thing, ...]
    foreign: tuple[Path, ...]


def in_cache() -> Inventory:
    """Return what lies in the cache folder."""
    root = resources.cache()
    things: list[Thing] = []
    foreign: list[Path] = []
    for path in _entries(root):
        if path.name in _FOLDERS and path.is_dir() and not path.is_symlink():
            for entry in _entries(path):
                found = _FOLDERS[path.name](entry) or _anywhere(entry)
                if isinstance(found, Thing):
                    things.append(found)
                elif found is None:
                    foreign.append(entry)
        elif path.name == "uv" and _is_ours(path):
            things.append(_thing(Kind.UNPACKED, path))
        elif found := _anywhere(path):
            things.append(found)
        elif path.name != uses.root().name:
            foreign.append(path)
    return Inventory(things=tuple(things), foreign=tuple(foreign))


def of_engine(images: Iterable[Held]) -> tuple[Thing, ...]:
    """Return the images that repromatrix made, those that they stand on among them."""
    return tuple(
        Thing(
            kind=Kind.IMAGE if TAG_LABEL in each.labels else Kind.BASE,
            name=(own or [each.id[:19]])[0],
            size=each.size,
            made=each.made,
            environment=each.labels.get(TITLE_LABEL, "") if TAG_LABEL in each.labels else "",
            identity=each.labels.get(TAG_LABEL, ""),
            references=tuple(own) or (() if each.references else (each.id,)),
        )
        for each in images
        for own in [_own_references(each)]
        if own or not each.references
    )


# A thing, True for what is ours and stays (a lock file of none), None for what is foreign.
_Found = Thing | bool | None


def _wheel(path: Path) -> _Found:
    if re.fullmatch(r"[0-9a-f]{64}", path.name) and _is_folder(path):
        file = next(iter(sorted(path.glob("*.whl"))), path)
        return _thing(Kind.WHEEL, path, name=f"wheels/{file.name}", identity=path.name)
    if re.fullmatch(r"\.fetch-[0-9a-f]{12}\.owner", path.name):
        return _owned(path, [path.with_suffix("")])
    marked = re.fullmatch(r"\.fetch-[0-9a-f]{12}", path.name) and path.with_name(f"{path.name}.owner").exists()
    return True if marked else None


def _environment(path: Path) -> _Found:
    if re.fullmatch(r"\..+-[0-9a-f]{24}\.lock", path.name):
        return True  # who waits for a lock must not find another one in its place
    match = re.fullmatch(r"([^.].*)-([0-9a-f]{24})", path.name)
    if not match or not _is_folder(path):
        return None
    free = uses.is_free(path.with_name(f".{path.name}.lock"))
    return _thing(
        Kind.ENVIRONMENT, path, environment=match[1], identity=match[2], busy="" if free else "it is being built"
    )


def _staged(path: Path) -> _Found:
    match = re.fullmatch(r"([^.].*)-([0-9a-f]{24})", path.name)
    return _thing(Kind.STAGED, path, environment=match[1]) if match and _is_folder(path) else None


def _run(path: Path) -> _Found:
    if re.fullmatch(r"[0-9a-f]{12}\.owner", path.name):
        return _owned(path, sorted(path.parent.glob(f"{path.stem}-*")))
    match = re.fullmatch(r"([0-9a-f]{12})-.+", path.name)
    return True if match and path.with_name(f"{match[1]}.owner").exists() else None


def _context(path: Path) -> _Found:
    if re.fullmatch(r"slot-\d+\.lock", path.name):
        return True
    if not re.fullmatch(r"slot-\d+", path.name) or not _is_folder(path):
        return None
    free = uses.is_free(path.with_name(f"{path.name}.lock"))
    return _thing(Kind.LEFT, path, busy="" if free else "a build uses it")


def _log(path: Path) -> _Found:
    return _thing(Kind.LOG, path, environment=path.stem) if path.suffix == ".log" and _is_file(path) else None


def _base(path: Path) -> _Found:
    return _thing(Kind.BASE, path) if path.suffix == ".json" and _is_file(path) else None


def _lock(path: Path) -> _Found:
    """Return the locks of one framework as one thing: they are small, and made again where they are needed."""
    files = list(path.rglob("*"))
    ours = all(each.parent == path / "locks" and each.suffix == ".txt" for each in files if each.name != "locks")
    return _thing(Kind.LOCK, path) if _is_folder(path) and files and ours else None


def _judgements(path: Path) -> _Found:
    return _of_release(Kind.JUDGEMENTS, path, r"[0-9a-f]{64}\.json")


def _fresh(path: Path) -> _Found:
    return _of_release(Kind.FRESH, path, r"[a-z_]+-b?float\d+-\d+")


def _exact(path: Path) -> _Found:
    return _of_release(Kind.EXACT, path, r"[0-9a-f]{64}")


def _checked(path: Path) -> _Found:
    return _of_release(Kind.CHECKED, path, r"[0-9a-f]{64}")


def _stamp(path: Path) -> _Found:
    ours = re.fullmatch(r"[a-z]+-[0-9a-f]{24}\.json", path.name) and _is_file(path)
    return _thing(Kind.STAMP, path) if ours else None


def _default_job(path: Path) -> _Found:
    ours = re.fullmatch(r"[0-9a-f]{24}", path.name) and [each.name for each in path.iterdir()] == ["default-job.json"]
    return _thing(Kind.JOB, path) if ours and _is_folder(path) else None


def _of_release(kind: Kind, path: Path, names: str) -> _Found:
    """Return what belongs to one release of the operations as one thing: thousands of small files, made again."""
    if not re.fullmatch(r"[0-9a-f]{16}", path.name) or not _is_folder(path):
        return None
    ours = all(_is_file(each) and re.fullmatch(rf"{names}|{_PART}", each.name) for each in path.iterdir())
    return _thing(kind, path, identity=path.name) if ours else None


def _claim(path: Path) -> _Found:
    return (
        True if re.fullmatch(r"[0-9a-f]{64}", path.name) and _is_file(path) else None
    )  # as the lock of an environment


def _turn(path: Path) -> _Found:
    return True if path.suffix == ".lock" and _is_file(path) else None


_FOLDERS: dict[str, Callable[[Path], _Found]] = {
    "wheels": _wheel,
    "environments": _environment,
    "here": _staged,
    "runs": _run,
    "contexts": _context,
    "logs": _log,
    "bases": _base,
    "locks": _lock,
    "judgements": _judgements,
    "fresh": _fresh,
    "exact": _exact,
    "checked": _checked,
    "stamps": _stamp,
    "default-jobs": _default_job,
    "claims": _claim,
    "cluster": _turn,
}


FOLDERS = frozenset(_FOLDERS)  # of the cache, but that of who uses what


def _anywhere(path: Path) -> Thing | None:
    """Return what an interrupted removal or an interrupted write left."""
    if re.fullmatch(rf"{re.escape(ASIDE)}[0-9a-f]{{12}}", path.name):
        return _thing(Kind.LEFT, path)
    if re.fullmatch(_PART, path.name) and _is_file(path):
        young = time.time() - path.lstat().st_mtime < _PART_SECONDS
        return _thing(Kind.LEFT, path, busy="it is being written" if young else "")
    return None


def _owned(mark: Path, folders: list[Path]) -> _Found:
    try:
        dead = owner.is_dead(mark.read_text(errors="replace"))
    except OSError:
        return True  # its owner has finished
    paths = (*(each for each in folders if each.exists()), mark)  # the mark last: it tells whose the rest is
    return _thing(Kind.LEFT, *paths, busy="" if dead else "its owner is at work")


def _thing(
    kind: Kind, *paths: Path, name: str = "", environment: str = "", identity: str = "", busy: str = ""
) -> Thing:
    return Thing(
        kind=kind,
        name=name or paths[0].relative_to(resources.cache()).as_posix(),
        size=used_by(paths),
        made=paths[0].lstat().st_mtime,
        environment=environment,
        identity=identity,
        paths=paths,
        busy=busy,
    )


def _own_references(image: Held) -> list[str]:
    """Return the names that repromatrix gives: `repromatrix/...`, or in a registry one that ends in the content tag."""
    tag = image.labels.get(TAG_LABEL)
    own = (f":{tag}", "") if tag else ("", "repromatrix/base:")
    found = [name for name in image.references if name.endswith(own[0]) and name.startswith(own[1])]
    return sorted(found, key=lambda name: not name.startswith("repromatrix/"))


def _is_ours(uv: Path) -> bool:
    """Whether a folder `uv` is not the user's own cache of uv."""
    own = os.environ.get("UV_CACHE_DIR") or _users_uv()
    return _is_folder(uv) and (own is None or uv.resolve() != Path(own).resolve())


def _users_uv() -> Path | None:
    """Return where the user's own cache of uv is; None: an account without a home has none."""
    try:
        return resources.user_cache() / "uv"
    except UsageError:
        return None


def _is_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()


def _is_file(path: Path) -> bool:
    return path.is_file() and not path.is_symlink()


def _entries(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() else []
