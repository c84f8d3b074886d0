"""Starts `watch.py` beside the runner, so that its containers end with it, however it ends."""

import socket
import subprocess
import sys
import weakref
from pathlib import Path
from threading import Lock

WATCH = Path(__file__).with_name("watch.py")  # run, not loaded: it stands on modules that take a while


class Watcher:
    """Knows the containers of this process at one engine; its process begins with the first of them."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._lock = Lock()
        self._names: set[str] = set()
        self._lifeline: socket.socket | None = None

    def watch(self, container: str) -> None:
        """Have a container removed once this process is gone; before it is made."""
        with self._lock:
            self._names.add(container)
            self._tell(f"+{container}\n")

    def forget(self, container: str) -> None:
        """Leave a container alone: it is removed."""
        with self._lock:
            self._names.discard(container)
            self._tell(f"-{container}\n")

    def _tell(self, line: str) -> None:
        try:
            if self._lifeline:
                self._lifeline.sendall(line.encode())
                return
        except OSError:  # somebody ended it
            pass
        if self._names:
            self._lifeline = self._begun()
            self._lifeline.sendall("".join(f"+{name}\n" for name in self._names).encode())

    def _begun(self) -> socket.socket:
        ours, theirs = socket.socketpair()
        with theirs:
            process = subprocess.Popen(
                [sys.executable, "-I", "-S", str(WATCH), str(theirs.fileno()), self._address],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=(theirs.fileno(),),
                start_new_session=True,  # what ends the runner by a signal to its group must not end this
            )
        weakref.finalize(self, _let_go, ours, process)
        return ours


def _let_go(lifeline: socket.socket, process: "subprocess.Popen[bytes]") -> None:
    """End a watcher that has nothing to watch; one that has goes on."""
    lifeline.close()
    process.poll()
    process.returncode = process.returncode or 0  # nobody waits for it
