"""`repromatrix build`: make the environments of a profile."""

import json
from argparse import Namespace
from concurrent.futures import ThreadPoolExecutor

from runner.cli.select import engine as choose_engine
from runner.cli.select import read
from runner.cli.story import Story
from runner.engines.base import Engine
from runner.errors import EnvironmentFailedError
from runner.images.build import Ready, ensure
from runner.matrix import Environment


def run(options: Namespace) -> int:
    """Build what is absent; the others are only looked up."""
    story = Story.of(options)
    _, plan = read(options)
    engine = choose_engine(options, story)
    with ThreadPoolExecutor(max_workers=options.jobs) as pool:
        try:
            outcomes = list(pool.map(lambda each: _ensure(each, engine, story), plan.environments))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            engine.stop()
            raise
    ready = [each for each in outcomes if isinstance(each, Ready)]
    if options.json:
        print(
            json.dumps(
                {each.spec.name: {"reference": each.built.reference, "digest": each.built.digest} for each in ready}
            )
        )
    story.say(f"{len(ready)} environments ready, {sum(each.made for each in ready)} built now")
    for each in outcomes:
        if isinstance(each, EnvironmentFailedError):
            raise each
    return 0


def _ensure(environment: Environment, engine: Engine, story: Story) -> Ready | EnvironmentFailedError:
    story.preparing(environment.name)
    try:
        ready = ensure(environment, engine)
    except EnvironmentFailedError as error:
        return error
    story.ready(environment.name, made=ready.made)
    return ready
