"""`repromatrix push`: make the environments of a profile and push their images to a registry."""

import json
from argparse import ArgumentParser, Namespace
from concurrent.futures import ThreadPoolExecutor

from repromatrix.cli import options as shared
from repromatrix.cli.build import wanted_of
from repromatrix.cli.registry import VARIABLE, share_of
from repromatrix.cli.select import engine as choose_engine
from repromatrix.cli.select import read
from repromatrix.cli.story import Story
from repromatrix.engines.base import Engine
from repromatrix.errors import EnvironmentFailedError, UsageError
from repromatrix.images import lock as locks
from repromatrix.images.build import ensure, identify
from repromatrix.images.disk import require_space
from repromatrix.images.share import Sent, Share
from repromatrix.images.spec import build_spec
from repromatrix.images.uses import using
from repromatrix.matrix import Environment


def arguments(parser: ArgumentParser) -> None:
    """Say what the command takes."""
    shared.selection(parser)
    shared.registry(parser)
    shared.jobs(parser)
    shared.json_output(parser)
    parser.set_defaults(engine="docker")
    shared.examples(parser, "push --registry ghcr.io/OWNER/repromatrix --profile versions")


def run(options: Namespace) -> int:
    """Push what the registry does not have; what is absent here as well is built first."""
    story = Story.of(options)
    _, plan = read(options)
    engine = choose_engine(options, story, plan.environments)
    share = share_of(options, engine, story, own_base_first=True)
    if share is None:
        raise UsageError("push where?", hint=f"--registry HOST[:PORT]/PATH, or set {VARIABLE}")
    with using(each.name for each in plan.environments):
        if unknown := require_space(wanted_of(plan.environments, engine, share), engine, options.jobs, pulled=True):
            story.warned(unknown)
        with ThreadPoolExecutor(max_workers=options.jobs) as pool:
            try:
                outcomes = list(pool.map(lambda each: _push(each, engine, share, story), plan.environments))
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                engine.stop()
                raise
    sent = {
        environment.name: outcome
        for environment, outcome in zip(plan.environments, outcomes, strict=True)
        if isinstance(outcome, Sent)
    }
    if options.json:
        print(json.dumps({name: {"reference": each.reference, "pushed": each.now} for name, each in sent.items()}))
    story.say(f"{len(sent)} images in the registry, {sum(each.now for each in sent.values())} pushed now")
    for outcome in outcomes:
        if isinstance(outcome, EnvironmentFailedError):
            raise outcome
    return 0


def _push(environment: Environment, engine: Engine, share: Share, story: Story) -> Sent | EnvironmentFailedError:
    story.preparing(environment.name)
    try:
        sent = _send(environment, engine, share, story)
    except EnvironmentFailedError as error:
        return error
    story.say(f"{'pushed' if sent.now else 'there':<10} {environment.name} {sent.reference}")
    return sent


def _send(environment: Environment, engine: Engine, share: Share, story: Story) -> Sent:
    lock, base = locks.read(environment), identify(environment, engine, share=share).base
    spec = build_spec(environment, base, lock, ())
    if engine.find(spec) is None and (sent := share.promised(spec)):
        return sent  # not fetched for the sake of being looked at
    ready = ensure(environment, engine, share=share, base=base)
    if ready.made:
        story.ready(environment.name, made=True)
    return share.push(environment, lock, ready.spec)
