"""Every folder of images/ keeps the same contract, and adapts its framework for all workloads alike."""

import ast
import contextlib
import importlib.util
import json
import re
import subprocess
import sys
import types
from pathlib import Path

import pytest

from repromatrix.images.default_job import default_job
from repromatrix.images.spec import sources
from repromatrix.matrix import load as load_matrix

ROOT = Path(__file__).resolve().parents[2]
IMAGES = ROOT / "images"
HARNESS = sorted(IMAGES.glob("*.py"))
SHARED = {path.stem for path in HARNESS}
FOLDERS = sorted(path.parent for path in IMAGES.glob("*/entrypoint.py"))
MATRIX = load_matrix(ROOT / "matrix.yaml")
NUMPYS_BFLOAT16 = {"ml_dtypes"}  # comes with every framework that has one; importing it tells NumPy of it
BACKENDS = {"numpy", "torch", "tensorflow", "jax", "keras"}


def load(path, name):
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def entrypoint(monkeypatch):
    """Load an entrypoint as a module: nothing of a framework is imported by that."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    for name in (*SHARED, "entrypoint", "compiler"):
        monkeypatch.delitem(sys.modules, name, raising=False)

    def from_folder(folder):
        sys.path.insert(0, str(folder))
        module = load(folder / "entrypoint.py", f"entrypoint_of_{folder.name}")
        monkeypatch.delitem(sys.modules, module.__name__)
        return module

    yield from_folder
    for name in (*SHARED, "compiler"):
        sys.modules.pop(name, None)


@pytest.fixture
def library_of(entrypoint):
    """Load the backend that an entrypoint asks, by the folder's name."""
    return lambda name: vars(entrypoint(IMAGES / name))["library"]


def framework(module):
    (found,) = [
        value
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, module.Framework) and value is not module.Framework
    ]
    return found


def imported(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        if isinstance(node, ast.ImportFrom):
            yield (node.module or "").partition(".")[0]


def test_there_are_entrypoints():
    assert {folder.name for folder in FOLDERS} >= BACKENDS


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
class TestEveryFolder:
    def test_is_written_for_python_3_9(self, folder):
        for path in folder.glob("*.py"):
            ast.parse(path.read_text(), feature_version=(3, 9))

    def test_imports_the_framework_only_after_the_variables_are_set(self, folder):
        tree = ast.parse((folder / "entrypoint.py").read_text())
        own = {path.stem for path in folder.glob("*.py")} | SHARED
        at_the_top = set(imported(ast.Module([node for node in tree.body if "Import" in type(node).__name__], [])))
        assert at_the_top <= sys.stdlib_module_names | own
        assert set(imported(tree)) <= sys.stdlib_module_names | own | BACKENDS | NUMPYS_BFLOAT16

    def test_is_called_as_its_folder_and_a_workloads_module_for_it(self, folder, entrypoint):
        found = framework(entrypoint(folder))
        assert found.name == folder.name
        assert set(found.dtypes) <= {"float64", "float32", "bfloat16", "float16"}

    def test_adapts_the_framework_and_nothing_of_a_workload(self, folder, entrypoint):
        module = entrypoint(folder)
        assert {"tensor", "value"} <= set(vars(framework(module)))
        assert not {"train", "options", "replay"} & set(vars(framework(module)))

    def test_spells_its_caps_with_known_knobs(self, folder, entrypoint):
        module = entrypoint(folder)
        assert set(framework(module).knobs) <= set(sys.modules["knobs"].SPELLINGS)

    def test_has_a_default_job_of_published_cells_that_it_can_read(self, folder, entrypoint, monkeypatch, tmp_path):
        monkeypatch.setenv("REPROMATRIX_CACHE", str(tmp_path))
        found = framework(entrypoint(folder))
        environment = environment_of(folder.name)
        job = sys.modules["job"].parse_job(default_job(environment).read_text())
        assert job.cells
        assert {cell.device for cell in job.cells} == {"cpu"}
        assert {cell.dtype for cell in job.cells} <= set(found.dtypes)
        assert all(f"{found.name}.py" in job.codes[cell.workload].files for cell in job.cells)


def environment_of(framework):
    """The first environment of a framework in the project's matrix."""
    return next(each for each in MATRIX.environments if each.framework == framework)


@pytest.mark.parametrize("path", HARNESS, ids=lambda path: path.stem)
def test_the_harness_is_written_for_python_3_9_with_the_standard_library_alone(path):
    tree = ast.parse(path.read_text(), feature_version=(3, 9))
    at_the_top = set(imported(ast.Module([node for node in tree.body if "Import" in type(node).__name__], [])))
    assert at_the_top <= sys.stdlib_module_names | SHARED
    asked = BACKENDS if path.stem == "backends" else set()
    assert set(imported(tree)) <= sys.stdlib_module_names | SHARED | asked


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_the_sources_of_an_environment_run_side_by_side(folder, tmp_path, monkeypatch):
    monkeypatch.setenv("REPROMATRIX_CACHE", str(tmp_path / "cache"))
    taken = sources(folder.name)
    job = default_job(environment_of(folder.name))
    assert len({path.name for path in taken}) == len(taken)
    assert {path.stem for path in taken} >= SHARED | {"entrypoint"}
    laid_out = tmp_path / "laid-out"
    laid_out.mkdir()
    for path in (*taken, job):
        (laid_out / path.name).write_bytes(path.read_bytes())
    told = [run(laid_out / "entrypoint.py"), run(folder / "entrypoint.py", job.read_text())]
    outcomes = [[(line["id"], line["outcome"]) for line in lines if line["line"] == "cell"] for lines in told]
    assert outcomes[0]
    assert outcomes[0] == outcomes[1]


def test_keras_obeys_the_knobs_of_its_backends(entrypoint):
    module = entrypoint(IMAGES / "keras")
    assert set(module.COMPILE) == set(module.BACKENDS)
    for name, modes in module.COMPILE.items():
        alone = framework(entrypoint(IMAGES / name))
        assert module.BACKENDS[name].knobs == alone.knobs
        known = {workload.name: workload.options(name)["compile"] for workload in MATRIX.workloads}
        assert set(modes) == set(known["mazur"])


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.104.05  Sat Aug 19 01:15:15 UTC 2023", "535.104.05"),
        ("NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  570.86.15  Release Build", "570.86.15"),
    ],
)
def test_the_driver_is_read_from_the_words_of_the_kernel(entrypoint, text, version):
    entrypoint(IMAGES / "numpy")
    assert re.search(sys.modules["fingerprint"].DRIVER, text).group(1) == version


def test_a_gpu_that_is_not_there_is_unavailable(library_of, monkeypatch):
    library = library_of("torch")
    monkeypatch.setattr(library, "gpu_count", lambda: 1)
    assert library.gpu_index("cuda:0") == 0
    with pytest.raises(sys.modules["job"].Unavailable, match="no device cuda:1: this PyTorch sees 1 NVIDIA GPUs"):
        library.gpu_index("cuda:1")


class Place:
    """A part of torch.backends, as far as TF32 goes."""

    def __init__(self, allow_tf32):
        self.allow_tf32 = allow_tf32


class FakeJax(types.ModuleType):
    precision = None

    @contextlib.contextmanager
    def default_matmul_precision(self, precision):
        before, self.precision = self.precision, precision
        try:
            yield
        finally:
            self.precision = before


def fake_torch():
    torch = types.ModuleType("torch")
    torch.__version__ = "9.9"
    torch.backends = types.SimpleNamespace(
        cuda=types.SimpleNamespace(matmul=Place(allow_tf32=False)), cudnn=Place(allow_tf32=True)
    )
    return torch, lambda: (torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32)


def fake_tensorflow():
    tf, state = types.ModuleType("tensorflow"), [True]
    experimental = types.SimpleNamespace(
        tensor_float_32_execution_enabled=lambda: state[0],
        enable_tensor_float_32_execution=lambda enabled: state.__setitem__(0, enabled),
    )
    tf.config = types.SimpleNamespace(experimental=experimental)
    return tf, lambda: state[0]


def fake_jax():
    jax = FakeJax("jax")
    return jax, lambda: jax.precision


# a library, its fake, and its state while TF32 is on and off
SWITCHES = [
    ("torch", fake_torch, (True, True), (False, False)),
    ("tensorflow", fake_tensorflow, True, False),
    ("jax", fake_jax, "tensorfloat32", "float32"),
]


@pytest.fixture
def gpu_task(library_of, monkeypatch):
    """A library that sees one GPU of that compute capability, and a task for it."""

    def make(name, capability=(8, 0), device="cuda:0", dtype="float32", **options):
        library = library_of(name)
        monkeypatch.setattr(library, "gpu_count", lambda: 1)
        monkeypatch.setattr(library, "capability", lambda _: capability)
        cell = types.SimpleNamespace(options={"tf32": "default", **options})
        return library, types.SimpleNamespace(cell=cell, device=device, dtype=dtype)

    return make


@pytest.mark.parametrize(("name", "fake", "on", "off"), SWITCHES, ids=[each[0] for each in SWITCHES])
def test_tf32_is_switched_for_one_cell_and_all_is_as_before_after_it_even_if_it_fails(
    gpu_task, monkeypatch, name, fake, on, off
):
    module, state = fake()
    monkeypatch.setitem(sys.modules, name, module)
    before = state()
    for wanted, meanwhile in (("on", on), ("off", off), ("default", before)):
        library, task = gpu_task(name, tf32=wanted)
        seen = []
        with contextlib.suppress(ZeroDivisionError), library.float32(task):
            seen.append(state())
            raise ZeroDivisionError
        assert seen == [meanwhile]
        assert state() == before


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"device": "cpu"}, "tf32=on needs a GPU: a CPU has no TF32"),
        ({"dtype": "float64"}, "tf32=on needs dtype float32, not float64"),
        ({"capability": (7, 5)}, "tf32=on needs compute capability 8.0, cuda:0 has 7.5"),
        ({"capability": ()}, "cuda:0 has unknown"),
        ({"device": "cuda:1"}, "no device cuda:1"),
    ],
)
@pytest.mark.parametrize("name", ["torch", "tensorflow", "jax"])
def test_tf32_where_there_is_none_is_unavailable(gpu_task, name, changes, reason):
    library, task = gpu_task(name, tf32="on", **changes)
    with pytest.raises(sys.modules["job"].Unavailable, match=reason):
        library.float32(task)


def test_tf32_that_the_driver_is_told_to_forbid_is_unavailable(gpu_task, monkeypatch):
    monkeypatch.setenv("NVIDIA_TF32_OVERRIDE", "0")
    library, task = gpu_task("torch", tf32="on")
    with pytest.raises(sys.modules["job"].Unavailable, match="NVIDIA_TF32_OVERRIDE=0"):
        library.float32(task)


def test_tf32_off_is_no_question_of_the_gpu(gpu_task):
    library, task = gpu_task("torch", capability=(7, 5), tf32="off")
    library.float32(task)


def test_a_pytorch_without_the_switch_is_unavailable(gpu_task, monkeypatch):
    module, _ = fake_torch()
    del module.backends.cudnn.allow_tf32
    monkeypatch.setitem(sys.modules, "torch", module)
    library, task = gpu_task("torch", tf32="off")
    with pytest.raises(sys.modules["job"].Unavailable, match=r"PyTorch 9\.9 has no allow_tf32"), library.float32(task):
        raise AssertionError


def test_jax_tells_its_cudnn_where_it_has_one(library_of, monkeypatch):
    library, lib = library_of("jax"), types.ModuleType("jax._src.lib")
    for name in ("jax", "jax._src"):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    monkeypatch.setitem(sys.modules, "jax._src.lib", lib)
    lib.cuda_versions = types.SimpleNamespace(cudnn_get_version=lambda: 91002)
    assert library.cudnn() == "91002"
    lib.cuda_versions = None  # as in an environment for CPUs
    assert library.cudnn() == "not told by this version"


def test_what_conda_installed_is_told_with_its_builds(entrypoint, monkeypatch, tmp_path):
    entrypoint(IMAGES / "numpy")
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    assert sys.modules["fingerprint"].conda_packages() == []
    (tmp_path / "conda-meta").mkdir()
    for name in ("mkl-2025.0.1-h1_2.json", "history"):
        (tmp_path / "conda-meta" / name).touch()
    assert sys.modules["fingerprint"].conda_packages() == ["mkl-2025.0.1-h1_2"]


def run(path, text=""):
    done = subprocess.run([sys.executable, str(path)], input=text, capture_output=True, text=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]
