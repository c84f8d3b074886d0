"""The changes of all nights -> a page's view, the newest night first; and a change in the words of a table's row."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from repromatrix.results.history import Change, Night

HEAD = ("night", "release", "cell", "value", "what", "first step", "ULP", "x noise floor", "CPU class", "because")
_PLACES = (0, 3, 4, 1, 2, 5, 6, 7, 8, 9)  # of columns on a page: what changed is in sight on a phone
PAGE_HEAD = tuple(HEAD[place] for place in _PLACES)
_MOST_CHANGES, _MOST_NIGHTS = 5_000, 100  # on a page
_ADDRESS = re.compile(r"https://[A-Za-z0-9.-]+(?::[0-9]+)?/[A-Za-z0-9._~/-]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A change.

    Attributes:
        texts: of the columns of `PAGE_HEAD`.
        moved: whether the release stayed.
        verdict: the word that colours it; empty: none.
    """

    texts: tuple[str, ...]
    moved: bool
    verdict: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Of:
    """A night.

    Attributes:
        address: where a person finds the run; empty where that is no plain address.
    """

    night: str
    address: str
    cells: int
    new: int
    changes: int
    classes: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """What the page shows.

    Attributes:
        asked: in words which changes; empty: all.
        total: how many changes answer that; `rows` are the last of them.
        moved: how many of them moved though their release stayed.
        first: the name of the first night; `count`: how many there were; `nights` are the last of them.
        classes: the CPU classes of all nights.
    """

    asked: str
    total: int
    moved: int
    rows: tuple[Row, ...]
    first: str
    count: int
    nights: tuple[Of, ...]
    classes: tuple[str, ...]


def row(change: Change) -> tuple[str, ...]:
    """Return what the columns of `HEAD` say of a change."""
    release = f"{change.before_release} -> {change.release}" if change.by_release else change.release
    in_words = change.value == "outcome" or "absent" in (change.was, change.now)
    what = f"{change.was} -> {change.now}" if in_words else change.verdict or "differs"
    if _moved(change):
        what = f"MOVED, {what}"
    return (
        change.night,
        release,
        change.cell,
        change.value,
        what,
        *("" if each is None else f"{each:.3g}" if isinstance(each, float) else str(each)
          for each in (change.step, change.ulp, change.share)),
        change.cpu,
        ", ".join(change.because),
    )  # fmt: skip


def view(nights: Sequence[Night], changes: Sequence[Change], asked: str = "") -> Page:
    """Return the page of some changes; of very many the last ones, and it says so.

    Args:
        nights: all of them, the oldest first.
        changes: those to show, the oldest first.
        asked: in words which ones that are.
    """
    return Page(
        asked=asked,
        total=len(changes),
        moved=sum(map(_moved, changes)),
        rows=tuple(
            Row(texts=tuple(row(each)[place] for place in _PLACES), moved=_moved(each), verdict=each.verdict)
            for each in changes[: -_MOST_CHANGES - 1 : -1]
        ),
        first=nights[0].night,
        count=len(nights),
        nights=tuple(map(_of, nights[: -_MOST_NIGHTS - 1 : -1])),
        classes=tuple(sorted({name for each in nights for name in each.classes})),
    )


def _moved(change: Change) -> bool:
    return not change.by_release and change.value != "outcome"


def _of(night: Night) -> Of:
    return Of(
        night=night.night,
        address=night.run if _ADDRESS.fullmatch(night.run) else "",
        cells=night.cells,
        new=night.new,
        changes=night.changes,
        classes=", ".join(night.classes),
    )
