"""Will the environments that are still to be made fit? Asked before anything is fetched, and only if one is to be made.

What a wheel takes when it is unpacked is read from the wheel where it is here. Otherwise it is its size times a factor,
measured over the wheels of the default profile: 4.1 (3.5 for NumPy alone, 4.5 for TensorFlow). Code for GPUs is packed
already: 1.9, measured over PyTorch 2.8.0 for CUDA and three of NVIDIA's own wheels, 1.2 GB together. Modules that the
import compiles add 3 to 8 in a hundred.
"""

import math
import shutil
import zipfile
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from repromatrix import resources
from repromatrix.engines.base import Base, Engine
from repromatrix.engines.docker_images import DockerImages
from repromatrix.errors import EnvironmentFailedError
from repromatrix.images import lock as locks
from repromatrix.images import store
from repromatrix.images.spec import build_spec
from repromatrix.matrix import Environment

_UNPACKED = 4.1
_UNPACKED_CUDA = 1.9  # every wheel of a lock that has some of NVIDIA's
_COMPILED = 1.06
_BLOCK = 4096
_MAKING = ("docker", "process")  # engines that make environments of wheels


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """An environment that is to run, the base that it stands on, and where its lock is if not with the matrix."""

    environment: Environment
    base: Base
    lock_folder: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Wheel:
    """A wheel of an environment: its bytes, those still to be fetched, those on disk once unpacked."""

    size: int
    missing: int
    unpacked: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """What one folder's file system must have room for, in bytes."""

    place: Path
    size: int


def require_space(wanted: Iterable[Wanted], engine: Engine, jobs: int, *, pulled: bool = False) -> str:
    """Check that what is still to be made fits; return what could not be known, in words, else an empty text.

    Args:
        wanted: what is to run, made already or not.
        engine: what makes it.
        jobs: environments that are made at a time.
        pulled: whether a registry may have the images: nobody knows then what will be fetched or built.

    Raises:
        EnvironmentFailedError: it does not fit; with the numbers. Or a lock cannot be read.
    """
    if engine.name not in _MAKING:
        return ""
    absent: dict[str, locks.Lock] = {}
    pythons: dict[str, str] = {}
    for each in wanted:
        name = each.environment.name
        lock = locks.read(each.environment, each.lock_folder)
        if not engine.find(build_spec(each.environment, each.base, lock, ())):
            absent[name], pythons[name] = lock, each.environment.python
    if not absent:
        return ""
    if pulled:
        return "images may be pulled from the registry: how much room they take is not known"
    needs, unknown = _needs(absent, pythons, engine, jobs)
    _require(needs, len(absent))
    return "; ".join(unknown)


def _needs(
    absent: dict[str, locks.Lock], pythons: dict[str, str], engine: Engine, jobs: int
) -> tuple[list[Need], list[str]]:
    """Return what is needed where, and in words what is not known."""
    wheels: dict[frozenset[str], Wheel] = {}
    sizeless: set[str] = set()
    environments: list[list[Wheel]] = []
    for name, lock in absent.items():
        cuda = any(pin.name.startswith("nvidia-") for pin in lock.pins)
        factor = _UNPACKED_CUDA if cuda else _UNPACKED
        found = {pin.hashes: _wheel(pin, pythons[name], factor) for pin in lock.pins}
        sizeless |= {pin.name for pin in lock.pins if found[pin.hashes] is None}
        known = {key: wheel for key, wheel in found.items() if wheel}
        wheels |= known
        environments.append(list(known.values()))
    unknown = [f"how much room {', '.join(sorted(sizeless))} will take is not known"] if sizeless else []
    fetched = Need(place=resources.cache(), size=sum(each.missing for each in wheels.values()))
    unpacked = [sum(each.unpacked for each in environment) for environment in environments]
    if engine.name != "docker":
        # Each has all of it for itself; what the largest is unpacked from is there as long as it is made.
        during = sum(sorted(unpacked, reverse=True)[:jobs])
        return [fetched, Need(place=resources.cache(), size=math.ceil(sum(unpacked) * _COMPILED + during))], unknown
    # Each image has all of it for itself, and the builder keeps a copy of as many contexts as it builds at a time.
    contexts = sorted((sum(each.size for each in environment) for environment in environments), reverse=True)[:jobs]
    root = DockerImages().data_root()
    if root is None:
        return [fetched], [*unknown, "how much room Docker has is not known: its folder is not seen from here"]
    return [fetched, Need(place=root, size=math.ceil(sum(unpacked) * _COMPILED + sum(contexts)))], unknown


def _wheel(pin: locks.Pin, python: str, factor: float) -> Wheel | None:
    path = store.find(pin.hashes, python)
    if path:
        size = path.stat().st_size
        return Wheel(size=size, missing=0, unpacked=unpacked_size(path))
    if pin.size is None:
        return None
    return Wheel(size=pin.size, missing=pin.size, unpacked=math.ceil(pin.size * factor))


def unpacked_size(path: Path) -> int:
    """Return the bytes that a wheel takes on disk once it is unpacked, in whole blocks of the file system."""
    try:
        with zipfile.ZipFile(path) as archive:
            return sum(-(-entry.file_size // _BLOCK) * _BLOCK for entry in archive.infolist())
    except zipfile.BadZipFile:  # it will be found damaged, and fetched again
        return math.ceil(path.stat().st_size * _UNPACKED)


def _require(needs: Sequence[Need], count: int) -> None:
    """Compare what is needed with what is free, file system by file system."""
    groups: defaultdict[int, list[Need]] = defaultdict(list)
    for need in needs:
        groups[_existing(need.place).stat().st_dev].append(need)
    for group in groups.values():
        needed = sum(each.size for each in group)
        free = shutil.disk_usage(_existing(group[0].place)).free
        if needed > free:
            places = " and ".join(dict.fromkeys(str(each.place) for each in group if each.size))
            raise EnvironmentFailedError(
                f"{f'{count} environments' if count > 1 else 'one environment'} still to be made: about "
                f"{in_words(needed)} are needed, but only {in_words(free)} are free",
                where=places,
                hint="repromatrix clean --unused --dry-run tells what can go; "
                "or set REPROMATRIX_CACHE to a folder with more room, or --select fewer",
            )


def _existing(place: Path) -> Path:
    return next(path for path in (place, *place.parents) if path.exists())


def in_words(size: int) -> str:
    """Return bytes in the unit that a person reads, to a tenth."""
    for unit, factor in (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if size >= factor:
            return f"{size / factor:.1f} {unit}"
    return f"{size} bytes"
