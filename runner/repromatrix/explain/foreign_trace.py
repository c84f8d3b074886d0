"""A trace of somebody's own implementation against a cell: what makes the difference, by replaying its steps.

The file (schemas/trace.json) is a black box; everything else is asked of the cell's environment.
"""

import json
from collections.abc import Sequence
from math import prod
from pathlib import Path

from repromatrix import resources
from repromatrix.errors import NewerFormatError, ResultsError, UsageError
from repromatrix.execute.replay import Inputs, Replaying, Request
from repromatrix.execute.run import Execution
from repromatrix.execute.trace import Tracing
from repromatrix.explain.judge.sites import Flips, Outputs, Task, TraceExplanation
from repromatrix.explain.space import DTYPE, NotTestable, Part, Space
from repromatrix.explain.start import start_of
from repromatrix.explain.traces import Case, Steps, explained
from repromatrix.floats import FORMS
from repromatrix.graph import STEP
from repromatrix.operations import text
from repromatrix.operations.wiring import Start
from repromatrix.plan import Cell
from repromatrix.results import document as documents
from repromatrix.results import trace as traces
from repromatrix.results.files import MOST_BYTES
from repromatrix.results.replay import Replay, sample
from repromatrix.results.trace import Trace

_FORM = "what such a file holds: repromatrix schema trace"
_UNUSED = ("framework", "version", "flavour", "python", "environment", "variant", "settings", "device", "code")


class ForeignTrace:
    """One file against one cell, in the environments of an execution."""

    def __init__(self, execution: Execution, space: Space, cell: Cell, path: Path) -> None:
        """Read the file.

        Raises:
            UsageError: it is no trace, or not of the cell's task.
            NewerFormatError: it was written for a newer release.
        """
        self._execution, self._cell = execution, cell
        self._space = space
        self._state = self._space.state(cell)
        self._replaying = Replaying(execution)
        self._start = start_of(cell)
        self._b = _read(path, cell, self._start)
        options = space.vocabulary[cell.environment.framework]
        dtypes = sorted({each.dtype for each in space.variants if each.framework == cell.environment.framework})
        self._values = {**{name: each for name, each in options.items() if len(each) > 1}, "dtype": tuple(dtypes)}
        self._task = Task(
            starts={dtype: start_of(cell, dtype) for dtype in {cell.variant.dtype, *dtypes}},
            output=next(iter(cell.workload.outputs), None),
            dtype=cell.variant.dtype,
            options={name: str(self._state[Part("option", name)]) for name in options},
        )

    def explain(self) -> TraceExplanation:
        """Return what makes the difference.

        Raises:
            ResultsError: the cell itself gives no trace.
            NoEngineError: the engine is gone.
        """
        case = Case(a=self._own_trace(), b=self._b, task=self._task, values=self._values)
        return explained({self._cell.id: case}, self._compute)[self._cell.id]

    def _flipped(self, flips: Flips) -> Cell | NotTestable:
        flipped = {DTYPE if name == DTYPE.name else Part("option", name): value for name, value in flips}
        return self._space.cell({**self._state, **flipped}, self._cell, own=(self._cell,))

    def _own_trace(self) -> Trace:
        records = self._execution.run([self._cell]).records
        (traced,) = Tracing(self._execution).run([self._cell], records) or (None,)
        found = None
        if traced is not None and traced.key is not None:
            found = self._execution.store.read_trace(self._cell.id, traced.key)
        if found is None:
            reason = traced.reason if traced is not None else records[0].reason
            raise ResultsError(
                f"{self._cell.id} gives no trace to hold the file against: {reason}",
                hint="name another cell of the workload: repromatrix plan",
            )
        return found

    def _compute(self, wanted: Sequence[Steps]) -> list[Outputs | None]:
        """Return what `step` gives for each; None where it cannot be computed apart."""
        requests: dict[int, Request] = {}
        for place, each in enumerate(wanted):
            cell = self._flipped(each.flips) if each.flips else self._cell
            if not isinstance(cell, NotTestable):
                given = [sample(text.write(one)) for one in each.samples]
                inputs = Inputs.steps(given, (each.of.cell.id, each.of.key))
                requests[place] = Request(cell=cell, graph=self._start.graph, operation=STEP, inputs=inputs)
        found = dict(zip(requests, self._replaying.run(list(requests.values())), strict=True))
        return [_outputs(found[place]) if place in found else None for place in range(len(wanted))]


def document(found: TraceExplanation, cell: Cell, path: str) -> dict[str, object]:
    """Return what was found as JSON data."""
    return {
        "format": 1,
        "a": cell.id,
        "file": path,
        "detected": found.detected,
        "factors": dict(found.factors),
        "equals": [dict(each) for each in found.equals],
        "by_chance": [{"options": dict(flips), "elements": elements} for flips, elements in found.by_chance],
        "starts": list(found.starts),
        "operations": [{"tensor": each.tensor, "steps": list(each.steps)} for each in found.operations],
        "untold": list(found.untold),
    }


def _outputs(replay: Replay) -> Outputs | None:
    if not replay.outputs:
        return None
    count = len(replay.outputs[0][1])
    return [{name: values[at] for name, values in replay.outputs} for at in range(count)]


def _read(path: Path, cell: Cell, start: Start) -> Trace:
    try:
        data = resources.read_regular(path, most=MOST_BYTES, links=True)
    except OSError as error:
        raise UsageError(f"cannot read the trace: {error.strerror}", where=str(path)) from error
    try:
        found = traces.decode(_described(data, cell), str(path))
    except NewerFormatError:
        raise
    except ResultsError as error:
        raise UsageError(error.what, where=str(path), hint=_FORM) from error
    names = start.graph.parameters
    due = [start.shapes[name] for name in names]
    wrong = _wrong(found, cell, start) if found.cell.workload == cell.workload.name else None
    if wrong:
        raise UsageError(wrong, where=str(path), hint=_FORM)
    there = [found.shape(name) for name in names]
    if found.cell.workload != cell.workload.name or due != there:
        raise UsageError(
            f"a trace of {found.cell.workload} with weights of {there}, {cell.id} is {cell.workload.name} with {due}",
            where=str(path),
            hint="name a cell of the same workload: repromatrix plan",
        )
    return found


def _described(data: bytes, cell: Cell) -> bytes:
    """Return the file as repromatrix would write it: empty text for what of its cell nothing here depends on.

    One that does not say of which task it is, is held against the cell as if it were of the cell's.
    """
    try:
        document = json.loads(data)
        plain = {**dict.fromkeys(_UNUSED, ""), "options": [], "task": cell.workload.task}
        document["cell"] = {**plain, **document["cell"]}
        return documents.rewritten(document, traces.Document)
    except (ValueError, KeyError, TypeError, RecursionError):
        return data  # decoding it says what is wrong


def _wrong(found: Trace, cell: Cell, start: Start) -> str | None:
    """Return why the steps of a readable trace cannot be replayed."""
    count = len(found.trajectory.losses)
    if count == 0:
        return "a trace without a step"
    if found.cell.dtype not in FORMS:
        return f"dtype {found.cell.dtype[:40]!r}, expected one of {', '.join(FORMS)}"
    shown = found.trajectory.predictions
    outputs = next((prod(start.shapes[name]) for name in cell.workload.outputs if name in start.shapes), 0)
    if shown and [len(row) for row in shown] != [outputs] * (count + 1):
        return f"{len(shown)} predictions; {count} steps have {count + 1} of {outputs} values: in each, and after them"
    lacking = [name for name in start.graph.parameters if name not in dict(found.tensors)]
    return f"the trace has no {lacking[0]}, from which each step begins" if lacking else None
