"""Starts a command under `supervise.py`, so that it ends with the runner, however the runner ends."""

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from threading import Lock
from typing import IO

from repromatrix.engines import supervise
from repromatrix.engines.base import Exit
from repromatrix.engines.signals import signal_name

_Output = int | IO[bytes]
_TICK = 0.5  # seconds after which a supervisor that says nothing is told to go on


class Supervised:
    """A command with its whole tree of processes."""

    def __init__(
        self,
        command: Sequence[str],
        *,
        environment: Mapping[str, str],
        folder: Path,
        stdin: int = subprocess.DEVNULL,
        stdout: _Output = subprocess.PIPE,
        stderr: _Output = subprocess.PIPE,
        memory_mib: int = 0,
        processes: int = 0,
        cpus: Sequence[int] = (),
        grace: float = 0,
    ) -> None:
        # Its own folder, which no other command has: by it are found whom a killed supervisor left behind.
        self._home = str(folder) if environment.get("HOME") == str(folder) else None
        self.lifeline, theirs = socket.socketpair()
        with theirs:
            self.process = subprocess.Popen(
                [sys.executable, "-I", "-S", supervise.__file__, str(theirs.fileno())],
                stdin=stdin,
                stdout=stdout,
                stderr=stderr,
                pass_fds=(theirs.fileno(),),
                start_new_session=True,  # Ctrl-C reaches the runner only, which then decides
            )
        order: supervise.Order = {
            "command": list(command),
            "environment": dict(environment),
            "folder": str(folder),
            "memory_mib": memory_mib,
            "processes": processes,
            "cpus": list(cpus),
            "grace": grace,
        }
        self.lifeline.sendall(json.dumps(order).encode() + b"\n")

    def wait(self) -> Exit:
        """Wait until nothing of the command is left and tell how it ended."""
        while not self.has_ended:
            select.select([self.lifeline], [], [], _TICK)
            self._resume()
        self.lifeline.settimeout(None)
        verdict = self.lifeline.recv(64).decode()
        self._left()
        word, _, number = (verdict or "signal 9").partition(" ")  # no verdict: the supervisor itself was killed
        return Exit(
            code=int(number) if word == "exit" else None,
            signal=signal_name(int(number)) if word == "signal" else None,
            out_of_memory=word == "memory",
            too_many_processes=word == "processes",
            stopped=word == "stopped",
        )

    @property
    def has_ended(self) -> bool:
        """Whether the command ended or passed a limit, even if some of its processes are not gone yet."""
        return bool(select.select([self.lifeline], [], [], 0)[0])

    def ask_to_stop(self) -> None:
        """Have everything killed; from any thread, `wait` then returns."""
        self.lifeline.shutdown(socket.SHUT_WR)

    def _resume(self) -> None:
        """Have the supervisor go on if its command stopped it."""
        self.process.send_signal(signal.SIGCONT)

    def _left(self) -> None:
        """Wait until the supervisor is gone, and what it kept with it; where its command killed it, kill the rest."""
        while self.process.poll() is None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(_TICK)
            self._resume()
        while self.process.returncode and self._home and (left := _processes_in(self._home)):
            for pid in left:
                with contextlib.suppress(OSError):
                    os.kill(pid, signal.SIGKILL)

    def close(self) -> None:
        """Kill what is left, wait until it is gone, close the pipes."""
        self.lifeline.close()
        self._left()
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            if pipe:
                pipe.close()


def _processes_in(home: str) -> list[int]:
    """Return the processes whose variables name a folder, but those that have ended."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if home.encode() in (path / "environ").read_bytes():
                found.append(int(path.name))
    return found


def answer(
    command: Sequence[str], *, environment: Mapping[str, str], folder: Path
) -> "subprocess.CompletedProcess[str]":
    """Run a command to its end and return what it says on both outputs; it ends with the runner."""
    with tempfile.TemporaryFile() as stdout, tempfile.TemporaryFile() as stderr:
        running = Supervised(command, environment=environment, folder=folder, stdout=stdout, stderr=stderr)
        try:
            ended = running.wait()
        finally:
            running.close()
        said = []
        for stream in (stdout, stderr):
            stream.seek(0)
            said.append(stream.read().decode(errors="replace"))
    return subprocess.CompletedProcess(command, -1 if ended.code is None else ended.code, *said)


class Commands:
    """The build commands under way, which another thread may end."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._running: set[Supervised] = set()
        self._stopped = False

    def run(
        self, command: Sequence[str], *, environment: Mapping[str, str], folder: Path, log: Path, grace: float = 0
    ) -> Exit:
        """Run `command` to its end, everything that it says appended to `log`; see `RunCommand`."""
        with log.open("ab") as story:
            story.write(f"$ {' '.join(command)}\n".encode())
            story.flush()
            with self._lock:
                if self._stopped:
                    return Exit(stopped=True)
                running = Supervised(
                    command, environment=environment, folder=folder, stdout=story, stderr=story, grace=grace
                )
                self._running.add(running)
            try:
                return running.wait()
            finally:
                with self._lock:
                    self._running.discard(running)
                running.close()

    def stop(self) -> None:
        """End all commands under way and start no other."""
        with self._lock:
            self._stopped = True
            for running in self._running:
                running.ask_to_stop()
