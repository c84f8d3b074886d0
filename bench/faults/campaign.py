"""A campaign: which seeds in which environments, in chunks on all cores; gives verdicts."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

from bench.faults.clean import Environment, read
from bench.faults.explain import clean_lines, explain
from bench.faults.score import Verdict, judge
from repromatrix import resources
from repromatrix.explain.judge.sites import TraceExplanation
from repromatrix.matrix.model import Workload
from repromatrix.matrix.workload import load_workload

WORKLOAD = "mazur"
ROOT = Path(__file__).resolve().parents[2]
CHUNK = 250  # runs that share a process
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NPROC"), "1")
DIGEST = 25  # characters of an environment's folder after its name: a dash and the digest
# What the injector can put a fault into, and the environment that this is measured in; None: the Python at hand.
PLACES: dict[str, str | None] = {
    "numpy": None,
    "torch": "torch-2.13.0-cpu",
    "jax": "jax-0.10.2-cpu",
    "tensorflow": "tensorflow-2.21.0-cpu",
    "torch-auto": "torch-2.13.0-cpu",
    "jax-auto": "jax-0.10.2-cpu",
    "tensorflow-auto": "tensorflow-2.21.0-cpu",
    "keras-tensorflow": "keras-3.15.1-tensorflow",
    "keras-jax": "keras-3.15.1-jax",
    "keras-torch": "keras-3.15.1-torch",
}
DTYPES = {"numpy": ("float64", "float32", "float16")}
ALL_DTYPES = ("float32", "float64", "bfloat16", "float16")
# Not tried: what needs a compiler or takes seconds a cell, a GPU, or another library.
LEFT_OUT = frozenset(("compile", "tf32", "api", "optimizer", "final_forward"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """Runs that are made, explained and judged together."""

    environment: Environment
    clean: bool
    first: int
    last: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """A run with all that is known of it."""

    truth: dict[str, Any]
    found: TraceExplanation
    verdict: Verdict


@cache
def workload() -> Workload:
    """Return the workload whose step can be taken apart."""
    return load_workload(resources.folder("workloads") / WORKLOAD, WORKLOAD)


def environment(framework: str) -> Environment | None:
    """Return where a framework is measured; None if there is no such environment or no module for it."""
    name, entrypoint = PLACES[framework], framework.partition("-")[0]
    if f"{entrypoint}.py" not in dict(workload().files):
        return None
    options = {option: each for option, each in workload().options(entrypoint).items() if len(each) > 1}
    values = {option: each for option, each in options.items() if option not in LEFT_OUT}
    values["dtype"] = DTYPES.get(framework, ALL_DTYPES)
    variables = {**os.environ, **ONE_THREAD}
    if name is None:
        title, python = f"{framework}-{metadata.version(framework)}", sys.executable
    else:
        folders = (resources.cache() / "environments").glob(f"{name}-*")
        there = [each for each in sorted(folders) if len(each.name) == len(name) + DIGEST]
        whole = [each for each in there if (each / "complete.json").is_file()]
        if not whole:
            return None
        variables |= json.loads((whole[0] / "complete.json").read_text(encoding="utf-8"))["variables"]
        title = f"{name}, by hand" if f"{framework}-auto" in PLACES else f"{name}, automatic"
        python = str(whole[0] / "bin" / "python")
    return Environment(
        framework=framework,
        entrypoint=entrypoint,
        title=title,
        python=python,
        workload=workload(),
        values=values,
        variables=variables,
    )


def missing(framework: str) -> str:
    """Return why `environment` has none for a framework."""
    name, module = PLACES[framework], f"{framework.partition('-')[0]}.py"
    if module not in dict(workload().files):
        return f"the workload {WORKLOAD} has no {module}"
    return f"no environment {name}: repromatrix build --engine process --select {name}"


def chunks(environment: Environment, faults: int, clean: int) -> list[Chunk]:
    """Return the runs of a framework in chunks."""
    return [
        Chunk(environment=environment, clean=of_clean, first=first, last=min(first + CHUNK, count))
        for of_clean, count in ((False, faults), (True, clean))
        for first in range(0, count, CHUNK)
    ]


def verdicts(work: Sequence[Chunk], jobs: int) -> Iterable[list[Verdict]]:
    """Yield the verdicts of each chunk in order."""
    with ProcessPoolExecutor(max_workers=jobs) as pool:
        yield from pool.map(_verdicts, work)


def _verdicts(chunk: Chunk) -> list[Verdict]:
    return [each.verdict for each in measure(chunk)]


def measure(chunk: Chunk) -> list[Judged]:
    """Make the runs of a chunk, have them explained, judge them."""
    with tempfile.TemporaryDirectory(prefix="repromatrix-faults-") as name:
        folder = Path(name)
        _inject(chunk, folder)
        runs = read(folder / "runs.jsonl")
        if chunk.clean:
            _repeat(chunk.environment, runs)
        found = explain(chunk.environment, runs)
        truths = read(folder / "truth.jsonl")
    judged = []
    for truth in truths:
        answer = found[str(truth["seed"])]
        told = json.loads(json.dumps(asdict(answer)))
        judged.append(Judged(truth=truth, found=answer, verdict=judge(chunk.environment.framework, truth, told)))
    return judged


def _inject(chunk: Chunk, folder: Path) -> None:
    where = [chunk.environment.framework, str(folder), str(chunk.first), str(chunk.last)]
    done = subprocess.run(
        [chunk.environment.python, "-m", "bench.faults.inject", *where, *(["--clean"] if chunk.clean else [])],
        cwd=ROOT,
        env={**chunk.environment.variables, "TMPDIR": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"the injector failed:\n{done.stderr[-2000:]}")


def _repeat(environment: Environment, runs: list[dict[str, Any]]) -> None:
    """Of the clean runs, replace a third by the real cell in a fresh process, a third by it at another place there."""
    for turn, backwards in ((1, False), (2, True)):
        chosen = [run for run in runs if int(run["lines"][-1]["id"]) % 3 == turn]
        jobs = {run["lines"][-1]["id"]: run["job"] for run in (reversed(chosen) if backwards else chosen)}
        lines = clean_lines(environment, jobs)
        for run in chosen:
            run["lines"] = lines[run["lines"][-1]["id"]]
