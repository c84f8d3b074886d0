"""An engine in memory whose runs say what a test wants, and what an execution needs around it."""

import json
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from repromatrix.engines.base import BuildSpec, Built, Exit, RunLimits
from repromatrix.errors import EnvironmentFailedError, ResultsError
from repromatrix.execute.run import Execution
from repromatrix.matrix import Matrix
from repromatrix.plan import Cell, plan
from repromatrix.results.record import Outcome, Record
from repromatrix.results.replay import PLACES
from repromatrix.results.store import Store

CLEAN = Exit(code=0)
FOUR = ("numpy-2.0-cpu", "!*/*+avx2")  # one batch of four cells
Asked = dict[str, Any]  # a cell of the job, as the entrypoint reads it
Answer = tuple[list[bytes], Exit]


def line(**content: Any) -> bytes:
    return json.dumps(content).encode()


def fingerprint(name: str = "2.0") -> bytes:
    return line(line="fingerprint", fingerprint={"packages": {"numpy": name}})


def ok(cell: Asked, loss: float = 0.5, **changes: Any) -> bytes:
    """Return the line of a cell that went well, in the shape that its workload asks for."""
    workload = cell["workload"]

    def rows(count: int, width: int) -> list[list[str]]:
        return [[(0.25).hex()] * width] * count

    hidden, width = len(workload["hidden_weights"]), len(workload["input"])
    content = {
        "line": "cell",
        "id": cell["id"],
        "outcome": "ok",
        "reason": None,
        "dtype": cell["variant"]["dtype"],
        "losses": [loss.hex()] * workload["steps"],
        "predictions": rows(workload["steps"] + 1, len(workload["target"])),
        "weights": {"hidden": rows(hidden, width), "output": rows(len(workload["target"]), hidden)},
    }
    if cell["trace"]:
        content |= {"trace": tensors(workload, loss), "untraced": {}}
    return line(**(content | changes))


def tensors(workload: dict[str, Any], loss: float = 0.5) -> dict[str, list[list[str]]]:
    """Return what a traced cell tells, in the shape that its workload asks for."""
    width, hidden, output = (len(workload[name]) for name in ("input", "hidden_weights", "target"))
    sizes = dict.fromkeys(("hidden_pre", "hidden"), hidden) | dict.fromkeys(("output_pre", "output"), output)
    sizes |= {"grad_output_weights": output * hidden, "grad_hidden_weights": hidden * width}
    sizes |= {"output_weights": output * hidden, "hidden_weights": hidden * width}
    found = {name: [[(0.25).hex()] * size] * workload["steps"] for name, size in sizes.items()}
    return found | {"loss": [[loss.hex()]] * workload["steps"]}


def start(cell: Asked) -> bytes:
    return line(line="start", id=cell["id"])


def end(cells: Sequence[Asked]) -> bytes:
    return line(line="end", cells=len(cells))


def everything_ok(cells: Sequence[Asked], loss: float = 0.5) -> Answer:
    middle = [each for cell in cells for each in (start(cell), ok(cell, loss))]
    return [fingerprint(), *middle, end(cells)], CLEAN


def replayed(operation: Asked, changes: Mapping[tuple[str, int], str] | None = None, /, **more: Any) -> bytes:
    """Return the line of an operation in the shape that its inputs ask for: quarters, and what a step was given.

    `changes`: (place or primitive, sample) -> its first value.
    """
    work, name = operation["workload"], operation["operation"]
    width, hidden, output = (len(work[each]) for each in ("input", "hidden_weights", "target"))
    outputs: list[Any] = []
    for sample in operation["samples"]:
        if name == "step":
            sizes = {place: hidden if "hidden" in place else output for place in PLACES} | {"loss": 1}
            sizes |= {"grad_output_weights": output * hidden, "grad_hidden_weights": hidden * width}
            sizes |= {"output_weights": output * hidden, "hidden_weights": hidden * width}
            quarters = {place: [(0.25).hex()] * size for place, size in sizes.items()} | {"loss": [(0.5).hex()]}
            outputs.append(quarters)
        else:
            rows = {"product": "W", "bias": "p", "sigmoid": "z", "error": "o", "sigmoid_gradient": "e"}
            sizes = {"loss": 1} | {each: len(sample[key]) for each, key in rows.items() if key in sample}
            if name == "outer":
                sizes[name] = len(sample["d"]) * len(sample["v"])
            if name in ("back", "update"):
                sizes |= {"back": len(sample["W"][0]), "update": len(sample["W"]) * len(sample["W"][0])}
            outputs.append([(0.25).hex()] * sizes[name])
    for (changed, place), value in (changes or {}).items():
        if name == "step" and changed in PLACES:
            outputs[place][changed][0] = value
        elif name == changed:
            outputs[place][0] = value
    content = {
        "line": "operation",
        "id": operation["id"],
        "operation": name,
        "outcome": "ok",
        "reason": None,
        "dtype": operation["variant"]["dtype"],
        "options": {"update": "parallel"} | operation["variant"]["options"],
        "outputs": outputs,
    }
    return line(**(content | more))


def everything_replayed(operations: Sequence[Asked]) -> Answer:
    middle = [each for operation in operations for each in (start(operation), replayed(operation))]
    return [fingerprint(), *middle, line(line="end", cells=0, operations=len(operations))], CLEAN


class FakeRun:
    def __init__(self, engine: "FakeEngine", answer: Answer) -> None:
        self._engine = engine
        self._lines, self._exit = answer

    def lines(self) -> Iterator[bytes]:
        for each in self._lines:
            if each == b"INTERRUPT":
                raise KeyboardInterrupt
            if each == b"WAIT":  # for Engine.stop, as a hanging process does
                assert self._engine.stopped.wait(30)
                self._exit = Exit(stopped=True)
                return
            yield each

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
        cells, operations = job["cells"], job.get("operations", [])
        assert not (cells and operations)
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
            engine=self.engine,
            store=self.store,
            listener=self.ears,
            jobs=jobs,
            lock_folders=folders,
        )

    def run(self, *select: str, jobs: int = 1, profile: str = "both"):
        return self.execution(jobs).run(self.cells(*select, profile=profile))
