"""The folder that a Docker build sees: uv, the lock, the wheels, the sources, the recipe. Removed afterwards."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from runner import resources
from runner.engines import owner
from runner.engines.base import BuildSpec
from runner.engines.tools import find_uv

_VARIABLES = "# repromatrix: variables\n"
_OWNER = ".owner"


@contextmanager
def build_context(spec: BuildSpec) -> Iterator[Path]:
    """Yield the folder for a build of `spec`; in the cache, so that wheels are linked rather than copied."""
    parent = resources.cache() / "contexts"
    parent.mkdir(parents=True, exist_ok=True)
    _remove_leftovers(parent)
    with tempfile.TemporaryDirectory(dir=parent, prefix=f"{spec.name}-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        (folder / _OWNER).write_text(owner.ourselves())
        for part in ("wheels", "sources"):
            (folder / part).mkdir()
        for wheel in spec.wheels:
            _link(wheel, folder / "wheels" / wheel.name)
        for source in spec.sources:
            shutil.copyfile(source, folder / "sources" / source.name)
            (folder / "sources" / source.name).chmod(0o644)
        _link(Path(find_uv()), folder / "uv")
        shutil.copyfile(spec.lock, folder / "lock.txt")
        (folder / "Dockerfile").write_text(recipe(spec))
        (folder / ".dockerignore").write_text(f"{_OWNER}\n")
        yield folder


def recipe(spec: BuildSpec) -> str:
    """Return the Dockerfile with the environment's own variables filled in."""
    text = spec.dockerfile.read_text()
    if text.count(_VARIABLES) != 1:
        raise ValueError(f"{spec.dockerfile} needs the line {_VARIABLES.strip()!r} exactly once")
    return text.replace(_VARIABLES, "".join(f"ENV {name}={_quoted(value)}\n" for name, value in spec.variables))


def _quoted(value: str) -> str:
    for special in '\\"$':
        value = value.replace(special, f"\\{special}")
    return f'"{value}"'


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source.resolve(), target)
    except OSError:  # another file system, or one without hard links
        shutil.copy2(source, target)


def _remove_leftovers(parent: Path) -> None:
    """Remove the folders of runners that were killed."""
    for mark in parent.glob(f"*/{_OWNER}"):
        try:
            dead = owner.is_dead(mark.read_text())
        except OSError:
            continue  # its owner was faster
        if dead:
            shutil.rmtree(mark.parent, ignore_errors=True)
