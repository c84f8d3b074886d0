"""What an interpreter tells of itself: its identity changes with what is installed, and a legal name comes out."""

import sys
import venv
from pathlib import Path

import pytest

from repromatrix.errors import EnvironmentFailedError
from repromatrix.images.here import Found, probe
from repromatrix.results.store import Store


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """An interpreter in which nothing is installed."""
    venv.create(tmp_path / "bare", symlinks=True, with_pip=False)
    return tmp_path / "bare"


@pytest.fixture
def install(bare: Path):
    """Put a package of one module into the interpreter."""
    site = bare / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}" / "site-packages"

    def put(name: str, version: str, code: str = "") -> None:
        (site / f"{name}.py").write_text(f"{code}\n__version__ = {version!r}\n")
        info = site / f"{name}-1.dist-info"
        info.mkdir(exist_ok=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")

    return put


def python(folder: Path) -> str:
    return str(folder / "bin" / "python")


def test_an_interpreter_tells_itself_and_the_frameworks_version(bare, install) -> None:
    install("torch", "2.13.0+cpu")
    found = probe(python(bare), "torch")
    assert (found.version, found.packages, found.backend) == ("2.13.0+cpu", 1, "")
    assert found.python == ".".join(map(str, sys.version_info[:3]))
    assert (found.base.kind, found.base.reference) == ("here", python(bare))
    assert found.base.digest.startswith(f"CPython {found.python}")


def test_the_identity_is_what_is_installed_and_the_variables_that_matter_and_no_place(
    bare, install, tmp_path, monkeypatch
) -> None:
    install("torch", "2.13.0")
    first = probe(python(bare), "torch").base.digest
    bare.rename(tmp_path / "moved")
    monkeypatch.setenv("NOBODY_CARES", "1")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "7")  # the job scheduler's choice
    assert probe(python(tmp_path / "moved"), "torch").base.digest == first
    (tmp_path / "moved").rename(bare)
    install("numpy", "2.4.6")
    second = probe(python(bare), "torch").base.digest
    monkeypatch.setenv("LD_LIBRARY_PATH", "/opt/other/blas")
    third = probe(python(bare), "torch").base.digest
    monkeypatch.setenv("XLA_FLAGS", "--xla_some_flag")
    fourth = probe(python(bare), "torch").base.digest
    (bare / "conda-meta").mkdir()
    (bare / "conda-meta" / "mkl-2025.0.json").write_text("{}")
    assert len({first, second, third, fourth, probe(python(bare), "torch").base.digest}) == 5


def test_a_framework_that_talks_on_standard_output_is_no_obstacle(bare, install) -> None:
    install("torch", "1", "print('welcome')")
    assert probe(python(bare), "torch").version == "1"


@pytest.mark.parametrize(("asked", "backend"), [("jax", "jax"), (None, "torch")])
def test_keras_runs_on_the_backend_that_its_entrypoint_would_choose(bare, install, monkeypatch, asked, backend) -> None:
    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    if asked:
        monkeypatch.setenv("KERAS_BACKEND", asked)
    install("keras", "3.15.1")
    install("torch", "2.13.0")
    found = probe(python(bare), "keras")
    assert found.backend == backend
    assert found.environment("here", ("cpu",)).variables == (("KERAS_BACKEND", backend),)


def test_a_framework_that_is_not_there_is_told_with_what_is(bare, install) -> None:
    install("jax", "0.10.2")
    with pytest.raises(
        EnvironmentFailedError, match=r"torch is not installed; Python 3\S+ has jax 0\.10\.2\n"
    ) as caught:
        probe(python(bare), "torch")
    assert "--here torch --python PATH" in caught.value.hint
    assert caught.value.where == python(bare)


def test_a_framework_that_does_not_import_is_told_with_its_error(bare, install) -> None:
    install("torch", "2", "raise ImportError('libcudart.so.12: cannot open')")
    with pytest.raises(EnvironmentFailedError, match=r"torch cannot be imported: ImportError: libcudart\.so\.12"):
        probe(python(bare), "torch")


def script(path: Path, body: str) -> str:
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return str(path)


def test_an_old_python_is_too_old(tmp_path) -> None:
    old = script(tmp_path / "python", """echo '{"executable": "", "version": "3.6.15", "old": true}'""")
    with pytest.raises(EnvironmentFailedError, match=r"Python 3\.6\.15 is too old: the harness needs 3\.8"):
        probe(old, "torch")


def test_what_is_no_python_is_told_with_its_last_words(tmp_path) -> None:
    with pytest.raises(EnvironmentFailedError, match=r"no Python .*\(exit code 3\): go away"):
        probe(script(tmp_path / "python", "echo go away >&2; exit 3"), "torch")
    with pytest.raises(EnvironmentFailedError, match="cannot be asked what it is"):
        probe(str(tmp_path / "nothing"), "torch")


@pytest.mark.parametrize(
    ("version", "name"),
    [
        ("2.13.0+cpu", "torch-2.13.0+cpu-laptop"),
        ("2.9.0.dev20250801+cu128", "torch-2.9.0.dev20250801+cu128-laptop"),
        ("2.9.0a0+50eac811a6.nv25.09", "torch-2.9.0a0+50eac811a6.nv25.09-laptop"),
        ("1!2.0 (git/main)", "torch-1_2.0__git_main_-laptop"),
    ],
)
def test_every_version_gives_a_name_that_a_results_folder_takes(bare, install, tmp_path, version, name) -> None:
    install("torch", version)
    found: Found = probe(python(bare), "torch")
    environment = found.environment("laptop", ("cpu",))
    assert environment.name == name
    store = Store(tmp_path / "results")
    assert store.record_path(f"tiny/{name}/auto@cuda0+avx2", "ab" * 32).is_relative_to(store.folder)
