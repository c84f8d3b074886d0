"""The view -> the data that the page's script works on: exact values, as the sections give them.

A number is a JSON number that reads back as the same float64 (`nan`, `inf` and `-inf` are text). From these the script
makes decimals, hexadecimal text, ULP distances and verdicts by itself; tests hold its arithmetic against ours.
"""

from typing import Any

from repromatrix import harmless
from repromatrix.report.view import View


def embedded(view: View) -> str:
    """Return the data as JSON that may stand inside a `<script>` element: no `<`, so no end of it."""
    return harmless.in_json(harmless.values(data(view)), separators=(",", ":")).replace("<", "\\u003c")


def data(view: View) -> dict[str, Any]:
    """Return everything that the script needs, as JSON values."""
    found: dict[str, Any] = {"profile": view.profile}
    for section in view.sections.values():
        found |= section.data
    return found
