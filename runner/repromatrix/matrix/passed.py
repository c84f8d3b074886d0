"""Checks that found nothing are not made again of the same files: they take longer than reading the files does.

What passed is an empty file in the user's cache, named by the digest of all that was checked, in a folder named by the
code that checks it. What did not pass is checked again, and told, every time.
"""

import pickle
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeVar

from repromatrix import resources
from repromatrix.errors import UsageError

FoundT = TypeVar("FoundT")
_CHARACTERS = 16  # of a digest, in the name of a folder
_SCHEMAS = ("matrix", "workload", "published")
_kept = {True}  # empty: nothing is


def unless_passed(check: Callable[[], Iterable[FoundT]], *checked: Any) -> list[FoundT]:
    """Return what a check finds: nothing where it found nothing before.

    Args:
        check: looks at nothing else than `checked`.
        checked: plain data, the check's name in front.
    """
    try:
        place = resources.cache() / "checked"
    except UsageError:  # an account without a home
        return list(check())
    path = place / _code() / sha256(pickle.dumps(checked)).hexdigest()
    if path.is_file():
        return []
    found = list(check())
    if not found and _kept:
        resources.keep(path, b"")
    return found


@contextmanager
def nothing_kept() -> Iterator[None]:
    """Keep nothing of what passes meanwhile, in any thread: what cleans the cache leaves nothing there."""
    _kept.clear()
    try:
        yield
    finally:
        _kept.add(True)


@cache
def _code() -> str:
    """Return the digest over the code and the schemas that check."""
    paths = [*sorted(Path(__file__).parent.glob("*.py")), *map(resources.schema, _SCHEMAS)]
    parts = [sys.version.encode(), *(path.read_bytes() for path in paths)]
    return sha256(b"".join(sha256(part).digest() for part in parts)).hexdigest()[:_CHARACTERS]
