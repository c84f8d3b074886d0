"""A file that a person names -> the environments it describes: a lock, a requirements.txt, or a wheel of one's own.

Their names end in a digest of what they ask for, so that two files never share an environment.
"""

import re
import shutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path

from packaging.markers import UndefinedComparison, UndefinedEnvironmentName
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename
from packaging.version import InvalidVersion, Version

from repromatrix import resources
from repromatrix.errors import EnvironmentFailedError, UsageError
from repromatrix.images import lock as locks
from repromatrix.images import store
from repromatrix.images.resolve import resolve
from repromatrix.matrix import Environment, Matrix
from repromatrix.matrix.candidates import FRAMEWORKS, PYTHONS, candidates

# What else of a requirements.txt counts: packages whose kernels or defaults reach a framework's numbers.
_COMPANIONS = (
    "numpy",
    "scipy",
    "ml-dtypes",
    "jaxlib",
    "keras",
    "tf-keras",
    "triton",
    "mkl",
    "intel-openmp",
    "opt-einsum",
)
_ORDER = ("torch", "tensorflow", "jax", "keras", "numpy")  # which framework of a file is compared first
_LETTERS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """An environment that a file describes.

    Attributes:
        pinned: its lock, where the file is one; empty: it has to be resolved.
        wheel: a file that stands for one of its packages, or None.
    """

    environment: Environment
    pinned: str = ""
    wheel: Path | None = None

    def lock(self, folder: Path) -> None:
        """Write its lock.

        Raises:
            EnvironmentFailedError: it cannot be resolved.
        """
        if self.wheel is not None:
            locks.adopt(self.environment, _around(self.environment, self.wheel), folder)
        elif self.pinned:
            locks.adopt(self.environment, self.pinned, folder)
        else:
            locks.make(self.environment, folder)


def read(matrix: Matrix, path: Path) -> tuple[Given, ...]:
    """Return the environments that a file describes, that of the framework to compare first.

    Raises:
        UsageError: it pins no framework exactly, or is a wheel of something else.
    """
    if path.suffix == ".whl":
        return (_of_wheel(matrix, path),)
    text = resources.read_regular(path, most=locks.MOST_BYTES, links=True).decode(errors="replace")
    asked: dict[str, Requirement] = {canonicalize_name(each.name): each for each in _requirements(text)}
    pinned = {FRAMEWORKS[name]: _exact(each) for name, each in asked.items() if name in FRAMEWORKS and _exact(each)}
    if not pinned:
        raise UsageError(
            "pins no version of a framework",
            where=str(path),
            hint=f"a line like torch==2.13.0 is needed; frameworks: {', '.join(sorted(set(FRAMEWORKS.values())))}",
        )
    is_lock = "--hash=sha256:" in text
    make = _of_lock if is_lock else _of_requirements
    return tuple(each for name in _ORDER if name in pinned for each in make(matrix, name, pinned[name], asked, text))


def _requirements(text: str) -> Iterator[Requirement]:
    """Yield the requirements of a file that are meant for this machine.

    Raises:
        UsageError: a condition that compares what cannot be compared.
    """
    for line in text.replace("\\\n", " ").splitlines():
        plain = re.split(r"\s(?:#|--hash)", line, maxsplit=1)[0].strip()
        if plain and not plain.startswith(("#", "-")):
            try:
                requirement = Requirement(plain)
            except InvalidRequirement:
                continue  # a path or an address of something else
            try:
                meant = requirement.marker is None or requirement.marker.evaluate()
            except (UndefinedComparison, UndefinedEnvironmentName) as error:
                raise UsageError(f"a condition that cannot be decided: {plain[:200]}") from error
            if meant:
                yield requirement


def _exact(requirement: Requirement) -> str:
    """Return the version that a requirement pins, without what names a build; empty: it pins none.

    Raises:
        UsageError: it pins by `===`, which takes any text, what is no version.
    """
    found = [
        each.version for each in requirement.specifier if each.operator in ("==", "===") and "*" not in each.version
    ]
    try:
        return str(Version(found[0]).public) if found else ""
    except InvalidVersion as error:
        raise UsageError(f"no version: {requirement}", hint="write one like 2.13.0") from error


def _of_lock(
    matrix: Matrix, framework: str, version: str, asked: Mapping[str, Requirement], text: str
) -> Iterator[Given]:
    """Yield the environment of a lock: exactly its pins, on the Python that it was made for."""
    made_for = re.search(r"python==(3\.[0-9]+)", text) or re.search(r"[Pp]ython[ -](?:version )?(3\.[0-9]+)", text)
    like = candidates(matrix, f"{framework}[{_flavour(matrix, framework, asked)}]=={version}")[0]
    pins = tuple(f"{name}{each.specifier}" for name, each in sorted(asked.items()))
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    yield Given(environment=_own(like, pins, made_for[1] if made_for else like.python), pinned="\n".join(lines) + "\n")


def _of_requirements(
    matrix: Matrix, framework: str, version: str, asked: Mapping[str, Requirement], _text: str
) -> Iterator[Given]:
    """Yield the environments of a requirements.txt: what the matrix asks of a framework, and the file's companions."""
    companions = {
        name: str(each) for name, each in asked.items() if name in _COMPANIONS and FRAMEWORKS.get(name) != framework
    }
    for like in candidates(matrix, f"{framework}[{_flavour(matrix, framework, asked)}]=={version}"):
        own = [each for each in like.packages if canonicalize_name(Requirement(each).name) not in companions]
        yield Given(environment=_own(like, (*own, *companions.values()), like.python))


def _flavour(matrix: Matrix, framework: str, asked: Mapping[str, Requirement]) -> str:
    """Return the flavour that a file means: that of Keras is its backend, all others are `cpu` if the matrix has it.

    Raises:
        UsageError: the matrix has no environments of the framework.
    """
    known = list(dict.fromkeys(each.flavour for each in matrix.environments if each.framework == framework))
    if not known:
        raise UsageError(f"no framework {framework!r} in {matrix.path.name}", hint="add an environment of it there")
    backends = [FRAMEWORKS[name] for name in asked if FRAMEWORKS.get(name) in known]
    return "cpu" if "cpu" in known else (backends or known)[0]


def _of_wheel(matrix: Matrix, path: Path) -> Given:
    """Return the environment of a wheel: the matrix's nearest, with that file in place of the package.

    Raises:
        UsageError: it is no wheel, or one of something else than a framework.
    """
    try:
        name, version, _, tags = parse_wheel_filename(path.name)
    except InvalidWheelFilename as error:
        raise UsageError(
            f"not the name of a wheel: {error}", where=str(path), hint="name it as its build did"
        ) from error
    if name not in FRAMEWORKS:
        raise UsageError(f"{name} is no framework", where=str(path), hint=f"known are: {', '.join(sorted(FRAMEWORKS))}")
    framework = FRAMEWORKS[name]
    pythons = [f"3.{each.interpreter[3:]}" for each in tags if re.fullmatch(r"cp3[0-9]+", each.interpreter)]
    like = candidates(matrix, f"{framework}[{_flavour(matrix, framework, {})}]=={version.public}")[0]
    own = [each for each in like.packages if canonicalize_name(Requirement(each).name) != name]
    python = like.python if like.python in pythons or not pythons else min(pythons, key=_place)
    request = (f"{name}=={version}", *own, f"sha256:{resources.file_sha256(path)}")
    return Given(environment=_own(like, request, python), wheel=path)


def _place(python: str) -> int:
    return PYTHONS.index(python) if python in PYTHONS else len(PYTHONS)


def _own(like: Environment, request: Iterable[str], python: str) -> Environment:
    asked = tuple(request)
    digest = sha256("\n".join((*asked, python)).encode()).hexdigest()[:_LETTERS]
    packages = tuple(each for each in asked if not each.startswith("sha256:"))
    return replace(like, requirements=packages, python=python, suffix=f"-{digest}")


def _around(environment: Environment, wheel: Path) -> str:
    """Return the lock of an environment in which a file stands for its package; the file gets its place in the store.

    Raises:
        EnvironmentFailedError: what the wheel needs cannot be resolved.
    """
    name, version, _, _ = parse_wheel_filename(wheel.name)
    others = [each for each in environment.packages if canonicalize_name(Requirement(each).name) != name]
    resolved = resolve(replace(environment, requirements=(f"{name} @ {wheel.resolve().as_uri()}", *others)), "")
    if not resolved.text:
        raise EnvironmentFailedError(
            f"what {wheel.name} needs cannot be resolved: {resolved.reason}", hint="check the index: repromatrix doctor"
        )
    digest = resources.file_sha256(wheel)
    with store.fetching() as folder:
        shutil.copyfile(wheel, folder / wheel.name)
        store.keep(folder / wheel.name, digest)
    blocks = re.split(r"\n(?=[A-Za-z0-9])", resolved.text.strip())
    rest = [each for each in blocks if not re.match(rf"{re.escape(name)}\s*@", _canonical(each))]
    return "\n".join([f"{name}=={version} --hash=sha256:{digest}", *rest]) + "\n"


def _canonical(block: str) -> str:
    """Return a block of a lock with its package's name as indexes spell it."""
    head = re.match(r"[A-Za-z0-9._-]+", block)
    return canonicalize_name(head[0]) + block[head.end() :] if head else block
