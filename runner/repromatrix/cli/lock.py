"""`repromatrix lock`: resolve environments whose lock is missing or answers another request, or check them all."""

from argparse import ArgumentParser, Namespace
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from repromatrix.cli import options as shared
from repromatrix.cli import out
from repromatrix.cli.story import Story
from repromatrix.errors import EnvironmentFailedError, ExitCode, MatrixError

if TYPE_CHECKING:
    from repromatrix.images.lock import Made, Move
    from repromatrix.images.locking import Upgrade
    from repromatrix.matrix import Environment, Matrix

_ASKED = "default"  # the profile that other commands run unless told
_SHOWN = 5  # names in a message


def arguments(parser: ArgumentParser) -> None:
    """Say what the command takes."""
    shared.selection(parser, own=True)
    parser.set_defaults(profile=None)
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--all", action="store_true", help="resolve everything again; versions stay where they can")
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
        help="move this package to the newest version that is allowed, the others only with it; a shell pattern means "
        "all of those names that the matrix does not pin; may be repeated",
    )
    parser.add_argument(
        "--rehash",
        action="append",
        default=[],
        metavar="NAME",
        help="take another hash of this package though its version stays; may be repeated",
    )
    parser.add_argument(
        "--any-source",
        action="store_true",
        help="take the newest version of all indexes and folders, not that of the first index that has one",
    )
    shared.jobs(parser)
    shared.json_output(parser)
    shared.examples(
        parser,
        "lock",
        "lock --check",
        "lock --upgrade scipy --select jax",
        "lock --upgrade '*'",
        more=(
            "lock --all --rehash numpy --select numpy-2.4.6-cpu",
            "lock --upgrade scipy --any-source",
        ),
    )


def run(options: Namespace) -> int:
    """Lock those of the selected environments that need it; without --profile, those of the whole matrix.

    Raises:
        EnvironmentFailedError: the first failure, after all have been tried.
    """
    from repromatrix.images.locking import State, make_all, state
    from repromatrix.matrix import load
    from repromatrix.plan import environments_of

    story, matrix = Story.of(options), load(options.matrix)
    environments = environments_of(matrix, options.profile, options.select)
    if options.check:
        return _check(matrix, environments, story, as_json=options.json)
    if options.upgrade:
        return _upgrade(environments, options, story)
    wanted = [each for each in environments if options.all or state(each) is not State.CURRENT]
    outcomes = make_all(wanted, options.jobs, options.rehash, any_source=options.any_source)
    words = {name: _word(outcome) for name, outcome in outcomes.items()}
    _tell(matrix, wanted, words, options.profile or _ASKED, story)
    for line in _remarks(outcomes):
        story.say(line)
    if len(wanted) < len(environments):
        story.say(
            f"{len(environments) - len(wanted)} of {len(environments)} locks are up to date; "
            "to resolve them again: repromatrix lock --all"
        )
    if options.json:
        out.document({each.name: words.get(each.name, State.CURRENT) for each in environments})
    for outcome in outcomes.values():
        if isinstance(outcome, EnvironmentFailedError):
            raise outcome
    return 0


def _remarks(outcomes: "Mapping[str, Made | EnvironmentFailedError]") -> Iterator[str]:
    """Yield what was taken from elsewhere, and what was not taken though it is offered."""
    made = {name: each for name, each in outcomes.items() if not isinstance(each, EnvironmentFailedError)}
    for name, each in made.items():
        for package, version, source in each.elsewhere:
            yield f"{'source':<10} {name}: {package} {version} is of {source}, not of the first index"
    yield from (_left(name, each.left) for name, each in made.items() if each.left)


def _left(environment: str, left: Sequence[tuple[str, str]]) -> str:
    """Return what is offered and not taken, and what to type."""
    names = ", ".join(" ".join(pin) for pin in left[:_SHOWN]) + (
        f" and {len(left) - _SHOWN} more" * (len(left) > _SHOWN)
    )
    rehash = " ".join(f"--rehash {package}" for package, _ in left[:_SHOWN])
    return (
        f"{'left out':<10} {environment}: the sources offer another file of {names}, which the lock does not allow; "
        f"to allow it: repromatrix lock --all {rehash} --select {environment}"
    )


def _word(outcome: "Made | EnvironmentFailedError") -> str:
    return "failed" if isinstance(outcome, EnvironmentFailedError) else "locked" if outcome.changed else "unchanged"


def _tell(
    matrix: "Matrix", wanted: "Sequence[Environment]", words: Mapping[str, str], asked: str, story: Story
) -> None:
    """Say what became of each environment and, where its lock is new, who runs it: that may be nobody."""
    profiles = _profiles(matrix, [each for each in wanted if words[each.name] == "locked"], story)
    for each in wanted:
        where = f" ({_in_words(profiles[each.name])})" if each.name in profiles else ""
        story.say(f"{words[each.name]:<10} {each.name}{where}")
    for line in _advice(matrix, profiles, asked):
        story.say(f"{'':<10} {line}")


def _profiles(matrix: "Matrix", written: "Sequence[Environment]", story: Story) -> Mapping[str, tuple[str, ...]]:
    from repromatrix.plan import profiles_of

    try:
        return profiles_of(matrix, written) if written else {}
    except MatrixError as error:  # the locks are good all the same
        story.warned(f"{error.where}: {error.what}")
        return {}


def _in_words(profiles: Sequence[str]) -> str:
    return f"in the profile{'s' if len(profiles) > 1 else ''} {', '.join(profiles)}" if profiles else "in no profile"


def _advice(matrix: "Matrix", profiles: Mapping[str, tuple[str, ...]], asked: str) -> Iterator[str]:
    """Yield what to edit or type where the profile `asked` does not run all environments that `profiles` tells of."""
    absent = [name for name, found in profiles.items() if asked not in found]
    if not absent or asked not in matrix.profiles:
        return
    place = f"{matrix.path.name}:{matrix.profiles[asked].line}"
    names = ", ".join(absent[:_SHOWN]) + (f" and {len(absent) - _SHOWN} more" if len(absent) > _SHOWN else "")
    yield f"the profile {asked} does not run {names}: add the name to its environments ({place})"
    for other in (name for name in matrix.profiles if any(name in profiles[each] for each in absent)):
        yield f"or run the profile {other}: make matrix PROFILE={other}"


def _check(matrix: "Matrix", environments: "Sequence[Environment]", story: Story, *, as_json: bool) -> int:
    from repromatrix.images.lock import orphans
    from repromatrix.images.locking import State, state

    states = {each.name: state(each) for each in environments}
    wrong = [each for each in environments if states[each.name] is not State.CURRENT]
    alone = orphans(matrix.environments)
    for each in wrong:
        story.say(f"{states[each.name]:<10} {each.name} ({each.where})")
    for path in alone:
        story.say(f"{'orphaned':<10} {path}: no environment of the matrix has this lock; remove it")
    if as_json:
        out.document({**states, **{path.stem: "orphaned" for path in alone}})
    story.say(f"{len(environments) - len(wrong)} of {len(environments)} locks are up to date")
    return int(ExitCode.ENVIRONMENT if wrong or alone else ExitCode.OK)


def _upgrade(environments: "Sequence[Environment]", options: Namespace, story: Story) -> int:
    """Move packages of locks, and say what else that moves; raise the first failure after all have been tried."""
    from repromatrix.images.locking import upgrade

    moved: dict[str, dict[str, list[str | None]]] = {}
    failures = []
    for done in upgrade(environments, options.upgrade, any_source=options.any_source):
        environment = done.environment
        if done.failure:
            story.say(f"{'failed':<10} {environment.name}: {done.failure.what}")
            failures.append(done.failure)
            continue
        for name in done.pinned:
            story.say(f"{'pinned':<10} {environment.name}: {name} by {environment.where}")
        if done.asked:
            moved[environment.name] = {move.name: [move.before, move.after] for move in done.moves}
            _tell_moves(done, story)
    if options.json:
        out.document(moved, indent=1)
    if failures:
        raise failures[0]
    return 0


def _tell_moves(done: "Upgrade", story: Story) -> None:
    story.say(f"{'upgraded' if done.moves else 'unchanged':<10} {done.environment.name}")
    moved = {move.name for move in done.moves}
    for name, version in done.asked.items():
        if name not in moved:
            story.say(f"{'':<10} {name} {version}: nothing newer is allowed")
    for move in sorted(done.moves, key=lambda move: (move.name not in done.asked, move.name)):
        story.say(f"{'':<10} {_words(move, asked=move.name in done.asked)}")


def _words(move: "Move", *, asked: bool) -> str:
    source = f", from {move.source}, not from the first index" if move.source else ""
    if move.before is None:
        return f"{move.name} {move.after} (came with it{source})"
    if move.after is None:
        return f"{move.name} {move.before} (went with it)"
    return f"{move.name} {move.before} -> {move.after} ({'asked' if asked else 'moved with it'}{source})"
