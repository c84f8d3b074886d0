"""The types of matrix.yaml: frozen, parsed once, with no dict crossing the border."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeAlias

from repromatrix import resources
from repromatrix.errors import MatrixError
from repromatrix.graph import Graph

DEFAULT_SETTINGS = "default"
SEEDS = 1000  # a cell's members above it have other seeds; those below are the one-ULP ensemble
DRAW = 1  # version of the generator of inputs (draw.py): part of a cell's key


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one process of an environment may use.

    Attributes:
        seconds: longest silence between two finished cells, the framework's import included.
        memory_mib: memory in MiB.
        processes: processes and threads together.
        cpus: how many it sees; settings with more threads get as many as those.
    """

    seconds: int = 300
    memory_mib: int = 6144
    processes: int = 512
    cpus: int = 1


AT_HAND = "here"  # the base of an environment that is found and not made


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """Framework + version + flavour + Python + base = one lock, one image.

    Attributes:
        requirements: with `{version}` in them.
        locks: the folder beside the matrix in which locks are written; None: it is the product's matrix.
    """

    framework: str
    version: str
    flavour: str
    python: str
    base: str
    requirements: tuple[str, ...]
    index: str | None
    devices: tuple[str, ...]
    variables: tuple[tuple[str, str], ...]
    suffix: str
    line: int
    file: str
    locks: Path | None = field(default=None, compare=False)

    @property
    def where(self) -> str:
        """File and line, for messages."""
        return f"{self.file}:{self.line}"

    @property
    def name(self) -> str:
        """The one name: file name of the lock, image name, part of the cell id."""
        return f"{self.framework}-{self.version}-{self.flavour}{self.suffix}"

    @property
    def at_hand(self) -> bool:
        """Whether it is a Python that is there already: it has no lock, and nobody can make it again."""
        return self.base == AT_HAND

    @property
    def packages(self) -> tuple[str, ...]:
        """What is asked of the resolver."""
        return tuple(each.replace("{version}", self.version) for each in self.requirements)


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedColumn:
    """One column of a published table: the variant that is its losses and the one that is its final prediction."""

    title: str
    framework: str
    variant: str
    predictions: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedTable:
    """A hand-made table to hold the results against: its data file and which variant each column is."""

    data: Path
    columns: tuple[PublishedColumn, ...]


NOT_FINITE = ("nan", "inf", "-inf")  # what may stand in place of a decimal number

# Decimal text in nested sequences.
Nested: TypeAlias = "str | tuple[Nested, ...]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Input:
    """A tensor that a workload is given; the runner makes it, and no framework's generator does.

    Attributes:
        dtype: its own, for instance of labels; None: the cell's.
        decimal: its numbers as decimal text in nested tuples, or None.
        draw: how it is drawn where it is not written out: `normal`, `uniform`, `integers` or `zeros`.
        scale: of a normal draw, its standard deviation, as decimal text.
        low: of a uniform draw, as decimal text; `high` likewise.
        below: of integers, the first that is not drawn.
        parameter: whether the job trains it: the noise floor is measured by moving it.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str | None = None
    decimal: "Nested | None" = None
    draw: str | None = None
    scale: str = "1"
    low: str = "0"
    high: str = "1"
    below: int = 0
    parameter: bool = False


# The values of a factor by where they hold: FRAMEWORK-FLAVOUR, FRAMEWORK, or `*`; the default first.
Choices: TypeAlias = tuple[tuple[str, tuple[str, ...]], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """One way to write a workload in a framework: a named bundle of options, in one dtype.

    Attributes:
        steps: instead of the workload's, or None.
        flavours: of the environments that have it; empty: all.
        devices: kinds of device that it runs on (`cuda` is `cuda:0` and its like); empty: all.
    """

    framework: str
    name: str
    dtype: str
    steps: int | None
    flavours: tuple[str, ...]
    devices: tuple[str, ...]
    options: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A program that is run as it is, and where its numbers are read.

    Attributes:
        words: what is run, with `{FACTOR}`, `{dtype}` and `{DATA}` in them; `python` is that of the environment.
        frameworks: in whose environments it runs.
        packages: what it needs beside a framework, as requirements.
        files: path below the folder that it runs in -> text.
        data: name -> what is mounted there, read-only.
        network: whether it is let onto the network.
        source: `stdout`, `stderr`, or the file that it writes.
        pattern: a regular expression whose named groups are the values; None: what the file or the lines show.
    """

    words: tuple[str, ...]
    frameworks: tuple[str, ...]
    packages: tuple[str, ...] = ()
    files: tuple[tuple[str, str], ...] = ()
    data: tuple[tuple[str, Path], ...] = ()
    network: bool = False
    source: str = "stdout"
    pattern: str | None = None

    @property
    def digests(self) -> dict[str, str]:
        """The SHA-256 of what is mounted, by name.

        Raises:
            MatrixError: it cannot be read.
        """
        return {name: _content(name, path) for name, path in self.data}


def _content(name: str, path: Path) -> str:
    try:
        return resources.content_sha256(path)
    except OSError as error:
        raise MatrixError(
            f"the data {name!r} cannot be read: {error}", where=str(path), hint="mend `data` of workload.yaml"
        ) from error


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """A training job: a folder with `workload.yaml` and a module per framework, or a command.

    Attributes:
        folder: where its modules lie; in messages only.
        batch: rows of one batch; 0: it has none.
        metrics: names of the numbers that a step records and that a cell is judged by; the first is its loss.
        outputs: names of further values that are always recorded, and never judged.
        numbers: name -> decimal text.
        rows: the rows of a table that the modules read, as canonical JSON; empty: none.
        factors: name -> its values.
        dtypes: in which it runs where no variant says it.
        written: the variants that the file lists, by framework; where a framework has none they follow from the
            factors: the defaults, and each other value alone.
        files: name -> source text of each module.
        frameworks: those after which modules are named.
        graph: its step in the names of operations, None where the file has none.
        command: what is run in place of modules, None where there are modules. Its steps are 0 where the file does not
            say how many numbers are due, its metrics empty where they are those that the output shows.
    """

    name: str
    folder: Path
    title: str
    steps: int
    batch: int
    metrics: tuple[str, ...]
    outputs: tuple[str, ...]
    numbers: tuple[tuple[str, str], ...]
    inputs: tuple[Input, ...]
    factors: tuple[tuple[str, Choices], ...]
    dtypes: Choices
    written: tuple[Variant, ...]
    files: tuple[tuple[str, str], ...]
    frameworks: tuple[str, ...]
    published: PublishedTable | None
    rows: str = ""
    graph: Graph | None = None
    command: Command | None = None

    def runs_in(self, framework: str) -> bool:
        """Whether there is a module for a framework, or a command that runs in its environments."""
        return framework in self.command.frameworks if self.command else f"{framework}.py" in dict(self.files)

    def options(self, framework: str, flavour: str | None = None) -> dict[str, tuple[str, ...]]:
        """Return factor -> its values in a framework, the default first; of all its flavours where none is named."""
        found = {name: chosen(choices, framework, flavour) for name, choices in self.factors}
        return {name: values for name, values in found.items() if values}

    def variants(self, framework: str, flavour: str) -> tuple[Variant, ...]:
        """Return the ways to write it in an environment: those of the file, or the defaults and each other value alone.

        None where the workload does not run in the framework.
        """
        if not self.runs_in(framework):
            return ()
        written = [each for each in self.written if each.framework == framework]
        if written:
            return tuple(each for each in written if not each.flavours or flavour in each.flavours)
        first, *others = chosen(self.dtypes, framework, flavour)
        options = self.options(framework, flavour)
        defaults = {name: values[0] for name, values in options.items()}
        alone = [(f"{name}-{value}", {name: value}) for name, values in options.items() for value in values[1:]]
        named = [("default", first, {}), *((name, first, change) for name, change in alone)]
        named += [(f"default-{dtype}", dtype, {}) for dtype in others]
        return tuple(
            Variant(
                framework=framework,
                name=name,
                dtype=dtype,
                steps=None,
                flavours=(),
                devices=(),
                options=tuple(sorted((defaults | change).items())),
            )
            for name, dtype, change in named
        )

    def modules(self, framework: str) -> dict[str, str]:
        """Return the files that travel to a framework: all but those that are named after another one."""
        others = {each for each in self.frameworks if each != framework}
        return {name: text for name, text in self.files if re.split(r"[_.]", name, maxsplit=1)[0] not in others}

    def code(self, framework: str) -> str:
        """Return the SHA-256 over the modules of a framework, or the files of a command: its `code` digest."""
        if self.command:
            content = [self.command.files, self.command.source, self.command.pattern, self.command.network]
            return sha256(json.dumps(content).encode()).hexdigest()
        return sha256(json.dumps(self.modules(framework), sort_keys=True).encode()).hexdigest()

    @property
    def task(self) -> str:
        """SHA-256 over what decides whether two cells do the same task: steps, metrics, inputs and numbers.

        Of a command: its words and its data.
        """
        inputs = {each.name: [getattr(each, field.name) for field in fields(Input)] for each in self.inputs}
        content: list[Any] = [self.steps, self.batch, self.metrics, self.outputs, dict(self.numbers), inputs]
        content += [self.rows] if self.rows else []
        content += [self.command.words, self.command.digests] if self.command else []
        return sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def chosen(choices: Choices, framework: str, flavour: str | None = None) -> tuple[str, ...]:
    """Return the values of a factor in a framework; without a flavour those of all its flavours together."""
    by_place = dict(choices)
    if flavour is None:
        places = [place for place in by_place if place == framework or place.startswith(f"{framework}-")] or ["*"]
        return tuple(dict.fromkeys(value for place in places for value in by_place.get(place, ())))
    return next((by_place[place] for place in (f"{framework}-{flavour}", framework, "*") if place in by_place), ())


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Process-wide settings: threads, a cap on the instruction set, environment variables.

    Attributes:
        cells: patterns as of `--select`; only on these cells does `explain` try the settings. Empty: on all.
    """

    name: str = DEFAULT_SETTINGS
    threads: int | None = None
    isa: str | None = None
    variables: tuple[tuple[str, str], ...] = ()
    cells: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Include:
    """Cells that are wanted in other settings as well, and why."""

    cells: str
    settings: str
    reason: str
    line: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Exclude:
    """Cells that are left out, and why."""

    cells: str
    reason: str
    line: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """A named part of the matrix: patterns over the names of environments and of workloads, and the devices.

    Attributes:
        workloads: empty: all.
        devices: empty: all.
    """

    name: str
    environments: tuple[str, ...]
    exclude_environments: tuple[str, ...]
    workloads: tuple[str, ...] = ()
    devices: tuple[str, ...]
    line: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Tolerance:
    """What counts as close in a dtype, and who says so."""

    relative: float
    absolute: float
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Matrix:
    """The whole file."""

    path: Path
    environments: tuple[Environment, ...]
    workloads: tuple[Workload, ...]
    settings: Mapping[str, Settings]
    include: tuple[Include, ...]
    exclude: tuple[Exclude, ...]
    profiles: Mapping[str, Profile]
    tolerances: Mapping[str, Tolerance]
    repeats: int
    limits: Limits
    noise_members: int

    @property
    def stated(self) -> tuple[tuple[str, float, float, str], ...]:
        """The tolerances as a manifest has them: dtype, relative, absolute, source."""
        return tuple((dtype, each.relative, each.absolute, each.source) for dtype, each in self.tolerances.items())

    def environment(self, name: str) -> Environment | None:
        """Return the environment of that name, or None."""
        return next((each for each in self.environments if each.name == name), None)
