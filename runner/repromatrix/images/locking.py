"""The locks of many environments: their states, making those that are needed, moving single packages of them."""

import difflib
import fnmatch
import re
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from enum import StrEnum

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from repromatrix.errors import EnvironmentFailedError, UsageError
from repromatrix.images import lock as locks
from repromatrix.matrix import Environment

_PATTERN = re.compile(r"[*?\[]")


class State(StrEnum):
    """What is with the lock of an environment."""

    CURRENT = "current"
    MISSING = "missing"
    OUTDATED = "outdated"
    DAMAGED = "damaged"


def state(environment: Environment) -> State:
    """Return what is with the lock of an environment."""
    if not locks.path_of(environment).is_file():
        return State.MISSING
    if not locks.is_current(environment):
        return State.OUTDATED
    try:
        locks.read(environment)
    except EnvironmentFailedError:
        return State.DAMAGED
    return State.CURRENT


def make_all(
    environments: Sequence[Environment], jobs: int, rehash: Sequence[str] = (), *, any_source: bool = False
) -> dict[str, locks.Made | EnvironmentFailedError]:
    """Make the locks of environments, several at a time; return, by name, what became of it, or why it failed.

    Args:
        environments: whose locks.
        jobs: how many at a time.
        rehash: packages whose hash may be another though their version stays.
        any_source: the best version of all sources counts, not that of the first index that has one.
    """
    with ThreadPoolExecutor(max_workers=jobs) as pool:
        outcomes = pool.map(lambda each: _make(each, rehash, any_source=any_source), environments)
        return {each.name: outcome for each, outcome in zip(environments, outcomes, strict=True)}


def _make(environment: Environment, rehash: Sequence[str], *, any_source: bool) -> locks.Made | EnvironmentFailedError:
    try:
        return locks.make(environment, rehash=rehash, any_source=any_source)
    except EnvironmentFailedError as error:
        return error


@dataclass(frozen=True, slots=True, kw_only=True)
class Upgrade:
    """What became of the packages that were to be upgraded in one environment.

    Attributes:
        pinned: those that matrix.yaml pins exactly.
        asked: the others, with the versions that the lock held.
        moves: what moved, packages that came or went with them included.
        failure: why nothing answers the request; None: something does.
    """

    environment: Environment
    pinned: tuple[str, ...]
    asked: Mapping[str, str]
    moves: tuple[locks.Move, ...]
    failure: EnvironmentFailedError | None = None


def upgrade(
    environments: Sequence[Environment], names: Sequence[str], *, any_source: bool = False
) -> Iterator[Upgrade]:
    """Move packages in every environment whose lock holds them, except where matrix.yaml pins them, one by one.

    Args:
        environments: whose locks.
        names: of packages; a shell pattern stands for all that a lock holds and matrix.yaml does not pin everywhere.
        any_source: the best version of all sources counts, not that of the first index that has one.

    Raises:
        UsageError: no lock holds such a package, or matrix.yaml pins it wherever one does.
        EnvironmentFailedError: a lock cannot be read.
    """
    held = {each.name: _held(each) for each in environments}
    wanted = tuple(dict.fromkeys(found for name in names for found in _named(name, environments, held)))
    for name in wanted:
        _require_free(name, environments, held)
    for each in environments:
        here = [name for name in wanted if name in held[each.name]]
        pinned = tuple(name for name in here if _pinned(each, name))
        free: dict[str, str] = {name: held[each.name][name] for name in here if name not in pinned}
        if here:
            yield _upgraded(each, pinned, free, any_source=any_source)


def _upgraded(
    environment: Environment, pinned: tuple[str, ...], free: Mapping[str, str], *, any_source: bool
) -> Upgrade:
    done = Upgrade(environment=environment, pinned=pinned, asked=free, moves=())
    try:
        return replace(done, moves=locks.upgrade(environment, tuple(free), any_source=any_source) if free else ())
    except EnvironmentFailedError as error:
        return replace(done, failure=error)


def _named(name: str, environments: Sequence[Environment], held: Mapping[str, Mapping[str, str]]) -> Iterator[str]:
    """Yield the packages that a name or a shell pattern means."""
    every = sorted({each for packages in held.values() for each in packages})
    matching = fnmatch.filter(every, name) if _PATTERN.search(name) else ()
    free = (each for each in matching if not all(_pinned(e, each) for e in environments if each in held[e.name]))
    yield from free if matching else (canonicalize_name(name),)


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


def _require_free(name: str, environments: Sequence[Environment], held: Mapping[str, Mapping[str, str]]) -> None:
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
