"""Environments as plain virtual environments, for machines without a container engine.

The same locks and wheels as in Docker, installed by uv without a network. What it cannot do, and a container can: keep
a command off the network and the rest of the disk. Memory and process limits are watched ten times a second.
"""

import contextlib
import fcntl
import json
import os
import selectors
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from repromatrix import resources
from repromatrix.engines import installed
from repromatrix.engines.base import BuildSpec, Built, Exit, RunCommand, RunLimits, remade
from repromatrix.engines.cpus import SHARED, usable_here
from repromatrix.engines.failure import build_failure
from repromatrix.engines.homes import Homes
from repromatrix.engines.stream import Runs, Stream, StreamedRun
from repromatrix.engines.supervised import Commands, Supervised
from repromatrix.engines.tools import find_uv, uv_version
from repromatrix.errors import EnvironmentFailedError

_PIECE = 1 << 16
_MARKER = "complete.json"
_UNPACK = Path(__file__).with_name("unpack.py")  # not imported: what it needs is for it alone to load
_OTHER_PYTHONS = ("PYTHONHOME", "PYTHONPATH")  # would bring another environment's packages along
_GPU_VARIABLES = ("CUDA_VISIBLE_DEVICES", "NVIDIA_VISIBLE_DEVICES", "LD_LIBRARY_PATH")


class ProcessRun(StreamedRun):
    """A supervised command with three pipes."""

    def __init__(self, command: Supervised, *, stdin: bytes, limits: RunLimits, log: BinaryIO) -> None:
        super().__init__(limits=limits, log=log)
        self._command = command
        self._left = memoryview(stdin)
        self._selector = selectors.DefaultSelector()
        pipes = command.process
        for pipe, stream in ((pipes.stdout, Stream.STDOUT), (pipes.stderr, Stream.STDERR)):
            if pipe:
                os.set_blocking(pipe.fileno(), False)
                self._selector.register(pipe, selectors.EVENT_READ, stream)
        if pipes.stdin:
            os.set_blocking(pipes.stdin.fileno(), False)
            self._selector.register(pipes.stdin, selectors.EVENT_WRITE)
        # Readable once the command is gone: a command that closed its output is still one under way.
        self._selector.register(command.lifeline, selectors.EVENT_READ)

    def receive(self, timeout: float) -> Iterable[tuple[Stream, bytes]] | None:
        """Feed standard input and return what came within `timeout` seconds; None when all output is closed."""
        if not self._selector.get_map():
            return None
        pieces: list[tuple[Stream, bytes]] = []
        for key, _ in self._selector.select(timeout):
            if key.fileobj is self._command.lifeline:
                self._selector.unregister(self._command.lifeline)
            elif not isinstance(key.data, Stream):
                self._feed()
            elif data := os.read(key.fd, _PIECE):
                pieces.append((key.data, data))
            else:
                self._selector.unregister(key.fileobj)
        return pieces

    def _feed(self) -> None:
        pipe = self._command.process.stdin
        if pipe is None:
            return
        try:
            self._left = self._left[os.write(pipe.fileno(), self._left[:_PIECE]) :] if self._left else self._left
        except BrokenPipeError:
            self._left = self._left[:0]  # it ended, or never wanted to read: its output tells
        if not self._left:
            self._selector.unregister(pipe)
            pipe.close()

    def kill(self) -> None:
        """End the command with its whole tree."""
        self._command.close()

    def silent(self) -> Exit:
        """End the command and tell why it was silent: it may have ended already, and its processes be slow to go."""
        return self.ending() if self._command.has_ended else super().silent()

    def ending(self) -> Exit:
        """Return what the supervisor saw."""
        return self._command.wait()

    def close(self) -> None:
        """Leave nothing behind."""
        self._selector.close()
        self._command.close()


class ProcessEngine:
    """Virtual environments under the cache folder, each whole or not there."""

    name = "process"

    def __init__(self) -> None:
        self._commands = Commands()
        self._runs = Runs()
        self._homes = Homes()
        self._held: set[Path] = set()

    def __reduce__(self) -> tuple[Any, ...]:
        return remade, (ProcessEngine,)

    def describe(self) -> str:
        """Return the engine and its version in one line."""
        return f"process (virtual environments by uv {uv_version()}, no container)"

    def find(self, spec: BuildSpec) -> Built | None:
        """Return the environment if it is there and whole, without making anything."""
        folder = _folder(spec)
        return Built(reference=str(folder), digest=None) if self._is_whole(folder) else None

    def _is_whole(self, folder: Path) -> bool:
        """Whether an environment is there as it was made; once it was found so, its seal is not looked at again."""
        if not os.access(folder / "bin" / "python", os.X_OK):
            return False
        marker = _marker(folder)
        if marker is None or (folder not in self._held and not _is_sealed(folder, marker)):
            return False
        self._held.add(folder)
        return True

    @property
    def command(self) -> RunCommand:
        """What a build needs beforehand on this machine; `stop` ends it as it ends builds."""
        return self._commands.run

    def build(self, spec: BuildSpec, log: Path) -> Built:
        """Make the environment with no network; a half-made one is never found. The story goes to `log`.

        Raises:
            EnvironmentFailedError: naming the log.
        """
        folder = _folder(spec)
        log.parent.mkdir(parents=True, exist_ok=True)
        with _locked(folder):
            if built := self.find(spec):
                return built
            if (folder / _MARKER).exists():
                _note(log, f"{folder} is not as it was made: it is made again")
            # Built in its final place, since scripts carry their path; the marker, written last, makes it whole.
            resources.remove_tree(folder)
            try:
                self._install(spec, folder, log)
            except BaseException:
                resources.remove_tree(folder)
                raise
            _copy_sources(spec, folder)
            _mark(folder, spec)
        return Built(reference=str(folder), digest=None)

    def _install(self, spec: BuildSpec, folder: Path, log: Path) -> None:
        with self._homes.home() as home:
            for step, environment in _steps(spec, folder, home):
                ended = self._commands.run(step, environment=environment, folder=home, log=log)
                if not ended.clean:
                    raise build_failure(spec.name, ended, log)

    @contextmanager
    def run(
        self, built: Built, *, stdin: bytes, limits: RunLimits, variables: Mapping[str, str], gpu: bool, log: Path
    ) -> Iterator[ProcessRun]:
        """Start the environment's entrypoint with `stdin` as its standard input; standard error is appended to `log`.

        Leaving the context ends the process with all its children, whatever happened.

        Raises:
            EnvironmentFailedError: this machine has fewer CPUs than `limits` ask for.
        """
        log.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.ExitStack() as stack:
            story = stack.enter_context(log.open("ab", buffering=0))
            home = stack.enter_context(self._homes.home())
            mine = stack.enter_context(SHARED.taken(limits.cpus, usable_here()))
            words, own = self._launch(built, home, gpu=gpu)
            command = Supervised(
                words,
                environment=own | dict(variables),
                folder=home,
                stdin=subprocess.PIPE,
                memory_mib=limits.memory_mib,
                processes=limits.processes,
                cpus=mine,
            )
            stack.callback(command.close)
            run = ProcessRun(command, stdin=stdin, limits=limits, log=story)
            stack.callback(run.close)
            stack.enter_context(self._runs.registered(run))
            yield run

    def _launch(self, built: Built, home: Path, *, gpu: bool) -> tuple[list[str], dict[str, str]]:
        """Return the command of a run and its variables."""
        folder, own = self._whole(built)
        command = [str(folder / "bin" / "python"), str(folder / "repromatrix" / "entrypoint.py")]
        return command, _environment(home, folder) | _gpu_variables(gpu=gpu) | own

    def _whole(self, built: Built) -> tuple[Path, dict[str, str]]:
        """Return the folder of an environment and its variables.

        Raises:
            EnvironmentFailedError: what says that it is whole is gone.
        """
        folder = Path(built.reference)
        marker = _marker(folder)
        if marker is None:
            raise EnvironmentFailedError(
                "the environment is no longer whole", where=str(folder), hint="run again: it is made again"
            )
        return folder, dict(marker.variables)

    def execute(self, built: Built, command: Sequence[str], *, gpu: bool) -> int:  # noqa: ARG002 - a container asks
        """Run a command of the caller's in an environment, in the caller's folder and on its terminal; return its code.

        Nothing is limited and nothing is kept from it, a GPU neither: it is the caller's own program.
        """
        folder, own = self._whole(built)
        path = os.pathsep.join([str(folder / "bin"), os.environ.get("PATH", os.defpath)])
        kept = {name: value for name, value in os.environ.items() if name not in _OTHER_PYTHONS}
        found = shutil.which(command[0], path=path) or command[0]
        everything = kept | {"PATH": path, "VIRTUAL_ENV": str(folder)} | own
        return subprocess.run([found, *command[1:]], env=everything, check=False).returncode

    def data_place(self, _name: str, path: Path) -> str:
        """Return the path itself: nothing is mounted, and nothing keeps a command from writing there but its rights."""
        return str(path)

    def stop(self) -> None:
        """End every build and run under way, and each one begun later."""
        self._commands.stop()
        self._runs.stop()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Marker:
    """What an environment that is whole says of itself.

    Attributes:
        variables: of every process of it.
        compiled: the bytecode that was made with it.
        seal: see `installed.seal`.
    """

    variables: dict[str, str]
    compiled: list[str]
    seal: str


def _marker(folder: Path) -> _Marker | None:
    """Return what an environment says of itself; None where it is not whole, or was made by another release."""
    try:
        found = json.loads((folder / _MARKER).read_bytes())
        marker = _Marker(**found)
        texts = (marker.seal, *marker.compiled, *marker.variables, *marker.variables.values())
    except (OSError, ValueError, TypeError, AttributeError, RecursionError):
        return None
    return marker if all(isinstance(text, str) for text in texts) else None


def _is_sealed(folder: Path, marker: _Marker) -> bool:
    try:
        return installed.seal(folder, marker.compiled, without=_MARKER) == marker.seal
    except OSError:
        return False


def _mark(folder: Path, spec: BuildSpec) -> None:
    """Write the marker, which makes an environment whole."""
    installed.protect(folder)
    compiled = installed.bytecode(folder)
    seal = installed.seal(folder, compiled, without=_MARKER)
    marker = {"variables": dict(spec.variables), "compiled": compiled, "seal": seal}
    resources.write_atomically(folder / _MARKER, json.dumps(marker).encode())


def _note(log: Path, text: str) -> None:
    with log.open("a", encoding="utf-8") as story:
        story.write(f"{text}\n")


def _folder(spec: BuildSpec) -> Path:
    return resources.cache() / "environments" / f"{spec.name}-{spec.tag}"


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold the lock beside `folder`; the kernel lets go of it when its holder dies."""
    path = folder.parent / f".{folder.name}.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield


def _environment(home: Path, folder: Path) -> dict[str, str]:
    """Return the variables of a process of the environment: nothing of the caller's shell."""
    path = f"{folder / 'bin'}:/usr/local/bin:/usr/bin:/bin"
    return {"PATH": path, "HOME": str(home), "TMPDIR": str(home), "LANG": "C.UTF-8"}


def _gpu_variables(*, gpu: bool) -> dict[str, str]:
    if not gpu:
        return {"CUDA_VISIBLE_DEVICES": ""}
    return {name: os.environ[name] for name in _GPU_VARIABLES if name in os.environ}


def _steps(spec: BuildSpec, folder: Path, home: Path) -> Iterator[tuple[list[str], dict[str, str]]]:
    """Yield the commands of a build with their variables."""
    uv, python = find_uv(), str(folder / "bin" / "python")
    plain = _environment(home, folder)
    quiet = plain | {
        "UV_CACHE_DIR": str(home / "uv"),
        "UV_NO_CONFIG": "1",
        "UV_OFFLINE": "1",
        "UV_PYTHON_DOWNLOADS": "never",
    }
    yield [uv, "venv", "--quiet", "--python", spec.base.reference, str(folder)], quiet
    # Straight from the wheels, each file once: nobody vouches for a cache of unpacked ones, and to copy is the double.
    yield [sys.executable, "-I", str(_UNPACK), str(folder), str(spec.lock), *map(str, spec.wheels)], plain
    # The import compiles what will be imported: much cheaper than compiling all, and no run pays for it.
    yield [python, "-c", f"import {spec.module}"], plain | {"CUDA_VISIBLE_DEVICES": ""} | dict(spec.variables)


def _copy_sources(spec: BuildSpec, folder: Path) -> None:
    target = folder / "repromatrix"
    target.mkdir()
    for source in spec.sources:
        shutil.copyfile(source, target / source.name)
