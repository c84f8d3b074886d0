"""A workload's own module, with hooks in it, in the framework of this process: a job in, every value of every step out.

It uses the harness of `images/` as any measured cell does. It knows nothing of the explainer, and does not replay.
"""

import base64
import importlib
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any

from bench.faults import bits, source
from bench.faults.draw import Fault, Ground, Job
from bench.faults.hooks import MOST, Forcing, Key, Twist, hooks
from bench.faults.values import Shown, flat, shaped

CODE = "faults"
FLOATS = ("float64", "float32", "float16", "bfloat16")
Rows = dict[int, dict[str, Shown]]  # step -> name -> what is recorded; after the last step once more the outputs


class Everything:
    """Of every value the bits are sent along."""

    def __contains__(self, _: object) -> bool:
        """Say yes."""
        return True


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What a run gave.

    Attributes:
        rows: every value of every step.
        lines: as a traced cell tells them.
        changed: the sites, with their steps, at which a fault has changed a bit.
    """

    rows: Rows
    lines: list[dict[str, Any]]
    changed: frozenset[tuple[Key, int]]


class Harness:
    """A framework's entrypoint and a workload's instrumented module for it, loaded once."""

    def __init__(self, ground: Ground) -> None:
        """Import them; the entrypoint's folder and what all of them share come onto the path."""
        self.ground, self.hooks = ground, hooks
        images = Path(ground.folder).parent
        sys.path[:0] = [ground.folder, str(images)]
        entrypoint = importlib.import_module("entrypoint")
        cell, self.jobs, modules, self.task, self.values = map(
            importlib.import_module, ("cell", "job", "modules", "task", "values")
        )
        # It holds folders named as frameworks, which Python would take for packages.
        sys.path[:] = [path for path in sys.path if Path(path).resolve() != images]
        kinds = vars(entrypoint).values()
        (kind,) = {e for e in kinds if isinstance(e, type) and issubclass(e, cell.Framework)} - {cell.Framework}
        self.framework = kind()
        settings = self.jobs.Settings(1, None, {})
        self.framework.check(settings)
        self.framework.load(settings)
        main = f"{ground.framework}.py"
        text, self.mutations = source.instrumented(ground.files[main])
        there = ModuleType(source.MODULE)
        vars(there)["hooks"] = hooks
        sys.modules[source.MODULE] = there
        code = self.jobs.Code(CODE, {**ground.files, main: text}, {})
        self.module = modules.Modules({CODE: code}, ground.framework).take(CODE)
        self.current: Any = None
        self.recording = _recording(self.task.Task)
        hooks.read, hooks.make = self.read, self.make

    def train(
        self,
        job: Job,
        *,
        faults: Mapping[Key, Fault] | None = None,
        wrong: Mapping[int, Fault] | None = None,
        forcing: Forcing | None = None,
        noting: bool = False,
        twists: Mapping[Key, Sequence[Twist]] | None = None,
    ) -> Run:
        """Return the run of a job, with what the hooks are told to do.

        Raises:
            Exception: whatever wrong code leads to.
        """
        lines: list[dict[str, Any]] = []
        task = self.recording(self._cell(job), self.framework, lines.append)
        self.current = task
        self.hooks.begin(faults=faults, wrong=wrong, forcing=forcing, noting=noting, twists=twists)
        with self.framework.at(task):
            self.module.train(task)
        task.ended()
        changed = frozenset(self.hooks.changed)
        self.hooks.armed = False
        return Run(rows=self._rows(lines), lines=lines, changed=changed)

    def read(self, value: Any) -> Shown | None:
        """Return a tensor's elements; None: it is none that is looked at."""
        if not hasattr(value, "dtype") or not hasattr(value, "shape"):
            return None
        try:
            found = self.framework.value(value)
        except Exception:  # noqa: BLE001 - what is traced or compiled has no elements, and each says so in its own way
            return None
        if found.dtype not in FLOATS or not 0 < found.size <= MOST:
            return None
        return Shown(dtype=found.dtype, shape=found.shape, numbers=self.values.numbers(found.dtype, found.data))

    def make(self, shown: Shown) -> Any:
        """Return a tensor of the framework with these elements."""
        return self.current.made(self.jobs.Input(shown.dtype, shown.shape, bits.packed(shown.numbers, shown.dtype)))

    def _cell(self, job: Job) -> Any:
        ground = self.ground
        return self.jobs.Cell(
            id="run",
            device="cpu",
            workload=CODE,
            steps=job.steps,
            batch=ground.batch,
            dtype=job.dtype,
            options=job.options,
            numbers={name: float(text) for name, text in job.numbers.items()},
            inputs={entry["name"]: self._input(entry, job) for entry in ground.inputs},
            metrics=tuple(ground.metrics),
            outputs=tuple(ground.outputs),
            trace=True,
            fetch=Everything(),
        )

    def _input(self, entry: Mapping[str, Any], job: Job) -> Any:
        given = job.inputs[entry["name"]]
        shape, inner = [], given
        while isinstance(inner, list):
            shape.append(len(inner))
            inner = inner[0]
        if entry["dtype"]:
            data = b"".join(int(text).to_bytes(self.jobs.WIDTHS[entry["dtype"]], "little") for text in flat(given))
            return self.jobs.Input(entry["dtype"], tuple(shape), data)
        values = [bits.rounded(float(text), job.dtype) for text in flat(given)]
        return self.jobs.Input(job.dtype, tuple(shape), bits.packed(values, job.dtype))

    def _rows(self, lines: list[dict[str, Any]]) -> Rows:
        rows: Rows = {}
        for line in lines:
            for name, _, dtype, shape, _, data in line["values"]:
                if dtype in FLOATS:
                    numbers = self.values.numbers(dtype, base64.b64decode(data))
                    rows.setdefault(line["step"], {})[name] = Shown(dtype=dtype, shape=tuple(shape), numbers=numbers)
        return rows


def _recording(task: Any) -> Any:
    """Return the task that a workload gets, which tells the hooks when a step is recorded."""

    class Recording(task):  # type: ignore[misc]
        def record(self, *arguments: Any, **named: Any) -> None:
            super().record(*arguments, **named)
            hooks.next_step()

    return Recording


def with_input(job: Job, name: str, values: list[float]) -> Job:
    """Return a job with other numbers in an input, exact."""
    shape, inner = [], job.inputs[name]
    while isinstance(inner, list):
        shape.append(len(inner))
        inner = inner[0]
    return replace(job, inputs={**job.inputs, name: shaped([repr(value) for value in values], tuple(shape))})
