"""Judgements of arithmetic that were made before, kept in the user's cache: a form is tried once on the same values.

They belong to the forms as they are: those of another release are not found.
"""

import dataclasses
import json
from collections.abc import Iterator, MutableMapping
from pathlib import Path

from repromatrix import resources
from repromatrix.operations.judgement import Arithmetic
from repromatrix.operations.release import release


class Judgements(MutableMapping[str, Arithmetic]):
    """A folder of judgements, each in a file of its own; one that cannot be read is made again."""

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = (folder or resources.cache() / "judgements") / release()

    def __getitem__(self, key: str) -> Arithmetic:
        """Return a judgement."""
        try:
            entry = json.loads(self._path(key).read_bytes())
            return Arithmetic(**(entry | {"forms": tuple(entry["forms"])}))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise KeyError(key) from error

    def __setitem__(self, key: str, found: Arithmetic) -> None:
        """Keep a judgement."""
        resources.keep(self._path(key), json.dumps(dataclasses.asdict(found)).encode())

    def __delitem__(self, key: str) -> None:
        """Forget a judgement."""
        try:
            self._path(key).unlink()
        except FileNotFoundError as error:
            raise KeyError(key) from error

    def __iter__(self) -> Iterator[str]:
        """Yield what is kept."""
        return (path.stem for path in sorted(self._folder.glob("*.json")))

    def __len__(self) -> int:
        """Return how much is kept."""
        return sum(1 for _ in self)

    def _path(self, key: str) -> Path:
        return self._folder / f"{key}.json"
