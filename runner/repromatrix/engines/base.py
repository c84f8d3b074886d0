"""What an engine does: build, run a command on an input within limits, inspect. Knows nothing of cells."""

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Base:
    """What an environment stands on.

    Attributes:
        kind: `registry` (pulled by digest), `local` (built from the distribution's packages) or `interpreter`.
        reference: what the engine takes: an image reference, or the path of a Python interpreter.
        digest: identity that goes into every key; for an interpreter its version, build and C library.
    """

    kind: str
    reference: str
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildSpec:
    """Everything an environment is made of; two equal specs give the same content.

    Attributes:
        name: the environment's name, for tags and messages.
        tag: content tag, hexadecimal; equal tags, equal content.
        base: what it stands on.
        lock: requirements with a hash for every wheel.
        wheels: the verified wheel files, exactly those of the lock.
        sources: harness, entrypoint and default job, copied side by side.
        dockerfile: build recipe of the docker engine.
        variables: environment variables that every process of the environment gets.
        labels: OCI labels.
        module: imported as the last step of the build; a failure fails the build.
        epoch: the time of everything that a build writes into an image, in seconds since 1970.
    """

    name: str
    tag: str
    base: Base
    lock: Path
    wheels: tuple[Path, ...]
    sources: tuple[Path, ...]
    dockerfile: Path
    variables: tuple[tuple[str, str], ...]
    labels: tuple[tuple[str, str], ...]
    module: str
    epoch: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """An environment that is ready to run.

    Attributes:
        reference: what `run` takes: an image reference, or a folder.
        digest: the image's digest, None where there is none.
    """

    reference: str
    digest: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunLimits:
    """What one run may use.

    Attributes:
        silence: seconds without a line on standard output after which the run is ended.
        memory_mib: memory in MiB.
        processes: processes and threads together.
        cpus: the run sees exactly so many, no more and no fewer.
        output_bytes: bytes of standard output after which the run is ended.
        network: whether it is let onto the network, where the engine can keep it off.
        data: name -> file or folder that it may read, and nothing more.
    """

    silence: float
    memory_mib: int
    processes: int
    cpus: int = 1
    output_bytes: int = 64 << 20
    network: bool = False
    data: tuple[tuple[str, Path], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Exit:
    """How a run ended: one of the reasons below, or a plain exit code."""

    code: int | None = None
    signal: str | None = None  # SIGSEGV, ...
    timed_out: bool = False
    out_of_memory: bool = False
    too_much_output: bool = False
    too_many_processes: bool = False  # seen by the process engine only; in a container the fork itself fails
    stopped: bool = False  # by `Engine.stop`

    @property
    def clean(self) -> bool:
        """Whether the process ended by itself with code 0; whatever ended it otherwise leaves no code."""
        return self.code == 0

    def explain(self, limits: RunLimits) -> str:
        """Return the reason in words."""
        reasons = (
            (self.stopped, "stopped by the runner"),
            (self.timed_out, f"no result for {limits.silence:g} s: ended by the time limit"),
            (self.out_of_memory, f"killed for memory (limit {limits.memory_mib} MiB)"),
            (self.too_much_output, f"more than {limits.output_bytes} bytes on standard output"),
            (self.too_many_processes, f"more than {limits.processes} processes and threads"),
            (self.signal, f"killed by {self.signal}"),
        )
        return next((words for so, words in reasons if so), f"exit code {self.code}")


class Run(Protocol):
    """A process under way: iterate its lines, then ask how it ended."""

    def lines(self) -> Iterator[bytes]:
        """Yield standard output line by line (newline removed) until the process ends or a limit ends it."""
        ...

    def result(self) -> Exit:
        """Return how the run ended; only after `lines` is exhausted."""
        ...


class RunCommand(Protocol):
    """Runs a command of this machine to its end, everything that it says appended to `log`; nothing outlives us."""

    def __call__(
        self, command: Sequence[str], *, environment: Mapping[str, str], folder: Path, log: Path, grace: float = 0
    ) -> Exit:
        """Return how it ended. One that is stopped gets `grace` seconds to clean up."""
        ...


@cache
def remade(kind: Callable[..., "Engine"], *arguments: Hashable) -> "Engine":
    """Return the engine of a process that was sent one: the same for all its jobs."""
    return kind(*arguments)


class Engine(Protocol):
    """Docker, or plain processes. One that is sent to another process is made there anew."""

    name: str

    def describe(self) -> str:
        """Return the engine and its version in one line."""
        ...

    def find(self, spec: BuildSpec) -> Built | None:
        """Return the environment if it is there and whole, without making anything."""
        ...

    @property
    def command(self) -> RunCommand:
        """What a build needs beforehand on this machine; `stop` ends it as it ends builds."""
        ...

    def build(self, spec: BuildSpec, log: Path) -> Built:
        """Make the environment with no network; a half-made one is never found. The story goes to `log`.

        Raises:
            EnvironmentFailedError: naming the log.
        """
        ...

    def run(
        self, built: Built, *, stdin: bytes, limits: RunLimits, variables: Mapping[str, str], gpu: bool, log: Path
    ) -> AbstractContextManager[Run]:
        """Start the environment's entrypoint with `stdin` as its standard input; standard error is appended to `log`.

        Leaving the context ends the process and removes the container, whatever happened.
        """
        ...

    def execute(self, built: Built, command: Sequence[str], *, gpu: bool) -> int:
        """Run a command of the caller's in an environment, in this folder and on this terminal; return its code."""
        ...

    def data_place(self, name: str, path: Path) -> str:
        """Return where a run has the data that its limits name."""
        ...

    def stop(self) -> None:
        """End every build and run under way, and each one begun later; from any thread, nothing is left behind."""
        ...
