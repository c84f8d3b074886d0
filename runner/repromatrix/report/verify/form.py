"""report.json's bytes -> a document of the published form that says everything once."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from repromatrix import __version__
from repromatrix.errors import NewerFormatError, UsageError

FORMAT = 1
_SHOWN = 300
_MOST_LEVELS = 100  # Python's own limit would stop some later step in the middle


def read_document(data: bytes, where: str) -> Mapping[str, Any]:
    """Return report.json's content.

    Raises:
        UsageError: it is no report of that form, has a key twice, or another release wrote it.
        NewerFormatError: it is of a newer format.
    """
    try:
        document = json.loads(data, object_pairs_hook=_once, parse_constant=_no_number)
        _check_depth(document)
        found, release = document["format"], document.get("release")
        if found == FORMAT and release == __version__:
            _check_form(document)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        what = f"not a report ({type(error).__name__}: {error})"
        raise UsageError(what[:_SHOWN], where=where, hint="write it again: repromatrix report") from error
    if found != FORMAT:
        raise NewerFormatError(
            f"a report of format {found!r}, this release reads format {FORMAT}"[:_SHOWN],
            where=where,
            hint="update repromatrix, or write it again: repromatrix report",
        )
    if release != __version__:
        raise UsageError(
            f"a report by {f'release {release!r}' if release else 'another release'} of repromatrix; "
            f"this is {__version__}, which may word or lay out the same records in another way"[:_SHOWN],
            where=where,
            hint="verify it with the release that wrote it, or write it again: repromatrix report",
        )
    return dict(document)


def _once(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """Return a mapping; of two equal keys programs read one or the other."""
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the key {twice!r} twice in one object")
    return found


def _no_number(text: str) -> None:
    raise ValueError(f"{text} is no number in JSON")


def _check_depth(document: Any) -> None:
    level = [document]
    for _ in range(_MOST_LEVELS):
        holders = [each.values() if isinstance(each, dict) else each for each in level if isinstance(each, dict | list)]
        level = [inner for each in holders for inner in each]
        if not level:
            return
    raise ValueError(f"nested more than {_MOST_LEVELS} levels deep")


def _check_form(document: Any) -> None:
    import msgspec  # noqa: PLC0415

    from repromatrix.report.document import form  # noqa: PLC0415

    msgspec.convert(document, form(), strict=True)
