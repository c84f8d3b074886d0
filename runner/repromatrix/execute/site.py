"""Where environments are made and jobs run: what of a run depends on the machine. This one; or a cluster's."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from repromatrix.engines.base import Base, Engine
from repromatrix.errors import EnvironmentFailedError
from repromatrix.execute import host
from repromatrix.execute.host import Machine
from repromatrix.execute.work import Task, Work, run_job
from repromatrix.images.build import Identity, Ready, ensure, identify, log_path
from repromatrix.images.build import weight as weigh
from repromatrix.images.disk import Wanted, require_space
from repromatrix.images.share import Share
from repromatrix.matrix import Environment


class Site(Protocol):
    """Where environments are made and jobs run."""

    @property
    def name(self) -> str:
        """What it is called in the reason of a cell that cannot run there."""

    def engine_name(self, environment: Environment) -> str:
        """Return the name of the engine in which the processes of an environment run."""

    def machine(self, environment: Environment) -> Machine:
        """Return what the machine is on which the processes of an environment run.

        Raises:
            EnvironmentFailedError: there is none.
        """

    def identify(self, environment: Environment) -> Identity:
        """Return the identity of an environment there.

        Raises:
            EnvironmentFailedError: it cannot be made.
        """

    def require_space(self, wanted: Sequence[tuple[Environment, Base]], jobs: int) -> str:
        """Check that what is to be made fits; return what could not be known, in words, else an empty text.

        Raises:
            EnvironmentFailedError: it does not fit.
        """

    def weight(self, environment: Environment) -> int:
        """Return how large an environment is."""

    def prepare(self, environment: Environment, base: Base) -> Ready:
        """Make an environment on a base unless it is there.

        Raises:
            EnvironmentFailedError: it cannot be made.
        """

    def task(self, work: Work) -> Task:
        """Return what a worker is asked to do for a piece of work, whose environment is made."""

    def stop(self) -> None:
        """End what runs."""


class ThisMachine:
    """The machine of this process.

    Args:
        engine: where the processes run.
        here: where processes of an environment run that is the Python at hand; None: where all others do.
        share: a registry of images.
        lock_folders: by environment, where its lock lies if not in its own place; it may grow.
    """

    name = "this machine"

    def __init__(
        self,
        engine: Engine,
        *,
        here: Engine | None = None,
        share: Share | None = None,
        lock_folders: Mapping[str, Path] | None = None,
    ) -> None:
        self._engine, self._here, self._share = engine, here or engine, share
        self._lock_folders = {} if lock_folders is None else lock_folders

    def _engine_of(self, environment: Environment) -> Engine:
        return self._here if environment.at_hand else self._engine

    def engine_name(self, environment: Environment) -> str:
        """Return the name of an environment's engine."""
        return self._engine_of(environment).name

    def machine(self, _environment: Environment) -> Machine:
        """Return what this machine is."""
        return host.machine()

    def identify(self, environment: Environment) -> Identity:
        """Return the identity of an environment."""
        folder = self._lock_folders.get(environment.name)
        return identify(environment, self._engine_of(environment), folder, self._share)

    def require_space(self, wanted: Sequence[tuple[Environment, Base]], jobs: int) -> str:
        """Check that what is to be made fits here."""
        found = [
            Wanted(environment=environment, base=base, lock_folder=self._lock_folders.get(environment.name))
            for environment, base in wanted
        ]
        return require_space(found, self._engine, jobs=jobs, pulled=self._share is not None)

    def weight(self, environment: Environment) -> int:
        """Return how large an environment is."""
        return weigh(environment, self._engine_of(environment), self._lock_folders.get(environment.name))

    def prepare(self, environment: Environment, base: Base) -> Ready:
        """Make an environment unless it is there."""
        folder = self._lock_folders.get(environment.name)
        try:
            return ensure(environment, self._engine_of(environment), folder, share=self._share, base=base)
        except OSError as error:
            raise EnvironmentFailedError(
                f"{environment.name} cannot be made: {error}",
                where=str(log_path(environment)),
                hint="check the disk: repromatrix doctor",
            ) from error

    def task(self, work: Work) -> Task:
        """Return the job as it is."""
        return run_job, self._engine_of(work.environment), work.built, work.job

    def stop(self) -> None:
        """End what runs."""
        self._engine.stop()
        self._here.stop()
