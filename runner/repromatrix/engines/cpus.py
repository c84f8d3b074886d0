"""Which CPUs a run gets: a fixed number, whatever the machine has, so that no library sizes its work by the machine."""

import os
from collections import Counter
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from threading import Lock

from repromatrix.errors import EnvironmentFailedError


class Cpus:
    """How many runs under way are on each CPU; may be shared between threads."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._runs: Counter[int] = Counter()

    @contextmanager
    def taken(self, count: int, usable: Collection[int]) -> Iterator[tuple[int, ...]]:
        """Hold `count` different CPUs out of `usable` as long as the context lasts, those with the fewest runs first.

        None where nothing can be told of them, as on macOS: a run then sees all there are.

        Raises:
            EnvironmentFailedError: there are not so many.
        """
        if not usable:
            yield ()
            return
        if count > len(usable):
            raise EnvironmentFailedError(
                f"this run asks for {count} CPUs and {len(usable)} can be used here: see defaults.limits.cpus and the"
                " threads of its settings in matrix.yaml",
                hint="ask for fewer, or run on a machine that has them",
            )
        with self._lock:
            mine = tuple(sorted(sorted(usable, key=lambda cpu: (self._runs[cpu], cpu))[:count]))
            self._runs.update(mine)
        try:
            yield mine
        finally:
            with self._lock:
                self._runs.subtract(mine)


SHARED = Cpus()  # both engines of a process run on the same machine


def usable_here() -> frozenset[int]:
    """Return the CPUs that this thread may run on; empty where the system cannot tell."""
    return frozenset(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else frozenset()


def usable_in_engine(count: int) -> frozenset[int]:
    """Return the CPUs that containers may have, of an engine on this machine that sees `count` CPUs.

    An engine in a virtual machine of its own has other CPUs than we do: all that it sees, numbered from 0.
    """
    here = usable_here()
    return here if here and len(here) <= count else frozenset(range(count))
