"""What an entrypoint gives for an operation -> its outputs, each checked against the shapes that its inputs ask for."""

from math import prod
from typing import Any

from repromatrix.graph import Shape, shapes
from repromatrix.plan import Operation
from repromatrix.results.trace import Steps
from repromatrix.results.value import exact


def outputs_of(entries: Any, asked: Operation) -> tuple[tuple[str, Steps], ...]:
    """Return the outputs that JSON data holds: name -> its values for each sample, in the order of the places.

    Raises:
        ValueError: values that are not exact, or another number of them than are due.
        KeyError, TypeError: another shape.
    """
    if not isinstance(entries, list) or len(entries) != len(asked.samples):
        raise ValueError(f"not a list of {len(asked.samples)} outputs")
    names, dtype = [place.value for place in asked.places], asked.cell.variant.dtype
    if any(sorted(entry) != sorted(names) for entry in entries):
        raise ValueError(f"not all of {', '.join(names)} are told")
    rows: dict[str, list[tuple[str, ...]]] = {name: [] for name in names}
    for entry, sample in zip(entries, asked.samples, strict=True):
        due = shapes(asked.places, {name: _shape(tensor) for name, tensor in sample.items()})
        for name in names:
            rows[name].append(_values(entry[name], prod(due[name]), name, dtype))
    return tuple((name, tuple(values)) for name, values in rows.items())


def _values(entry: Any, count: int, name: str, dtype: str) -> tuple[str, ...]:
    found = exact(entry, dtype)
    if len(found) != count:
        raise ValueError(f"{name} has {len(found)} values where {count} are due")
    return found


def _shape(tensor: Any) -> Shape | None:
    """Return the shape of a sample's entry; None: a number."""
    if isinstance(tensor, str):
        return None
    return (len(tensor),) if isinstance(tensor[0], str) else (len(tensor), len(tensor[0]))
