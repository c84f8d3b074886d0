"""From an installed wheel, in an empty folder: all is there, and nothing is written among the product's own files."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import yaml

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
