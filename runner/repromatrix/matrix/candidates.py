"""`torch==2.8.0` -> the environments that could be meant, the likeliest first. Pure.

An environment of the matrix comes before one derived from its neighbour by changing the version. Two versions to
compare are chosen together, so that nothing but the version differs if that can be had.
"""

from dataclasses import replace

from packaging.requirements import InvalidRequirement, Requirement
from packaging.version import Version

from repromatrix.errors import UsageError
from repromatrix.matrix.check import suggest
from repromatrix.matrix.model import Environment, Matrix


def candidates(matrix: Matrix, wanted: str) -> tuple[Environment, ...]:
    """Return the environments for `FRAMEWORK==VERSION`, `FRAMEWORK[FLAVOUR]==VERSION`, or an environment's name.

    Raises:
        UsageError: not of that form, or a framework or flavour that the matrix does not have.
    """
    named = matrix.environment(wanted)
    if named:
        return (named,)
    framework, flavour, version = _parse(wanted)
    family = [each for each in matrix.environments if each.framework == framework]
    if not family:
        known = sorted({each.framework for each in matrix.environments})
        raise UsageError(f"no framework {framework!r} in {matrix.path.name}", hint=suggest(framework, known))
    chosen = [each for each in family if flavour in (None, each.flavour)]
    if not chosen:
        known = sorted({each.flavour for each in family})
        raise UsageError(f"{framework} has no flavour {flavour!r}", hint=suggest(str(flavour), known))
    exact = [each for each in chosen if Version(each.version) == Version(version)]
    nearest = _nearest(chosen, Version(version))
    derived = [replace(each, version=version) for each in nearest if Version(each.version) != Version(version)]
    return tuple({each.name: each for each in (*exact, *derived)}.values())


def pairs(
    matrix: Matrix, before: tuple[Environment, ...], after: tuple[Environment, ...]
) -> tuple[tuple[Environment, Environment], ...]:
    """Return the pairs of two sides' candidates: those of one flavour first, in the file's order, then the mixed ones.

    Raises:
        UsageError: the sides are different frameworks, or have an environment in common.
    """
    a, b = before[0], after[0]
    if a.framework != b.framework:
        raise UsageError(
            f"{a.name} and {b.name} are different frameworks",
            hint="for those, see the report's differences between methods: make matrix",
        )
    if {_identity(each) for each in before} & {_identity(each) for each in after}:
        raise UsageError(f"both are {a.framework} {a.version}, the same environment", hint="name two versions")
    flavours = list(dict.fromkeys(each.flavour for each in matrix.environments if each.framework == a.framework))
    both = [(one, other) for one in before for other in after]
    same = [pair for pair in both if pair[0].flavour == pair[1].flavour]
    same.sort(key=lambda pair: (flavours.index(pair[0].flavour), pair[0].suffix != pair[1].suffix))
    return (*same, *(pair for pair in both if pair not in same))


def _identity(environment: Environment) -> tuple[str, str, Version]:
    return environment.flavour, environment.suffix, Version(environment.version)


def _parse(wanted: str) -> tuple[str, str | None, str]:
    hint = "write it like torch==2.8.0, torch[cuda]==2.8.0, or the name of an environment"
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
