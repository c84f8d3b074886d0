"""`--registry` and `--digests` -> the images that are shared there."""

import os
import re
from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from repromatrix.cli.story import Story
from repromatrix.engines.base import Engine
from repromatrix.errors import UsageError

if TYPE_CHECKING:
    from repromatrix.images.share import Share

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


def asked(options: Namespace) -> str | None:
    """Return the registry that the options or the environment variable name, as it stands there."""
    return getattr(options, "registry", None) or os.environ.get(VARIABLE) or None


def share_of(options: Namespace, engine: Engine, story: Story, *, own_base_first: bool = False) -> "Share | None":
    """Return the images in the registry that the options or the environment variable name, None where none is named.

    Raises:
        UsageError: the registry's form, or an engine that has no images.
    """
    named = asked(options)
    if not named:
        return None
    registry = place(named)
    from repromatrix.engines.docker import DockerEngine  # noqa: PLC0415 - most commands share nothing

    if not isinstance(engine, DockerEngine):
        if options.registry:
            raise UsageError(
                f"--registry shares images of Docker, and the engine here is {engine.name}",
                hint="--engine docker, or leave --registry out",
            )
        story.say(f"{'registry':<10} {registry} is not used: the engine {engine.name} has no images")
        return None
    from repromatrix.images.digests import NAME, Digests  # noqa: PLC0415
    from repromatrix.images.share import Share  # noqa: PLC0415

    digests = options.digests or Path(options.matrix).parent / NAME
    return Share(
        engine=engine,
        remote=engine.remote,
        registry=registry,
        digests=Digests(digests),
        tell=story.say,
        own_base_first=own_base_first,
    )
