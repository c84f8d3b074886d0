"""The types of matrix.yaml: frozen, parsed once, with no dict crossing the border."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

DEFAULT_SETTINGS = "default"


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """Framework + version + flavour + Python + base = one lock, one image."""

    framework: str
    version: str
    flavour: str
    python: str
    base: str
    requirements: tuple[str, ...]  # with {version} in them
    index: str | None
    devices: tuple[str, ...]
    variables: tuple[tuple[str, str], ...]
    suffix: str
    line: int
    file: str

    @property
    def where(self) -> str:
        """File and line, for messages."""
        return f"{self.file}:{self.line}"

    @property
    def name(self) -> str:
        """The one name: file name of the lock, image name, part of the cell id."""
        return f"{self.framework}-{self.version}-{self.flavour}{self.suffix}"

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """The training job as decimal text; weights are rows per unit (`W[out][in]`)."""

    name: str
    title: str
    steps: int
    input: tuple[str, ...]
    target: tuple[str, ...]
    hidden_weights: tuple[tuple[str, ...], ...]
    output_weights: tuple[tuple[str, ...], ...]
    hidden_bias: str
    output_bias: str
    learning_rate: str
    published: PublishedTable | None


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
    """A named part of the matrix: patterns over environment names, and the devices."""

    name: str
    environments: tuple[str, ...]
    exclude_environments: tuple[str, ...]
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
    variants: tuple[Variant, ...]
    settings: Mapping[str, Settings]
    include: tuple[Include, ...]
    exclude: tuple[Exclude, ...]
    profiles: Mapping[str, Profile]
    tolerances: Mapping[str, Tolerance]
    repeats: int
    limits: Limits
    noise_members: int

    def environment(self, name: str) -> Environment | None:
        """Return the environment of that name, or None."""
        return next((each for each in self.environments if each.name == name), None)
