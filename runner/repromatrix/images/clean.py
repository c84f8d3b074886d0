"""Choosing what goes, and removing it so that whatever is half removed is never taken for whole."""

import contextlib
import uuid
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from repromatrix import resources
from repromatrix.engines.base import Base
from repromatrix.engines.docker_images import Held
from repromatrix.errors import EnvironmentFailedError
from repromatrix.images import base as bases
from repromatrix.images import interpreters
from repromatrix.images import lock as locks
from repromatrix.images.blocks import freed_with
from repromatrix.images.inventory import ASIDE, BASE_LABEL, STANDS_ON_LABEL, Kind, Thing
from repromatrix.images.spec import build_spec
from repromatrix.matrix import Environment


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What is to go: everything that meets all that is given here.

    Attributes:
        everything: bases and unpacked wheels too.
        before: made earlier than that, in seconds since 1970.
        environments: what belongs to these, None for all.
        unused: only what the matrix as it stands, and this release, do not use.
    """

    everything: bool = False
    before: float | None = None
    environments: frozenset[str] | None = None
    unused: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Used:
    """What the matrix uses.

    Attributes:
        environments: the names of all its environments.
        images: environment -> the content tags that its image may have as the matrix stands.
        folders: environment -> the same of its virtual environment; empty where they cannot be told.
        wheels: environment -> SHA-256 of all files that its lock allows.
        complete: whether every lock could be read; if not, no wheel is called unused.
        release: that of the operations, whose judgements and fresh inputs are looked up.
    """

    environments: frozenset[str]
    images: Mapping[str, frozenset[str]]
    folders: Mapping[str, frozenset[str]]
    wheels: Mapping[str, frozenset[str]]
    complete: bool
    release: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What goes, and what would go but is in use, with the reason."""

    going: tuple[Thing, ...]
    skipped: tuple[tuple[Thing, str], ...]


def used(environments: Iterable[Environment], held: Sequence[Held], release: str) -> Used:
    """Return what all environments of the matrix use, and those locked on the fly.

    Args:
        environments: all of the matrix.
        held: the engine's images.
        release: that of the operations.
    """
    every = tuple(environments)
    read: dict[str, locks.Lock] = {}
    for each in every:
        with contextlib.suppress(EnvironmentFailedError):
            read[each.name] = locks.read(each)
    wheels = {name: locks.hashes_in(lock.path) for name, lock in read.items()}
    for path in sorted((resources.cache() / "locks").glob("*/locks/*.txt")):
        wheels[f"{path.stem} locked on the fly"] = locks.hashes_in(path)
    locked = [(each, read[each.name]) for each in every if each.name in read]
    return Used(
        environments=frozenset(each.name for each in every),
        images={each.name: _tags(each, lock, _image_bases(each, held)) for each, lock in locked},
        folders={each.name: _tags(each, lock, _interpreters(each)) for each, lock in locked},
        wheels=wheels,
        complete=len(locked) == len(every),
        release=release,
    )


def _tags(environment: Environment, lock: locks.Lock, digests: Iterable[str]) -> frozenset[str]:
    found = (Base(kind="", reference="", digest=each) for each in digests)
    return frozenset(build_spec(environment, base, lock, ()).tag for base in found)


def _image_bases(environment: Environment, held: Sequence[Held]) -> set[str]:
    """Return the bases that an image may stand on: the pinned one, the one that is here, else any that one stood on."""
    wanted = bases.entry(environment)
    here = {each.labels[BASE_LABEL] for each in held if wanted.local in each.references and BASE_LABEL in each.labels}
    stood_on = {each.labels.get(STANDS_ON_LABEL, "") for each in held}
    return {wanted.digest} | (here or stood_on)


def _interpreters(environment: Environment) -> tuple[str, ...]:
    try:
        return (interpreters.find(environment.python).digest,)
    except EnvironmentFailedError:  # it went away: what was made with it may still run
        return ()


def choose(things: Iterable[Thing], wish: Wish, used: Used, in_use: Collection[str]) -> Choice:
    """Return what goes by `wish`; `in_use` are the environments that a runner uses at this moment."""
    chosen = [each for each in things if _meets(each, wish, used)]
    if not wish.everything and any(each.kind is Kind.ENVIRONMENT for each in chosen):
        # Unpacked wheels are linked into the environments: without them nothing would be freed. They are made again.
        chosen += [each for each in things if each.kind is Kind.UNPACKED]
    reasons = {each.name: each.busy or _in_use(each, used, in_use) for each in chosen}
    return Choice(
        going=tuple(each for each in chosen if not reasons[each.name]),
        skipped=tuple((each, reasons[each.name]) for each in chosen if reasons[each.name]),
    )


def _meets(thing: Thing, wish: Wish, used: Used) -> bool:
    if wish.before is not None and thing.made >= wish.before:
        return False
    if wish.environments is not None and not _only_of(thing, wish.environments, used):
        return False
    if wish.unused:
        return _unused(thing, used)
    return wish.everything or thing.kind not in (Kind.BASE, Kind.UNPACKED)


def _only_of(thing: Thing, environments: frozenset[str], used: Used) -> bool:
    """Whether a thing belongs to these environments and to no other one."""
    if thing.kind is Kind.WHEEL:
        users = {name for name, hashes in used.wheels.items() if thing.identity in hashes}
        return bool(users) and users <= environments and used.complete
    return thing.environment in environments


def _unused(thing: Thing, used: Used) -> bool:
    if thing.kind is Kind.WHEEL:
        return used.complete and not any(thing.identity in hashes for hashes in used.wheels.values())
    if thing.kind in (Kind.IMAGE, Kind.ENVIRONMENT):
        return _other(thing, used, used.images if thing.kind is Kind.IMAGE else used.folders)
    if thing.kind in (Kind.STAGED, Kind.LOG):
        return thing.environment not in used.environments and not thing.environment.startswith("base-")
    if thing.kind in (Kind.JUDGEMENTS, Kind.FRESH):
        return thing.identity != used.release
    return thing.kind is Kind.LEFT


def _other(thing: Thing, used: Used, tags: Mapping[str, frozenset[str]]) -> bool:
    """Whether an image or environment is not what the matrix would make; where that cannot be told it is not."""
    if thing.environment not in used.environments:
        return True
    known = tags.get(thing.environment, frozenset())
    return bool(known) and thing.identity not in known


def _in_use(thing: Thing, used: Used, in_use: Collection[str]) -> str:
    """Return who uses a thing, empty if nobody does."""
    if not in_use:
        return ""
    if thing.kind in (Kind.UNPACKED, Kind.BASE, Kind.LOCK, Kind.JUDGEMENTS, Kind.FRESH, Kind.EXACT, Kind.CHECKED):
        return _at_work(in_use)
    if thing.kind is Kind.WHEEL:
        # An environment of another matrix, or locked on the fly: nobody here knows its wheels.
        users = [name for name in in_use if thing.identity in used.wheels.get(name, frozenset({thing.identity}))]
        return _at_work(users) if users else ""
    return _at_work([thing.environment]) if thing.environment in in_use else ""


def _at_work(names: Collection[str]) -> str:
    first, *others = sorted(names)
    more = f" and {len(others)} more" if others else ""
    return f"a runner is at work on {first}{more}"


def freed(things: Iterable[Thing]) -> int:
    """Return the bytes that go with all of these; a file with another name elsewhere does not go."""
    kept = list(things)
    return freed_with(path for each in kept for path in each.paths) + sum(each.size for each in kept if each.references)


def remove(thing: Thing, drop: Callable[[str], str]) -> str:
    """Remove a thing, names of images by `drop`; return why it stays, or an empty text.

    A folder is first set aside, all at once, under a name that no runner takes for anything.
    """
    for reference in thing.references:
        if reason := drop(reference):
            return reason
    try:
        for path in thing.paths:
            _remove(path)
    except OSError as error:
        return f"{error.strerror or error}"
    return ""


def _remove(path: Path) -> None:
    if path.is_symlink() or not path.is_dir():
        path.unlink(missing_ok=True)
        return
    aside = path if path.name.startswith(ASIDE) else path.with_name(f"{ASIDE}{uuid.uuid4().hex[:12]}")
    try:
        path.rename(aside)
    except FileNotFoundError:  # its owner removed it meanwhile
        return
    resources.remove_tree(aside)
