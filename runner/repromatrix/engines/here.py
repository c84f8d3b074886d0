"""The reader's own interpreter as an environment: found and not made, with the reader's own variables.

An activated conda environment or an HPC module lives by variables (LD_LIBRARY_PATH, CONDA_PREFIX, ...), so a run gets
all of them, where the other engines give none. Limits are watched as in the process engine.
"""

import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from repromatrix import resources
from repromatrix.engines import homes
from repromatrix.engines.base import Base, BuildSpec, Built, remade
from repromatrix.engines.process import ProcessEngine

# The first would hide the files beside the entrypoint from it, the second would keep it from ending.
_LEFT_OUT = ("PYTHONSAFEPATH", "PYTHONINSPECT")
_MARKER = "complete"


class HereEngine(ProcessEngine):
    """One interpreter of this machine; all that is made is a copy of the entrypoint."""

    name = "here"

    def __init__(self, base: Base) -> None:
        super().__init__()
        self.base = base

    def __reduce__(self) -> tuple[Any, ...]:
        return remade, (HereEngine, self.base)

    def describe(self) -> str:
        """Return the engine and its interpreter in one line."""
        return f"here ({self.base.reference} as it is, nothing is installed)"

    def find(self, spec: BuildSpec) -> Built | None:
        """Return the staged sources if they are there and whole."""
        folder = _folder(spec)
        return Built(reference=str(folder), digest=None) if (folder / _MARKER).is_file() else None

    def build(self, spec: BuildSpec, log: Path) -> Built:
        """Stage the sources; nothing else is made. The story goes to `log`."""
        folder = _folder(spec)
        folder.parent.mkdir(parents=True, exist_ok=True)
        with homes.home() as home:
            half_made = home / folder.name
            half_made.mkdir()
            _copy(spec.sources, half_made)
            (half_made / _MARKER).touch()
            try:
                half_made.rename(folder)
            except OSError:
                if not self.find(spec):  # else another process was first, with the same files
                    raise
        with log.open("a", encoding="utf-8") as story:
            story.write(f"{spec.name}: {folder} for {self.base.reference}\n")
        return Built(reference=str(folder), digest=None)

    def _launch(self, built: Built, home: Path, *, gpu: bool) -> tuple[list[str], dict[str, str]]:
        command = [self.base.reference, str(Path(built.reference) / "entrypoint.py")]
        return command, own_variables(gpu=gpu) | {"TMPDIR": str(home)}


def own_variables(*, gpu: bool) -> dict[str, str]:
    """Return this process's variables as a run gets them: import paths made absolute, GPUs hidden if unused."""
    found = {name: value for name, value in os.environ.items() if name not in _LEFT_OUT}
    if "PYTHONPATH" in found:
        found["PYTHONPATH"] = os.pathsep.join(os.path.abspath(each) for each in found["PYTHONPATH"].split(os.pathsep))  # noqa: PTH100 - Path("") is "."
    return found if gpu else found | {"CUDA_VISIBLE_DEVICES": ""}


def _folder(spec: BuildSpec) -> Path:
    return resources.cache() / "here" / f"{spec.name}-{spec.tag}"


def _copy(sources: Sequence[Path], folder: Path) -> None:
    for source in sources:
        shutil.copyfile(source, folder / source.name)
    folder.chmod(0o755)
