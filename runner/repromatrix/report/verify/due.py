"""What a sentence of the report has to stand on, as other code computes it from the records."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from repromatrix.report.plain import plain


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """A sentence by its id: the cells that it is about and its values. How it is worded is no matter of the records."""

    kind: str
    id: str
    cells: tuple[str, ...]
    values: Mapping[str, Any]


def due(kind: str, name: str, cells: tuple[str, ...], /, **values: Any) -> Due:
    """Return what a sentence of a kind has to stand on; `name` is its id."""
    return Due(kind=kind, id=name, cells=cells, values=plain(values))
