"""Searches -> what was tried: in rounds, each of them one run of all that any search wants next."""

from collections.abc import Sequence

from repromatrix.cli.explain_search import Search
from repromatrix.cli.story import Story
from repromatrix.errors import ExitCode, RepromatrixError
from repromatrix.execute.run import Execution, Summary
from repromatrix.plan import Cell
from repromatrix.results.record import Record


class NoTrajectoryError(RepromatrixError):
    """A cell that is to be explained gave nothing to compare."""

    exit_code = ExitCode.CELL_FAILED


class Rounds:
    """Gives each cell that a search wants a record, from the store or by running it, each once."""

    def __init__(self, execution: Execution, repeats: int, story: Story) -> None:
        self._execution, self._repeats, self._story = execution, repeats, story
        self._records: dict[str, Record] = {}
        self.ran = 0

    @property
    def records(self) -> dict[str, Record]:
        """Return all that was looked at, by key."""
        return {each.key: each for each in self._records.values()}

    def begin(self, search: Search) -> None:
        """Run a pair's own cells; `finish` does without, as of many pairs one that fails costs nothing else.

        Raises:
            RepromatrixError: an environment is broken, a cell has no trajectory, or its repeats differ.
        """
        summary = self._round([search], retry=True)
        if summary.broken:
            raise summary.broken[0][1]
        if search.unusable:
            raise self._told(search.unusable)

    def finish(self, searches: Sequence[Search]) -> None:
        """Run what they want until none wants more."""
        while waiting := [each for each in searches if each.wanted]:
            # Conditions wait for each other: each settings then starts an environment once, not in many rounds.
            self._round([each for each in waiting if not each.last] or waiting, retry=False)

    def _round(self, searches: Sequence[Search], *, retry: bool) -> Summary:
        wanted: dict[str, Cell] = {cell.id: cell for each in searches for cell in each.wanted}
        new = [cell for name, cell in wanted.items() if name not in self._records]
        with self._story.progress(len(new) * self._repeats):
            # A hybrid that failed is an answer, or an unchanged pair would run again whenever it is asked for.
            summary = self._execution.run(new, retry=retry)
        self.ran += summary.ran
        self._records |= {record.cell.id: record for record in summary.records}
        for each in searches:
            each.hear(self._records)
        return summary

    def _told(self, record: Record) -> NoTrajectoryError:
        why = f"{record.outcome.value}: {record.reason}" if record.trajectory is None else "its repeats differ"
        return NoTrajectoryError(
            f"{record.cell.id} cannot be explained: {why}",
            where=str(self._execution.store.folder / record.log) if record.log else "",
            hint=f"look at it: repromatrix cell {record.cell.id}",
        )
