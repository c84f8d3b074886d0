"""The modules of a workload, which come with the job: imported from a private folder that is never on `sys.path`.

They are the package `workload`, so that `numpy.py` is `workload.numpy` and does not shadow NumPy. They are files, not
text to `exec`: tf.function and torch.compile read the source of what they compile.
"""

from __future__ import annotations

import atexit
import importlib
import os
import sys
from pathlib import Path
from types import ModuleType
from typing import Any, Dict, List, Optional

from job import Code, Unavailable, describe

PACKAGE = "workload"


class WorkloadError(Exception):
    """What is wrong with a workload's code, with file and line where they are known."""


class Modules:
    """Imports the module of a framework out of each workload's files; one workload at a time is there."""

    def __init__(self, codes: Dict[str, Code], framework: str) -> None:
        self.codes, self.framework = codes, framework
        self.folders: Dict[str, Path] = {}
        self.loaded: Dict[str, ModuleType] = {}
        self.current: Optional[str] = None

    def take(self, key: str) -> ModuleType:
        """The workload's module for this framework. Raises Unavailable if it has none, WorkloadError if it breaks."""
        self.show(key)
        if key not in self.loaded:
            if f"{self.framework}.py" not in self.codes[key].files:
                raise Unavailable(f"the workload {self.codes[key].name} has no {self.framework}.py")
            self.loaded[key] = importlib.import_module(f"{PACKAGE}.{self.framework}")
        return self.loaded[key]

    def show(self, key: str) -> None:
        """Make this workload the package, and take away the one that was."""
        if self.current == key:
            return
        for name in [name for name in sys.modules if name == PACKAGE or name.startswith(f"{PACKAGE}.")]:
            del sys.modules[name]
        forget()
        package = ModuleType(PACKAGE)
        package.__path__ = [str(self.folder(key))]
        sys.modules[PACKAGE] = package
        self.loaded.pop(key, None)  # its submodules are imported anew with it
        self.current = key

    def folder(self, key: str) -> Path:
        """Where the files of a workload lie; written once."""
        if key not in self.folders:
            folder = private_folder()
            for name, text in self.codes[key].files.items():
                (folder / name).write_text(text, encoding="utf-8")
            self.folders[key] = folder
        return self.folders[key]


def forget() -> None:
    """Have torch.compile forget the modules of another workload: it keeps them by their names, which are the same."""
    convert = sys.modules.get("torch._dynamo.symbolic_convert")
    if convert is None:
        return
    sys.modules["torch._dynamo"].reset()  # what is compiled asks for them
    kept = getattr(convert, "_import_module", None)
    if kept is not None:  # older releases ask importlib each time
        kept.cache_clear()
    for module in list(sys.modules.values()):
        for name in [name for name in getattr(module, "__dict__", ()) if name.startswith(f"__import_{PACKAGE}_dot_")]:
            delattr(module, name)


def private_folder() -> Path:
    """A new folder for this user alone, removed when the process ends; the module tempfile takes 5 ms to import."""
    place = os.environ.get("TMPDIR") or "/tmp"  # noqa: S108
    if not Path(place).is_dir():  # Windows, or a variable that names nothing
        import tempfile

        place = tempfile.gettempdir()
    folder = Path(place, f"repromatrix-workload-{os.urandom(8).hex()}").absolute()
    folder.mkdir(mode=0o700)
    atexit.register(remove, folder)
    return folder


def remove(folder: Path) -> None:
    """Remove a folder with all that is in it; follows no link."""
    for place, folders, files in os.walk(folder, topdown=False):
        for name in (*files, *folders):
            path = Path(place, name)
            path.rmdir() if name in folders and not path.is_symlink() else path.unlink()
    folder.rmdir()


def print_traceback() -> None:
    """Tell on standard error what went wrong; few processes pay for the import."""
    import traceback

    traceback.print_exc()


def function_of(module: ModuleType, name: str) -> Any:
    """A function of a workload's module. Raises WorkloadError if it has none."""
    function = getattr(module, name, None)
    if not callable(function):
        raise WorkloadError(f"{module.__name__.partition('.')[2]}.py has no function {name}(task)")
    return function


def blamed(error: BaseException, folder: Optional[Path], workload: str) -> str:
    """What went wrong, with file and line of the workload where its code was under way."""
    import traceback

    frames: List[Any] = traceback.extract_tb(error.__traceback__) if folder is not None else []
    if isinstance(error, SyntaxError) and error.filename and Path(error.filename).parent == folder:
        return f"{workload}/{Path(error.filename).name}:{error.lineno}: {describe(error)}"
    own = [frame for frame in frames if Path(frame.filename).parent == folder]
    said = str(error) if isinstance(error, WorkloadError) else describe(error)
    return f"{workload}/{Path(own[-1].filename).name}:{own[-1].lineno}: {said}" if own else said
