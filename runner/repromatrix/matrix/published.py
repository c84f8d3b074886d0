"""A published table's data file against its schema and against itself: what is wrong with it, in words."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from repromatrix import resources
from repromatrix.matrix.check import suggest
from repromatrix.matrix.passed import unless_passed

_MOST_BYTES = 16 << 20
_SEE = "see docs/report.md, or: repromatrix schema published"
_TITLES = ("a", "b", "lower", "higher")
_LISTS = ("columns", "others", "pair")


def read(path: Path) -> dict[str, Any]:
    """Return a table's data.

    Raises:
        OSError: it is not there, or cannot be read.
        ValueError: it is not JSON, or no object.
    """
    try:
        found = json.loads(resources.read_regular(path, most=_MOST_BYTES, links=False))
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    if not isinstance(found, dict):
        raise ValueError("not an object")  # noqa: TRY004 - the file is wrong, not the call
    return found


def problems(data: Any) -> Iterator[tuple[str, str]]:
    """Return what is wrong with a published table, and the next step; a statement's id is named."""
    return iter(unless_passed(lambda: _problems(data), "published", data))


def _problems(data: Any) -> Iterator[tuple[str, str]]:
    import jsonschema  # noqa: PLC0415 - of what passed before it is not asked, and it takes a while to load

    schema = json.loads(resources.schema("published").read_text("utf-8"))
    for error in jsonschema.Draft202012Validator(schema).iter_errors(data):
        path = list(error.absolute_path)
        yield f"{_place(path, data)}: {error.message[:200]}", _SEE
        return
    titles = list(data["losses"])
    for claim in data.get("claims", []):
        for title in _columns(claim if claim["kind"] == "difference" else claim.get("test", {})):
            if title not in titles:
                yield f"claim {claim['id']}: the table has no column {title!r}", suggest(title, titles)


def _place(path: list[Any], data: Any) -> str:
    if path[:1] == ["claims"] and len(path) > 1:
        claim = data["claims"][path[1]]
        name = claim.get("id") if isinstance(claim, Mapping) else None
        rest = ".".join(map(str, path[2:]))
        return f"claim {name or f'number {path[1] + 1}'}{f', {rest}' if rest else ''}"
    return ".".join(map(str, path)) or "the file"


def _columns(stated: Mapping[str, Any]) -> Iterator[str]:
    yield from (stated[name] for name in _TITLES if name in stated)
    for name in _LISTS:
        yield from stated.get(name, ())
    for pair in stated.get("pairs", ()):
        yield from pair
