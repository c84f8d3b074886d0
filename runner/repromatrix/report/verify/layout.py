"""A report's files against those that this release makes of the same records, byte by byte.

That shows that nothing was changed, a sentence as little as a sum; that values, classes and verdicts are right is held
against the records without the code that is run here.
"""

import json
from collections.abc import Iterable, Mapping
from itertools import zip_longest
from typing import Any

from repromatrix.report.render import contents
from repromatrix.report.verify.complaint import Complaint, shown
from repromatrix.report.view import View

_AROUND = 60  # characters; a line of a page may be a megabyte
_NONE = object()  # where only one side has a value


def same_files(files: Mapping[str, bytes], view: View) -> Iterable[Complaint]:
    """Yield, for each file of a report that is there, the first place where it is not the one that the records give.

    Args:
        files: name -> content, of those that are there; report.json must be readable as JSON.
        view: made of the records, the accepted run and the traces that the report was made of.
    """
    for name, text in contents(view).items():
        if name in files and files[name] != text.encode():
            yield _first(name, files[name], text)


def _first(name: str, data: bytes, text: str) -> Complaint:
    where = name
    if name.endswith(".json"):
        place = differing_place(json.loads(data), json.loads(text))
        if place is not None:
            return Complaint(where=f"{name}: {place[0]}", says=place[1], records=place[2])
        where = f"{name}: the same values, not as repromatrix writes them"
    # Ends of lines count too, and what is no text differs.
    found, due = data.decode(errors="backslashreplace").split("\n"), text.split("\n")
    for number, (a, b) in enumerate(zip_longest(found, due), start=1):
        if a != b:
            return Complaint(where=f"{where}: line {number}", says=_excerpt(a, b), records=_excerpt(b, a))
    return Complaint(where=where, says="other bytes of the same text", records="UTF-8")


def differing_place(found: Any, due: Any, path: str = "") -> tuple[str, str, str] | None:
    """Return where two JSON values first differ, as `cells[0].version`, with both sides as texts; None: nowhere.

    Numbers that are equal differ if they are written in another way: 1, 1.0 and true are three values.
    """
    if isinstance(found, dict) and isinstance(due, dict):
        names = dict.fromkeys([*due, *found])
        inside = [(f"{path}.{name}" if path else name, found.get(name, _NONE), due.get(name, _NONE)) for name in names]
    elif isinstance(found, list) and isinstance(due, list):
        pairs = zip_longest(found, due, fillvalue=_NONE)
        inside = [(f"{path}[{number}]", a, b) for number, (a, b) in enumerate(pairs)]
    elif type(found) is type(due) and repr(found) == repr(due):
        return None
    else:
        says, records = ("nothing" if each is _NONE else shown(each) for each in (found, due))
        return path, says, records
    return next((place for way, a, b in inside if (place := differing_place(a, b, way))), None)


def _excerpt(line: str | None, other: str | None) -> str:
    """Return a line around the first character in which it is not the other one."""
    if line is None:
        return "nothing: the file ends"
    pairs = enumerate(zip(line, other or "", strict=False))
    start = next((place for place, (a, b) in pairs if a != b), min(len(line), len(other or "")))
    before, after = max(0, start - _AROUND), start + _AROUND
    return f"{'…' if before else ''}{line[before:after]}{'…' if after < len(line) else ''}" or "an empty line"
