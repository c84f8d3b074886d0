"""A package's name -> its releases that a Python can install here, asked of the user's package sources by pip."""

import json
import os
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from packaging.version import InvalidVersion, Version

from repromatrix.engines.supervised import answer
from repromatrix.errors import EnvironmentFailedError, UsageError
from repromatrix.images.tags import platforms
from repromatrix.matrix import Environment, Matrix
from repromatrix.matrix.candidates import candidates, on_other_pythons


def releases(name: str, environment: Environment, *, pre: bool = False) -> tuple[str, ...]:
    """Return the releases with a wheel for the Python of an environment, the oldest first.

    Args:
        name: of the package.
        environment: whose Python and index are asked.
        pre: whether pre-releases count.

    Raises:
        EnvironmentFailedError: the sources do not answer, or know none.
    """
    command = [
        sys.executable, "-m", "pip", "index", "versions", name, "--json", "--python-version", environment.python,
        "--implementation", "cp", "--only-binary", ":all:", "--disable-pip-version-check",
        *(flag for each in platforms() for flag in ("--platform", each)),
        *(flag for each in _abis(environment.python) for flag in ("--abi", each)),
        *(["--pre"] if pre else []),
    ]  # fmt: skip
    done = answer(command, environment=os.environ, folder=Path.cwd())
    try:
        found = [str(each) for each in json.loads(done.stdout)["versions"]]
    except (ValueError, KeyError, TypeError):
        found = []
    if not found:
        reason = (done.stderr.strip().splitlines() or ["it names none"])[-1].removeprefix("ERROR: ")
        raise EnvironmentFailedError(
            f"the package sources know no release of {name} for Python {environment.python}: {reason[:200]}",
            hint="check the name and the package index: repromatrix doctor",
        )
    return tuple(sorted(found, key=Version))


def _abis(python: str) -> tuple[str, ...]:
    return f"cp{python.replace('.', '')}", "abi3", "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """Releases of a framework in order, on one Python; or on two, and then the release that bridges them stands twice.

    Attributes:
        versions: from one end to the other; `VERSION@PYTHON` where there are two Pythons.
        word: the framework, with its flavour where that was named.
    """

    versions: tuple[str, ...]
    python: str
    matrix: Matrix
    word: str

    def environment(self, version: str) -> Environment:
        """Return the environment of a release."""
        plain, _, python = version.partition("@")
        found = on_other_pythons(candidates(self.matrix, f"{self.word}=={plain}"))
        return next(each for each in found if each.python == (python or self.python))


def line(matrix: Matrix, word: str, good: str, bad: str) -> Line:
    """Return the releases of a framework between two: on the first Python that has wheels of both, or over a bridge.

    Raises:
        UsageError: an end is no version.
        EnvironmentFailedError: no Python has both, and no two have a release in common.
    """
    for end in (good, bad):
        if not _is_version(end):
            raise UsageError(f"not a version: {end!r}", hint="bisect PACKAGE GOOD BAD, like bisect numpy 1.24.4 2.4.6")
    name = word.partition("[")[0].lower()
    pre = any(Version(end).is_prerelease for end in (good, bad))
    alike = {each.python: each for each in on_other_pythons(candidates(matrix, f"{word}=={good}"))}
    known: dict[str, tuple[str, ...]] = {}
    for python, like in alike.items():
        known[python] = _known(name, like, pre=pre)
        if _has(known[python], good) and _has(known[python], bad):
            return Line(versions=_between(known[python], good, bad), python=python, matrix=matrix, word=word)
    versions = _bridged(known, good, bad)
    if versions:
        python = versions[0].partition("@")[2]
        return Line(
            versions=versions, python=f"{python} and {versions[-1].partition('@')[2]}", matrix=matrix, word=word
        )
    told = "; ".join(f"Python {python}: {each[0]} to {each[-1]}" for python, each in known.items() if each)
    raise EnvironmentFailedError(
        f"no Python has wheels of both {word} {good} and {bad}, and no two have a release between them: {told}",
        hint="name ends that are nearer to each other",
    )


def _known(name: str, like: Environment, *, pre: bool) -> tuple[str, ...]:
    """Return the releases for a Python, none where the sources have no wheel for it."""
    try:
        return releases(name, like, pre=pre)
    except EnvironmentFailedError:
        return ()


def _has(versions: Iterable[str], version: str) -> bool:
    return Version(version) in map(Version, versions)


def _bridged(known: Mapping[str, tuple[str, ...]], good: str, bad: str) -> tuple[str, ...]:
    """Return the releases from one end to the other on two Pythons, over the last release that both have."""
    for one, first in known.items():
        for other, second in known.items():
            if _has(first, good) and _has(second, bad):
                common = [each for each in _within(first, good, bad) if _has(second, each)]
                if common:
                    bridge = common[-1]
                    before, after = _between(first, good, bridge), _between(second, bridge, bad)
                    return (*(f"{each}@{one}" for each in before), *(f"{each}@{other}" for each in after))
    return ()


def _within(versions: Iterable[str], good: str, bad: str) -> list[str]:
    low, high = sorted((Version(good), Version(bad)))
    found = [each for each in versions if low <= Version(each) <= high]
    return found if Version(good) == low else found[::-1]


def _between(versions: Iterable[str], good: str, bad: str) -> tuple[str, ...]:
    """Return the releases from one end to the other, both among them."""
    return tuple(_within(versions, good, bad))


def _is_version(text: str) -> bool:
    try:
        Version(text)
    except InvalidVersion:
        return False
    return True
