"""A line between two programs of a test that breaks, or goes silent, when the test wants it."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress


class Proxy:
    """Stands between the engine and a registry; after so many bytes to the registry it cuts every line, or stalls."""

    def __init__(self, target: str, *, cut_after: int | None, stall_after: int | None) -> None:
        host, _, port = target.partition(":")
        self._target = (host, int(port))
        self._cut_after, self._stall_after = cut_after, stall_after
        self._passed = 0
        self.asked = threading.Event()  # set by the first byte to the registry
        self._over = threading.Event()
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._sockets = [self._listening]
        self.address = f"127.0.0.1:{self._listening.getsockname()[1]}"

    def serve(self) -> None:
        with suppress(OSError):  # until it is closed
            while True:
                ours, _ = self._listening.accept()
                theirs = socket.create_connection(self._target)
                self._sockets += [ours, theirs]
                threading.Thread(target=self._carry, args=(ours, theirs, True), daemon=True).start()
                threading.Thread(target=self._carry, args=(theirs, ours, False), daemon=True).start()

    def _carry(self, source: socket.socket, sink: socket.socket, counted: bool) -> None:
        with suppress(OSError):
            while data := source.recv(1 << 16):
                if counted:
                    self._passed += len(data)
                    self.asked.set()
                if self._stall_after is not None and self._passed > self._stall_after:
                    self._over.wait(120)
                if self._over.is_set() or (self._cut_after is not None and self._passed > self._cut_after):
                    break
                sink.sendall(data)
        for each in (source, sink):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._over.set()
        for each in self._sockets:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()


@contextmanager
def proxy(target: str, *, cut_after: int | None = None, stall_after: int | None = None) -> Iterator[Proxy]:
    between = Proxy(target, cut_after=cut_after, stall_after=stall_after)
    threading.Thread(target=between.serve, daemon=True).start()
    try:
        yield between
    finally:
        between.close()
