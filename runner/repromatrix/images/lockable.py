"""Pairs of environments -> the pair to compare: one whose locks are there, or can be made on the fly in the cache."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from repromatrix import resources
from repromatrix.errors import EnvironmentFailedError
from repromatrix.images import lock as locks
from repromatrix.matrix import Environment

Sides = tuple[Environment, Environment]


class Spare:
    """The locks of the matrix, and those made on the fly; each environment is tried once."""

    def __init__(self) -> None:
        self._folder = resources.cache() / "locks"
        self._tried: dict[str, EnvironmentFailedError | None] = {}

    def choose(self, pairs: Sequence[Sides]) -> Sides:
        """Return the pair to compare: locked in one flavour, or lockable in one flavour, or else of two flavours.

        Raises:
            EnvironmentFailedError: why the first pair cannot be locked, if none can.
        """
        alike = [pair for pair in pairs if pair[0].flavour == pair[1].flavour]
        ready = [pair for pair in alike if all(map(locks.is_current, pair))]
        mixed = [pair for pair in pairs if pair not in alike]
        mixed.sort(key=lambda pair: not all(map(locks.is_current, pair)))
        errors: list[EnvironmentFailedError] = []
        for pair in (*ready, *alike, *mixed):
            problem = self._problem(pair[0]) or self._problem(pair[1])
            if not problem:
                return pair
            errors.append(problem)
        raise errors[0]

    def places(self, environments: Iterable[Environment]) -> dict[str, Path]:
        """Return, by environment, where the locks lie that are not the matrix's own."""
        return {each.name: self._folder for each in environments if not locks.is_current(each)}

    def _problem(self, environment: Environment) -> EnvironmentFailedError | None:
        """Return why the environment cannot be given a lock, or None once it has one."""
        if environment.name not in self._tried:
            self._tried[environment.name] = None
            try:
                if not (locks.is_current(environment) or locks.is_current(environment, self._folder)):
                    locks.make(environment, self._folder)
            except EnvironmentFailedError as error:
                self._tried[environment.name] = error
        return self._tried[environment.name]
