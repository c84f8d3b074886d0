"""Lock -> verified wheel files on this machine, fetched once and shared by all environments and engines.

The store is content-addressed: cache/wheels/<sha256>/<file name>. pip fetches, because pip honours the
user's own configuration; every file is verified against the lock before it gets its place.
"""

import os
import shutil
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Condition

from packaging.tags import Tag, compatible_tags, cpython_tags
from packaging.utils import parse_wheel_filename

from runner import resources
from runner.engines.base import Exit, RunCommand
from runner.errors import EnvironmentFailedError
from runner.images.lock import Lock, Pin
from runner.matrix import Environment

# manylinux tags up to the C library named in lock.PLATFORM, newest first; and their old names.
_GLIBC_MINORS = range(28, 4, -1)
_LEGACY = {17: "manylinux2014", 12: "manylinux2010", 5: "manylinux1"}


def store() -> Path:
    """Return the folder of fetched wheels."""
    return resources.cache() / "wheels"


def fetch(environment: Environment, lock: Lock, log: Path, run: RunCommand) -> tuple[Path, ...]:
    """Return the wheel files of a lock, fetching those that are not in the store; pip's story goes to `log`.

    What another thread is fetching is waited for, not fetched twice.

    Raises:
        EnvironmentFailedError: a wheel cannot be fetched, or has another hash than the lock.
    """
    tags = supported_tags(environment.python)
    found = {pin.name: _in_store(pin, tags) for pin in lock.pins}
    missing = [pin for pin in lock.pins if found[pin.name] is None]
    while missing:
        with _claimed(missing) as ours:
            found |= {pin.name: _in_store(pin, tags) for pin in ours}
            wanted = [pin for pin in ours if found[pin.name] is None]
            if wanted:
                _download(environment, wanted, log, run)
                found |= {pin.name: _in_store(pin, tags) for pin in wanted}
        missing = [pin for pin in missing if pin not in ours]
    absent = [name for name, path in found.items() if path is None]
    if absent:
        raise EnvironmentFailedError(
            f"{environment.name}: no wheel for Python {environment.python} on this platform: {', '.join(absent)}",
            where=str(log),
            hint=f"make the lock again: repromatrix lock --select {environment.name}",
        )
    return tuple(path for path in found.values() if path is not None)


_claims: set[str] = set()
_claiming = Condition()


@contextmanager
def _claimed(pins: Sequence[Pin]) -> Iterator[list[Pin]]:
    """Yield those of `pins` that no other thread is fetching, at least one, ours as long as the context lasts."""
    with _claiming:
        while not (ours := [pin for pin in pins if _claims.isdisjoint(pin.hashes)]):
            _claiming.wait()
        _claims.update(*(pin.hashes for pin in ours))
    try:
        yield ours
    finally:
        with _claiming:
            _claims.difference_update(*(pin.hashes for pin in ours))
            _claiming.notify_all()


def supported_tags(python: str) -> frozenset[Tag]:
    """Return the wheel tags that a CPython of that minor version takes on x86-64 Linux."""
    major, minor = (int(part) for part in python.split("."))
    platforms = _platforms()
    cpython = cpython_tags((major, minor), platforms=platforms)
    return frozenset((*cpython, *compatible_tags((major, minor), f"cp{major}{minor}", platforms)))


def _platforms() -> list[str]:
    names = []
    for each in _GLIBC_MINORS:
        names.append(f"manylinux_2_{each}_x86_64")
        if each in _LEGACY:
            names.append(f"{_LEGACY[each]}_x86_64")
    return [*names, "linux_x86_64"]


def _in_store(pin: Pin, tags: frozenset[Tag]) -> Path | None:
    for digest in sorted(pin.hashes):
        for path in sorted((store() / digest).glob("*.whl")):
            if not tags.isdisjoint(parse_wheel_filename(path.name)[3]):
                return path
    return None


def _download(environment: Environment, pins: Sequence[Pin], log: Path, run: RunCommand) -> None:
    store().mkdir(parents=True, exist_ok=True)
    log.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=store(), prefix=".fetch-") as name:
        folder = Path(name)
        (folder / "lock.txt").write_text("\n".join(pin.text for pin in pins) + "\n")
        ended = _pip(environment, folder, [], log, run)
        if not ended.clean and environment.index:
            ended = _pip(environment, folder, ["--extra-index-url", environment.index], log, run)
        if not ended.clean:
            why = "stopped" if ended.stopped else _last_error(log)
            raise EnvironmentFailedError(
                f"{environment.name}: its wheels cannot be fetched: {why}",
                where=str(log),
                hint="check the network and the package index: repromatrix doctor",
            )
        _move(folder.glob("*.whl"), {digest for pin in pins for digest in pin.hashes}, environment)


def _pip(environment: Environment, folder: Path, more: Sequence[str], log: Path, run: RunCommand) -> Exit:
    command = [
        sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes", "--only-binary", ":all:",
        "--implementation", "cp", "--python-version", environment.python,
        *(flag for each in (f"cp{environment.python.replace('.', '')}", "abi3", "none") for flag in ("--abi", each)),
        *(flag for each in _platforms() for flag in ("--platform", each)),
        "--dest", str(folder), "--requirement", str(folder / "lock.txt"), "--progress-bar", "off", *more,
    ]  # fmt: skip
    # The user's own configuration, which may name places relative to here; what pip leaves goes with the folder.
    return run(command, environment={**os.environ, "TMPDIR": str(folder)}, folder=Path.cwd(), log=log)


def _move(files: Iterable[Path], allowed: set[str], environment: Environment) -> None:
    for path in files:
        digest = resources.file_sha256(path)
        if digest not in allowed:
            raise EnvironmentFailedError(
                f"{environment.name}: {path.name} has sha256 {digest}, which is not in its lock",
                hint="somebody serves another file under that name; check the package index",
            )
        place = store() / digest
        if not place.is_dir():
            staged = path.parent / digest
            staged.mkdir()
            shutil.move(path, staged / path.name)
            try:
                staged.replace(place)
            except OSError:
                if not place.is_dir():  # another process may have been quicker: same content, nothing lost
                    raise


def _last_error(log: Path) -> str:
    lines = [line for line in log.read_text(errors="replace").splitlines() if line.startswith("ERROR")]
    return lines[-1].removeprefix("ERROR: ")[:300] if lines else "see the log"
