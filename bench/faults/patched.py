"""The injector for frameworks that differentiate by themselves: the workload's own module, patched from outside.

There is no loop to write once more, so fewer kinds of faults can be put in: other weights or another rate in its job,
its loss times a number, its weights changed between two steps, and every option.
"""

import contextlib
import importlib
import math
import sys
from collections.abc import Iterable, Iterator, Mapping
from itertools import count
from pathlib import Path
from typing import Any
from unittest import mock

from bench.faults import bits
from bench.faults.draw import ALWAYS, WEIGHTS, Fault, Job
from bench.faults.hooks import Run
from bench.faults.host import flat, numbers, shaped, transposed

Places = dict[Fault, set[tuple[str, int]]]
ROOT = Path(__file__).resolve().parents[2]
IMAGES, WORKLOAD = ROOT / "images", ROOT / "workloads" / "mazur"
CODE = "mazur"
INPUTS = ("input", "target", *WEIGHTS)
NUMBERS = ("hidden_bias", "output_bias", "learning_rate")
# Options that no job here draws.
OPTIONS = {"activation": "native", "api": "core", "optimizer": "plain", "final_forward": "model", "loop": "rolled"}
FAR = 0.04  # relative change that no rounding hides, even in bfloat16
LARGE = 1e-3  # a value that is still far from the smallest of any dtype
SURE = 2.0  # ULP by which two values surely differ after rounding
PRECISION = {"float64": 53, "float32": 24, "float16": 11, "bfloat16": 8}


class UndecidedError(Exception):
    """The injector cannot tell by its own means where a fault shows."""


def allowed(fault: Fault) -> bool:
    """Whether a fault can be put in, and it can be told from outside where it shows."""
    always = (fault.first, fault.last) == (1, ALWAYS)
    if fault.site.startswith("start_"):
        return fault.how == "transposed"
    if fault.site in ("objective", "update"):
        return fault.how in ("scale", "rate") and always and abs(fault.amount - 1) > FAR and fault.amount > 0
    return fault.how == "flip" or fault.how.startswith("round_")


class Harness:
    """A framework's entrypoint and the workload's module for it, loaded once."""

    def __init__(self, framework: str) -> None:
        """Import them; the entrypoint's folder and what all of them share come onto the path."""
        sys.path[:0] = [str(IMAGES / framework), str(IMAGES)]
        entrypoint = importlib.import_module("entrypoint")
        cell, self.job, modules, self.task = map(importlib.import_module, ("cell", "job", "modules", "task"))
        # It holds folders named as frameworks, which Python would take for packages.
        sys.path[:] = [path for path in sys.path if Path(path).resolve() != IMAGES]
        kinds = vars(entrypoint).values()
        (kind,) = {e for e in kinds if isinstance(e, type) and issubclass(e, cell.Framework)} - {cell.Framework}
        self.framework = kind()
        settings = self.job.Settings(1, None, {})
        self.framework.check(settings)
        self.framework.load(settings)
        files = {path.name: path.read_text(encoding="utf-8") for path in WORKLOAD.glob("*.py")}
        self.module = modules.Modules({CODE: self.job.Code(CODE, files, {})}, framework).take(CODE)

    def train(self, job: Job, faults: tuple[Fault, ...]) -> Run:
        """Return the run of the patched module, and where each fault shows.

        Raises:
            UndecidedError: that cannot be told.
        """
        run, changed = self._run(job, faults)
        compared = any(each.site == "objective" or each.site.startswith("start_") for each in faults)
        clean = self._run(job, ())[0] if compared else None
        run.shown = [changed[fault] if fault.site in WEIGHTS else _shown(fault, job, run, clean) for fault in faults]
        return run

    def _run(self, job: Job, faults: tuple[Fault, ...]) -> tuple[Run, Places]:
        work = {name: numbers(job.workload[name]) for name in (*INPUTS, *NUMBERS)}
        for fault in faults:
            if fault.site.startswith("start_"):
                name = fault.site.removeprefix("start_")
                work[name] = transposed(work[name])
            elif fault.site == "update":
                work["learning_rate"] *= fault.amount
        lines: list[dict[str, Any]] = []
        task = self.task.Task(self._cell(job, work), self.framework, lines.append)
        places: Places = {fault: set() for fault in faults}
        with self.framework.at(task), self._patched(job, places):
            self.module.train(task)
        return _read(lines, job.steps), places

    def _cell(self, job: Job, work: Mapping[str, Any]) -> Any:
        return self.job.Cell(
            id="run",
            device="cpu",
            workload=CODE,
            steps=job.steps,
            batch=0,
            dtype=job.dtype,
            options={**OPTIONS, **job.options},
            numbers={name: work[name] for name in NUMBERS},
            inputs={name: self._input(work[name], job.dtype) for name in INPUTS},
            metrics=("loss",),
            outputs=("output",),
            trace=True,
            fetch=frozenset(),
        )

    def _input(self, values: list[Any], dtype: str) -> Any:
        shape = (len(values), len(values[0])) if isinstance(values[0], list) else (len(values),)
        size = bits.width(dtype) // 8
        return self.job.Input(
            dtype, shape, b"".join(bits.pattern(v, dtype).to_bytes(size, "little") for v in flat(values))
        )

    @contextlib.contextmanager
    def _patched(self, job: Job, places: Places) -> Iterator[None]:
        with contextlib.ExitStack() as stack:
            for fault in places:
                if fault.site == "objective":
                    stack.enter_context(self._scaling(job, fault.amount))
            chosen = {fault: found for fault, found in places.items() if fault.site in WEIGHTS}
            if chosen:
                stack.enter_context(self._tampering(_Tampering(job.dtype, chosen)))
            yield

    def _scaling(self, job: Job, amount: float) -> contextlib.AbstractContextManager[Any]:
        """The loss times a number, wherever the module has it."""
        if hasattr(self.module, "LOSSES"):
            form = job.options["loss_form"]
            return mock.patch.dict(self.module.LOSSES, {form: _scaled(self.module.LOSSES[form], amount)})
        return mock.patch.object(self.module.Net, "loss", _scaled(self.module.Net.loss, amount))

    def _tampering(self, tampering: "_Tampering") -> contextlib.AbstractContextManager[Any]:
        """The weights changed when a step is recorded, before they are read."""
        if hasattr(self.module, "rows"):
            rows = self.module.rows

            def changed(kernels: Mapping[str, Any]) -> Any:
                if set(kernels) == set(WEIGHTS):
                    tampering.step(kernels)
                return rows(kernels)

            return mock.patch.object(self.module, "rows", changed)
        record = self.module.Net.record

        def changed_record(net: Any, task: Any, values: Any, *weights: Any) -> None:
            tampering.step(dict(zip(WEIGHTS, weights or (net.W2, net.W1), strict=True)))
            record(net, task, values, *weights)

        return mock.patch.object(self.module.Net, "record", changed_record)


def _scaled(original: Any, amount: float) -> Any:
    return lambda *arguments: amount * original(*arguments)


class _Tampering:
    """Changes the weights of the steps that it is told of, and notes at which that shows."""

    def __init__(self, dtype: str, places: Places) -> None:
        self.dtype, self.places, self.steps = dtype, places, count(1)

    def step(self, weights: Mapping[str, Any]) -> None:
        """Change the weights, which are variables or can be written to."""
        at = next(self.steps)
        for fault, found in self.places.items():
            if fault.first <= at <= fault.last:
                tensor = weights[fault.site]
                before = _host(tensor)
                changed = bits.each(flat(before), _change(fault, self.dtype), fault.element)
                _set(tensor, shaped([bits.rounded(value, self.dtype) for value in changed], before))
                if bits.text(flat(before)) != bits.text(flat(_host(tensor))):
                    found.add((fault.site, at))


def _change(fault: Fault, dtype: str) -> Any:
    if fault.how == "flip":
        return lambda value: bits.flipped(value, int(fault.amount), dtype)
    return lambda value: bits.rounded(value, fault.how.removeprefix("round_"))


def _host(tensor: Any) -> Any:
    return tensor.tolist() if hasattr(tensor, "tolist") else _array(tensor).tolist()


def _array(tensor: Any) -> Any:
    if type(tensor).__module__.startswith("keras"):
        tensor = tensor.value
        return tensor.detach() if hasattr(tensor, "detach") else getattr(tensor, "numpy", lambda: tensor)()
    return tensor.numpy()


def _set(tensor: Any, values: Any) -> None:
    if hasattr(tensor, "assign"):
        tensor.assign(values)
    else:
        import torch  # noqa: PLC0415

        with torch.no_grad():
            tensor.copy_(torch.tensor(values, dtype=tensor.dtype))


def _shown(fault: Fault, job: Job, run: Run, clean: Run | None) -> set[tuple[str, int]]:
    """The places at which a fault of the task or of the loss shows."""
    if fault.kind == "null":
        return set()
    if fault.site.startswith("start_") and clean is not None:
        weights = fault.site.removeprefix("start_")
        for name in (weights, weights.replace("_weights", "_pre")):
            if bits.text(run.steps[0][name]) == bits.text(clean.steps[0][name]):
                raise UndecidedError
        return {(fault.site, 1)}
    if fault.site == "objective" and clean is not None and bits.text(run.losses) == bits.text(clean.losses):
        raise UndecidedError  # the patch has not reached the loss
    return _scaled_places(run) if fault.site == "objective" else _rate_places(fault, job, run)


def _scaled_places(run: Run) -> set[tuple[str, int]]:
    """The loss and all that is made of it, if no value is so small or large that a scale may not show."""
    names = ("loss", "grad_output_weights", "grad_hidden_weights")
    for step in run.steps:
        if not all(LARGE < max(map(abs, step[name])) < 1 / LARGE for name in names):
            raise UndecidedError
    return {(name, at) for name in names for at in range(1, len(run.steps) + 1)}


def _rate_places(fault: Fault, job: Job, run: Run) -> set[tuple[str, int]]:
    """Both weights, if each moves by more than rounding."""
    rate = float(job.workload["learning_rate"]) * (fault.amount - 1)
    found = set()
    for at, step in enumerate(run.steps, start=1):
        for weights, gradient in (("output_weights", "grad_output_weights"), ("hidden_weights", "grad_hidden_weights")):
            moved = [_ulps(rate * g, w, job.dtype) for g, w in zip(step[gradient], step[weights], strict=True)]
            if not max(moved) > SURE:
                raise UndecidedError
            found.add((weights, at))
    return found


def _ulps(change: float, value: float, dtype: str) -> float:
    if not (math.isfinite(change) and math.isfinite(value)) or abs(value) < LARGE:
        raise UndecidedError
    return abs(change) / 2.0 ** (math.frexp(value)[1] - PRECISION[dtype])


def _read(lines: Iterable[Mapping[str, Any]], last: int) -> Run:
    steps: list[dict[str, list[float]]] = [{} for _ in range(last + 1)]
    dtypes = {}
    for line in lines:
        for name, _, dtype, _, texts, *_ in line["values"]:
            steps[line["step"] - 1][name] = list(map(float.fromhex, texts))
            dtypes[name] = dtype
    return Run(steps=steps[:last], prediction=steps[last]["output"], dtypes=dtypes)
