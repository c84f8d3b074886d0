"""Cells with less in them: some operations of the workload `operations` alone, other packages held where they were."""

import hashlib
import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from repromatrix.matrix import Environment
from repromatrix.plan import Cell


def operations_of(cell: Cell) -> tuple[str, ...]:
    """Return the names of the operations that a cell of the workload `operations` runs."""
    return tuple(json.loads(cell.workload.rows))


def only(cell: Cell, names: Collection[str]) -> Cell:
    """Return a cell of the workload `operations` with nothing but the operations of these names.

    Each operation is computed by itself from inputs of its own, so its results are those of the whole cell.
    """
    rows = {name: row for name, row in json.loads(cell.workload.rows).items() if name in names}
    text = json.dumps(rows, sort_keys=True, separators=(",", ":"))
    return replace(cell, workload=replace(cell.workload, rows=text))


def held(environment: Environment, pins: Sequence[str]) -> Environment:
    """Return an environment in which packages are held: `pins` are like numpy==1.26.4, in place of what it asks for."""
    names = {_name(each) for each in pins}
    own = [each for each in environment.packages if _name(each) not in names]
    digest = hashlib.sha256(" ".join(pins).encode()).hexdigest()[:8]
    return replace(environment, requirements=(*own, *pins), suffix=f"{environment.suffix}-held{digest}")


def pins(found: Iterable[tuple[str, str]]) -> tuple[str, ...]:
    """Return names with versions as requirements."""
    return tuple(f"{name}=={version}" for name, version in found)


def _name(requirement: str) -> str:
    return canonicalize_name(Requirement(requirement).name)
