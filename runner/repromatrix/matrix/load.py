"""YAML file -> frozen `Matrix`. Checks shape by the schema, then what a schema cannot say."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from repromatrix.errors import MatrixError
from repromatrix.matrix.check import check, suggest
from repromatrix.matrix.document import MAX_BYTES, Document, parse, too_large
from repromatrix.matrix.meaning import check_meaning
from repromatrix.matrix.model import (
    DEFAULT_SETTINGS,
    Environment,
    Exclude,
    Include,
    Limits,
    Matrix,
    Profile,
    PublishedColumn,
    PublishedTable,
    Settings,
    Tolerance,
    Variant,
    Workload,
)


def load(path: Path) -> Matrix:
    """Read and check a matrix file.

    Raises:
        MatrixError: naming file, line, what was expected and a suggestion.
    """
    try:
        with path.open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
    except FileNotFoundError as error:
        raise MatrixError(
            "no such file", where=str(path), hint="run in the project's folder, or give --matrix FILE"
        ) from error
    except OSError as error:
        raise MatrixError(
            f"cannot be read: {error.strerror}", where=str(path), hint="it must be a text file"
        ) from error
    if len(data) > MAX_BYTES:
        raise too_large(path.name)
    document = parse(_text(data, path.name), path.name)
    check(document, path.name)
    check_meaning(document, path)
    return _Reader(path, document).matrix()


def _text(data: bytes, name: str) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise MatrixError("not UTF-8 text", where=f"{name}:{line}", hint="save the file as UTF-8") from error


class _Reader:
    """Turns checked plain data into the frozen types; one method per kind of entry."""

    def __init__(self, path: Path, document: Document) -> None:
        self.path = path
        self.document = document
        self.data: dict[str, Any] = document.data
        self.defaults: dict[str, Any] = self.data.get("defaults", {})

    def matrix(self) -> Matrix:
        settings = {name: _settings(name, entry) for name, entry in self.data.get("settings", {}).items()}
        settings.setdefault(DEFAULT_SETTINGS, Settings())
        environments = self._environments()
        variants = self._variants({each.framework for each in environments})
        return Matrix(
            path=self.path,
            environments=environments,
            workloads=tuple(self._workload(name, entry, variants) for name, entry in self.data["workloads"].items()),
            variants=variants,
            settings=MappingProxyType(settings),
            include=tuple(self._includes(settings)),
            exclude=tuple(
                Exclude(**entry, line=self._line("exclude", i)) for i, entry in enumerate(self.data.get("exclude", []))
            ),
            profiles=MappingProxyType(
                {name: self._profile(name, entry) for name, entry in self.data["profiles"].items()}
            ),
            tolerances=MappingProxyType({k: Tolerance(**v) for k, v in self.data.get("tolerances", {}).items()}),
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
        )

    def _variants(self, frameworks: set[str]) -> tuple[Variant, ...]:
        found: dict[tuple[str, str], Variant] = {}
        for framework, entries in self.data["variants"].items():
            if framework not in frameworks:
                raise self._fail(
                    f"variants of {framework!r}, but no environment has that framework",
                    "variants", framework,
                    hint=suggest(framework, sorted(frameworks)),
                )  # fmt: skip
            for name, entry in entries.items():
                for dtype in entry["dtypes"]:
                    each = _variant(framework, name, dtype, entry)
                    if (framework, each.name) in found:
                        raise self._fail(
                            f"the variant {each.name} of {framework} stands here a second time",
                            "variants", framework, name,
                            hint=f"a dtype that is not a variant's first makes its name {name}-DTYPE; rename one",
                        )  # fmt: skip
                    found[framework, each.name] = each
        return tuple(found.values())

    def _workload(self, name: str, entry: Mapping[str, Any], variants: tuple[Variant, ...]) -> Workload:
        hidden, output = entry["hidden_weights"], entry["output_weights"]
        self._check_shape(name, "hidden_weights", hidden, len(entry["input"]))
        self._check_shape(name, "output_weights", output, len(hidden))
        if len(output) != len(entry["target"]):
            raise self._fail(
                f"output_weights has {len(output)} rows, target has {len(entry['target'])} values",
                "workloads", name, "output_weights",
                hint="one row per output",
            )  # fmt: skip
        published = entry.get("published")
        return Workload(
            name=name,
            title=entry.get("title", name),
            steps=entry["steps"],
            input=tuple(entry["input"]),
            target=tuple(entry["target"]),
            hidden_weights=tuple(map(tuple, hidden)),
            output_weights=tuple(map(tuple, output)),
            hidden_bias=entry["hidden_bias"],
            output_bias=entry["output_bias"],
            learning_rate=entry["learning_rate"],
            published=self._published(name, published, variants) if published else None,
        )

    def _check_shape(self, workload: str, key: str, rows: list[list[str]], width: int) -> None:
        for i, row in enumerate(rows):
            if len(row) != width:
                raise self._fail(
                    f"row {i} of {key} has {len(row)} values, {width} are needed",
                    "workloads", workload, key, i,
                    hint="one value per input of the layer",
                )  # fmt: skip

    def _published(self, workload: str, entry: Mapping[str, Any], variants: tuple[Variant, ...]) -> PublishedTable:
        data = self.path.parent / entry["data"]
        at = ("workloads", workload, "published")
        known = {(each.framework, each.name) for each in variants}
        columns = []
        for title, column in entry["columns"].items():
            framework, variant = column["framework"], column["variant"]
            predictions = column.get("predictions", variant)
            for each in (variant, predictions):
                if (framework, each) not in known:
                    names = [name for owner, name in known if owner == framework]
                    raise self._fail(
                        f"{framework} has no variant {each!r}",
                        *at, "columns", title,
                        hint=suggest(each, sorted(names)),
                    )  # fmt: skip
            columns.append(PublishedColumn(title=title, framework=framework, variant=variant, predictions=predictions))
        return PublishedTable(data=data, columns=tuple(columns))

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
            devices=tuple(entry.get("devices", ())),
            line=self._line("profiles", name),
        )


def _variant(framework: str, name: str, dtype: str, entry: Mapping[str, Any]) -> Variant:
    suffix = "" if dtype == entry["dtypes"][0] else f"-{dtype}"
    return Variant(
        framework=framework,
        name=name + suffix,
        dtype=dtype,
        steps=entry.get("steps"),
        flavours=tuple(entry.get("flavours", ())),
        devices=tuple(entry.get("devices", ())),
        options=_pairs(entry["options"]),
    )


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
