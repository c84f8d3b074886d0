"""Searches -> what was tried: in rounds, each of them one run of all that any search wants next."""

from collections.abc import Iterable, Sequence
from time import monotonic

from repromatrix.errors import EnvironmentFailedError, ExitCode, RepromatrixError
from repromatrix.execute.run import Execution, Summary, batches_of
from repromatrix.explain.pace import Pace
from repromatrix.explain.search import Search, Stage
from repromatrix.listener import Listener
from repromatrix.plan import Cell
from repromatrix.results.record import Outcome, Record

_WORDS = {
    Stage.OWN: "the cells themselves",
    Stage.FACTORS: "each factor alone",
    Stage.SETS: "sets of factors",
    Stage.CONDITIONS: "conditions",
}


class NoTrajectoryError(RepromatrixError):
    """A cell that is to be explained gave nothing to compare."""

    exit_code = ExitCode.CELL_FAILED


class Rounds:
    """Gives each cell that a search wants a record, from the store or by running it, each once."""

    def __init__(self, execution: Execution, repeats: int, story: Listener) -> None:
        self._execution, self._repeats, self._story = execution, repeats, story
        self._records: dict[str, Record] = {}
        self._to_run: dict[str, bool] = {}
        self._pace = Pace()
        self.ran = 0

    @property
    def records(self) -> dict[str, Record]:
        """Return all that was looked at, by key."""
        return {each.key: each for each in self._records.values()}

    @property
    def places(self) -> frozenset[tuple[str, str]]:
        """Return the environments and devices of all that was looked at."""
        return frozenset((each.cell.environment, each.cell.device) for each in self._records.values())

    @property
    def settled(self) -> bool:
        """Whether all of it is an answer, so that asking again runs nothing; a cell that failed is one."""
        return all(map(_is_answer, self._records.values()))

    def begin(self, search: Search) -> None:
        """Run a pair's own cells; `finish` does without, as of many pairs one that fails costs nothing else.

        Raises:
            RepromatrixError: an environment is broken, a cell has no trajectory, or its repeats differ.
        """
        summary = self._round([search], [search], retry=True)
        if summary.broken:
            raise summary.broken[0][1]
        if search.unusable:
            raise self._told(search.unusable)

    def finish(self, searches: Sequence[Search]) -> None:
        """Run what they want until none wants more."""
        while waiting := [each for each in searches if each.wanted]:
            # Conditions wait for each other: each settings then starts an environment once, not in many rounds.
            self._round([each for each in waiting if each.stage < Stage.CONDITIONS] or waiting, waiting, retry=False)

    def _round(self, searches: Sequence[Search], waiting: Sequence[Search], *, retry: bool) -> Summary:
        """Run what searches want, of all that are waiting."""
        wanted: dict[str, Cell] = {cell.id: cell for each in searches for cell in each.wanted}
        new = [cell for name, cell in wanted.items() if name not in self._records]
        to_run = self._without_record(new)
        self._announce(min(search.stage for search in searches), to_run, waiting)
        started = monotonic()
        with self._story.progress(sum(cell.runs(self._repeats) for cell in to_run)):
            # Failures are kept, so that asking again does not rerun them.
            summary = self._execution.run(new, retry=retry)
        self._pace.add(len(batches_of(to_run)), monotonic() - started)
        self.ran += summary.ran
        self._records |= {record.cell.id: record for record in summary.records}
        for search in searches:
            search.hear(self._records)
        return summary

    def _announce(self, stage: Stage, to_run: Sequence[Cell], waiting: Sequence[Search]) -> None:
        """Say which round it is, if anything runs in it, and how long it may take by what was measured so far."""
        if not to_run:
            return
        now = {cell.id for cell in to_run}
        ahead = {cell.id: cell for each in waiting for cell in (*each.wanted, *each.ahead) if cell.id not in now}
        later = self._without_record(ahead.values())
        seconds = self._pace.of(len(batches_of(to_run)) + len(batches_of(later)))
        # Which sets there will be hangs on what the factors show: before them only this round is known.
        left = f"; {seconds} {'left' if stage >= Stage.SETS else 'for this round'}" if seconds else ""
        self._story.say(f"{'round':<10} {stage} of {len(Stage)}: {_WORDS[stage]}, {len(to_run)} cells{left}")

    def _without_record(self, cells: Iterable[Cell]) -> list[Cell]:
        found = list(cells)
        for cell in found:
            if cell.id not in self._to_run:
                self._to_run[cell.id] = self._has_to_run(cell)
        return [cell for cell in found if self._to_run[cell.id] and cell.id not in self._records]

    def _has_to_run(self, cell: Cell) -> bool:
        try:
            if not self._execution.site.machine(cell.environment).has(cell.device):
                return False
            key = self._execution.key(cell)
        except EnvironmentFailedError:
            return False
        return not self._execution.store.record_path(cell.id, key).is_file()

    def _told(self, record: Record) -> NoTrajectoryError:
        why = f"{record.outcome.value}: {record.reason}" if record.trajectory is None else "its repeats differ"
        return NoTrajectoryError(
            f"{record.cell.id} cannot be explained: {why}",
            where=str(self._execution.store.folder / record.log) if record.log else "",
            hint=f"look at it: repromatrix cell {record.cell.id}",
        )


def _is_answer(record: Record) -> bool:
    # A cell that failed without a run had no environment: the next time there may be one.
    return record.outcome is not Outcome.TIMED_OUT and (record.outcome is not Outcome.FAILED or record.repeats > 0)
