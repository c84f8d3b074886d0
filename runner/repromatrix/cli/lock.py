"""`repromatrix lock`: resolve environments and write their locks, or check that they are there."""

import json
from argparse import Namespace
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from fnmatch import fnmatchcase
from pathlib import Path

from repromatrix.cli.story import Story
from repromatrix.cli.upgrade import upgrade
from repromatrix.errors import EnvironmentFailedError, ExitCode, NothingSelectedError
from repromatrix.images import lock as locks
from repromatrix.matrix import Environment, Matrix, load
from repromatrix.plan import plan


def run(options: Namespace) -> int:
    """Lock the selected environments; without --profile, those of the whole matrix."""
    story = Story.of(options)
    matrix = load(options.matrix)
    environments = environments_of(options, matrix)
    if options.check:
        return _check(environments, locks.orphans(matrix.environments), story, as_json=options.json)
    if options.upgrade:
        return upgrade(environments, options.upgrade, story, as_json=options.json)
    with ThreadPoolExecutor(max_workers=options.jobs) as pool:
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


def environments_of(options: Namespace, matrix: Matrix) -> list[Environment]:
    """Return the environments that --profile and --select choose, by default those of the whole matrix.

    Raises:
        NothingSelectedError: none is left.
    """
    if options.profile:
        return list(plan(matrix, profile=options.profile, select=options.select).environments)
    wanted = [each for each in options.select if not each.startswith("!")] or ["*"]
    unwanted = [each[1:] for each in options.select if each.startswith("!")]
    found = [each for each in matrix.environments if _matches(each, wanted) and not _matches(each, unwanted)]
    if not found:
        raise NothingSelectedError(
            f"no environment matches {', '.join(options.select)}",
            hint="the names: " + ", ".join(each.name for each in matrix.environments)[:300],
        )
    return found


def _matches(environment: Environment, patterns: list[str]) -> bool:
    names = (environment.name, environment.framework)
    return any(fnmatchcase(name, pattern) for name in names for pattern in patterns)


def _make(environment: Environment) -> str | EnvironmentFailedError:
    try:
        return "locked" if locks.make(environment) else "unchanged"
    except EnvironmentFailedError as error:
        return error


def _check(environments: list[Environment], orphans: Sequence[Path], story: Story, *, as_json: bool) -> int:
    states = {each.name: _state(each) for each in environments}
    wrong = [each for each in environments if states[each.name] != "current"]
    for each in wrong:
        story.say(f"{states[each.name]:<10} {each.name} ({each.where})")
    for path in orphans:
        story.say(f"{'orphaned':<10} {path}: no environment of the matrix has this lock; remove it")
    if as_json:
        print(json.dumps(states | {path.stem: "orphaned" for path in orphans}))
    story.say(f"{len(environments) - len(wrong)} of {len(environments)} locks answer matrix.yaml")
    return int(ExitCode.ENVIRONMENT if wrong or orphans else ExitCode.OK)


def _state(environment: Environment) -> str:
    if not locks.path_of(environment).is_file():
        return "missing"
    if not locks.is_current(environment):
        return "outdated"
    try:
        locks.read(environment)
    except EnvironmentFailedError:
        return "damaged"
    return "current"
