"""A cluster as the place where environments are made and jobs run: in one CPU class, unless told otherwise."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from hashlib import sha256
from pathlib import Path
from typing import Any

from repromatrix import resources
from repromatrix.engines.base import Base
from repromatrix.errors import EnvironmentFailedError, NoEngineError, UsageError
from repromatrix.execute import host
from repromatrix.execute.cluster.pool import Member, Pool
from repromatrix.execute.cluster.there import Needs, Recipe, identify_there, make_there, run_there
from repromatrix.execute.host import Machine
from repromatrix.execute.work import Task, Work
from repromatrix.images import lock as locks
from repromatrix.images.build import Identity, Ready
from repromatrix.images.spec import sources_digest
from repromatrix.job import cell_of
from repromatrix.matrix import Environment

ANY = "any"


class Cluster:
    """The workers of a pool.

    Args:
        pool: of the cluster.
        engine: its name, or `auto`: Docker where all have it.
        cpu_class: in which all runs; `any`: an environment runs in one of those that there are, always the same; None:
            this machine's, or where no worker has it the one with the most threads.
        registry: where images are shared.
        digests: the list of pushed images.
        lock_folders: by environment, where its lock lies if not in its own place; it may grow.

    Raises:
        NoEngineError: no worker has the engine.
        UsageError: no worker is of the CPU class.
    """

    name = "a worker of the cluster"

    def __init__(
        self,
        pool: Pool,
        *,
        engine: str = "auto",
        cpu_class: str | None = None,
        registry: str | None = None,
        digests: Path | None = None,
        lock_folders: Mapping[str, Path] | None = None,
    ) -> None:
        self._pool = pool
        self._classes = _classes(pool.members, cpu_class)
        self._engine = _engine(engine, [each for each in pool.members if self._takes(each)])
        self._registry = registry
        self._digests = digests.read_text() if registry and digests and digests.is_file() else ""
        self._lock_folders = {} if lock_folders is None else lock_folders
        self._bases: dict[str, Base] = {}
        self._machines: dict[str, Machine] = {}

    def __str__(self) -> str:
        """Return what takes part, in one line."""
        members = [each for each in self._pool.members if self._takes(each)]
        threads = sum(each.threads for each in members)
        where = f"{len(members)} workers of {self._pool.address}, {threads} threads"
        return f"{where}, engine {self._engine}, CPU class {', '.join(self._classes)}"

    def _takes(self, member: Member) -> bool:
        return member.told.machine.cpu_class in self._classes

    def engine_name(self, _environment: Environment) -> str:
        """Return the name of the workers' engine."""
        return self._engine

    def machine(self, environment: Environment) -> Machine:
        """Return what the workers are on which an environment runs, with the GPUs that most of them have."""
        if environment.name not in self._machines:  # what goes into keys stays, whoever comes and goes
            self._machines[environment.name] = self._machine(environment)
        return self._machines[environment.name]

    def _machine(self, environment: Environment) -> Machine:
        cpu_class = max(self._classes, key=lambda each: sha256(f"{environment.name}\0{each}".encode()).digest())
        gpus: Counter[tuple[str, ...]] = Counter({(): 0})
        for member in self._pool.members:
            machine = member.told.machine
            if machine.cpu_class == cpu_class and machine.gpu:
                gpus[machine.gpu] += member.threads
        return Machine(cpu_class=cpu_class, gpu=max(gpus, key=lambda each: (gpus[each], each)))

    def identify(self, environment: Environment) -> Identity:
        """Return the identity of an environment on the first host that can have it, which all others must share.

        Raises:
            EnvironmentFailedError: none can, each with its reason.
        """
        lock = locks.read(environment, self._lock_folders.get(environment.name))
        needs = self._needs(environment)
        places = sorted({each.told.place for each in self._pool.members if each.fits(needs)})
        base, problem = self._first_base(environment, places)
        if base is None:
            raise problem or self._nowhere(environment)
        self._bases[environment.name] = base
        return Identity(base=base, lock_digest=lock.digest, sources_digest=sources_digest(environment.framework))

    def _first_base(
        self, environment: Environment, places: Iterable[str]
    ) -> tuple[Base | None, EnvironmentFailedError | None]:
        problem = None
        for place in places:
            try:
                needs = self._needs(environment, place=place)
                base: Base = self._pool.submit(needs, identify_there, self._recipe(environment)).result()
            except EnvironmentFailedError as error:
                problem = error
            else:
                return base, None
        return None, problem

    def _nowhere(self, environment: Environment) -> EnvironmentFailedError:
        cpu_class = self.machine(environment).cpu_class
        return EnvironmentFailedError(
            f"no worker of CPU class {cpu_class} with the engine {self._engine} is left for {environment.name}",
            hint="look at the workers, or choose others: --cpu-class",
        )

    def require_space(self, _wanted: Sequence[tuple[Environment, Base]], _jobs: int) -> str:
        """Leave it to the workers: each looks at its own disk before it makes something."""
        return ""

    def weight(self, environment: Environment) -> int:
        """Return how large an environment is."""
        return len(locks.read(environment, self._lock_folders.get(environment.name)).pins)

    def prepare(self, environment: Environment, base: Base) -> Ready:
        """Have a worker make an environment unless it is there."""
        self._bases[environment.name] = base
        asked: Future[Ready] = self._pool.submit(self._needs(environment), make_there, self._recipe(environment))
        return asked.result()

    def task(self, work: Work) -> Task:
        """Return the job, with what its environment is made from."""
        return _run, self._needs(work.environment, work), self._recipe(work.environment), work.job

    def stop(self) -> None:
        """End what runs."""
        self._pool.stop()

    def _needs(self, environment: Environment, work: Work | None = None, place: str = "") -> Needs:
        machine = self.machine(environment)
        gpu = machine.gpu if work and cell_of(work.asked[0]).device != "cpu" else ()
        return Needs(
            environment=environment.name, engine=self._engine, cpu_class=machine.cpu_class, gpu=gpu, place=place
        )

    def _recipe(self, environment: Environment) -> Recipe:
        base = self._bases.get(environment.name)
        return Recipe(
            environment=environment,
            lock=locks.path_of(environment, self._lock_folders.get(environment.name)).read_text(),
            code=resources.own_sha256(),
            engine=self._engine,
            token=self._pool.token,
            base=base.digest if base else None,
            registry=self._registry,
            digests=self._digests,
        )


_run: Callable[..., Any] = run_there  # for an executor a function like any other


def _classes(members: Sequence[Member], asked: str | None) -> tuple[str, ...]:
    """Return the CPU classes in which environments run."""
    threads: Counter[str] = Counter()
    for each in members:
        threads[each.told.machine.cpu_class] += each.threads
    there = tuple(sorted(threads))
    if asked == ANY:
        return there
    if asked is not None and asked not in there:
        raise UsageError(
            f"no worker of the cluster is of CPU class {asked}", hint=f"there are: {', '.join(there)}; or {ANY}"
        )
    own = host.cpu_class()
    return (asked or (own if own in there else max(there, key=lambda each: (threads[each], each))),)


def _engine(asked: str, members: Sequence[Member]) -> str:
    having = [name for name in ("docker", "process") if asked in ("auto", name)]
    for name in having:
        if all(name in each.told.engines for each in members):
            return name
    for name in having:
        if any(name in each.told.engines for each in members):
            return name
    raise NoEngineError(
        f"no worker of the cluster has the engine {asked}",
        hint="repromatrix doctor, on these hosts; or another --engine",
    )
