"""What runs on a worker of a cluster: it says what it is, makes environments in its own cache, and runs jobs.

A worker that cannot do what is asked says so as a value, `Unfit`: others are asked then. It needs nothing of ours but
the same release, for the lock, the code and the inputs come with what is asked.
"""

import fcntl
import platform
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Lock
from typing import Any, TypeVar

from repromatrix import __version__, resources
from repromatrix.engines import choose, homes
from repromatrix.engines.base import Base, Engine
from repromatrix.errors import AbsentError, EnvironmentFailedError, NoEngineError
from repromatrix.execute import host
from repromatrix.execute.batch import BatchResult, Elsewhere
from repromatrix.execute.host import Machine
from repromatrix.execute.work import Hears, Job, run_job
from repromatrix.images.build import Ready, ensure, identify
from repromatrix.images.disk import Wanted, in_words, require_space
from repromatrix.images.sharing import shared
from repromatrix.images.uses import using
from repromatrix.matrix import Environment

LEAST_FREE = 16 << 20  # bytes: with less, a job's own folder may not fit
_LOG = 1 << 20  # bytes of a log's end that go back
ResultT = TypeVar("ResultT")


@dataclass(frozen=True, slots=True, kw_only=True)
class Announced:
    """What a worker says of itself.

    Attributes:
        release: of repromatrix.
        code: SHA-256 over the files of that: two checkouts of one release need not be the same.
        place: host and cache folder; workers of one place share environments.
        machine: what goes into keys.
        engines: those that answer there.
        free: bytes that its cache has room for.
    """

    release: str
    code: str
    place: str
    machine: Machine
    engines: tuple[str, ...]
    free: int

    @classmethod
    def read(cls, told: dict[str, Any]) -> "Announced":
        """Return what `announce` gave, of the same release."""
        machine = Machine(cpu_class=told["cpu_class"], gpu=tuple(told["gpu"]))
        own = {name: told[name] for name in ("release", "code", "place", "free")}
        return cls(machine=machine, engines=tuple(told["engines"]), **own)


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """What a worker must be to do something.

    Attributes:
        environment: the name of the one that it is asked to have.
        engine: one of its own.
        cpu_class: its own.
        gpu: its own, empty where none is needed.
        place: its own, empty where any will do.
    """

    environment: str
    engine: str
    cpu_class: str
    gpu: tuple[str, ...] = ()
    place: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """All that an environment is made from, as far as a worker does not have it.

    Attributes:
        environment: as the matrix has it.
        lock: the text of its lock.
        code: what the worker's own must be.
        engine: the name of the worker's engine.
        token: of the command that asks, so that it can end what it began.
        base: the digest of what it must stand on; None: whatever there is.
        registry: where images are shared, as written; None: nowhere.
        digests: the text of the list of pushed images.
    """

    environment: Environment
    lock: str
    code: str
    engine: str
    token: str
    base: str | None = None
    registry: str | None = None
    digests: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unfit:
    """Why a worker cannot do what it was asked to; `absent`: it lacks what the environment stands on."""

    reason: str
    hint: str = ""
    absent: bool = False


def announce() -> dict[str, Any]:
    """Say what this worker is, as plain data: who asks may be of another release."""
    machine = host.machine()
    return {
        "release": __version__,
        "code": resources.own_sha256(),
        "place": f"{platform.node()}:{resources.cache()}",
        "cpu_class": machine.cpu_class,
        "gpu": list(machine.gpu),
        "engines": list(_engines()),
        "free": _free(),
    }


def _free() -> int:
    cache = resources.cache()
    cache.mkdir(parents=True, exist_ok=True)
    return shutil.disk_usage(cache).free


def _engines() -> Iterator[str]:
    for name in choose.NAMES:
        with suppress(NoEngineError):
            choose.choose(name)
            yield name


def identify_there(recipe: Recipe) -> Base | Unfit:
    """Return what the environment stands on here."""
    return _fit(recipe, lambda folder: _base(recipe, folder))


def make_there(recipe: Recipe) -> Ready | Unfit:
    """Make an environment unless it is here."""
    return _fit(recipe, lambda folder: _ready(recipe, folder))


def run_there(recipe: Recipe, job: Job, hears: Hears) -> BatchResult | Unfit:
    """Run a job in an environment, which is made first if it is not here; its log comes with the result."""

    def run(folder: Path) -> BatchResult:
        ready = _ready(recipe, folder)
        log = folder / "log"
        result = run_job(_engine(recipe), ready.built, replace(job, log=log), hears)
        _require_room()  # else what failed may have failed for that
        result.elsewhere = Elsewhere(built=ready.built, log=_end(log))
        return result

    return _fit(recipe, run)


def stop_there(token: str) -> None:
    """End what a command began here."""
    with _guard:
        ours = [key for key in _held if key[0] == token]
        engines = [_held.pop(key) for key in ours]
        _ended.add(token)
    for engine in engines:
        engine.stop()


def _fit(recipe: Recipe, function: Callable[[Path], ResultT]) -> ResultT | Unfit:
    try:
        if recipe.code != resources.own_sha256():
            return Unfit(reason="it has another repromatrix by now")
        _require_room()
        with using([recipe.environment.name]), homes.home() as folder:
            _write(recipe, folder)
            return function(folder)
    except (EnvironmentFailedError, NoEngineError) as error:
        reason = f"{error.what} (there: {error.where})" if error.where else error.what
        return Unfit(reason=reason, hint=error.hint, absent=isinstance(error, AbsentError))
    except OSError as error:
        return Unfit(reason=str(error), hint="repromatrix doctor, on that host")


def _require_room() -> None:
    free = _free()
    if free < LEAST_FREE:
        raise EnvironmentFailedError(
            f"only {in_words(free)} are free for {resources.cache()}",
            hint="on that host: repromatrix clean --unused, or set REPROMATRIX_CACHE to a folder with more room",
        )


def _write(recipe: Recipe, folder: Path) -> None:
    """Lay what came with the recipe where it is looked for."""
    lock = _lock_file(recipe, folder)
    lock.parent.mkdir(parents=True)
    lock.write_text(recipe.lock)
    if recipe.digests:
        _digests(folder).write_text(recipe.digests)


def _lock_file(recipe: Recipe, folder: Path) -> Path:
    return folder / recipe.environment.framework / "locks" / f"{recipe.environment.name}.txt"


def _digests(folder: Path) -> Path:
    return folder / "digests.json"


def _base(recipe: Recipe, folder: Path) -> Base:
    engine = _engine(recipe)
    share = shared(recipe.registry, engine, _Mute(), _digests(folder)) if recipe.registry else None
    return identify(recipe.environment, engine, folder, share).base


def _ready(recipe: Recipe, folder: Path) -> Ready:
    """Return the environment, made if it is absent: by one worker of a host, for which all others of it wait."""
    environment, engine = recipe.environment, _engine(recipe)
    with _alone(environment):
        share = shared(recipe.registry, engine, _Mute(), _digests(folder)) if recipe.registry else None
        base = identify(environment, engine, folder, share).base
        if base.digest != recipe.base:
            raise EnvironmentFailedError(
                f"{environment.name} would stand on another base there: {base.digest}, not {recipe.base}",
                hint="give all hosts the same Python, or the same base image",
            )
        wanted = Wanted(environment=environment, base=base, lock_folder=folder)
        require_space([wanted], engine, 1, pulled=share is not None)
        return ensure(environment, engine, folder, share=share, base=base)


@contextmanager
def _alone(environment: Environment) -> Iterator[None]:
    """Keep all others of this host from making an environment; the kernel lets go of the lock when its holder dies."""
    path = resources.cache() / "cluster" / f"{environment.name}.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield


_held: dict[tuple[str, str], Engine] = {}
_ended: set[str] = set()
_guard = Lock()


def _engine(recipe: Recipe) -> Engine:
    """Return the engine of a command: one for all that it asks of this worker.

    Raises:
        NoEngineError: it does not answer, or the command has ended.
    """
    key = (recipe.token, recipe.engine)
    with _guard:
        if recipe.token in _ended:
            raise NoEngineError("the command that asked was ended")
        if key not in _held:
            _held[key] = choose.choose(recipe.engine).engine
        return _held[key]


def _end(log: Path) -> bytes:
    """Return the end of a log, which says where it was cut."""
    if not log.is_file():
        return b""
    size = log.stat().st_size
    with log.open("rb") as stream:
        stream.seek(max(0, size - _LOG))
        text = stream.read()
    return text if size <= _LOG else b"... %d bytes before this are left out\n" % (size - len(text)) + text


class _Mute:
    """Nobody listens on a worker."""

    def say(self, text: str) -> None:
        """Say nothing."""

    def warned(self, text: str) -> None:
        """Say nothing."""

    def progress(self, _total: int) -> AbstractContextManager[Any]:
        """Show nothing."""
        return nullcontext()
