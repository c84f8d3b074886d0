"""Environment -> `Base`: what its image or virtual environment stands on, found or made.

For the process engine a base is an interpreter of the wanted Python; for docker an image pulled by
digest or, where no registry answers, one built from the distribution's packages.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import yaml

from repromatrix import resources
from repromatrix.engines.base import Base, RunCommand
from repromatrix.engines.homes import home
from repromatrix.errors import EnvironmentFailedError
from repromatrix.images import base_lock, rootfs
from repromatrix.images.base_lock import Package
from repromatrix.matrix import Environment

_DIGEST_LABEL = "repromatrix.base-digest"
_LOCK_LABEL = "repromatrix.base-lock"


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
    """One base of images/bases.yaml for one Python.

    Attributes:
        name: the base, as matrix.yaml calls it.
        python: minor version.
        suite: release of the distribution that the local equivalent is built from: one that has this Python.
        registry: the image's tag in a registry.
        digest: what is pulled, whatever the tag says today.
        packages: what the local equivalent is built from; empty where no release of the distribution has this Python.
    """

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
    def local_name(self) -> str:
        """The name of the locally built equivalent, which tells what it is built from: `bullseye-py3.9`."""
        return f"{self.suite}-py{self.python}"

    @property
    def local(self) -> str:
        """The reference of the locally built equivalent."""
        return f"repromatrix/base:{self.local_name}"


def entry(environment: Environment) -> BaseEntry:
    """Return the entry of images/bases.yaml for an environment.

    Raises:
        EnvironmentFailedError: there is none.
    """
    known = entries()
    found = next((e for e in known if (e.name, e.python) == (environment.base, environment.python)), None)
    if found is None:
        raise EnvironmentFailedError(
            f"{environment.name} asks for the base {environment.base!r} with Python {environment.python}",
            where=str(entries_path()),
            hint="known: " + ", ".join(f"{each.name} with Python {each.python}" for each in known),
        )
    return found


def entries_path() -> Path:
    """Return where images/bases.yaml stands."""
    return resources.folder("images") / "bases.yaml"


def entries() -> tuple[BaseEntry, ...]:
    """Return all of images/bases.yaml, in its order.

    Raises:
        EnvironmentFailedError: it is not there, or damaged.
    """
    try:
        return _entries(yaml.safe_load(entries_path().read_text("utf-8"))["bases"])
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError, yaml.YAMLError) as error:
        raise EnvironmentFailedError(
            f"the list of bases cannot be read ({type(error).__name__}: {' '.join(str(error).split())[:200]})",
            where=str(entries_path()),
            hint="bring it back from version control, or install again: pip install --force-reinstall repromatrix",
        ) from error


def _entries(bases: Mapping[str, Any]) -> tuple[BaseEntry, ...]:
    found = tuple(
        BaseEntry(
            name=name,
            python=python,
            suite=values.get("suite", base["suite"]),
            registry=values["registry"],
            digest=values["digest"],
            packages=tuple(values.get("packages", ())),
        )
        for name, base in bases.items()
        for python, values in base["pythons"].items()
    )
    for each in found:
        for text in (each.name, each.python, each.suite, each.registry, each.digest, *each.packages):
            if not isinstance(text, str):
                raise TypeError(f"{text!r} where text is due")
    return found


def find_image(wanted: BaseEntry, images: Images) -> Base | None:
    """Return the base if it is on this machine: the registry's before the locally built one."""
    if images.labels(wanted.pinned) is not None:
        return Base(kind="registry", reference=wanted.pinned, digest=wanted.digest)
    labels = images.labels(wanted.local)
    if labels and _DIGEST_LABEL in labels:
        return Base(kind="local", reference=wanted.local, digest=labels[_DIGEST_LABEL])
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


def make_image(wanted: BaseEntry, images: Images, log: Path, run: RunCommand, *, locked: bool = False) -> Base:
    """Build the equivalent of a base from the distribution's packages, and load it; the log says what is not as locked.

    Args:
        wanted: the base.
        images: where it is loaded.
        log: the story is appended to it.
        run: runs mmdebstrap.
        locked: load nothing that differs from the base's lock.

    Raises:
        EnvironmentFailedError: mmdebstrap is missing or fails, the distribution has no such Python, or what was
            built is not as `locked`.
    """
    if not wanted.packages:
        raise EnvironmentFailedError(
            f"{wanted.suite} has no Python {wanted.python}",
            hint="use an image registry, or plain processes: --engine process",
        )
    with home() as folder:
        tar = folder / "base.tar"
        packages = rootfs.build(wanted.suite, wanted.packages, tar, log, run)
        unlike = base_lock.summary(wanted.local_name, packages)
        with log.open("a") as story:
            story.write(f"{wanted.local}: {unlike or 'as locked'}\n")
        if unlike and locked:
            raise EnvironmentFailedError(
                unlike,
                where=str(base_lock.path_of(wanted.local_name)),
                hint="take what the mirror serves now: repromatrix base --write-lock",
            )
        digest = f"sha256:{resources.file_sha256(tar)}"
        lock = base_lock.digest(wanted.local_name, packages)
        labels = {_DIGEST_LABEL: digest, "repromatrix.suite": wanted.suite, _LOCK_LABEL: lock}
        images.import_rootfs(tar, wanted.local, labels)
    provenance = {
        "digest": digest,
        "lock": lock,
        "packages": [asdict(each) for each in packages],
        "python": wanted.python,
        "suite": wanted.suite,
    }
    content = json.dumps(provenance, indent=1, sort_keys=True)
    resources.write_atomically(_provenance_path(wanted), content.encode())
    return Base(kind="local", reference=wanted.local, digest=digest)


def obstacle(wanted: BaseEntry) -> str:
    """Return why the equivalent of a base cannot be built on this machine, empty if it can."""
    return rootfs.obstacle() if wanted.packages else f"{wanted.suite} has no Python {wanted.python}"


def unlike_lock(wanted: BaseEntry, made: Base, images: Images) -> str:
    """Return how a locally built base differs from its lock, in one line; an empty text if it does not.

    Raises:
        EnvironmentFailedError: the lock is damaged.
    """
    packages = packages_of(wanted, made)
    if packages is not None:
        return base_lock.summary(wanted.local_name, packages)
    locked = base_lock.read(wanted.local_name)
    label = (images.labels(wanted.local) or {}).get(_LOCK_LABEL)
    if locked is not None and label == base_lock.digest(wanted.local_name, locked):
        return ""
    return "not known to be as locked: built elsewhere, or by another release"


def packages_of(wanted: BaseEntry, made: Base) -> tuple[Package, ...] | None:
    """Return the packages of a locally built base, None where this machine's cache does not tell them."""
    try:
        provenance = json.loads(_provenance_path(wanted).read_text())
        if provenance["digest"] != made.digest:
            return None
        return tuple(Package(**each) for each in provenance["packages"])
    except (OSError, ValueError, KeyError, TypeError):
        return None  # removed, or written by another release: the base itself is no worse for it


def _provenance_path(wanted: BaseEntry) -> Path:
    return resources.cache() / "bases" / f"{wanted.local_name}.json"
