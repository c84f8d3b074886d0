"""Environment -> `Base`: what its image or virtual environment stands on, found or made.

For the process engine a base is an interpreter of the wanted Python; for docker an image pulled by
digest or, where no registry answers, one built from the distribution's packages.
"""

import json
import platform
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Protocol

import yaml
from uv import find_uv_bin

from runner import resources
from runner.engines.base import Base, RunCommand
from runner.errors import EnvironmentFailedError
from runner.matrix import Environment

# Every file of a built base carries this time, so that two builds of the same packages are equal.
_SOURCE_DATE_EPOCH = "1700000000"
_CLEANING = 10  # seconds for mmdebstrap, which works in a folder of its own, to remove it
_IDENTITY = "import sys,platform;print(sys.version.replace(chr(10),' '),'|',*platform.libc_ver())"


class Images(Protocol):
    """What this module needs of the docker engine."""

    def labels(self, reference: str) -> dict[str, str] | None:
        """Return the labels of a local image, None where there is none."""

    def pull(self, reference: str) -> None:
        """Pull an image by digest."""

    def import_rootfs(self, tar: Path, reference: str, labels: dict[str, str]) -> None:
        """Make an image of a root file system."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BaseEntry:
    """One base of images/bases.yaml for one Python."""

    name: str
    python: str
    suite: str
    registry: str
    digest: str
    packages: tuple[str, ...]

    @property
    def pinned(self) -> str:
        """The registry's reference by digest."""
        repository, _, name = self.registry.rpartition("/")  # a colon before the last slash is a port
        return f"{repository}{'/' if repository else ''}{name.split(':')[0]}@{self.digest}"

    @property
    def local(self) -> str:
        """The reference of the locally built equivalent."""
        return f"repromatrix/base:{self.name}-py{self.python}"


def entry(environment: Environment) -> BaseEntry:
    """Return the entry of images/bases.yaml for an environment.

    Raises:
        EnvironmentFailedError: there is none.
    """
    path = resources.folder("images") / "bases.yaml"
    bases = yaml.safe_load(path.read_text())["bases"]
    found = bases.get(environment.base, {})
    values = found.get("pythons", {}).get(environment.python)
    if values is None:
        known = ", ".join(f"{name} with Python {p}" for name, each in bases.items() for p in each["pythons"])
        raise EnvironmentFailedError(
            f"{environment.name} asks for the base {environment.base!r} with Python {environment.python}",
            where=str(path),
            hint=f"known: {known}",
        )
    return BaseEntry(
        name=environment.base,
        python=environment.python,
        suite=found["suite"],
        registry=values["registry"],
        digest=values["digest"],
        packages=tuple(values.get("packages", ())),
    )


def find_image(wanted: BaseEntry, images: Images) -> Base | None:
    """Return the base if it is on this machine: the registry's before the locally built one."""
    if images.labels(wanted.pinned) is not None:
        return Base(kind="registry", reference=wanted.pinned, digest=wanted.digest)
    labels = images.labels(wanted.local)
    if labels and "repromatrix.base-digest" in labels:
        return Base(kind="local", reference=wanted.local, digest=labels["repromatrix.base-digest"])
    return None


def resolve_image(wanted: BaseEntry, images: Images, log: Path, run: RunCommand) -> Base:
    """Return the base, pulling it by digest, or building it where no registry answers.

    Raises:
        EnvironmentFailedError: neither works; both reasons are named.
    """
    found = find_image(wanted, images)
    if found:
        return found
    try:
        images.pull(wanted.pinned)
        return Base(kind="registry", reference=wanted.pinned, digest=wanted.digest)
    except EnvironmentFailedError as no_registry:
        try:
            return make_image(wanted, images, log, run)
        except EnvironmentFailedError as no_local:
            raise EnvironmentFailedError(
                f"no base image: {no_registry.what}; {no_local.what}",
                where=str(log),
                hint="make one from the distribution's packages: make base (Debian or Ubuntu, as root)",
            ) from no_local


def make_image(wanted: BaseEntry, images: Images, log: Path, run: RunCommand) -> Base:
    """Build the equivalent of a base from the distribution's packages with mmdebstrap, and load it.

    Raises:
        EnvironmentFailedError: mmdebstrap is missing or fails, or the distribution has no such Python.
    """
    tool = shutil.which("mmdebstrap")
    if not tool or not wanted.packages:
        what = "mmdebstrap is not installed" if wanted.packages else f"{wanted.suite} has no Python {wanted.python}"
        raise EnvironmentFailedError(what, hint="install it (Debian, Ubuntu): apt-get install mmdebstrap")
    log.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="repromatrix-base-") as name:
        tar = Path(name) / "base.tar"
        include = ",".join(wanted.packages)
        command = [tool, "--quiet", "--variant=minbase", f"--include={include}", wanted.suite, str(tar)]
        environment = {**_environment(), "SOURCE_DATE_EPOCH": _SOURCE_DATE_EPOCH}
        ended = run(command, environment=environment, folder=Path.cwd(), log=log, grace=_CLEANING)
        if not ended.clean:
            how = "was stopped" if ended.stopped else f"ended with {ended.signal or ended.code}"
            raise EnvironmentFailedError(
                f"mmdebstrap {how}", where=str(log), hint="read the log; root rights are needed"
            )
        digest = f"sha256:{resources.file_sha256(tar)}"
        images.import_rootfs(tar, wanted.local, {"repromatrix.base-digest": digest, "repromatrix.suite": wanted.suite})
        provenance = {"digest": digest, "suite": wanted.suite, "packages": _packages(tar)}
    place = resources.cache() / "bases" / f"{wanted.name}-py{wanted.python}.json"
    resources.write_atomically(place, json.dumps(provenance, indent=1, sort_keys=True).encode())
    return Base(kind="local", reference=wanted.local, digest=digest)


def _environment() -> dict[str, str]:
    return {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8"}


def _packages(tar: Path) -> dict[str, str]:
    """Return package -> version from dpkg's own list inside the root file system."""
    done = subprocess.run(
        ["tar", "-xOf", str(tar), "./var/lib/dpkg/status"], capture_output=True, text=True, check=False
    )
    packages = {}
    for block in done.stdout.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines() if ": " in line and line[0] != " ")
        if "Package" in fields and "Version" in fields:
            packages[fields["Package"]] = fields["Version"]
    return packages


@cache
def interpreter(python: str) -> Base:
    """Return an interpreter of that minor version: the one running this program, or one that uv finds.

    Raises:
        EnvironmentFailedError: there is none on this machine.
    """
    if python == f"{sys.version_info.major}.{sys.version_info.minor}":
        path = str(Path(getattr(sys, "_base_executable", sys.executable)).resolve())
        version = sys.version.replace("\n", " ")
        return Base(kind="interpreter", reference=path, digest=f"{version} | {' '.join(platform.libc_ver())}")
    done = subprocess.run(
        [find_uv_bin(), "python", "find", "--no-project", "--system", python],
        capture_output=True,
        text=True,
        check=False,
    )
    path = done.stdout.strip() or _pyenv(python)
    if not path:
        raise EnvironmentFailedError(
            f"no Python {python} on this machine",
            hint=f"install one (uv python install {python}), or use containers: --engine docker",
        )
    identity = subprocess.run([path, "-c", _IDENTITY], capture_output=True, text=True, check=False)
    return Base(kind="interpreter", reference=path, digest=identity.stdout.strip())


def _pyenv(python: str) -> str:
    """Return pyenv's newest interpreter of that version: its shims hide those that are not selected."""
    root = Path.home() / ".pyenv" / "versions"
    found = sorted(root.glob(f"{python}.*/bin/python{python}"), key=lambda path: path.parts)
    return str(found[-1]) if found else ""
