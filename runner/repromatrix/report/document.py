"""The view -> report.json's content, and its schema: the parts of the sections side by side.

To write the schema anew: `python -m repromatrix.report.document`.
"""

from typing import Any, Literal

import msgspec

from repromatrix import __version__, resources
from repromatrix.report.plain import plain
from repromatrix.report.section import Part
from repromatrix.report.sections import sections
from repromatrix.report.view import View
from repromatrix.results import schemas

FORMAT = 1
_TITLE = "What a report says, in exact values; floats are hexadecimal text unless said otherwise."


class SentencePart(Part, frozen=True, kw_only=True):
    """A sentence of the report, the cells that it is about, and the exact values that it stands on."""

    id: str
    kind: str
    text: str
    cells: list[str]
    values: dict[str, Any]


def document(view: View) -> dict[str, Any]:
    """Return the report as JSON values."""
    found = {"format": FORMAT, "release": __version__, "profile": view.profile}
    found["sentences"] = [each.document() for each in view.sentences]
    for section in view.sections.values():
        found |= plain(section.part)
    return found


def form() -> type[msgspec.Struct]:
    """Return the type of report.json's content."""
    own = [("format", Literal[1]), ("release", str), ("profile", str), ("sentences", list[SentencePart])]
    parts = [
        (field.name, field.type) for module in sections().values() for field in msgspec.structs.fields(module.Document)
    ]
    return msgspec.defstruct("Report", [*own, *parts], bases=(Part,), kw_only=True, namespace={"__doc__": _TITLE})


def schema() -> dict[str, Any]:
    """Return the JSON Schema of report.json."""
    return schemas.schema("report", _TITLE, form(), FORMAT)


def main() -> None:
    """Write the schema's file."""
    resources.write_atomically(resources.schema("report"), schemas.written(schema()))


if __name__ == "__main__":
    main()
