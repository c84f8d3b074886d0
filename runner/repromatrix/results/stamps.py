"""What a step of `matrix` was made from and what it said, kept in the user's cache: from the same it is not made again.

A stamp is found only where all that went into the step has the same bytes, the code of repromatrix included.
"""

import json
import os
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

from repromatrix import resources

_CHARACTERS = 24


class Stamps:
    """The stamps of steps, each of them one file; one that cannot be read is none."""

    def __init__(self) -> None:
        """Begin, before the first step: the code that runs is the one that is read now."""
        self._product = _product()

    def question(self, *parts: Any) -> str:
        """Return the digest over this code and all else that goes into a step."""
        return sha256(json.dumps([self._product, *parts]).encode()).hexdigest()

    def read(self, step: str, place: Path, question: str) -> Mapping[str, Any] | None:
        """Return what a step said that wrote to that place, if it was made from the same."""
        try:
            stamp = json.loads(_path(step, place).read_bytes())
            return dict(stamp["said"]) if stamp["question"] == question else None
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def keep(self, step: str, place: Path, question: str, said: Mapping[str, Any]) -> None:
        """Keep what a step said; not where this code changed on disk since the beginning, or nothing can be written."""
        if self._product and self._product == _product():
            stamp = json.dumps({"question": question, "said": said}).encode()
            resources.keep(_path(step, place), stamp)


def folder() -> Path:
    """Return where stamps are kept."""
    return resources.cache() / "stamps"


def digests(paths: Sequence[Path]) -> list[str] | None:
    """Return the SHA-256 of files; None where one cannot be read."""
    try:
        return [resources.file_sha256(path) for path in paths]
    except OSError:
        return None


def _path(step: str, place: Path) -> Path:
    name = sha256(os.fsencode(place.absolute())).hexdigest()[:_CHARACTERS]
    return folder() / f"{step}-{name}.json"


def _product() -> str | None:
    try:
        return resources.product_sha256()
    except OSError:
        return None
