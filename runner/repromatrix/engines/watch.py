"""A process beside the runner that removes its containers if it dies, in whatever way: a container has no parent.

Started as `python -I -S watch.py FD ADDRESS`: FD is a socket to the runner, ADDRESS that of the engine. The runner
writes `+NAME` before it makes a container and `-NAME` once it is removed, a line each. When its end of the socket
closes, what is left is removed. Standard library only; it imports nothing of the project.
"""

import http.client
import os
import signal
import socket
import sys
import time
from urllib.parse import urlsplit

_SECONDS = 300  # for which an engine that does not answer is asked again
_GONE = 10  # seconds for which a container must be gone: the runner may have died before the engine made it
_TICK = 0.2
_ANSWER = 60


class _Engine(http.client.HTTPConnection):
    """A connection to an engine at `unix://PATH` or `tcp://HOST:PORT`."""

    def __init__(self, address: str) -> None:
        super().__init__("localhost", timeout=_ANSWER)
        self._address = urlsplit(address)

    def connect(self) -> None:
        place = self._address
        if place.scheme == "unix":
            self.sock = socket.socket(socket.AF_UNIX)
            self.sock.settimeout(_ANSWER)
            self.sock.connect(place.path)
        else:
            self.sock = socket.create_connection((place.hostname or "localhost", place.port or 2375), _ANSWER)


def _remove(address: str, name: str) -> int:
    """Return the engine's answer to the wish to remove a container, running or not; 0 where there is none."""
    engine = _Engine(address)
    try:
        engine.request("DELETE", f"/containers/{name}?force=1&v=1")
        return engine.getresponse().status
    except (OSError, http.client.HTTPException):
        return 0
    finally:
        engine.close()


def _left(lifeline: int) -> set[str]:
    """Return the containers that there are when the runner ends."""
    names: set[str] = set()
    text = b""
    while piece := os.read(lifeline, 1 << 16):
        *lines, text = (text + piece).split(b"\n")
        for line in lines:
            name = line[1:].decode()
            if line.startswith(b"+"):
                names.add(name)
            else:
                names.discard(name)
    return names


def _clean(address: str, names: set[str]) -> None:
    begin = time.monotonic()
    missed: dict[str, float] = {}
    while names and time.monotonic() - begin < _SECONDS:
        for name in sorted(names):
            status = _remove(address, name)
            if status == http.client.NO_CONTENT or (
                status == http.client.NOT_FOUND and time.monotonic() - missed.setdefault(name, time.monotonic()) > _GONE
            ):
                names.discard(name)
        time.sleep(_TICK if names else 0)


def main() -> None:
    """Wait for the runner's end and remove what it left."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # they are for the runner, whose end is awaited
        signal.signal(number, signal.SIG_IGN)
    _clean(sys.argv[2], _left(int(sys.argv[1])))


if __name__ == "__main__":
    main()
