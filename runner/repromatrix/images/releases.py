"""A package's name -> its releases that a Python can install here, asked of the user's package sources by pip."""

import json
import subprocess
import sys

from packaging.version import Version

from repromatrix.errors import EnvironmentFailedError
from repromatrix.images.tags import platforms
from repromatrix.matrix import Environment


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
