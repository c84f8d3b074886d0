"""What a machine has to have -> what works on it, what does not, what to type."""

import platform
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from repromatrix import resources
from repromatrix.engines import choose as engines
from repromatrix.engines import docker_images
from repromatrix.errors import RepromatrixError
from repromatrix.execute import host
from repromatrix.images import auto, interpreters, sources
from repromatrix.images import base as bases
from repromatrix.images import lock as locks
from repromatrix.images.supply import PATIENCE
from repromatrix.matrix import Environment, Matrix, load
from repromatrix.plan import plan

_NEEDED_GIB = 12  # the default profile with Docker: wheels, images and build cache


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was looked at; `needed`: no run can do without."""

    name: str
    ok: bool
    needed: bool
    found: str
    hint: str = ""


def look(path: Path, *, shared: bool) -> Iterator[Finding]:
    """Yield what is found of everything, nothing being made.

    Args:
        path: of the matrix.
        shared: a registry was named that gives images.
    """
    yield _platform()
    make = "make engine (Debian, Ubuntu: installs and starts one)"
    for name in engines.NAMES:
        yield _tried(f"engine {name}", partial(_engine, name), make, needed=name == "process")
    try:
        matrix = load(path)
    except RepromatrixError as error:
        yield Finding(name="matrix", ok=False, needed=True, found=str(error))
    else:
        yield from _of_matrix(matrix, shared=shared)
    yield from _packages()
    yield _disk()
    yield Finding(name="CPU class", ok=True, needed=False, found=host.cpu_class())
    devices = "; ".join(host.nvidia_devices())
    none = "no NVIDIA device: CUDA cells are skipped"
    yield Finding(name="GPU", ok=bool(devices), needed=False, found=devices or none)


def _tried(name: str, look_up: Callable[[], str], hint: str = "", *, needed: bool = False) -> Finding:
    """Return what looking something up gives; its error says what to do, else `hint` does."""
    try:
        return Finding(name=name, ok=True, needed=needed, found=look_up())
    except RepromatrixError as error:
        return Finding(name=name, ok=False, needed=needed, found=error.what, hint=error.hint or hint)


def _engine(name: str) -> str:
    return engines.choose(name).engine.describe()


def _python(version: str) -> str:
    return interpreters.find(version).reference


def _platform() -> Finding:
    machine, system = platform.machine(), platform.system()
    libc = " ".join(platform.libc_ver())
    return Finding(
        name="platform",
        ok=(system, machine) == ("Linux", "x86_64"),
        needed=True,
        found=f"{system} {machine} {libc}, Python {platform.python_version()}",
        hint="the locks are for x86-64 Linux; use such a machine or a Linux virtual machine",
    )


def _of_matrix(matrix: Matrix, *, shared: bool) -> Iterator[Finding]:
    yield _tried("engine auto", partial(_automatic, matrix, shared=shared))
    for python in sorted({each.python for each in matrix.environments}):
        yield _tried(f"Python {python}", partial(_python, python))
    yield _registry(matrix.environments[0])
    yield _locks(matrix.environments)


def _automatic(matrix: Matrix, *, shared: bool) -> str:
    """Return what `--engine auto` does for the default profile."""
    prospect = auto.prospect(plan(matrix, profile="default").environments, shared=shared)
    first = f"; first {prospect.supply.work}" if prospect.supply.work else ""
    return f"takes {prospect.choice.engine.name} ({prospect.choice.reason}){first}"


def _registry(environment: Environment) -> Finding:
    hint = "base images are then built from the distribution's packages: make base"
    try:
        engines.choose("docker")
        wanted = bases.entry(environment).pinned
        problem = docker_images.DockerImages().registry_problem(wanted, PATIENCE)
    except RepromatrixError as error:
        problem = f"not asked: {error.what}"
    found = problem or "the image registry answers"
    return Finding(name="registry", ok=not problem, needed=False, found=found, hint=hint)


def _locks(environments: Sequence[Environment]) -> Finding:
    without = [each.name for each in environments if not locks.is_current(each)]
    found = f"{len(environments) - len(without)} of {len(environments)} environments"
    hint = f"make lock  ({', '.join(without[:5])})"
    return Finding(name="locks", ok=not without, needed=True, found=found, hint=hint)


def _packages() -> Iterator[Finding]:
    known, problem = sources.configured(), sources.index_answers()
    yield Finding(name="certificates", ok=True, needed=False, found=known.certificates or "the system's")
    places = f"indexes: {1 + len(known.extra_indexes)}, folders of wheels: {len(known.find_links)}"
    found = f"{places}; {problem or 'the index answers'}"
    hint = "check the network, or point pip at a mirror: pip config set global.index-url URL"
    yield Finding(name="packages", ok=not problem, needed=False, found=found, hint=hint)


def _disk() -> Finding:
    place = resources.cache()
    there = next(path for path in (place, *place.parents) if path.exists())
    free = shutil.disk_usage(there).free / 2**30
    found = f"{free:.0f} GiB free for {place}"
    hint = f"about {_NEEDED_GIB} GiB are needed; set REPROMATRIX_CACHE to a folder with more"
    return Finding(name="disk", ok=free >= _NEEDED_GIB, needed=False, found=found, hint=hint)
