"""`repromatrix build`: make the environments of a profile."""

import json
from argparse import ArgumentParser, Namespace
from pathlib import Path

from repromatrix import resources
from repromatrix.cli import options as shared
from repromatrix.cli.select import engine, read, share_of
from repromatrix.cli.story import Story
from repromatrix.errors import EnvironmentFailedError


def arguments(parser: ArgumentParser) -> None:
    """Say what the command takes."""
    shared.selection(parser, own=True)
    shared.engine(parser)
    shared.json_output(parser)
    parser.add_argument("--sbom", type=Path, metavar="DIR", help="write a CycloneDX bill of materials for each")
    shared.examples(parser, "build --select 'numpy-*'", "build --sbom bills")


def run(options: Namespace) -> int:
    """Build what is absent; the others are only looked up.

    Raises:
        EnvironmentFailedError: the first failure, after all have been tried.
    """
    from repromatrix.images.bill import bill_of
    from repromatrix.images.build import Ready
    from repromatrix.images.fleet import Fleet
    from repromatrix.images.uses import using

    story = Story.of(options)
    _, plan = read(options)
    chosen = engine(options, story, plan.environments)
    fleet = Fleet(chosen, share_of(options, chosen, story), options.jobs, story)
    with using(environment.name for environment in plan.environments):
        outcomes = fleet.build(plan.environments)
        made = dict(zip(plan.environments, outcomes, strict=True))
        ready = {environment: outcome for environment, outcome in made.items() if isinstance(outcome, Ready)}
        for environment in ready if options.sbom else ():
            path = options.sbom / f"{environment.name}.cdx.json"
            resources.write_atomically(path, bill_of(environment, chosen, story))
            story.say(f"{'wrote':<10} {path}")
    if options.json:
        built = {environment.name: outcome.built for environment, outcome in ready.items()}
        print(json.dumps({name: {"reference": each.reference, "digest": each.digest} for name, each in built.items()}))
    story.say(f"{len(ready)} environments ready, {sum(outcome.made for outcome in ready.values())} built now")
    for outcome in outcomes:
        if isinstance(outcome, EnvironmentFailedError):
            raise outcome
    return 0
