"""A container under way: its three streams over one socket of Docker's attach protocol."""

import contextlib
import selectors
import socket
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, BinaryIO

from repromatrix.engines.base import Exit, RunLimits
from repromatrix.engines.connection import while_it_answers
from repromatrix.engines.signals import signal_of_code
from repromatrix.engines.stream import Stream, StreamedRun

if TYPE_CHECKING:
    from docker import APIClient

_PIECE = 1 << 16
_HEADER = 8  # stream number, three zeros, length in network order


class Demultiplexer:
    """Cuts the attach protocol's frames into pieces of the two outputs, without waiting for a whole frame."""

    def __init__(self) -> None:
        self._header = bytearray()
        self._stream = 0
        self._left = 0

    def feed(self, data: bytes) -> Iterable[tuple[Stream, bytes]]:
        """Yield the pieces in `data`, which may begin and end anywhere in a frame."""
        rest = memoryview(data)
        while rest:
            if self._left:
                piece, rest = rest[: self._left], rest[self._left :]
                self._left -= len(piece)
                if self._stream in {Stream.STDOUT, Stream.STDERR}:
                    yield Stream(self._stream), bytes(piece)
                continue
            missing = _HEADER - len(self._header)
            self._header += rest[:missing]
            rest = rest[missing:]
            if len(self._header) == _HEADER:
                self._stream, self._left = self._header[0], int.from_bytes(self._header[4:], "big")
                self._header.clear()


class AttachedRun(StreamedRun):
    """A container that was created but not started, with its streams attached."""

    def __init__(self, client: "APIClient", container: str, *, stdin: bytes, limits: RunLimits, log: BinaryIO) -> None:
        super().__init__(limits=limits, log=log)
        self._client = client
        self._container = container
        self._left = memoryview(stdin)
        self._frames = Demultiplexer()
        streams = {"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1}
        self._attached: Any = client.attach_socket(container, params=streams)
        # The SDK wraps the socket differently for each transport; the plain one is what can be half-closed.
        self._socket: Any = getattr(self._attached, "_sock", self._attached)
        self._socket.setblocking(False)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._socket, selectors.EVENT_READ | selectors.EVENT_WRITE)

    def receive(self, timeout: float) -> Iterable[tuple[Stream, bytes]] | None:
        """Feed standard input and return what came within `timeout` seconds; None when all output is closed."""
        for _, events in self._selector.select(timeout):
            if events & selectors.EVENT_WRITE:
                self._feed()
            if events & selectors.EVENT_READ:
                try:
                    data = self._socket.recv(_PIECE)
                except BlockingIOError:
                    continue
                except ConnectionError:
                    return None
                return list(self._frames.feed(data)) if data else None
        return []

    def _feed(self) -> None:
        try:
            if self._left:
                self._left = self._left[self._socket.send(self._left[:_PIECE]) :]
        except BlockingIOError:
            return
        except OSError:
            self._left = self._left[:0]  # it ended, or never wanted to read: its output tells
        if not self._left:
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_WR)
            self._selector.modify(self._socket, selectors.EVENT_READ)

    def stop(self) -> None:
        """Ask the reading thread to end the run, and end it; from any thread."""
        super().stop()
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._kill_container()

    def kill(self) -> None:
        """End the container; it is removed when the run is left."""
        # First the connection: while output waits there to be read, the engine does not finish with the container.
        self.close()
        self._kill_container()

    def _kill_container(self) -> None:
        from docker.errors import APIError  # noqa: PLC0415

        with while_it_answers(), contextlib.suppress(APIError):  # it ended by itself, or has not begun
            self._client.kill(self._container)

    def silent(self) -> Exit:
        """End the container and tell why it was silent: who waits for a child that was killed for memory waits on."""
        self.kill()
        ended = self.ending()
        return ended if ended.out_of_memory or ended.stopped else Exit(timed_out=True)

    def ending(self) -> Exit:
        """Wait for the container, whose output is closed, and tell how it ended."""
        from requests.exceptions import ReadTimeout  # noqa: PLC0415

        with while_it_answers():
            try:
                self._client.wait(self._container, timeout=max(1, round(self.limits.silence)))
            except ReadTimeout:  # it closed its output and went on
                self.kill()
                return Exit(timed_out=True)
            state = self._client.inspect_container(self._container)["State"]
        if self._stop_asked.is_set():
            return Exit(stopped=True)
        code = int(state["ExitCode"])
        if state["OOMKilled"] and code:  # be it that a child was killed, and the command failed for that
            return Exit(out_of_memory=True)
        name = signal_of_code(code)
        return Exit(signal=name) if name else Exit(code=code)

    def close(self) -> None:
        """Close the connection; the container is not touched."""
        self._selector.close()
        response: Any = getattr(self._attached, "_response", None)
        for part in (response, self._attached, self._socket):
            with contextlib.suppress(OSError, ValueError, AttributeError):
                part.close()
