"""Cells that do their worst, between others that do not, run as any: each fails with its own reason and costs no other.

What only a container can keep a cell from (the network, the disk outside its folder, a full /tmp, more memory than
there is between two looks) is tried in a container only.
"""

import hashlib
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import yaml

from repromatrix.engines import owner
from repromatrix.engines.base import Base, Built, Engine
from repromatrix.engines.docker import OWNER_LABEL
from repromatrix.engines.process import ProcessEngine
from repromatrix.execute.run import Summary
from repromatrix.images import build
from repromatrix.matrix import Matrix, load
from repromatrix.results.record import Outcome, Record
from repromatrix.results.store import Store
from tests import conftest as small
from tests import fakes
from tests.engines.conftest import docker_or_skip, make_spec

LOG_BYTES = (8 << 20) + (64 << 10) + 100  # what the engine keeps of one process's standard error

# Speaks the contract of docs/architecture.md; a cell does what the function of its variant's name does.
ENTRYPOINT = """
import json, math, mmap, os, signal, socket, subprocess, sys, time

def tell(**line):
    print(json.dumps(line), flush=True)

def network():
    socket.create_connection(("1.1.1.1", 53), timeout=3)

def outside():
    open("/var/tmp/outside", "w")

def forks():
    children = []
    while True:
        child = os.fork()
        if child == 0:
            time.sleep(600)
        children.append(child)

def forks_on():
    count = mmap.mmap(-1, 8)  # of them all: whoever runs this test wants to go on using the machine
    while True:
        try:
            if int.from_bytes(count, "little") < 4000 and os.fork() == 0:
                count[:] = (int.from_bytes(count, "little") + 1).to_bytes(8, "little")
                os.setsid()
        except OSError:
            pass

def memory():
    keep = []
    while True:
        keep.append(b"x" * (16 << 20))
        if len(keep) == 640:
            time.sleep(600)

def memory_of_a_child():
    done = subprocess.run([sys.executable, "-c", "keep = b'x' * (10 << 30)"])
    os._exit(5 if done.returncode else 0)

def memory_waited_for():
    subprocess.Popen([sys.executable, "-c", "keep = b'x' * (10 << 30)"])
    time.sleep(600)

def output():
    for _ in range(1 << 10):
        sys.stdout.write("z" * (1 << 20))
    sys.stdout.flush()

def errors():
    for mebibyte in range(1 << 7):
        sys.stderr.write("z" * (1 << 20))
        if mebibyte % 32 == 0:
            tell(line="values", id=cell["id"], step=1, values=[])  # alive
    sys.stderr.write("\\nmy last words\\n")
    sys.stderr.flush()
    os._exit(3)

def endless():
    while True:
        pass

def deaf():
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    while True:
        time.sleep(600)

def temporary():
    with open("/tmp/big", "wb") as stream:
        while True:
            stream.write(bytes(16 << 20))

def orphan():
    if os.fork() == 0:
        os.setsid()
        time.sleep(600)
    os._exit(4)

def daemons():
    for _ in range(200):  # more than may be at once, but each is gone before the next
        gone, end = os.pipe()
        if os.fork() == 0:
            os.fork()
            os._exit(0)
        os.close(end)
        os.wait()
        os.read(gone, 1)
        os.close(gone)
        time.sleep(0.002)

def quits():
    os._exit(0)

def segfault():
    import ctypes
    ctypes.string_at(0)

def variant(cell):
    return cell["id"].split("/")[2]

def values(cell):
    number = float(len(variant(cell))).hex()

    def value(name, role, shape):
        return [name, role, cell["dtype"], shape, [number] * math.prod(shape)]

    shapes, steps = {name: given["shape"] for name, given in cell["inputs"].items()}, cell["steps"]
    for step in range(1, steps + 2):
        told = [value("output", "output", shapes["output_weights"][:1])]
        told += [value("loss", "metric", [])] * (step <= steps)
        told += [value(name, "state", shapes[name]) for name in ("output_weights", "hidden_weights") if step == steps]
        tell(line="values", id=cell["id"], step=step, values=told)

job = json.loads(sys.stdin.read())
tell(line="fingerprint", fingerprint={"packages": {"tiny": "1.0"}})
for cell in job["cells"]:
    tell(line="start", id=cell["id"])
    try:
        globals().get(variant(cell).replace("-", "_"), lambda: None)()
    except Exception as error:
        reason = f"{type(error).__name__}: {error}"
        tell(line="cell", id=cell["id"], outcome="failed", reason=reason)
    else:
        values(cell)
        tell(line="cell", id=cell["id"], outcome="ok", reason=None)
tell(line="end", cells=len(job["cells"]))
"""


SILENT = "no result for 3 s: ended by the time limit"
MEMORY = "killed for memory (limit 640 MiB)"
FORKS = "more than 64 processes and threads"
# Variant -> the reason that its record must give.
IN_BOTH = {
    "memory": MEMORY,
    "memory-of-a-child": MEMORY,
    "memory-waited-for": MEMORY,
    "output": "more than 67108864 bytes on standard output",
    "errors": "exit code 3: my last words",
    "endless": SILENT,
    "deaf": SILENT,
    "orphan": "exit code 4",
    "quits": "the process ended without its result",
    "segfault": "killed by SIGSEGV",
}
REASONS = {
    "process": IN_BOTH | {"forks": FORKS, "forks-on": FORKS},
    "docker": IN_BOTH
    | {
        "network": "OSError: [Errno 101] Network is unreachable",
        "outside": "OSError: [Errno 30] Read-only file system: '/var/tmp/outside'",
        "forks": "BlockingIOError: [Errno 11] Resource temporarily unavailable",
        "forks-on": SILENT,
        "temporary": "OSError: [Errno 28] No space left on device",
    },
}
GOOD = ("first", "in-between", "daemons", "last")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """What an engine made of the hostile cells, and what it left behind."""

    engine: str
    records: dict[str, Record]  # by variant
    store: Store
    left: list[str]


def order(engine: str) -> list[str]:
    """Return the variants, the good ones first, last and in the middle."""
    hostile = list(REASONS[engine])
    middle = len(hostile) // 2
    first, *between, last = GOOD
    return [first, *hostile[:middle], *between, *hostile[middle:], last]


def make_matrix(folder: Path, engine: str) -> Matrix:
    """Return a matrix of one environment with a variant for each of the cells."""
    document = yaml.safe_load(small.SMALL)
    document["environments"] = document["environments"][:1]
    document["environments"][0]["versions"] = ["2.0"]
    document["defaults"] |= {"repeats": 1, "limits": {"seconds": 3, "memory_mib": 640, "processes": 64}}
    document["profiles"] = {"default": {"environments": ["*"]}}
    for rules in ("include", "exclude"):
        document.pop(rules)
    work = yaml.safe_load(small.TINY)
    work.pop("published")
    work["variants"] = {"numpy": {name: {"dtypes": ["float64"], "options": {}} for name in order(engine)}}
    (folder / "tiny").mkdir()
    (folder / "tiny" / "workload.yaml").write_text(yaml.safe_dump(work, sort_keys=False))
    (folder / "tiny" / "numpy.py").write_text(small.MODULE)
    path = folder / "matrix.yaml"
    path.write_text(yaml.safe_dump(document))
    return load(path)


def ready(engine: Engine, base: Base, folder: Path) -> Built:
    """Build the environment of the entrypoint above."""
    spec = make_spec(folder, base)
    (folder / "sources" / "entrypoint.py").write_text(ENTRYPOINT)
    digest = hashlib.sha256(f"{spec.tag}{ENTRYPOINT}".encode()).hexdigest()
    return engine.build(replace(spec, name="hostile-1.0-test", tag=digest[:16]), folder / "build.log")


def execute(engine: Engine, base: Base, folder: Path) -> tuple[Summary, Store, Built]:
    """Run all cells of the matrix in the ready environment, by the code that runs any."""
    matrix, built = make_matrix(folder, engine.name), ready(engine, base, folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(build, "resolve_base", lambda *_: base)
        patch.setattr(engine, "find", lambda _: built)
        lock = folder / "images" / "numpy" / "locks" / "numpy-2.0-cpu.txt"
        lock.parent.mkdir(parents=True)
        lock.write_text(
            f"# request: numpy==2.0 python==3.11 x86_64-manylinux_2_28\nnumpy==2.0 --hash=sha256:{'a' * 64}\n"
        )
        bench = fakes.Bench(matrix, Store(folder / "results"), folder / "images")
        bench.engine = engine
        return bench.run("numpy", profile="default"), bench.store, built


def processes_of(words: str) -> list[str]:
    """Return the command lines of this machine's processes that hold `words`."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            found.append(path.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
    return [each for each in found if words in each]


def by_variant(summary: Summary) -> dict[str, Record]:
    return {record.cell.variant: record for record in summary.records}


@pytest.fixture(scope="module")
def ran_process(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """The hostile cells as plain processes."""
    folder = tmp_path_factory.mktemp("hostile-process")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("REPROMATRIX_CACHE", str(folder / "cache"))
        base = Base(kind="interpreter", reference=sys.executable, digest="test")
        summary, store, built = execute(ProcessEngine(), base, folder)
    left = processes_of(built.reference)
    return Ran(engine="process", records=by_variant(summary), store=store, left=left)


@pytest.fixture(scope="module")
def ran_docker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ran]:
    """The hostile cells in containers."""
    engine, base = docker_or_skip()
    folder = tmp_path_factory.mktemp("hostile-docker")
    summary, store, built = execute(engine, base, folder)
    ours = engine.client.containers(all=True, filters={"label": f"{OWNER_LABEL}={owner.ourselves()}"})
    yield Ran(engine="docker", records=by_variant(summary), store=store, left=[each["Image"] for each in ours])
    engine.client.remove_image(built.reference, force=True)


def cases(names: dict[str, list[str]]) -> list[object]:
    marks = {"process": (), "docker": (pytest.mark.docker,)}
    return [
        pytest.param(engine, name, marks=marks[engine], id=f"{engine}-{name}")
        for engine, each in names.items()
        for name in each
    ]


@pytest.fixture
def ran(request: pytest.FixtureRequest, engine: str) -> Ran:
    found: Ran = request.getfixturevalue(f"ran_{engine}")
    return found


@pytest.mark.parametrize(("engine", "variant"), cases({name: list(each) for name, each in REASONS.items()}))
def test_a_hostile_cell_fails_with_its_own_reason(ran: Ran, variant: str) -> None:
    record, reason = ran.records[variant], REASONS[ran.engine][variant]
    assert record.reason == reason
    assert record.outcome is (Outcome.TIMED_OUT if reason == SILENT else Outcome.FAILED)
    assert record.trajectories == ()


@pytest.mark.parametrize(("engine", "variant"), cases({engine: list(GOOD) for engine in REASONS}))
def test_a_cell_beside_them_has_its_numbers(ran: Ran, variant: str) -> None:
    record = ran.records[variant]
    assert (record.outcome, record.reason) == (Outcome.OK, None)
    loss = float(len(variant)).hex()
    assert record.trajectory is not None
    assert record.trajectory.losses == (loss, loss)
    assert record.trajectory.tensor("output_weights") == ((loss,) * 3,)


@pytest.mark.parametrize("engine", ["process", pytest.param("docker", marks=pytest.mark.docker)])
def test_nothing_is_left_running(ran: Ran) -> None:
    assert ran.left == []


@pytest.mark.parametrize("engine", ["process", pytest.param("docker", marks=pytest.mark.docker)])
def test_the_log_is_bounded(ran: Ran) -> None:
    log = ran.records["errors"].log
    assert log is not None
    assert (ran.store.folder / log).stat().st_size < LOG_BYTES + 4096  # what the others say
