"""A matrix small enough to know by heart, and the functions to write and break it."""

import os
import signal
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
from hypothesis import settings

from repromatrix.engines.base import Base
from repromatrix.engines.choose import choose
from repromatrix.errors import RepromatrixError
from repromatrix.execute import host
from repromatrix.images import interpreters, wheels
from repromatrix.matrix import Matrix, load
from repromatrix.results.store import Store
from tests.fakes import Bench

# A shell that starts the tests in the background has it ignored, also for every process that they start.
signal.signal(signal.SIGINT, signal.default_int_handler)

# The same examples every time: a red build must not depend on luck.
settings.register_profile("repromatrix", derandomize=True, deadline=None, database=None)
settings.load_profile("repromatrix")

REQUIRE_DOCKER = "REPROMATRIX_REQUIRE_DOCKER"  # set where a missing engine must not pass as a skipped test


@cache
def _no_docker() -> str:
    """Return why no Docker engine can be used, or an empty text."""
    try:
        choose("docker")
    except RepromatrixError as error:
        return error.what
    return ""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Say how to ask for what takes too long for every run of the tests."""
    parser.addoption("--every-bit", action="store_true", help="flip every bit of a results folder, not samples of them")
    parser.addoption("--changes", type=int, metavar="N", help="change N values of each kind of file on purpose")


@pytest.fixture
def every_bit(request: pytest.FixtureRequest) -> bool:
    """Whether all bits are to be flipped."""
    return bool(request.config.getoption("--every-bit"))


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("docker") and (reason := _no_docker()):
        if os.environ.get(REQUIRE_DOCKER):
            pytest.fail(f"{REQUIRE_DOCKER} is set, but {reason}")
        pytest.skip(f"{reason}: make engine")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the files with slow tests first: a worker takes a whole file, and a long last one would leave others idle."""
    long = {item.path for item in items for mark in ("slow", "docker", "network") if item.get_closest_marker(mark)}
    items.sort(key=lambda item: item.path not in long)


SMALL = """\
format: 1
defaults:
  python: "3.11"
  base: bookworm
  repeats: 2
  limits: {seconds: 5, memory_mib: 512, processes: 64}
environments:
  - framework: numpy
    flavour: cpu
    versions: ["1.0", "2.0"]
    packages: ["numpy=={version}"]
  - framework: torch
    flavour: cuda
    versions: ["3.0"]
    packages: ["torch=={version}"]
    devices: [cpu, "cuda:0"]
workloads: [./tiny]
settings:
  default: {threads: 1}
  avx2: {isa: avx2, variables: {SOME_CAP: "1"}}
include:
  - {cells: tiny/numpy-2.0-cpu/parallel, settings: avx2, reason: a cap mimics an upgrade}
exclude:
  - {cells: "*/numpy-1.0-cpu/unrolled", reason: not written for that version}
profiles:
  default: {environments: ["numpy-*"], devices: [cpu]}
  cuda: {environments: ["torch-*"], devices: ["cuda:0"]}
  both: {environments: ["*"], exclude_environments: [numpy-1.0-cpu]}
tolerances:
  float64: {relative: 1.0e-7, absolute: 1.0e-7, source: defaults of a framework}
  float32: {relative: 1.3e-6, absolute: 1.0e-5, source: defaults of a framework}
  float16: {relative: 1.0e-3, absolute: 1.0e-5, source: defaults of a framework}
"""

TINY = """\
format: 1
steps: 2
metrics: [loss]
outputs: [output]
numbers: {hidden_bias: "0.35", output_bias: "0.60", learning_rate: "0.5"}
inputs:
  input: {decimal: ["0.05", "0.10"]}
  target: {decimal: ["0.01"]}
  hidden_weights: {decimal: [["0.15", "0.20"], ["0.25", "0.30"], ["0.35", "0.40"]], parameter: true}
  output_weights: {decimal: [["0.40", "0.45", "0.50"]], parameter: true}
graph:
  hidden_product: product(hidden_weights, input)
  hidden_pre: bias(hidden_product, hidden_bias)
  hidden: sigmoid(hidden_pre)
  output_product: product(output_weights, hidden)
  output_pre: bias(output_product, output_bias)
  output: sigmoid(output_pre)
  loss: loss(output, target)
  output_error: error(output, target)
  output_delta: sigmoid_gradient(output_pre, output, output_error)
  grad_output_weights: outer(output_delta, hidden)
  output_weights: update(output_weights, grad_output_weights, learning_rate)
  hidden_error: {update=sequential: "back(output_weights', output_delta)", "*": "back(output_weights, output_delta)"}
  hidden_delta: sigmoid_gradient(hidden_pre, hidden, hidden_error)
  grad_hidden_weights: outer(hidden_delta, input)
  hidden_weights: update(hidden_weights, grad_hidden_weights, learning_rate)
factors:
  gradient: {numpy: [manual], "*": [auto, manual]}
  update: [parallel, sequential]
  loop: {numpy: [rolled, unrolled], "*": [rolled]}
  layout: [out_in, in_out]
  compile: {torch: [eager, inductor], "*": [eager]}
variants:
  numpy:
    parallel: {dtypes: [float64, float32], options: {gradient: manual}}
    unrolled: {dtypes: [float64], steps: 1, options: {loop: unrolled}}
  torch:
    auto: {dtypes: [float32], options: {gradient: auto}}
published:
  data: published.json
  columns:
    NumPy: {framework: numpy, variant: parallel}
"""
MODULE = "def train(task):\n    raise task.Unavailable('never run')\n\n\noperations = train\n"

WriteMatrix = Callable[..., Path]


@pytest.fixture
def write_matrix(tmp_path: Path) -> WriteMatrix:
    """Write the small matrix with (old, new) texts replaced, or any other text or bytes; return its path."""

    def write(*replacements: tuple[str, str], content: str | bytes = SMALL) -> Path:
        workload = TINY
        for old, new in replacements:
            assert isinstance(content, str)
            assert content.count(old) + workload.count(old) == 1, f"{old!r} does not stand once in the small matrix"
            content, workload = content.replace(old, new), workload.replace(old, new)
        path = tmp_path / "matrix.yaml"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        folder = tmp_path / "tiny"
        folder.mkdir(exist_ok=True)
        (folder / "workload.yaml").write_text(workload)
        (folder / "published.json").write_text('{"losses": {"NumPy": []}}')
        for name in ("numpy", "torch"):
            (folder / f"{name}.py").write_text(MODULE)
        return path

    return write


@pytest.fixture
def small_matrix(write_matrix: WriteMatrix) -> Callable[..., Matrix]:
    """Load the small matrix with (old, new) texts replaced."""
    return lambda *replacements: load(write_matrix(*replacements))


@pytest.fixture(scope="session")
def checkout() -> Path:
    """Return the root of the checkout."""
    return Path(__file__).parents[1]


@pytest.fixture
def bench(small_matrix, tmp_path: Path, monkeypatch) -> Bench:
    matrix = small_matrix(
        ("parallel: {dtypes: [float64, float32],", "parallel: {dtypes: [float64, float32, float16],"),
        (", exclude_environments: [numpy-1.0-cpu]", ""),
    )
    monkeypatch.setenv("REPROMATRIX_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(
        interpreters, "find", lambda python: Base(kind="interpreter", reference="python", digest=f"{python}.0")
    )
    monkeypatch.setattr(wheels, "fetch", lambda *_: ())
    monkeypatch.setattr(host, "cpu_class", lambda: "x86-64-v3-01234567")
    monkeypatch.setattr(host, "nvidia_devices", tuple)
    for each in matrix.environments:
        path = tmp_path / "images" / each.framework / "locks" / f"{each.name}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        request = " ".join([*each.packages, f"python=={each.python}", "x86_64-manylinux_2_28"])
        sizes = f"# wheel bytes: {each.framework}=1000\n"
        path.write_text(f"# request: {request}\n{sizes}{each.packages[0]} --hash=sha256:{'a' * 64}\n")
    return Bench(matrix, Store(tmp_path / "results"), tmp_path / "images")
