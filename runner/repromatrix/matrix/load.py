"""YAML file -> frozen `Matrix`. Checks shape by the schema, then what a schema cannot say."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from repromatrix import resources
from repromatrix.errors import MatrixError
from repromatrix.matrix.check import check, suggest
from repromatrix.matrix.document import Document, parse
from repromatrix.matrix.meaning import check_meaning
from repromatrix.matrix.model import (
    DEFAULT_SETTINGS,
    Environment,
    Exclude,
    Include,
    Limits,
    Matrix,
    Profile,
    Settings,
    Tolerance,
    Workload,
)
from repromatrix.matrix.text import read_text
from repromatrix.matrix.workload import FILE, load_workload

_SOURCE = "defaults of torch.testing.assert_close"
# What is called close where a matrix does not say it.
TOLERANCES = {
    "float64": Tolerance(relative=1.0e-7, absolute=1.0e-7, source=_SOURCE),
    "float32": Tolerance(relative=1.3e-6, absolute=1.0e-5, source=_SOURCE),
    "bfloat16": Tolerance(relative=1.6e-2, absolute=1.0e-5, source=_SOURCE),
    "float16": Tolerance(relative=1.0e-3, absolute=1.0e-5, source=_SOURCE),
}
LOCKS = "locks"  # folder beside a matrix of one's own
NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")


def load(path: Path) -> Matrix:
    """Read and check a matrix file.

    Raises:
        MatrixError: naming file, line, what was expected and a suggestion.
    """
    absent = "to write one: repromatrix init; the one that comes with repromatrix: --matrix builtin"
    text = read_text(path, absent, links=True)
    document = parse(text, path.name)
    check(document, path.name)
    check_meaning(document, path)
    return _Reader(path, document).matrix()


class _Reader:
    """Turns checked plain data into the frozen types; one method per kind of entry."""

    def __init__(self, path: Path, document: Document) -> None:
        self.path = path
        self.document = document
        self.data: dict[str, Any] = document.data
        self.defaults: dict[str, Any] = self.data.get("defaults", {})
        self.locks = None if path.resolve() == resources.matrix().resolve() else path.absolute().parent / LOCKS

    def matrix(self) -> Matrix:
        settings = {name: _settings(name, entry) for name, entry in self.data.get("settings", {}).items()}
        settings.setdefault(DEFAULT_SETTINGS, Settings())
        environments, workloads = self._environments(), self._workloads()
        return Matrix(
            path=self.path,
            environments=tuple(_with_packages(each, workloads) for each in environments),
            workloads=workloads,
            settings=MappingProxyType(settings),
            include=tuple(self._includes(settings)),
            exclude=tuple(
                Exclude(**entry, line=self._line("exclude", i)) for i, entry in enumerate(self.data.get("exclude", []))
            ),
            profiles=MappingProxyType(
                {name: self._profile(name, entry) for name, entry in self.data["profiles"].items()}
            ),
            tolerances=MappingProxyType(
                TOLERANCES | {k: Tolerance(**v) for k, v in self.data.get("tolerances", {}).items()}
            ),
            repeats=self.defaults.get("repeats", 2),
            limits=Limits(**self.defaults.get("limits", {})),
            noise_members=self.data.get("noise", {}).get("members", 0),
        )

    def _line(self, *path: str | int) -> int:
        return self.document.line(path)

    def _fail(self, what: str, *path: str | int, hint: str = "") -> MatrixError:
        return MatrixError(what, where=f"{self.path.name}:{self._line(*path)}", hint=hint)

    def _default_python(self) -> str:
        return str(self.defaults.get("python", "3.11"))

    def _environments(self) -> tuple[Environment, ...]:
        found: dict[str, Environment] = {}
        for i, entry in enumerate(self.data["environments"]):
            for j, version in enumerate(entry["versions"]):
                each = self._environment(entry, version, self._line("environments", i, "versions", j))
                if each.name in found:
                    raise self._fail(
                        f"the environment {each.name} stands here a second time",
                        "environments", i, "versions", j,
                        hint=f"first in line {found[each.name].line}",
                    )  # fmt: skip
                found[each.name] = each
        return tuple(found.values())

    def _environment(self, entry: Mapping[str, Any], version: str, line: int) -> Environment:
        python = entry.get("python", self._default_python())
        suffix = "" if python == self._default_python() else f"-py{python}"
        return Environment(
            framework=entry["framework"],
            version=version,
            flavour=entry["flavour"],
            python=python,
            base=entry.get("base", self.defaults.get("base", "bookworm")),
            requirements=tuple(entry["packages"]),
            index=entry.get("index"),
            devices=tuple(entry.get("devices", ["cpu"])),
            variables=_pairs(entry.get("variables", {})),
            suffix=suffix,
            line=line,
            file=self.path.name,
            locks=self.locks,
        )

    def _workloads(self) -> tuple[Workload, ...]:
        found: dict[str, Workload] = {}
        for i, entry in enumerate(self.data["workloads"]):
            folder = self._folder(entry, i)
            if folder.name in found:
                raise self._fail(
                    f"the workload {folder.name} stands here a second time",
                    "workloads", i,
                    hint="workloads are called by the name of their folder; rename one",
                )  # fmt: skip
            found[folder.name] = load_workload(folder, folder.name)
        return tuple(found.values())

    def _folder(self, entry: str, place: int) -> Path:
        """Return the folder of a workload: one of the product's own by its name, any other by its path from here."""
        own = resources.folder("workloads")
        folder = (self.path.parent / entry).resolve() if "/" in entry else own / entry
        known = sorted(path.parent.name for path in own.glob(f"*/{FILE}"))
        if "/" not in entry and entry not in known:
            raise self._fail(
                f"no workload {entry!r} in {own.name}/",
                "workloads", place,
                hint=f"{suggest(entry, known)}; a folder of your own is written with a slash: ./{entry}",
            )  # fmt: skip
        if not NAME.fullmatch(folder.name):
            raise self._fail(
                f"the folder {folder.name!r} cannot name a workload",
                "workloads", place,
                hint="lower-case letters, digits, dot, underscore and dash",
            )  # fmt: skip
        return folder

    def _includes(self, settings: Mapping[str, Settings]) -> list[Include]:
        result = []
        for i, entry in enumerate(self.data.get("include", [])):
            if entry["settings"] not in settings:
                raise self._fail(
                    f"no settings named {entry['settings']!r}",
                    "include", i, "settings",
                    hint=suggest(entry["settings"], sorted(settings)),
                )  # fmt: skip
            result.append(Include(**entry, line=self._line("include", i)))
        return result

    def _profile(self, name: str, entry: Mapping[str, Any]) -> Profile:
        return Profile(
            name=name,
            environments=tuple(entry["environments"]),
            exclude_environments=tuple(entry.get("exclude_environments", ())),
            workloads=tuple(entry.get("workloads", ())),
            devices=tuple(entry.get("devices", ())),
            line=self._line("profiles", name),
        )


def _with_packages(environment: Environment, workloads: Sequence[Workload]) -> Environment:
    """Return an environment with what the commands that run in it need beside the framework."""
    commands = [each.command for each in workloads if each.command and environment.framework in each.command.frameworks]
    packages = dict.fromkeys(package for command in commands for package in command.packages)
    more = tuple(each for each in packages if each not in environment.requirements)
    return replace(environment, requirements=(*environment.requirements, *more)) if more else environment


def _settings(name: str, entry: Mapping[str, Any]) -> Settings:
    return Settings(
        name=name,
        threads=entry.get("threads"),
        isa=entry.get("isa"),
        variables=_pairs(entry.get("variables", {})),
        cells=tuple(entry.get("cells", ())),
    )


def _pairs(mapping: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted(mapping.items()))
