"""`repromatrix lock`: resolve environments and write their locks, or check that they are there."""

import json
from argparse import Namespace
from concurrent.futures import ThreadPoolExecutor
from fnmatch import fnmatchcase

from runner.cli.story import Story
from runner.errors import EnvironmentFailedError, ExitCode, NothingSelectedError
from runner.images import lock as locks
from runner.matrix import Environment, Matrix, load
from runner.plan import plan

_RESOLVERS = 4  # resolving waits for the network


def run(options: Namespace) -> int:
    """Lock the selected environments; without --profile, those of the whole matrix."""
    story = Story.of(options)
    environments = _environments(options, load(options.matrix))
    if options.check:
        return _check(environments, story)
    with ThreadPoolExecutor(max_workers=_RESOLVERS) as pool:
        outcomes = list(pool.map(_make, environments))
    for environment, outcome in zip(environments, outcomes, strict=True):
        story.say(f"{outcome if isinstance(outcome, str) else 'failed':<10} {environment.name}")
    errors = [each for each in outcomes if not isinstance(each, str)]
    if options.json:
        print(
            json.dumps(
                {e.name: o if isinstance(o, str) else "failed" for e, o in zip(environments, outcomes, strict=True)}
            )
        )
    if errors:
        raise errors[0]
    return 0


def _environments(options: Namespace, matrix: Matrix) -> list[Environment]:
    if options.profile:
        return list(plan(matrix, profile=options.profile, select=options.select).environments)
    patterns = options.select or ["*"]
    found = [
        each
        for each in matrix.environments
        if any(fnmatchcase(each.name, p) or fnmatchcase(each.framework, p) for p in patterns)
    ]
    if not found:
        raise NothingSelectedError(
            f"no environment matches {', '.join(patterns)}",
            hint="the names: " + ", ".join(each.name for each in matrix.environments)[:300],
        )
    return found


def _make(environment: Environment) -> str | EnvironmentFailedError:
    try:
        return "locked" if locks.make(environment) else "unchanged"
    except EnvironmentFailedError as error:
        return error


def _check(environments: list[Environment], story: Story) -> int:
    wrong = [each for each in environments if not locks.is_current(each)]
    for each in wrong:
        story.say(
            f"{'outdated' if locks.path_of(each).is_file() else 'missing':<10} {each.name} (matrix.yaml:{each.line})"
        )
    story.say(f"{len(environments) - len(wrong)} of {len(environments)} locks answer matrix.yaml")
    return int(ExitCode.ENVIRONMENT if wrong else ExitCode.OK)
