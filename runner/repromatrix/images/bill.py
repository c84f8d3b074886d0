"""An environment that is built -> its bill of materials; wheels that it has to tell of are fetched if they are gone."""

from repromatrix.engines.base import Engine
from repromatrix.images import wheels
from repromatrix.images.build import log_path
from repromatrix.images.look import look, subject
from repromatrix.images.sbom import render
from repromatrix.listener import Listener
from repromatrix.matrix import Environment


def bill_of(environment: Environment, engine: Engine, listener: Listener) -> bytes:
    """Return the bill of an environment that is built, as JSON.

    Raises:
        EnvironmentFailedError: it is not built, or a wheel cannot be fetched.
    """
    seen = look(environment, engine)
    seen.require_built()
    if any(each.wheel is None for each in seen.packages):  # its image came from a registry, or the store was cleaned
        listener.say(f"{'fetching':<10} the wheels of {environment.name}, which tell what the bill says of them")
        wheels.fetch(environment, seen.lock, log_path(environment), engine.command)
        seen = look(environment, engine)
    return render(subject(seen))
