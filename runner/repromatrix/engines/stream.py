"""Lines out of a run under way: bounded in time, bytes and memory, the same for every engine."""

import time
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from enum import IntEnum
from threading import Event, Lock
from typing import BinaryIO

from repromatrix.engines.base import Exit, RunLimits
from repromatrix.errors import RepromatrixError

TICK = 0.25  # seconds after which a stop from another thread is noticed
_LOG_BYTES = 8 << 20  # of one process's standard error: what is kept of its beginning
_TAIL_BYTES = 64 << 10  # and of its end, which says why it ended


class Stream(IntEnum):
    """Which output a piece belongs to; the numbers are those of Docker's attach protocol."""

    STDOUT = 1
    STDERR = 2


class StreamedRun(ABC):
    """What both engines share: they bring the pieces, this cuts lines and watches the limits."""

    def __init__(self, *, limits: RunLimits, log: BinaryIO) -> None:
        self.limits = limits
        self._log = log
        self._logged = 0
        self._tail = bytearray()
        self._received = 0
        self._partial = bytearray()
        self._exit: Exit | None = None
        self._stop_asked = Event()

    @abstractmethod
    def receive(self, timeout: float) -> Iterable[tuple[Stream, bytes]] | None:
        """Feed standard input and return what came within `timeout` seconds; None when all output is closed."""

    @abstractmethod
    def kill(self) -> None:
        """End the process now; called from the thread that reads."""

    @abstractmethod
    def ending(self) -> Exit:
        """Wait for the process, whose output is closed, and tell how it ended."""

    def silent(self) -> Exit:
        """End the process, which has said nothing for too long, and tell why that was."""
        self.kill()
        return Exit(timed_out=True)

    def stop(self) -> None:
        """Ask the reading thread to end the run; from any thread."""
        self._stop_asked.set()

    def result(self) -> Exit:
        """Return how the run ended; only after `lines` is exhausted."""
        if self._exit is None:
            raise RuntimeError("the run is still under way: read its lines first")
        return self._exit

    def lines(self) -> Iterator[bytes]:
        """Yield standard output line by line (newline removed) until the process ends or a limit ends it."""
        deadline = time.monotonic() + self.limits.silence
        while self._exit is None:
            if self._stop_asked.is_set():
                self._end(Exit(stopped=True))
                return
            left = deadline - time.monotonic()
            if left <= 0:
                self._exit = self.silent()
                self._keep_tail()
                return
            pieces = self.receive(min(left, TICK))
            if pieces is None:
                self._exit = self.ending()
                self._keep_tail()
                if self._partial:
                    yield bytes(self._partial)
                return
            for line in self._take(pieces):
                yield line
                deadline = time.monotonic() + self.limits.silence

    def _end(self, reason: Exit) -> None:
        self._exit = reason
        self.kill()
        self._keep_tail()

    def _take(self, pieces: Iterable[tuple[Stream, bytes]]) -> Iterator[bytes]:
        """Yield the lines that `pieces` complete; end the run after the last byte allowed."""
        for stream, data in pieces:
            if stream is Stream.STDERR:
                self._keep(data)
                continue
            room = self.limits.output_bytes - self._received
            self._received += len(data)
            yield from self._cut(data[:room])
            if len(data) > room:
                self._end(Exit(too_much_output=True))
                return

    def _cut(self, data: bytes) -> list[bytes]:
        head, newline, rest = data.rpartition(b"\n")
        if not newline:
            self._partial += data
            return []
        self._partial += head
        complete = bytes(self._partial).split(b"\n")
        self._partial = bytearray(rest)
        return complete

    def _keep(self, data: bytes) -> None:
        """Append to the log, which is bounded too: a flood on standard error must not fill the disk."""
        room = max(0, _LOG_BYTES - self._logged)
        self._logged += len(data)
        if room:
            self._log.write(data[:room])
        self._tail += data[room:]
        del self._tail[:-_TAIL_BYTES]

    def _keep_tail(self) -> None:
        """Append the end of what did not fit, and say what is missing before it."""
        missing = self._logged - _LOG_BYTES - len(self._tail)
        if missing > 0:
            self._log.write(f"\n[{missing} bytes of standard error were cut here]\n".encode())
        self._log.write(self._tail)
        self._tail.clear()


class Runs:
    """The runs of one engine that are under way, which another thread may end."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._running: set[StreamedRun] = set()
        self._stopped = False

    @contextmanager
    def registered(self, run: StreamedRun) -> Iterator[None]:
        """Have `stop` end `run` as long as the context lasts; at once, if it was called before."""
        with self._lock:
            self._running.add(run)
            stopped = self._stopped
        if stopped:
            run.stop()
        try:
            yield
        finally:
            with self._lock:
                self._running.discard(run)

    def stop(self) -> None:
        """End all runs under way, and those that begin later."""
        with self._lock:
            self._stopped = True
            running = tuple(self._running)
        for run in running:
            with suppress(RepromatrixError):  # what hinders one must not spare the others
                run.stop()
