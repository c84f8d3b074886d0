"""Environment -> lock: every package with version and hashes, resolved by uv. The only resolver over the network.

A lock is `images/<framework>/locks/<environment>.txt`. Made again it stays as it is: what it holds is
preferred, so that only a changed request changes it. Its header names the command, and no time.
"""

import re
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from uv import find_uv_bin

from runner import resources
from runner.errors import EnvironmentFailedError
from runner.images.sources import configured
from runner.matrix import Environment

# The oldest C library that the wheels of every framework here agree on; the bases are newer.
PLATFORM = "x86_64-manylinux_2_28"
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")
_REQUEST = "# request: "


@dataclass(frozen=True, slots=True, kw_only=True)
class Pin:
    """One package of a lock."""

    name: str
    version: str
    hashes: frozenset[str]
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Lock:
    """A lock file that was read."""

    path: Path
    request: tuple[str, ...]
    pins: tuple[Pin, ...]
    digest: str


def path_of(environment: Environment, folder: Path | None = None) -> Path:
    """Return where the lock of an environment stands."""
    images = folder or resources.folder("images")
    return images / environment.framework / "locks" / f"{environment.name}.txt"


def is_current(environment: Environment, folder: Path | None = None) -> bool:
    """Whether the lock is there and answers what matrix.yaml asks for."""
    path = path_of(environment, folder)
    return path.is_file() and _request_of(_text(path)) == _request(environment)


def read(environment: Environment, folder: Path | None = None) -> Lock:
    """Read the lock of an environment.

    Raises:
        EnvironmentFailedError: there is none, it answers another request, or it is damaged.
    """
    path = path_of(environment, folder)
    if not path.is_file():
        raise EnvironmentFailedError(
            f"{environment.name} ({environment.where}) has no lock",
            where=str(path),
            hint=f"make it: repromatrix lock --select {environment.name}",
        )
    text = _text(path)
    if _request_of(text) != _request(environment):
        raise EnvironmentFailedError(
            f"the lock of {environment.name} answers another request than {environment.where} makes",
            where=str(path),
            hint=f"make it again: repromatrix lock --select {environment.name}",
        )
    pins = tuple(_pins(text, path))
    return Lock(path=path, request=_request_of(text), pins=pins, digest=resources.file_sha256(path))


def make(environment: Environment, folder: Path | None = None) -> bool:
    """Resolve an environment and write its lock; return whether the file changed.

    The user's own package sources are asked first; where they do not hold what is asked for, the
    environment's own index is asked as well.

    Raises:
        EnvironmentFailedError: with uv's reason.
    """
    path = path_of(environment, folder)
    before = _text(path) if path.is_file() else ""
    resolved, reason = _resolve(environment, before)
    if resolved is None:
        raise EnvironmentFailedError(
            f"{environment.name} cannot be resolved: {reason}",
            where=environment.where,
            hint="check the versions there and the package index: repromatrix doctor",
        )
    text = _header(environment) + resolved
    if text == before:
        return False
    resources.write_atomically(path, text.encode())
    return True


def _header(environment: Environment) -> str:
    return (
        f"# The lock of {environment.name}; made by: repromatrix lock --select {environment.name}\n"
        f"{_REQUEST}{' '.join(_request(environment))}\n"
    )


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace")  # what is damaged is told as a bad line


def _request(environment: Environment) -> tuple[str, ...]:
    return (*environment.packages, f"python=={environment.python}", PLATFORM)


def _request_of(text: str) -> tuple[str, ...]:
    line = next((line for line in text.splitlines() if line.startswith(_REQUEST)), "")
    return tuple(line.removeprefix(_REQUEST).split())


def _resolve(environment: Environment, before: str) -> tuple[str | None, str]:
    """Return the resolved packages, or None and uv's reason.

    What the lock holds is tried as a constraint first, and as a preference only if that fails: uv gives up a
    preferred version if the first index that knows it lacks the wheel for this platform, though another has it.
    """
    held = re.findall(r"^[A-Za-z0-9][\w.-]*==[^\s;\\]+", before, re.MULTILINE)
    places = [[], ["--index", environment.index]] if environment.index else [[]]
    reason = ""
    for constraints in (held, []) if held else ([],):
        for more in places:
            resolved, reason = _compile(environment, before, constraints, more)
            if resolved is not None:
                return resolved, ""
    return None, reason


def _compile(
    environment: Environment, before: str, constraints: Sequence[str], more: Sequence[str]
) -> tuple[str | None, str]:
    sources = configured()
    with tempfile.TemporaryDirectory(prefix="repromatrix-lock-") as name:
        folder = Path(name)
        (folder / "request.in").write_text("\n".join(environment.packages) + "\n")
        (folder / "held.txt").write_text("\n".join(constraints) + "\n")
        output = folder / "lock.txt"
        if before and not constraints:
            output.write_text(before)  # uv keeps the versions that stand in the output file where it can
        command = [
            find_uv_bin(), "pip", "compile", "request.in", "--constraint", "held.txt", "--output-file", "lock.txt",
            "--generate-hashes", "--no-header", "--no-annotate", "--no-config",
            "--only-binary", ":all:", "--python-version", environment.python, "--python-platform", PLATFORM,
            "--no-emit-index-url", "--no-emit-find-links", "--quiet", *sources.uv_flags(), *more,
        ]  # fmt: skip
        done = subprocess.run(
            command, cwd=folder, env=sources.uv_environment(), capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            return None, " ".join(done.stderr.split())[:600]
        return output.read_text(), ""


def _pins(text: str, path: Path) -> list[Pin]:
    pins = []
    for block in re.split(r"\n(?=[A-Za-z0-9])", "\n" + text.replace(" \\\n", " ")):
        line = block.strip()
        if not line or line.startswith("#"):
            continue
        try:
            requirement = Requirement(line.split(" --hash")[0].strip())
        except InvalidRequirement as error:
            raise EnvironmentFailedError(
                f"not a line of a lock: {line[:80]!r}", where=str(path), hint="make the lock again: repromatrix lock"
            ) from error
        hashes = frozenset(_HASH.findall(line))
        versions = [each.version for each in requirement.specifier if each.operator in ("==", "===")]
        if len(versions) != 1 or not hashes:
            raise EnvironmentFailedError(
                f"{requirement.name} has no exact version or no hash",
                where=str(path),
                hint="make the lock again: repromatrix lock",
            )
        pins.append(Pin(name=requirement.name.lower(), version=versions[0], hashes=hashes, text=line))
    return pins
