"""A kept judgement is found only by the code that would judge the same: the release covers all of it."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from repromatrix.operations import release

PACKAGE = Path(release.__file__).parents[1]
NAMES = [path.relative_to(PACKAGE).as_posix() for path in release.code()]
LOADED = """
import sys
from repromatrix.operations import kept, judgement
from repromatrix.operations import fit, forms, fresh, truth
for name, module in sys.modules.items():
    if name.startswith("repromatrix."):
        print(module.__file__)
"""


def test_every_module_that_a_judgement_loads_is_of_the_release() -> None:
    told = subprocess.run([sys.executable, "-c", LOADED], check=True, capture_output=True, text=True).stdout
    loaded = {Path(line) for line in told.splitlines()}
    assert {path for path in loaded if path.name != "__init__.py"} <= set(release.code())


def test_what_judges_is_there_by_name_and_what_does_not_is_not() -> None:
    assert {"operations/judgement.py", "operations/catalogue.py", "floats.py", "graph.py"} <= set(NAMES)
    assert {"results/replay.py", "operations/elementary_exp.py", "resources.py"} <= set(NAMES)
    assert not {name for name in NAMES if name.startswith(("report/", "explain/", "cli/", "execute/"))}


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("copy") / "repromatrix"
    shutil.copytree(PACKAGE, folder, ignore=shutil.ignore_patterns("__pycache__", "_data"))
    return folder


def release_of(folder: Path) -> str:
    return release.digest(release.code(folder), folder)


def test_a_copy_is_the_same_release(copy: Path) -> None:
    assert release_of(copy) == release.release()


@pytest.mark.parametrize("name", NAMES)
def test_an_edit_of_any_of_them_is_another_release(copy: Path, name: str) -> None:
    text = (copy / name).read_text()
    try:
        (copy / name).write_text(f"{text}\n# edited\n")
        assert release_of(copy) != release.release()
    finally:
        (copy / name).write_text(text)


def test_a_new_module_of_the_rooms_is_another_release(copy: Path) -> None:
    new = copy / "operations" / "unheard_of.py"
    new.write_text("x = 1\n")
    try:
        assert release_of(copy) != release.release()
    finally:
        new.unlink()


def test_an_edit_elsewhere_is_the_same_release(copy: Path) -> None:
    path = copy / "report" / "wording.py"
    text = path.read_text()
    try:
        path.write_text(f"{text}\n# edited\n")
        assert release_of(copy) == release.release()
    finally:
        path.write_text(text)


def test_another_numpy_is_another_release(monkeypatch: pytest.MonkeyPatch) -> None:
    before = release.release()
    monkeypatch.setattr(release, "version", lambda _: "0.0")
    assert release.release.__wrapped__() != before
