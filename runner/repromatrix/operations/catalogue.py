"""The operations of a training step: what each takes, and where each stands in a step."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

# What one call of an operation takes: input name -> numbers in a list, or weights in rows (`W[out][in]`), as floats
# that the dtype holds exactly.
Tensor: TypeAlias = list[float] | list[list[float]]
Sample: TypeAlias = Mapping[str, Tensor]

# The inputs of each primitive, in order; capitals are weights.
PRIMITIVES: dict[str, tuple[str, ...]] = {
    "product": ("W", "v"),
    "bias": ("p", "b"),
    "sigmoid": ("z",),
    "loss": ("o", "t"),
    "error": ("o", "t"),
    "sigmoid_gradient": ("z", "a", "e"),
    "outer": ("d", "v"),
    "back": ("W", "d"),
    "update": ("W", "g"),
}
# Beside its inputs, what an environment's own `sigmoid` gives at z: a derivative may take it in place of the given a.
OWN_SIGMOID = "s"


@dataclass(frozen=True, slots=True)
class Place:
    """Where in a step a primitive is computed.

    Attributes:
        inputs: input name -> where it is found: `x`, `t`, `b1`, `b2` are the workload's constants, `W1` and `W2` the
            weights before the step, `W2*` those that the hidden gradient sees; any other word is a place: the tensor
            that was given for it, else the step's own.
    """

    primitive: str
    inputs: Mapping[str, str]


# In the order in which a step computes them; those that a trace has have its names.
PLACES: dict[str, Place] = {
    "hidden_product": Place("product", {"W": "W1", "v": "x"}),
    "hidden_pre": Place("bias", {"p": "hidden_product", "b": "b1"}),
    "hidden": Place("sigmoid", {"z": "hidden_pre"}),
    "output_product": Place("product", {"W": "W2", "v": "hidden"}),
    "output_pre": Place("bias", {"p": "output_product", "b": "b2"}),
    "output": Place("sigmoid", {"z": "output_pre"}),
    "loss": Place("loss", {"o": "output", "t": "t"}),
    "output_error": Place("error", {"o": "output", "t": "t"}),
    "output_delta": Place("sigmoid_gradient", {"z": "output_pre", "a": "output", "e": "output_error"}),
    "grad_output_weights": Place("outer", {"d": "output_delta", "v": "hidden"}),
    "hidden_error": Place("back", {"W": "W2*", "d": "output_delta"}),
    "hidden_delta": Place("sigmoid_gradient", {"z": "hidden_pre", "a": "hidden", "e": "hidden_error"}),
    "grad_hidden_weights": Place("outer", {"d": "hidden_delta", "v": "x"}),
    "output_weights": Place("update", {"W": "W2", "g": "grad_output_weights"}),
    "hidden_weights": Place("update", {"W": "W1", "g": "grad_hidden_weights"}),
}
# Those places that a trace of the network has, in the order in which a step computes them; weights after its update.
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
# The tensors of a trace that a `step` sample holds where there are; of the others it holds none.
GIVEN = ("hidden_pre", "hidden", "output_pre", "output", "grad_output_weights", "grad_hidden_weights")
NEW_OUTPUT_WEIGHTS = "new_output_weights"
