"""A folder to begin with: a small matrix, a workload that runs as it is, the schemas for editors."""

import json
import os
import re
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from repromatrix import resources
from repromatrix.errors import UsageError
from repromatrix.matrix import script
from repromatrix.matrix.check import suggest
from repromatrix.matrix.load import NAME, load
from repromatrix.matrix.model import Environment, Matrix
from repromatrix.matrix.workload import FILE

MATRIX = "matrix.yaml"
IGNORED = ("results/", "report/")
_SCHEMAS = ".repromatrix"
_PAGES = "\n  pages:\n"  # the last job of the night


def workflows(folder: Path, reference: str, *, pages: bool = False) -> tuple[Path, ...]:
    """Write the workflows of a night and of an upgrade check; return the files.

    Args:
        folder: of the repository.
        reference: OWNER/NAME@COMMIT, where repromatrix comes from; a commit is named whole.
        pages: publish what the night found on GitHub Pages. It replaces the site that a repository may have there.

    Raises:
        UsageError: not such a reference, or a file is there already.
    """
    if not re.fullmatch(r"[\w.-]+/[\w.-]+@[0-9a-f]{40}", reference):
        raise UsageError(
            f"not a commit of a repository: {reference!r}",
            hint="name the repository of repromatrix and a whole commit: --github OWNER/repromatrix@COMMIT",
        )
    repository, _, commit = reference.partition("@")
    texts = {}
    for path in sorted((_starter() / "github").glob("*.yml")):
        text = path.read_text(encoding="utf-8")
        if not pages:
            text, _, _ = text.partition(_PAGES)
        texts[f".github/workflows/{path.name}"] = text.replace("REPOSITORY", repository).replace("COMMIT", commit)
    return _written(folder, texts, "delete them first, or keep them")


def begin(folder: Path, frameworks: Sequence[str], job: str, given: Path | None = None) -> tuple[Path, ...]:
    """Write a matrix, a workload called `job` and what goes with them; return the files, in the order to read them.

    Args:
        folder: where.
        frameworks: whose environments; of a script empty: the one that it imports.
        job: the name of the workload's folder.
        given: a script that the workload runs as it is; None: a job of modules, which runs as it is.

    Raises:
        UsageError: a framework that the product does not know, a name that is none, or a file is there already.
    """
    known = sorted(path.stem for path in _starter().glob("*.py"))
    for name in frameworks:
        if name not in known:
            raise UsageError(f"no framework {name!r}", hint=suggest(name, known))
    if not (job.isidentifier() and NAME.fullmatch(job)):
        hint = "lower-case letters, digits, underscore, with a letter in front"
        raise UsageError(f"not a name for a folder of Python modules: {job!r}", hint=hint)
    if f"{job}/" in IGNORED:
        raise UsageError(
            f"{job}/ is where runs write, and git is to ignore it", hint="call the job otherwise: --job my_job"
        )
    texts = _texts(load(resources.matrix()), folder, frameworks, job, given)
    return (*_written(folder, texts, "begin in an empty folder: repromatrix init FOLDER"), *_ignore(folder))


def _written(folder: Path, texts: Mapping[str, str], hint: str) -> tuple[Path, ...]:
    there = [name for name in texts if os.path.lexists(folder / name)]
    if there:
        raise UsageError(
            f"{', '.join(there)} {'is' if len(there) == 1 else 'are'} there already, so nothing was written",
            where=str(folder),
            hint=hint,
        )
    for name, text in texts.items():
        resources.write_atomically(folder / name, text.encode())
    return tuple(folder / name for name in texts)


def versions(frameworks: Sequence[str]) -> Mapping[str, tuple[str, ...]]:
    """Return, by framework, the versions that a folder begins with, the newest last."""
    matrix = load(resources.matrix())
    return {name: tuple(each.version for each in _environments(matrix, name)) for name in frameworks}


def _starter() -> Path:
    return resources.folder("templates") / "starter"


def needed(given: Path, frameworks: Sequence[str] = ()) -> script.Guess:
    """Return what a script needs, as its imports tell.

    Raises:
        UsageError: it cannot be read, is no Python, or imports no framework.
    """
    return script.guess(given, frameworks, load(resources.matrix()).environments)


def _texts(matrix: Matrix, folder: Path, frameworks: Sequence[str], job: str, given: Path | None) -> dict[str, str]:
    """Return the name and the text of each file."""
    if given is not None:
        needs = script.guess(given, frameworks, matrix.environments)
        found = {MATRIX: _matrix(matrix, needs.frameworks, job, noise=False)}
        found[f"{job}/{FILE}"] = script.text(given, needs, folder / job)
    else:
        found = {MATRIX: _matrix(matrix, frameworks, job)}
        for name in (FILE, *(f"{framework}.py" for framework in frameworks)):
            found[f"{job}/{name}"] = (_starter() / name).read_text(encoding="utf-8")
    found[f"{job}/{FILE}"] = f"# yaml-language-server: $schema=../{_SCHEMAS}/workload.json\n" + found[f"{job}/{FILE}"]
    for name in ("matrix", "workload"):
        found[f"{_SCHEMAS}/{name}.json"] = resources.schema(name).read_text(encoding="utf-8")
    return found


def _matrix(matrix: Matrix, frameworks: Sequence[str], job: str, *, noise: bool = True) -> str:
    lines = [
        f"# yaml-language-server: $schema={_SCHEMAS}/matrix.json",
        "# What is compared. A version more: one more in `versions`, then `repromatrix lock`.",
        "format: 1",
        "environments:",
    ]
    for framework in frameworks:
        lines += _entries(_environments(matrix, framework))
    lines += [
        f"workloads: [./{job}]",
        "settings: {default: {threads: 1}}",
        'profiles: {default: {environments: ["*"]}}',
    ]
    if noise:
        lines.append("noise: {members: 4} # cells whose parameters are moved by one unit in the last place: rounding")
    return "\n".join(lines) + "\n"


def _environments(matrix: Matrix, framework: str) -> list[Environment]:
    """Return the environments of a framework that the product runs by default, on its default Python."""
    profile = matrix.profiles["default"]
    own = [each for each in matrix.environments if each.framework == framework and not each.suffix]
    return [each for each in own if any(fnmatchcase(each.name, pattern) for pattern in profile.environments)]


def _entries(environments: Sequence[Environment]) -> list[str]:
    """Return the lines of a framework's environments: one entry for those that differ in nothing but the version."""
    groups: dict[tuple[object, ...], list[Environment]] = {}
    for each in environments:
        groups.setdefault((each.flavour, each.requirements, each.index, each.variables), []).append(each)
    lines = []
    for group in groups.values():
        first = group[0]
        lines += [
            f"  - framework: {first.framework}",
            f"    flavour: {first.flavour}",
            f"    versions: [{', '.join(_quoted(each.version) for each in group)}]",
            f"    packages: [{', '.join(map(json.dumps, first.requirements))}]",
        ]
        lines += [f"    index: {first.index}"] if first.index else []
        pairs = ", ".join(f"{name}: {value}" for name, value in first.variables)
        lines += [f"    variables: {{{pairs}}}"] if pairs else []
    return lines


def _quoted(version: str) -> str:
    return version if version.count(".") > 1 else f'"{version}"'


def _ignore(folder: Path) -> tuple[Path, ...]:
    """Have git ignore what runs write; what is ignored already stays."""
    path = folder / ".gitignore"
    before = path.read_text(encoding="utf-8", errors="surrogateescape") if path.is_file() else ""
    added = [line for line in IGNORED if line not in before.splitlines()]
    if not added:
        return ()
    start = before if not before or before.endswith("\n") else before + "\n"
    resources.write_atomically(path, (start + "\n".join(added) + "\n").encode(errors="surrogateescape"))
    return (path,)
