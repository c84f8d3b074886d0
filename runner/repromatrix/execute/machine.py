"""What a machine has to have -> what works on it, what does not, what to type."""

import platform
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from repromatrix import resources
from repromatrix.errors import RepromatrixError

_NEEDED_GIB = 12  # the default profile with Docker: wheels, images and build cache


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was looked at; `needed`: no run can do without."""

    name: str
    ok: bool
    needed: bool
    found: str
    hint: str = ""


def look(matrix: Path, *, shared: bool) -> Iterator[Finding]:
    """Yield what is found of everything, nothing being made; `shared`: a registry was named that gives images."""
    return chain(
        _platform(),
        _engines(),
        _automatic(matrix, shared=shared),
        _interpreters(matrix),
        _sources(),
        _registry(matrix),
        _disk(),
        _gpu(),
        _locks(matrix),
    )


def _platform() -> list[Finding]:
    machine, system = platform.machine(), platform.system()
    libc = " ".join(platform.libc_ver())
    return [
        Finding(
            name="platform",
            ok=(system, machine) == ("Linux", "x86_64"),
            needed=True,
            found=f"{system} {machine} {libc}, Python {platform.python_version()}",
            hint="the locks are for x86-64 Linux; use such a machine or a Linux virtual machine",
        )
    ]


def _engines() -> list[Finding]:
    from repromatrix.engines.choose import choose  # noqa: PLC0415 - each check pays for its own imports

    findings = []
    for name in ("docker", "process"):
        try:
            found = choose(name).engine.describe()
            findings.append(Finding(name=f"engine {name}", ok=True, needed=name == "process", found=found))
        except RepromatrixError as error:
            findings.append(
                Finding(
                    name=f"engine {name}",
                    ok=False,
                    needed=name == "process",
                    found=error.what,
                    hint=error.hint or "make engine (Debian, Ubuntu: installs and starts one)",
                )
            )
    return findings


def _automatic(path: Path, *, shared: bool) -> list[Finding]:
    """Tell what `--engine auto` does for the default profile."""
    from repromatrix.images.auto import prospect  # noqa: PLC0415
    from repromatrix.matrix import load  # noqa: PLC0415
    from repromatrix.plan import plan  # noqa: PLC0415

    try:
        environments = plan(load(path), profile="default").environments
        found = prospect(environments, shared=shared)
    except RepromatrixError as error:
        return [Finding(name="engine auto", ok=False, needed=False, found=f"not known: {error.what}")]
    first = f"; first {found.supply.work}" if found.supply.work else ""
    told = f"takes {found.choice.engine.name} ({found.choice.reason}){first}"
    return [Finding(name="engine auto", ok=True, needed=False, found=told)]


def _interpreters(path: Path) -> list[Finding]:
    from repromatrix.images.interpreters import find  # noqa: PLC0415
    from repromatrix.matrix import load  # noqa: PLC0415

    try:
        matrix = load(path)
    except RepromatrixError as error:
        return [Finding(name="matrix", ok=False, needed=True, found=str(error))]
    findings = []
    for python in sorted({each.python for each in matrix.environments}):
        try:
            findings.append(Finding(name=f"Python {python}", ok=True, needed=False, found=find(python).reference))
        except RepromatrixError as error:
            findings.append(Finding(name=f"Python {python}", ok=False, needed=False, found=error.what, hint=error.hint))
    return findings


def _sources() -> list[Finding]:
    from repromatrix.images.sources import configured, index_answers  # noqa: PLC0415

    sources = configured()
    places = f"{1 + len(sources.extra_indexes)} indexes, {len(sources.find_links)} folders of wheels"
    problem = index_answers()
    return [
        Finding(
            name="certificates", ok=True, needed=False, found=sources.certificates or "the system's",
        ),
        Finding(
            name="packages", ok=not problem, needed=False, found=f"{places}; {problem or 'the index answers'}",
            hint="check the network, or point pip at a mirror: pip config set global.index-url URL",
        ),
    ]  # fmt: skip


def _registry(path: Path) -> list[Finding]:
    from repromatrix.engines.choose import choose  # noqa: PLC0415
    from repromatrix.engines.docker_images import DockerImages  # noqa: PLC0415
    from repromatrix.images import base as bases  # noqa: PLC0415
    from repromatrix.images.supply import PATIENCE  # noqa: PLC0415
    from repromatrix.matrix import load  # noqa: PLC0415

    hint = "base images are then built from the distribution's packages: make base"
    try:
        choose("docker")
        wanted = bases.entry(load(path).environments[0])
        problem = DockerImages().registry_problem(wanted.pinned, PATIENCE)
    except RepromatrixError as error:
        return [Finding(name="registry", ok=False, needed=False, found=f"not asked: {error.what}", hint=hint)]
    return [
        Finding(name="registry", ok=not problem, needed=False, found=problem or "the image registry answers", hint=hint)
    ]


def _disk() -> list[Finding]:
    place = resources.cache()
    there = next(path for path in (place, *place.parents) if path.exists())
    free = shutil.disk_usage(there).free / 2**30
    return [
        Finding(
            name="disk", ok=free >= _NEEDED_GIB, needed=False, found=f"{free:.0f} GiB free for {place}",
            hint=f"about {_NEEDED_GIB} GiB are needed; set REPROMATRIX_CACHE to a folder with more",
        )
    ]  # fmt: skip


def _gpu() -> list[Finding]:
    from repromatrix.execute.host import cpu_class, nvidia_devices  # noqa: PLC0415

    devices = nvidia_devices()
    return [
        Finding(name="CPU class", ok=True, needed=False, found=cpu_class()),
        Finding(
            name="GPU",
            ok=bool(devices),
            needed=False,
            found="; ".join(devices) or "no NVIDIA device: CUDA cells are skipped",
        ),
    ]


def _locks(path: Path) -> list[Finding]:
    from repromatrix.images.lock import is_current  # noqa: PLC0415
    from repromatrix.matrix import load  # noqa: PLC0415

    try:
        environments = load(path).environments
    except RepromatrixError:
        return []  # told by _interpreters
    without = [each.name for each in environments if not is_current(each)]
    found = f"{len(environments) - len(without)} of {len(environments)} environments"
    return [
        Finding(name="locks", ok=not without, needed=True, found=found, hint=f"make lock  ({', '.join(without[:5])})")
    ]
