"""A workload's folder -> a frozen `Workload`. All that is wrong with it is said at once, each with file and line."""

import json
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from math import prod
from pathlib import Path
from typing import Any

from repromatrix import resources
from repromatrix.errors import MatrixError
from repromatrix.matrix import command, graphs, modules
from repromatrix.matrix import published as tables
from repromatrix.matrix.check import failures, suggest
from repromatrix.matrix.document import Document, NodePath, parse
from repromatrix.matrix.model import (
    NOT_FINITE,
    Choices,
    Input,
    Nested,
    PublishedColumn,
    PublishedTable,
    Variant,
    Workload,
    chosen,
)
from repromatrix.matrix.passed import unless_passed
from repromatrix.matrix.text import read_text

FILE = "workload.yaml"
FORMAT = 1
BASE = "base"
_BY_NAME = ("numbers", "inputs", "factors")  # of a base: what has names is replaced name by name, all else as a whole
MAX_VALUES = 50_000_000  # elements of one input: they travel to the cell as text
Problem = tuple[NodePath, str, str]  # where, what, the next step


def load_workload(folder: Path, name: str) -> Workload:
    """Read and check a workload's folder; `name` is what it is called in the matrix.

    Raises:
        MatrixError: all that is wrong, each with file, line and what to do.
    """
    path = folder / FILE
    where = f"{name}/{FILE}"
    absent = f"a workload is a folder with {FILE} and a module per framework"
    document = parse(read_text(path, absent, where), where)
    base = _base(folder, document, where)
    if base is not None:
        document = _over(parse(read_text(base / FILE, "", f"{base.name}/{FILE}"), f"{base.name}/{FILE}"), document)
    misshapen = [error for _, error in failures(document, where, "workload")]
    found = _Reader(folder, name, document, base)
    if found.data.get("format", FORMAT) != FORMAT:
        raise misshapen[0]
    told = sorted((document.line(place), what, hint) for place, what, hint in _bearing(found.problems(), misshapen))
    wrong = [
        *misshapen,
        *(MatrixError(what, where=f"{where}:{line}", hint=hint) for line, what, hint in told),
        *(MatrixError(what, where=f"{name}/{file}:{line}", hint=hint) for file, line, what, hint in found.of_modules()),
    ]
    if wrong:
        raise together(name, wrong)
    return found.workload()


def _base(folder: Path, document: Document, where: str) -> Path | None:
    """Return the folder of the workload that a file changes, or None.

    Raises:
        MatrixError: there is none, it is one that changes another itself, or something is wrong with it.
    """
    told = document.data.get(BASE) if isinstance(document.data, dict) else None
    if not isinstance(told, str) or not told:
        return None
    base = (folder / told).resolve()
    at = f"{where}:{document.line((BASE,))}"
    if not (base / FILE).is_file():
        raise MatrixError(
            f"no workload in {told}", where=at, hint=f"base is a folder with {FILE}, relative to this one"
        )
    name = f"{base.name}/{FILE}"
    data = parse(read_text(base / FILE, "", name), name).data
    if isinstance(data, dict) and BASE in data:
        raise MatrixError(f"{told} has a base itself", where=at, hint="name that one")
    load_workload(base, base.name)
    return base


def _over(base: Document, own: Document) -> Document:
    """Return a workload with what another file says in its place; what only the base says stands where it is named."""
    at = own.line((BASE,))
    data = {key: told for key, told in base.data.items() if key != "published"}  # its figures are of its own numbers
    data |= {key: told for key, told in own.data.items() if key != BASE}
    for key in _BY_NAME:
        if isinstance(own.data.get(key), dict) and isinstance(base.data.get(key), dict):
            data[key] = base.data[key] | own.data[key]
    if isinstance(own.data.get("rows"), dict) and isinstance(base.data.get("rows"), dict):
        data["rows"] = _rows(base.data["rows"], own.data["rows"])
    return Document(data, dict.fromkeys(base.lines, at) | own.lines, base.written | own.written)


def _rows(base: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """Return the rows of a table with those of another file: a row's cases are added to its own."""
    found = dict(base)
    for name, row in own.items():
        known = base.get(name, {})
        if not (isinstance(row, dict) and isinstance(known, dict)):
            found[name] = row
            continue
        cases = known.get("cases", {}) | row.get("cases", {})
        found[name] = known | row | ({"cases": cases} if cases else {})
    return found


def table_named(name: str) -> Workload | None:
    """Return the product's own workload of that name if it is a table, which needs no place in a matrix; else None.

    Raises:
        MatrixError: its folder is not what a workload is.
    """
    folder = resources.folder("workloads")
    known = {path.parent.name for path in folder.glob(f"*/{FILE}")}
    found = load_workload(folder / name, name) if name in known else None
    return found if found and found.rows else None


def _bearing(problems: Iterator[Problem], misshapen: Sequence[MatrixError]) -> Iterator[Problem]:
    """Yield what else is wrong with a file, as far as its shape lets us see."""
    try:
        yield from problems
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError):
        if not misshapen:
            raise


def together(name: str, errors: Sequence[MatrixError]) -> MatrixError:
    """Return one error that says what several say."""
    if len(errors) == 1:
        return errors[0]
    lines = [f"  {each.where}: {each.what}" + (f"\n      {each.hint}" if each.hint else "") for each in errors]
    return MatrixError(
        "\n".join([f"the workload {name} has {len(errors)} mistakes", *lines]), hint="mend them: see docs/workloads.md"
    )


class _Reader:
    """Turns checked plain data into the frozen types, and says what a schema cannot."""

    def __init__(self, folder: Path, name: str, document: Document, base: Path | None = None) -> None:
        self.folder, self.name, self.data = folder, name, document.data if isinstance(document.data, dict) else {}
        folders = [] if command.KEY in self.data else [each for each in (base, folder) if each is not None]
        places = [path for each in folders for path in sorted(each.glob("*.py"))]
        self.files = {path.name: read_text(path, "", f"{path.parent.name}/{path.name}") for path in places}
        images = resources.folder("images")
        self.frameworks = tuple(sorted(path.parent.name for path in images.glob("*/entrypoint.py")))

    def workload(self) -> Workload:
        data = self.data
        return Workload(
            name=self.name,
            folder=self.folder,
            title=data.get("title", self.name),
            steps=data.get("steps", 0),
            batch=data.get("batch", 0),
            metrics=tuple(data.get("metrics", ())),
            outputs=tuple(data.get("outputs", ())),
            numbers=tuple(data.get("numbers", {}).items()),
            inputs=tuple(_input(name, entry) for name, entry in data.get("inputs", {}).items()),
            factors=tuple((name, _choices(entry)) for name, entry in data.get("factors", {}).items()),
            dtypes=_choices(self._dtypes()),
            written=tuple(
                _variant(framework, name, dtype, entry)
                for framework, entries in data.get("variants", {}).items()
                for name, entry in entries.items()
                for dtype in entry["dtypes"]
            ),
            files=tuple(self.files.items()),
            frameworks=self.frameworks,
            published=self._published(data["published"]) if "published" in data else None,
            rows=json.dumps(data["rows"], sort_keys=True, separators=(",", ":")) if "rows" in data else "",
            graph=graphs.read(data[graphs.KEY], self._parameters(), data.get("batch", 0))
            if graphs.KEY in data
            else None,
            command=command.read(data, self.folder, self.name) if command.KEY in data else None,
        )

    def of_modules(self) -> Iterator[modules.Problem]:
        """Yield what is wrong with the modules; a command has none."""
        if command.KEY not in self.data:
            given = self.files, self.frameworks, self.names()
            yield from unless_passed(lambda: modules.problems(*given), "modules", *given)

    def names(self) -> dict[str, list[str]]:
        """Return what the modules may ask for, by the part of the file in which it stands."""
        parts = {part: self.data.get(part) for part in ("inputs", "numbers", "factors")}
        found = {part: list(entries) if isinstance(entries, dict) else [] for part, entries in parts.items()}
        return found | {"batch": ["batch"] if "batch" in self.data else []}

    def _parameters(self) -> tuple[str, ...]:
        return tuple(name for name, entry in self.data["inputs"].items() if entry.get("parameter"))

    def _dtypes(self) -> Any:
        return self.data.get("dtypes", ["float32"] if command.KEY in self.data else ["float32", "float64"])

    def problems(self) -> Iterator[Problem]:
        yield from command.problems(self.data, self.folder, self.frameworks)
        if command.KEY in self.data:
            yield from self._places()
            yield from self._defaults()
            return
        yield from self._metrics()
        inputs = [each for name, entry in self.data["inputs"].items() for each in _input_problems(name, entry)]
        yield from inputs
        yield from self._places()
        yield from self._defaults()
        yield from self._variants()
        if graphs.KEY in self.data and not inputs:  # its shapes come from theirs
            yield from self._graph()
        if "published" in self.data:
            yield from self._published_problems(self.data["published"])

    def _metrics(self) -> Iterator[Problem]:
        for i, name in enumerate(self.data.get("outputs", ())):
            if name in self.data["metrics"]:
                yield ("outputs", i), f"{name!r} is among the metrics already", "leave it out here"

    def _places(self) -> Iterator[Problem]:
        """Yield the places of factors and dtypes that name no framework."""
        entries: dict[NodePath, Any] = {
            ("factors", name): entry for name, entry in self.data.get("factors", {}).items()
        }
        entries[("dtypes",)] = self.data.get("dtypes")
        for path, entry in entries.items():
            for place in entry if isinstance(entry, Mapping) else ():
                if place != "*" and place.partition("-")[0] not in self.frameworks:
                    yield (*path, place), f"no framework {place!r} in images/", suggest(place, self.frameworks)

    def _graph(self) -> Iterator[Problem]:
        shapes = {name: _input(name, entry).shape for name, entry in self.data["inputs"].items()}
        factors = {
            name: {value for _, values in _choices(entry) for value in values}
            for name, entry in self.data.get("factors", {}).items()
        }
        yield from graphs.problems(self.data, shapes, factors)

    def _defaults(self) -> Iterator[Problem]:
        """Yield the values of factors whose cells would be called as others are."""
        found = {"default": ""} | {f"default-{dtype}": "" for _, each in _choices(self._dtypes()) for dtype in each}
        for factor, entry in self.data.get("factors", {}).items():
            for value in dict.fromkeys(value for _, values in _choices(entry) for value in values):
                other = found.setdefault(name := f"{factor}-{value}", factor)
                if other != factor:
                    yield ("factors", factor), f"{factor}={value} and another cell are both called {name}", "rename one"

    def _variants(self) -> Iterator[Problem]:
        factors = {name: _choices(entry) for name, entry in self.data.get("factors", {}).items()}
        for framework, entries in self.data.get("variants", {}).items():
            if framework not in self.frameworks:
                yield (
                    ("variants", framework),
                    f"no framework {framework!r} in images/",
                    suggest(framework, self.frameworks),
                )
                continue
            names = [
                _variant(framework, name, dtype, entry).name
                for name, entry in entries.items()
                for dtype in entry["dtypes"]
            ]
            for name in sorted({each for each in names if names.count(each) > 1}):
                hint = "a dtype that is not a variant's first makes its name NAME-DTYPE; rename one"
                yield ("variants", framework), f"the variant {name} of {framework} stands here a second time", hint
            for name, entry in entries.items():
                yield from _option_problems(
                    ("variants", framework, name, "options"), entry["options"], framework, factors
                )

    def _published(self, entry: Mapping[str, Any]) -> PublishedTable:
        columns = tuple(
            PublishedColumn(
                title=title,
                framework=column["framework"],
                variant=column["variant"],
                predictions=column.get("predictions", column["variant"]),
            )
            for title, column in entry["columns"].items()
        )
        return PublishedTable(data=self.folder / entry["data"], columns=columns)

    def _published_problems(self, entry: Mapping[str, Any]) -> Iterator[Problem]:
        data, place = entry["data"], ("published", "data")
        try:
            found = tables.read(self.folder / data)
            titles = list(found["losses"])
        except FileNotFoundError:
            yield place, f"no such file: {data}", f"the path is relative to {FILE}"
            return
        except (OSError, ValueError, KeyError, TypeError) as error:
            yield place, f"{data} holds no published losses ({error})", "see workloads/mazur/published.json"
            return
        for what, hint in tables.problems(found):
            yield place, f"{data}: {what}", hint
        for title, column in entry["columns"].items():
            if title not in titles:
                yield ("published", "columns", title), f"the table has no column {title!r}", suggest(title, titles)
            known = self._names(column["framework"])
            for each in dict.fromkeys((column["variant"], column.get("predictions", column["variant"]))):
                if each not in known:
                    what = f"{column['framework']} has no variant {each!r}"
                    yield ("published", "columns", title), what, suggest(each, sorted(known))

    def _names(self, framework: str) -> set[str]:
        entries = self.data.get("variants", {}).get(framework, {})
        return {
            _variant(framework, name, dtype, entry).name for name, entry in entries.items() for dtype in entry["dtypes"]
        }


def _choices(entry: Any) -> Choices:
    entries = entry if isinstance(entry, Mapping) else {"*": entry}
    return tuple((place, tuple(values)) for place, values in entries.items())


def _input(name: str, entry: Mapping[str, Any]) -> Input:
    decimal = _nested(entry["decimal"]) if "decimal" in entry else None
    given = {key: entry[key] for key in ("dtype", "draw", "scale", "low", "high", "below", "parameter") if key in entry}
    shape = _shape(entry["decimal"]) if decimal is not None else tuple(entry["shape"])
    return Input(name=name, shape=shape or (), decimal=decimal, **given)


def _nested(entry: Any) -> Nested:
    return tuple(map(_nested, entry)) if isinstance(entry, list) else entry


def _fits(text: str, dtype: str) -> bool:
    """Whether a decimal text is a whole number of the dtype."""
    number, bits = Decimal(text), int(dtype.removeprefix("int")) - 1
    return number.is_finite() and number == number.to_integral_value() and -(2**bits) <= number < 2**bits


def _leaves(entry: Any) -> Iterator[str]:
    if isinstance(entry, list):
        for part in entry:
            yield from _leaves(part)
    else:
        yield entry


def _shape(entry: Any) -> tuple[int, ...] | None:
    """Return the shape of nested lists; None where rows differ in length."""
    if not isinstance(entry, list):
        return ()
    inner = {_shape(each) for each in entry}
    (one,) = inner if len(inner) == 1 else (None,)
    return None if one is None else (len(entry), *one)


# What says more of a tensor than how it is drawn.
_NEEDS = {
    "normal": {"shape", "scale"},
    "uniform": {"shape", "low", "high"},
    "integers": {"shape", "below"},
    "zeros": {"shape"},
    "patterns": {"shape"},
}
PATTERNS = [1 << 16]  # the shape of that draw


def _input_problems(name: str, entry: Mapping[str, Any]) -> Iterator[Problem]:
    place = ("inputs", name)
    if "decimal" in entry and _shape(entry["decimal"]) is None:
        yield (*place, "decimal"), f"the rows of {name!r} differ in length", "one value per column in each row"
    if prod(entry.get("shape", ())) > MAX_VALUES:
        yield (*place, "shape"), f"{prod(entry['shape']):,} values", f"an input holds at most {MAX_VALUES:,}"
    draw, whole = entry.get("draw"), entry.get("dtype", "").startswith("int")
    if draw == "integers" and ("below" not in entry or not whole):
        yield place, "integers need `below` and a dtype of their own", "for instance: below: 10, dtype: int32"
    if draw == "patterns" and (entry.get("shape") != PATTERNS or whole):
        yield place, f"patterns are {PATTERNS[0]} floating-point numbers", f"shape: {PATTERNS}, no dtype of integers"
    if draw in ("normal", "uniform") and whole:
        yield place, f"a {draw} draw is no {entry['dtype']}", "draw: integers, or leave dtype out"
    if entry.get("parameter") and set(_leaves(entry.get("decimal", ()))) & set(NOT_FINITE):
        yield place, "a parameter that is not finite has no neighbours to move it to", "leave `parameter` out"
    if "decimal" in entry and whole:
        wrong = [text for text in _leaves(entry["decimal"]) if not _fits(text, entry["dtype"])]
        yield from (((*place, "decimal"), f"{text} is no {entry['dtype']}", "or leave dtype out") for text in wrong)
    extra = sorted(set(entry) & {"shape", "scale", "low", "high", "below"} - _NEEDS.get(str(draw), set()))
    if extra and (draw in _NEEDS or "decimal" in entry):
        yield (*place, extra[0]), f"{extra[0]} means nothing for {draw or 'decimal'}", "leave it out"


def _option_problems(
    place: NodePath, options: Mapping[str, str], framework: str, factors: Mapping[str, Choices]
) -> Iterator[Problem]:
    for name, value in options.items():
        if name not in factors:
            yield (*place, name), f"no factor {name!r} in factors", suggest(name, sorted(factors))
        elif isinstance(value, str) and value not in (known := chosen(factors[name], framework)):
            yield (*place, name), f"{framework} has no {name}={value}", suggest(value, known)


def _variant(framework: str, name: str, dtype: str, entry: Mapping[str, Any]) -> Variant:
    return Variant(
        framework=framework,
        name=name if dtype == entry["dtypes"][0] else f"{name}-{dtype}",
        dtype=dtype,
        steps=entry.get("steps"),
        flavours=tuple(entry.get("flavours", ())),
        devices=tuple(entry.get("devices", ())),
        options=tuple(sorted(entry["options"].items())),
    )
