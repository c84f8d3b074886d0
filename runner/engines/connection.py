"""The connection to a Docker engine: the one DOCKER_HOST or the current docker context names."""

import os
from typing import TYPE_CHECKING

from runner.errors import NoEngineError

if TYPE_CHECKING:
    from docker import APIClient

_ANSWER_SECONDS = 300  # of an engine that is busy with builds
_CONNECTIONS = 64  # a run under way holds one


def connect() -> "APIClient":
    """Return a client of an engine that answers; it may be shared between threads.

    Raises:
        NoEngineError: saying why, and what to type.
    """
    # The SDK costs a quarter of a second: nobody pays it who does not use containers.
    import docker  # noqa: PLC0415
    from docker.errors import DockerException  # noqa: PLC0415

    host = engine_host()
    if os.environ.get("DOCKER_TLS_VERIFY"):
        raise NoEngineError(
            f"the Docker engine {host} is reached by TLS, which can not be half-closed after the job",
            hint="reach it by a socket: ssh -L ./docker.sock:/var/run/docker.sock HOST, DOCKER_HOST=unix://$PWD/docker.sock",
        )
    try:
        client = docker.APIClient(base_url=host, version="auto", timeout=_ANSWER_SECONDS, max_pool_size=_CONNECTIONS)
    except (DockerException, OSError, ValueError) as error:
        raise NoEngineError(
            f"no Docker engine answers on {host} ({' '.join(str(error).split())[:160]})",
            hint="make engine (Debian, Ubuntu), start Docker, or use --engine process",
        ) from error
    return client


def engine_host() -> str:
    """Return the engine's address, as the `docker` command would choose it."""
    if host := os.environ.get("DOCKER_HOST"):
        return host
    from docker.context import ContextAPI  # noqa: PLC0415

    context = ContextAPI.get_current_context()
    return str((context.Host if context else None) or "unix:///var/run/docker.sock").replace("http+unix://", "unix://")
