"""`repromatrix base`: build the local equivalent of the base images from the distribution's packages."""

from argparse import Namespace

from runner import resources
from runner.cli.story import Story
from runner.engines.docker_images import DockerImages
from runner.engines.supervised import Commands
from runner.images import base as bases
from runner.matrix import load
from runner.plan import plan


def run(options: Namespace) -> int:
    """Build every base that the profile needs and this machine does not have."""
    story = Story.of(options)
    images, commands = DockerImages(), Commands()
    environments = plan(load(options.matrix), profile=options.profile, select=options.select).environments
    for wanted in dict.fromkeys(bases.entry(each) for each in environments):
        found = bases.find_image(wanted, images)
        log = resources.cache() / "logs" / f"base-{wanted.name}-py{wanted.python}.log"
        made = found or bases.make_image(wanted, images, log, commands.run)
        story.say(f"{'found' if found else 'built':<10} {made.reference} ({made.kind}, {made.digest[:19]})")
    return 0
