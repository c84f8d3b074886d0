"""What a section of the report is: its sentences, its part of report.json, what it puts on the first screen.

A section is a module of `report/sections` and a template of its name. Nothing else names it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Protocol

import msgspec

from repromatrix.report.run import Run
from repromatrix.report.sentence import Sentence, short

MOST = 12  # sentences of a list in report.md; a summary is read in seconds

Hex = Annotated[
    str,
    msgspec.Meta(
        pattern=r"^-?(0x[01](\.[0-9a-f]+)?p[+-][0-9]+|inf)$|^nan$", description="the exact value, C99 hexadecimal text"
    ),
]
# JSON has no infinity and no NaN: they are text.
Number = float | str | None


class Part(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A part of report.json; its fields are the schema."""


class Nothing(Part, frozen=True, kw_only=True):
    """A section without a part of its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Headline:
    """A line of the first screen.

    Attributes:
        group: under which heading: `ran`, `agrees`, `differs`, `changed` or `unexplained`.
        count: the number that it begins with; empty for none.
        words: what is linked, after the number; `more` follows outside of the link.
        look: `good`, `note`, `bad` or nothing.
    """

    group: str
    words: str
    link: str
    count: str = ""
    more: str = ""
    look: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Brief:
    """A paragraph of report.md: sentences, or a table.

    Attributes:
        left_out: how many sentences or rows index.html has beyond these.
    """

    title: str
    lines: tuple[str, ...] = ()
    head: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    left_out: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A section as it was made of a run.

    Attributes:
        part: its part of report.json.
        data: what the page's script needs of it.
        links: (anchor, word) for the navigation.
        briefs: its part of report.md.
    """

    part: Part = field(default_factory=Nothing)
    sentences: tuple[Sentence, ...] = ()
    data: Mapping[str, Any] = field(default_factory=dict)
    links: tuple[tuple[str, str], ...] = ()
    headlines: tuple[Headline, ...] = ()
    briefs: tuple[Brief, ...] = ()


class Module(Protocol):
    """A module of `report/sections`.

    Attributes:
        PLACE: sorts the sections; the first one is the head of the page.
        Document: the type of its part.
    """

    PLACE: int
    Document: type[Part]

    def build(self, run: Run) -> Section:
        """Make the section."""


def brief(title: str, sentences: Sequence[Sentence]) -> tuple[Brief, ...]:
    """Return the first of some sentences for report.md; nothing where there is none."""
    lines = tuple(short(each.text) for each in sentences[:MOST])
    return (Brief(title=title, lines=lines, left_out=max(0, len(sentences) - MOST)),) if lines else ()


def table(title: str, head: tuple[str, ...], rows: Sequence[tuple[str, ...]], most: int = 60) -> tuple[Brief, ...]:
    """Return the first rows of a table for report.md; nothing where there is none."""
    left = max(0, len(rows) - most)
    return (Brief(title=title, head=head, rows=tuple(rows[:most]), left_out=left),) if rows else ()
