"""What was replayed, as the report and `verify` take it: read from a results folder by whoever calls them."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from repromatrix.results.replay import Replay
from repromatrix.results.studies import End, Studies, Testimony


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed:
    """Operations of cells that were computed again.

    Attributes:
        studies: whose.
        ends: what the files say that each end of a study names; None where one of them is not there.
        listed: of the catalogue's cells whose files are all there, by id, operation -> its replay on fresh inputs.
    """

    studies: Studies = field(default_factory=Studies)
    ends: Mapping[End, Testimony | None] = field(default_factory=dict)
    listed: Mapping[str, Mapping[str, Replay]] = field(default_factory=dict)
