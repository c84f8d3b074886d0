"""The harness inside every measured environment: a job in, one JSON line per finished cell out.

Takes the job of docs/architecture.md ("The entrypoint contract"), sets the process up before the framework is
imported, has the framework train each cell and prints exact values. Standard library only, Python 3.8 or newer;
what is particular to a framework lives in its entrypoint.
"""

from __future__ import annotations

import ctypes
import json
import os
import platform
import re
import sys
import traceback
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from types import MappingProxyType
from typing import Any, Callable, Dict, List, Mapping, Optional, TextIO, Tuple

FORMAT = 1
CAPS = ("sse4.2", "avx2", "avx512")
DEVICE = re.compile(r"cpu|cuda:\d+")
Vector = List[float]
Matrix = List[List[float]]


class Unavailable(Exception):
    """This environment has no such dtype, option, device or setting."""


class MalformedJob(Exception):
    """The job is not what the contract says."""


# --- the job -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Settings:
    """How the process is set up: threads, a cap on the instruction set, variables."""

    threads: Optional[int]
    isa: Optional[str]
    env: Dict[str, str]


@dataclass(frozen=True)
class Workload:
    """The training job; every decimal read with float(), weights as rows per unit (`W[out][in]`)."""

    steps: int
    input: Vector
    target: Vector
    hidden_weights: Matrix
    output_weights: Matrix
    hidden_bias: float
    output_bias: float
    learning_rate: float


@dataclass(frozen=True)
class Task:
    """One cell, its options still as written in the job."""

    id: str
    device: str
    trace: bool
    workload: Workload
    dtype: str
    options: Dict[str, str]

    def weights(self) -> Tuple[Matrix, Matrix]:
        """Hidden and output weights as this cell's layout stores them."""
        work = self.workload
        both = (work.hidden_weights, work.output_weights)
        if self.options["layout"] == "in_out_untransposed" and any(len(w) != len(w[0]) for w in both):
            raise Unavailable("layout=in_out_untransposed needs square weights")
        if self.options["layout"] == "in_out":
            return transposed(both[0]), transposed(both[1])
        return both

    def result(self, losses: Vector, predictions: Matrix, hidden: Matrix, output: Matrix) -> Dict[str, Any]:
        """The measured part of the cell's line; takes the weights as stored, gives `W[out][in]`."""
        if self.options["layout"] != "out_in":
            hidden, output = transposed(hidden), transposed(output)
        return {
            "losses": hexadecimal(losses),
            "predictions": [hexadecimal(row) for row in predictions],
            "weights": {
                "hidden": [hexadecimal(row) for row in hidden],
                "output": [hexadecimal(row) for row in output],
            },
        }


def transposed(rows: Matrix) -> Matrix:
    """Rows as columns."""
    return [list(column) for column in zip(*rows)]


def hexadecimal(values: Vector) -> List[str]:
    """C99 hexadecimal text; NaN and infinity come out as `nan`, `inf`, `-inf`."""
    return [float(value).hex() for value in values]


def take(where: str, document: Any, key: str, kind: Any) -> Any:
    """`document[key]` if it is there and of this kind (a bool is no int)."""
    if not isinstance(document, dict) or key not in document:
        raise MalformedJob(f"{where} has no {key!r}")
    value = document[key]
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise MalformedJob(f"{where}.{key} has the wrong type: {json.dumps(value)[:80]}")
    return value


def decimals(where: str, value: Any) -> Any:
    """Decimal text as floats, through any depth of lists."""
    if isinstance(value, list) and value:
        return [decimals(where, item) for item in value]
    try:
        if isinstance(value, str):
            return float(value)
    except ValueError:
        pass
    raise MalformedJob(f"{where} is not decimal text: {json.dumps(value)[:80]}")


def parse_settings(document: Any) -> Settings:
    settings = take("job", document, "settings", dict)
    threads = take("settings", settings, "threads", (int, type(None)))
    isa = take("settings", settings, "isa", (str, type(None)))
    env = take("settings", settings, "env", dict)
    if threads is not None and threads < 1:
        raise MalformedJob(f"settings.threads is {threads}, expected 1 or more")
    if isa is not None and isa not in CAPS:
        raise MalformedJob(f"settings.isa is {isa!r}, expected null or one of {', '.join(CAPS)}")
    if not all(isinstance(value, str) for value in env.values()):
        raise MalformedJob("settings.env holds a value that is no text")
    return Settings(threads, isa, dict(env))


def parse_workload(where: str, document: Dict[str, Any]) -> Workload:
    steps = take(where, document, "steps", int)
    if steps < 1:
        raise MalformedJob(f"{where}.steps is {steps}, expected 1 or more")
    lists = ("input", "target", "hidden_weights", "output_weights")
    texts = ("hidden_bias", "output_bias", "learning_rate")
    values = {key: decimals(f"{where}.{key}", take(where, document, key, list)) for key in lists}
    values.update({key: decimals(f"{where}.{key}", take(where, document, key, str)) for key in texts})
    hidden, output = values["hidden_weights"], values["output_weights"]
    widths = [(hidden, len(values["input"]), len(hidden)), (output, len(hidden), len(values["target"]))]
    for rows, columns, count in widths:
        if len(rows) != count or any(not isinstance(row, list) or len(row) != columns for row in rows):
            raise MalformedJob(f"{where}: the shapes of input, weights and target do not fit")
    return Workload(steps=steps, **values)


def parse_task(index: int, document: Any) -> Task:
    where = f"cells[{index}]"
    device = take(where, document, "device", str)
    if not DEVICE.fullmatch(device):
        raise MalformedJob(f"{where}.device is {device!r}, expected cpu or cuda:N")
    workload = parse_workload(f"{where}.workload", take(where, document, "workload", dict))
    variant = take(where, document, "variant", dict)
    options = {key: str(value) for key, value in take(f"{where}.variant", variant, "options", dict).items()}
    # The runner has already put a variant's own step count into the workload.
    if options.pop("steps", str(workload.steps)) != str(workload.steps):
        raise MalformedJob(f"{where}: the option steps contradicts workload.steps")
    dtype = take(f"{where}.variant", variant, "dtype", str)
    return Task(take(where, document, "id", str), device, document.get("trace") is True, workload, dtype, options)


def parse_job(text: str) -> Tuple[Settings, List[Task]]:
    """The job as values. Raises MalformedJob, naming the place."""
    try:
        document = json.loads(text)
    except ValueError as error:
        raise MalformedJob(f"the job is not JSON: {error}") from None
    written = take("job", document, "format", int)
    if written != FORMAT:
        raise MalformedJob(f"the job has format {written}, this image reads format {FORMAT}")
    cells = take("job", document, "cells", list)
    return parse_settings(document), [parse_task(index, cell) for index, cell in enumerate(cells)]


def read_job(folder: Path, arguments: List[str]) -> str:
    """The file named on the command line, else standard input, else the default job of the folder."""
    if arguments:
        return Path(arguments[0]).read_text(encoding="utf-8")
    text = "" if sys.stdin is None or sys.stdin.isatty() else sys.stdin.buffer.read().decode("utf-8")
    if text.strip():
        return text
    return (folder / "default-job.json").read_text(encoding="utf-8")


# --- a framework, as the harness sees it --------------------------------------------------------------------


class Framework:
    """What an entrypoint fills in. Nothing here may import the framework before `load`."""

    dtypes: Tuple[str, ...] = ()
    options: Mapping[str, Tuple[str, ...]] = MappingProxyType({})  # the values it has; the first is the default
    knobs: Tuple[str, ...] = ()  # the keys of SPELLINGS that it obeys

    def check(self, settings: Settings) -> None:
        """Raise Unavailable if this version cannot do what the settings ask."""

    def load(self, settings: Settings) -> None:
        """Import the framework."""

    def kernels(self, devices: List[str]) -> Dict[str, str]:
        """The code paths really taken; a name ending in `_requested` was only declared."""
        return {}

    def threads(self) -> Dict[str, int]:
        """Thread counts as the libraries report them."""
        return {}

    def train(self, task: Task) -> Dict[str, Any]:
        """Run one cell whose options are complete and known; give `task.result(...)`."""
        raise NotImplementedError


def complete(task: Task, framework: Framework) -> Task:
    """The task with every option filled in. Raises Unavailable for what the framework does not have."""
    if task.trace:
        raise Unavailable("this entrypoint does not trace")
    if task.dtype not in framework.dtypes:
        raise Unavailable(f"no dtype {task.dtype} here, only {', '.join(framework.dtypes)}")
    for key, value in sorted(task.options.items()):
        if value not in framework.options.get(key, ()):
            there = ", ".join(framework.options.get(key, ())) or "no such option"
            raise Unavailable(f"no {key}={value} here ({there})")
    filled = {key: task.options.get(key, values[0]) for key, values in framework.options.items()}
    return Task(task.id, task.device, task.trace, task.workload, task.dtype, filled)


# --- settings -> variables ----------------------------------------------------------------------------------

# How each library spells the caps, in the order of CAPS. Several libraries ignore a cap silently, so the
# fingerprint tells what was taken, not what was asked.
SPELLINGS = {
    "OPENBLAS_CORETYPE": ("Nehalem", "Haswell", "SkylakeX"),
    "ATEN_CPU_CAPABILITY": ("default", "avx2", "avx512"),
    "ONEDNN_MAX_CPU_ISA": ("SSE41", "AVX2", "AVX512_CORE"),
    "MKL_ENABLE_INSTRUCTIONS": ("SSE4_2", "AVX2", "AVX512"),
    "XLA_FLAGS": ("--xla_cpu_max_isa=SSE4_2", "--xla_cpu_max_isa=AVX2", "--xla_cpu_max_isa=AVX512"),
    "NPY_DISABLE_CPU_FEATURES": ("", "", ""),  # by NumPy's version: numpy_disabled
}
THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NPROC")  # NPROC: XLA's pools


def version(distribution: str) -> Tuple[int, ...]:
    """Major, minor, patch of an installed distribution, without importing it; empty if it is not there."""
    try:
        return tuple(int(number) for number in re.findall(r"\d+", metadata.version(distribution))[:3])
    except metadata.PackageNotFoundError:
        return ()


def numpy_disabled(cap: int) -> str:
    """NumPy's own names of what lies above a cap; they changed in 2.4, and naming its baseline is an error."""
    if version("numpy") >= (2, 4):
        above = ["X86_V3", "X86_V4 AVX512_ICL AVX512_SPR", ""]
    else:
        skx = "AVX512F AVX512CD AVX512_SKX AVX512_CLX AVX512_CNL AVX512_ICL"
        skx += " AVX512_SPR" if version("numpy") >= (1, 25) else ""
        above = ["AVX F16C FMA3 AVX2", skx, ""]
    return " ".join(above[cap:]).strip()


def host_level(flags: List[str]) -> int:
    """The highest cap that this host reaches, as an index into CAPS."""
    if {"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"} <= set(flags):
        return 2
    return 1 if {"avx2", "fma"} <= set(flags) else 0


def variables(settings: Settings, knobs: Tuple[str, ...]) -> Dict[str, str]:
    """The process variables that the settings stand for; `env` has the last word."""
    made: Dict[str, str] = {}
    if settings.threads is not None:
        made.update({name: str(settings.threads) for name in THREAD_VARIABLES})
    if settings.isa is not None:
        if platform.machine() not in ("x86_64", "AMD64"):
            raise Unavailable(f"isa={settings.isa} is a cap for x86-64, this is {platform.machine()}")
        # A cap above the host would force kernels that it cannot run.
        cap = min(CAPS.index(settings.isa), host_level(cpu()["flags"]))
        made.update({knob: SPELLINGS[knob][cap] or numpy_disabled(cap) for knob in knobs})
    made = {name: value for name, value in made.items() if value}
    if "XLA_FLAGS" in made and "XLA_FLAGS" in settings.env:
        made["XLA_FLAGS"] += " " + settings.env["XLA_FLAGS"]
        return {**settings.env, **made}
    return {**made, **settings.env}


# --- the fingerprint ----------------------------------------------------------------------------------------

NUMERIC_FLAGS = re.compile(
    r"sse4_2|avx|avx2|fma|f16c|avx512\w*|amx\w*|avx_\w+|asimd\w*|fphp|fcma|sve\w*|sme\w*|bf16|i8mm"
)
VARIABLES = re.compile(
    r"(OMP|KMP|OPENBLAS|MKL|NPY|ATEN|ONEDNN|DNNL|TF|XLA|JAX|KERAS|CUBLAS|CUDA|NVIDIA)_(?!CLI_|VAR_)\w+|(PY)?TORCH\w*"
    r"|NPROC|GLIBC_TUNABLES"
)


def cpu() -> Dict[str, Any]:
    """Architecture, vendor and the flags that matter to numbers; no marketing name."""
    found: Dict[str, str] = {}
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            key, _, value = line.partition(":")
            found.setdefault(key.strip(), value.strip())
    except OSError:
        pass
    words = (found.get("flags") or found.get("Features") or "").split()
    flags = sorted({word for word in words if NUMERIC_FLAGS.fullmatch(word)})
    return {"machine": platform.machine(), "vendor": found.get("vendor_id", "unknown"), "flags": flags}


def packages() -> Dict[str, str]:
    """Every installed distribution."""
    found = {}
    for distribution in metadata.distributions():
        name = distribution.metadata["Name"]
        if name:
            found.setdefault(re.sub(r"[-_.]+", "-", name).lower(), distribution.version)
    return dict(sorted(found.items()))


def loaded_libraries(part: str) -> List[str]:
    """Paths of the shared libraries in this process whose file name holds `part`."""
    try:
        lines = Path("/proc/self/maps").read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
    paths = {line.split(None, 5)[5].strip() for line in lines if "/" in line}
    return sorted(path for path in paths if part in Path(path).name)


def openblas() -> Tuple[Dict[str, str], Dict[str, int]]:
    """Core names and thread counts of the OpenBLAS copies in this process."""
    cores, threads = {}, {}
    for path in loaded_libraries("openblas"):
        library = ctypes.CDLL(path)
        for prefix in ("scipy_openblas", "openblas"):
            for suffix in ("", "64_", "_64", "_"):
                core = getattr(library, f"{prefix}_get_corename{suffix}", None)
                count = getattr(library, f"{prefix}_get_num_threads{suffix}", None)
                if core is not None and count is not None:
                    core.restype = ctypes.c_char_p
                    name = "openblas" if "openblas_core" not in cores else f"openblas_{len(cores)}"
                    cores[f"{name}_core"], threads[name] = core().decode(), int(count())
                    break
    return cores, threads


def numpy_dispatch() -> Dict[str, str]:
    """The optional instruction sets that NumPy's own loops take, if NumPy is in this process."""
    for name in ("numpy._core._multiarray_umath", "numpy.core._multiarray_umath"):
        module = sys.modules.get(name)
        if module is not None and hasattr(module, "__cpu_dispatch__"):
            taken = [feature for feature in module.__cpu_dispatch__ if module.__cpu_features__.get(feature)]
            return {"numpy_dispatch": " ".join(taken) or "baseline"}
    return {}


def libc() -> str:
    """The C library's name and version."""
    try:
        return os.confstr("CS_GNU_LIBC_VERSION") or "unknown"
    except (ValueError, OSError, AttributeError):
        return " ".join(platform.libc_ver()).strip() or "unknown"


def fingerprint(framework: Framework, devices: List[str], seen: Dict[str, str]) -> Dict[str, Any]:
    """The environment as seen from inside. A probe that breaks is named, not fatal."""
    kernels: Dict[str, str] = {}
    threads: Dict[str, int] = {}
    try:
        cores, counts = openblas()
        kernels = {**numpy_dispatch(), **cores}
        threads = {**counts, **framework.threads()}
        kernels.update(framework.kernels(devices))
    except Exception as error:  # an unknown version may lack what a probe asks for
        traceback.print_exc()
        kernels["probe_error"] = describe(error)
    return {
        "packages": packages(),
        "python": platform.python_version(),
        "libc": libc(),
        "cpu": cpu(),
        "kernels": dict(sorted(kernels.items())),
        "threads": dict(sorted(threads.items())),
        "variables": seen,
    }


# --- running ------------------------------------------------------------------------------------------------


def describe(error: BaseException) -> str:
    """Type and first line of the message."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0][:500]}" if lines else type(error).__name__


def run_cell(task: Task, train: Callable[[Task], Dict[str, Any]]) -> Dict[str, Any]:
    """The cell's line. A failure is a value."""
    line = {"line": "cell", "id": task.id, "outcome": "ok", "reason": None, "dtype": task.dtype}
    try:
        return {**line, **train(task)}
    except Unavailable as error:
        return {**line, "outcome": "unavailable", "reason": str(error)}
    except Exception as error:
        traceback.print_exc()
        return {**line, "outcome": "failed", "reason": describe(error)}


def private_output() -> TextIO:
    """The real standard output; from here on whatever else prints there goes to standard error."""
    lines = os.fdopen(os.dup(1), "w", encoding="utf-8")
    sys.stdout.flush()
    os.dup2(2, 1)
    return lines


def set_up(framework: Framework, settings: Settings) -> Optional[Exception]:
    """Set the process variables; give what stands in the way of every cell."""
    try:
        framework.check(settings)
        os.environ.update(variables(settings, framework.knobs))
    except Unavailable as error:
        return error
    return None


def serve(framework: Framework, settings: Settings, tasks: List[Task], output: TextIO) -> None:
    """Print the fingerprint, then each cell as it finishes."""

    def emit(line: Dict[str, Any]) -> None:
        output.write(json.dumps(line, allow_nan=False) + "\n")
        output.flush()

    obstacle = set_up(framework, settings)
    seen = {name: value for name, value in sorted(os.environ.items()) if VARIABLES.fullmatch(name)}
    try:
        framework.load(settings)
    except Exception as error:
        traceback.print_exc()
        obstacle = obstacle or error

    def train(task: Task) -> Dict[str, Any]:
        if obstacle is not None:
            raise obstacle
        return framework.train(complete(task, framework))

    emit({"line": "fingerprint", "fingerprint": fingerprint(framework, [task.device for task in tasks], seen)})
    for task in tasks:
        emit({"line": "start", "id": task.id})
        emit(run_cell(task, train))
    emit({"line": "end", "cells": len(tasks)})


def main(framework: Framework) -> None:
    """Serve the job that this process was given."""
    output = private_output()
    # In a checkout this folder holds others named as frameworks, which Python would take for packages.
    here = Path(__file__).resolve().parent
    sys.path[:] = [path for path in sys.path if Path(path).resolve() != here]
    folder = Path(sys.argv[0]).resolve().parent
    try:
        settings, tasks = parse_job(read_job(folder, sys.argv[1:]))
    except (MalformedJob, OSError, UnicodeDecodeError) as error:
        print(f"malformed job: {error}", file=sys.stderr)
        print("the job's form is in docs/architecture.md, an example in default-job.json", file=sys.stderr)
        sys.exit(2)
    serve(framework, settings, tasks, output)
