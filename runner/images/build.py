"""Environment -> ready to run: base, lock, wheels, then built if absent. The one place that joins these steps."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from threading import Lock

from runner import resources
from runner.engines.base import Base, BuildSpec, Built, Engine
from runner.engines.docker_images import DockerImages
from runner.images import base as bases
from runner.images import lock as locks
from runner.images import wheels
from runner.images.spec import build_spec, sources_digest
from runner.matrix import Environment


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """What an environment is, known before anything is fetched or built; all of it goes into the keys."""

    base: Base
    lock_digest: str
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


def identify(environment: Environment, engine: Engine, lock_folder: Path | None = None) -> Identity:
    """Return the identity of an environment, resolving its base (which may pull or make it).

    Raises:
        EnvironmentFailedError: no lock, or no base.
    """
    return Identity(
        base=resolve_base(environment, engine),
        lock_digest=locks.read(environment, lock_folder).digest,
        sources_digest=sources_digest(environment.framework),
    )


def resolve_base(environment: Environment, engine: Engine) -> Base:
    """Return what the environment stands on, in the engine's own terms."""
    if engine.name == "docker":
        with _base_lock:  # one build of a base, however many environments ask for it at once
            return bases.resolve_image(bases.entry(environment), _images(), log_path(environment), engine.command)
    return bases.interpreter(environment.python)


_base_lock = Lock()


@cache
def _images() -> DockerImages:
    return DockerImages()


def ensure(environment: Environment, engine: Engine, lock_folder: Path | None = None) -> Ready:
    """Return the environment, built if it is absent.

    Raises:
        EnvironmentFailedError: naming the log.
    """
    log = log_path(environment)
    log.parent.mkdir(parents=True, exist_ok=True)
    lock = locks.read(environment, lock_folder)
    base = resolve_base(environment, engine)
    bare = build_spec(environment, base, lock, ())
    found = engine.find(bare)
    if found:
        return Ready(spec=bare, built=found, made=False)
    spec = build_spec(environment, base, lock, wheels.fetch(environment, lock, log, engine.command))
    return Ready(spec=spec, built=engine.build(spec, log), made=True)
