"""What the harness costs: `mlp` through the entrypoint against a plain script of the same loop, and traced.

Nothing here passes or fails: times on a shared machine are no test. The processes of a row follow one another in turn,
and CPU time, which other load disturbs less, stands beside the wall time. That both compute the same is checked.

    python bench/harness.py [--runs 7] [--framework numpy torch]
"""

import argparse
import base64
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from repromatrix.job import job
from repromatrix.matrix import load
from repromatrix.plan import find

ROOT = Path(__file__).resolve().parent.parent
REPROMATRIX = str(Path(sys.executable).parent / "repromatrix")
ENVIRONMENTS = {"numpy": "numpy-2.4.6-cpu", "torch": "torch-2.13.0-cpu"}
# The harness ends without unloading the framework, which a script that people write waits for.
HASTY = "\nimport os\n\nsys.stdout.flush()\nos._exit(0)\n"
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What a process took: seconds of wall and of CPU, the peak of its resident memory in MiB, and its output."""

    wall: float
    cpu: float
    peak: float
    output: str


def main() -> None:
    """Print three lines for each framework."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--framework", nargs="+", choices=sorted(ENVIRONMENTS), default=list(ENVIRONMENTS))
    options = parser.parse_args()
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, medians of {options.runs} runs in turn")
    for framework in options.framework:
        measure(framework, options.runs)


def measure(framework: str, runs: int) -> None:
    """Run a plain script, the same without unloading the framework, the cell and the traced cell in turn."""
    cell = find(load(ROOT / "matrix.yaml"), f"mlp/{ENVIRONMENTS[framework]}/default")
    home = environment(ENVIRONMENTS[framework])
    python, entrypoint = str(home / "bin" / "python"), str(home / "repromatrix" / "entrypoint.py")
    # As an engine starts it; PYTHONDONTWRITEBYTECODE, for one, would have the harness compiled each time.
    variables = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")} | ONE_THREAD
    with tempfile.TemporaryDirectory(prefix="repromatrix-bench-") as name:
        folder = Path(name)
        asked = {kind: folder / f"{kind}.json" for kind in ("cell", "traced")}
        for kind, path in asked.items():
            path.write_bytes(job([cell], trace=kind == "traced"))
        write_inputs(asked["cell"], folder)
        script = ROOT / "bench" / "plain" / f"mlp_{framework}.py"
        hasty = folder / "hasty.py"
        hasty.write_text(script.read_text() + HASTY)
        plain = {kind: [python, str(path), name] for kind, path in (("plain", script), ("hasty", hasty))}
        commands = {**plain, **{kind: [python, entrypoint, str(path)] for kind, path in asked.items()}}
        found: dict[str, list[Cost]] = {kind: [] for kind in commands}
        for _ in range(runs + 1):
            for kind, command in commands.items():
                found[kind].append(cost(command, variables, folder))
    costs = {kind: each[1:] for kind, each in found.items()}  # the first ones warm the files
    same = {kind: losses(each[0].output) for kind, each in costs.items()}
    assert same["plain"] == same["hasty"] == same["cell"] == same["traced"], "not the same numbers"
    row(f"mlp, {framework}: entrypoint, plain", costs["cell"], costs["plain"], "under +10 %")
    row(f"mlp, {framework}: entrypoint, hasty plain", costs["cell"], costs["hasty"], "none")
    row(f"mlp, {framework}: traced, untraced", costs["traced"], costs["cell"], "under +50 %, 300 MB")


def environment(name: str) -> Path:
    """Return the folder of an environment of the process engine, made where it is not there."""
    command = [REPROMATRIX, "build", "-q", "--json", "--engine", "process", "--select", name]
    told = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True).stdout
    return Path(json.loads(told)[name]["reference"])


def write_inputs(path: Path, folder: Path) -> None:
    """Write the bits of a job's inputs into files that are named as they are."""
    document = json.loads(path.read_bytes())
    for name, given in document["cells"][0]["inputs"].items():
        (folder / name).write_bytes(base64.b64decode(document["data"][given["data"]]))


def cost(command: Sequence[str], variables: Mapping[str, str], folder: Path) -> Cost:
    """Run a process to its end."""
    output, errors = folder / "output", folder / "errors"
    with output.open("wb") as out, errors.open("wb") as err:
        redirected = [(os.POSIX_SPAWN_DUP2, out.fileno(), 1), (os.POSIX_SPAWN_DUP2, err.fileno(), 2)]
        start = time.perf_counter()
        child = os.posix_spawn(command[0], command, variables, file_actions=redirected)
        _, status, usage = os.wait4(child, 0)
        wall = time.perf_counter() - start
    assert os.waitstatus_to_exitcode(status) == 0, errors.read_text()[-2000:]
    cpu, peak = usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024
    return Cost(wall=wall, cpu=cpu, peak=peak, output=output.read_text())


def losses(output: str) -> list[str]:
    """Return the losses that a plain script printed, or those among the lines of a job."""
    if not output.startswith("{"):
        return output.split()
    lines = [line for line in map(json.loads, output.splitlines()) if line["line"] == "values"]
    return [value[4][0] for line in lines for value in line["values"] if value[0] == "loss"]


def row(name: str, ours: Sequence[Cost], bare: Sequence[Cost], aim: str) -> None:
    """Print a row: medians of both, and the ratio of those of the runs that followed one another."""

    def told(unit: Callable[[Cost], float]) -> str:
        a, b = (statistics.median(map(unit, each)) for each in (ours, bare))
        ratio = statistics.median(unit(one) / unit(other) for one, other in zip(ours, bare, strict=True))
        return f"{a:.3f} s, {b:.3f} s ({(ratio - 1) * 100:+.0f} %)"

    peak = max(each.peak for each in ours)
    print(
        f"{name:<39} wall {told(lambda each: each.wall)}, CPU {told(lambda each: each.cpu)}, peak {peak:.0f} MiB"
        f"   (aim: {aim})",
        flush=True,
    )


if __name__ == "__main__":
    main()
