"""`torch==2.8.0` -> the environments that could be meant, the likeliest first. Pure.

An environment of the matrix comes before one derived from its neighbour by changing the version, and that one before
those of other Pythons. The flavour is the one that was named, else `cpu`, else the only one: another build is never
taken in silence. Two versions to compare are chosen together, so that nothing but the version differs if that can be
had.
"""

from dataclasses import replace

from packaging.requirements import InvalidRequirement, Requirement
from packaging.version import Version

from repromatrix.errors import UsageError
from repromatrix.matrix.check import suggest
from repromatrix.matrix.model import Environment, Matrix

PYTHONS = ("3.9", "3.10", "3.11", "3.12", "3.13")  # what releases have wheels for, and bases are pinned of
# The distributions that are a framework, by their names.
FRAMEWORKS = {
    "numpy": "numpy",
    "torch": "torch",
    "tensorflow": "tensorflow",
    "tensorflow-cpu": "tensorflow",
    "jax": "jax",
    "jaxlib": "jax",
    "keras": "keras",
}
_PLAIN = "cpu"  # the flavour that is meant where none is named


def candidates(matrix: Matrix, wanted: str) -> tuple[Environment, ...]:
    """Return the environments for `FRAMEWORK==VERSION`, `FRAMEWORK[FLAVOUR]==VERSION`, or an environment's name.

    Raises:
        UsageError: not of that form, or a framework or flavour that the matrix does not have.
    """
    named = matrix.environment(wanted)
    if named:
        return (named,)
    framework, flavour, version = _parse(wanted)
    chosen = family(matrix, framework, flavour)
    exact = [each for each in chosen if Version(each.version) == Version(version)]
    nearest = _nearest(chosen, Version(version))
    derived = [replace(each, version=version) for each in nearest if Version(each.version) != Version(version)]
    return tuple({each.name: each for each in (*exact, *derived)}.values())


def family(matrix: Matrix, framework: str, flavour: str | None) -> list[Environment]:
    """Return the environments of a framework in one flavour: the one named, else `cpu`, else the only one.

    Raises:
        UsageError: a framework or flavour that the matrix does not have, or several flavours and none is meant.
    """
    every = [each for each in matrix.environments if each.framework == framework]
    if not every:
        known = sorted({each.framework for each in matrix.environments})
        raise UsageError(f"no framework {framework!r} in {matrix.path.name}", hint=suggest(framework, known))
    known = list(dict.fromkeys(each.flavour for each in every))
    if flavour is None and _PLAIN not in known and len(known) > 1:
        told = ", ".join(f"{framework}[{each}]==VERSION" for each in known)
        raise UsageError(f"which {framework}? its flavours: {', '.join(known)}", hint=f"name one: {told}")
    wanted = flavour or (_PLAIN if _PLAIN in known else known[0])
    chosen = [each for each in every if each.flavour == wanted]
    if not chosen:
        raise UsageError(f"{framework} has no flavour {flavour!r}", hint=suggest(str(flavour), sorted(known)))
    return chosen


def on_other_pythons(found: tuple[Environment, ...]) -> tuple[Environment, ...]:
    """Return environments, then the first of them on each further Python: a release may have wheels for no other."""
    there = {each.python for each in found}
    others = [python for python in reversed(PYTHONS) if python not in there]
    return (*found, *(replace(found[0], python=python, suffix=f"-py{python}") for python in others))


def pairs(
    before: tuple[Environment, ...], after: tuple[Environment, ...]
) -> tuple[tuple[Environment, Environment], ...]:
    """Return the pairs of two sides' candidates: those of one flavour and one Python first, then the mixed ones.

    Raises:
        UsageError: the sides are different frameworks.
    """
    both = [(one, other) for one in before for other in after if one.framework == other.framework]
    if not both:
        raise UsageError(
            f"{before[0].name} and {after[0].name} are different frameworks",
            hint="for those, see the report's differences between methods: make matrix",
        )
    return tuple(sorted(both, key=lambda pair: (pair[0].flavour != pair[1].flavour, pair[0].python != pair[1].python)))


def _parse(wanted: str) -> tuple[str, str | None, str]:
    hint = "write it like torch==2.8.0, torch[cuda]==2.8.0, or the name of an environment"
    if any(mark in wanted for mark in ("/", ".txt", ".whl", ".lock")):
        raise UsageError(f"no such file: {wanted}", hint="a lock, a requirements.txt or a wheel; " + hint)
    try:
        requirement = Requirement(wanted)
    except InvalidRequirement as error:
        raise UsageError(f"not a version of a framework: {wanted!r}", hint=hint) from error
    versions = [each.version for each in requirement.specifier if each.operator == "=="]
    if len(versions) != 1 or len(requirement.specifier) != 1 or len(requirement.extras) > 1 or "*" in versions[0]:
        raise UsageError(f"not one exact version: {wanted!r}", hint=hint)
    version = Version(versions[0])
    if version.local:
        raise UsageError(
            f"a local version: {wanted!r}",
            hint=f"a build is a flavour here: FRAMEWORK[FLAVOUR]==VERSION, like torch[cpu]=={version.public}",
        )
    return requirement.name.lower(), next(iter(requirement.extras), None), versions[0]


def _nearest(family: list[Environment], version: Version) -> list[Environment]:
    """Return one environment per flavour and Python, the default Python first and flavours in the file's order.

    Each is the newest not newer than `version`, else the oldest.
    """
    result = []
    kinds = dict.fromkeys((each.flavour, each.suffix) for each in family)
    for flavour, suffix in sorted(kinds, key=lambda kind: kind[1]):
        same = [each for each in family if (each.flavour, each.suffix) == (flavour, suffix)]
        same.sort(key=lambda each: Version(each.version))
        older = [each for each in same if Version(each.version) <= version]
        result.append(older[-1] if older else same[0])
    return result
