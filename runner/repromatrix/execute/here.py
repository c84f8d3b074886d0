"""The Python at hand as an environment of the matrix, with a profile of its own: nothing is installed, no lock."""

import re
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

from repromatrix.engines.base import Engine
from repromatrix.errors import NothingSelectedError, UsageError
from repromatrix.execute import host
from repromatrix.listener import Listener
from repromatrix.matrix import Environment, Matrix, Profile
from repromatrix.matrix.check import suggest
from repromatrix.matrix.model import Choices
from repromatrix.plan import Plan, plan

PROFILE = "here"
_LABEL = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")


def prepare(
    matrix: Matrix,
    framework: str,
    listener: Listener,
    *,
    python: str | None = None,
    label: str | None = None,
    devices: Sequence[str] = (),
    select: Sequence[str] = (),
) -> tuple[Matrix, Plan, Engine]:
    """Return the matrix with the interpreter's environment in it, the plan of its cells, and the engine for it.

    Args:
        matrix: as it is written.
        framework: whose cells.
        listener: is told what was found.
        python: a path or a name on PATH; None: the one that a shell would start.
        label: the flavour of the environment; None: `here`.
        devices: none: the CPU, and the first NVIDIA GPU where there is one.
        select: patterns of cells.

    Raises:
        UsageError: an unknown framework, a label that cannot be one, a device that is not there.
        EnvironmentFailedError: there is no Python, or it has no such framework.
        NothingSelectedError: no cell is left.
    """
    from repromatrix.engines.here import HereEngine  # noqa: PLC0415 - only who asks for it pays
    from repromatrix.images.here import probe  # noqa: PLC0415

    flavour = label or PROFILE
    _check(matrix, framework, flavour)
    there = _devices(devices)
    found = probe(_python(python), framework)
    environment = found.environment(flavour, there)
    backend = f" on {found.backend}" if found.backend else ""
    listener.say(
        f"{'here':<10} {found.base.reference}: Python {found.python}, {found.framework} {found.version}{backend}, "
        f"{found.packages} packages; not pinned"
    )
    whole = _with(matrix, environment, found.backend)
    try:
        chosen = plan(whole, profile=PROFILE, select=select)
    except NothingSelectedError as error:
        variants = [variant for each in whole.workloads for variant in each.variants(found.framework, found.backend)]
        names = ", ".join(each.name for each in variants)[:300]
        raise NothingSelectedError(error.what, hint=f"variants of {found.framework}: {names}") from error
    return whole, chosen, HereEngine(found.base)


def _check(matrix: Matrix, framework: str, label: str) -> None:
    known = sorted({each.framework for each in matrix.environments})
    if framework not in known:
        raise UsageError(f"no framework {framework!r} in {matrix.path.name}", hint=suggest(framework, known))
    if not _LABEL.fullmatch(label):
        raise UsageError(f"not a label: {label!r}", hint="lower-case letters, digits, dot, underscore and dash")
    if label in {each.flavour for each in matrix.environments if each.framework == framework}:
        raise UsageError(
            f"the label {label!r} is a flavour of {framework} in {matrix.path.name}",
            hint="take another: --label NAME",
        )


def _python(asked: str | None) -> str:
    """Return the Python asked for, else the one that a shell would start.

    Raises:
        UsageError: there is none.
    """
    names = (asked,) if asked else ("python3", "python")
    found = next((path for path in map(shutil.which, names) if path), None)
    if not found:
        where = f"no program {asked!r}" if asked else "neither python3 nor python on PATH"
        raise UsageError(where, hint="activate an environment, or name its Python: --python PATH")
    return str(Path(found).absolute())


def _devices(asked: Sequence[str]) -> tuple[str, ...]:
    """Return the devices asked for, else the CPU and the first NVIDIA GPU where there is one.

    Raises:
        UsageError: a GPU is asked for where there is none.
    """
    has_gpu = bool(host.nvidia_devices())
    gpus = [each for each in asked if each != "cpu"]
    if gpus and not has_gpu:
        raise UsageError(
            f"no NVIDIA device on this machine, so no {gpus[0]}", hint="leave --device out, or see: repromatrix doctor"
        )
    return tuple(dict.fromkeys(asked)) or (("cpu", "cuda:0") if has_gpu else ("cpu",))


def _with(matrix: Matrix, environment: Environment, backend: str) -> Matrix:
    """Return the matrix with one environment and a profile of it more; the backend decides like a flavour."""
    workloads = tuple(
        replace(
            each,
            written=tuple(
                replace(variant, flavours=(*variant.flavours, environment.flavour))
                if variant.framework == environment.framework and backend in variant.flavours
                else variant
                for variant in each.written
            ),
            factors=tuple((name, _like_backend(choices, environment, backend)) for name, choices in each.factors),
        )
        for each in matrix.workloads
    )
    profile = Profile(
        name=PROFILE,
        environments=(environment.name,),
        exclude_environments=(),
        workloads=matrix.profiles["default"].workloads if "default" in matrix.profiles else (),
        devices=(),
        line=environment.line,
    )
    return replace(
        matrix,
        environments=(*matrix.environments, environment),
        workloads=workloads,
        profiles=MappingProxyType({**matrix.profiles, PROFILE: profile}),
    )


def _like_backend(choices: Choices, environment: Environment, backend: str) -> Choices:
    """Return a factor's values with those of a backend, if it has its own, also under the environment's flavour."""
    own = dict(choices).get(f"{environment.framework}-{backend}")
    return choices if own is None else (*choices, (f"{environment.framework}-{environment.flavour}", own))
