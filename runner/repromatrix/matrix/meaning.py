"""What a schema cannot say: names that must exist elsewhere in the file or in images/."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement

from repromatrix import resources
from repromatrix.errors import MatrixError
from repromatrix.matrix.check import suggest
from repromatrix.matrix.document import Document, NodePath

Problem = tuple[NodePath, str, str]  # where, what, the next step


def check_meaning(document: Document, path: Path) -> None:
    """Check a document that the schema has passed.

    Raises:
        MatrixError: for the first problem found, with file, line and suggestion.
    """
    data = document.data
    every = (
        _frameworks(data),
        _packages(data),
    )
    for problems in every:
        for place, what, hint in problems:
            raise MatrixError(what, where=f"{path.name}:{document.line(place)}", hint=hint)


def _frameworks(data: dict[str, Any]) -> Iterator[Problem]:
    images = resources.folder("images")
    for i, entry in enumerate(data["environments"]):
        name = entry["framework"]
        if not (images / name / "entrypoint.py").is_file():
            known = sorted(each.parent.name for each in images.glob("*/entrypoint.py"))
            yield ("environments", i, "framework"), f"there is no images/{name}/entrypoint.py", suggest(name, known)


def _packages(data: dict[str, Any]) -> Iterator[Problem]:
    hint = "write it like NAME=={version} or NAME==1.2.3; only {version} is filled in"
    for i, entry in enumerate(data["environments"]):
        for j, package in enumerate(entry["packages"]):
            try:
                Requirement(package.replace("{version}", entry["versions"][0]))
            except InvalidRequirement:
                yield ("environments", i, "packages", j), f"not a requirement: {package!r}", hint
