"""The injector for frameworks that differentiate by themselves: the real entrypoint, patched from outside.

There is no loop to write once more, so fewer kinds of faults can be put in: other weights or another rate in its task,
its loss times a number, its weights changed between two steps, and every option.
"""

import contextlib
import importlib
import math
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

from bench.faults import bits
from bench.faults.draw import ALWAYS, WEIGHTS, Fault, Job
from bench.faults.hooks import Run
from bench.faults.host import flat, shaped, transposed

Places = dict[Fault, set[tuple[str, int]]]
IMAGES = Path(__file__).resolve().parents[2] / "images"
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


class Entrypoint:
    """One framework's entrypoint, loaded once."""

    def __init__(self, framework: str) -> None:
        """Import it; its folder and what the entrypoints share come onto the path."""
        sys.path[:0] = [str(IMAGES / framework), str(IMAGES)]
        self.module = importlib.import_module("entrypoint")
        self.cell, job = importlib.import_module("cell"), importlib.import_module("job")
        self.parse = job.parse_task
        # It holds folders named as frameworks, which Python would take for packages.
        sys.path[:] = [path for path in sys.path if Path(path).resolve() != IMAGES]
        kinds = vars(self.module).values()
        (kind,) = {e for e in kinds if isinstance(e, type) and issubclass(e, self.cell.Framework)} - {
            self.cell.Framework
        }
        self.framework = kind()
        settings = job.Settings(1, None, {})
        self.framework.check(settings)
        self.framework.load(settings)

    def train(self, job: Job, faults: tuple[Fault, ...]) -> Run:
        """Return the run of the patched entrypoint, and where each fault shows.

        Raises:
            UndecidedError: that cannot be told.
        """
        run, changed = self._run(job, faults)
        compared = any(each.site == "objective" or each.site.startswith("start_") for each in faults)
        clean = self._run(job, ())[0] if compared else None
        run.shown = [changed[fault] if fault.site in WEIGHTS else _shown(fault, job, run, clean) for fault in faults]
        return run

    def _run(self, job: Job, faults: tuple[Fault, ...]) -> tuple[Run, Places]:
        work = dict(job.workload)
        for fault in faults:
            if fault.site.startswith("start_"):
                name = fault.site.removeprefix("start_")
                work[name] = transposed(work[name])
            elif fault.site == "update":
                work["learning_rate"] = repr(float(work["learning_rate"]) * fault.amount)
        variant = {"name": "", "dtype": job.dtype, "options": job.options}
        entry = {"id": "run", "device": "cpu", "trace": True, "workload": work, "variant": variant}
        task = self.cell.complete(self.parse("run", entry), self.framework)
        places: Places = {fault: set() for fault in faults}
        with self._patched(job, places):
            told = self.framework.train(task)
        return _read(told), places

    @contextlib.contextmanager
    def _patched(self, job: Job, places: Places) -> Iterator[None]:
        with contextlib.ExitStack() as stack:
            for fault in places:
                if fault.site == "objective":
                    stack.enter_context(self._scaling(job, fault.amount))
            chosen = {fault: found for fault, found in places.items() if fault.site in WEIGHTS}
            if chosen:
                trace = _tampering(self.module.Trace, job, chosen)
                stack.enter_context(mock.patch.object(self.module, "Trace", trace))
            yield

    def _scaling(self, job: Job, amount: float) -> contextlib.AbstractContextManager[Any]:
        """The loss times a number, wherever the entrypoint takes it from."""
        if hasattr(self.module, "OBJECTIVES"):
            form = job.options["loss_form"]
            scaled = {form: _scaled(self.module.OBJECTIVES[form], amount)}
            return mock.patch.dict(self.module.OBJECTIVES, scaled)
        nets = getattr(self.module, "nets", self.module)
        holder, name = (nets, "loss_of") if hasattr(nets, "loss_of") else (nets.Net, "loss")
        return mock.patch.object(holder, name, _scaled(getattr(holder, name), amount))


def _scaled(original: Any, amount: float) -> Any:
    return lambda *arguments: amount * original(*arguments)


def _tampering(base: Any, job: Job, places: Places) -> Any:
    """A trace that changes the weights when it is told of a step."""

    class Tampering(base):  # type: ignore[misc]
        def step(self, *tensors: Any) -> None:
            at = len(self.steps) + 1
            for fault, found in places.items():
                if fault.first <= at <= fault.last:
                    tensor = tensors[-2 if fault.site == "output_weights" else -1]
                    before = _host(tensor)
                    after = [
                        bits.rounded(value, job.dtype)
                        for value in bits.each(flat(before), _change(fault, job.dtype), fault.element)
                    ]
                    _set(tensor, shaped(after, before))
                    if bits.text(flat(before)) != bits.text(flat(_host(tensor))):
                        found.add((fault.site, at))
            super().step(*tensors)

    return Tampering


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


def _read(told: dict[str, Any]) -> Run:
    trace = told["trace"]
    count = len(told["losses"])
    return Run(
        steps=[{name: [float.fromhex(v) for v in steps[at]] for name, steps in trace.items()} for at in range(count)],
        losses=[float.fromhex(value) for value in told["losses"]],
        predictions=[[float.fromhex(value) for value in row] for row in told["predictions"]],
        hidden=[[float.fromhex(value) for value in row] for row in told["weights"]["hidden"]],
        output=[[float.fromhex(value) for value in row] for row in told["weights"]["output"]],
    )
