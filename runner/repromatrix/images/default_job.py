"""The job that an environment runs when it is given none: the published one, so that `docker run --rm IMAGE` shows it.

It is in no cell's key, and another one makes no other image.
"""

from functools import cache
from hashlib import sha256
from pathlib import Path

from repromatrix import resources
from repromatrix.job import job
from repromatrix.matrix import Environment, Settings, Workload
from repromatrix.matrix.workload import load_workload
from repromatrix.plan import Cell

NAME = "default-job.json"
WORKLOAD = "mazur"


def default_job(environment: Environment) -> Path:
    """Return the file with the default job of an environment, written to the user's cache where it is not there."""
    data = job(_cells(environment))
    path = resources.cache() / "default-jobs" / sha256(data).hexdigest()[:24] / NAME
    if not path.is_file():
        resources.write_atomically(path, data)
    return path


def _cells(environment: Environment) -> list[Cell]:
    """Return the cells of the published job in the first dtype of each variant, on the CPU."""
    folder = resources.folder("workloads") / WORKLOAD
    workload = _workload(folder, frozenset((path, path.stat().st_mtime_ns) for path in folder.iterdir()))
    variants = workload.variants(environment.framework, environment.flavour)
    return [
        Cell(workload=workload, environment=environment, variant=variant, device="cpu", settings=Settings(threads=1))
        for variant in variants
        if not variant.devices and not variant.name.endswith(f"-{variant.dtype}")
    ]


@cache
def _workload(folder: Path, _written: frozenset[tuple[Path, int]]) -> Workload:
    """Read the workload, once for all environments while its files stay as they were written."""
    return load_workload(folder, WORKLOAD)
