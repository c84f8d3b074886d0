"""Environment -> ready to run: base, lock, wheels, then built if absent. The one place that joins these steps."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from threading import Lock

from repromatrix import resources
from repromatrix.engines.base import Base, BuildSpec, Built, Engine
from repromatrix.engines.docker_images import DockerImages
from repromatrix.engines.here import HereEngine
from repromatrix.engines.remote import Remote
from repromatrix.errors import EnvironmentFailedError
from repromatrix.images import base as bases
from repromatrix.images import here as at_hand
from repromatrix.images import interpreters, wheels
from repromatrix.images import lock as locks
from repromatrix.images.share import Share, base_of_images
from repromatrix.images.spec import build_spec, sources_digest
from repromatrix.matrix import Environment


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """What an environment is, known before anything is fetched or built; all of it goes into the keys."""

    base: Base
    lock_digest: str | None  # None: no lock, the environment is taken as it is found
    sources_digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """A built environment."""

    spec: BuildSpec
    built: Built
    made: bool


def log_path(environment: Environment) -> Path:
    """Return where the story of fetching and building an environment stands."""
    return resources.cache() / "logs" / f"{environment.name}.log"


def identify(
    environment: Environment, engine: Engine, lock_folder: Path | None = None, share: Share | None = None
) -> Identity:
    """Return the identity of an environment, resolving its base (which may pull or make it).

    Where its image is here or in the registry of `share`, the base need not be on this machine.

    Raises:
        EnvironmentFailedError: no lock, no base, or the registry does not answer.
    """
    if isinstance(engine, HereEngine):
        return Identity(base=engine.base, lock_digest=None, sources_digest=sources_digest(environment.framework))
    lock = locks.read(environment, lock_folder)
    return Identity(
        base=_choose_base(environment, engine, lock, share),
        lock_digest=lock.digest,
        sources_digest=sources_digest(environment.framework),
    )


def resolve_base(environment: Environment, engine: Engine) -> Base:
    """Return what the environment stands on, in the engine's own terms."""
    if engine.name == "docker":
        with _base_lock:  # one build of a base, however many environments ask for it at once
            return bases.resolve_image(bases.entry(environment), _images(), log_path(environment), engine.command)
    return interpreters.find(environment.python)


def _choose_base(environment: Environment, engine: Engine, lock: locks.Lock, share: Share | None) -> Base:
    """Return the base of the image that is here or in the registry; else what the environment would be built on."""
    if engine.name != "docker":
        return resolve_base(environment, engine)
    here = bases.find_image(bases.entry(environment), _images())
    found = share.base(environment, lock, here) if share else here or base_of_images(environment, lock, Remote())
    return found or resolve_base(environment, engine)


_base_lock = Lock()


def weight(environment: Environment, engine: Engine, lock_folder: Path | None = None) -> int:
    """Return how many packages there are to fetch and to install, should the environment be absent."""
    return 0 if isinstance(engine, HereEngine) else len(locks.read(environment, lock_folder).pins)


@cache
def _images() -> DockerImages:
    return DockerImages()


def ensure(
    environment: Environment,
    engine: Engine,
    lock_folder: Path | None = None,
    *,
    share: Share | None = None,
    base: Base | None = None,
) -> Ready:
    """Return the environment, pulled where the registry of `share` has it, or built, if it is absent.

    With `base`, as `identify` gave it, the environment stands on that one and no other.

    Raises:
        EnvironmentFailedError: naming the log, or the image in the registry.
    """
    log = log_path(environment)
    log.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(engine, HereEngine):
        staged = at_hand.build_spec(environment, engine.base)
        return Ready(spec=staged, built=engine.find(staged) or engine.build(staged, log), made=False)
    lock = locks.read(environment, lock_folder)
    base = base or _choose_base(environment, engine, lock, share)
    bare = build_spec(environment, base, lock, ())
    found = engine.find(bare)
    if found:
        return Ready(spec=bare, built=found, made=False)
    if share and (pulled := share.fetch(bare)):
        return Ready(spec=bare, built=pulled, made=False)
    if resolve_base(environment, engine).digest != base.digest:
        raise EnvironmentFailedError(
            f"{environment.name}: its image went away while it was wanted", hint="run the same command again"
        )
    spec = build_spec(environment, base, lock, wheels.fetch(environment, lock, log, engine.command))
    return Ready(spec=spec, built=engine.build(spec, log), made=True)
