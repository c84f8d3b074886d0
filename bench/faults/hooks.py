"""What the hooks in a workload's code do while it trains: nothing, note, put a fault in, or force values.

A site is a hook, how often it was passed in this step, and the place in what it was given (a tuple, a dict). What is
changed in place (a variable, a leaf of a graph) has a handle: the argument of a call.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from zlib import crc32

from bench.faults import bits
from bench.faults.draw import Fault
from bench.faults.values import Shown, element_wise, turned

Key = tuple[Any, ...]  # hook, count in this step, place in what it was given; of a handle `HANDLE` and the argument
HANDLE = "argument"
MOST = 4096  # elements of what is looked at


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """Where a named value can be changed; `turned`: as the transposed of what is recorded."""

    key: Key
    turned: bool = False


@dataclass(slots=True, kw_only=True)
class Forcing:
    """Values of another run that are put in the place of those computed here; what differs before that is noted."""

    sites: Mapping[Key, tuple[str, bool]]
    rows: Mapping[int, Mapping[str, Shown]]
    differing: dict[tuple[str, int], int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Twist:
    """Another implementation of an operation: some of its results, by their bits alone, are so many ULP away.

    Attributes:
        density: one of so many results, on the average.
        seed: which.
        places: by how many ULP.
    """

    operation: str
    density: int
    seed: int
    places: int

    def of(self, value: float, dtype: str) -> float:
        """Return what it gives where the other implementation gives a value."""
        raw = f"{self.seed} {value.hex()}".encode()
        return bits.moved(value, self.places, dtype) if crc32(raw) % self.density == 0 else value


class Hooks:
    """What the instrumented module calls."""

    def __init__(self) -> None:
        """Begin with hooks that do nothing."""
        self.read: Callable[[Any], Shown | None] = lambda _: None
        self.make: Callable[[Shown], Any] = lambda _: None
        self.begin()

    def begin(
        self,
        *,
        faults: Mapping[Key, Fault] | None = None,
        wrong: Mapping[int, Fault] | None = None,
        forcing: Forcing | None = None,
        noting: bool = False,
        twists: Mapping[Key, Sequence[Twist]] | None = None,
    ) -> None:
        """Get ready for a run.

        Args:
            faults: by their sites.
            wrong: by the numbers of the code that is wrong.
            forcing: values of another run.
            noting: whether all that passes is noted.
            twists: other implementations, by the sites of what they compute.
        """
        self.twists = twists or {}
        self.faults, self.mutated, self.forcing, self.noting = faults or {}, wrong or {}, forcing, noting
        sites = (*self.faults, *self.twists, *(() if forcing is None else forcing.sites))
        self.looked_at = frozenset(key[0] for key in sites)
        self.armed = bool(sites) or noting
        self.amount = next((fault.amount for fault in self.mutated.values()), 0.0)
        self.step = 1
        self.counts: Counter[int] = Counter()
        self.noted: dict[int, dict[Key, Shown]] = {}
        self.reached: dict[int, set[int]] = {}
        self.changed: set[tuple[Key, int]] = set()
        self.before: dict[Key, list[float]] = {}

    def next_step(self) -> None:
        """A step was recorded."""
        self.step += 1
        self.counts.clear()

    def wrong(self, number: int) -> bool:
        """Whether wrong code runs here and now."""
        if self.noting:
            self.reached.setdefault(self.step, set()).add(number)
        fault = self.mutated.get(number)
        return fault is not None and fault.first <= self.step <= fault.last

    def value(self, hook: int, value: Any) -> Any:
        """Return what becomes of a value."""
        count = self.counts[hook]
        self.counts[hook] = count + 1
        return self._through((hook, count), value) if self._looks(hook) else value

    def _looks(self, hook: int) -> bool:
        return self.armed and (self.noting or hook in self.looked_at)

    def call(self, hook: int, function: Any, *arguments: Any, **named: Any) -> Any:
        """Call a function and return what becomes of its value."""
        if self._looks(hook):
            count = self.counts[hook]
            for place, argument in (*enumerate(arguments), *named.items()):
                self._handles((hook, count, HANDLE, place), argument)
        return self.value(hook, function(*arguments, **named))

    def _through(self, key: Key, value: Any) -> Any:
        kind = type(value)
        if kind in (tuple, list):
            return kind(self._through((*key, place), each) for place, each in enumerate(value))
        if kind is dict:
            return {name: self._through((*key, name), each) for name, each in value.items()}
        return value if callable(value) else self._tensor(key, value)

    def _tensor(self, key: Key, value: Any) -> Any:
        told = self._twisted(key, value) if key in self.twists else self._told(key, value)
        return value if told is None else self.make(told)

    def _handles(self, key: Key, argument: Any) -> None:
        if type(argument) is dict:
            for name, each in argument.items():
                self._handles((*key, name), each)
        elif _mutable(argument):
            told = self._told(key, argument)
            if told is not None:
                _set(argument, self.make(told))

    def _told(self, key: Key, value: Any) -> Shown | None:
        """Return what a value is changed to; None: it stays."""
        wanted = self.noting or key in self.faults or (self.forcing is not None and key in self.forcing.sites)
        shown = self.read(value) if wanted else None
        if shown is None:
            return None
        if self.noting:
            self.noted.setdefault(self.step, {})[key] = shown
            return None
        if self.forcing is not None:
            return self._forced(self.forcing, key, shown)
        fault = self.faults[key]
        old = self.before.get(key)
        self.before[key] = shown.numbers
        if not fault.first <= self.step <= fault.last:
            return None
        told = shown.of(changed(fault, shown, old))
        if told.texts == shown.texts:
            return shown if fault.kind == "null" else None
        self.changed.add((key, self.step))
        return told

    def _twisted(self, key: Key, value: Any) -> Shown | None:
        shown = self.read(value)
        if shown is None:
            return None
        numbers = shown.numbers
        for twist in self.twists[key]:
            numbers = [twist.of(number, shown.dtype) for number in numbers]
        return None if numbers == shown.numbers else shown.of(numbers)

    def _forced(self, forcing: Forcing, key: Key, shown: Shown) -> Shown | None:
        name, is_turned = forcing.sites[key]
        there = forcing.rows.get(self.step, {}).get(name)
        if there is None:
            return None
        due = turned(there) if is_turned else there
        count = sum(one != other for one, other in zip(shown.texts, due.texts, strict=True))
        if not count:
            return None
        forcing.differing[name, self.step] = count
        return shown.of(due.numbers)


def changed(fault: Fault, shown: Shown, old: list[float] | None) -> list[float]:
    """Return what a fault makes of numbers; `old`: those of the step before."""
    amount, dtype = fault.amount, shown.dtype
    if fault.how == "stale":
        return shown.numbers if old is None else old
    if fault.how == "transposed":
        return turned(shown).numbers
    if fault.how.startswith("round_"):
        change: Callable[[float], float] = lambda value: bits.rounded(value, fault.how.removeprefix("round_"))  # noqa: E731
    else:
        change = {
            "scale": lambda value: value * amount,
            "add": lambda value: value + amount,
            "ulp": lambda value: bits.moved(value, int(amount), dtype),
            "flip": lambda value: bits.flipped(value, int(amount), dtype),
        }[fault.how]
    return element_wise(shown.numbers, change, fault.element)


def _mutable(value: Any) -> bool:
    """Whether a tensor is a variable, or a leaf that PyTorch updates in place."""
    return hasattr(value, "assign") or bool(getattr(value, "requires_grad", False) and getattr(value, "is_leaf", False))


def _set(variable: Any, value: Any) -> None:
    if hasattr(variable, "assign"):
        variable.assign(value)
    else:
        variable.data.copy_(value)


hooks = Hooks()
