"""The answer of `impact` as frozen values, and its JSON document. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Protocol, TypeVar

NOT_DETERMINISTIC = "not deterministic"  # a verdict: runs of one side differ, so nothing is known of the pair
_VENDORS = {"AuthenticAMD": "AMD", "GenuineIntel": "Intel"}


class Level(IntEnum):
    """How much a change matters, from the least to the most; the deciding word of an answer is its largest."""

    SAME = 0
    ROUNDING = 1
    DIFFERS = 2
    WRONG = 3

    @property
    def words(self) -> str:
        """Return the verdict as it is printed."""
        return (
            "no difference seen",
            "numbers move at rounding level",
            "results differ, look at these",
            "something is wrong or fails",
        )[self]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingRow:
    """A training job in both environments.

    Attributes:
        a: id of its cell before.
        b: id of its cell after.
        variant: with its settings, where they are not the default ones.
        verdict: that of `compare` over its metrics, or one of our own words: `state differs`, `outputs differ`,
            `not deterministic`, `fails`, `absent` (neither environment has it).
        first_step: the first step at which anything that was recorded or traced differs; None: nothing does.
        first_value: the name of that value.
        max_ulp: the largest distance of the metric that differs the most.
        growth: the largest difference as a multiple of the noise floor at its step; None: no floor was measured.
        notes: what else there is to know, as sentences.
    """

    a: str
    b: str
    workload: str
    variant: str
    verdict: str
    level: Level
    first_step: int | None = None
    first_value: str | None = None
    max_ulp: int | None = None
    growth: float | None = None
    notes: tuple[str, ...] = ()

    @property
    def weight(self) -> tuple[float, ...]:
        """By how much it changed, to sort by."""
        return self.level, self.growth or 0, self.max_ulp or 0

    def document(self) -> dict[str, Any]:
        """Return it as plain data."""
        names = ("workload", "variant", "verdict", "first_step", "first_value", "max_ulp", "growth")
        return {name: getattr(self, name) for name in names}


@dataclass(frozen=True, slots=True, kw_only=True)
class OperationRow:
    """A result of an operation in both environments.

    Attributes:
        operation: its name.
        case: which one; empty: the plain one.
        mode: `eager`, or how it was compiled.
        gradient: whether it is the operation's derivative.
        verdict: `identical`, `rounding`, `differs`, `dtype changed`, `shape changed`, `wrong`, `absent`, `fails`.
        changed: how many elements differ.
        size: how many there are.
        max_ulp: the largest distance; None: it cannot be told in ULP.
        scaled: the largest difference over the largest value.
        error_a: the largest error before against the exact result, in ULP; None: no exact result is known.
        error_b: after.
        scaled_error_a: the largest error before over the largest exact value.
        scaled_error_b: after.
        better: which side is nearer to the exact result: `a`, `b`, `same`, or `unknown`.
        dtype_a: of the result before; None: it has none.
        dtype_b: after.
        note: why it is absent or fails; empty: nothing to say.
    """

    operation: str
    case: str
    dtype: str
    mode: str
    gradient: bool
    verdict: str
    level: Level
    changed: int = 0
    size: int = 0
    max_ulp: int | None = None
    scaled: float | None = None
    error_a: float | None = None
    error_b: float | None = None
    scaled_error_a: float | None = None
    scaled_error_b: float | None = None
    better: str = "unknown"
    dtype_a: str | None = None
    dtype_b: str | None = None
    note: str = ""

    @property
    def weight(self) -> tuple[float, ...]:
        """By how much it changed, to sort by."""
        return self.level, self.scaled or 0, self.max_ulp or 0

    def document(self) -> dict[str, Any]:
        """Return it as plain data."""
        names = (
            "operation", "case", "dtype", "mode", "gradient", "verdict", "changed", "size", "max_ulp", "scaled",
            "error_a", "error_b", "scaled_error_a", "scaled_error_b", "better", "dtype_a", "dtype_b",
        )  # fmt: skip
        return {name: getattr(self, name) for name in names}


class _Row(Protocol):
    @property
    def level(self) -> Level: ...
    @property
    def weight(self) -> tuple[float, ...]: ...


_RowT = TypeVar("_RowT", bound=_Row)


@dataclass(frozen=True, slots=True, kw_only=True)
class Companion:
    """Something beside the version that is not the same on both sides; None: that side does not have it.

    Attributes:
        kind: `package`, `kernel` (what a library says that it took), or `python`, `libc`, `base`, `flavour`.
        computes: whether it can reach a number; a tool among the packages cannot.
    """

    name: str
    kind: str
    a: str | None
    b: str | None
    computes: bool = True

    def document(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {"name": self.name, "kind": self.kind, "a": self.a, "b": self.b}


@dataclass(frozen=True, slots=True, kw_only=True)
class Blame:
    """Which package made what changed: tried in the environment of after, with other packages held as before.

    Attributes:
        held: what was held, like numpy==1.26.4.
        unresolved: why that cannot be made; empty: it could, and the rest is what came of it.
        framework: what changed there all the same: made by the framework itself.
        companions: what is there as before: made by what was held.
        both: what is neither: it takes both.
        untested: what does not run there.
    """

    held: tuple[str, ...]
    unresolved: str = ""
    framework: tuple[str, ...] = ()
    companions: tuple[str, ...] = ()
    both: tuple[str, ...] = ()
    untested: tuple[str, ...] = ()

    def document(self) -> dict[str, Any]:
        """Return it as plain data."""
        names = ("held", "framework", "companions", "both", "untested")
        lists = {name: list(getattr(self, name)) for name in names}
        return lists | {"unresolved": self.unresolved or None}


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """What changed, once more in other settings on both sides.

    Attributes:
        settings: their name.
        gone: what has the same bits there.
        stays: what still differs.
        same_change: what has, before the upgrade and under the settings, the bits of after, or the reverse.
        untested: what cannot run there.
    """

    settings: str
    gone: tuple[str, ...]
    stays: tuple[str, ...]
    same_change: tuple[str, ...]
    untested: tuple[str, ...]

    def document(self) -> dict[str, Any]:
        """Return it as plain data."""
        names = ("gone", "stays", "same_change", "untested")
        return {"settings": self.settings} | {name: list(getattr(self, name)) for name in names}


@dataclass(frozen=True, slots=True, kw_only=True)
class Impact:
    """What changes from one environment to another, and what was looked at.

    Attributes:
        before: the environment's name.
        after: the other's.
        cpu_class: the host's instruction-set level; all records are of one.
        cpu_vendor: who made its processor, as it says itself; empty: it does not.
        own: the workloads that are not the product's.
        without: training jobs that were left out: large ones in further dtypes and compilations.
        blames: which package made it: all that moved along held together and, where that is not the framework alone,
            each by itself; empty: nothing that computes moved along.
        conditions: what changed, in other settings; empty: it was not asked for.
    """

    before: str
    after: str
    cpu_class: str
    cpu_vendor: str
    own: tuple[str, ...]
    training: tuple[TrainingRow, ...]
    without: int = 0
    operations: tuple[OperationRow, ...] = ()
    companions: tuple[Companion, ...] = ()
    blames: tuple[Blame, ...] = ()
    conditions: tuple[Condition, ...] = ()

    @property
    def level(self) -> Level:
        """The largest level of all that was looked at."""
        levels = [*(each.level for each in self.training), *(each.level for each in self.operations)]
        return max(levels, default=Level.SAME)

    @property
    def jobs(self) -> tuple[TrainingRow, ...]:
        """The training jobs that at least one of the environments has."""
        return tuple(each for each in self.training if each.verdict != "absent")

    @property
    def names(self) -> tuple[str, ...]:
        """The operations that at least one of the environments has, each once."""
        return names_of(each for each in self.operations if each.dtype_a or each.dtype_b or each.verdict == "fails")

    @property
    def unknown(self) -> tuple[str, ...]:
        """The operations that are not called changed, and of which a result is not deterministic."""
        moved = {*names_of(changed(self.operations))}
        shaky = names_of(each for each in self.operations if each.verdict == NOT_DETERMINISTIC)
        return tuple(name for name in shaky if name not in moved)

    @property
    def looked_at(self) -> str:
        """What was compared, in words."""
        workloads = len({each.workload for each in self.jobs})
        jobs = f"{_count(len(self.jobs), 'training job')} of {_count(workloads, 'workload')}"
        operations = _count(len(self.names), "operation") if self.names else "no operations"
        if self.unknown:
            operations += f" ({len(self.unknown)} not deterministic, of which nothing is known)"
        vendor = f" ({_VENDORS.get(self.cpu_vendor, self.cpu_vendor)})" if self.cpu_vendor else ""
        less = f" (without {self.without} of the larger ones: --full runs them)" if self.without else ""
        return f"{jobs}{less}, {operations}, CPU class {self.cpu_class}{vendor}"

    @property
    def own_words(self) -> str:
        """Whether anything of the user's own was among it, in words."""
        if self.own:
            return f"your own {', '.join(self.own)} among them"
        return "your own workload was not among them: add it to matrix.yaml under workloads"

    @property
    def decision(self) -> str:
        """The one line that decides."""
        sides = f"{self.before} -> {self.after}"
        if self.level is Level.SAME:
            return f"{self.level.words} in {self.looked_at} ({sides}); {self.own_words}"
        return f"{self.level.words}: {self._counts}, {sides}; looked at {self.looked_at}; {self.own_words}"

    @property
    def _counts(self) -> str:
        jobs = changed(self.training)
        counts = [f"{len(jobs)} of {_count(len(self.jobs), 'training job')}"] if self.jobs else []
        if self.names:
            operations = names_of(changed(self.operations))
            counts.append(f"{len(operations)} of {_count(len(self.names), 'operation')}")
        return ", ".join(counts)

    def document(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {
            "verdict": self.level.words,
            "looked_at": {
                "text": f"{self.looked_at}; {self.own_words}",
                "before": self.before,
                "after": self.after,
                "training_jobs": len(self.jobs),
                "left_out": self.without,
                "workloads": sorted({each.workload for each in self.jobs}),
                "own_workloads": list(self.own),
                "operations": len(self.names),
                "cpu_class": self.cpu_class,
                "cpu_vendor": self.cpu_vendor,
                "settings": [each.document() for each in self.conditions],
            },
            "operations": [each.document() for each in self.operations],
            "training": [each.document() for each in self.training],
            "companions": [each.document() for each in self.companions],
            "made_by": [each.document() for each in self.blames],
        }


def changed(rows: Iterable[_RowT]) -> list[_RowT]:
    """Return those that are not the same on both sides."""
    return [each for each in rows if each.level is not Level.SAME]


def names_of(rows: Iterable[OperationRow]) -> tuple[str, ...]:
    """Return the names of operations, each once."""
    return tuple(dict.fromkeys(each.operation for each in rows))


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"


def most(rows: Sequence[_RowT]) -> list[_RowT]:
    """Return rows, the largest change first."""
    return sorted(rows, key=lambda each: tuple(-part for part in each.weight))
