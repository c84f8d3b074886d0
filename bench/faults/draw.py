"""The injector's dice: a seed -> a random training job and the faults that are put into it."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

from bench.faults import bits

TRIES = 50
HALF = 0.5
SQUARE = 0.5  # of the jobs have layers of one size, whose matrices can be transposed
TRACED = 0.7  # of the values that are changed are recorded ones
ALWAYS = 10_000  # beyond the last step of any job
PLACES = 64  # an element is drawn below this, and taken modulo the size
# What is done to a value, with the kind of fault that it is.
VALUES = (
    ("scaled", "scale"),
    ("sign", "scale"),
    ("wrong dtype", "round"),
    ("ulp", "ulp"),
    ("bit flip", "flip"),
    ("transposed", "transposed"),
    ("stale", "stale"),
    ("epsilon", "add"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One thing that is done wrong.

    Attributes:
        at: what kind of thing it is done to: `value`, `code`, `number`, `input`, `start` or `option`.
        site: which: the name of a recorded value, else the hook; a mutation's number; a number; an input; an option.
        how: what is done there, or the option's other value.
        first: the first step, from 1.
        last: the last step.
        element: the place in the tensor laid flat, modulo its size; None: every element.
        amount: of `how`.
        wrong: the code that runs.
    """

    kind: str
    at: str
    site: Any
    how: str
    first: int = 1
    last: int = ALWAYS
    element: int | None = None
    amount: float = 0.0
    wrong: str = ""

    @property
    def factor(self) -> bool:
        """Whether `site` is an option of the cell, and `how` its value."""
        return self.at == "option"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """A workload in a framework: what jobs and faults are drawn from.

    Attributes:
        name: in the names of runs.
        workload: its name.
        framework: the name of its module.
        folder: the entrypoint's, and where the harness lies beside it.
        files: of the workload's code, by name.
        inputs: its inputs, in order, each as `{name, dims, dtype, kind, below, parameter}`; `dims` are sizes, or names
            of sizes that are drawn.
        numbers: name -> decimal text.
        rates: the numbers that are drawn.
        metrics: the first is the loss.
        outputs: what is recorded once more after the last step.
        batch: rows of a step.
        options: option -> the values that are drawn.
        fixed: options with their only value.
        others: option -> all values that a fault may set.
        dtypes: of its jobs.
        sizes: the fewest and the most that a drawn size may be.
        steps: the fewest and the most of a job.
        operations: value of a step -> the operation that computes it.
        sums: parameter -> what a step computes from it, in order.
    """

    name: str
    workload: str
    framework: str
    folder: str
    files: dict[str, str]
    inputs: list[dict[str, Any]]
    numbers: dict[str, str]
    rates: list[str]
    metrics: list[str]
    outputs: list[str]
    batch: int
    options: dict[str, list[str]]
    fixed: dict[str, str]
    others: dict[str, list[str]]
    dtypes: list[str]
    sizes: tuple[int, int]
    steps: tuple[int, int]
    operations: dict[str, str]
    sums: dict[str, list[str]]

    @property
    def parameters(self) -> list[str]:
        """The inputs that it trains."""
        return [entry["name"] for entry in self.inputs if entry["parameter"]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A clean training job: what the explainer is told of it. Numbers are decimal text, inputs nested lists of it."""

    inputs: dict[str, Any]
    numbers: dict[str, str]
    steps: int
    dtype: str
    options: dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """What faults can be put into, in jobs with the same options.

    Attributes:
        values: recorded values that can be changed, each with the step from which on there is an earlier one.
        hooks: other tensors on the way.
        code: wrong code that can run: kind -> its numbers, each with its text.
    """

    values: Sequence[str]
    hooks: Sequence[Any]
    code: Mapping[str, Sequence[tuple[int, str]]]


def job_of(ground: Ground, throw: random.Random, *, probe: bool = False, options: Mapping[str, str] = {}) -> Job:
    """Return a random job; `probe`: of three units in each layer, in three steps, with these options."""
    low, high = (3, 3) if probe else ground.sizes
    sizes: dict[str, int] = {}
    same = throw.randint(low, high) if throw.random() < SQUARE else 0
    inputs = {}
    for entry in ground.inputs:
        dims = [
            d if isinstance(d, int) else sizes.setdefault(d, same or throw.randint(low, high)) for d in entry["dims"]
        ]
        inputs[entry["name"]] = _nested([_number(entry, throw) for _ in range(prod(dims))], dims)
    chosen = {name: throw.choice(values) for name, values in ground.options.items()} | dict(options)
    numbers = dict(ground.numbers)
    for name in ground.rates:
        numbers[name] = f"{throw.uniform(0.1, 1.0):.4f}"
    steps = 3 if probe else throw.randint(*ground.steps)
    return Job(
        inputs=inputs,
        numbers=numbers,
        steps=steps,
        dtype=ground.dtypes[0] if probe else throw.choice(ground.dtypes),
        options={**ground.fixed, **chosen},
    )


def _number(entry: Mapping[str, Any], throw: random.Random) -> str:
    if entry["kind"] == "integers":
        return str(throw.randrange(entry["below"]))
    if entry["kind"] == "normal":
        return f"{throw.gauss(0.0, entry['scale']):.6f}"
    low, high = (-1.0, 1.0) if entry["parameter"] else (0.05, 0.95)
    return f"{throw.uniform(low, high):.4f}"


def _nested(values: list[Any], dims: Sequence[int]) -> Any:
    if not dims:
        return values[0]
    size = len(values) // dims[0]
    return [_nested(values[place * size : (place + 1) * size], dims[1:]) for place in range(dims[0])]


class Dice:
    """All that is random in one attempt of one seed."""

    def __init__(self, ground: Ground, name: str) -> None:
        """Seed them with a name; the same name gives the same throws on every machine."""
        self.ground = ground
        self.random = random.Random(name)  # noqa: S311
        self.job = job_of(ground, self.random)

    def faults(self, room: Room) -> tuple[Fault, ...]:
        """Return a fault, or a pair of faults at different places; nothing if there is no room for what was thrown."""
        count = 2 if self.random.random() < 1 / 12 else 1
        for _ in range(TRIES):
            found = [fault for fault in (self.fault(room) for _ in range(count)) if fault is not None]
            if len(found) == count and len({(each.at, str(each.site)) for each in found}) == count:
                return tuple(found)
        return ()

    def null(self, room: Room) -> tuple[Fault, ...]:
        """Return a fault that changes nothing, though its hook is armed."""
        if not room.values:
            return ()
        how, first = self.random.choice((("scale", 1), ("ulp", 1), ("flip", ALWAYS)))
        amount = 1.0 if how == "scale" else 0.0
        site = self.random.choice(room.values)
        return (Fault(kind="null", at="value", site=site, how=how, first=first, amount=amount),)

    def fault(self, room: Room) -> Fault | None:
        """Return a fault, None if the job has no room for what was thrown."""
        ats = ["value"] * 4 * bool(room.values) + ["code"] * 3 * bool(room.code)
        at = self.random.choice([*ats, "number", "input", "start", "option"])
        found: Fault | None = getattr(self, f"_{at}")(room)
        return found

    def _value(self, room: Room) -> Fault | None:
        kind, how = self.random.choice(VALUES)
        traced = not room.hooks or self.random.random() < TRACED
        site = self.random.choice(room.values if traced else room.hooks)
        element = self.random.choice((None, self.random.randrange(PLACES)))
        return self._changed(kind, how, "value", site, element)

    def _changed(self, kind: str, how: str, at: str, site: Any, element: int | None) -> Fault | None:
        throw, amount, steps = self.random, 0.0, self._steps(2 if how == "stale" else 1)
        match kind:
            case "scaled":
                amount = self._ratio()
            case "sign":
                amount = -1.0
            case "ulp":
                amount = float(throw.choice((-4, -3, -2, -1, 1, 2, 3, 4)))
            case "epsilon":
                amount = 10 ** throw.uniform(*self._exponents())
            case "bit flip":
                amount, element = float(throw.randrange(bits.width(self.job.dtype))), throw.randrange(PLACES)
                steps = self._one_step()
            case "wrong dtype":
                lower = bits.LOWER[self.job.dtype]
                if not lower:
                    return None
                how = f"round_{throw.choice(lower)}"
        if kind in ("transposed", "stale"):
            element = None
        return Fault(kind=kind, at=at, site=site, how=how, element=element, amount=amount, **steps)

    def _code(self, room: Room) -> Fault | None:
        kind = self.random.choice(sorted(room.code))
        number, wrong = self.random.choice(room.code[kind])
        amount = 0.0
        if kind == "epsilon":
            amount = 10 ** self.random.uniform(*self._exponents())
        elif kind == "scaled":
            amount = self._ratio()
        steps = self._steps()
        return Fault(kind=f"code: {kind}", at="code", site=number, how=kind, amount=amount, wrong=wrong, **steps)

    def _number(self, _: Room) -> Fault:
        name = self.random.choice(sorted(self.job.numbers))
        others = [each for each in sorted(self.job.numbers) if each != name]
        if others and self.random.random() < HALF:
            other = self.random.choice(others)
            return Fault(
                kind="another number", at="number", site=name, how=f"as {other}", wrong=self.job.numbers[other]
            )
        value = repr(float(self.job.numbers[name]) * self._ratio())
        return Fault(kind="wrong number", at="number", site=name, how="scale", wrong=value)

    def _input(self, _: Room) -> Fault | None:
        names = [each["name"] for each in self.ground.inputs if not each["parameter"]]
        site, how = self.random.choice(names), self.random.choice(("shuffled", "ulp", "scale"))
        steps: dict[str, Any] = {"element": self.random.randrange(PLACES)}
        amount = self._ratio() if how == "scale" else float(self.random.choice((-1, 1)))
        return Fault(kind="wrong input", at="input", site=site, how=how, amount=amount, **steps)

    def _start(self, _: Room) -> Fault | None:
        how = self.random.choice(("transposed", "ahead", "scale"))
        site = "*" if how == "ahead" else self.random.choice(self.ground.parameters)
        return Fault(kind="start", at="start", site=site, how=how, amount=self._ratio())

    def _option(self, _: Room) -> Fault | None:
        name = self.random.choice(sorted((*self.ground.others, "dtype", "steps")))
        if name == "steps":
            return _set("steps", str(self.job.steps + self.random.choice((-1, 1))))
        if name == "dtype":
            others = [each for each in self.ground.dtypes if each != self.job.dtype]
            return _set("dtype", self.random.choice(others)) if others else None
        others = [each for each in self.ground.others[name] if each != self.job.options[name]]
        return _set(name, self.random.choice(others)) if others else None

    def _steps(self, first: int = 1) -> dict[str, int]:
        """All steps from the first that makes sense, one of them, or all from one of them on."""
        start = self.random.randint(first, max(first, self.job.steps))
        return self.random.choice(
            ({"first": first, "last": ALWAYS}, {"first": start, "last": start}, {"first": start, "last": ALWAYS})
        )

    def _one_step(self) -> dict[str, int]:
        at = self.random.randint(1, self.job.steps)
        return {"first": at, "last": at}

    def _ratio(self) -> float:
        """A factor near 1 or far from it, never 1."""
        near = 1 + self.random.choice((-1, 1)) * 10 ** self.random.uniform(*self._exponents())
        return self.random.choice((near, self.random.uniform(0.3, 0.95), self.random.uniform(1.05, 3.0)))

    def _exponents(self) -> tuple[float, float]:
        """The decimal exponents of a small relative change that the job's dtype can still show."""
        return {"float64": (-14.0, -2.0), "float32": (-6.0, -1.5)}.get(self.job.dtype, (-2.5, -1.0))


def _set(name: str, value: str) -> Fault:
    return Fault(kind=f"option {name}", at="option", site=name, how=value)
