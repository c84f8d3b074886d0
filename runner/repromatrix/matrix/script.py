"""A script as it is -> the workload.yaml of a command that runs it. What it needs is guessed from its imports alone."""

import ast
import glob
import json
import os
import re
import sys
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from repromatrix import harmless
from repromatrix.errors import UsageError
from repromatrix.matrix.command import holes
from repromatrix.matrix.model import Environment
from repromatrix.matrix.modules import PARSING
from repromatrix.matrix.text import read_text

_PACKAGE = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?")
FRAMEWORKS = ("keras", "torch", "jax", "tensorflow", "numpy")  # the first that it imports; most bring NumPy
_BROUGHT = {"jax": ("jaxlib", "numpy"), "tensorflow": ("keras", "numpy", "tensorflow-cpu"), "keras": ("numpy",)}
# What is imported under another name than it is installed by.
_INSTALLED = {
    "sklearn": "scikit-learn", "PIL": "pillow", "cv2": "opencv-python-headless", "yaml": "pyyaml",
    "skimage": "scikit-image", "attr": "attrs", "dateutil": "python-dateutil", "google": "protobuf",
    "pytorch_lightning": "pytorch-lightning", "huggingface_hub": "huggingface-hub", "umap": "umap-learn",
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Guess:
    """What a script needs, as its imports tell.

    Attributes:
        frameworks: those in whose environments it can run, most likely one.
        packages: what is to be installed beside a framework.
        files: it, and the modules beside it that it imports; relative to its folder.
    """

    frameworks: tuple[str, ...]
    packages: tuple[str, ...]
    files: tuple[str, ...]


def guess(script: Path, frameworks: Sequence[str], environments: Sequence[Environment]) -> Guess:
    """Return what a script needs; nothing but the script is read.

    Args:
        script: a file of Python.
        frameworks: asked for; empty: the first that it imports.
        environments: those of the product, which tell what comes with a framework.

    Raises:
        UsageError: it cannot be read, is no Python, or imports no framework.
    """
    text = read_text(script, "name a script of Python", str(script), links=True)
    _require_usable(script)
    try:
        with PARSING:
            tree = ast.parse(text.removeprefix("\ufeff"))
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise UsageError(
            f"not Python: {getattr(error, 'msg', error)}", where=f"{script}:{getattr(error, 'lineno', None) or 1}",
            hint="name a script of Python: --script train.py",
        ) from error  # fmt: skip
    names = list(dict.fromkeys(_imported(tree)))
    found = tuple(frameworks) or tuple(name for name in FRAMEWORKS if name in names)[:1]
    if not found:
        raise UsageError(
            f"imports none of {', '.join(sorted(FRAMEWORKS))}",
            where=str(script),
            hint="name the framework in whose environments it runs: --framework numpy",
        )
    folder = _itself(script).parent
    beside = {name: path for name in names if (path := _beside(folder, name))}
    brought = {*found, *(each for name in found for each in _BROUGHT.get(name, ()))}
    brought |= {_canonical(each) for env in environments if env.framework in found for each in env.requirements}
    outside = [
        _INSTALLED.get(name, name) for name in names if name not in beside and name not in sys.stdlib_module_names
    ]
    packages = [each for each in outside if canonicalize_name(each) not in brought]
    for name in packages:
        if not _PACKAGE.fullmatch(name):
            hint = "put that module beside the script, or leave the import out"
            raise UsageError(f"imports {name}, which no package can be called", where=str(script), hint=hint)
    files = (glob.escape(_itself(script).name), *beside.values())
    return Guess(frameworks=found, packages=tuple(packages), files=files)


def _itself(script: Path) -> Path:
    """Return the file that a script is, where it was named by a link: files are copied, links are not."""
    return script.resolve()


def _require_usable(script: Path) -> None:
    """Refuse a script that no command could name.

    Raises:
        UsageError: its name has what a command fills in, or is no text of a path.
    """
    name = _itself(script).name
    what = ""
    if found := holes([name]):
        what = f"{{{found[0]}}} in the name of a script is the place of a factor's value"
    elif "\\" in name or harmless.steers(name):
        what = "the name of the script has a sign that no workload can name"
    if what:
        raise UsageError(what, where=str(script), hint="call the script otherwise: train.py")


def text(script: Path, found: Guess, job: Path) -> str:
    """Return a workload.yaml that runs a script; `job` is the folder in which it is written."""
    script = _itself(script)
    root = Path(os.path.relpath(script.parent, job.resolve())).as_posix()
    lines = [
        "# A script that runs as it is, in a folder of its own. Every key: docs/workloads.md.",
        "format: 1",
        f"title: {json.dumps(script.name)}",
        f"command: [python, {json.dumps(script.name)}] # as it is typed; {{NAME}} is the value of a factor",
        f"frameworks: {_listed(found.frameworks)}",
        f"root: {json.dumps(root)} # where the files lie, from here",
        f"files: {_listed(found.files)} # copied for each run",
        f"packages: {_listed(found.packages)} # what it imports beside the framework, as guessed",
        "read: {from: stdout} # its printed lines; or a file that it writes, or a `pattern` with named groups",
        "# metrics: [loss] # what cells are compared by; without it the losses that are recognised",
        '# factors: {optimizer: [adam, sgd]} # with --optimizer, "{optimizer}" in the command',
        "# data: {images: ../images} # mounted read-only; {images} in the command is where",
        "# network: true # nothing is reached unless it is asked for; records are then not pinned",
    ]
    return "\n".join(lines) + "\n"


def _listed(names: Collection[str]) -> str:
    return f"[{', '.join(map(json.dumps, names))}]"


def _imported(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (each.name.partition(".")[0] for each in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0]


def _beside(folder: Path, name: str) -> str | None:
    """Return the module or the package of that name in a folder, as `files` has it.

    Raises:
        UsageError: it is a link.
    """
    module = folder / f"{name}.py"
    if module.is_symlink():
        hint = "put the file itself there: what is copied for a run is no link"
        raise UsageError(f"imports {module.name}, which is a link", where=str(folder), hint=hint)
    if module.is_file():
        return module.name
    return f"{name}/**/*.py" if (folder / name / "__init__.py").is_file() else None


def _canonical(requirement: str) -> str:
    return canonicalize_name(Requirement(requirement.replace("{version}", "1")).name)
