"""A registry as people write it, or as the environment variable has it -> the images that are shared there."""

import os
import re
from pathlib import Path

from repromatrix.engines.base import Engine
from repromatrix.engines.docker import DockerEngine
from repromatrix.errors import UsageError
from repromatrix.images.digests import Digests
from repromatrix.images.share import Share
from repromatrix.listener import Listener

VARIABLE = "REPROMATRIX_REGISTRY"
_HOST = r"(?:localhost|[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+|[A-Za-z0-9-]+(?=:)|\[[0-9a-f:]+\])(?::\d{1,5})?"
_PART = r"[a-z0-9]+(?:(?:\.|_{1,2}|-+)[a-z0-9]+)*"
_PLACE = re.compile(rf"{_HOST}(?:/{_PART})*")
_FORM = "HOST[:PORT]/PATH, for example ghcr.io/OWNER/repromatrix"


def place(text: str) -> str:
    """Return a registry's `HOST[:PORT]/PATH` after checking its form; a refused text is not told, it may hold secrets.

    Raises:
        UsageError: it has credentials in it, or another form.
    """
    if "@" in text:
        raise UsageError(
            f"--registry (or {VARIABLE}) takes no credentials", hint=f"docker login HOST, then write {_FORM}"
        )
    if "://" in text:
        raise UsageError(f"--registry (or {VARIABLE}) takes no scheme such as https://", hint=f"write {_FORM}")
    found = text.rstrip("/")
    if not _PLACE.fullmatch(found):
        raise UsageError(
            f"--registry (or {VARIABLE}) is not a registry's place",
            hint=f"write {_FORM}, the path in lower case; Docker Hub is docker.io/NAME",
        )
    return found


def named(asked: str | None) -> str | None:
    """Return the registry asked for, else the one that the environment variable names, as it stands there."""
    return asked or os.environ.get(VARIABLE) or None


def shared(
    asked: str | None, engine: Engine, listener: Listener, digests: Path, *, own_base_first: bool = False
) -> Share | None:
    """Return the images in the registry asked for, or named by the environment variable; None where neither is.

    Raises:
        UsageError: the registry's form, or an engine that was asked to share and has no images.
    """
    text = named(asked)
    if text is None:
        return None
    registry = place(text)
    if not isinstance(engine, DockerEngine):
        if asked:
            raise UsageError(
                f"--registry shares images of Docker, and the engine here is {engine.name}",
                hint="--engine docker, or leave --registry out",
            )
        listener.say(f"{'registry':<10} {registry} is not used: the engine {engine.name} has no images")
        return None
    return Share(
        engine=engine,
        remote=engine.remote,
        registry=registry,
        digests=Digests(digests),
        tell=listener.say,
        own_base_first=own_base_first,
    )
