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
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from repromatrix import resources
from repromatrix.engines.base import BuildSpec, Built, Exit, RunCommand, RunLimits, remade
from repromatrix.engines.cpus import SHARED, usable_here
from repromatrix.engines.failure import build_failure
from repromatrix.engines.homes import Homes
from repromatrix.engines.stream import Runs, Stream, StreamedRun
from repromatrix.engines.supervised import Commands, Supervised
from repromatrix.engines.tools import find_uv, uv_version

_PIECE = 1 << 16
_MARKER = "complete.json"
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

    def __reduce__(self) -> tuple[Any, ...]:
        return remade, (ProcessEngine,)

    def describe(self) -> str:
        """Return the engine and its version in one line."""
        return f"process (virtual environments by uv {uv_version()}, no container)"

    def find(self, spec: BuildSpec) -> Built | None:
        """Return the environment if it is there and whole, without making anything."""
        folder = _folder(spec)
        whole = (folder / _MARKER).is_file() and os.access(folder / "bin" / "python", os.X_OK)
        return Built(reference=str(folder), digest=None) if whole else None

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
            # Built in its final place, since scripts carry their path; the marker, written last, makes it whole.
            shutil.rmtree(folder, ignore_errors=True)
            with self._homes.home() as home:
                for step, environment in _steps(spec, folder, home):
                    ended = self._commands.run(step, environment=environment, folder=home, log=log)
                    if not ended.clean:
                        shutil.rmtree(folder, ignore_errors=True)
                        raise build_failure(spec.name, ended, log)
            _copy_sources(spec, folder)
            resources.write_atomically(folder / _MARKER, json.dumps({"variables": dict(spec.variables)}).encode())
        return Built(reference=str(folder), digest=None)

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
        folder = Path(built.reference)
        own: dict[str, str] = json.loads((folder / _MARKER).read_text())["variables"]
        command = [str(folder / "bin" / "python"), str(folder / "repromatrix" / "entrypoint.py")]
        return command, _environment(home, folder) | _gpu_variables(gpu=gpu) | own

    def execute(self, built: Built, command: Sequence[str]) -> int:
        """Run a command of the caller's in an environment, in the caller's folder and on its terminal; return its code.

        Nothing is limited and nothing is kept from it: it is the caller's own program.
        """
        folder = Path(built.reference)
        own: dict[str, str] = json.loads((folder / _MARKER).read_text())["variables"]
        path = os.pathsep.join([str(folder / "bin"), os.environ.get("PATH", os.defpath)])
        kept = {name: value for name, value in os.environ.items() if name not in _OTHER_PYTHONS}
        found = shutil.which(command[0], path=path) or command[0]
        everything = kept | {"PATH": path, "VIRTUAL_ENV": str(folder)} | own
        return subprocess.run([found, *command[1:]], env=everything, check=False).returncode

    def stop(self) -> None:
        """End every build and run under way, and each one begun later."""
        self._commands.stop()
        self._runs.stop()


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
        "UV_CACHE_DIR": str(resources.cache() / "uv"),
        "UV_NO_CONFIG": "1",
        "UV_OFFLINE": "1",
        "UV_PYTHON_DOWNLOADS": "never",
        "UV_LINK_MODE": "hardlink",
    }
    yield [uv, "venv", "--quiet", "--python", spec.base.reference, str(folder)], quiet
    # The wheels' own folders, not a folder of links: uv recognises what it has unpacked before by its path.
    links = [f"--find-links={parent}" for parent in sorted({str(wheel.parent) for wheel in spec.wheels})]
    install = ["pip", "install", "--python", python, "--no-index", *links, "--no-deps", "--require-hashes"]
    yield [uv, *install, "--requirement", str(spec.lock)], quiet
    # The import compiles what will be imported: much cheaper than compiling all, and no run pays for it.
    yield [python, "-c", f"import {spec.module}"], plain | {"CUDA_VISIBLE_DEVICES": ""} | dict(spec.variables)


def _copy_sources(spec: BuildSpec, folder: Path) -> None:
    target = folder / "repromatrix"
    target.mkdir()
    for source in spec.sources:
        shutil.copyfile(source, target / source.name)
