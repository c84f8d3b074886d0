"""A campaign: which seeds in which environments, in chunks on all cores; gives verdicts."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from functools import cache
from hashlib import sha256
from importlib import metadata
from pathlib import Path
from typing import Any

from bench.faults.clean import Environment, read
from bench.faults.explain import clean_lines, explain
from bench.faults.ground import LEFT_OUT, ground
from bench.faults.known import Member, explain_pairs, read_answers
from bench.faults.score import Verdict, judge, judge_pair
from repromatrix import resources
from repromatrix.matrix.model import Workload, chosen
from repromatrix.matrix.workload import load_workload

ROOT = Path(__file__).resolve().parents[2]
CHUNK = {"mazur": 100, "mlp": 32}  # runs that share a process; those of mlp are large
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NPROC"), "1")
DIGEST = 25  # characters of an environment's folder after its name: a dash and the digest
# The framework and its gradients -> the environment in which it is measured; None: the Python at hand.
ENVIRONMENTS: dict[str, str | None] = {
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
WORKLOADS = {"mazur": resources.folder("workloads") / "mazur", "mlp": ROOT / "bench" / "workloads" / "mlp-small"}
# Where faults are put, as `WORKLOAD-FRAMEWORK`.
PLACES = {f"{workload}-{framework}": framework for workload in WORKLOADS for framework in ENVIRONMENTS}
DTYPES = {"numpy": ("float64", "float32", "float16")}
ALL_DTYPES = ("float32", "float64", "bfloat16", "float16")
SMALL = (1, 4)  # units of a layer
FIXED = (2, 2)  # where each shape is compiled anew


KINDS = ("faults", "clean", "pairs")


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """Runs that are made, explained and judged together; `kind` is one of `KINDS`."""

    environment: Environment
    kind: str
    first: int
    last: int
    seeds: str

    @property
    def name(self) -> str:
        """Its name among those of the same seeds."""
        return f"{self.environment.framework}-{self.kind}-{self.first}-{self.last}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """A run with all that is known of it."""

    truth: dict[str, Any]
    found: Any
    verdict: Verdict


@cache
def workload(name: str) -> Workload:
    """Return a workload whose step can be taken apart."""
    return load_workload(WORKLOADS[name], name)


def environment(place: str) -> Environment | None:
    """Return where a workload is measured in a framework; None if there is no such environment, or nothing to run."""
    if missing(place):
        return None
    framework, work = PLACES[place], workload(place.partition("-")[0])
    entrypoint, flavour = entrypoint_of(framework)
    options = work.options(entrypoint, flavour)
    values = {option: each for option, each in options.items() if len(each) > 1 and option not in LEFT_OUT}
    values["dtype"] = dtypes_of(work, framework)
    variables = {**os.environ, **ONE_THREAD}
    name = ENVIRONMENTS[framework]
    if name is None:
        title, python = f"{framework}-{metadata.version(framework)}", sys.executable
    else:
        folder = _folders(name)[0]
        variables |= json.loads((folder / "complete.json").read_text(encoding="utf-8"))["variables"]
        title = f"{name}, by hand" if f"{framework}-auto" in ENVIRONMENTS else f"{name}, automatic"
        python = str(folder / "bin" / "python")
    return Environment(
        framework=place,
        entrypoint=entrypoint,
        flavour=flavour,
        title=f"{work.name}, {title}",
        python=python,
        workload=work,
        values=values,
        variables=variables,
    )


def entrypoint_of(framework: str) -> tuple[str, str]:
    """Return the folder of the entrypoint, and the flavour of the environment."""
    name, _, rest = framework.partition("-")
    return name, rest if name == "keras" else "cpu"


def dtypes_of(work: Workload, framework: str) -> tuple[str, ...]:
    """Return the dtypes that a framework can compute a workload in."""
    if work.dtypes:
        return chosen(work.dtypes, *entrypoint_of(framework))
    return DTYPES.get(framework, ALL_DTYPES)


def missing(place: str) -> str:
    """Return why `environment` has none for a place; empty: it has."""
    name, module = ENVIRONMENTS[PLACES[place]], f"{entrypoint_of(PLACES[place])[0]}.py"
    work = workload(place.partition("-")[0])
    if work.graph is None:
        return f"the workload {work.name} has no graph"
    if "def operations(" not in dict(work.files).get(module, ""):
        return f"the workload {work.name} has no operations in {module}"
    if name is not None and not _folders(name):
        return f"no environment {name}: repromatrix build --engine process --select {name}"
    return ""


def _folders(name: str) -> list[Path]:
    folders = (resources.cache() / "environments").glob(f"{name}-*")
    there = [each for each in sorted(folders) if len(each.name) == len(name) + DIGEST]
    return [each for each in there if (each / "complete.json").is_file()]


def ground_of(place: Environment, seeds: str) -> dict[str, Any]:
    """Return what the injector draws from in a place; `seeds` is a word that makes them others."""
    framework = PLACES[place.framework]
    by_hand = framework == "numpy" or f"{framework}-auto" in ENVIRONMENTS
    small = place.workload.name == "mazur"
    return ground(
        place.workload,
        name=f"{seeds}/{place.framework}",
        framework=place.entrypoint,
        flavour=place.flavour,
        gradient="manual" if by_hand else "auto",
        dtypes=place.values["dtype"],
        sizes=SMALL if place.entrypoint in ("numpy", "torch") else FIXED,
        steps=((2, 6) if place.entrypoint in ("numpy", "torch") else (2, 3)) if small else (10, 10),
    )


def chunks(environment: Environment, kind: str, count: int, seeds: str) -> list[Chunk]:
    """Return the runs of a place in chunks."""
    size = CHUNK[environment.framework.partition("-")[0]]
    return [
        Chunk(environment=environment, kind=kind, first=first, last=min(first + size, count), seeds=seeds)
        for first in range(0, count, size)
    ]


def digest() -> str:
    """Return the digest of all that a verdict depends on: the injector, the explainer, the judge, the workloads."""
    found = sha256()
    left_out = {"page.py", "__main__.py"}
    folders = [Path(__file__).parent, resources.folder("images"), ROOT / "runner" / "repromatrix"]
    files = [path for folder in folders for path in folder.rglob("*.py")]
    folders = [*WORKLOADS.values(), resources.folder("workloads") / "mlp"]
    files += [path for folder in folders for path in folder.iterdir() if path.is_file()]
    for path in sorted(files):
        if path.name not in left_out and not {"report", "cli"} & set(path.parts):
            found.update(f"{path.relative_to(ROOT)}\0".encode() + path.read_bytes())
    return found.hexdigest()[:12]


def kept(folder: Path, chunk: Chunk) -> list[Verdict] | None:
    """Return the verdicts of a chunk that an earlier run kept; None: it has not run."""
    path = folder / f"{chunk.name}.json"
    return [verdict_of(each) for each in json.loads(path.read_text())] if path.is_file() else None


def every(folder: Path, place: Environment, kind: str) -> list[Verdict]:
    """Return all verdicts of a kind that were kept, each seed once."""
    paths = sorted(folder.glob(f"{place.framework}-{kind}-*.json"))
    found = [verdict_of(each) for path in paths for each in json.loads(path.read_text())]
    return list({each.seed: each for each in found}.values())


def keep(folder: Path, chunk: Chunk, found: Sequence[Verdict]) -> None:
    """Keep the verdicts of a chunk."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{chunk.name}.json"
    document = [{**asdict(each), "due": sorted(each.due), "told": sorted(each.told)} for each in found]
    resources.write_atomically(path, json.dumps(document).encode())


def verdict_of(document: Mapping[str, Any]) -> Verdict:
    """Return a verdict from JSON data."""
    names = {key: frozenset(map(_name, document[key])) for key in ("due", "told")}
    return Verdict(**{**document, **names})


def _name(parts: Sequence[Any]) -> tuple[Any, ...]:
    return tuple(tuple(each) if isinstance(each, list) else each for each in parts)


def verdicts(work: Sequence[Chunk], jobs: int) -> Iterator[tuple[Chunk, list[Verdict]]]:
    """Yield the verdicts of each chunk as it ends.

    Raises:
        RuntimeError: chunks that broke; only when all others are done.
    """
    broken = []
    with ProcessPoolExecutor(max_workers=jobs) as pool:
        running = {pool.submit(_verdicts, chunk): chunk for chunk in work}
        for done in as_completed(running):
            try:
                found = done.result()
            except RuntimeError as error:
                broken.append(f"{running[done].name}: {error}")
            else:
                yield running[done], found
    if broken:
        raise RuntimeError("\n".join(broken))


def _verdicts(chunk: Chunk) -> list[Verdict]:
    return [each.verdict for each in measure(chunk)]


def measure(chunk: Chunk) -> list[Judged]:
    """Make the runs of a chunk, have them explained, judge them."""
    with tempfile.TemporaryDirectory(prefix="repromatrix-faults-") as name:
        folder, place = Path(name), chunk.environment.framework
        (folder / "ground.json").write_text(json.dumps(ground_of(chunk.environment, chunk.seeds)), encoding="utf-8")
        if chunk.kind == "pairs":
            return _pairs(chunk, folder)
        seeds = [str(chunk.first), str(chunk.last)]
        _inject(chunk.environment, folder, "inject", *seeds, *(["--clean"] if chunk.kind == "clean" else []))
        runs = read(folder / "runs.jsonl")
        if chunk.kind == "clean":
            _repeat(chunk.environment, runs)
        found = explain(chunk.environment, runs)
        truths = read(folder / "truth.jsonl")
    judged = []
    for truth in truths:
        answer = found[str(truth["seed"])]
        told = json.loads(json.dumps(asdict(answer)))
        judged.append(Judged(truth=truth, found=answer, verdict=judge(place, truth, told)))
    return judged


def _pairs(chunk: Chunk, folder: Path) -> list[Judged]:
    """Make pairs with a known operation, have them explained, judge them."""
    _inject(chunk.environment, folder, "twisted", "--seeds", str(chunk.first), str(chunk.last))

    def ask(wanted: Sequence[Member]) -> Mapping[tuple[str, int], Mapping[str, Any]]:
        requests = [{"seed": int(seed), "member": member, "job": job} for seed, member, job in wanted]
        (folder / "requests.jsonl").write_text("".join(json.dumps(each) + "\n" for each in requests), encoding="utf-8")
        _inject(chunk.environment, folder, "twisted")
        return read_answers(folder / "answers.jsonl")

    found = explain_pairs(chunk.environment, read(folder / "runs.jsonl"), ask)
    judged = []
    for truth in read(folder / "truth.jsonl"):
        answer = found[str(truth["seed"])]
        told = json.loads(json.dumps(asdict(answer)))
        verdict = judge_pair(chunk.environment.framework, truth, told)
        judged.append(Judged(truth=truth, found=answer, verdict=verdict))
    return judged


def _inject(place: Environment, folder: Path, part: str, *arguments: str) -> None:
    done = subprocess.run(
        [place.python, "-m", f"bench.faults.{part}", str(folder / "ground.json"), str(folder), *arguments],
        cwd=ROOT,
        env={**place.variables, "TMPDIR": str(folder)},
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
