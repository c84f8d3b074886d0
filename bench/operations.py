"""What the workload `operations` costs: running it, its exact results, its bits on disk; and false alarms.

Nothing here passes or fails: times on a shared machine are no test, so that CPU time stands beside the wall time.
Environments are made before anything is measured.

    python bench/operations.py [--runs 10] [ENV ...]
    python bench/operations.py --alarms [--runs 10] ENV ...     false alarms alone
"""

import argparse
import contextlib
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
REPROMATRIX = str(Path(sys.executable).parent / "repromatrix")
ENVIRONMENTS = ("numpy-2.4.6-cpu", "torch-2.13.0-cpu", "tensorflow-2.21.0-cpu", "jax-0.10.2-cpu")
AIMS = {"numpy": 5, "torch": 15, "tensorflow": 60, "jax": 60}
REPEATS = 2  # of each cell, as matrix.yaml says
FORTY = 40
EXACT = """
import sys
from pathlib import Path
from repromatrix import resources
from repromatrix.operations.overview import results
from repromatrix.results.store import Store
resources.cache = lambda: Path(sys.argv[2])
store = Store(Path(sys.argv[1]))
for entry in store.read_operations().entries:
    results(store, store.read(entry.cell, entry.key))
"""


def main() -> None:
    """Print a line for each measurement."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("environments", nargs="*", default=ENVIRONMENTS, metavar="ENV")
    parser.add_argument("--runs", type=int, default=10, help="of the first environment, for false alarms; else of each")
    parser.add_argument("--alarms", action="store_true", help="measure nothing else")
    options = parser.parse_args()
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    chosen = [word for each in options.environments for word in ("--select", each)]
    subprocess.run([REPROMATRIX, "build", *chosen, "--engine", "process"], cwd=ROOT, check=True, capture_output=True)
    with tempfile.TemporaryDirectory(prefix="repromatrix-bench-") as name:
        folder = Path(name)
        if not options.alarms:
            costs(options.environments, folder)
        for each in options.environments if options.alarms else options.environments[:1]:
            alarms(each, options.runs, folder)


def costs(environments: Sequence[str], folder: Path) -> None:
    """Print what running, judging and keeping the operations takes."""
    for each in environments:
        wall, cpu = taken(lambda each=each: operations(each, folder / "results"))
        aim = AIMS[each.partition("-")[0]]
        print(f"core, {each}: {cpu / REPEATS:.1f} s of CPU time ({wall:.0f} s for two repeats), aim {aim} s")
    for what in ("once", "from the cache"):
        wall, cpu = taken(lambda: python(EXACT, str(folder / "results"), str(folder / "cache")))
        print(f"exact results of core, {what}: {cpu:.1f} s of CPU time ({wall:.0f} s), aim 60 s once")
    size = sum(path.stat().st_size for path in (folder / "results").rglob("*") if path.is_file())
    share = size / len(environments)
    print(f"core on disk: {share / 1e6:.1f} MB an environment, {share * FORTY / 1e6:.0f} MB for forty, aim 200 MB")


def alarms(environment: str, runs: int, folder: Path) -> None:
    """Print how often an environment gives what its first run did not; every other run is beside busy processes."""
    told = []
    for number in range(runs):
        with busy(os.cpu_count() or 1) if number % 2 else contextlib.nullcontext():
            told.append(operations(environment, folder / f"again-{environment}-{number}"))
    changed = sum(each != told[0] for each in told)
    print(f"{environment} {runs} times, every other one beside busy processes: {changed} changed, aim 0")


@contextlib.contextmanager
def busy(count: int) -> Iterator[None]:
    """Keep cores busy."""
    spinning = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for each in spinning:
            each.kill()
            each.wait()


def operations(environment: str, results: Path) -> str:
    """Run the operations of an environment; return which bits they gave, as text."""
    command = [REPROMATRIX, "operations", environment, "--results", str(results), "--engine", "process"]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    paths = sorted((results / "records").rglob("*.json"))
    return json.dumps([json.loads(path.read_text())["trajectories"] for path in paths if environment in str(path)])


def python(code: str, *arguments: str) -> None:
    """Run code in a process of its own."""
    subprocess.run([sys.executable, "-c", code, *arguments], cwd=ROOT, check=True)


def taken(action: Callable[[], object]) -> tuple[float, float]:
    """Return the seconds of wall and of CPU time, of children too, that something takes."""
    before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    action()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return time.perf_counter() - begun, cpu


if __name__ == "__main__":
    main()
