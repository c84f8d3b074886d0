"""A kept judgement is found only by the code that would judge the same: the release covers all of it."""

import subprocess
import sys
from pathlib import Path

from repromatrix.operations import release

LOADED = """
import sys
from repromatrix.operations import judgement as arithmetic
from repromatrix.operations import fit, forms, fresh, truth
for name, module in sys.modules.items():
    if name.startswith("repromatrix."):
        print(module.__file__)
"""


def test_every_module_that_a_judgement_stands_on_is_of_the_release() -> None:
    told = subprocess.run([sys.executable, "-c", LOADED], check=True, capture_output=True, text=True).stdout
    loaded = {Path(line) for line in told.splitlines()}
    assert {path for path in loaded if path.name != "__init__.py"} <= set(release.code())


def test_a_changed_module_is_another_release(monkeypatch, tmp_path: Path) -> None:
    before = release.release()
    changed = tmp_path / "floats.py"
    changed.write_text("# other code\n")
    code = tuple(changed if path.name == changed.name else path for path in release.code())
    monkeypatch.setattr(release, "code", lambda: code)
    assert release.release.__wrapped__() != before


def test_another_numpy_is_another_release(monkeypatch) -> None:
    before = release.release()
    monkeypatch.setattr(release, "version", lambda _: "0.0")
    assert release.release.__wrapped__() != before
