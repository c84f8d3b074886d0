"""`repromatrix explain A B`: why two cells differ. A cause is told only with the experiment that shows it.

Exit 0: the cells have the same bits, or the difference is attributed; 1: it is not.
"""

import json
from argparse import Namespace
from collections.abc import Sequence

from runner.cli.ledger import tell
from runner.cli.registry import share_of
from runner.cli.select import engine as choose_engine
from runner.cli.select import require_locks
from runner.cli.story import Story
from runner.compare.allowance import Allowances, Tolerance, allowances
from runner.compare.combinations import next_set
from runner.compare.difference import Verdict
from runner.compare.experiments import Experiment, Judge
from runner.compare.ledger import Factor, Finding, Ledger, Row
from runner.compare.setups import version_key
from runner.errors import ExitCode, RepromatrixError, UsageError
from runner.execute.run import Execution
from runner.images.options import vocabulary
from runner.interventions import Interventions, NotTestable
from runner.matrix import Matrix, load
from runner.matrix.check import suggest
from runner.plan import Cell, find, universe
from runner.results.record import Record
from runner.results.store import Store

_PUBLISHED = "published:"
Names = tuple[str, ...]


class NoTrajectoryError(RepromatrixError):
    """A cell that is to be explained gave nothing to compare."""

    exit_code = ExitCode.CELL_FAILED


def run(options: Namespace) -> int:
    """Flip what differs between two cells, one factor at a time, then together, and print what that shows."""
    if options.budget is not None and options.budget < 2:  # noqa: PLR2004 - a pair
        raise UsageError("a budget of 1 cell: the two cells alone are 2", hint="repromatrix explain A B --budget 10")
    matrix = load(options.matrix)
    a, b = (_cell(matrix, each) for each in (options.a, options.b))
    if a.id == b.id:
        raise UsageError(f"both are {a.id}", hint="name two cells: repromatrix plan")
    require_locks(matrix.path, [a.environment, b.environment])
    frameworks = {a.environment.framework, b.environment.framework}
    hybrids = Interventions(matrix, vocabulary(sorted(frameworks)), a, b)
    budget = options.budget or 2 + 2 * len(hybrids.factors)
    story = Story.of(options)
    engine = choose_engine(options, story)
    execution = Execution(
        matrix=matrix,
        engine=engine,
        store=Store(options.results),
        listener=story,
        jobs=options.jobs,
        share=share_of(options, engine, story),
    )
    story.say(f"{'budget':<10} {budget} cells for {len(hybrids.factors)} factors (--budget N for another)")
    laboratory = _Laboratory(execution, matrix.repeats, story, budget)
    ledger = _explain(hybrids, a, b, laboratory, _allowed(matrix, execution.store))
    print(json.dumps(ledger.document(), indent=1) if options.json else tell(ledger))
    return int(ExitCode.OK if ledger.attributed else ExitCode.DIFFERENCE)


class _Laboratory:
    """Gives each cell a record, from the store or by running it; never more cells than the budget."""

    def __init__(self, execution: Execution, repeats: int, story: Story, budget: int) -> None:
        self._execution, self._repeats, self._story = execution, repeats, story
        self._records: dict[str, Record] = {}
        self.budget = budget
        self.exhausted = False

    @property
    def spent(self) -> int:
        """Return how many cells were looked at; what an earlier run left counts too, so that the answer is the same."""
        return len(self._records)

    def look(self, cells: Sequence[Cell]) -> None:
        """Give the cells records, in order, as far as the budget goes."""
        todo = list({cell.id: cell for cell in cells if cell.id not in self._records}.values())
        affordable = todo[: max(0, self.budget - self.spent)]
        self.exhausted |= len(affordable) < len(todo)
        if affordable:
            with self._story.progress(len(affordable) * self._repeats):
                summary = self._execution.run(affordable)
            self._records |= {record.cell.id: record for record in summary.records}

    def both(self, a: Cell, b: Cell) -> tuple[Record, Record]:
        """Return the records of the two cells themselves.

        Raises:
            RepromatrixError: one has no trajectory, or its repeats differ.
        """
        with self._story.progress(2 * self._repeats):
            summary = self._execution.run((a, b))
        if summary.broken:
            raise summary.broken[0][1]
        for record in summary.records:
            if record.trajectory is None or record.deterministic is False:
                why = f"{record.outcome.value}: {record.reason}" if record.trajectory is None else "its repeats differ"
                raise NoTrajectoryError(
                    f"{record.cell.id} cannot be explained: {why}",
                    where=str(self._execution.store.folder / record.log) if record.log else "",
                    hint=f"look at it: repromatrix cell {record.cell.id}",
                )
        self._records |= {record.cell.id: record for record in summary.records}
        return summary.records[0], summary.records[1]

    def experiment(self, cell: Cell | NotTestable) -> Experiment:
        """Return what was seen of a hybrid."""
        if isinstance(cell, NotTestable):
            return Experiment(reason=cell.reason)
        if cell.id not in self._records:
            return Experiment(reason=f"not run: the budget of {self.budget} cells is spent", left=True)
        return Experiment(record=self._records[cell.id])


def _explain(hybrids: Interventions, a: Cell, b: Cell, laboratory: _Laboratory, allowed: Allowances) -> Ledger:
    factors = [Factor(name=each.name, a=each.a, b=each.b, silent=each.silent) for each in hybrids.factors]
    judge = Judge(*laboratory.both(a, b), factors, allowed)
    rows: list[Row] = []
    sets: list[Row] = []
    if judge.before.verdict is not Verdict.IDENTICAL:
        singles: list[Names] = [(each.name,) for each in factors]
        laboratory.look([cell for names in singles for cell in _runnable(hybrids, names)])
        rows = [_judged(hybrids, judge, laboratory, names) for names in singles]
        while not laboratory.exhausted and (names := next_set(rows, sets, hybrids.bundles)):
            laboratory.look(_runnable(hybrids, names))
            sets.append(_judged(hybrids, judge, laboratory, names))
    return Ledger(
        a=a.id,
        b=b.id,
        before=judge.before,
        factors=tuple(factors),
        rows=tuple(rows),
        sets=tuple(each for each in sets if each.finding is not Finding.NOT_TESTABLE),
        budget=laboratory.budget,
        spent=laboratory.spent,
        exhausted=laboratory.exhausted,
    )


def _runnable(hybrids: Interventions, names: Names) -> list[Cell]:
    ends = (hybrids.flipped("a", names), hybrids.flipped("b", names))
    return [each for each in ends if isinstance(each, Cell)]


def _judged(hybrids: Interventions, judge: Judge, laboratory: _Laboratory, names: Names) -> Row:
    at_a, at_b = (laboratory.experiment(hybrids.flipped(side, names)) for side in ("a", "b"))
    return judge.row(names, at_a, at_b)


def _allowed(matrix: Matrix, store: Store) -> Allowances:
    """Return the noise floors that the latest run of the results measured, and the matrix's tolerances."""
    floors = {}
    if store.has_manifest:
        manifest = store.read_manifest()
        names = {name for each in manifest.ensembles for name in (each.reference, *each.members)}
        keys = {each.id: each.key for each in manifest.entries if each.id in names and each.key}
        records = {name: store.read(name, key, predictions=False) for name, key in keys.items()}
        floors = dict(allowances(manifest, {name: each for name, each in records.items() if each}).floors)
    tolerances = {
        dtype: Tolerance(relative=each.relative, absolute=each.absolute, source=each.source)
        for dtype, each in matrix.tolerances.items()
    }
    return Allowances(floors=floors, tolerances=tolerances)


def _cell(matrix: Matrix, text: str) -> Cell:
    return _of_column(matrix, text) if text.startswith(_PUBLISHED) else find(matrix, text)


def _of_column(matrix: Matrix, text: str) -> Cell:
    """Return the cell that a published column is: its variant in the newest version of its framework."""
    title = text.removeprefix(_PUBLISHED)
    columns = [(each, c) for each in matrix.workloads if each.published for c in each.published.columns]
    for workload, column in columns:
        if column.title.casefold() == title.casefold():
            cells = [
                cell
                for cell in universe(matrix)
                if cell.id == f"{workload.name}/{cell.environment.name}/{column.variant}"
                and cell.environment.framework == column.framework
            ]
            # Of equal versions the flavour `cpu` on the matrix's own Python is the document's.
            cells.sort(key=lambda cell: (cell.environment.flavour == "cpu", not cell.environment.suffix))
            cells.sort(key=lambda cell: version_key(cell.environment.version))
            if cells:
                return cells[-1]
    raise UsageError(f"no published column {title!r}", hint=suggest(title, [c.title for _, c in columns])[:300])
