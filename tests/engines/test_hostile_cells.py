"""Cells that do their worst, between others that do not, run as any: each fails with its own reason and costs no other.

Some are entrypoints, which speak the contract themselves and lie in it; some are workloads, which the harness runs.
What only a container can keep a cell from (the network, the disk outside its folder, a full /tmp, more memory than
there is between two looks) is tried in a container only.
"""

import hashlib
import shutil
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import yaml

from repromatrix.engines import owner
from repromatrix.engines.base import Base, Built, Engine
from repromatrix.engines.docker import OWNER_LABEL, DockerEngine
from repromatrix.engines.process import ProcessEngine
from repromatrix.execute.run import Summary
from repromatrix.images import build
from repromatrix.matrix import Matrix, load
from repromatrix.results.record import Outcome, Record
from repromatrix.results.store import Store
from tests import conftest as small
from tests import fakes
from tests.engines.conftest import docker_or_skip, make_spec

HARNESS = sorted((Path(__file__).resolve().parents[2] / "images").glob("*.py"))
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
    for _ in range(100):  # more than may be at once, but each is gone before the next
        gone, end = os.pipe()
        if os.fork() == 0:
            os.fork()
            os._exit(0)
        os.close(end)
        os.wait()
        os.read(gone, 1)
        os.close(gone)
        time.sleep(0.01)  # dead ones are counted until somebody reaps them

def quits():
    os._exit(0)

def segfault():
    import ctypes
    ctypes.string_at(0)

def kills_its_parent():
    if os.fork() == 0:
        os.setsid()  # who is left, if nobody looks
        time.sleep(600)
    os.kill(os.getppid(), signal.SIGKILL)
    time.sleep(600)

def stops_its_parent():
    os.kill(os.getppid(), signal.SIGSTOP)
    time.sleep(600)

def stops_its_parent_and_ends():
    os.kill(os.getppid(), signal.SIGSTOP)
    os._exit(6)

def kills_its_group():
    os.killpg(0, signal.SIGTERM)
    time.sleep(600)

def threads():
    import threading
    for _ in range(200):
        threading.Thread(target=time.sleep, args=(600,), daemon=True).start()
    time.sleep(600)

def closes_its_output():
    os.close(1)
    time.sleep(600)

def closes_everything():
    os.closerange(0, 256)
    os._exit(7)

def result_of_a_child():
    values(cell)
    ending = json.dumps({"line": "cell", "id": cell["id"], "outcome": "ok", "reason": None})
    subprocess.run([sys.executable, "-c", f"print({ending!r})"])

def result_twice():
    values(cell)
    tell(line="cell", id=cell["id"], outcome="ok", reason=None)
    told(0.25)

def result_of_another():
    told(0.25, id=cell["id"].replace("result-of-another", "last"))
    tell(line="cell", id=cell["id"].replace("result-of-another", "last"), outcome="ok", reason=None)

def start_of_another():
    tell(line="start", id=cell["id"].replace("start-of-another", "last"))

def result_of_nobody():
    tell(line="start", id="tiny/numpy-9.9-cpu/../../../etc")

def early_end():
    values(cell)
    tell(line="end", cells=1)

def other_fingerprint():
    tell(line="fingerprint", fingerprint={"packages": {"tiny": "6.6"}})

def told(loss, step=1, **changes):
    entry = {"name": "loss", "role": "metric", "dtype": "float64", "shape": [], "told": [loss]} | changes
    entry["told"] = [each.hex() if isinstance(each, float) else each for each in entry["told"]]
    about = entry.pop("id", cell["id"])
    tell(line="values", id=about, step=step, values=[list(entry.values())])

def giant_integer():
    print('{"line": "values", "id": "%s", "step": %s, "values": []}' % (cell["id"], "9" * 100_000), flush=True)

def giant_step():
    told(0.5, step=10**30)

def nested():
    print("[" * 200_000, flush=True)

def no_text():
    os.write(1, b"\\xff\\xfe\\0\\n")

def long_line():
    for _ in range(40):
        sys.stdout.write(" " * (1 << 20))
    print(flush=True)

def odd_nan():
    told("NaN(0x7)", name="x", role="trace")

def beyond_float64():
    told("0x1p99999", name="x", role="trace")

def more_bits_than_float64():
    told("0x1.00000000000000001p+0", name="x", role="trace")

def decimal():
    told("0.1", name="x", role="trace")

def arabic_digits():
    told("0x1.\\u0661p+0", name="x", role="trace")

def negative_shape():
    told(0.5, name="output", role="output", shape=[-1])

def huge_shape():
    told(0.5, name="output", role="output", shape=[1 << 62, 1 << 62])

def true_shape():
    told(0.5, name="output", role="output", shape=[True])

def unicode_name():
    told(0.5, name="loss\\u202e\\x1b[2J\\n::error::pwn", role="metric")

def name_of_a_path():
    told(0.5, name="../../../etc/passwd", role="state")

def steering_reason():
    raise ValueError("\\x1b[2J\\n::error::pwn\\n@everyone \\ud800 " + "z" * 100_000)

def number_as_reason():
    tell(line="cell", id=cell["id"], outcome="failed", reason=[1, {"x": None}])
    os._exit(0)

def other_outcome():
    tell(line="cell", id=cell["id"], outcome="skipped", reason="nobody asked")
    os._exit(0)

def says_it_and_dies():
    values(cell)
    tell(line="cell", id=cell["id"], outcome="ok", reason=None)
    os.kill(os.getpid(), signal.SIGKILL)

def litters():
    os.makedirs("/".join(["deep"] * 700))
    for _ in range(3):
        os.chdir("/".join(["deep"] * 700))
        os.makedirs("/".join(["deep"] * 700))
    os.chdir(os.environ["HOME"])
    for target in ("/", "/dev/zero", "nowhere", "loop"):
        os.symlink(target, target.strip("/").replace("/", "-") or "root")
    os.mkfifo("fifo")
    os.mkdir("locked")
    open("locked/file", "w").close()
    os.chmod("locked", 0)
    os.umask(0o777)

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

# The harness, with a framework of nothing but Python's own.
FRAMEWORK = """
import struct, sys
from pathlib import Path
sys.path.insert(1, str(Path(__file__).resolve().parent))
from cell import Framework, Value, main
from values import numbers

class Plain(Framework):
    name = "numpy"
    dtypes = ("float64",)

    def tensor(self, given, device):
        return given

    def value(self, tensor):
        return Value("float64", tensor.shape, tensor.data)

main(Plain())
"""
# A workload; a cell does what the function of its variant's name does.
WORKLOAD = """
import atexit, ctypes, json, os, shutil, signal, struct, sys, threading, time
from job import Input

def forged(task, **line):
    text = json.dumps({"id": task.cell.id, **line}) + chr(10)
    for descriptor in range(3, 64):
        try:
            os.write(descriptor, text.encode())
        except OSError:
            pass

def prints_results(task):
    ending = json.dumps({"line": "cell", "id": task.cell.id, "outcome": "failed", "reason": "forged"})
    print(ending)
    os.write(1, ending.encode())
    os.system("echo '" + ending + "'")

def forges_an_end(task):
    forged(task, line="end", cells=1)

def forges_a_value(task):
    forged(task, line="values", step=1, values=[["loss", "metric", "float64", [], ["0x1p-2"]]])

def forges_a_result(task):
    forged(task, line="cell", outcome="unavailable", reason="not here")

def exits(task):
    sys.exit("gone")

def exits_with_nothing(task):
    raise SystemExit

def interrupts(task):
    raise KeyboardInterrupt

def raises_what_cannot_be_told(task):
    class Mute(Exception):
        def __str__(self):
            raise ValueError("no words")
    raise Mute

def recursion(task):
    recursion(task)

def too_much_at_once(task):
    bytes(1 << 60)

def imports_what_hangs(task):
    from workload import hanging

def imports_what_is_broken(task):
    from workload import broken

def alarm(task):
    signal.setitimer(signal.ITIMER_REAL, 0.01)
    time.sleep(600)

def aborts(task):
    ctypes.CDLL(None).abort()

def closes_the_output(task):
    os.closerange(1, 256)

def leaves_a_thread(task):
    threading.Thread(target=time.sleep, args=(600,)).start()

def leaves_no_streams(task):
    sys.stdout = sys.stderr = sys.stdin = None

def leaves_its_folder(task):
    os.chdir("/")
    shutil.rmtree(os.environ["HOME"], ignore_errors=True)

def lies_about_its_loss(task):
    class Liar(float):
        def hex(self):
            return "0x1p-2"
        def __eq__(self, other):
            return True
        __hash__ = float.__hash__
    return Liar(len(name(task)))

def records_odd_names(task):
    return {"loss": float(len(name(task))), "\\u202e\\n::error::pwn": 1.0, "../../x": 2.0, "": 3.0}

def name(task):
    return task.cell.id.split("/")[2]

def train(task):
    own = globals().get(name(task).replace("-", "_"), lambda task: None)(task)
    number = float(len(name(task)))
    filled = lambda given: Input("float64", given.shape, struct.pack("<d", number) * (len(given.data) // 8))
    shapes = {each: filled(task.cell.inputs[each]) for each in ("output_weights", "hidden_weights")}
    output = Input("float64", (1,), struct.pack("<d", number))
    values = own if isinstance(own, dict) else {"loss": number if own is None else own}
    for _ in range(task.steps):
        task.record({"output": output, **values}, state=shapes)
    task.finish({"output": output})

operations = train
"""
MODULES = {
    "numpy.py": WORKLOAD,
    "hanging.py": "import time\ntime.sleep(600)\n",
    "broken.py": "import nowhere_at_all\n",
}

# Only who is silent is to meet the limit of silence: a busy machine may keep the others waiting for long.
SECONDS = {True: 10, False: 60}
SILENT = f"no result for {SECONDS[True]} s: ended by the time limit"
MEMORY = "killed for memory (limit 640 MiB)"
FORKS = "more than 64 processes and threads"
RUBBISH = "rubbish on standard output: "
NOT = RUBBISH + "not a line of the contract "
# Kind -> variant -> what the reason of its record begins with.
IN_BOTH = {
    "entrypoint": {
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
        "stops-its-parent": SILENT,
        "kills-its-group": "killed by SIGTERM",
        "closes-its-output": SILENT,
        "closes-everything": "exit code 7",
        "result-of-a-child": RUBBISH + "a result of tiny/numpy-2.0-cpu/result-of-a-child, which is not under way",
        "result-twice": RUBBISH + "a result of tiny/numpy-2.0-cpu/result-twice, which is not under way",
        "result-of-another": RUBBISH + "a result of tiny/numpy-2.0-cpu/last, which is not under way",
        "start-of-another": NOT + "('tiny/numpy-2.0-cpu/last')",
        "result-of-nobody": NOT + "('tiny/numpy-9.9-cpu/../../../etc')",
        "early-end": RUBBISH + "a line of the kind 'values' after the end",
        "other-fingerprint": RUBBISH + "a line of the kind 'fingerprint' after a fingerprint",
        "giant-integer": NOT + "(Exceeds the limit (4300 digits)",
        "giant-step": NOT + f"(loss is recorded at step 1 after step {10**30})",
        "nested": NOT + "(nested too deeply)",
        "no-text": NOT + "('utf-16-le' codec can't decode",
        "long-line": NOT + "(Expecting value",
        "odd-nan": NOT + "(not a float64: 'NaN(0x7)')",
        "beyond-float64": NOT + "(not a float64: '0x1p99999')",
        "more-bits-than-float64": NOT + "(not a float64: '0x1.00000000000000001p+0')",
        "decimal": NOT + "(not a float64: '0.1')",
        "arabic-digits": NOT + "(not a float64: '0x1.\u0661p+0')",
        "negative-shape": NOT + "(output has 1 elements at step 1, and the shape [-1])",
        "huge-shape": NOT
        + "(output has 1 elements at step 1, and the shape [4611686018427387904, 4611686018427387904])",
        "true-shape": NOT + "(output has the shape [True])",
        "unicode-name": NOT + "(the metrics are loss\u202e\x1b[2J\n::error::pwn, loss instead of loss)",
        "name-of-a-path": NOT + "(the state ../../../etc/passwd is not that after the last step)",
        "steering-reason": "ValueError: \x1b[2J\n::error::pwn\n@everyone ? zzz",
        "number-as-reason": "[1, {'x': None}]",
        "other-outcome": RUBBISH + "tiny/numpy-2.0-cpu/other-outcome says that it is skipped, which is not its to say",
    },
    "workload": {
        "forges-an-end": RUBBISH + "a line of the kind 'values' after the end",
        "forges-a-value": NOT + "(loss is recorded at step 1 after step 1)",
        "forges-a-result": RUBBISH + "a result of tiny/numpy-2.0-cpu/forges-a-result, which is not under way",
        "exits": "exit code 1: gone",
        "exits-with-nothing": "the process ended without its result",
        "interrupts": "killed by SIGINT",
        "raises-what-cannot-be-told": "exit code 1: ValueError: no words",
        "recursion": "tiny/numpy.py:",
        "too-much-at-once": "tiny/numpy.py:",
        "imports-what-hangs": SILENT,
        "imports-what-is-broken": "tiny/broken.py:1: ModuleNotFoundError: No module named 'nowhere_at_all'",
        "alarm": "killed by SIGALRM",
        "aborts": "killed by SIGABRT",
        "closes-the-output": "exit code 120",
    },
}
ONLY = {
    "process": {
        "forks": FORKS,
        "forks-on": FORKS,
        "threads": FORKS,
        "kills-its-parent": "killed by SIGKILL",
        "stops-its-parent-and-ends": SILENT,
    },
    "docker": {
        "network": "OSError: [Errno 101] Network is unreachable",
        "outside": "OSError: [Errno 30] Read-only file system: '/var/tmp/outside'",
        "forks": "BlockingIOError: [Errno 11] Resource temporarily unavailable",
        "forks-on": SILENT,
        "temporary": "OSError: [Errno 28] No space left on device",
        "threads": "RuntimeError: can't start new thread",
        "kills-its-parent": SILENT,  # which is the first process there, and cannot be killed
        "stops-its-parent-and-ends": "exit code 6",
    },
}
REASONS = {
    engine: {"entrypoint": IN_BOTH["entrypoint"] | own, "workload": IN_BOTH["workload"]} for engine, own in ONLY.items()
}
GOOD = {
    "entrypoint": ("first", "in-between", "daemons", "says-it-and-dies", "litters", "last"),
    "workload": (
        "first-workload",
        "prints-results",
        "leaves-a-thread",
        "leaves-no-streams",
        "leaves-its-folder",
        "lies-about-its-loss",
        "records-odd-names",
        "last-workload",
    ),
}
BESIDE_SILENT = ("first", "in-between", "last")
LEAST = 40  # of either engine
LONGEST = 2100  # of a reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """What an engine made of the hostile cells, and what it left behind."""

    engine: str
    records: dict[str, Record]  # by variant
    log: Path
    left: list[str]


def good(kind: str, silent: bool) -> tuple[str, ...]:
    """Return the variants of a group that keep the contract."""
    return tuple(f"{name}-of-silent-{kind}s" for name in BESIDE_SILENT) if silent else GOOD[kind]


def order(engine: str, kind: str, silent: bool) -> list[str]:
    """Return the variants of a group, the good ones first, last and in the middle."""
    hostile = [name for name, reason in REASONS[engine][kind].items() if (reason == SILENT) is silent]
    middle = len(hostile) // 2
    first, *between, last = good(kind, silent)
    return [first, *hostile[:middle], *between, *hostile[middle:], last]


def make_matrix(folder: Path, variants: list[str], seconds: int) -> Matrix:
    """Return a matrix of one environment with a variant for each of the cells."""
    document = yaml.safe_load(small.SMALL)
    document["environments"] = document["environments"][:1]
    document["environments"][0]["versions"] = ["2.0"]
    document["defaults"] |= {"repeats": 1, "limits": {"seconds": seconds, "memory_mib": 640, "processes": 64}}
    document["profiles"] = {"default": {"environments": ["*"]}}
    for rules in ("include", "exclude"):
        document.pop(rules)
    work = yaml.safe_load(small.TINY)
    work.pop("published")
    work["variants"] = {"numpy": {name: {"dtypes": ["float64"], "options": {}} for name in variants}}
    (folder / "tiny").mkdir()
    (folder / "tiny" / "workload.yaml").write_text(yaml.safe_dump(work, sort_keys=False))
    for name, text in MODULES.items():
        (folder / "tiny" / name).write_text(text)
    path = folder / "matrix.yaml"
    path.write_text(yaml.safe_dump(document))
    return load(path)


def ready(engine: Engine, base: Base, folder: Path, kind: str) -> Built:
    """Build the environment of one of the entrypoints above."""
    sources = folder / "sources"
    sources.mkdir(parents=True)
    for path in HARNESS:
        shutil.copy(path, sources)
    spec, entrypoint = make_spec(folder, base), {"entrypoint": ENTRYPOINT, "workload": FRAMEWORK}[kind]
    (sources / "entrypoint.py").write_text(entrypoint)
    digest = hashlib.sha256(f"{spec.tag}{entrypoint}".encode()).hexdigest()
    return engine.build(replace(spec, name="hostile-1.0-test", tag=digest[:16]), folder / "build.log")


def execute(engine: Engine, folder: Path, kind: str, built: Built, silent: bool) -> Summary:
    """Run a group of cells in the ready environment, by the code that runs any; in an engine of its own."""
    folder.mkdir()
    matrix = make_matrix(folder, order(engine.name, kind, silent), SECONDS[silent])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine, "find", lambda _: built)
        lock = folder / "images" / "numpy" / "locks" / "numpy-2.0-cpu.txt"
        lock.parent.mkdir(parents=True)
        lock.write_text(
            f"# request: numpy==2.0 python==3.11 x86_64-manylinux_2_28\nnumpy==2.0 --hash=sha256:{'a' * 64}\n"
        )
        bench = fakes.Bench(matrix, Store(folder / "results"), folder / "images")
        bench.engine = engine
        return bench.run("numpy", profile="default")


def execute_all(make: Callable[[], Engine], base: Base, folder: Path) -> tuple[dict[str, Record], list[Built]]:
    """Run all groups side by side, as most time is waited; return the records by variant, and what was built."""
    made = {kind: ready(make(), base, folder / f"{kind}-made", kind) for kind in GOOD}
    groups = [(kind, silent) for kind in GOOD for silent in (False, True)]

    def one(group: tuple[str, bool]) -> Summary:
        kind, silent = group
        return execute(make(), folder / (f"silent-{kind}" if silent else kind), kind, made[kind], silent)

    with pytest.MonkeyPatch.context() as patch, ThreadPoolExecutor(len(groups)) as pool:
        patch.setattr(build, "resolve_base", lambda *_: base)
        summaries = list(pool.map(one, groups))
    return {record.cell.variant: record for each in summaries for record in each.records}, list(made.values())


def processes_of(words: str) -> list[str]:
    """Return the command lines of this machine's processes that hold `words`."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            found.append(path.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
    return [each for each in found if words in each]


@pytest.fixture(scope="module")
def ran_process(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """The hostile cells as plain processes."""
    folder = tmp_path_factory.mktemp("hostile-process")
    left = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("REPROMATRIX_CACHE", str(folder / "cache"))
        base = Base(kind="interpreter", reference=sys.executable, digest="test")
        records, made = execute_all(ProcessEngine, base, folder)
        for built in made:
            left += processes_of(built.reference)
    left += [str(path) for path in (folder / "cache" / "runs").iterdir()]
    return Ran(engine="process", records=records, log=log_of(folder, records), left=left)


@pytest.fixture(scope="module")
def ran_docker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ran]:
    """The hostile cells in containers."""
    engine, base = docker_or_skip()
    folder = tmp_path_factory.mktemp("hostile-docker")
    records, made = execute_all(DockerEngine, base, folder)
    ours = engine.client.containers(all=True, filters={"label": f"{OWNER_LABEL}={owner.ourselves()}"})
    left = [each["Image"] for each in ours]
    yield Ran(engine="docker", records=records, log=log_of(folder, records), left=left)
    for built in made:
        engine.client.remove_image(built.reference, force=True)


def log_of(folder: Path, records: dict[str, Record]) -> Path:
    """Return the log of the cell that floods its standard error."""
    log = records["errors"].log
    assert log is not None
    return folder / "entrypoint" / "results" / log


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


HOSTILE = {engine: [name for own in kinds.values() for name in own] for engine, kinds in REASONS.items()}


def test_both_engines_have_as_many_hostile_cells_as_the_campaign_promises() -> None:
    assert all(len({*each}) == len(each) >= LEAST for each in HOSTILE.values())


@pytest.mark.parametrize(("engine", "variant"), cases(HOSTILE))
def test_a_hostile_cell_fails_with_its_own_reason(ran: Ran, variant: str) -> None:
    record = ran.records[variant]
    reason = next(own[variant] for own in REASONS[ran.engine].values() if variant in own)
    assert record.reason is not None
    assert record.reason.startswith(reason)
    assert len(record.reason) < LONGEST
    assert record.outcome is (Outcome.TIMED_OUT if reason == SILENT else Outcome.FAILED)
    assert record.trajectories == ()


@pytest.mark.parametrize(
    ("engine", "variant"),
    cases(
        {engine: [name for kind in GOOD for each in (False, True) for name in good(kind, each)] for engine in REASONS}
    ),
)
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
    assert ran.log.stat().st_size < LOG_BYTES + (64 << 10)  # what the others say
