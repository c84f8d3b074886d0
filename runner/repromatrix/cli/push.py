"""`repromatrix push`: make the environments of a profile and push their images to a registry."""

import json
from argparse import ArgumentParser, Namespace

from repromatrix.cli import options as shared
from repromatrix.cli.select import engine, read, share_of
from repromatrix.cli.story import Story
from repromatrix.errors import EnvironmentFailedError, UsageError


def arguments(parser: ArgumentParser) -> None:
    """Say what the command takes."""
    shared.selection(parser, own=True)
    shared.registry(parser)
    shared.jobs(parser)
    shared.json_output(parser)
    parser.set_defaults(engine="docker")
    shared.examples(parser, "push --registry ghcr.io/OWNER/repromatrix --profile nightly")


def run(options: Namespace) -> int:
    """Push what the registry does not have; what is absent here as well is built first.

    Raises:
        EnvironmentFailedError: the first failure, after all have been tried.
    """
    from repromatrix.images.fleet import Fleet
    from repromatrix.images.share import Sent
    from repromatrix.images.sharing import VARIABLE
    from repromatrix.images.uses import using

    story = Story.of(options)
    _, plan = read(options)
    chosen = engine(options, story, plan.environments)
    share = share_of(options, chosen, story, own_base_first=True)
    if share is None:
        raise UsageError("push where?", hint=f"--registry HOST[:PORT]/PATH, or set {VARIABLE}")
    with using(environment.name for environment in plan.environments):
        outcomes = Fleet(chosen, share, options.jobs, story).push(plan.environments, share)
    tried = zip(plan.environments, outcomes, strict=True)
    sent = {environment.name: outcome for environment, outcome in tried if isinstance(outcome, Sent)}
    if options.json:
        print(json.dumps({name: {"reference": each.reference, "pushed": each.now} for name, each in sent.items()}))
    story.say(f"{len(sent)} images in the registry, {sum(each.now for each in sent.values())} pushed now")
    for outcome in outcomes:
        if isinstance(outcome, EnvironmentFailedError):
            raise outcome
    return 0
