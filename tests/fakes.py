"""An engine in memory whose runs say what a test wants, and what an execution needs around it."""

import json
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from math import prod
from pathlib import Path
from typing import Any

from repromatrix.engines.base import BuildSpec, Built, Exit, RunLimits
from repromatrix.errors import EnvironmentFailedError, ResultsError
from repromatrix.execute.run import Execution
from repromatrix.execute.site import ThisMachine
from repromatrix.graph import Place, shapes
from repromatrix.matrix import Matrix
from repromatrix.plan import Cell, plan
from repromatrix.results.record import Outcome, Record
from repromatrix.results.store import Store
from tests.worked import TENSORS

CLEAN = Exit(code=0)
BARE = b"BARE"  # before a first line that is no fingerprint, and has none before it
FOUR = ("numpy-2.0-cpu", "!*/*+avx2")  # one batch of four cells
Asked = dict[str, Any]  # a cell of the job, as the entrypoint reads it
Answer = tuple[list[bytes], Exit]


def line(**content: Any) -> bytes:
    return json.dumps(content).encode()


def fingerprint(name: str = "2.0") -> bytes:
    return line(line="fingerprint", fingerprint={"packages": {"numpy": name}})


def ok(cell: Asked, loss: float = 0.5, told: Any = None, **changes: Any) -> bytes:
    """Return the lines of a cell that goes well, from its start on, in the shape that its workload asks for.

    `told`: name -> what it has at each step, in place of the usual values; `changes`: of the last line.
    """
    if cell["id"].startswith(("operations/", "operations-full/")):
        return operations_ok(cell, **changes)
    values = usual(cell, loss) | (told or {})
    lines = [line(line="start", id=cell["id"])]
    for step in range(1, cell["steps"] + 2):
        entries = [entry for name in values if (entry := entry_at(cell, name, values[name], step)) is not None]
        if entries:
            lines.append(line(line="values", id=cell["id"], step=step, values=entries))
    last = {"line": "cell", "id": cell["id"], "outcome": "ok", "reason": None, "untraced": {}} | changes
    return b"\n".join([*lines, line(**last)])


def operations_ok(cell: Asked, given: dict[str, Any] | None = None, **changes: Any) -> bytes:
    """Return the lines of a cell of the workload `operations`; `given`: result -> dtype and elements."""
    results = {"exp": (cell["dtype"], [1.0, 2.0])} | (given or {})
    entries = [["results", "metric", "float64", [], [float(len(results)).hex()]]]
    entries += [
        [name, "output", dtype, [len(numbers)], [each.hex() for each in numbers]]
        for name, (dtype, numbers) in results.items()
        if dtype
    ]
    last = {"line": "cell", "id": cell["id"], "outcome": "ok", "reason": None, "untraced": {}} | changes
    return b"\n".join([start(cell), line(line="values", id=cell["id"], step=1, values=entries), line(**last)])


def sizes(cell: Asked) -> dict[str, list[int]]:
    """Return the shape of each value of the network."""
    shapes = {name: given["shape"] for name, given in cell["inputs"].items()}
    hidden, output = shapes["hidden_weights"][:1], shapes["output_weights"][:1]
    found = {"hidden_pre": hidden, "hidden": hidden, "output_pre": output, "output": output, "loss": []}
    found |= {f"{grad}{name}": shapes[name] for name in ("output_weights", "hidden_weights") for grad in ("grad_", "")}
    return found


def usual(cell: Asked, loss: float = 0.5) -> dict[str, list[list[str]]]:
    """Return what a cell tells at each step, quarters: of a traced one everything."""
    count, traced = cell["steps"], cell["trace"]
    found = {}
    for name in TENSORS:
        size = prod(sizes(cell)[name])
        rows = [[(0.25).hex()] * size] * (count + (name == "output"))
        if name == "loss":
            found[name] = [[loss.hex()]] * count
        elif traced or name == "output":
            found[name] = rows
        elif name in ("hidden_weights", "output_weights"):
            found[name] = [None] * (count - 1) + rows[:1]
    return found


def entry_at(cell: Asked, name: str, rows: Sequence[Any], step: int) -> list[Any] | None:
    """Return a value as a line has it, None where it is not told at that step."""
    if step > len(rows) or rows[step - 1] is None:
        return None
    state = name in ("hidden_weights", "output_weights")
    role = "metric" if name in cell["metrics"] else {"output": "output"}.get(name, "state" if state else "trace")
    return [name, role, cell["dtype"], sizes(cell).get(name, []), rows[step - 1]]


def ended(cell: Asked, outcome: str, reason: str) -> bytes:
    """Return the lines of a cell that ends in another way."""
    return b"\n".join([start(cell), line(line="cell", id=cell["id"], outcome=outcome, reason=reason)])


def start(cell: Asked) -> bytes:
    return line(line="start", id=cell["id"])


def end(cells: Sequence[Asked]) -> bytes:
    return line(line="end", cells=len(cells))


def everything_ok(cells: Sequence[Asked], loss: float = 0.5) -> Answer:
    return [fingerprint(), *(ok(cell, loss) for cell in cells), end(cells)], CLEAN


def replayed(operation: Asked, changes: Mapping[tuple[str, int], str] | None = None, /, **more: Any) -> bytes:
    """Return the lines of an operation, from its start on, in the shape that its inputs ask for: quarters.

    `changes`: (place or operation, sample) -> its first value.
    """
    name = operation["operation"]
    outputs = [_quarters(operation["places"], sample) for sample in operation["samples"]]
    for (changed, number), value in (changes or {}).items():
        if changed in outputs[number]:
            outputs[number][changed][0] = value
    content = {
        "line": "operation",
        "id": operation["id"],
        "operation": name,
        "outcome": "ok",
        "reason": None,
        "dtype": operation["dtype"],
        "outputs": outputs,
    }
    return b"\n".join([start(operation), line(**(content | more))])


def _quarters(places: Sequence[Asked], sample: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return a quarter for every element of every place; the loss of a step is a half."""
    known = {name: _shape(entry) for name, entry in sample.items()}
    told = [
        Place(value=each["value"], operation=each["operation"], arguments=tuple(name for name, *_ in each["takes"]))
        for each in places
    ]
    found = {name: [(0.25).hex()] * prod(shape) for name, shape in shapes(told, known).items()}
    return found | ({"loss": [(0.5).hex()]} if len(places) > 1 else {})


def _shape(entry: Any) -> tuple[int, ...] | None:
    if isinstance(entry, str):
        return None
    return (len(entry), len(entry[0])) if isinstance(entry[0], list) else (len(entry),)


def everything_replayed(operations: Sequence[Asked]) -> Answer:
    return [fingerprint(), *map(replayed, operations), line(line="end", cells=0, operations=len(operations))], CLEAN


class FakeRun:
    def __init__(self, engine: "FakeEngine", answer: Answer) -> None:
        self._engine = engine
        self._lines, self._exit = answer

    def lines(self) -> Iterator[bytes]:
        if not self._lines or (not self._lines[0].startswith(BARE) and b'"fingerprint"' not in self._lines[0]):
            yield fingerprint()  # the first line of every environment
        for each in (text.removeprefix(BARE) for text in self._lines):
            if each == b"INTERRUPT":
                raise KeyboardInterrupt
            if each == b"WAIT":  # for Engine.stop, as a hanging process does
                assert self._engine.stopped.wait(60)
                self._exit = Exit(stopped=True)
                return
            yield from each.split(b"\n")  # a cell's lines come as one text

    def result(self) -> Exit:
        return self._exit


class FakeEngine:
    """The protocol of repromatrix.engines.base. `answer(cells, number)` says what a run prints and how it ends.

    `operate(operations)` says it of a run that is asked for operations.
    """

    name = "process"

    def __init__(self) -> None:
        self.answer: Callable[[list[Asked], int], Answer] = lambda cells, _: everything_ok(cells)
        self.operate: Callable[[list[Asked]], Answer] = everything_replayed
        self.operations: list[list[Asked]] = []
        self.broken: set[str] = set()
        self.there: set[str] = set()
        self.built: list[str] = []
        self.runs: list[list[str]] = []
        self.limits: list[RunLimits] = []
        self.gpus: list[bool] = []
        self.executed: list[tuple[str, list[str], bool]] = []
        self.open = 0
        self.stopped = threading.Event()
        self._lock = threading.Lock()

    def describe(self) -> str:
        return "an engine in memory"

    def command(self, *_: object, **__: object) -> Exit:
        raise AssertionError("no test with this engine fetches or builds a base")

    def find(self, spec: BuildSpec) -> Built | None:
        return Built(reference=spec.name, digest=None) if spec.tag in self.there else None

    def build(self, spec: BuildSpec, log: Path) -> Built:
        if spec.name in self.broken:
            raise EnvironmentFailedError(f"{spec.name} does not build", where=str(log), hint="read the log")
        self.built.append(spec.name)
        self.there.add(spec.tag)
        return Built(reference=spec.name, digest=None)

    @contextmanager
    def run(
        self, built: Built, *, stdin: bytes, limits: RunLimits, variables: Mapping[str, str], gpu: bool, log: Path
    ) -> Iterator[FakeRun]:
        assert not variables
        job = json.loads(stdin)
        cells, operations = job["cells"], job["operations"]
        assert not (cells and operations)
        for asked in (*cells, *operations):  # the bits beside the shape, for tests that compute
            for given in asked["inputs"].values():
                given["bits"] = job["data"][given["data"]]
        with self._lock:
            number = len(self.runs)
            if operations:
                self.operations.append(operations)
            else:
                self.runs.append([cell["id"] for cell in cells])
            self.limits.append(limits)
            self.gpus.append(gpu)
            self.open += 1
        with log.open("a") as stream:
            stream.write(f"{built.reference} says\n")
        try:
            yield FakeRun(self, self.operate(operations) if operations else self.answer(cells, number))
        finally:
            with self._lock:
                self.open -= 1

    def execute(self, built: Built, command: Sequence[str], *, gpu: bool) -> int:
        self.executed.append((built.reference, list(command), gpu))
        return 7

    def stop(self) -> None:
        self.stopped.set()


class Ears:
    """A listener that remembers."""

    def __init__(self) -> None:
        self.heard: list[tuple] = []
        self.warnings: list[str] = []

    def preparing(self, environment: str) -> None:
        self.heard.append(("preparing", environment))

    def ready(self, environment: str, *, made: bool) -> None:
        self.heard.append(("ready", environment, made))

    def failed(self, environment: str, error: EnvironmentFailedError) -> None:
        self.heard.append(("failed", environment, error.what))

    def repeat(self, cell_id: str, outcome: Outcome) -> None:
        self.heard.append(("repeat", cell_id, outcome))

    def record(self, record: Record, *, cached: bool) -> None:
        self.heard.append(("record", record.cell.id, cached))

    def read(self, cell_id: str, said: str) -> None:
        self.heard.append(("read", cell_id, said))

    def warned(self, text: str) -> None:
        self.warnings.append(text)

    def unreadable(self, cell_id: str, error: ResultsError) -> None:
        self.heard.append(("unreadable", cell_id, error.what))

    def traced(self, cell_id: str, *, reason: str | None, changed: bool) -> None:
        self.heard.append(("traced", cell_id, reason, changed))


class Bench:
    """A matrix of one batch of four cells (and others), an engine, a store; `run` executes the selected cells."""

    def __init__(self, matrix: Matrix, store: Store, lock_folder: Path) -> None:
        self.matrix = matrix
        self.engine = FakeEngine()
        self.store = store
        self.lock_folder = lock_folder
        self.ears = Ears()

    def cells(self, *select: str, profile: str = "both") -> tuple[Cell, ...]:
        return plan(self.matrix, profile=profile, select=select or FOUR).cells

    def execution(self, jobs: int = 1) -> Execution:
        folders = {each.name: self.lock_folder for each in self.matrix.environments}
        return Execution(
            matrix=self.matrix,
            site=ThisMachine(self.engine, lock_folders=folders),
            store=self.store,
            listener=self.ears,
            jobs=jobs,
        )

    def run(self, *select: str, jobs: int = 1, profile: str = "both"):
        return self.execution(jobs).run(self.cells(*select, profile=profile))
