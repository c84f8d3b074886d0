"""Which form each operation of each environment is, and how far from the truth: judged on fresh inputs alone. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from repromatrix.operations.catalogue import CATALOGUE
from repromatrix.operations.judgement import Arithmetic, Memo, arithmetic
from repromatrix.results.record import Description
from repromatrix.results.replay import Replay


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One operation of one cell.

    Attributes:
        options: every option of the entrypoint with the value that it used; those of the cell where it did not answer.
    """

    cell: Description
    options: tuple[tuple[str, str], ...]
    operation: str
    how: Arithmetic


def entries(fresh: Mapping[str, Replay], memo: Memo | None = None) -> Iterator[Entry]:
    """Yield what a cell's replays on fresh inputs show of its operations, measured against the truth.

    Raises:
        ValueError: fresh inputs that this release makes otherwise.
    """
    sigmoids = [each for each in (fresh.get("sigmoid"),) if each is not None]
    for name in CATALOGUE:
        if name in fresh:
            replay = fresh[name]
            how = arithmetic(name, [replay], sigmoids, measure=True, memo=memo)
            yield Entry(cell=replay.cell, options=replay.options or replay.cell.options, operation=name, how=how)
