"""A package's name -> its releases that a Python can install here, asked of the user's package sources by pip."""

import json
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass

from packaging.version import InvalidVersion, Version

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
    done = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
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
    """Releases of a framework in order, on one Python.

    Attributes:
        versions: from one end to the other.
        word: the framework, with its flavour where that was named.
    """

    versions: tuple[str, ...]
    python: str
    matrix: Matrix
    word: str

    def environment(self, version: str) -> Environment:
        """Return the environment of a release."""
        found = on_other_pythons(candidates(self.matrix, f"{self.word}=={version}"))
        return next(each for each in found if each.python == self.python)


def line(matrix: Matrix, word: str, good: str, bad: str) -> Line:
    """Return the releases of a framework between two, on the first Python that has wheels of both.

    Raises:
        UsageError: an end is no version.
        EnvironmentFailedError: no Python has both.
    """
    for end in (good, bad):
        if not _is_version(end):
            raise UsageError(f"not a version: {end!r}", hint="bisect PACKAGE GOOD BAD, like bisect numpy 1.24.4 2.4.6")
    name = word.partition("[")[0].lower()
    pre = any(Version(end).is_prerelease for end in (good, bad))
    alike = {each.python: each for each in on_other_pythons(candidates(matrix, f"{word}=={good}"))}
    known: dict[str, tuple[str, ...]] = {}
    for python, like in alike.items():
        known[python] = releases(name, like, pre=pre)
        places = [Version(each) for each in known[python]]
        if Version(good) in places and Version(bad) in places:
            return Line(versions=_between(known[python], good, bad), python=python, matrix=matrix, word=word)
    told = "; ".join(f"Python {python}: {each[0]} to {each[-1]}" for python, each in known.items())
    raise EnvironmentFailedError(
        f"no Python has wheels of both {word} {good} and {bad}: {told}",
        hint="search on each side of a release that two Pythons have, and compare its value on both",
    )


def _between(versions: Iterable[str], good: str, bad: str) -> tuple[str, ...]:
    """Return the releases from one end to the other, both among them."""
    low, high = sorted((Version(good), Version(bad)))
    found = tuple(each for each in versions if low <= Version(each) <= high)
    return found if Version(good) == low else found[::-1]


def _is_version(text: str) -> bool:
    try:
        Version(text)
    except InvalidVersion:
        return False
    return True
