"""`repromatrix build`: make the environments of a profile."""

import contextlib
import json
from argparse import ArgumentParser, Namespace
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from repromatrix.cli import options as shared
from repromatrix.cli.bill import bill_of, write_bill
from repromatrix.cli.registry import share_of
from repromatrix.cli.select import engine as choose_engine
from repromatrix.cli.select import read
from repromatrix.cli.story import Story
from repromatrix.engines.base import Engine
from repromatrix.errors import AbsentError, EnvironmentFailedError
from repromatrix.images.build import Ready, ensure, identify
from repromatrix.images.disk import Wanted, require_space
from repromatrix.images.share import Share
from repromatrix.images.uses import using
from repromatrix.matrix import Environment


def arguments(parser: ArgumentParser) -> None:
    """Say what the command takes."""
    shared.selection(parser)
    shared.engine(parser)
    shared.json_output(parser)
    parser.add_argument("--sbom", type=Path, metavar="DIR", help="write a CycloneDX bill of materials for each")
    shared.examples(parser, "build --select 'numpy-*'", "build --sbom bills")


def run(options: Namespace) -> int:
    """Build what is absent; the others are only looked up."""
    story = Story.of(options)
    _, plan = read(options)
    engine = choose_engine(options, story, plan.environments)
    share = share_of(options, engine, story)
    with using(each.name for each in plan.environments):
        wanted = wanted_of(plan.environments, engine, share)
        if unknown := require_space(wanted, engine, options.jobs, pulled=share is not None):
            story.warned(unknown)
        with ThreadPoolExecutor(max_workers=options.jobs) as pool:
            try:
                outcomes = list(pool.map(lambda each: _ensure(each, engine, story, share), plan.environments))
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                engine.stop()
                raise
        ready = [each for each in outcomes if isinstance(each, Ready)]
        if options.sbom:
            there = {each.spec.name for each in ready}
            for environment in (each for each in plan.environments if each.name in there):
                write_bill(bill_of(environment, engine, story), options.sbom / f"{environment.name}.cdx.json", story)
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


def wanted_of(environments: Iterable[Environment], engine: Engine, share: Share | None) -> list[Wanted]:
    """Return the environments with their bases, but for those that have none, which fail in their turn."""
    wanted = []
    for each in environments:
        with contextlib.suppress(EnvironmentFailedError):  # told when its turn comes
            wanted.append(Wanted(environment=each, base=identify(each, engine, share=share).base))
    return wanted


def _ensure(
    environment: Environment, engine: Engine, story: Story, share: Share | None
) -> Ready | EnvironmentFailedError | None:
    story.preparing(environment.name)
    try:
        ready = ensure(environment, engine, share=share)
    except AbsentError as error:
        if not environment.suffix:
            return error
        story.say(f"{'skipped':<10} {environment.name}: {error.what}")  # as `run` skips its cells
        return None
    except EnvironmentFailedError as error:
        return error
    story.ready(environment.name, made=ready.made)
    return ready
