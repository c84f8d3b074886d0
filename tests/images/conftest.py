"""An environment of the small matrix, locks and wheels for it."""

import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from repromatrix import resources
from repromatrix.matrix import Environment


@pytest.fixture
def environment(small_matrix) -> Environment:
    return small_matrix().environment("numpy-2.0-cpu")


HARNESS = ("job", "values", "modules", "replay", "task", "command", "fingerprint")


@pytest.fixture
def harness(checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SimpleNamespace]:
    """Return modules of the harness by their names, imported as inside an environment and for this test alone."""
    monkeypatch.syspath_prepend(str(checkout / "images"))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    for name in HARNESS:
        monkeypatch.delitem(sys.modules, name, raising=False)
    yield SimpleNamespace(**{name: importlib.import_module(name) for name in HARNESS})
    for name in [name for name in sys.modules if name in HARNESS or name.partition(".")[0] == "workload"]:
        del sys.modules[name]


REQUEST = "# request: numpy==2.0 python==3.11 x86_64-manylinux_2_28\n"
WriteLock = Callable[[str], Path]


@pytest.fixture
def write_lock(tmp_path: Path) -> WriteLock:
    """Write the lock of numpy-2.0-cpu with that body; return the folder that holds it."""

    def write(body: str, request: str = REQUEST) -> Path:
        path = tmp_path / "images" / "numpy" / "locks" / "numpy-2.0-cpu.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(request + body)
        return tmp_path / "images"

    return write


@pytest.fixture
def interpreter() -> Callable[[str], Path]:
    """Return the Python of an environment that this machine has, or skip."""

    def find(name: str) -> Path:
        folders = sorted((resources.cache() / "environments").glob(f"{name}-*"))
        # A dash and the digest follow the name; what is longer is of another Python.
        pythons = [each / "bin" / "python" for each in folders if len(each.name) == len(name) + 25]
        there = [each for each in pythons if each.exists()]
        if not there:
            pytest.skip(f"this machine has no environment {name}: repromatrix build --engine process --select {name}")
        return there[0]

    return find


# The newest of each framework in the default profile, in whose environment this machine may have it.
ENVIRONMENTS = (
    "numpy-2.4.6-cpu",
    "torch-2.13.0-cpu",
    "torch-2.13.0-inductor",
    "tensorflow-2.15.1-cpu",
    "tensorflow-2.21.0-cpu",
    "jax-0.10.2-cpu",
    "keras-3.15.1-tensorflow",
    "keras-3.15.1-jax",
    "keras-3.15.1-torch",
)


@pytest.fixture(params=ENVIRONMENTS)
def environment_name(request: pytest.FixtureRequest) -> str:
    """Each of them in turn."""
    return str(request.param)
