"""Bills of materials for the commands that write them."""

from pathlib import Path

from repromatrix import resources
from repromatrix.cli.story import Story
from repromatrix.engines.base import Engine
from repromatrix.matrix import Environment


def bill_of(environment: Environment, engine: Engine, story: Story) -> bytes:
    """Return the bill of an environment that is built; wheels that it has to tell of are fetched where they are gone.

    Raises:
        EnvironmentFailedError: it is not built, or a wheel cannot be fetched.
    """
    from repromatrix.images import wheels  # noqa: PLC0415 - the Docker SDK costs time
    from repromatrix.images.build import log_path  # noqa: PLC0415
    from repromatrix.images.look import look, subject  # noqa: PLC0415
    from repromatrix.images.sbom import render  # noqa: PLC0415

    seen = look(environment, engine)
    seen.require_built()
    if any(each.wheel is None for each in seen.packages):  # its image came from a registry, or the store was cleaned
        story.say(f"{'fetching':<10} the wheels of {environment.name}, which tell what the bill says of them")
        wheels.fetch(environment, seen.lock, log_path(environment), engine.command)
        seen = look(environment, engine)
    return render(subject(seen))


def write_bill(bill: bytes, path: Path, story: Story) -> None:
    """Write a bill atomically."""
    resources.write_atomically(path, bill)
    story.say(f"{'wrote':<10} {path}")
