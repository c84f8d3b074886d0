"""The folder that a Docker build sees: uv, the lock, the wheels, the sources, the recipe. Emptied afterwards."""

import fcntl
import itertools
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from repromatrix import resources
from repromatrix.engines.base import BuildSpec
from repromatrix.engines.tools import find_uv

_VARIABLES = "# repromatrix: variables\n"


@contextmanager
def build_context(spec: BuildSpec) -> Iterator[Path]:
    """Yield the folder for a build of `spec`; in the cache, so that wheels are linked rather than copied."""
    with _free_slot() as folder:
        shutil.rmtree(folder, ignore_errors=True)  # what a killed runner left
        for part in ("wheels", "sources"):
            (folder / part).mkdir(parents=True)
        for wheel in spec.wheels:
            _link(wheel, folder / "wheels" / wheel.name)
        for source in spec.sources:
            shutil.copyfile(source, folder / "sources" / source.name)
            (folder / "sources" / source.name).chmod(0o644)
        _link(Path(find_uv()), folder / "uv")
        shutil.copyfile(spec.lock, folder / "lock.txt")
        (folder / "Dockerfile").write_text(recipe(spec))
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _free_slot() -> Iterator[Path]:
    """Yield a folder that no other build uses; the kernel frees the slots of a killed runner.

    BuildKit keeps its own copy of a context for each path that it has seen. A few paths that are used again and again
    keep that to one copy for each build at a time, and files that have not changed are not sent again.
    """
    parent = resources.cache() / "contexts"
    parent.mkdir(parents=True, exist_ok=True)
    for number in itertools.count():
        with (parent / f"slot-{number}.lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            yield parent / f"slot-{number}"
            return


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
