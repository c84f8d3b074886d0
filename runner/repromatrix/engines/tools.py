"""Finds the programs that builds need: uv, and a Docker command line that can build with BuildKit."""

import os
import re
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from repromatrix.errors import EnvironmentFailedError, NoEngineError

_FIRST_WITH_BUILDX = 23  # from here on `docker build` is the buildx plugin; before, BuildKit is built in
_USUAL_PLACES = ("/usr/bin", "/usr/local/bin")
_VERSION = re.compile(r"^Docker version (\d+)\.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Builder:
    """A command line that builds with BuildKit, up to and without the options of one build."""

    command: tuple[str, ...]
    environment: tuple[tuple[str, str], ...] = ()


@cache
def find_uv() -> str:
    """Return the path of uv, which is installed with repromatrix."""
    try:
        from uv import find_uv_bin  # noqa: PLC0415 - needed by builds only

        return find_uv_bin()
    except (ImportError, FileNotFoundError) as error:
        raise EnvironmentFailedError(
            "uv, which makes the environments, is missing", hint="pip install 'uv>=0.9'"
        ) from error


@cache
def uv_version() -> str:
    """Return uv's version."""
    return (_answer([find_uv(), "--version"]) or "uv ?").split()[1]


@cache
def find_builder() -> Builder:
    """Return a Docker command line that can build with BuildKit; there may be several on PATH, one of them able.

    Raises:
        NoEngineError: naming those that were tried.
    """
    tried = []
    for path in _docker_commands():
        version = _answer([path, "--version"])
        match = _VERSION.match(version or "")
        if match and int(match[1]) < _FIRST_WITH_BUILDX:
            return Builder(command=(path, "build"), environment=(("DOCKER_BUILDKIT", "1"),))
        if match and _answer([path, "buildx", "version"]):
            # The default builder is the engine's own: another would neither see local bases nor keep the image.
            # A statement of provenance has the time in it, and would be part of the image's digest.
            return Builder(command=(path, "buildx", "build", "--builder", "default", "--load", "--provenance=false"))
        tried.append(f"{path} ({'no buildx plugin' if match else 'not Docker'})")
    raise NoEngineError(
        f"no Docker command line here builds with BuildKit; tried {', '.join(tried) or 'PATH: there is none'}",
        hint="install docker-buildx (or Debian's docker.io: `make engine`), or use --engine process",
    )


@cache
def find_docker() -> str:
    """Return a Docker command line.

    Raises:
        NoEngineError: there is none.
    """
    found = next((path for path in _docker_commands() if _VERSION.match(_answer([path, "--version"]) or "")), None)
    if found is None:
        raise NoEngineError(
            "there is no Docker command line on PATH", hint="install one (`make engine`), or use --engine process"
        )
    return found


def _docker_commands() -> list[str]:
    """Return each different `docker` on PATH and in the usual places, first come first."""
    found: dict[Path, str] = {}
    for folder in (*os.get_exec_path(), *_USUAL_PLACES):
        path = Path(folder, "docker")
        if path.is_file() and os.access(path, os.X_OK):
            found.setdefault(path.resolve(), str(path))
    return list(found.values())


def _answer(command: list[str]) -> str | None:
    """Return what a short command prints, None if it fails."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
