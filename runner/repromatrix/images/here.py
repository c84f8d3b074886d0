"""The interpreter at hand, asked what it is and what is installed in it -> an environment without a lock."""

import json
import os
import re
import subprocess
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from repromatrix import resources
from repromatrix.engines.base import Base, BuildSpec
from repromatrix.engines.here import own_variables
from repromatrix.errors import EnvironmentFailedError
from repromatrix.images.spec import sources, sources_digest
from repromatrix.matrix import Environment
from repromatrix.matrix.model import AT_HAND

_PATIENCE = 900  # seconds; a first import from a cluster's file system takes minutes
_UNFIT = re.compile(r"[^A-Za-z0-9.+-]")
# Read by any Python, since one that is too old must be able to say so. The harness's own files ask what they ask later.
_PROBE = """
import json, os, platform, sys
answer = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)
told = {"executable": sys.executable, "version": platform.python_version(), "old": sys.version_info < (3, 8)}
if not told["old"]:
    framework, harness = sys.argv[1], sys.argv[2:]
    sys.path[:1] = harness
    import entrypoint, fingerprint
    sys.path[:] = [path for path in sys.path if path not in harness]
    if hasattr(entrypoint, "backend"):
        told["backend"] = os.environ["KERAS_BACKEND"] = entrypoint.backend()
    told["implementation"] = "%s %s" % (platform.python_implementation(), sys.version.replace("\\n", " "))
    told["libc"] = fingerprint.libc()
    told["packages"] = fingerprint.packages()
    told["conda"] = fingerprint.conda_packages()
    told["variables"] = {name: os.environ[name] for name in sorted(os.environ)
        if fingerprint.told_variable(name) or name in ("LD_LIBRARY_PATH", "LD_PRELOAD")}
    import importlib, importlib.util
    told["there"] = importlib.util.find_spec(framework) is not None
    try:
        told["framework"] = str(importlib.import_module(framework).__version__)
    except Exception as error:
        told["error"] = "%s: %s" % (type(error).__name__, error)
answer.write("\\n" + json.dumps(told))
answer.flush()
"""
_CHOOSES_GPUS = ("CUDA_VISIBLE_DEVICES", "NVIDIA_VISIBLE_DEVICES")  # the job scheduler's, another one each time


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """An interpreter with the framework in it.

    Attributes:
        python: its version, all parts.
        version: the framework's, as it tells it itself.
        backend: of Keras; empty for other frameworks.
        packages: number of installed distributions.
        base: the interpreter with the digest of all that is installed in it and of the variables that matter.
    """

    framework: str
    python: str
    version: str
    backend: str
    packages: int
    base: Base

    def environment(self, label: str, devices: tuple[str, ...]) -> Environment:
        """Return it as an environment whose flavour is `label`; letters that no path takes are replaced."""
        return Environment(
            framework=self.framework,
            version=_UNFIT.sub("_", self.version),
            flavour=label,
            python=".".join(self.python.split(".")[:2]),
            base=AT_HAND,
            requirements=(),
            index=None,
            devices=devices,
            variables=(("KERAS_BACKEND", self.backend),) if self.backend else (),
            suffix="",
            line=0,
            file=self.base.reference,
        )


def probe(python: str, framework: str) -> Found:
    """Ask an interpreter what it is and import the framework there.

    Raises:
        EnvironmentFailedError: it does not start, is older than Python 3.8, or cannot import the framework.
    """
    told = _ask(python, framework)
    who = f"Python {told['version']}"
    if told["old"]:
        raise EnvironmentFailedError(
            f"{who} is too old: the harness needs 3.8",
            where=python,
            hint=f"name another: --here {framework} --python PATH",
        )
    if "error" in told:
        what = "cannot be imported" if told["there"] else "is not installed"
        why = f": {told['error']}" if told["there"] else ""
        raise EnvironmentFailedError(
            f"{framework} {what}{why}; {who} has {_frameworks(told['packages'])}",
            where=python,
            hint=f"activate the environment that has it, or name its Python: --here {framework} --python PATH",
        )
    # An interpreter inside a wrapper's container has a path that means nothing here.
    own = told["executable"]
    reference = own if own and os.access(own, os.X_OK) and Path(own).is_file() else python
    return Found(
        framework=framework,
        python=told["version"],
        version=told["framework"],
        backend=told.get("backend", ""),
        packages=len(told["packages"]),
        base=Base(kind="here", reference=reference, digest=_identity(told)),
    )


def build_spec(environment: Environment, base: Base) -> BuildSpec:
    """Return what is staged for an environment: the sources, and nothing to install."""
    return BuildSpec(
        name=environment.name,
        tag=sources_digest(environment.framework)[:24],
        base=base,
        lock=Path(os.devnull),
        wheels=(),
        sources=sources(environment.framework),
        dockerfile=Path(os.devnull),
        variables=environment.variables,
        labels=(),
        module=environment.framework,
    )


def _ask(python: str, framework: str) -> dict[str, Any]:
    images = resources.folder("images")
    command = [python, "-B", "-c", _PROBE, framework, str(images / framework), str(images)]
    hint = "name a Python that works: --python PATH"
    try:
        done = subprocess.run(
            command, env=own_variables(gpu=False), capture_output=True, check=False, timeout=_PATIENCE,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        raise EnvironmentFailedError(f"cannot be asked what it is: {error}", where=python, hint=hint) from error
    try:
        answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    except (IndexError, ValueError) as error:
        words = [line.strip() for line in done.stderr.decode(errors="replace").splitlines() if line.strip()]
        said = words[-1][:300] if words else "it said nothing"
        raise EnvironmentFailedError(
            f"is no Python that can be asked what it is (exit code {done.returncode}): {said}", where=python, hint=hint
        ) from error
    return answer


def _identity(told: dict[str, Any]) -> str:
    """Return the interpreter in words, and a digest over what is installed in it and the variables that matter."""
    packages = [f"{name}=={version}" for name, version in sorted(told["packages"].items())]
    variables = {name: value for name, value in told["variables"].items() if name not in _CHOOSES_GPUS}
    parts = json.dumps([packages, told["conda"], variables], sort_keys=True)
    return f"{told['implementation']} | {told['libc']} | sha256:{sha256(parts.encode()).hexdigest()}"


def _frameworks(packages: dict[str, str]) -> str:
    """Return which of the frameworks that this harness knows are installed, in words."""
    known = sorted(path.parent.name for path in resources.folder("images").glob("*/entrypoint.py"))
    there = [f"{name} {packages[name]}" for name in known if name in packages]
    return ", ".join(there) or f"none of {', '.join(known)}"
