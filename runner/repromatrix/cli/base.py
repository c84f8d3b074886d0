"""`repromatrix base`: build the local equivalent of the base images from the distribution's packages."""

from argparse import ArgumentParser, Namespace
from typing import TYPE_CHECKING

from repromatrix.cli import options as shared
from repromatrix.cli.story import Story
from repromatrix.errors import EnvironmentFailedError

if TYPE_CHECKING:
    from repromatrix.engines.base import Base
    from repromatrix.engines.docker_images import DockerImages
    from repromatrix.engines.supervised import Commands
    from repromatrix.images.base import BaseEntry


def arguments(parser: ArgumentParser) -> None:
    """Say what the command takes."""
    shared.selection(parser, own=True)
    parser.add_argument("--rebuild", action="store_true", help="build also what is here")
    lock = parser.add_mutually_exclusive_group()
    lock.add_argument("--locked", action="store_true", help="exit 4 if a base would hold other packages than its lock")
    lock.add_argument("--write-lock", action="store_true", help="build, and lock what the mirror serves now")
    shared.examples(parser, "base", "base --locked --rebuild")


def run(options: Namespace) -> int:
    """Build every base that the profile needs and this machine does not have; one that fails does not stop the others.

    Raises:
        EnvironmentFailedError: the first failure, after all have been tried.
    """
    from repromatrix.engines.docker_images import DockerImages
    from repromatrix.engines.supervised import Commands
    from repromatrix.images import base as bases
    from repromatrix.matrix import load
    from repromatrix.plan import plan

    story = Story.of(options)
    images, commands = DockerImages(), Commands()
    environments = plan(load(options.matrix), profile=options.profile, select=options.select).environments
    errors = []
    for wanted in dict.fromkeys(bases.entry(each) for each in environments):
        try:
            _one(wanted, images, commands, options, story)
        except EnvironmentFailedError as error:
            story.say(f"{'failed':<10} {wanted.local}: {error.what}")
            errors.append(error)
    if errors:
        raise errors[0]
    return 0


def _one(wanted: "BaseEntry", images: "DockerImages", commands: "Commands", options: Namespace, story: Story) -> None:
    from repromatrix.images import base as bases
    from repromatrix.images import base_lock
    from repromatrix.images.supply import log_path

    found = None if options.rebuild or options.write_lock else bases.find_image(wanted, images)
    made = found or bases.make_image(wanted, images, log_path(wanted), commands.run, locked=options.locked)
    verb = "found" if found else "built"
    if made.kind == "registry":
        story.say(f"{verb:<10} {made.reference} (pulled by digest)")
        return
    if options.write_lock:
        _write_lock(wanted, made, story)
    unlike = bases.unlike_lock(wanted, made, images)
    if unlike and options.locked:
        raise EnvironmentFailedError(
            unlike,
            where=str(base_lock.path_of(wanted.local_name)),
            hint="build it again from what the mirror serves now: repromatrix base --locked --rebuild",
        )
    story.say(f"{verb:<10} {made.reference} ({made.digest[:19]}; {unlike or 'as locked'})")


def _write_lock(wanted: "BaseEntry", made: "Base", story: Story) -> None:
    from repromatrix.images import base as bases
    from repromatrix.images import base_lock

    changed = base_lock.write(wanted.local_name, bases.packages_of(wanted, made) or ())
    story.say(f"{'locked' if changed else 'unchanged':<10} {base_lock.path_of(wanted.local_name)}")
