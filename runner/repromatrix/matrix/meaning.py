"""What a schema cannot say: names that must exist elsewhere in the file, in images/, or in the published data."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement

from repromatrix import resources
from repromatrix.errors import MatrixError
from repromatrix.matrix import published as tables
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
        _flavours(data),
        _devices(data),
        _tolerances(data),
        _titles(data, path),
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


def _flavours(data: dict[str, Any]) -> Iterator[Problem]:
    for framework, variants in data["variants"].items():
        known = sorted({each["flavour"] for each in data["environments"] if each["framework"] == framework})
        for name, variant in variants.items():
            for i, flavour in enumerate(variant.get("flavours", [])):
                if known and flavour not in known:
                    place = ("variants", framework, name, "flavours", i)
                    yield place, f"no environment of {framework} has the flavour {flavour!r}", suggest(flavour, known)


def _devices(data: dict[str, Any]) -> Iterator[Problem]:
    for framework, variants in data["variants"].items():
        entries = [each for each in data["environments"] if each["framework"] == framework]
        known = sorted({device.partition(":")[0] for each in entries for device in each.get("devices", ["cpu"])})
        for name, variant in variants.items():
            for i, kind in enumerate(variant.get("devices", [])):
                if known and kind not in known:
                    place = ("variants", framework, name, "devices", i)
                    hint = f'add devices: ["{kind}:0"] to an environment of {framework}, or leave the variant out'
                    yield place, f"no environment of {framework} has a device of the kind {kind!r}", hint


def _tolerances(data: dict[str, Any]) -> Iterator[Problem]:
    known = data.get("tolerances", {})
    for framework, variants in data["variants"].items():
        for name, variant in variants.items():
            for i, dtype in enumerate(variant["dtypes"]):
                if dtype not in known:
                    place = ("variants", framework, name, "dtypes", i)
                    hint = f"add tolerances: {{{dtype}: {{relative: ..., absolute: ..., source: ...}}}}"
                    yield place, f"no tolerance for {dtype}, so its differences could not be judged", hint


def _titles(data: dict[str, Any], path: Path) -> Iterator[Problem]:
    for name, workload in data["workloads"].items():
        published = workload.get("published")
        if not published:
            continue
        place = ("workloads", name, "published")
        try:
            found = json.loads((path.parent / published["data"]).read_text(encoding="utf-8"))
            titles = list(found["losses"])
        except FileNotFoundError:
            yield (*place, "data"), f"no such file: {published['data']}", f"the path is relative to {path.name}"
        except (OSError, ValueError, KeyError, TypeError) as error:
            yield (
                (*place, "data"),
                f"{published['data']} holds no published losses ({error})",
                "see docs/published/mazur.json",
            )
        else:
            for what, hint in tables.problems(found):
                yield (*place, "data"), f"{published['data']}: {what}", hint
            for title in published["columns"]:
                if title not in titles:
                    yield (
                        (*place, "columns", title),
                        f"the published table has no column {title!r}",
                        suggest(title, titles),
                    )
