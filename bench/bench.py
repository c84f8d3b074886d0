"""`make bench`: the numbers that docs/benchmarks.md quotes, each measured side by side on this machine.

Nothing here passes or fails: times on a shared machine are no test. Ratios compare runs that follow one another.

    python bench/bench.py                      the quick ones: help, nothing to do, overhead of a run
    python bench/bench.py harness              `mlp` through the entrypoint against a plain script, and traced
    python bench/bench.py cold --engine docker  a cold matrix against the plain loop (minutes)
    python bench/bench.py images                all images, wheels at hand, against plain Dockerfiles (minutes)
    python bench/bench.py ready --profile P     `build` with nothing to do
    python bench/bench.py logs                  logs of other programs read and compared, dialect by dialect
    python bench/bench.py impact                two warm environments of NumPy and of JAX, and nothing changed (minutes)
    python bench/bench.py operations            operations and their exact results (minutes)
    python bench/bench.py cluster               10,000 cells that sleep, on 32 workers of a cluster (minutes)
    python bench/bench.py compare page          a thousand cells compared, and in one report (minutes)
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
REPROMATRIX = str(BIN / "repromatrix")


def main() -> None:
    """Run the measurements that were asked for and print a line each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="*", default=["help", "again", "overhead"], help="which of them")
    parser.add_argument("--profile", default="default")
    parser.add_argument("--engine", choices=("auto", "process", "docker"), default="auto")
    parser.add_argument("--select", action="append", default=[], help="only these cells, as with repromatrix run")
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    if options.engine == "auto":
        options.engine = "docker" if quiet(["docker", "info"]) == 0 else "process"
    measures: dict[str, Callable[[argparse.Namespace], None]] = {
        "help": help_time,
        "again": again,
        "overhead": overhead,
        "cold": cold,
        "images": images,
        "ready": ready,
        "harness": harness,
        "impact": impact,
        "compare": lambda _: run([sys.executable, str(ROOT / "bench" / "compare.py")], quietly=False),
        "logs": lambda _: run([sys.executable, str(ROOT / "bench" / "logs.py")], quietly=False),
        "cluster": lambda _: run([sys.executable, str(ROOT / "bench" / "cluster.py")], quietly=False),
        "operations": lambda _: run([sys.executable, str(ROOT / "bench" / "operations.py")], quietly=False),
        "page": lambda _: run([sys.executable, str(ROOT / "bench" / "report.py")], quietly=False),
    }
    print(f"engine {options.engine}, {os.cpu_count()} cores, medians of {options.runs} runs where repeated")
    for name in options.what:
        measures[name](options)


def help_time(options: argparse.Namespace) -> None:
    """`repromatrix --help`: the price of every command before it does anything."""
    seconds = repeated(options.runs, lambda: run([REPROMATRIX, "--help"]))
    line("repromatrix --help", f"{seconds:.2f} s", "at most 0.3 s")


def again(options: argparse.Namespace) -> None:
    """A default matrix with nothing changed, report included."""
    with tempfile.TemporaryDirectory(prefix="repromatrix-bench-") as name:
        command = matrix_command(options, Path(name))
        run(command)
        seconds = repeated(options.runs, lambda: run(command))
    line("matrix with nothing changed", f"{seconds:.2f} s", "at most 1.5 s")


def overhead(options: argparse.Namespace) -> None:
    """The same cells through `repromatrix run` and through a bare run of the entrypoint, in turn."""
    environment = "numpy-2.4.6-cpu"
    for chosen in (environment, "torch-2.13.0-cpu"):
        build = [REPROMATRIX, "build", "-q", "--json", *engine(options), "--select", chosen]
        reference = json.loads(output(build))[chosen]
        job = job_of(chosen)
        bare, ours = [], []
        for _ in range(options.runs):
            bare.append(timed(lambda ref=reference, j=job: bare_runs(options, ref["reference"], j)))
            with tempfile.TemporaryDirectory(prefix="repromatrix-bench-") as name:
                command = [REPROMATRIX, "run", "-q", *engine(options), "--select", chosen, "--results", name]
                ours.append(timed(lambda c=command: run(c)))
        a, b = statistics.median(ours), statistics.median(bare)
        told = f"{a:.2f} s, bare {b:.2f} s: {a - b:+.2f} s ({(a / b - 1) * 100:+.0f} %)"
        line(f"two repeats of {chosen}", told, "+5 % and 0.3 s")


def harness(options: argparse.Namespace) -> None:
    """A cell through the entrypoint and a plain script of the same loop, in turn; and the cell traced."""
    run([sys.executable, str(ROOT / "bench" / "harness.py"), "--runs", str(options.runs)], quietly=False)


def bare_runs(options: argparse.Namespace, reference: str, job: bytes) -> None:
    """Run the entrypoint twice, as the matrix does, with nothing around it."""
    if options.engine == "docker":
        command = ["docker", "run", "--rm", "-i", "--network", "none", reference]
    else:
        command = [f"{reference}/bin/python", f"{reference}/repromatrix/entrypoint.py"]
    for _ in range(2):
        subprocess.run(command, input=job, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)


def impact(options: argparse.Namespace) -> None:
    """`impact` between two environments that are there, without a record; then once more, with nothing to run."""
    for name, (before, after), aim in (
        ("NumPy", ("numpy==1.26.4", "numpy==2.0.2"), "at most 20 s"),
        ("JAX", ("jax==0.4.38", "jax==0.5.3"), "at most 150 s"),
    ):
        with tempfile.TemporaryDirectory() as folder:
            command = [REPROMATRIX, "impact", before, after, "-q", *engine(options), "--results", folder]
            with tempfile.TemporaryDirectory() as other:  # so that the environments and the exact results are there
                quiet([*command[:-1], other])
            first = of_children(partial(quiet, command))
            line(f"impact, two environments of {name}", first, aim)
            line(f"impact, {name}, with nothing to run", of_children(partial(quiet, command)), "at most 1 s")


def of_children(action: Callable[[], object]) -> str:
    """Return the wall clock and CPU time that an action's processes took, in words."""
    before = os.times()
    began = time.perf_counter()
    action()
    after = os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return f"{time.perf_counter() - began:.1f} s, {cpu:.1f} s of CPU time"


def cold(options: argparse.Namespace) -> None:
    """Everything from nothing: locks in hand, no wheel, no environment, no record; then the plain loop."""
    with tempfile.TemporaryDirectory(prefix="repromatrix-bench-", dir=os.environ.get("BENCH_DIR")) as name:
        folder = Path(name)
        if options.engine == "docker":
            forget_images()
        home = {"REPROMATRIX_CACHE": str(folder / "cache"), "PIP_NO_CACHE_DIR": "1"}
        ours = timed(lambda: run(matrix_command(options, folder / "ours"), **home))
        print(f"  ours: {ours:.0f} s", flush=True)
        plain = timed(lambda: plain_loop(options, folder))
    told = f"{ours:.0f} s, plain loop {plain:.0f} s: {plain / ours:.1f} times faster"
    line(f"cold matrix, {options.engine}", told, "3 (docker: 2)")


def images(options: argparse.Namespace) -> None:
    """All images again, their wheels at hand; then the same from plain Dockerfiles with pip install -r."""
    build = [REPROMATRIX, "build", "-q", "--engine", "docker", "--profile", options.profile, *selection(options)]
    run(build)
    forget_images()
    run(build)  # so that the wheels are there even if the images were
    forget_images()
    ours = timed(lambda: run(build))
    print(f"  ours: {ours:.0f} s", flush=True)
    with tempfile.TemporaryDirectory(prefix="repromatrix-bench-", dir=os.environ.get("BENCH_DIR")) as name:
        environments = planned(options)
        plain = timed(lambda: [plain_source(each, Path(name), in_docker=True) for each in environments] and None)
    told = f"{ours:.0f} s, plain Dockerfiles {plain:.0f} s: {plain / ours:.1f} times faster"
    line(f"{len(environments)} images, warm wheel store", told, "3")


def ready(options: argparse.Namespace) -> None:
    """`build` of a profile whose environments are all there."""
    build = [REPROMATRIX, "build", "-q", "--json", *engine(options), "--profile", options.profile, *selection(options)]
    count = len(json.loads(output(build)))
    seconds = repeated(options.runs, lambda: run(build))
    line(f"build, nothing to do, {count} environments", f"{seconds:.2f} s", "at most 1 s for 30")


def selection(options: argparse.Namespace) -> list[str]:
    """Return the flags of --select."""
    return [flag for each in options.select for flag in ("--select", each)]


def plain_loop(options: argparse.Namespace, folder: Path) -> None:
    """What a person would write: per environment a venv (or an image) and pip install, then every cell by itself."""
    for environment, ids in planned(options).items():
        command = plain_source(environment, folder, in_docker=options.engine == "docker")
        for cell in ids:
            quiet(command, job_of(cell))


def plain_source(environment: str, folder: Path, *, in_docker: bool) -> list[str]:
    """Make an environment as a person would and return the command that runs a job in it."""
    lock = next((ROOT / "images").glob(f"*/locks/{environment}.txt"))
    sources = folder / environment
    sources.mkdir()
    for path in (*(ROOT / "images").glob("*.py"), *lock.parent.parent.glob("*.py")):
        shutil.copy(path, sources)
    return plain_image(environment, lock, sources) if in_docker else plain_venv(lock, sources)


def plain_venv(lock: Path, sources: Path) -> list[str]:
    """Make a venv with pip and return the command that runs a job in it."""
    run([sys.executable, "-m", "venv", str(sources / "venv")])
    run([f"{sources}/venv/bin/pip", "install", "-q", "--no-cache-dir", "-r", str(lock)])
    return [f"{sources}/venv/bin/python", str(sources / "entrypoint.py")]


def plain_image(environment: str, lock: Path, sources: Path) -> list[str]:
    """Build an image with pip install and return the command that runs a job in it.

    The base is the same; pip comes from the wheel of this environment, and the host's certificates and folders of
    wheels go along, because a plain container knows neither.
    """
    shutil.copy(lock, sources / "requirements.txt")
    shutil.copy(os.environ.get("SSL_CERT_FILE", "/etc/ssl/certs/ca-certificates.crt"), sources / "ca.crt")
    run([sys.executable, "-m", "pip", "download", "-q", "--no-deps", *_for(environment), "-d", str(sources), "pip"])
    links = sources / "links"
    links.mkdir()
    if "torch==" in lock.read_text():
        for each in os.environ.get("PIP_FIND_LINKS", "").split():
            shutil.copytree(each, links, dirs_exist_ok=True)
    (sources / "Dockerfile").write_text(
        f"FROM {base_image(environment)}\nCOPY . /job\n"
        "RUN python3 -m venv --without-pip /venv && "
        "PYTHONPATH=$(ls /job/pip-*.whl) /venv/bin/python -m pip install -q "
        "--no-cache-dir --cert /job/ca.crt --find-links /job/links -r /job/requirements.txt\n"
        'ENTRYPOINT ["/venv/bin/python", "/job/entrypoint.py"]\n'
    )
    tag = f"repromatrix-bench:{environment}"
    run(["docker", "build", "-q", "--no-cache", "-t", tag, str(sources)], DOCKER_BUILDKIT="0")
    return ["docker", "run", "--rm", "-i", tag]


def _for(environment: str) -> list[str]:
    """Return pip's flags for the newest wheel that the environment's Python takes."""
    python = environment.rpartition("-py")[2] if "-py3" in environment else "3.11"
    return ["--only-binary", ":all:", "--python-version", python]


def base_image(environment: str) -> str:
    """Return what our own image of an environment stands on."""
    seen = json.loads(output([REPROMATRIX, "image", "-q", "--json", "--engine", "docker", environment]))
    return str(seen["base"]["reference"])


def forget_images() -> None:
    """Remove the environments' images and BuildKit's cache; bases stay."""
    listing = output(["docker", "images", "--format", "{{.Repository}}:{{.Tag}}"]).split()
    images = [each for each in listing if each.startswith("repromatrix/") and not each.startswith("repromatrix/base")]
    if images:
        run(["docker", "rmi", "--force", *images])
    quiet(["docker", "builder", "prune", "--all", "--force"])


def planned(options: argparse.Namespace) -> dict[str, list[str]]:
    """Return environment -> cell ids of the selection."""
    flags = ["--profile", options.profile, *selection(options)]
    cells = json.loads(output([REPROMATRIX, "plan", "--json", *flags]))["cells"]
    result: dict[str, list[str]] = {}
    for cell in cells:
        result.setdefault(cell["environment"], []).append(cell["id"])
    return result


def job_of(pattern: str) -> bytes:
    """Return the job document of the cells that a pattern selects, members of their ensembles included."""
    code = (
        "import sys; from pathlib import Path; from repromatrix.job import job\n"
        "from repromatrix.matrix import load; from repromatrix.plan import find, plan\n"
        "m = load(Path('matrix.yaml')); p = sys.argv[1]\n"
        "c = [find(m, p)] if '/' in p else plan(m, profile='default', select=[p]).every_cell\n"
        "sys.stdout.buffer.write(job([x for x in c if x.settings.name == c[0].settings.name]))"
    )
    return output([sys.executable, "-c", code, pattern]).encode()


def matrix_command(options: argparse.Namespace, folder: Path) -> list[str]:
    """Return `repromatrix matrix` over the selection, writing below `folder`."""
    flags = selection(options)
    places = ["--results", str(folder / "results"), "--output", str(folder / "report")]
    return [REPROMATRIX, "matrix", "-q", *engine(options), *flags, *places]


def engine(options: argparse.Namespace) -> list[str]:
    """Return the engine's flag."""
    return ["--engine", options.engine]


def run(command: Sequence[str], *, quietly: bool = True, **variables: str) -> None:
    """Run a command from the checkout; its failure ends the benchmark."""
    where = subprocess.DEVNULL if quietly else None
    subprocess.run(command, cwd=ROOT, env={**os.environ, **variables}, stdout=where, check=True)


def output(command: Sequence[str]) -> str:
    """Return a command's standard output."""
    return subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True).stdout


def quiet(command: Sequence[str], given: bytes = b"") -> int:
    """Return a command's exit code; 127 where there is no such command."""
    try:
        return subprocess.run(command, input=given, capture_output=True, check=False).returncode
    except FileNotFoundError:
        return 127


def timed(action: Callable[[], None]) -> float:
    """Return the seconds an action takes."""
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def repeated(runs: int, action: Callable[[], None]) -> float:
    """Return the median of several runs in seconds."""
    return statistics.median(timed(action) for _ in range(runs))


def line(name: str, value: str, aim: str) -> None:
    """Print one result."""
    print(f"{name:<34} {value}   (aim: {aim})", flush=True)


if __name__ == "__main__":
    main()
