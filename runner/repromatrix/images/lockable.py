"""Words of a command line -> environments; pairs of them -> the one to compare, whose locks are there or can be made.

What the matrix does not hold is locked on the fly, in the cache, and remembered there by its name: so that other
commands find its cells.
"""

import json
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from repromatrix import resources
from repromatrix.errors import EnvironmentFailedError, UsageError
from repromatrix.images import given
from repromatrix.images import lock as locks
from repromatrix.images.releases import releases
from repromatrix.matrix import Environment, Matrix
from repromatrix.matrix.candidates import FRAMEWORKS, candidates, family, on_other_pythons
from repromatrix.matrix.check import suggest

Sides = tuple[Environment, Environment]
_AT_ONCE = 5  # questions to the resolver
# What uv says where an index does not answer, so that no other Python can help either.
_SILENT = ("Failed to fetch", "dns error", "error sending request")


class Spare:
    """The locks of the matrix, and those made on the fly; each environment is tried once."""

    def __init__(self) -> None:
        self._folder = resources.cache() / "locks"
        self._tried: dict[str, EnvironmentFailedError | None] = {}
        self._given: dict[str, given.Given] = {}
        self.names: set[str] = set()  # of environments that `remembered` added

    def meant(self, matrix: Matrix, wanted: str, *, pre: bool = False) -> tuple[Environment, ...]:
        """Return the environments that a word can mean, the likeliest first.

        Args:
            matrix: whose environments are known.
            wanted: an environment's name, FRAMEWORK==VERSION, a lock, a requirements.txt, a wheel, or a framework's
                name with `pre`.
            pre: whether a bare name is its newest release, pre-releases among them.

        Raises:
            UsageError: it means nothing.
            EnvironmentFailedError: the index knows no release.
        """
        name, _, flag = wanted.strip().partition(" ")
        if flag == "--pre" or (pre and name.lower() in FRAMEWORKS):
            return on_other_pythons(candidates(matrix, f"{name}=={self._newest(matrix, name)}"))
        if Path(wanted).is_file():
            found = given.read(matrix, Path(wanted))
            self._given |= {each.environment.name: each for each in found}
            return tuple(each.environment for each in found)
        known = self.recall(wanted) if matrix.environment(wanted) is None else None
        if known or matrix.environment(wanted):
            return (known,) if known else candidates(matrix, wanted)
        return on_other_pythons(candidates(matrix, wanted))

    def named(self, matrix: Matrix, name: str) -> Environment:
        """Return the environment of a name, of the matrix or remembered.

        Raises:
            UsageError: there is none.
        """
        found = matrix.environment(name) or self.recall(name)
        if found is None:
            known = [each.name for each in matrix.environments]
            raise UsageError(f"no environment {name!r} in {matrix.path.name}", hint=suggest(name, known)[:300])
        return found

    def remembered(self, matrix: Matrix, cells: Iterable[str]) -> Matrix:
        """Return a matrix with the environments that cell ids name and that were locked on the fly once."""
        names = [name for name in (cell.split("/")[1] for cell in cells if "/" in cell) if not matrix.environment(name)]
        found = {each.name: each for each in map(self.recall, names) if each is not None}
        self.names |= found.keys()
        return replace(matrix, environments=(*matrix.environments, *found.values())) if found else matrix

    def choose(self, pairs: Sequence[Sides]) -> Sides:
        """Return the pair to compare: one that is locked, or else one that can be; of one Python if there is one.

        Raises:
            EnvironmentFailedError: why the first pair cannot be locked, if none can.
        """
        ready = [pair for pair in pairs if all(each.at_hand or locks.is_current(each) for each in pair)]
        ready.sort(key=lambda pair: (pair[0].flavour != pair[1].flavour, pair[0].python != pair[1].python))
        first = (*ready, *pairs)[0]
        if (problem := self._of_pair(first)) and _is_final(problem):
            raise problem
        if problem:  # the resolver waits for the network: all that is left at once
            with ThreadPoolExecutor(max_workers=_AT_ONCE) as pool:
                list(pool.map(self._problem, {each.name: each for pair in pairs for each in pair}.values()))
        for pair in (*ready, *pairs):
            if self._of_pair(pair) is None:
                return pair
        raise problem or EnvironmentFailedError(f"{first[0].name} and {first[1].name} cannot be locked")

    def _of_pair(self, pair: Sides) -> EnvironmentFailedError | None:
        return self._problem(pair[0]) or self._problem(pair[1])

    def first(self, meant: Sequence[Environment]) -> Environment:
        """Return the first of several environments that has a lock, or can be given one.

        Raises:
            EnvironmentFailedError: why the first cannot.
        """
        return self.choose(tuple((each, each) for each in meant))[0]

    def require(self, environment: Environment) -> None:
        """Give an environment a lock, if it has none.

        Raises:
            EnvironmentFailedError: it cannot be locked.
        """
        if problem := self._problem(environment):
            raise problem

    def places(self, environments: Iterable[Environment]) -> dict[str, Path]:
        """Return, by environment, where the locks lie that are not the matrix's own."""
        return {each.name: self._folder for each in environments if not each.at_hand and not locks.is_current(each)}

    def recall(self, name: str) -> Environment | None:
        """Return the environment that was once locked on the fly under that name, or None."""
        path = next(iter(self._folder.glob(f"*/locks/{name}.json")), None) if name and "/" not in name else None
        if path is None:
            return None
        entry: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        entry |= {name: tuple(entry[name]) for name in ("requirements", "devices")}
        return Environment(**entry | {"variables": tuple((name, value) for name, value in entry["variables"])})

    def _problem(self, environment: Environment) -> EnvironmentFailedError | None:
        """Return why the environment cannot be given a lock, or None once it has one."""
        if environment.name not in self._tried:
            self._tried[environment.name] = None
            try:
                self._lock(environment)
            except EnvironmentFailedError as error:
                self._tried[environment.name] = _explained(environment, error)
        return self._tried[environment.name]

    def _lock(self, environment: Environment) -> None:
        if environment.at_hand or locks.is_current(environment):
            return
        if not locks.is_current(environment, self._folder):
            known = self._given.get(environment.name)
            if known is not None:
                known.lock(self._folder)
            else:
                locks.make(environment, self._folder)
        path = locks.path_of(environment, self._folder)
        kept = asdict(replace(environment, locks=None))  # its lock is in the cache, whoever's matrix named it
        resources.write_atomically(path.parent / f"{environment.name}.json", json.dumps(kept).encode())

    def _newest(self, matrix: Matrix, name: str) -> str:
        if name.lower() not in FRAMEWORKS:
            raise UsageError(f"no framework {name!r}", hint=suggest(name, sorted(FRAMEWORKS)))
        like = family(matrix, FRAMEWORKS[name.lower()], None)[-1]
        return releases(name.lower(), like, pre=True)[-1]


def _is_final(error: EnvironmentFailedError) -> bool:
    return any(each in error.what for each in _SILENT)


def _explained(environment: Environment, error: EnvironmentFailedError) -> EnvironmentFailedError:
    """Return an error that names the build that cannot be had: another one is never taken in its place."""
    plain = f"{environment.framework}=={environment.version}"
    if plain in environment.packages or not environment.index:
        return error
    return EnvironmentFailedError(
        f"{error.what}; asked for the build {', '.join(environment.packages)}, which neither your package sources nor "
        f"{environment.index} give",
        where=error.where,
        hint=f"no other build is taken in its place: name one that matrix.yaml has, like "
        f"{environment.framework}[cuda]=={environment.version} (gigabytes), or make that index reachable",
    )
