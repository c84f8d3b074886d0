"""Environments -> the base images that they lack here, and how those can be had: pulled by digest, or built.

For who did not ask for an engine by name: containers are worth waiting for, but not failing for.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Protocol

from repromatrix import resources
from repromatrix.engines.base import RunCommand
from repromatrix.engines.remote import Remote
from repromatrix.errors import EnvironmentFailedError
from repromatrix.images import base as bases
from repromatrix.images import lock as locks
from repromatrix.images.base import BaseEntry
from repromatrix.images.share import base_of_images
from repromatrix.matrix import Environment

PATIENCE = 15  # seconds that registries have to answer, all questions together
_BUILD_SECONDS = 20  # of one base, measured


class Images(bases.Images, Protocol):
    """What this module needs of the docker engine."""

    def registry_problem(self, reference: str, seconds: int) -> str:
        """Return an empty text if the registry knows that reference, else why not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Supply:
    """How the base images that are not on this machine can be had.

    Attributes:
        pulled: those that a registry offers.
        built: the others, which are built from the distribution's packages.
        silence: why no registry offers the first of the others.
        obstacle: why one of the others cannot be built; empty if all can.
    """

    pulled: tuple[BaseEntry, ...] = ()
    built: tuple[BaseEntry, ...] = ()
    silence: str = ""
    obstacle: str = ""

    @property
    def problem(self) -> str:
        """Why not all can be had, and what to type; empty if they can."""
        if not self.obstacle:
            return ""
        return f"{self._refusal}, and {self.obstacle}; {self._way_out}"

    @property
    def work(self) -> str:
        """What getting them takes, empty where there is nothing to do."""
        parts = [f"{_images(self.pulled)} from a registry"] if self.pulled else []
        if self.built:
            duration = _BUILD_SECONDS * len(self.built)
            parts.append(f"{_images(self.built)} from packages, about {duration} s, as {self._refusal}")
        return "; ".join(parts)

    @property
    def _refusal(self) -> str:
        return f"no registry gives {self.built[0].registry} ({self.silence})"

    @property
    def _way_out(self) -> str:
        if any(not each.packages for each in self.built):
            return "only a registry has that one"
        return "`make base` as root gives containers"


def missing(environments: Iterable[Environment], images: Images, remote: Remote) -> tuple[BaseEntry, ...]:
    """Return the bases that are not on this machine and that an environment needs, each once.

    Raises:
        EnvironmentFailedError: an environment asks for a base that nobody knows.
    """
    lacking = [each for each in environments if bases.find_image(bases.entry(each), images) is None]
    return tuple(dict.fromkeys(bases.entry(each) for each in lacking if not _has_image(each, remote)))


def supply(wanted: Sequence[BaseEntry], images: Images) -> Supply:
    """Return how `wanted` can be had; nothing is pulled or built."""
    problems = _registry_problems(wanted, images)
    built = tuple(each for each in wanted if problems[each])
    return Supply(
        pulled=tuple(each for each in wanted if not problems[each]),
        built=built,
        silence=problems[built[0]] if built else "",
        obstacle=next(filter(None, map(bases.obstacle, built)), ""),
    )


def obtain(found: Supply, images: Images, run: RunCommand) -> None:
    """Pull and build what is missing.

    Raises:
        EnvironmentFailedError: one of them can be had in no way after all.
    """
    for wanted in found.pulled:
        bases.resolve_image(wanted, images, log_path(wanted), run)
    for wanted in found.built:
        bases.make_image(wanted, images, log_path(wanted), run)


def log_path(wanted: BaseEntry) -> Path:
    """Return where the story of building a base stands."""
    return resources.cache() / "logs" / f"base-{wanted.local_name}.log"


def _has_image(environment: Environment, remote: Remote) -> bool:
    """Whether the environment's own image is here, pulled before, and so needs no base."""
    try:
        return base_of_images(environment, locks.read(environment), remote) is not None
    except EnvironmentFailedError:  # no lock in its usual place: it is yet to be built
        return False


def _registry_problems(wanted: Sequence[BaseEntry], images: Images) -> dict[BaseEntry, str]:
    until = monotonic() + PATIENCE
    problems = {}
    for each in wanted:
        left = round(until - monotonic())
        problems[each] = images.registry_problem(each.pinned, left) if left > 0 else "no time left to ask"
    return problems


def _images(wanted: Sequence[BaseEntry]) -> str:
    return f"{len(wanted)} base image{'s' if len(wanted) > 1 else ''}"
