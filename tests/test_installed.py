"""From an installed wheel, in an empty folder: all is there, and nothing is written among the product's own files."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import yaml

from repromatrix.results.store import Store

ROOT = Path(__file__).parent.parent
START = "import sys; from repromatrix.__main__ import main; sys.exit(main())"
pytestmark = pytest.mark.network  # the build's own requirements are fetched


class Installed:
    """The wheel as pip unpacks it, and an empty folder to type commands in."""

    def __init__(self, site: Path, folder: Path) -> None:
        self.site, self.folder = site, folder

    def __call__(self, *arguments: str, code: int = 0) -> str:
        done = subprocess.run(
            [sys.executable, "-c", START, *arguments],
            cwd=self.folder,
            env={**os.environ, "PYTHONPATH": str(self.site)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == code, done.stderr
        return done.stdout + done.stderr

    def files(self) -> set[Path]:
        return {path for path in self.site.rglob("*") if "__pycache__" not in path.parts}


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(folder), str(ROOT)]
    subprocess.run(build, check=True, timeout=300)
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


@pytest.fixture
def installed(site: Path, tmp_path: Path) -> Installed:
    return Installed(site, tmp_path)


def test_an_empty_folder_has_the_matrix_that_comes_with_it_and_says_so_where_one_s_own_is_due(installed) -> None:
    assert "mazur/numpy-2.4.6-cpu/sequential" in installed("plan")
    told = installed("matrix", code=2)
    assert "no such file" in told
    assert "repromatrix init" in told
    assert "mazur/numpy-2.4.6-cpu/sequential" in installed("plan", "--matrix", "builtin")


def test_what_init_writes_runs_and_its_locks_are_those_of_the_product(installed) -> None:
    before = installed.files()
    assert "repromatrix matrix" in installed("init", "--framework", "numpy")
    assert "2 of 2 locks are up to date" in installed("lock", "--check")
    told = installed("matrix", "--engine", "process", "--no-explain", "--select", "numpy-2.4.6-cpu")
    assert "2 cells: 2 ok" in told
    assert (installed.folder / "report" / "index.html").is_file()
    assert installed.files() == before


def test_a_lock_of_one_s_own_matrix_is_written_beside_it(installed) -> None:
    before = installed.files()
    installed("init")
    path = installed.folder / "matrix.yaml"
    document = yaml.safe_load(path.read_text())
    document["environments"][0]["versions"] = ["2.4.5"]
    path.write_text(yaml.safe_dump(document))
    assert "missing" in installed("lock", "--check", code=4)
    installed("lock")
    lock = installed.folder / "locks" / "numpy-2.4.5-cpu.txt"
    assert "numpy==2.4.5" in lock.read_text()
    assert installed.files() == before
    lock.rename(lock.with_name("numpy-9.9.9-cpu.txt"))
    assert "orphaned" in installed("lock", "--check", code=4)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("example", "environment"), [("classifier_torch", "torch-2.13.0-cpu"), ("classifier_jax", "jax-0.10.2-cpu")]
)
def test_an_example_runs_as_it_is(installed, example: str, environment: str) -> None:
    shutil.copytree(ROOT / "examples", installed.folder, dirs_exist_ok=True)
    cell = f"{example}/{environment}/default"
    told = installed("run", "--engine", "process", "--select", cell)
    assert "1 cells: 1 ok" in told
    assert "loss by step" in told
    store = Store(installed.folder / "results")
    (entry,) = store.read_manifest().entries
    record = store.read(cell, entry.key)
    assert record.deterministic is True
    (trajectory,) = record.trajectories
    assert [(each.name, each.dtype, each.count) for each in trajectory.metrics] == [("loss", "float32", 10)]
    assert (trajectory.said(1), trajectory.said(10)) == ("step 10", "step 100")
    assert float.fromhex(trajectory.losses[-1]) < float.fromhex(trajectory.losses[0])


def test_a_script_runs_as_it_is_in_an_empty_folder(installed) -> None:
    script = "import numpy as np\nfor step in range(1, 4):\n    print('step', step, 'loss', float(np.exp(-step)))\n"
    (installed.folder / "train.py").write_text(script)
    installed("init", "--script", "train.py")
    told = installed("matrix", "--engine", "process", "--no-explain")
    assert "2 cells: 2 ok" in told
    assert (installed.folder / "report" / "index.html").is_file()
