"""`repromatrix lock`: resolve environments whose lock is missing or answers another request, or check them all."""

import json
from argparse import ArgumentParser, Namespace
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from fnmatch import fnmatchcase
from pathlib import Path

from repromatrix.cli import options as shared
from repromatrix.cli.profiles import advice, in_words, profiles_of
from repromatrix.cli.story import Story
from repromatrix.cli.upgrade import upgrade
from repromatrix.errors import EnvironmentFailedError, ExitCode, MatrixError, NothingSelectedError
from repromatrix.images import lock as locks
from repromatrix.matrix import Environment, Matrix, load
from repromatrix.plan import plan

_ASKED = "default"  # the profile that other commands run unless told
_CURRENT = "current"
_LOCKED = "locked"
_Outcome = str | EnvironmentFailedError


def arguments(parser: ArgumentParser) -> None:
    """Say what the command takes."""
    shared.selection(parser)
    parser.set_defaults(profile=None)
    what = parser.add_mutually_exclusive_group()
    what.add_argument(
        "--all", action="store_true", help="resolve also what has a lock that answers; versions stay where they can"
    )
    what.add_argument(
        "--check",
        action="store_true",
        help="change nothing; exit 4 if a lock is missing, outdated or damaged, or belongs to no environment",
    )
    what.add_argument(
        "--upgrade",
        action="append",
        default=[],
        metavar="NAME",
        help="move this package to the newest version that is allowed, the others only with it; may be repeated",
    )
    shared.jobs(parser)
    shared.json_output(parser)
    shared.examples(parser, "lock", "lock --check", "lock --upgrade numpy --select torch")


def run(options: Namespace) -> int:
    """Lock those of the selected environments that need it; without --profile, those of the whole matrix."""
    story = Story.of(options)
    matrix = load(options.matrix)
    environments = environments_of(options, matrix)
    if options.check:
        return _check(environments, locks.orphans(matrix.environments), story, as_json=options.json)
    if options.upgrade:
        return upgrade(environments, options.upgrade, story, as_json=options.json)
    wanted = [each for each in environments if options.all or _state(each) != _CURRENT]
    outcomes = _make_all(wanted, options.jobs)
    _tell(matrix, wanted, outcomes, options.profile or _ASKED, story)
    if len(wanted) < len(environments):
        story.say(
            f"{len(environments) - len(wanted)} of {len(environments)} locks answer matrix.yaml already; "
            "to resolve them again: repromatrix lock --all"
        )
    if options.json:
        print(json.dumps({each.name: _word(outcomes.get(each.name, _CURRENT)) for each in environments}))
    for outcome in outcomes.values():
        if isinstance(outcome, EnvironmentFailedError):
            raise outcome
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


def _make_all(environments: Sequence[Environment], jobs: int) -> dict[str, _Outcome]:
    with ThreadPoolExecutor(max_workers=jobs) as pool:
        outcomes = pool.map(_make, environments)
        return {each.name: outcome for each, outcome in zip(environments, outcomes, strict=True)}


def _tell(
    matrix: Matrix, wanted: Sequence[Environment], outcomes: Mapping[str, _Outcome], asked: str, story: Story
) -> None:
    """Say what became of each environment and, where its lock is new, who runs it: that may be nobody."""
    profiles = _profiles(matrix, [each for each in wanted if outcomes[each.name] == _LOCKED], story)
    for each in wanted:
        where = f" ({in_words(profiles[each.name])})" if each.name in profiles else ""
        story.say(f"{_word(outcomes[each.name]):<10} {each.name}{where}")
    for line in advice(matrix, profiles, asked):
        story.say(f"{'':<10} {line}")


def _profiles(matrix: Matrix, written: Sequence[Environment], story: Story) -> Mapping[str, tuple[str, ...]]:
    try:
        return profiles_of(matrix, written) if written else {}
    except MatrixError as error:  # the locks are good all the same
        story.warned(f"{error.where}: {error.what}")
        return {}


def _word(outcome: _Outcome) -> str:
    return outcome if isinstance(outcome, str) else "failed"


def _make(environment: Environment) -> _Outcome:
    try:
        return _LOCKED if locks.make(environment) else "unchanged"
    except EnvironmentFailedError as error:
        return error


def _check(environments: list[Environment], orphans: Sequence[Path], story: Story, *, as_json: bool) -> int:
    states = {each.name: _state(each) for each in environments}
    wrong = [each for each in environments if states[each.name] != _CURRENT]
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
    return _CURRENT
