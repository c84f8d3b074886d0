"""The connection to a Docker engine: the one DOCKER_HOST or the current docker context names."""

import ipaddress
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from repromatrix.errors import NoEngineError

if TYPE_CHECKING:
    from docker import APIClient

_ANSWER_SECONDS = 300  # of an engine that is busy with builds
_SYSTEM_ERROR = re.compile(r"Error\(\d+, '([^']+)'")
_CONNECTIONS = 64  # a run under way holds one
_HERE = "unset DOCKER_HOST, or docker context use default, on that engine's own machine; or use --engine process"


def connect() -> "APIClient":
    """Return a client of an engine that answers; it may be shared between threads.

    Raises:
        NoEngineError: saying why, and what to type.
    """
    # The SDK costs a quarter of a second: nobody pays it who does not use containers.
    import docker  # noqa: PLC0415
    from docker.errors import DockerException  # noqa: PLC0415

    host = engine_host()
    if os.environ.get("DOCKER_TLS_VERIFY") or not host.startswith(("unix://", "tcp://")):
        raise NoEngineError(
            f"the Docker engine {host} is not reached by a plain socket, the only kind that can be half-closed",
            hint=_HERE,
        )
    if not _on_this_machine(host):
        raise NoEngineError(
            f"the Docker engine {host} is on another machine, whose CPU class the records would not tell", hint=_HERE
        )
    try:
        client = docker.APIClient(base_url=host, version="auto", timeout=_ANSWER_SECONDS, max_pool_size=_CONNECTIONS)
    except (DockerException, OSError, ValueError) as error:
        reason = _SYSTEM_ERROR.search(str(error))  # the SDK wraps it several times over
        raise NoEngineError(
            f"no Docker engine answers on {host} ({reason[1] if reason else ' '.join(str(error).split())[:160]})",
            hint="make engine (Debian, Ubuntu), start Docker, or use --engine process",
        ) from error
    return client


def _on_this_machine(host: str) -> bool:
    try:
        name = urlsplit(host).hostname or "localhost"  # as the SDK fills it in; and for a socket in the file system
        return name == "localhost" or ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def engine_host() -> str:
    """Return the engine's address, as the `docker` command would choose it."""
    if host := os.environ.get("DOCKER_HOST"):
        return host
    from docker.context import ContextAPI  # noqa: PLC0415

    context = ContextAPI.get_current_context()
    return str((context.Host if context else None) or "unix:///var/run/docker.sock").replace("http+unix://", "unix://")


@contextmanager
def while_it_answers(but: type[Exception] | tuple[type[Exception], ...] = ()) -> Iterator[None]:
    """Turn the loss of the engine in the middle of something into an error of ours; `but` passes as it is."""
    from docker.errors import DockerException  # noqa: PLC0415
    from requests.exceptions import RequestException  # noqa: PLC0415

    try:
        yield
    except (DockerException, RequestException) as error:
        if isinstance(error, but):
            raise
        raise NoEngineError(
            f"the Docker engine on {engine_host()} stopped answering: {' '.join(str(error).split())[:160]}",
            hint="repromatrix doctor",
        ) from error
