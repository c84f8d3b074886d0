"""What an entrypoint gives for an operation -> its outputs, each checked against the shapes that its inputs ask for."""

from collections.abc import Callable, Mapping
from typing import Any

from repromatrix.plan import Cell, Operation
from repromatrix.results.replay import PLACES, STEP
from repromatrix.results.trace import Steps
from repromatrix.results.value import exact

Sample = Mapping[str, Any]
# A primitive -> how many values it gives for a sample.
_WIDTHS: Mapping[str, Callable[[Sample], int]] = {
    "product": lambda each: len(each["W"]),
    "bias": lambda each: len(each["p"]),
    "sigmoid": lambda each: len(each["z"]),
    "loss": lambda _: 1,
    "error": lambda each: len(each["o"]),
    "sigmoid_gradient": lambda each: len(each["e"]),
    "outer": lambda each: len(each["d"]) * len(each["v"]),
    "back": lambda each: len(each["W"][0]),
    "update": lambda each: len(each["W"]) * len(each["W"][0]),
}


def outputs_of(entries: Any, asked: Operation) -> tuple[tuple[str, Steps], ...]:
    """Return the outputs that JSON data holds: name -> its values for each sample.

    Raises:
        ValueError: values that are not exact, or another number of them than are due.
        KeyError, TypeError: another shape.
    """
    if not isinstance(entries, list) or len(entries) != len(asked.samples):
        raise ValueError(f"not a list of {len(asked.samples)} outputs")
    dtype = asked.cell.variant.dtype
    if asked.name == STEP:
        sizes = _places(asked.cell)
        if any(sorted(entry) != sorted(sizes) for entry in entries):
            raise ValueError("a step does not tell all of its places")
        return tuple(
            (place, tuple(_values(entry[place], size, place, dtype) for entry in entries))
            for place, size in sizes.items()
        )
    width, pairs = _WIDTHS[asked.name], zip(entries, asked.samples, strict=True)
    return ((asked.name, tuple(_values(entry, width(sample), asked.name, dtype) for entry, sample in pairs)),)


def _values(entry: Any, count: int, name: str, dtype: str) -> tuple[str, ...]:
    found = exact(entry, dtype)
    if len(found) != count:
        raise ValueError(f"{name} has {len(found)} values where {count} are due")
    return found


def _places(cell: Cell) -> dict[str, int]:
    """Return the places of a step in the order in which it computes them, and how many values each has."""
    shapes = {each.name: each.shape for each in cell.workload.inputs}
    output, hidden = shapes["output_weights"]
    width = shapes["hidden_weights"][1]
    weights = {"hidden": hidden * width, "output": output * hidden}
    layers = {"hidden": hidden, "output": output}

    def size(place: str) -> int:
        layer = "hidden" if "hidden" in place else "output"
        return 1 if place == "loss" else (weights if place.endswith("weights") else layers)[layer]

    return {place: size(place) for place in PLACES}
