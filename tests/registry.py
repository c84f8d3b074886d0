"""A real image registry on a free port of this machine, for tests: Debian's `docker-registry`."""

import ctypes
import ctypes.util
import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPException
from pathlib import Path

import pytest

_BINARY = "docker-registry"
_REQUIRE = "REPROMATRIX_REQUIRE_DOCKER"
_SALT = "$2b$04$" + "repromatrixregistry..."  # the cheapest cost that bcrypt knows, and 22 characters
_STARTING = 60  # seconds
_TRIES = 5  # another process may take the free port first


class RegistryServer:
    """The process that serves one folder at one address; it can be stopped and started again."""

    def __init__(self, folder: Path, users: dict[str, str] | None) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._users = users
        self._process: subprocess.Popen[bytes] | None = None
        self.address = ""

    def start(self) -> None:
        """Serve, and return when it answers; a second start takes the address and the folder of the first."""
        for _ in range(1 if self.address else _TRIES):
            address = self.address or f"127.0.0.1:{_free_port()}"
            with (self._folder / "registry.log").open("ab") as log:
                self._process = subprocess.Popen(
                    [_BINARY, "serve", str(self._configuration(address))], stdout=log, stderr=log
                )
            if self._answers(address):
                self.address = address
                return
            self.stop()
        pytest.fail(f"{_BINARY} does not start: {(self._folder / 'registry.log').read_text()[-2000:]}")

    def stop(self) -> None:
        """End the process; what it holds stays in the folder."""
        if self._process:
            self._process.terminate()
            self._process.wait(60)
            self._process = None

    def _configuration(self, address: str) -> Path:
        configuration: dict[str, object] = {
            "version": 0.1,
            "log": {"level": "warn", "accesslog": {"disabled": True}},
            "storage": {"filesystem": {"rootdirectory": str(self._folder / "store")}, "delete": {"enabled": True}},
            "http": {"addr": address},
        }
        if self._users is not None:
            passwords = self._folder / "htpasswd"
            passwords.write_text("".join(f"{name}:{_bcrypt(word)}\n" for name, word in self._users.items()))
            configuration["auth"] = {"htpasswd": {"realm": "tests", "path": str(passwords)}}
        path = self._folder / "config.yml"
        path.write_text(json.dumps(configuration))  # JSON is YAML
        return path

    def _answers(self, address: str) -> bool:
        until = time.monotonic() + _STARTING
        while self._process and self._process.poll() is None and time.monotonic() < until:
            connection = HTTPConnection(address, timeout=10)
            try:
                connection.request("GET", "/v2/")
                return connection.getresponse().status in (200, 401)
            except (OSError, HTTPException):
                time.sleep(0.02)
            finally:
                connection.close()
        return False


@contextmanager
def serving(folder: Path, *, users: dict[str, str] | None = None) -> Iterator[RegistryServer]:
    """Serve a registry whose images lie in `folder`; with `users` (name -> password) nobody else gets in."""
    if not shutil.which(_BINARY):
        why = f"{_BINARY} is not installed: apt-get install {_BINARY}"
        if os.environ.get(_REQUIRE):
            pytest.fail(f"{_REQUIRE} is set, but {why}")
        pytest.skip(why)
    server = RegistryServer(folder, users)
    server.start()
    try:
        yield server
    finally:
        server.stop()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])


def _bcrypt(password: str) -> str:
    """Return the only kind of hash that the registry takes; Python's own module for it ended with 3.12."""
    library = ctypes.CDLL(ctypes.util.find_library("crypt") or "libcrypt.so.1")
    library.crypt.restype = ctypes.c_char_p
    return str(library.crypt(password.encode(), _SALT.encode()).decode())
