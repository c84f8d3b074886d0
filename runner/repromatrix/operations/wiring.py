"""From traces to operations: the sample of a whole step, and what each primitive of the step took."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from repromatrix.operations import soft, text
from repromatrix.operations.catalogue import GIVEN, NEW_OUTPUT_WEIGHTS, OWN_SIGMOID, PLACES, Sample, Tensor
from repromatrix.results.trace import Trace


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """The network whose step is taken apart: decimal text, weights as rows per unit.

    Attributes:
        hidden_bias: the same for every unit; `output_bias` likewise.
        learning_rate: of plain gradient descent.
    """

    input: tuple[str, ...]
    target: tuple[str, ...]
    hidden_weights: tuple[tuple[str, ...], ...]
    output_weights: tuple[tuple[str, ...], ...]
    hidden_bias: str
    output_bias: str
    learning_rate: str

    @classmethod
    def of(cls, inputs: Mapping[str, Any], numbers: Mapping[str, str]) -> "Network | None":
        """Return the network that a workload is, from its inputs and numbers; None: it is another job."""
        given = {**inputs, **numbers}
        names = [each.name for each in fields(cls)]
        if any(given.get(name) is None for name in names):
            return None
        return cls(**{name: given[name] for name in names})


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """What a cell computes with.

    Attributes:
        options: the effective ones; `update` says which weights the hidden gradient sees.
    """

    workload: Network
    options: Mapping[str, str]
    dtype: str


def step_sample(trace: Trace, step: int, workload: Network) -> dict[str, Tensor]:
    """Return the sample with which `step` computes a traced step again; steps count from 1.

    Raises:
        KeyError: the trace lacks the weights.
        IndexError: it has no such step.
    """
    if not 1 <= step <= len(trace.trajectory.losses):
        raise IndexError(f"the trace has no step {step}")
    dtype, tensors = trace.cell.dtype, dict(trace.tensors)
    found: dict[str, Tensor] = {}
    for name, initial in (("hidden_weights", workload.hidden_weights), ("output_weights", workload.output_weights)):
        shape = (len(initial), len(initial[0]))
        found[name] = (
            [_values(row, dtype) for row in initial] if step == 1 else text.rows(tensors[name][step - 2], shape)
        )
    given = [(name, name) for name in GIVEN if name in tensors] + [(NEW_OUTPUT_WEIGHTS, "output_weights")]
    for name, source in given:
        found[name] = _shaped(tensors[source][step - 1], trace.shape(source))
    return found


def inputs_at(
    place: str, sample: Sample, outputs: Mapping[str, Sequence[str]], setup: Setup
) -> dict[str, Tensor] | None:
    """Return what the primitive at a place took when an environment ran `step` on a sample.

    Args:
        place: of `PLACES`.
        sample: that of `step`.
        outputs: what `step` gave for it, place -> flat hexadecimal text.
        setup: of the cell whose constants the step took.

    Returns:
        The inputs; for `sigmoid_gradient` also `OWN_SIGMOID`; None where one of them is not known.
    """
    known = _known(sample, outputs, setup)
    wanted = dict(PLACES[place].inputs)
    found = {name: known.get(source) for name, source in wanted.items()}
    if PLACES[place].primitive == "sigmoid_gradient":
        own = outputs.get(wanted["a"])
        found[OWN_SIGMOID] = None if own is None else text.flat(own)
    complete = {name: tensor for name, tensor in found.items() if tensor is not None}
    return complete if len(complete) == len(found) else None


def _known(sample: Sample, outputs: Mapping[str, Sequence[str]], setup: Setup) -> dict[str, Tensor]:
    """Return everything that a place may take, by the words of `Place.inputs`."""
    workload, dtype = setup.workload, setup.dtype
    found: dict[str, Tensor] = {}
    for name, flat in outputs.items():
        shape = _shape(name, workload)
        found[name] = text.rows(flat, shape) if shape else text.flat(flat)
    found.update({name: tensor for name, tensor in sample.items() if name in GIVEN})
    found["x"], found["t"] = _values(workload.input, dtype), _values(workload.target, dtype)
    found["b1"] = _values([workload.hidden_bias] * len(workload.hidden_weights), dtype)
    found["b2"] = _values([workload.output_bias] * len(workload.output_weights), dtype)
    found["W1"], found["W2"] = sample["hidden_weights"], sample["output_weights"]
    if setup.options.get("update") != "sequential":
        found["W2*"] = found["W2"]
    elif (new := sample.get(NEW_OUTPUT_WEIGHTS, found.get("output_weights"))) is not None:
        found["W2*"] = new
    return found


def _shape(place: str, workload: Network) -> tuple[int, int] | None:
    rows = {"hidden": workload.hidden_weights, "output": workload.output_weights}
    layer = next((layer for layer in rows if layer in place), "")
    return (len(rows[layer]), len(rows[layer][0])) if place.endswith("weights") else None


def _values(texts: Sequence[str], dtype: str) -> list[float]:
    """Return decimal texts as every entrypoint reads them: by float() first, then in the dtype."""
    return [float(each) for each in soft.round_to([float(each) for each in texts], dtype)]


def _shaped(texts: Sequence[str], shape: tuple[int, ...]) -> Tensor:
    return text.rows(texts, shape) if len(shape) > 1 else text.flat(texts)
