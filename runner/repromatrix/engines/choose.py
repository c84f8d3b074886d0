"""Which engine to use, and why."""

from dataclasses import dataclass

from repromatrix.engines.base import Engine
from repromatrix.errors import NoEngineError, UsageError

NAMES = ("docker", "process")
CHOICES = ("auto", *NAMES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """An engine that answers, and the reason for it in one line."""

    engine: Engine
    reason: str


def choose(name: str) -> Choice:
    """Return the engine `name`, or for `auto` Docker where one answers and can build, else plain processes.

    Whether what images stand on can be had is for those who know images (images/auto).

    Raises:
        NoEngineError: Docker was asked for by name and does not answer, or nothing here can build with BuildKit.
        UsageError: there is no such engine.
    """
    if name not in CHOICES:
        raise UsageError(f"no engine {name!r}", hint=f"--engine {'|'.join(CHOICES)}")
    from repromatrix.engines.process import ProcessEngine  # noqa: PLC0415

    if name == "process":
        return Choice(engine=ProcessEngine(), reason="asked for by --engine process")
    try:
        docker = _docker()
    except NoEngineError as error:
        if name == "docker":
            raise
        return Choice(engine=ProcessEngine(), reason=f"{error.what}; `make engine` gives containers")
    why = "asked for by --engine docker" if name == "docker" else "a Docker engine answers"
    return Choice(engine=docker, reason=why)


def _docker() -> Engine:
    from repromatrix.engines.docker import DockerEngine  # noqa: PLC0415 - the SDK is slow to import
    from repromatrix.engines.tools import find_builder  # noqa: PLC0415

    engine = DockerEngine()
    find_builder()
    return engine
