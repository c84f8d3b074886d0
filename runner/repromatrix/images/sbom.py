"""What an environment is made of -> a software bill of materials: CycloneDX 1.6 as JSON.

The same environment gives the same bytes: no time, and a serial number that follows from the content tag.
"""

import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from repromatrix import __version__, resources
from repromatrix.images.contents import Package

if TYPE_CHECKING:
    from cyclonedx.model.component import Component

DPKG_STATUS = "/var/lib/dpkg/status"
OS_RELEASE = "/usr/lib/os-release"


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemPackage:
    """A package of the base's distribution; `sha256` is of its .deb file, None where no lock tells it."""

    name: str
    version: str
    architecture: str
    sha256: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class System:
    """What an image stands on: the distribution as it names itself, and all that is installed of it."""

    distribution: str
    release: str
    packages: tuple[SystemPackage, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """The environment that a bill is written for.

    Attributes:
        tag: content tag.
        interpreter: the Python's whole version.
        system: None where the environment is no image.
    """

    name: str
    version: str
    tag: str
    interpreter: str
    packages: tuple[Package, ...]
    sources: tuple[Path, ...]
    system: System | None


def read_system(status: bytes, os_release: bytes, hashes: Mapping[tuple[str, str, str], str]) -> System:
    """Read dpkg's list and the distribution's name; `hashes` has (name, version, architecture) -> SHA-256."""
    told = dict(line.split("=", 1) for line in os_release.decode().splitlines() if "=" in line)
    return System(
        distribution=told.get("ID", "linux").strip('"'),
        release=(told.get("VERSION_CODENAME") or told.get("VERSION_ID") or "").strip('"'),
        packages=tuple(_installed(status.decode(errors="replace"), hashes)),
    )


def _installed(status: str, hashes: Mapping[tuple[str, str, str], str]) -> Iterator[SystemPackage]:
    for block in status.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines() if ": " in line and line[0] != " ")
        if fields.get("Status", "").endswith(" installed"):
            key = (fields["Package"], fields["Version"], fields["Architecture"])
            yield SystemPackage(name=key[0], version=key[1], architecture=key[2], sha256=hashes.get(key))


def render(subject: Subject) -> bytes:
    """Return the bill of an environment, valid by CycloneDX's own schema."""
    from cyclonedx.model.bom import Bom, BomMetaData  # noqa: PLC0415 - costs a quarter of a second
    from cyclonedx.model.component import ComponentType  # noqa: PLC0415
    from cyclonedx.output.json import JsonV1Dot6  # noqa: PLC0415

    kind = ComponentType.CONTAINER if subject.system else ComponentType.APPLICATION
    root = _component(kind, subject.name, subject.version, ref="environment")
    tool = _component(ComponentType.APPLICATION, "repromatrix", __version__, ref="repromatrix")
    metadata: Any = BomMetaData(component=root)
    metadata.timestamp = None  # optional in the format, and never the same twice
    metadata.tools.components.add(tool)
    bom = Bom(serial_number=uuid.uuid5(uuid.NAMESPACE_OID, f"repromatrix:{subject.tag}"), metadata=metadata)
    wheels = {each.name: _wheel(each) for each in subject.packages}
    interpreter = _component(ComponentType.PLATFORM, "CPython", subject.interpreter, ref="interpreter")
    own = [interpreter, *_sources(subject.sources)]
    asked = [wheels[each.name] for each in subject.packages if each.asked]
    for each in (*own, *wheels.values()):
        bom.components.add(each)
    for package in subject.packages:
        bom.register_dependency(wheels[package.name], [wheels[name] for name in package.requires])
    if subject.system:
        own.append(_add_system(bom, subject.system))
    bom.register_dependency(root, [*own, *asked])
    return (JsonV1Dot6(bom).output_as_string(indent=1) + "\n").encode()


def _add_system(bom: Any, system: System) -> "Component":
    from cyclonedx.model.component import ComponentType  # noqa: PLC0415

    base = _component(ComponentType.OPERATING_SYSTEM, system.distribution, system.release, ref="base")
    packages = [_system_package(each, system) for each in system.packages]
    for each in (base, *packages):
        bom.components.add(each)
    bom.register_dependency(base, packages)
    return base


def _component(kind: Any, name: str, version: str | None, *, ref: str, **more: Any) -> "Component":
    from cyclonedx.model.component import Component  # noqa: PLC0415

    return Component(type=kind, name=name, version=version, bom_ref=ref, **more)


def _wheel(package: Package) -> "Component":
    from cyclonedx.model.component import ComponentType  # noqa: PLC0415
    from packageurl import PackageURL  # noqa: PLC0415

    purl = PackageURL(type="pypi", name=package.name, version=package.version)
    return _component(
        ComponentType.LIBRARY, package.name, package.version,
        ref=purl.to_string(), purl=purl, hashes=_hashes(package.sha256), licenses=_licences(package.licences),
    )  # fmt: skip


def _system_package(package: SystemPackage, system: System) -> "Component":
    from cyclonedx.model.component import ComponentType  # noqa: PLC0415
    from packageurl import PackageURL  # noqa: PLC0415

    qualifiers = {"arch": package.architecture, "distro": system.release}
    purl = PackageURL("deb", system.distribution, package.name, package.version, qualifiers)
    return _component(
        ComponentType.LIBRARY, package.name, package.version,
        ref=purl.to_string(), purl=purl, hashes=_hashes(package.sha256),
    )  # fmt: skip


def _sources(paths: Iterable[Path]) -> "list[Component]":
    from cyclonedx.model.component import ComponentType  # noqa: PLC0415

    return [
        _component(
            ComponentType.FILE, path.name, None, ref=f"source:{path.name}", hashes=_hashes(resources.file_sha256(path))
        )
        for path in paths
    ]


def _hashes(sha256: str | None) -> list[Any]:
    from cyclonedx.model import HashAlgorithm, HashType  # noqa: PLC0415

    return [HashType(alg=HashAlgorithm.SHA_256, content=sha256)] if sha256 else []


def _licences(names: Sequence[str]) -> list[Any]:
    """Return one expression, or any number of licences: the format does not let them mix."""
    from cyclonedx.contrib.license.factories import LicenseFactory  # noqa: PLC0415

    factory = LicenseFactory()
    if len(names) == 1:
        return [factory.make_from_string(names[0])]
    return [factory.make_with_name(each) for each in names]
