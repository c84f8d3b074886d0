"""Environments -> the profiles that run them: a version that was added runs only where a profile has its name."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from repromatrix.errors import NothingSelectedError
from repromatrix.matrix import Environment, Matrix
from repromatrix.plan import plan

_SHOWN = 5


def profiles_of(matrix: Matrix, environments: Iterable[Environment]) -> dict[str, tuple[str, ...]]:
    """Return for each environment the profiles that have cells of it, in the order of the matrix.

    Raises:
        MatrixError: a profile names what the matrix does not have.
    """
    members = {name: _members(matrix, name) for name in matrix.profiles}
    return {each.name: tuple(name for name in members if each.name in members[name]) for each in environments}


def in_words(profiles: Sequence[str]) -> str:
    """Return the profiles that run an environment, as they follow its name."""
    return f"in the profile{'s' if len(profiles) > 1 else ''} {', '.join(profiles)}" if profiles else "in no profile"


def advice(matrix: Matrix, profiles: Mapping[str, tuple[str, ...]], asked: str) -> Iterator[str]:
    """Yield what to edit or type where the profile `asked` does not run all environments that `profiles` tells of."""
    absent = [name for name, found in profiles.items() if asked not in found]
    if not absent or asked not in matrix.profiles:
        return
    place = f"{matrix.path.name}:{matrix.profiles[asked].line}"
    yield f"the profile {asked} does not run {_listed(absent)}: add the name to its environments ({place})"
    for other in (name for name in matrix.profiles if any(name in profiles[each] for each in absent)):
        yield f"or run the profile {other}: make matrix PROFILE={other}"


def _members(matrix: Matrix, profile: str) -> frozenset[str]:
    try:
        return frozenset(each.name for each in plan(matrix, profile=profile).environments)
    except NothingSelectedError:
        return frozenset()


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
