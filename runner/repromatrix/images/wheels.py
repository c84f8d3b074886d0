"""Lock -> verified wheel files on this machine, fetched once and shared by all environments and engines.

The store is content-addressed: cache/wheels/<sha256>/<file name>. pip fetches, because pip honours the
user's own configuration; every file is verified against the lock before it gets its place.
"""

import itertools
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from threading import Lock

from repromatrix import resources
from repromatrix.engines.base import Exit, RunCommand
from repromatrix.errors import EnvironmentFailedError
from repromatrix.images import lock as locks
from repromatrix.images import store
from repromatrix.images.tags import platforms
from repromatrix.matrix import Environment

# pip removes what it had fetched whole when it fails, though its folder goes with ours; without that it is salvaged.
_PIP = "import runpy, shutil; shutil.rmtree = lambda *_, **__: None; runpy.run_module('pip', run_name='__main__')"
_RESUMES = 20  # times that a download that broke off goes on where it was


def fetch(environment: Environment, lock: locks.Lock, log: Path, run: RunCommand) -> tuple[Path, ...]:
    """Return the wheel files of a lock, fetching those that are not in the store; pip's story goes to `log`.

    What somebody else on this machine is fetching is waited for, not fetched twice. What is in the store is verified
    again, and fetched again where it is damaged. What was fetched whole before something broke stays.

    Raises:
        EnvironmentFailedError: a wheel cannot be fetched, or has another hash than the lock.
    """
    store.sweep()
    log.parent.mkdir(parents=True, exist_ok=True)
    found = {pin.name: _sound(pin, environment, log) for pin in lock.pins}
    missing = [pin for pin in lock.pins if found[pin.name] is None]
    while missing:
        with _claimed(missing) as ours:
            found |= {pin.name: store.find(pin.hashes, environment.python) for pin in ours}
            wanted = [pin for pin in ours if found[pin.name] is None]
            if wanted:
                _download(environment, wanted, log, run)
                found |= {pin.name: store.find(pin.hashes, environment.python) for pin in wanted}
        missing = [pin for pin in missing if pin not in ours]
    absent = [name for name, path in found.items() if path is None]
    if absent:
        raise EnvironmentFailedError(
            f"{environment.name}: no wheel for Python {environment.python} on this platform: {', '.join(absent)}",
            where=str(log),
            hint=f"make the lock again: repromatrix lock --all --select {environment.name}",
        )
    return tuple(path for path in found.values() if path is not None)


@contextmanager
def _claimed(pins: Sequence[locks.Pin]) -> Iterator[list[locks.Pin]]:
    """Yield those of `pins` that nobody else is fetching, at least one, ours as long as the context lasts."""
    with ExitStack() as held:
        ours = [pin for pin in pins if held.enter_context(store.claimed(min(pin.hashes), wait=False))]
        if not ours:
            held.enter_context(store.claimed(min(pins[0].hashes), wait=True))
            ours = [pins[0]]
        yield ours


def _sound(pin: locks.Pin, environment: Environment, log: Path) -> Path | None:
    """Return the pin's wheel in the store, verified; one that is damaged is told and taken away."""
    with _verifying:  # else one thread takes away what another has just fetched again
        path = store.find(pin.hashes, environment.python)
        if path is None or store.is_sound(path):
            return path
        with log.open("a") as story:
            story.write(f"{path.name} in the store no longer has sha256 {path.parent.name}: it is fetched again\n")
        store.remove(path)
    return None


_verifying = Lock()


def _download(environment: Environment, pins: Sequence[locks.Pin], log: Path, run: RunCommand) -> None:
    begin = log.stat().st_size if log.is_file() else 0
    places = [[], ["--extra-index-url", environment.index]] if environment.index else [[]]
    left, ended = list(pins), Exit()
    with store.fetching() as folder:
        for more in places:
            (folder / store.REQUIREMENTS).write_text("\n".join(pin.text for pin in left) + "\n")
            ended = _pip(environment, folder, more, log, run)
            if ended.clean or ended.stopped:
                break
            store.salvage(folder)
            left = [pin for pin in left if store.find(pin.hashes, environment.python) is None]
        if left and not ended.clean:
            why = "stopped" if ended.stopped else _last_error(log, begin)
            raise EnvironmentFailedError(
                f"{environment.name}: its wheels cannot be fetched: {why}",
                where=str(log),
                hint="check the network and the package index: repromatrix doctor; what was fetched whole is kept",
            )
        _refuse_others(folder.glob("*.whl"), {digest for pin in pins for digest in pin.hashes}, environment)


def _pip(environment: Environment, folder: Path, more: Sequence[str], log: Path, run: RunCommand) -> Exit:
    command = [
        sys.executable, "-c", _PIP, "download", "--quiet", "--no-deps", "--require-hashes", "--only-binary", ":all:",
        "--implementation", "cp", "--python-version", environment.python,
        *(flag for each in (f"cp{environment.python.replace('.', '')}", "abi3", "none") for flag in ("--abi", each)),
        *(flag for each in platforms() for flag in ("--platform", each)),
        "--dest", str(folder), "--requirement", str(folder / store.REQUIREMENTS), "--progress-bar", "off",
        "--resume-retries", str(_RESUMES), *more,
    ]  # fmt: skip
    # The user's own configuration, which may name places relative to here; what pip leaves goes with the folder.
    return run(command, environment={**os.environ, "TMPDIR": str(folder)}, folder=Path.cwd(), log=log)


def _refuse_others(files: Iterable[Path], allowed: set[str], environment: Environment) -> None:
    for path in files:
        digest = resources.file_sha256(path)
        if digest not in allowed:
            raise EnvironmentFailedError(
                f"{environment.name}: {path.name} has sha256 {digest}, which is not in its lock",
                hint="somebody serves another file under that name; check the package index",
            )


def _last_error(log: Path, begin: int) -> str:
    """Return pip's last error since `begin`, with the lines that belong to it: a refused wheel's name and hash."""
    lines = log.read_bytes()[begin:].decode(errors="replace").splitlines()
    last = max((number for number, line in enumerate(lines) if line.startswith("ERROR")), default=None)
    if last is None:
        return "see the log"
    more = itertools.takewhile(lambda line: line.startswith(" "), lines[last + 1 :])
    return " ".join(" ".join((lines[last].removeprefix("ERROR: "), *more)).split())[:600]
