"""The engine for environments: the one asked for, or by `auto` Docker where the base images can be had."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from repromatrix.engines.choose import Choice
from repromatrix.errors import EnvironmentFailedError
from repromatrix.images.supply import Supply
from repromatrix.listener import Listener
from repromatrix.matrix import Environment


@dataclass(frozen=True, slots=True, kw_only=True)
class Prospect:
    """The engine that `auto` takes, and what has to be fetched or built for it first."""

    choice: Choice
    supply: Supply


def settle(asked: str, environments: Sequence[Environment], listener: Listener, *, shared: bool) -> Choice:
    """Return the engine for `environments`; their base images are here, if `auto` is asked for and takes Docker.

    Args:
        asked: the name of an engine, or `auto`.
        environments: what is to run.
        listener: is told before time is spent.
        shared: a registry was named that gives images, which need no base.

    Raises:
        NoEngineError: the one asked for does not answer.
    """
    from repromatrix.engines.choose import choose  # noqa: PLC0415 - the Docker SDK costs time

    return choose(asked) if asked != "auto" else _settled(environments, listener, shared=shared)


def _settled(environments: Sequence[Environment], listener: Listener, *, shared: bool) -> Choice:
    from repromatrix.engines.docker_images import DockerImages  # noqa: PLC0415 - the Docker SDK costs time
    from repromatrix.images.supply import obtain  # noqa: PLC0415

    found = prospect(environments, shared=shared)
    if not found.supply.work:
        return found.choice
    listener.say(f"{'bases':<10} {found.supply.work}")
    try:
        obtain(found.supply, DockerImages(), found.choice.engine.command)
    except EnvironmentFailedError as error:
        place = f", see {error.where}" if error.where else ""
        return _processes(f"the base images cannot be made: {error.what}{place}; then `make base` gives containers")
    return found.choice


def prospect(environments: Sequence[Environment], *, shared: bool) -> Prospect:
    """Return what `settle` would do; nothing is pulled or built."""
    from repromatrix.engines.choose import choose  # noqa: PLC0415

    choice = choose("auto")
    if choice.engine.name != "docker":
        return Prospect(choice=choice, supply=Supply())
    if shared:
        told = replace(choice, reason=f"{choice.reason}, and a registry for its images was named")
        return Prospect(choice=told, supply=Supply())
    try:
        found = _supply(environments)
    except EnvironmentFailedError as error:
        return Prospect(choice=_processes(error.what), supply=Supply())
    if found.problem:
        return Prospect(choice=_processes(found.problem), supply=Supply())
    return Prospect(choice=choice, supply=found)


def _supply(environments: Sequence[Environment]) -> Supply:
    from repromatrix.engines.docker_images import DockerImages  # noqa: PLC0415
    from repromatrix.engines.remote import Remote  # noqa: PLC0415
    from repromatrix.images.supply import missing, supply  # noqa: PLC0415

    images = DockerImages()
    return supply(missing(environments, images, Remote()), images)


def _processes(reason: str) -> Choice:
    from repromatrix.engines.choose import choose  # noqa: PLC0415

    return Choice(engine=choose("process").engine, reason=reason)
