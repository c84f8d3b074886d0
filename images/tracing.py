"""What a traced cell computed on the way: the same tensors of every step in every framework, exact."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any, Dict, List, Mapping, Tuple

from job import Task, hexadecimal, transposed

# In the order in which a step computes them; weights are those after its update.
TENSORS = (
    "hidden_pre",
    "hidden",
    "output_pre",
    "output",
    "loss",
    "grad_output_weights",
    "grad_hidden_weights",
    "output_weights",
    "hidden_weights",
)


class Trace:
    """Keeps the tensors of each step of a traced cell, and nothing of any other cell.

    `untraced` names those that cannot be had without changing the computation, with the reasons.
    """

    def __init__(self, task: Task, untraced: Mapping[str, str] = MappingProxyType({})) -> None:
        self.on, self.untraced = task.trace, dict(untraced)
        self.turned = task.options["layout"] != "out_in"
        self.steps: List[Dict[str, List[str]]] = []

    def step(self, *tensors: Any) -> None:
        """Keep one step: a tensor for every name of TENSORS, in order."""
        if self.on:
            if len(tensors) != len(TENSORS):
                raise RuntimeError(f"{len(tensors)} tensors of a step, {len(TENSORS)} are traced")
            self.steps.append(
                {name: self.flat(name, value) for name, value in zip(TENSORS, tensors) if name not in self.untraced}
            )

    def only(self, *tensors: Any) -> Tuple[Any, ...]:
        """The first tensors of a step, None in place of those that a compiled step must not give out."""
        return tuple(None if name in self.untraced else each for name, each in zip(TENSORS, tensors))

    def flat(self, name: str, value: Any) -> List[str]:
        """The values of a tensor, row by row, weights as `W[out][in]`."""
        rows = listed(value)
        return hexadecimal(leaves(transposed(rows) if self.turned and name.endswith("weights") else rows))

    def told(self) -> Dict[str, Any]:
        """The trace's part of the cell's line; empty unless the cell is traced."""
        if not self.on:
            return {}
        names = [name for name in TENSORS if name not in self.untraced]
        return {"trace": {name: [step[name] for step in self.steps] for name in names}, "untraced": self.untraced}


def listed(value: Any) -> Any:
    """Numbers in lists, from whatever array or tensor a framework has."""
    if hasattr(value, "tolist"):
        return value.tolist()
    return value.numpy().tolist() if hasattr(value, "numpy") else value


def leaves(value: Any) -> List[float]:
    """The numbers of nested lists, in order."""
    return [leaf for each in value for leaf in leaves(each)] if isinstance(value, list) else [value]
