"""Requests -> pinned packages and the sizes of their wheels, by uv over the network. Knows nothing of lock files."""

import re
import subprocess
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from packaging.utils import canonicalize_name
from packaging.version import Version
from uv import find_uv_bin

from repromatrix.engines.homes import Homes
from repromatrix.errors import EnvironmentFailedError
from repromatrix.images.sources import configured
from repromatrix.images.tags import PLATFORM, rank
from repromatrix.matrix import Environment

_HOMES = Homes()  # of the resolver's files: what a killed runner left there is swept
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")
_SOURCE = re.compile(r"^[ \t]+# from (.+)\n", re.MULTILINE)
_PIN = re.compile(r"^([A-Za-z0-9][\w.-]*)={2,3}([^\s;\\=]+)", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What uv is asked: what is held is a constraint; what is preferred gives way where it cannot be had.

    Attributes:
        requests: requirement lines.
        held: requirement lines that every answer obeys.
        preferred: a lock whose versions are kept where they can be.
        moving: names whose preferred version does not count.
    """

    requests: tuple[str, ...]
    held: tuple[str, ...] = ()
    preferred: str = ""
    moving: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolved:
    """An answer of uv.

    Attributes:
        text: pinned requirements with their hashes, empty where there is no answer.
        reason: why there is none.
        sources: package -> the index or folder that its version is of, without names and passwords.
    """

    text: str = ""
    reason: str = ""
    sources: Mapping[str, str] = field(default_factory=dict)


def versions(text: str) -> dict[str, str]:
    """Return package -> version of pinned requirements."""
    return {canonicalize_name(name): version for name, version in _PIN.findall(text)}


def resolve(environment: Environment, before: str) -> Resolved:
    """Return the packages of an environment, those of `before` as they are where they answer its request.

    What `before` holds is tried as a constraint first, and as a preference only if that fails: uv gives up a
    preferred version if the first index that knows it lacks the wheel for this platform, though another has it.
    """
    asked = Question(requests=environment.packages, held=_held(before))
    resolved = _ask(environment, asked)
    if not resolved.text and asked.held:
        resolved = _ask(environment, Question(requests=environment.packages, preferred=before))
    return resolved


def resolve_newer(environment: Environment, before: str, names: Sequence[str]) -> Resolved:
    """Return the packages with `names` at the newest versions that the request allows, the others kept where they can.

    The newest versions are those of an answer in which nothing else is held; an answer that has them and still holds
    everything else is the one that is wanted, then one that prefers what was.
    """
    free = _ask(environment, Question(requests=environment.packages))
    if not free.text:
        return free
    rest = _held(before, without=names)
    kept = _ask(environment, Question(requests=environment.packages, held=rest))
    aims = {name: _newest(name, (before, kept.text, free.text)) for name in names}
    if all(versions(kept.text).get(name) == aim for name, aim in aims.items()):
        return kept
    held = tuple(f"{name}=={aim}" for name, aim in aims.items())
    return _ask(environment, Question(requests=environment.packages, held=held, preferred=before, moving=tuple(names)))


def measure(environment: Environment, text: str) -> dict[str, int]:
    """Return package -> bytes of its wheel for this platform, for those packages whose size the sources tell."""
    for more in _places(environment):
        found = _describe(environment, text, more)
        if found is not None:
            allowed = frozenset(_HASH.findall(text))
            sizes = {canonicalize_name(each["name"]): _size(each, environment, allowed) for each in found}
            return {name: size for name, size in sizes.items() if size}
    return {}


def _held(before: str, without: Iterable[str] = ()) -> tuple[str, ...]:
    gone = set(without)
    return tuple(pin[0] for pin in _PIN.finditer(before) if canonicalize_name(pin[1]) not in gone)


def _newest(name: str, texts: Sequence[str]) -> str:
    found = [versions(text)[name] for text in texts if name in versions(text)]
    return max(found, key=Version)


def _places(environment: Environment) -> list[list[str]]:
    """Return uv's flags for the user's own sources, then for those and the environment's own index."""
    return [[], ["--index", environment.index]] if environment.index else [[]]


def _ask(environment: Environment, question: Question) -> Resolved:
    resolved = Resolved(reason="nothing was asked")
    for more in _places(environment):
        resolved = _compile(environment, question, more)
        if resolved.text:
            break
    return resolved


def _compile(environment: Environment, question: Question, more: Sequence[str]) -> Resolved:
    """Have uv answer one question from the user's sources and those of `more`."""
    with _HOMES.home() as folder:
        (folder / "request.in").write_text("\n".join(question.requests) + "\n")
        (folder / "held.txt").write_text("\n".join(question.held) + "\n")
        if question.preferred:
            (folder / "lock.txt").write_text(question.preferred)  # uv keeps what stands in the output file
        flags = ["--constraint", "held.txt", "--output-file", "lock.txt", "--generate-hashes"]
        flags += ["--no-emit-index-url", "--no-emit-find-links", "--emit-index-annotation"]
        flags += [flag for each in question.moving for flag in ("--upgrade-package", each)]
        done = _uv(environment, folder, ["request.in", *flags, *more])
        if done.returncode != 0:
            return Resolved(reason=" ".join(done.stderr.split())[:600])
        text = (folder / "lock.txt").read_text()
        return Resolved(text=_SOURCE.sub("", text), sources=_sources(text))


def _sources(text: str) -> dict[str, str]:
    """Return package -> source, as uv's annotations tell it."""
    found: dict[str, str] = {}
    name = ""
    for line in text.splitlines():
        if pin := _PIN.match(line):
            name = canonicalize_name(pin[1])
        elif source := _SOURCE.match(f"{line}\n"):
            found[name] = _without_secrets(source[1])
    return found


def _without_secrets(url: str) -> str:
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="").geturl()


def _describe(environment: Environment, text: str, more: Sequence[str]) -> list[dict[str, Any]] | None:
    """Return what uv tells of each package of a lock, its wheels for this platform among it."""
    with _HOMES.home() as folder:
        exact = _PIN.sub(r"\1===\2", text)  # with two equals signs 2.0 may be answered by 2.0+cpu
        (folder / "request.in").write_text(exact)
        flags = ["--no-deps", "--format", "pylock.toml", "--output-file", "pylock.toml"]
        if _uv(environment, folder, ["request.in", *flags, *more]).returncode != 0:
            return None
        return list(tomllib.loads((folder / "pylock.toml").read_text()).get("packages", []))


def _uv(environment: Environment, folder: Path, arguments: Sequence[str]) -> "subprocess.CompletedProcess[str]":
    sources = configured()
    command = [
        find_uv_bin(), "pip", "compile", *arguments, "--no-header", "--no-annotate", "--no-config", "--quiet",
        "--only-binary", ":all:", "--python-version", environment.python, "--python-platform", PLATFORM,
        *sources.uv_flags(),
    ]  # fmt: skip
    try:
        return subprocess.run(
            command, cwd=folder, env=sources.uv_environment(), capture_output=True, text=True, check=False
        )
    except OSError as error:
        raise EnvironmentFailedError(f"uv cannot be started: {error}", hint="pip install 'uv>=0.9'") from error


def _size(package: Mapping[str, Any], environment: Environment, allowed: frozenset[str]) -> int | None:
    """Return the bytes of the wheel that this platform takes, None where there is none or nobody tells its size."""
    wheels = [each for each in package.get("wheels", ()) if each.get("hashes", {}).get("sha256") in allowed]
    ranked = [(rank(_name(each), environment.python), each) for each in wheels]
    fitting = [(place, each) for place, each in ranked if place is not None]
    return _bytes(min(fitting, key=lambda pair: pair[0])[1]) if fitting else None


def _name(wheel: Mapping[str, Any]) -> str:
    place = str(wheel.get("name") or wheel.get("path") or urlsplit(wheel.get("url", "")).path)
    return unquote(place.rpartition("/")[2])


def _bytes(wheel: Mapping[str, Any]) -> int | None:
    """Return what the index says, else, of a file on this machine, what its file system says."""
    if "size" in wheel:
        return int(wheel["size"])
    url = urlsplit(wheel.get("url", ""))
    place = wheel.get("path") or (unquote(url.path) if url.scheme == "file" else "")
    return Path(place).stat().st_size if place and Path(place).is_file() else None
