"""A workload that is a command: run as it is, in a folder of its own, and what it gives sent along to be read.

The runner reads the numbers: it knows the forms in which people print them, this does not. Standard library only.
"""

from __future__ import annotations

import binascii
import contextlib
import os
import sys
import time
from pathlib import Path
from typing import Any, Callable, Dict, List, Tuple

from job import Cell, Code
from modules import private_folder, remove
from task import Line, reason

STREAMS = ("stdout", "stderr")
PIECE = 1 << 16  # bytes of one line of ours
MOST = 32 << 20  # bytes of a file that is read
TAIL = 4096  # bytes in which the last lines are looked for
LINES = 4
ALIVE = 1.0  # seconds after which a command that prints elsewhere is said to be alive
PATIENCE = 2.0  # seconds in which nothing comes; a process that it left behind may hold its output open
TICK = 0.05  # seconds
HELD = 1 << 20  # bytes that a pipe holds at most


class CommandError(Exception):
    """The command gave no result."""


class Running:
    """A command under way; what it prints goes to the log, and what is to be read to the runner as it comes."""

    def __init__(self, cell: Cell, emit: Callable[[Line], None]) -> None:
        import threading  # only who has a command pays for it

        self.cell, self.emit = cell, emit
        self.lock, self.tail, self.said = threading.Lock(), bytearray(), time.monotonic()
        self.taken, self.busy, self.over = 0, {*STREAMS}, False

    def run(self, folder: Path) -> int:
        """Run it to its end; its exit code."""
        import shutil
        import signal
        import subprocess
        from threading import Thread

        words = list(self.cell.words)
        if words[0] in ("python", "python3"):
            words[0] = sys.executable
        found = words[0] if os.sep in words[0] else shutil.which(words[0])
        if not found:
            raise CommandError(f"there is no program {words[0]!r} in this environment")
        try:
            process = subprocess.Popen(
                [found, *words[1:]], cwd=str(folder), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                stderr=subprocess.PIPE, env={**os.environ, "PYTHONUNBUFFERED": "1"}, start_new_session=True,
            )  # fmt: skip
        except OSError as error:
            raise CommandError(f"it cannot be started: {error.strerror}") from error
        threads = [Thread(target=self.listen, args=(name, getattr(process, name)), daemon=True) for name in STREAMS]
        for thread in threads:
            thread.start()
        code = process.wait()
        self.drain([(name, getattr(process, name), thread) for name, thread in zip(STREAMS, threads)])
        with contextlib.suppress(OSError):
            os.killpg(process.pid, signal.SIGKILL)  # what it left behind
        return code

    def drain(self, pipes: List[Tuple[str, Any, Any]]) -> None:
        """Wait until all is taken that it printed before its end, however long nobody takes it from us.

        Others may hold its outputs open: once they were silent for a while, or printed more than can be its own,
        nothing more is taken.
        """
        import select

        silent, most = 0.0, self.taken + len(pipes) * (PIECE + HELD)
        while silent < PATIENCE and self.taken <= most:
            left = [(name, pipe, thread) for name, pipe, thread in pipes if thread.is_alive()]
            if not left:
                break
            left[0][2].join(TICK)
            ready = select.select([pipe for _, pipe, _ in left], [], [], 0)[0]
            silent += 0 if ready or any(name in self.busy for name, _, _ in left) else TICK
        with self.lock:
            self.over = True

    def listen(self, name: str, pipe: Any) -> None:
        """Take what comes from one of its outputs."""
        while True:
            self.busy.discard(name)
            data = os.read(pipe.fileno(), PIECE)
            self.busy.add(name)
            if not data:
                return
            with self.lock:
                if self.over:
                    return
                self.taken += len(data)
                self.log(data)
                self.tail += data
                del self.tail[:-TAIL]
                if name == self.cell.output:
                    self.tell(data)
                elif time.monotonic() - self.said > ALIVE:
                    self.tell(b"")

    def log(self, data: bytes) -> None:
        """Keep what it prints where the process's own words go."""
        while data:
            data = data[os.write(2, data) :]

    def tell(self, data: bytes) -> None:
        """Send a piece of what is to be read; an empty one says that the command is alive."""
        self.said = time.monotonic()
        self.emit({"line": "output", "id": self.cell.id, "data": binascii.b2a_base64(data, newline=False).decode()})

    def last(self) -> List[str]:
        """Its last lines, without what differs from process to process."""
        with self.lock:
            text = bytes(self.tail).decode("utf-8", "replace")
        lines = [reason(line) for line in text.splitlines() if line.strip()]
        return lines[-LINES:]


def run(cell: Cell, code: Code, emit: Callable[[Line], None]) -> Dict[str, Any]:
    """Run a cell's command; what the last line of the cell tells, with the last lines of the command's output."""
    running, folder = Running(cell, emit), private_folder()
    try:
        place(code, folder)
        require_clean(running.run(folder))
        if cell.output not in STREAMS:
            send(running, folder)
    except CommandError as error:
        return {"outcome": "failed", "reason": str(error), "tail": running.last()}
    finally:
        remove(folder)
    return {"tail": running.last()}


def require_clean(code: int) -> None:
    """Raise CommandError for every exit code but 0."""
    import signal

    if code:
        raise CommandError(f"exit code {code}" if code > 0 else f"killed by {signal.Signals(-code).name}")


def place(code: Code, folder: Path) -> None:
    """Write its files."""
    for name, text in code.copied.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode("utf-8"))


def send(running: Running, folder: Path) -> None:
    """Send the file that it wrote."""
    name = running.cell.output
    path = (folder / name).resolve()
    if folder.resolve() not in path.parents or not path.is_file():
        there = sorted(str(each.relative_to(folder)) for each in folder.rglob("*") if each.is_file())
        new = ", ".join(there[:10])
        raise CommandError(f"it wrote no file {name}; there are: {new or 'none'}")
    if path.stat().st_size > MOST:
        raise CommandError(f"{name} is larger than {MOST >> 20} MiB: have it written without what is not compared")
    with path.open("rb") as stream:
        while True:
            data = stream.read(PIECE)
            if not data:
                return
            running.tell(data)
