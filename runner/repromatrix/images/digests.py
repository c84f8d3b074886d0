"""The digests file: which manifest was pushed for which content tag, to be committed or handed on.

It holds no time, host or registry, so that it stays as it is where nothing else was pushed.
"""

import fcntl
import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any

from repromatrix import resources
from repromatrix.errors import UsageError

NAME = "pushed-images.json"
_FORMAT = 1
_MOST_BYTES = 16 << 20
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_TAG = re.compile(r"[0-9a-f]{16,64}")
_KINDS = ("registry", "local")
_DAMAGED = "take the file of the last push, or remove it: repromatrix push writes it anew"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pushed:
    """An image that was pushed.

    Attributes:
        tag: content tag.
        base_kind: `registry` or `local`.
        base_digest: identity of the base that it stands on.
        manifest: digest of its manifest, by which it is pulled.
    """

    tag: str
    base_kind: str
    base_digest: str
    manifest: str


class Digests:
    """The digests file at `path`, which need not be there. Safe to use from any thread or process."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._recording = Lock()

    def of(self, environment: str) -> tuple[Pushed, ...]:
        """Return what was pushed of an environment, in the order of the tags.

        Raises:
            UsageError: the file is damaged, or was written by a newer release.
        """
        return tuple(self._read().get(environment, {}).values())

    def record(self, environment: str, pushed: Pushed, *, instead_of: frozenset[str] = frozenset()) -> None:
        """Add an entry, or replace the one of its tag; those of the tags in `instead_of` go.

        Raises:
            UsageError: the file is damaged, or was written by a newer release.
        """
        with self._recording, _alone_in(self.path.absolute().parent):
            before = self._read()
            entries = {tag: each for tag, each in before.get(environment, {}).items() if tag not in instead_of}
            after = before | {environment: entries | {pushed.tag: pushed}}
            if after != before:
                resources.write_atomically(self.path, _encode(after))

    def _read(self) -> dict[str, dict[str, Pushed]]:
        try:
            document = json.loads(resources.read_regular(self.path, most=_MOST_BYTES, links=True))
        except FileNotFoundError:
            return {}
        except (ValueError, RecursionError) as error:
            raise UsageError(f"not a digests file: {error}", where=str(self.path), hint=_DAMAGED) from error
        if isinstance(document, dict) and isinstance(document.get("format"), int) and document["format"] > _FORMAT:
            raise UsageError(
                f"a digests file of format {document['format']}; this release reads {_FORMAT}",
                where=str(self.path),
                hint="use a newer repromatrix",
            )
        try:
            return {
                name: {tag: _pushed(tag, each) for tag, each in sorted(images.items())}
                for name, images in sorted(document["images"].items())
            }
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise UsageError(f"not a digests file: {error}", where=str(self.path), hint=_DAMAGED) from error


def _pushed(tag: str, entry: dict[str, Any]) -> Pushed:
    base, manifest = entry["base"], entry["manifest"]
    if not _TAG.fullmatch(tag) or base["kind"] not in _KINDS:
        raise ValueError(f"the tag {tag!r} on a base of kind {base['kind']!r}")
    for digest in (manifest, base["digest"]):
        if not _DIGEST.fullmatch(digest):
            raise ValueError(f"{digest!r} is not a digest")
    return Pushed(tag=tag, base_kind=base["kind"], base_digest=base["digest"], manifest=manifest)


def _encode(images: dict[str, dict[str, Pushed]]) -> bytes:
    document = {
        "format": _FORMAT,
        "generated": "by: repromatrix push",
        "images": {
            name: {
                each.tag: {"base": {"kind": each.base_kind, "digest": each.base_digest}, "manifest": each.manifest}
                for each in entries.values()
            }
            for name, entries in images.items()
        },
    }
    return (json.dumps(document, indent=1, sort_keys=True) + "\n").encode()


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Keep other processes from writing there; the kernel lets go when this one ends."""
    folder.mkdir(parents=True, exist_ok=True)
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
