"""Operations of a step on given inputs: each primitive alone, or all of a step from the tensors of a trace.

Standard library only, as cell.py. What a primitive is in a framework lives beside its entrypoint: the very functions
that its training step calls, or the framework's own derivatives of them, so nothing is computed in another way here.
The contract is in docs/architecture.md.
"""

from __future__ import annotations

from typing import Any, Dict, List

from job import Task, hexadecimal, transposed
from samples import BEFORE, PRIMITIVES, STEP, Operation, Sample
from tracing import leaves, listed

MATRICES = ("outer", "update")  # the primitives that give weights
# What `step` gives, in the order in which it is computed.
PLACES = (
    "hidden_product",
    "hidden_pre",
    "hidden",
    "output_product",
    "output_pre",
    "output",
    "loss",
    "output_error",
    "output_delta",
    "grad_output_weights",
    "hidden_error",
    "hidden_delta",
    "grad_hidden_weights",
    "output_weights",
    "hidden_weights",
)


class Primitives:
    """The primitives of one variant, on the framework's own tensors in the shapes that a step has.

    `x`, `t`, `b1`, `b2` are the constants of the step: input, target and the biases of both layers. `derivative_takes`
    tells from what the activation's derivative is computed: from its output `a`, or at its input `z`. A primitive that
    the variant cannot do alone raises Unavailable. None changes what it is given.
    """

    x: Any
    t: Any
    b1: Any
    b2: Any
    derivative_takes = "a"

    def __init__(self, task: Task) -> None:
        self.task, self.turned = task, task.options["layout"] != "out_in"

    def vector(self, values: List[float]) -> Any:
        """The tensor of a layer's values."""
        raise NotImplementedError

    def matrix(self, rows: List[List[float]]) -> Any:
        """The tensor of a layer's weights, given as they are stored."""
        raise NotImplementedError

    def product(self, W: Any, v: Any) -> Any:
        """W v."""
        raise NotImplementedError

    def bias(self, p: Any, b: Any) -> Any:
        """p + b."""
        raise NotImplementedError

    def sigmoid(self, z: Any) -> Any:
        """The activation."""
        raise NotImplementedError

    def loss(self, o: Any, t: Any) -> Any:
        """The loss: one number."""
        raise NotImplementedError

    def error(self, o: Any, t: Any) -> Any:
        """The loss's gradient at o."""
        raise NotImplementedError

    def sigmoid_gradient(self, z: Any, a: Any, e: Any) -> Any:
        """What goes back through the activation: from `a` by hand or where the framework's own kernel takes that.

        Else it is the framework's own derivative at `z`, for which it computes what it needs again.
        """
        raise NotImplementedError

    def outer(self, d: Any, v: Any) -> Any:
        """The gradient of the weights."""
        raise NotImplementedError

    def back(self, W: Any, d: Any) -> Any:
        """What goes back through the product."""
        raise NotImplementedError

    def update(self, W: Any, g: Any) -> Any:
        """The weights after the update."""
        raise NotImplementedError

    def tensor(self, values: Any) -> Any:
        """The tensor of a sample's entry."""
        if isinstance(values[0], list):
            return self.matrix(transposed(values) if self.turned else values)
        return self.vector(values)

    def flat(self, value: Any, *, weights: bool) -> List[str]:
        """The exact numbers of a tensor, row by row, weights as `W[out][in]`."""
        rows = listed(value)
        found = leaves(transposed(rows) if weights and self.turned else rows)
        return hexadecimal(found if isinstance(rows, list) else [rows])


def takes(operation: Operation, primitives: Primitives) -> List[str]:
    """The inputs of a primitive that its output depends on: of `z` and `a` only one."""
    ignored = {"a": "z", "z": "a"}[primitives.derivative_takes]
    inputs = PRIMITIVES[operation.name]
    return [name for name in inputs if operation.name != "sigmoid_gradient" or name != ignored]


def run(operation: Operation, primitives: Primitives) -> List[Any]:
    """The output of each sample, in order."""
    if operation.name == STEP:
        return [step(primitives, sample) for sample in operation.samples]
    function, inputs = getattr(primitives, operation.name), PRIMITIVES[operation.name]
    # All inputs first and all texts last: what lies between is the framework alone.
    prepared = [[primitives.tensor(sample[name]) for name in inputs] for sample in operation.samples]
    found = [function(*each) for each in prepared]
    return [primitives.flat(each, weights=operation.name in MATRICES) for each in found]


def step(own: Primitives, sample: Sample) -> Dict[str, List[str]]:
    """Every place of a step, computed from the given tensors where there are, else from the step's own."""

    def given(name: str, found: Any) -> Any:
        return own.tensor(sample[name]) if name in sample else found

    W1, W2 = (own.tensor(sample[name]) for name in BEFORE)
    p1 = own.product(W1, own.x)
    z1 = own.bias(p1, own.b1)
    seen_z1 = given("hidden_pre", z1)
    h = own.sigmoid(seen_z1)
    seen_h = given("hidden", h)
    p2 = own.product(W2, seen_h)
    z2 = own.bias(p2, own.b2)
    seen_z2 = given("output_pre", z2)
    o = own.sigmoid(seen_z2)
    seen_o = given("output", o)
    loss, e2 = own.loss(seen_o, own.t), own.error(seen_o, own.t)
    d2 = own.sigmoid_gradient(seen_z2, seen_o, e2)
    g2 = own.outer(d2, seen_h)
    new_W2 = own.update(W2, given("grad_output_weights", g2))
    sequential = own.task.options["update"] == "sequential"
    e1 = own.back(given("new_output_weights", new_W2) if sequential else W2, d2)
    d1 = own.sigmoid_gradient(seen_z1, seen_h, e1)
    g1 = own.outer(d1, own.x)
    new_W1 = own.update(W1, given("grad_hidden_weights", g1))
    values = (p1, z1, h, p2, z2, o, loss, e2, d2, g2, e1, d1, g1, new_W2, new_W1)
    return {place: own.flat(value, weights=place.endswith("weights")) for place, value in zip(PLACES, values)}
