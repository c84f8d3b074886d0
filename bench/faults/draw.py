"""The injector's dice: a seed -> a random training job and the faults that are put into it."""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from bench.faults import bits

TRIES = 50
HALF = 0.5
SQUARE = 0.5  # of the jobs have layers of one size, whose matrices can be transposed
ALWAYS = 10_000  # beyond the last step of any job
# What a wrong kernel, matrix or number is looked for in: sites of the training loop (`loops`).
FORWARD = ("hidden_pre", "hidden", "output_pre", "output")
GRADIENTS = ("grad_output_weights", "grad_hidden_weights")
WEIGHTS = ("output_weights", "hidden_weights")
STARTS = ("start_hidden_weights", "start_output_weights")
DELTAS = ("output_delta", "hidden_delta")
TRACED = (*FORWARD, "loss", *GRADIENTS, *WEIGHTS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One thing that is done wrong.

    Attributes:
        site: where in the training loop, or the name of an option.
        how: what is done there (`loops`), or the option's other value.
        first: the first step, from 1.
        last: the last step.
        element: the place in the tensor laid flat, modulo its size; None: every element.
        amount: of `how`.
        factor: whether `site` is an option of the cell, and `how` its value.
    """

    kind: str
    site: str
    how: str
    first: int = 1
    last: int = ALWAYS
    element: int | None = None
    amount: float = 0.0
    factor: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """What a framework's injector can work on.

    Attributes:
        dtypes: of its clean cells.
        options: those of its clean cells that are drawn, each with its values; all others are fixed.
        fixed: options with their only value.
        kinds: the kinds of faults that can be put into it.
        sites: the sites that its loop has.
        sizes: the fewest and the most units of a layer.
        longest: steps of a job.
        allows: whether a fault at one of the sites can be put in.
        patched: whether the workload's own module is patched, and no loop written once more.
    """

    dtypes: tuple[str, ...]
    options: Mapping[str, tuple[str, ...]]
    fixed: Mapping[str, str]
    kinds: tuple[str, ...]
    sites: frozenset[str]
    sizes: tuple[int, int]
    longest: int
    allows: Callable[[Fault], bool] = lambda _: True
    patched: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A clean training job: what the explainer is told of it."""

    workload: dict[str, Any]
    dtype: str
    options: dict[str, str]

    @property
    def steps(self) -> int:
        """How many steps it trains."""
        return int(self.workload["steps"])

    def square(self, layer: str) -> bool:
        """Whether a layer's matrix can be transposed and still fits."""
        rows = self.workload[f"{layer}_weights"]
        return len(rows) == len(rows[0])


class Dice:
    """All that is random in one attempt of one seed."""

    def __init__(self, ground: Ground, name: str) -> None:
        """Seed them with a name; the same name gives the same throws on every machine."""
        self.ground = ground
        self.random = random.Random(name)  # noqa: S311
        self.job = self._job()

    def faults(self) -> tuple[Fault, ...]:
        """Return a fault, or a pair of faults that can be told apart; nothing if the job has no room for the kind."""
        kinds = self.ground.kinds
        kind = self.random.choice((*kinds, "pair"))
        for _ in range(TRIES):
            wanted = (kind,) if kind != "pair" else (self.random.choice(kinds), self.random.choice(kinds))
            found = tuple(fault for fault in map(self.fault, wanted) if fault is not None)
            if len(found) == len(wanted) and (len(found) == 1 or _apart(*found)):
                return found
        return ()

    def null(self) -> Fault:
        """Return a fault that changes nothing, though its hook is armed."""
        armed = ("objective", *WEIGHTS) if self.ground.patched else TRACED
        site = self._of(armed)
        how, first = self.random.choice((("scale", 1), ("ulp", 1), ("flip", ALWAYS)))
        if self.ground.patched:
            how, first = ("scale", 1) if site == "objective" else ("flip", ALWAYS)
        return Fault(kind="null", site=site, how=how, first=first, amount=1.0 if how == "scale" else 0.0)

    def fault(self, kind: str) -> Fault | None:
        """Return a fault of a kind, None if the job has no room for what was thrown."""
        found: Fault | None = getattr(self, f"_{kind}")()
        if found is None or found.factor:
            return found
        return found if found.site in self.ground.sites and self.ground.allows(found) else None

    def _job(self) -> Job:
        throw, ground = self.random, self.ground
        low, high = ground.sizes
        inputs, hidden, outputs = (throw.randint(low, high) for _ in range(3))
        if throw.random() < SQUARE:
            hidden = outputs = inputs
        options = dict(ground.fixed)
        for name, values in ground.options.items():
            options[name] = throw.choice(values)
        if options["layout"] == "in_out_untransposed" and not inputs == hidden == outputs:
            options["layout"] = "in_out"
        workload = {
            "name": "random",
            "steps": throw.randint(2, ground.longest),
            "input": self._decimals(inputs, 0.05, 1.0),
            "target": self._decimals(outputs, 0.01, 0.99),
            "hidden_weights": [self._decimals(inputs, -1.0, 1.0) for _ in range(hidden)],
            "output_weights": [self._decimals(hidden, -1.0, 1.0) for _ in range(outputs)],
            "hidden_bias": self._decimals(1, -0.5, 0.8)[0],
            "output_bias": self._decimals(1, -0.5, 0.8)[0],
            "learning_rate": self._decimals(1, 0.1, 1.0)[0],
        }
        return Job(workload=workload, dtype=throw.choice(ground.dtypes), options=options)

    def _decimals(self, count: int, low: float, high: float) -> list[str]:
        return [f"{self.random.uniform(low, high):.4f}" for _ in range(count)]

    def _of(self, sites: tuple[str, ...]) -> str:
        return self.random.choice([site for site in sites if site in self.ground.sites] or sorted(self.ground.sites))

    def _steps(self, first: int = 1) -> dict[str, int]:
        """All steps from the first that makes sense, one of them, or all from one of them on."""
        start = self.random.randint(first, max(first, self.job.steps))
        return self.random.choice(
            ({"first": first, "last": ALWAYS}, {"first": start, "last": start}, {"first": start, "last": ALWAYS})
        )

    def _ratio(self) -> float:
        """A factor near 1 or far from it, never 1."""
        near = 1 + self.random.choice((-1, 1)) * 10 ** self.random.uniform(*self._sizes())
        return self.random.choice((near, self.random.uniform(0.3, 0.95), self.random.uniform(1.05, 3.0), -1.0))

    def _sizes(self) -> tuple[float, float]:
        """The decimal exponents of a small relative change that the job's dtype can still show."""
        return {"float64": (-14.0, -2.0), "float32": (-6.0, -1.5)}.get(self.job.dtype, (-2.5, -1.0))

    def _element(self) -> int | None:
        return self.random.choice((None, self.random.randrange(64)))

    def _transposed_kernel(self) -> Fault | None:
        site = self.random.choice(("layout", "hidden_pre", "output_pre", "hidden_error", *STARTS))
        hidden, output = self.job.square("hidden"), self.job.square("output")
        if site == "layout":
            fits = hidden and output and self.job.options["layout"] != "in_out_untransposed"
            fits = fits and "layout" in self.ground.options
            return _option("transposed_kernel", "layout", "in_out_untransposed") if fits else None
        if not (hidden if "hidden_pre" in site or "hidden_weights" in site else output):
            return None
        steps = {} if site in STARTS else self._steps()
        return Fault(kind="transposed_kernel", site=site, how="transposed", **steps)

    def _scaled(self) -> Fault | None:
        site = self.random.choice(("loss_form", "loss", "objective", "output_delta", *GRADIENTS))
        if site == "loss_form":
            other = "mean" if self.job.options["loss_form"] == "half_sum" else "half_sum"
            return _option("scaled", "loss_form", other)
        return Fault(kind="scaled", site=site, how="scale", amount=self._ratio(), **self._steps())

    def _wrong_dtype(self) -> Fault | None:
        site = self.random.choice(("dtype", *TRACED, *STARTS, *DELTAS))
        if site == "dtype":
            other = self.random.choice([each for each in self.ground.dtypes if each != self.job.dtype])
            return _option("wrong_dtype", "dtype", other)
        lower = bits.LOWER[self.job.dtype]
        if not lower:
            return None
        steps = {} if site in STARTS else self._steps()
        return Fault(kind="wrong_dtype", site=site, how=f"round_{self.random.choice(lower)}", **steps)

    def _off_by_one(self) -> Fault | None:
        how = self.random.choice(("skip", "twice", "shorter", "longer", "ahead", "late_loss", "stale_final"))
        if how in ("shorter", "longer"):
            steps = self.job.steps + (1 if how == "longer" else -1)
            return _option("off_by_one", "steps", str(steps))
        if how in ("skip", "twice"):
            at = self.random.randint(1, self.job.steps)
            site = self.random.choice(("update", *WEIGHTS))
            return Fault(kind="off_by_one", site=site, how=how, first=at, last=at)
        site = {"ahead": "start", "late_loss": "loss", "stale_final": "prediction"}[how]
        first = 2 if how == "late_loss" else 1
        return Fault(kind="off_by_one", site=site, how=how, first=first)

    def _stale_weights(self) -> Fault:
        site = self._of(("hidden_pre", "output_pre", "hidden_error"))
        return Fault(kind="stale_weights", site=site, how="stale", **self._steps(first=2))

    def _update_order(self) -> Fault:
        if self.random.random() < HALF:
            other = "parallel" if self.job.options["update"] == "sequential" else "sequential"
            return _option("update_order", "update", other)
        at = self.random.randint(1, self.job.steps)
        return Fault(kind="update_order", site="hidden_error", how="swapped", first=at, last=at)

    def _learning_rate(self) -> Fault:
        site = self._of(("update", "update", *WEIGHTS))
        return Fault(kind="learning_rate", site=site, how="rate", amount=self._ratio(), **self._steps())

    def _reduction(self) -> Fault:
        how = self.random.choice(("reversed", "short", "narrow", "add"))
        site = self._of(("hidden_pre", "output_pre", "hidden_error", "loss"))
        return Fault(kind="reduction", site=site, how=how, amount=10 ** self.random.uniform(-9, -1), **self._steps())

    def _activation_ulp(self) -> Fault:
        places = float(self.random.choice((-4, -3, -2, -1, 1, 2, 3, 4)))
        site = self._of(("hidden", "output"))
        return Fault(
            kind="activation_ulp", site=site, how="ulp", amount=places, element=self._element(), **self._steps()
        )

    def _epsilon(self) -> Fault:
        site = self._of(("hidden", "output", *DELTAS))
        amount = 10 ** self.random.uniform(*self._sizes())
        return Fault(kind="epsilon", site=site, how="epsilon", amount=amount, **self._steps())

    def _bit_flip(self) -> Fault:
        at, bit = self.random.randint(1, self.job.steps), self.random.randrange(bits.width(self.job.dtype))
        site = self._of((*TRACED, *DELTAS))
        element = self.random.randrange(64)
        return Fault(kind="bit_flip", site=site, how="flip", amount=bit, element=element, first=at, last=at)


def _option(kind: str, name: str, value: str) -> Fault:
    return Fault(kind=kind, site=name, how=value, factor=True)


def _apart(one: Fault, other: Fault) -> bool:
    """Whether each shows in a place in which the other does not, before it is known where they do."""
    for factor, fault in ((one, other), (other, one)):
        if factor.factor and not fault.factor:
            if factor.site == "update" and fault.site in ("hidden_error", *DELTAS, "objective", *GRADIENTS):
                return False
            if factor.site == "loss_form" and fault.site in ("loss", *DELTAS, "objective", *GRADIENTS):
                return False
            if factor.site in ("layout", "dtype") and fault.site.startswith("start"):
                return False
    # Both matrices transposed at the beginning are the option that uses them so.
    if one.site.startswith("start") and other.site.startswith("start"):
        return False
    return one.site != other.site
