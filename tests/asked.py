"""Cells of workloads in an interpreter at hand: what they are asked by way of a job, and what they answer."""

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from repromatrix import job as jobs
from repromatrix.execute.lines import Finished, Reader
from repromatrix.images.default_job import default_job
from repromatrix.images.spec import sources
from repromatrix.matrix import Environment, Matrix, Settings, Variant, Workload, load
from repromatrix.plan import Cell, Operation

ROOT = Path(__file__).parents[1]
ONE_THREAD = Settings(threads=1)


@cache
def matrix() -> Matrix:
    """The project's own."""
    return load(ROOT / "matrix.yaml")


def workload(name: str, **changes: Any) -> Workload:
    """One of the product's own, with other fields."""
    return replace(next(each for each in matrix().workloads if each.name == name), **changes)


def environment(framework: str) -> Environment:
    """The first of a framework in the project's matrix."""
    return next(each for each in matrix().environments if each.framework == framework)


def cell(work: Workload, framework: str = "numpy", name: str = "x", *, dtype: str = "float64", **options: str) -> Cell:
    """A cell of a workload in options of its own; all others have their defaults."""
    variant = Variant(
        framework=framework,
        name=name,
        dtype=dtype,
        steps=None,
        flavours=(),
        devices=(),
        options=tuple(sorted(options.items())),
    )
    return Cell(workload=work, environment=environment(framework), variant=variant, device="cpu", settings=ONE_THREAD)


def cells_of(environment: Environment, work: Workload) -> list[Cell]:
    """The cells of an environment on the CPU."""
    return [
        Cell(workload=work, environment=environment, variant=variant, device="cpu", settings=ONE_THREAD)
        for variant in work.variants(environment.framework, environment.flavour)
        if not variant.devices or "cpu" in variant.devices
    ]


def serve(
    job: bytes, framework: str = "numpy", python: Path | str = sys.executable, folder: Path | None = None
) -> list[bytes]:
    """The lines that an entrypoint prints for a job; in a folder, laid out there as an image has it."""
    entrypoint = ROOT / "images" / framework / "entrypoint.py"
    if folder is not None:
        folder.mkdir(exist_ok=True)
        for path in (*sources(framework), default_job(environment(framework))):
            (folder / path.name).write_bytes(path.read_bytes())
        entrypoint = folder / "entrypoint.py"
    done = subprocess.run([str(python), str(entrypoint)], input=job, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.splitlines()


def trained(cells: Sequence[Cell], *, trace: bool = False, **where: Any) -> dict[str, Finished]:
    """What cells give, by their ids, read as the runner reads it: whatever breaks the contract raises."""
    return {each.id: each for each in _finished(jobs.job(cells, trace=trace), cells, **where)}


def operated(operations: Sequence[Operation], **where: Any) -> list[dict[str, Any]]:
    """The last lines of operations, in order, once the runner could read them."""
    job = jobs.job(operations)
    lines = serve(job, **where)
    read(lines, operations)
    return [told for told in map(json.loads, lines) if told["line"] == "operation"]


def read(lines: Sequence[bytes], asked: Sequence[Cell | Operation]) -> list[Finished]:
    """What was asked and ended, read as the runner reads it."""
    reader = Reader({each.id: each for each in asked})
    return [found for line in lines if isinstance(found := reader.read(line), Finished)]


def _finished(job: bytes, asked: Sequence[Cell], **where: Any) -> list[Finished]:
    return read(serve(job, **where), asked)


def steps_of(found: Finished) -> Mapping[str, Sequence[tuple[str, ...]]]:
    """The values of a cell by name: for each step its elements, laid flat."""
    assert found.trajectory is not None, found.reason
    return {each.name: each.rows for each in found.trajectory.columns}
