"""The digests of images/bases.yaml held against the registries, and newer ones proposed for it."""

import difflib
import re
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Protocol

import yaml

from repromatrix.errors import EnvironmentFailedError
from repromatrix.images.base import BaseEntry
from repromatrix.images.registry import Manifest, Reference, Registry

_PLATFORM = "linux/amd64"  # that the locks are for
_AT_ONCE = 4  # questions; more would look like an attack to a registry


class Asked(Protocol):
    """What this module needs of a registry."""

    def digest(self, repository: str, reference: str) -> str | None:
        """Return the digest of a tag or digest, None where it is not there."""

    def manifest(self, repository: str, reference: str) -> Manifest | None:
        """Return what stands under a tag or digest, None where there is nothing."""

    def tags(self, repository: str) -> tuple[str, ...]:
        """Return every tag of a repository."""


Open = Callable[[str], AbstractContextManager[Asked]]


class State(StrEnum):
    """What became of a pin."""

    SAME = "same"
    MOVED = "moved"  # the tag names another digest now; the pinned one is still there
    GONE = "gone"
    UNKNOWN = "unknown"  # the registry could not be asked


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """A pin as its registry answers for it.

    Attributes:
        entry: the pin.
        state: what became of it.
        tag_digest: what the tag names today; None where there is no such tag, or it is not known.
        reason: why it is not known; empty otherwise.
    """

    entry: BaseEntry
    state: State
    tag_digest: str | None
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pin:
    """A tag with the digest that it names today."""

    registry: str
    digest: str


def verify(entry: BaseEntry, registry: Open = Registry) -> Verified:
    """Ask the registry whether the tag still names the pinned digest, and whether that is still there."""
    wanted = Reference.parse(entry.registry)
    try:
        with registry(wanted.host) as asked:
            today = asked.digest(wanted.repository, wanted.tag)
            there = today == entry.digest or asked.digest(wanted.repository, entry.digest) is not None
    except EnvironmentFailedError as error:
        return Verified(entry=entry, state=State.UNKNOWN, tag_digest=None, reason=error.what)
    state = State.SAME if today == entry.digest else State.MOVED if there else State.GONE
    return Verified(entry=entry, state=state, tag_digest=today)


def verify_all(entries: Iterable[BaseEntry]) -> list[Verified]:
    """Ask the registries whether pins still hold, a few at a time."""
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return list(pool.map(verify, entries))


def newest(entry: BaseEntry, registry: Open = Registry) -> Pin:
    """Return the newest patch release of the entry's Python in the same shape of tag, never an older one.

    Raises:
        EnvironmentFailedError: the registry could not be asked, or has no such tag for this platform.
    """
    wanted = Reference.parse(entry.registry)
    shape = re.fullmatch(rf"{re.escape(entry.python)}\.(\d+)(|-.+)", wanted.tag)
    if not shape:
        raise EnvironmentFailedError(
            f"the tag {wanted.tag} has no patch release of Python {entry.python} in front",
            hint=f"write it like {entry.python}.1-slim in images/bases.yaml",
        )
    same_shape = re.compile(rf"{re.escape(entry.python)}\.(\d+){re.escape(shape[2])}")
    with registry(wanted.host) as asked:
        patches = [int(found[1]) for tag in asked.tags(wanted.repository) if (found := same_shape.fullmatch(tag))]
        tag = f"{entry.python}.{max([int(shape[1]), *patches])}{shape[2]}"
        manifest = asked.manifest(wanted.repository, tag)
    name = entry.registry.removesuffix(wanted.tag) + tag
    if manifest is None:
        raise EnvironmentFailedError(f"{wanted.host} has no {name}", hint="choose another tag in images/bases.yaml")
    if manifest.platforms and _PLATFORM not in manifest.platforms:
        raise EnvironmentFailedError(f"{name} has no image for {_PLATFORM}", hint="choose another tag")
    return Pin(registry=name, digest=manifest.digest)


def rewritten(text: str, pins: Sequence[tuple[BaseEntry, Pin]]) -> str:
    """Return the text of images/bases.yaml with those entries' tags and digests replaced and nothing else changed."""
    places = _places(text)
    edits = []
    for entry, pin in pins:
        for key, value in (("registry", pin.registry), ("digest", pin.digest)):
            edits.append((*places[entry.name, entry.python, key], value))
    for start, end, value in sorted(edits, reverse=True):  # from the end, so that places before it stay true
        text = text[:start] + value + text[end:]
    return text


def diff(before: str, after: str, path: Path) -> str:
    """Return the unified diff of two texts of one file, empty where they are equal."""
    old, new = (each.splitlines(keepends=True) for each in (before, after))
    return "".join(difflib.unified_diff(old, new, fromfile=f"a/{path.name}", tofile=f"b/{path.name}"))


def _places(text: str) -> dict[tuple[str, str, str], tuple[int, int]]:
    """Return where each value stands, from its first character to after its last: by base, Python and key."""
    places = {}
    document = yaml.compose(text, Loader=yaml.SafeLoader)
    for base, content in _pairs(_value(document, "bases")):
        for python, entry in _pairs(_value(content, "pythons")):
            for key, value in _pairs(entry):
                places[base, python, key] = (value.start_mark.index, value.end_mark.index)
    return places


def _pairs(mapping: yaml.Node | None) -> list[tuple[str, yaml.Node]]:
    return [(key.value, value) for key, value in (mapping.value if mapping else ())]


def _value(mapping: yaml.Node | None, key: str) -> yaml.Node:
    return dict(_pairs(mapping))[key]
