"""`repromatrix lock --upgrade NAME`: move single packages of locks, and say what else that moves."""

import difflib
import json
from collections.abc import Sequence

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from repromatrix.cli.story import Story
from repromatrix.errors import UsageError
from repromatrix.images import lock as locks
from repromatrix.matrix import Environment

_WIDTH = 10


def upgrade(environments: Sequence[Environment], names: Sequence[str], story: Story, *, as_json: bool) -> int:
    """Move the packages `names` in every environment whose lock holds them, except where matrix.yaml pins them.

    Raises:
        UsageError: no lock holds such a package, or matrix.yaml pins it wherever one does.
        EnvironmentFailedError: a lock cannot be read, or nothing answers the request.
    """
    wanted = tuple(dict.fromkeys(canonicalize_name(name) for name in names))
    held = {each.name: _held(each) for each in environments}
    for name in wanted:
        _require_free(name, environments, held)
    result: dict[str, dict[str, list[str | None]]] = {}
    for each in environments:
        here = [name for name in wanted if name in held[each.name]]
        for name in (name for name in here if _pinned(each, name)):
            story.say(f"{'pinned':<{_WIDTH}} {each.name}: {name} by {each.where}")
        free = [name for name in here if not _pinned(each, name)]
        if free:
            moves = locks.upgrade(each, free)
            result[each.name] = {move.name: [move.before, move.after] for move in moves}
            _tell(each, free, held[each.name], moves, story)
    if as_json:
        print(json.dumps(result, indent=1))
    return 0


def _held(environment: Environment) -> dict[str, str]:
    return {canonicalize_name(pin.name): pin.version for pin in locks.read(environment).pins}


def _pinned(environment: Environment, name: str) -> bool:
    """Whether matrix.yaml asks for exactly one version of a package."""
    requirements = (Requirement(each) for each in environment.packages)
    return any(
        one.operator == "===" or (one.operator == "==" and not one.version.endswith(".*"))
        for each in requirements
        if canonicalize_name(each.name) == name
        for one in each.specifier
    )


def _require_free(name: str, environments: Sequence[Environment], held: dict[str, dict[str, str]]) -> None:
    holders = [each for each in environments if name in held[each.name]]
    if not holders:
        known = sorted({each for packages in held.values() for each in packages})
        near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
        raise UsageError(
            f"no lock of the {len(environments)} selected environments holds a package {name!r}",
            hint=f"did you mean {near[0]!r}?" if near else "select environments that have it, or see their locks",
        )
    if all(_pinned(each, name) for each in holders):
        raise UsageError(
            f"{name} is pinned exactly for {', '.join(each.name for each in holders)}",
            where=holders[0].where,
            hint="change the version there, then: repromatrix lock",
        )


def _tell(
    environment: Environment, asked: Sequence[str], held: dict[str, str], moves: Sequence[locks.Move], story: Story
) -> None:
    story.say(f"{'upgraded' if moves else 'unchanged':<{_WIDTH}} {environment.name}")
    moved = {move.name for move in moves}
    for name in asked:
        if name not in moved:
            story.say(f"{'':<{_WIDTH}} {name} {held[name]}: nothing newer is allowed")
    for move in sorted(moves, key=lambda each: (each.name not in asked, each.name)):
        story.say(f"{'':<{_WIDTH}} {_words(move, asked=move.name in asked)}")


def _words(move: locks.Move, *, asked: bool) -> str:
    if move.before is None:
        return f"{move.name} {move.after} (came with it)"
    if move.after is None:
        return f"{move.name} {move.before} (went with it)"
    return f"{move.name} {move.before} -> {move.after} ({'asked' if asked else 'moved with it'})"
