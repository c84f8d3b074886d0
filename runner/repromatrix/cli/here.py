"""`--here FRAMEWORK`: the interpreter at hand as an environment of the matrix, and the plan of its cells."""

import re
import shutil
from argparse import Namespace
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

from repromatrix.cli.story import Story
from repromatrix.engines.base import Engine
from repromatrix.errors import NothingSelectedError, UsageError
from repromatrix.execute import host
from repromatrix.matrix import Environment, Matrix, Profile, load
from repromatrix.matrix.check import suggest
from repromatrix.matrix.model import Choices
from repromatrix.plan import Plan, plan

PROFILE = "here"
_LABEL = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")
_OWN_OPTIONS = ("python", "label", "device")


def prepare(options: Namespace, story: Story) -> tuple[Matrix, Plan, Engine]:
    """Return the matrix with the interpreter's environment in it, the plan of its cells, and the engine for it.

    Raises:
        UsageError: options that do not go together, or an unknown framework.
        EnvironmentFailedError: there is no Python, or it has no such framework.
        NothingSelectedError: no cell is left.
    """
    from repromatrix.engines.here import HereEngine  # noqa: PLC0415 - only who asks for it pays
    from repromatrix.images.here import probe  # noqa: PLC0415

    matrix = load(options.matrix)
    _check(options, matrix)
    devices = _devices(options.device)
    found = probe(_python(options.python), options.here)
    environment = found.environment(options.label or PROFILE, devices)
    backend = f" on {found.backend}" if found.backend else ""
    story.say(
        f"{'here':<10} {found.base.reference}: Python {found.python}, {found.framework} {found.version}{backend}, "
        f"{found.packages} packages; not pinned"
    )
    whole = _with(matrix, environment, found.backend)
    try:
        chosen = plan(whole, profile=PROFILE, select=options.select)
    except NothingSelectedError as error:
        variants = [variant for each in whole.workloads for variant in each.variants(found.framework, found.backend)]
        names = ", ".join(each.name for each in variants)[:300]
        raise NothingSelectedError(error.what, hint=f"variants of {found.framework}: {names}") from error
    return whole, chosen, HereEngine(found.base)


def refuse_without(options: Namespace) -> None:
    """Refuse the options that only mean something together with --here.

    Raises:
        UsageError: naming the first.
    """
    for name in _OWN_OPTIONS:
        if getattr(options, name):
            raise UsageError(f"--{name} goes with --here only", hint=f"repromatrix run --here FRAMEWORK --{name} ...")


def _check(options: Namespace, matrix: Matrix) -> None:
    known = sorted({each.framework for each in matrix.environments})
    if options.here not in known:
        raise UsageError(f"no framework {options.here!r} in {matrix.path.name}", hint=suggest(options.here, known))
    if options.engine != "auto":
        raise UsageError(
            "--here and --engine do not go together", hint="--here is an engine of its own: leave --engine out"
        )
    if options.registry:
        raise UsageError("--here and --registry do not go together", hint="--here makes no image: leave --registry out")
    if options.profile != "default":
        raise UsageError("--here and --profile do not go together", hint="choose cells with --select")
    label = options.label or PROFILE
    if not _LABEL.fullmatch(label):
        raise UsageError(f"not a label: {label!r}", hint="lower-case letters, digits, dot, underscore and dash")
    if label in {each.flavour for each in matrix.environments if each.framework == options.here}:
        raise UsageError(
            f"the label {label!r} is a flavour of {options.here} in {matrix.path.name}",
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


def _devices(asked: list[str]) -> tuple[str, ...]:
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
        name=PROFILE, environments=(environment.name,), exclude_environments=(), devices=(), line=environment.line
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
