"""Requests -> pinned packages and the sizes of their wheels, by uv over the network. Knows nothing of lock files."""

import json
import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any
from urllib.parse import unquote, urlsplit

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from repromatrix.engines.homes import home
from repromatrix.engines.supervised import answer
from repromatrix.engines.tools import find_uv
from repromatrix.images.sources import configured
from repromatrix.images.tags import PLATFORM, rank
from repromatrix.matrix import Environment

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
        any_source: the best version of all sources counts, not that of the first index that has one.
    """

    requests: tuple[str, ...]
    held: tuple[str, ...] = ()
    preferred: str = ""
    moving: tuple[str, ...] = ()
    any_source: bool = False


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


def resolve(environment: Environment, before: str, *, any_source: bool = False) -> Resolved:
    """Return the packages of an environment, those of `before` as they are where they answer its request.

    The first of the user's indexes that has a version that answers is the one that counts, unless `any_source`.

    What `before` holds is tried as a constraint first, and as a preference only if that fails: uv gives up a
    preferred version if the first index that knows it lacks the wheel for this platform, though another has it.
    """
    asked = Question(requests=environment.packages, held=_held(before), any_source=any_source)
    resolved = _ask(environment, asked)
    if not resolved.text and asked.held:
        resolved = _ask(environment, replace(asked, held=(), preferred=before))
    return resolved


def resolve_newer(environment: Environment, before: str, names: Sequence[str], *, any_source: bool = False) -> Resolved:
    """Return the packages with `names` at the newest versions that the request allows, the others kept where they can.

    The newest versions are those of an answer in which nothing else is held; an answer that has them and still holds
    everything else is the one that is wanted, then one that prefers what was.
    """
    asked = Question(requests=environment.packages, any_source=any_source)
    free = _ask(environment, asked)
    if not free.text:
        return free
    kept = _ask(environment, replace(asked, held=_held(before, without=names)))
    aims = {name: _newest(name, (before, kept.text, free.text)) for name in names}
    if all(versions(kept.text).get(name) == aim for name, aim in aims.items()):
        return kept
    held = tuple(f"{name}=={aim}" for name, aim in aims.items())
    return _ask(environment, replace(asked, held=held, preferred=before, moving=tuple(names)))


def measure(environment: Environment, text: str) -> dict[str, int]:
    """Return package -> bytes of its wheel for this platform, for those packages whose size the sources tell."""
    for last in dict.fromkeys((None, environment.index)):
        found = _describe(environment, text, last)
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


def _ask(environment: Environment, question: Question) -> Resolved:
    """Have uv answer a question from the user's sources, and from the environment's own index where they do not."""
    resolved = Resolved()
    for index in dict.fromkeys((None, environment.index)):
        resolved = _compile(environment, question, index)
        if resolved.text:
            break
    return resolved


def _compile(environment: Environment, question: Question, index: str | None) -> Resolved:
    """Have uv answer one question.

    `index`: of the environment. It gives the builds that the question names by a local version (`+cpu`), and those
    alone; where it names none, whatever no other index has.
    """
    with home() as folder:
        builds = _builds(question.requests) if index else ()
        asked, request = ("pyproject.toml", _project(question.requests, builds, str(index))) if builds else (
            "request.in", "\n".join(question.requests) + "\n"
        )  # fmt: skip
        (folder / asked).write_text(request)
        (folder / "held.txt").write_text("\n".join(question.held) + "\n")
        if question.preferred:
            (folder / "lock.txt").write_text(question.preferred)  # uv keeps what stands in the output file
        flags = ["--constraint", "held.txt", "--output-file", "lock.txt", "--generate-hashes"]
        flags += ["--no-emit-index-url", "--no-emit-find-links", "--emit-index-annotation"]
        flags += [flag for each in question.moving for flag in ("--upgrade-package", each)]
        where = configured().uv_flags(last=None if builds else index, best=question.any_source)
        done = _uv(environment, folder, [asked, *flags, *where])
        if done.returncode != 0:
            return Resolved(reason=" ".join(done.stderr.split())[:600])
        text = (folder / "lock.txt").read_text()
        return Resolved(text=_SOURCE.sub("", text), sources=_sources(text))


def _builds(requests: Iterable[str]) -> tuple[str, ...]:
    """Return the packages that are asked for by a local version."""
    asked = [Requirement(each) for each in requests]
    return tuple(each.name for each in asked if any("+" in one.version for one in each.specifier))


def _project(requests: Sequence[str], builds: Iterable[str], index: str) -> str:
    """Return a request that takes `builds` from an index, and nothing else from it: only a project can say so to uv."""
    sources = "".join(f'{json.dumps(name)} = {{index = "own"}}\n' for name in builds)
    return (
        f'[project]\nname = "request"\nversion = "0"\ndependencies = {json.dumps(list(requests))}\n\n'
        f'[[tool.uv.index]]\nname = "own"\nurl = {json.dumps(index)}\nexplicit = true\n\n'
        f"[tool.uv.sources]\n{sources}"
    )


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


def _describe(environment: Environment, text: str, last: str | None) -> list[dict[str, Any]] | None:
    """Return what uv tells of each package of a lock, its wheels for this platform among it."""
    with home() as folder:
        exact = _PIN.sub(r"\1===\2", text)  # with two equals signs 2.0 may be answered by 2.0+cpu
        (folder / "request.in").write_text(exact)
        flags = ["--no-deps", "--format", "pylock.toml", "--output-file", "pylock.toml"]
        where = configured().uv_flags(last=last, best=True)  # whoever has the wheel: its hash is known
        if _uv(environment, folder, ["request.in", *flags, *where]).returncode != 0:
            return None
        return list(tomllib.loads((folder / "pylock.toml").read_text()).get("packages", []))


def _uv(environment: Environment, folder: Path, arguments: Sequence[str]) -> CompletedProcess[str]:
    command = [
        find_uv(), "pip", "compile", *arguments, "--no-header", "--no-annotate", "--no-config", "--quiet",
        "--only-binary", ":all:", "--python-version", environment.python, "--python-platform", PLATFORM,
    ]  # fmt: skip
    return answer(command, environment=configured().uv_environment(), folder=folder)


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
