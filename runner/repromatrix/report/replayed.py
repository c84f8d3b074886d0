"""What was replayed, as the report and `verify` take it: read from a results folder by whoever calls them."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from repromatrix.results.replay import Replay
from repromatrix.results.replays import CellReplays, ReplayedCell, ReplayIndex


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed:
    """Operations of cells that were computed again.

    Attributes:
        index: of which cells, and where.
        ends: what the files say that each end of a replayed pair names; None where one of them is not there.
        listed: of the catalogue's cells whose files are all there, by id, operation -> its replay on fresh inputs.
    """

    index: ReplayIndex = field(default_factory=ReplayIndex)
    ends: Mapping[ReplayedCell, CellReplays | None] = field(default_factory=dict)
    listed: Mapping[str, Mapping[str, Replay]] = field(default_factory=dict)
