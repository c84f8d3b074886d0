"""What a workload's module gets: its inputs as the framework's tensors, and a way to record what it computes.

This is the whole contract between a training job and the product; docs/workloads.md explains it to who writes one.
Standard library only, Python 3.9 or newer.
"""

from __future__ import annotations

import dataclasses
import re
from functools import partial
from typing import Any, Callable, Dict, Iterator, List, Mapping, Optional, Protocol, Tuple

from job import Cell, Input, Unavailable, describe
from modules import WorkloadError
from values import Value, of_number

Line = Dict[str, Any]
ADDRESS = re.compile(r"0x[0-9a-fA-F]{6,}")  # in a message: another one in each process
FOLDERS = re.compile(r"(?<![\w.])/(?:[\w.@+-]+/)+")  # so are the folders in which files of a run lie
REASON = 300  # characters of one


class Adapter(Protocol):
    """What a framework's entrypoint does for every workload."""

    def tensor(self, given: Input, device: str) -> Any: ...

    def value(self, tensor: Any) -> Value: ...

    def compile(self, function: Callable[..., Any], mode: str) -> Callable[..., Any]: ...


def constant(value: Any) -> Any:
    """What is equal for equal constants only. Raises WorkloadError for what is none."""
    if value is None or isinstance(value, (str, int, float)):
        return type(value), repr(value)  # of floats, too: 0.0 and -0.0 are equal, and a NaN is not
    if isinstance(value, (tuple, list)):
        return type(value), tuple(map(constant, value))
    if isinstance(value, dict):
        return type(value), tuple((constant(key), constant(each)) for key, each in value.items())
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return type(value), tuple(constant(getattr(value, each.name)) for each in dataclasses.fields(value))
    raise WorkloadError(f"task.compile() takes numbers and texts as constants: {type(value).__name__} is neither")


# What is compiled with constants: for all cells of the process.
_COMPILED: Dict[Tuple[Any, ...], Tuple[Callable[..., Any], "Task"]] = {}


class Task:
    """One training job: what is given, and what is recorded.

    Attributes:
        dtype: the cell's, in which its tensors are.
        device: `cpu` or `cuda:0`.
        steps: how many steps to record.
        traced: whether everything that a step computes is asked for, not only metrics and outputs.
        rows: the rows of workload.yaml, as they stand there.
        Unavailable: raise it, with the reason, for an option that the module does not have.
    """

    Unavailable = Unavailable

    def __init__(
        self,
        cell: Cell,
        adapter: Adapter,
        emit: Callable[[Line], None],
        *,
        rows: Optional[Mapping[str, Any]] = None,
        blame: Callable[[BaseException], str] = describe,
    ) -> None:
        self.cell, self._adapter, self._emit = cell, adapter, emit
        self.rows, self._blame = dict(rows or {}), blame
        self.dtype, self.device, self.steps, self.traced = cell.dtype, cell.device, cell.steps, cell.trace
        self._always = (*cell.metrics, *cell.outputs)
        self._untraced: Dict[str, str] = {}
        self._order: List[str] = []
        self._compiled_by = self  # the task whose call of `compile` made the step: it alone hears of its order
        self._kinds: Dict[str, Tuple[str, Tuple[int, ...]]] = {}
        self._recorded, self._finished = 0, False
        self._absent: Dict[str, str] = {}
        self._broken: Dict[str, str] = {}

    def option(self, name: str) -> str:
        """The value of a factor in this cell."""
        return self._known(self.cell.options, name, "factors")

    def number(self, name: str) -> float:
        """A number of workload.yaml, for instance a learning rate: the float64 nearest to its decimal text."""
        return self._known(self.cell.numbers, name, "numbers")

    def tensor(self, name: str) -> Any:
        """An input as a tensor of the framework, exact, in the cell's dtype (or its own), on the cell's device."""
        return self._adapter.tensor(self._known(self.cell.inputs, name, "inputs"), self.device)

    def made(self, given: Input) -> Any:
        """A tensor of the framework from bits."""
        return self._adapter.tensor(given, self.device)

    def value(self, tensor: Any) -> Value:
        """The exact bits of a tensor."""
        return self._adapter.value(tensor)

    def batches(self, *names: str) -> Iterator[Any]:
        """Yield, for each step, the next rows of the inputs: a tuple of tensors, or one tensor for one name.

        The rows come in their order, `batch` of workload.yaml at a time, and begin again after the last whole batch.
        """
        if not names or not self.cell.batch:
            raise WorkloadError("task.batches() needs names of inputs, and `batch` in workload.yaml")
        given = [self._known(self.cell.inputs, name, "inputs") for name in names]
        counts = {entry.shape[0] // self.cell.batch if entry.shape else 0 for entry in given}
        if len(counts) != 1 or 0 in counts:
            told = ", ".join(
                f"{name} has {entry.shape[0] if entry.shape else 1} rows" for name, entry in zip(names, given)
            )
            raise WorkloadError(f"no common number of batches of {self.cell.batch} rows: {told}")
        (count,) = counts
        made: List[Any] = []
        for step in range(self.steps):
            if step < count:
                made.append(
                    tuple(self._adapter.tensor(rows(entry, step, self.cell.batch), self.device) for entry in given)
                )
            batch = made[step % count]
            yield batch if len(names) > 1 else batch[0]

    def wants(self, name: str) -> bool:
        """Whether a value of a step is asked for: do not compute, or give out of a compiled step, what is not."""
        return name in self._always or (self.traced and name not in self._untraced)

    def untraced(self, names: Any, reason: str) -> None:
        """Say that values cannot be had without changing the computation, and why."""
        self._untraced.update(dict.fromkeys([names] if isinstance(names, str) else names, reason))

    def compile(self, function: Callable[..., Any], *constants: Any) -> Callable[..., Any]:
        """The function, compiled as the cell's factor `compile` says.

        Of a step, which returns `(state, values)` with a dict of values, only those values that are asked for come out
        of the compiled program: each output may change how it is fused.

        Args:
            function: what is compiled.
            constants: its first arguments, compiled in: numbers and texts, alone or in tuples, lists, dicts and
                dataclasses. A function that is given some stands on nothing else that a cell has: cells of one process
                that give equal ones, as those of an ensemble do, share what is compiled.
        """
        mode = self.cell.options.get("compile", "eager")
        if mode == "eager":
            return partial(function, *constants) if constants else function
        wanted = tuple(self._always) if not self.traced else None
        left_out = frozenset(self._untraced)
        key = (function, constant(constants), mode, wanted, left_out, self.dtype, self.device)
        if constants and key in _COMPILED:
            compiled, self._compiled_by = _COMPILED[key]
            return compiled

        def lean(*arguments: Any) -> Any:
            result = function(*constants, *arguments)
            if not is_step(result):
                return result
            kept = {n: v for n, v in result[1].items() if (wanted is None or n in wanted) and n not in left_out}
            # JAX and TensorFlow sort the names of a dict. Not kept in a list made before: PyTorch, which has seen that
            # list empty, would compile the step again.
            self._order = list(kept)
            return result[0], kept

        compiled, self._compiled_by = self._adapter.compile(lean, mode), self
        if constants:
            _COMPILED[key] = compiled, self
        return compiled

    def record(self, values: Mapping[str, Any], state: Optional[Mapping[str, Any]] = None) -> None:
        """Record one step: its values by name, in the order in which they were computed, and the state it leaves.

        Args:
            values: tensors or Python numbers; every metric and output of workload.yaml is among them.
            state: what the step leaves for the next one: parameters, the optimizer's state. Kept after the last step,
                and in a traced run after each.
        """
        self._recorded += 1
        step = self._recorded
        if step > self.steps:
            raise WorkloadError(f"step {step} is recorded, and workload.yaml says {self.steps} steps")
        lacking = [name for name in self.cell.metrics if name not in values]
        if lacking:
            raise WorkloadError(
                f"step {step} records no {lacking[0]!r}, which is among the metrics of workload.yaml: it has "
                f"{', '.join(map(repr, values)) or 'nothing'}"
            )
        told = [(name, value, self._role(name)) for name, value in self._ordered(values)]
        if state is not None and (self.traced or step == self.steps):
            told += [(name, value, "state") for name, value in state.items()]
        self._tell(step, told)

    def attempt(self, name: str, compute: Callable[[], Any]) -> bool:
        """Compute something of its own within the step under way, and record it as outputs, with their bits.

        What goes wrong costs nothing else: Unavailable makes it absent, any other exception broken, with the reason.

        Args:
            name: of what is computed, and of its value.
            compute: gives the value, or a dict of several by name.

        Returns:
            Whether it gave a result.
        """
        try:
            given = compute()
            values = given if isinstance(given, dict) else {name: given}
            told = [self._output(key, value) for key, value in values.items()]
        except Unavailable as error:
            self.absent(name, str(error))
            return False
        except Exception as error:
            self._broken[name] = reason(self._blame(error))
            return False
        if told:
            self._emit({"line": "values", "id": self.cell.id, "step": self._recorded + 1, "values": told})
        return True

    def absent(self, name: str, why: str) -> None:
        """Say that this framework, or this version of it, does not have something, and why; all else goes on."""
        self._absent[name] = reason(why)

    def finish(self, values: Mapping[str, Any]) -> None:
        """Record outputs that are computed after the last update; they are those of step `steps` + 1."""
        foreign = [name for name in values if name not in self.cell.outputs]
        if foreign or self._recorded != self.steps or self._finished:
            what = (
                f"{foreign[0]!r} is no output of workload.yaml" if foreign else f"{self._recorded} steps are recorded"
            )
            raise WorkloadError(f"task.finish() takes outputs, once, after the last step: {what}")
        self._finished = True
        self._tell(self.steps + 1, [(name, value, "output") for name, value in values.items()])

    def ended(self) -> Dict[str, str]:
        """What could not be traced, with the reasons. Raises WorkloadError if steps are missing."""
        if self._recorded != self.steps:
            raise WorkloadError(f"{self._recorded} steps are recorded where {self.steps} are due: task.record({{...}})")
        lacking = [name for name in self.cell.outputs if name not in self._kinds]
        if lacking:
            raise WorkloadError(
                f"no step records {lacking[0]!r}, which is among the outputs of workload.yaml: "
                f"record it, or give it to task.finish()"
            )
        return dict(self._untraced) if self.traced else {}

    def lost(self) -> Dict[str, Dict[str, str]]:
        """What is absent and what broke, each by name with its reason, where there is any."""
        lost = {"absent": self._absent, "broken": self._broken}
        return {key: dict(reasons) for key, reasons in lost.items() if reasons}

    def _known(self, entries: Mapping[str, Any], name: str, what: str) -> Any:
        if name not in entries:
            raise WorkloadError(f"no {name!r} among the {what} of workload.yaml: {', '.join(entries) or 'none'}")
        return entries[name]

    def _ordered(self, values: Mapping[str, Any]) -> List[Tuple[str, Any]]:
        order = self._compiled_by._order  # noqa: SLF001 - of this class
        names = order if set(order) == set(values) else list(values)
        return [(name, values[name]) for name in names if self.wants(name)]

    def _role(self, name: str) -> str:
        return "metric" if name in self.cell.metrics else "output" if name in self.cell.outputs else "trace"

    def _tell(self, step: int, entries: List[Tuple[str, Any, str]]) -> None:
        if entries:
            told = [self._entry(step, name, value, role) for name, value, role in entries]
            self._emit({"line": "values", "id": self.cell.id, "step": step, "values": told})

    def _output(self, name: str, tensor: Any) -> List[Any]:
        """A value of an attempt: its bits are sent along where it is told by their digest."""
        if name in self._kinds:
            raise WorkloadError(f"{name!r} is recorded a second time in this step")
        value = self._value(name, tensor)
        self._kinds[name] = (value.dtype, value.shape)
        told = value.told()
        entry = [name, "output", value.dtype, list(value.shape), told]
        return [*entry, value.base64()] if isinstance(told, str) else entry

    def _entry(self, step: int, name: str, tensor: Any, role: str) -> List[Any]:
        whole = role == "metric" and isinstance(tensor, int)  # counted, and judged as a number like the others
        value = self._value(name, float(tensor) if whole else tensor)
        if role == "metric" and not value.dtype.startswith(("float", "bfloat")):
            raise WorkloadError(f"step {step}: the metric {name!r} is {value.dtype}, expected a floating-point number")
        if role == "metric" and value.size != 1:
            raise WorkloadError(f"step {step}: the metric {name!r} has shape {list(value.shape)}, expected one number")
        shape = () if role == "metric" else value.shape
        kind = (value.dtype, shape)
        if self._kinds.setdefault(name, kind) != kind:
            now, before = (f"{dtype}{list(sizes)}" for dtype, sizes in (kind, self._kinds[name]))
            raise WorkloadError(f"step {step}: {name!r} is {now}, and was {before} before: give it one dtype and shape")
        entry = [name, role, value.dtype, list(shape), value.told()]
        return [*entry, value.base64()] if (step, name) in self.cell.fetch else entry

    def _value(self, name: str, tensor: Any) -> Value:
        if isinstance(tensor, (bool, int, float)) and not hasattr(tensor, "dtype"):  # np.float64 is a float too
            return of_number(tensor)
        if tensor is None or isinstance(tensor, (str, bytes, list, tuple, dict, set)):
            raise WorkloadError(f"{name!r} is a {type(tensor).__name__}, expected a tensor or a number")
        try:
            return self._adapter.value(tensor)
        except (AttributeError, TypeError) as error:
            raise WorkloadError(
                f"{name!r} is {type(tensor).__name__}, expected a tensor or a number ({error})"
            ) from error


def reason(text: str) -> str:
    """A reason on one line, the same in every process."""
    return ADDRESS.sub("0x...", FOLDERS.sub("", " ".join(text.split())))[:REASON]


def is_step(result: Any) -> bool:
    """Whether a compiled function gave `(state, values)`; in words that PyTorch compiles too."""
    return isinstance(result, tuple) and len(result) == 2 and isinstance(result[1], dict)  # noqa: PLR2004


def rows(given: Input, step: int, batch: int) -> Input:
    """The rows of one batch."""
    size = len(given.data) // given.shape[0] * batch
    return Input(given.dtype, (batch, *given.shape[1:]), given.data[step * size : (step + 1) * size])
