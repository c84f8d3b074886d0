"""Lock + wheels -> the packages of an environment: why each is there, its licence, its size. Reads files only."""

import zipfile
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from email.message import Message
from email.parser import BytesHeaderParser
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from repromatrix.errors import EnvironmentFailedError
from repromatrix.images import store
from repromatrix.images.lock import Lock
from repromatrix.matrix import Environment

_LICENCE_NAME = 100  # characters; what is longer is the licence's text
_LICENCE_CLASSIFIER = "License :: "


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """One package of a lock, and what its wheel tells.

    Attributes:
        asked: matrix.yaml names it.
        needed_by: names of the packages that require it, as far as their wheels are on this machine.
        requires: names of the packages of this lock that it requires.
        wheel: the file that is installed, None where it is not on this machine yet; then so are the rest.
        unpacked: bytes of all its files.
        licences: an SPDX expression, or one or more names.
    """

    name: str
    version: str
    asked: bool
    needed_by: tuple[str, ...]
    requires: tuple[str, ...]
    wheel: Path | None
    unpacked: int | None
    licences: tuple[str, ...]

    @property
    def sha256(self) -> str | None:
        """Of the wheel: its folder in the store, under which nothing else is kept."""
        return self.wheel.parent.name if self.wheel else None

    def why(self, where: str) -> str:
        """Say why it is there; `where` is the line that asks for the environment."""
        reasons = [f"asked for by {where}"] if self.asked else []
        reasons += [f"needed by {', '.join(self.needed_by)}"] if self.needed_by else []
        return "; ".join(reasons) or "no wheel on this machine asks for it"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Told:
    """What a wheel says of itself."""

    requirements: tuple[Requirement, ...] = ()
    licences: tuple[str, ...] = ()
    unpacked: int | None = None


def packages(environment: Environment, lock: Lock) -> tuple[Package, ...]:
    """Return the packages of an environment in the order of its lock.

    Raises:
        EnvironmentFailedError: a wheel of the store is damaged.
    """
    wheels = {pin.name: store.find(pin.hashes, environment.python) for pin in lock.pins}
    told = {name: _read(path) if path else _Told() for name, path in wheels.items()}
    asked = [Requirement(each) for each in environment.packages]
    needs = _needs(asked, {name: each.requirements for name, each in told.items()}, environment.python)
    needed_by: defaultdict[str, list[str]] = defaultdict(list)
    for name, required in needs.items():
        for each in required:
            needed_by[each].append(name)
    names = {canonicalize_name(each.name) for each in asked}
    return tuple(
        Package(
            name=pin.name,
            version=pin.version,
            asked=canonicalize_name(pin.name) in names,
            needed_by=tuple(sorted(needed_by[pin.name])),
            requires=tuple(sorted(needs[pin.name])),
            wheel=wheels[pin.name],
            unpacked=told[pin.name].unpacked,
            licences=told[pin.name].licences,
        )
        for pin in lock.pins
    )


def _needs(
    asked: Iterable[Requirement], requirements: Mapping[str, tuple[Requirement, ...]], python: str
) -> dict[str, set[str]]:
    """Return for every package which others it requires on this platform, with the extras that are asked of it."""
    own = {canonicalize_name(name): name for name in requirements}
    needs: dict[str, set[str]] = {name: set() for name in requirements}
    extras: dict[str, set[str]] = {name: set() for name in requirements}
    todo = list(asked) + [Requirement(name) for name in requirements]
    while todo:
        wanted = todo.pop()
        name = own.get(canonicalize_name(wanted.name))
        if name is None or (name in extras and wanted.extras and wanted.extras <= extras[name]):
            continue
        extras[name] |= wanted.extras
        for each in requirements[name]:
            other = own.get(canonicalize_name(each.name))
            if other and other != name and _applies(each, extras[name], python):
                needs[name].add(other)
            if other and each.extras and not each.extras <= extras[other] and _applies(each, extras[name], python):
                todo.append(each)
    return needs


def _applies(requirement: Requirement, extras: Iterable[str], python: str) -> bool:
    """Whether a requirement holds for a CPython of that minor version on x86-64 Linux, with any of these extras."""
    marker = requirement.marker
    platform = {
        "implementation_name": "cpython",
        "implementation_version": f"{python}.0",
        "os_name": "posix",
        "platform_machine": "x86_64",
        "platform_python_implementation": "CPython",
        "platform_release": "",
        "platform_system": "Linux",
        "platform_version": "",
        "python_full_version": f"{python}.0",
        "python_version": python,
        "sys_platform": "linux",
    }
    return marker is None or any(marker.evaluate(platform | {"extra": each}) for each in ("", *extras))


def _read(path: Path) -> _Told:
    try:
        with zipfile.ZipFile(path) as archive:
            names = [name for name in archive.namelist() if name.count("/") == 1]
            name = next(name for name in names if name.endswith(".dist-info/METADATA"))
            metadata = BytesHeaderParser().parsebytes(archive.read(name))
            unpacked = sum(each.file_size for each in archive.infolist())
    except (zipfile.BadZipFile, StopIteration) as error:
        raise EnvironmentFailedError(
            f"{path.name} is damaged, or no wheel", where=str(path), hint="remove that file, then: repromatrix build"
        ) from error
    return _Told(requirements=tuple(_requirements(metadata)), licences=tuple(_licences(metadata)), unpacked=unpacked)


def _requirements(metadata: Message) -> Iterator[Requirement]:
    for text in metadata.get_all("Requires-Dist") or ():
        try:
            yield Requirement(str(text))
        except InvalidRequirement:  # old wheels have texts that no resolver follows either
            continue


def _licences(metadata: Message) -> list[str]:
    """Return the SPDX expression; where there is none, the shortest that names the licence."""
    expression, field = (str(metadata.get(key) or "").strip() for key in ("License-Expression", "License"))
    if expression:
        return [expression]
    if field and len(field) <= _LICENCE_NAME and "\n" not in field and field.upper() != "UNKNOWN":
        return [field]
    classifiers = (str(each) for each in metadata.get_all("Classifier") or ())
    return sorted({each.rpartition(" :: ")[2] for each in classifiers if each.startswith(_LICENCE_CLASSIFIER)})
