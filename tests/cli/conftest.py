"""The command line over the small matrix and the engine in memory, in a folder of its own."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from repromatrix import resources
from repromatrix.__main__ import main
from repromatrix.engines import choose as choosing
from repromatrix.engines.choose import Choice
from tests.fakes import Bench, FakeEngine

PUBLISHED = """\
published:
  data: published.json
  columns:
    NumPy: {framework: numpy, variant: parallel}
"""


@dataclass(frozen=True, slots=True)
class Said:
    """What a command left behind."""

    code: int
    out: str
    err: str


@dataclass(frozen=True, slots=True)
class Command:
    """`command("run", "--json")` in the folder of the small matrix."""

    folder: Path
    engine: FakeEngine
    locks: Path
    main: Callable[..., Said]

    def __call__(self, *arguments: str) -> Said:
        return self.main(*arguments)


@pytest.fixture
def command(bench: Bench, write_matrix, monkeypatch, capsys, tmp_path: Path) -> Command:
    write_matrix((PUBLISHED, ""))
    product, real = tmp_path / "images", resources.folder
    skip = shutil.ignore_patterns("locks", "__pycache__")
    shutil.copytree(real("images"), product, ignore=skip, dirs_exist_ok=True)
    monkeypatch.setattr(resources, "folder", lambda name: product if name == "images" else real(name))
    monkeypatch.setattr(resources, "matrix", lambda: tmp_path / "matrix.yaml")
    monkeypatch.setattr(choosing, "choose", lambda _: Choice(engine=bench.engine, reason="a test wants it"))
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> Said:
        capsys.readouterr()
        code = main(arguments)
        out, err = capsys.readouterr()
        return Said(code, out, err)

    return Command(tmp_path, bench.engine, product, run)
