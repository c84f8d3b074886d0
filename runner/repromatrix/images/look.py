"""Environment -> all that is known of it and of its image or folder, without making or fetching anything."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from repromatrix.engines.base import Base, BuildSpec, Built, Engine
from repromatrix.engines.content import ImageFacts, ImageReader
from repromatrix.engines.docker import reference
from repromatrix.engines.docker_images import DockerImages
from repromatrix.engines.remote import Remote
from repromatrix.errors import EnvironmentFailedError
from repromatrix.images import base as bases
from repromatrix.images import base_lock, interpreters
from repromatrix.images import lock as locks
from repromatrix.images.base import BaseEntry
from repromatrix.images.contents import Package, packages
from repromatrix.images.sbom import DPKG_STATUS, OS_RELEASE, Subject, System, read_system
from repromatrix.images.share import base_of_images
from repromatrix.images.spec import build_spec, ingredients
from repromatrix.matrix import Environment

_VENV = "/opt/venv"
_REVISION = "org.opencontainers.image.revision"


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """Bytes. The parts that are not known, or not there, are None.

    Attributes:
        base: the base image; 0 for a plain environment, whose interpreter lies outside.
        wheels: all files of all wheels, unpacked.
        whole: the image, its base included, or the folder.
    """

    base: int | None
    wheels: int | None
    whole: int | None

    @property
    def ratio(self) -> float | None:
        """The whole against base and unpacked wheels, which no environment can do without."""
        if self.base is None or self.wheels is None or self.whole is None or not self.base + self.wheels:
            return None
        return self.whole / (self.base + self.wheels)


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What an environment is made of, and what of it is on this machine.

    Attributes:
        entry: its base in images/bases.yaml, None for plain processes.
        base_here: the base is on this machine; else it is the one that a registry would be asked for.
        made_of: everything that the content tag is a digest of.
        built: None where it is not built.
        facts: what the engine tells of the image; None for plain processes too.
    """

    environment: Environment
    entry: BaseEntry | None
    base: Base
    base_here: bool
    lock: locks.Lock
    spec: BuildSpec
    made_of: Mapping[str, Any]
    built: Built | None
    facts: ImageFacts | None
    packages: tuple[Package, ...]
    size: Size

    def require_built(self) -> Built:
        """Return the environment.

        Raises:
            EnvironmentFailedError: it is not built.
        """
        if self.built is None:
            raise EnvironmentFailedError(
                f"{self.environment.name} is not built here", hint=f"repromatrix build --select {self.environment.name}"
            )
        return self.built


def look(environment: Environment, engine: Engine, lock_folder: Path | None = None) -> Look:
    """Look at an environment as `engine` would have it.

    Raises:
        EnvironmentFailedError: no lock, a damaged wheel, or no such interpreter for plain processes.
    """
    lock = locks.read(environment, lock_folder)
    image = engine.name == "docker"
    entry = bases.entry(environment) if image else None
    base, base_here = _base(environment, lock, entry)
    spec = build_spec(environment, base, lock, ())
    built = engine.find(spec)
    facts = ImageReader().facts(built.reference) if built and image else None
    found = packages(environment, lock)
    return Look(
        environment=environment,
        entry=entry,
        base=base,
        base_here=base_here,
        lock=lock,
        spec=spec,
        made_of=ingredients(environment, base, lock),
        built=built,
        facts=facts,
        packages=found,
        size=_size(base, built, facts, found, image=image),
    )


def _base(environment: Environment, lock: locks.Lock, entry: BaseEntry | None) -> tuple[Base, bool]:
    if entry is None:
        return interpreters.find(environment.python), True
    here = bases.find_image(entry, DockerImages())
    if here:
        return here, True
    asked = Base(kind="registry", reference=entry.pinned, digest=entry.digest)
    return base_of_images(environment, lock, Remote()) or asked, False


def _size(
    base: Base, built: Built | None, facts: ImageFacts | None, found: tuple[Package, ...], *, image: bool
) -> Size:
    below = ImageReader().facts(base.reference) if image else None
    unpacked = [each.unpacked for each in found]
    whole = facts.size if facts else _folder_size(Path(built.reference)) if built and not image else None
    return Size(
        base=below.size if below else None if image else 0,
        wheels=sum(each for each in unpacked if each is not None) if None not in unpacked else None,
        whole=whole,
    )


def _folder_size(folder: Path) -> int:
    return sum(os.lstat(Path(place, name)).st_size for place, _, names in os.walk(folder) for name in names)


def subject(seen: Look) -> Subject:
    """Return what a bill of materials is written from; every wheel has to be on this machine.

    Raises:
        EnvironmentFailedError: it is not built, or the lock of the base is damaged.
    """
    built = seen.require_built()
    system = _system(seen.entry, built.reference) if seen.entry else None
    return Subject(
        name=seen.environment.name,
        version=seen.environment.version,
        tag=seen.spec.tag,
        interpreter=_interpreter(built.reference, image=seen.entry is not None),
        packages=seen.packages,
        sources=seen.spec.sources,
        system=system,
    )


def _system(entry: BaseEntry, reference: str) -> System:
    reader = ImageReader()
    status, release = (reader.file(reference, path) for path in (DPKG_STATUS, OS_RELEASE))
    locked = base_lock.read(entry.local_name) or ()
    hashes = {(each.name, each.version, each.architecture): each.sha256 for each in locked}
    return read_system(status or b"", release or b"", hashes)


def _interpreter(reference: str, *, image: bool) -> str:
    """Return the whole version of the environment's Python, as uv noted it on making the environment."""
    if image:
        noted = ImageReader().file(reference, f"{_VENV}/pyvenv.cfg") or b""
    else:
        noted = (Path(reference) / "pyvenv.cfg").read_bytes()
    lines = dict(line.split(" = ", 1) for line in noted.decode().splitlines() if " = " in line)
    return lines.get("version_info", "")


def document(seen: Look) -> dict[str, Any]:
    """Return a `Look` as plain data."""
    environment, spec, facts = seen.environment, seen.spec, seen.facts
    image = seen.entry is not None
    # What made a plain environment is not noted in it; what is not built yet would be made by this checkout.
    labels = dict(facts.labels if facts else () if seen.built else spec.labels)
    return {
        "environment": environment.name,
        "where": environment.where,
        "engine": "docker" if image else "process",
        "reference": seen.built.reference if seen.built else reference(spec) if image else None,
        "built": seen.built is not None,
        "digest": facts.digest if facts else None,
        "content_tag": spec.tag,
        "made_of": dict(seen.made_of) | {"variables": dict(seen.made_of["variables"])},
        "base": {
            "kind": seen.base.kind,
            "reference": seen.base.reference,
            "digest": seen.base.digest,
            "here": seen.base_here,
            "tag": seen.entry.registry if seen.entry else None,
            "suite": seen.entry.suite if seen.entry else None,
        },
        "lock": {"path": os.path.relpath(seen.lock.path), "digest": seen.lock.digest},
        "revision": labels.get(_REVISION),
        "size": {
            "base": seen.size.base,
            "wheels": seen.size.wheels,
            "whole": seen.size.whole,
            "ratio": seen.size.ratio and round(seen.size.ratio, 4),
        },
        "labels": labels if image else {},
        "variables": dict(facts.variables if facts else spec.variables),
        "user": facts.user if facts else None,
        "entrypoint": list(facts.entrypoint) if facts else None,
        "layers": list(facts.layers) if facts else None,
        "packages": [
            {
                "name": each.name,
                "version": each.version,
                "sha256": each.sha256,
                "licences": list(each.licences),
                "asked": each.asked,
                "needed_by": list(each.needed_by),
                "why": each.why(environment.where),
            }
            for each in seen.packages
        ],
    }
