"""A workload, run in the Python at hand: what it records, whether it repeats itself, and what it lacks."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

from repromatrix import resources
from repromatrix.engines.homes import home
from repromatrix.errors import EnvironmentFailedError, NothingSelectedError
from repromatrix.execute.here import prepare
from repromatrix.execute.run import Execution, Listener
from repromatrix.execute.site import ThisMachine
from repromatrix.execute.trace import Tracing
from repromatrix.matrix import Workload, load
from repromatrix.matrix.model import Command
from repromatrix.matrix.workload import load_workload
from repromatrix.plan import Cell
from repromatrix.results.record import Outcome, Record
from repromatrix.results.store import Store
from repromatrix.results.value import Column, Role, Trajectory


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """What came of a workload in one framework.

    Attributes:
        problem: why it did not run, with file and line where there is one; None: it ran.
        absent: the Python has no such framework, which is no fault of the workload.
        lines: what its default cell records and lacks, in words.
        deterministic: whether two fresh processes gave the same bits; None where it did not run.
    """

    framework: str
    problem: str | None
    absent: bool = False
    lines: tuple[str, ...]
    deterministic: bool | None


def check_workload(folder: Path, listener: Listener, python: str | None = None) -> Iterator[Checked]:
    """Run the default cell of each framework that has a module: twice as it is, and once traced; a command twice.

    Args:
        folder: with `workload.yaml`.
        listener: hears what happens.
        python: the interpreter; None: the one that a shell would start.

    Raises:
        MatrixError: what is wrong with the folder, before anything runs.
    """
    place = folder.resolve()
    workload = load_workload(place, place.name)
    for framework in workload.frameworks:
        if workload.runs_in(framework):
            yield _checked(workload, framework, listener, python)


def _checked(workload: Workload, framework: str, listener: Listener, python: str | None) -> Checked:
    matrix = replace(load(resources.matrix()), workloads=(workload,), include=(), exclude=(), profiles={}, repeats=2)
    try:
        whole, plan, engine = prepare(matrix, framework, listener, python=python, devices=("cpu",))
    except (EnvironmentFailedError, NothingSelectedError) as error:
        return Checked(framework=framework, problem=error.what, absent=True, lines=(), deterministic=None)
    cell = plan.cells[0]
    with home() as folder:
        store = Store(folder)
        heard = _Hearing(listener)
        site = ThisMachine(engine)
        execution = Execution(matrix=whole, site=site, store=store, listener=cast(Listener, heard), jobs=1)
        summary = execution.run([cell])
        (record,) = summary.records
        if record.outcome is not Outcome.OK:
            return _failed(framework, f"{cell.id} {record.outcome.value.replace('_', ' ')}: {record.reason}")
        if workload.command:
            own = tuple(_of_command(cell, workload.command, record, heard.said, len(plan.cells)))
            return Checked(framework=framework, problem=None, lines=own, deterministic=record.deterministic)
        (traced,) = Tracing(execution).run([cell], [record])
        trace = store.read_trace(cell.id, traced.key) if traced.key else None
        lines = _lines(cell, record, trace.trajectory if trace else None, traced.reason, len(plan.cells))
    return Checked(framework=framework, problem=None, lines=tuple(lines), deterministic=record.deterministic)


class _Hearing:
    """A listener that keeps what was read of a command's output, and passes all else on."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self.said = ""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._listener, name)

    def read(self, _cell_id: str, said: str) -> None:
        """The output of a command was read."""
        self.said = said


def _of_command(cell: Cell, command: Command, record: Record, read: str, cells: int) -> Iterator[str]:
    """Say what a command gives; first whether it gives it twice."""
    first, last = record.trajectories[0], record.cell.steps
    yield _repeats(record.trajectories)
    if len(record.trajectories) > 1:
        yield "a gate for numbers that are noisy by nature measures the noise: repromatrix check --repeats N"
    yield f"ran {cell.id}: {' '.join(cell.workload.command.words if cell.workload.command else ())}" + (
        f"; its factors and dtypes make {cells} cells in all" if cells > 1 else ""
    )
    yield f"read: {read}"
    yield f"{'metric':<8} {_named(first.metrics)}: {last} numbers, {first.said(1)} to {first.said(last)}"
    yield f"{'output':<8} {_named(first.of(Role.OUTPUT))}"
    yield from _coarse(first)
    if command.network:
        yield "not pinned: it is let onto the network, so no lock fixes all that it uses"
    if command.data:
        yield f"data: {', '.join(name for name, _ in command.data)}; here nothing keeps it from writing there"
    if not cell.workload.metrics:
        names = ", ".join(each.name for each in first.metrics)
        yield f"metrics are what was recognised; to have them fixed: metrics: [{names}]"
    yield "missing: a command is given no input to move, so no noise floor can be measured"


def _coarse(trajectory: Trajectory) -> Iterator[str]:
    """Say of how many digits the printed numbers are, where they cannot tell the bits."""
    for each in trajectory.metrics:
        digits = max(len(_mantissa(text).replace(".", "").strip("0-")) for text in each.texts)
        if each.dtype == "float64" and digits <= _FEW:
            hint = f"print it in full, {{{each.name}}} without a format"
            yield f"{each.name} is printed with {digits} digits: what differs behind them is not seen; {hint}"


def _mantissa(text: str) -> str:
    return repr(float.fromhex(text)).partition("e")[0]


def _failed(framework: str, problem: str) -> Checked:
    return Checked(framework=framework, problem=problem, lines=(), deterministic=None)


def _lines(cell: Cell, record: Record, traced: Trajectory | None, reason: str | None, cells: int) -> Iterator[str]:
    trajectory = record.trajectories[0]
    more = f"; its factors and dtypes make {cells} cells in all" if cells > 1 else ""
    yield f"ran {cell.id}: {cell.steps} steps in {cell.variant.dtype}{more}"
    yield from (f"{role.value:<8} {_named(trajectory.of(role))}" for role in (Role.METRIC, Role.OUTPUT, Role.STATE))
    if traced is not None:
        yield f"{'trace':<8} {_named(traced.of(Role.TRACE))}"
    else:
        yield f"not traced: {reason}"
    yield _repeats(record.trajectories)
    yield from _lacks(cell.workload, trajectory, traced)


def _named(columns: Sequence[Column]) -> str:
    return (
        ", ".join(f"{each.name} {each.dtype}{list(each.shape) if each.shape else ''}" for each in columns) or "nothing"
    )


def _repeats(found: Sequence[Trajectory]) -> str:
    if len(found) == 1:
        return "two runs in fresh processes gave the same bits"
    first = min(
        (
            (step, mine.name)
            for mine, other in zip(found[0].columns, found[1].columns, strict=False)
            for step in _apart(mine, other)
        ),
        default=None,
    )
    where = f"first at {found[0].said(first[0])}, in {first[1]}" if first else "in what they record"
    return f"two runs in fresh processes differ: {where}; look for what is drawn, timed or threaded there"


def _apart(a: Column, b: Column) -> Iterator[int]:
    """Yield the first step at which a column differs."""
    if (a.name, a.dtype, a.shape, a.at) != (b.name, b.dtype, b.shape, b.at):
        yield 0
        return
    yield from (step for step, one, two in zip(a.at, a.rows, b.rows, strict=True) if one != two)


_FEW = 9  # digits that a float32 needs
_NO_PARAMETER = "no input has `parameter: true`, so no noise floor can be measured"
_NO_STATE = "no state is recorded, so jobs that end with other weights may look the same: task.record(..., state={...})"
_NO_TRACE = "nothing on the way to the metrics is recorded, so a difference cannot be placed within a step"


def _lacks(workload: Workload, trajectory: Trajectory, traced: Trajectory | None) -> Iterator[str]:
    if not any(each.parameter for each in workload.inputs):
        yield f"missing: {_NO_PARAMETER}"
    if not trajectory.of(Role.STATE):
        yield f"missing: {_NO_STATE}"
    if traced is not None and not traced.of(Role.TRACE):
        yield f"missing: {_NO_TRACE}"
