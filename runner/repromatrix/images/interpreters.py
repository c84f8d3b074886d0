"""Python version -> an interpreter of this machine: what the environments of the process engine stand on."""

import platform
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

from uv import find_uv_bin

from repromatrix.engines.base import Base
from repromatrix.errors import AbsentError, EnvironmentFailedError

_IDENTITY = "import sys,platform;print(sys.version.replace(chr(10),' '),'|',*platform.libc_ver())"


@cache
def find(python: str) -> Base:
    """Return an interpreter of that minor version: the one running this program, or one that is found.

    Raises:
        AbsentError: there is none on this machine.
        EnvironmentFailedError: there is one, and it does not start.
    """
    if python == f"{sys.version_info.major}.{sys.version_info.minor}":
        path = str(Path(getattr(sys, "_base_executable", sys.executable)).resolve())
        version = sys.version.replace("\n", " ")
        return Base(kind="interpreter", reference=path, digest=f"{version} | {' '.join(platform.libc_ver())}")
    path = _on_path(python) or _pyenv(python) or _known_to_uv(python)
    if not path:
        raise AbsentError(
            f"no Python {python} on this machine",
            hint=f"install one (uv python install {python}), or use containers: --engine docker",
        )
    identity = subprocess.run([path, "-c", _IDENTITY], capture_output=True, text=True, check=False)
    if identity.returncode or not identity.stdout.startswith(f"{python}."):
        reason = (identity.stderr.splitlines() or [f"exit code {identity.returncode}"])[-1]
        raise EnvironmentFailedError(
            f"Python {python} does not start: {reason[:200]}",
            where=path,
            hint=f"install it again (uv python install {python}), or use containers: --engine docker",
        )
    return Base(kind="interpreter", reference=path, digest=identity.stdout.strip())


def _on_path(python: str) -> str:
    """Return what the shell would start; not a shim of pyenv, which starts nothing unless that version is selected."""
    path = shutil.which(f"python{python}") or ""
    return "" if "shims" in Path(path).parts else path


def _known_to_uv(python: str) -> str:
    """Return an interpreter that uv finds: it knows more places, its own among them, and takes a second to look."""
    command = [find_uv_bin(), "python", "find", "--no-project", "--system", python]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()


def _pyenv(python: str) -> str:
    """Return pyenv's newest interpreter of that version: its shims hide those that are not selected."""
    try:
        root = Path.home() / ".pyenv" / "versions"
    except RuntimeError:  # an account without a home
        return ""
    found = [path for path in root.glob(f"{python}.*/bin/python{python}") if _patch(path) is not None]
    return str(max(found, key=lambda path: _patch(path) or 0)) if found else ""


def _patch(interpreter: Path) -> int | None:
    """Return the patch release of pyenv's folder, None for one that is not yet released."""
    last = interpreter.parts[-3].rpartition(".")[2]
    return int(last) if last.isdecimal() else None
