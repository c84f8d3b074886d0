"""What is asked of a report, and what is said of it in a few lines. Needs neither the view nor the pages."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A report that is to be written.

    Attributes:
        results: the results folder.
        output: the folder of the report.
        accepted: the file of the accepted run; None: accepted.json, if it is there.
        require_accepted: whether there has to be one.
        junit: a file for a CI's test view.
    """

    results: Path
    output: Path
    accepted: Path | None
    require_accepted: bool
    junit: Path | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Gist:
    """What is said of a report.

    Attributes:
        missing: cells of the run without a record.
        lines: how the published tables fared, and what changed since the accepted run.
        reproduced: whether pinned environments reproduce whole published tables.
        compared: whether the accepted run has cells of this one; also where there is no accepted run.
        elsewhere: how many cells were accepted on other CPU classes alone.
        kept: whether no bits and no outcomes changed since the accepted run, and no cell of it is gone.
    """

    missing: tuple[str, ...]
    lines: tuple[str, ...]
    reproduced: bool
    compared: bool
    elsewhere: int
    kept: bool

    def document(self) -> dict[str, Any]:
        """Return it as plain data."""
        return asdict(self)

    @classmethod
    def of_document(cls, document: Mapping[str, Any]) -> Self:
        """Return what `document` gave.

        Raises:
            KeyError: it gave something else.
            TypeError: likewise.
        """
        lists = {name: tuple(document[name]) for name in ("missing", "lines")}
        return cls(**{**document, **lists})


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """A report on disk: its files, its gist, and whether it was written just now."""

    files: tuple[Path, ...]
    gist: Gist
    new: bool = True
