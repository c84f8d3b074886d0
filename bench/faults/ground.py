"""A workload in an environment -> what the injector draws from, as JSON data: it reads no YAML and no graph itself."""

from collections.abc import Sequence
from itertools import combinations
from typing import Any

from repromatrix import resources
from repromatrix.graph import Place, ShapeError, shapes
from repromatrix.matrix.model import Input, Workload

# Not drawn: what needs a compiler or takes seconds a cell, a GPU, or another library; a loop of its own length.
LEFT_OUT = frozenset(("compile", "tf32", "api", "final_forward", "loop"))
FIXED = {"compile": "eager", "gradient": None}  # None: by the place


def ground(
    workload: Workload,
    *,
    name: str,
    framework: str,
    flavour: str,
    gradient: str,
    dtypes: Sequence[str],
    sizes: tuple[int, int],
    steps: tuple[int, int],
) -> dict[str, Any]:
    """Return what jobs and faults are drawn from.

    Args:
        workload: with a graph.
        name: of the place, in the names of runs.
        framework: of the module.
        flavour: of the environment.
        gradient: `manual` or `auto`.
        dtypes: of its jobs.
        sizes: the fewest and the most units of a layer, where the workload's inputs are written out.
        steps: the fewest and the most of a job.

    Raises:
        ValueError: a workload without a graph.
    """
    if workload.graph is None:
        raise ValueError(f"the workload {workload.name} has no graph")
    options = workload.options(framework, flavour)
    fixed = {key: values[0] for key, values in options.items() if key in LEFT_OUT}
    fixed |= {"compile": "eager", "gradient": gradient}
    drawn = {key: list(values) for key, values in options.items() if key not in fixed}
    places = workload.graph.places({key: values[0] for key, values in options.items()})
    written = all(each.decimal is not None for each in workload.inputs)
    dims = letters(places, workload.inputs) if written else {}
    return {
        "name": name,
        "workload": workload.name,
        "framework": framework,
        "folder": str(resources.folder("images") / framework),
        "files": workload.modules(framework),
        "inputs": [_input(each, dims.get(each.name, list(each.shape))) for each in workload.inputs],
        "numbers": dict(workload.numbers),
        "rates": sorted(dict(workload.numbers)) if written else [],
        "metrics": list(workload.metrics),
        "outputs": list(workload.outputs),
        "batch": workload.batch,
        "options": drawn,
        "fixed": fixed,
        "others": {key: values for key, values in drawn.items() if len(values) > 1},
        "dtypes": list(dtypes),
        "sizes": list(sizes),
        "steps": list(steps),
        "operations": {place.value: place.operation for place in places},
        "sums": {name: reached(places, name) for name in workload.graph.parameters},
    }


def _input(given: Input, dims: Sequence[int | str]) -> dict[str, Any]:
    return {
        "name": given.name,
        "dims": list(dims),
        "dtype": given.dtype,
        "kind": given.draw if given.draw in ("integers", "normal") else "uniform",
        "scale": float(given.scale),
        "below": given.below,
        "parameter": given.parameter,
    }


def letters(places: Sequence[Place], inputs: Sequence[Input]) -> dict[str, list[int | str]]:
    """Return for each input its sizes by name: equal names, equal sizes, as the operations of the step demand it.

    Sizes that belong together are those that can only be changed together.
    """
    ends = [(each.name, at) for each in inputs for at in range(len(each.shape))]
    found: dict[tuple[str, int], str] = {}
    for count in range(1, len(ends) + 1):
        for chosen in combinations([end for end in ends if end not in found], count):
            if _fit(places, inputs, frozenset(chosen)):
                found |= dict.fromkeys(chosen, f"size {len(set(found.values())) + 1}")
    return {each.name: [found[each.name, at] for at in range(len(each.shape))] for each in inputs}


def _fit(places: Sequence[Place], inputs: Sequence[Input], wider: frozenset[tuple[str, int]]) -> bool:
    known: dict[str, tuple[int, ...] | None] = {
        each.name: tuple(3 if (each.name, at) in wider else 2 for at in range(len(each.shape))) for each in inputs
    }
    numbers = {name for place in places for name in place.arguments if name not in known}
    try:
        shapes(places, {**dict.fromkeys(numbers - {place.value for place in places}), **known})
    except (ShapeError, KeyError):
        return False
    return True


def reached(places: Sequence[Place], parameter: str) -> list[str]:
    """Return what a step computes from a parameter as it was before the step, in order."""
    found: list[str] = []
    for place in places:
        if parameter in place.arguments or set(found) & set(place.arguments):
            found.append(place.value)
    return found
