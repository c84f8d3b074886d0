"""The judge: what was done to each run against what was found in it. The only part that reads both."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

KNOWN = "known operation"
CAUSES = ("cause", "cause together")  # what the explainer calls one
# What names a cause: ("factor", name, value), ("start", weights) or ("operation", tensor, steps).
Name = tuple[Any, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ratio:
    """So many of so many."""

    right: int
    all: int

    @property
    def share(self) -> float:
        """The part, 1 of nothing."""
        return self.right / self.all if self.all else 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """One run, judged.

    Attributes:
        kind: of its faults; `clean` without any, `known operation` of a pair with one.
        due: what names its causes.
        told: what was named.
        landed: of a pair: whether the two sides record the same under the condition.
        condition: of a pair: what the explainer finds the condition to be.
    """

    framework: str
    seed: int
    kind: str
    detected: bool
    due: frozenset[Name]
    told: frozenset[Name]
    idle: int = 0
    losses: bool = False
    landed: bool = False
    condition: str = ""

    @property
    def false_cause(self) -> bool:
        """Whether something is called a cause that is none: a factor, other values at the start, or a condition."""
        wrong = [name for name in self.told - self.due if name[0] != "operation"]
        return bool(wrong) or self.condition in CAUSES

    @property
    def right(self) -> bool:
        """Whether every cause is named and nothing else is."""
        return self.due == self.told and self.detected == (self.kind != "clean") and self.condition not in CAUSES


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """The numbers of many runs."""

    verdicts: tuple[Verdict, ...]
    kinds: Counter[str] = field(default_factory=Counter)

    @property
    def faulty(self) -> tuple[Verdict, ...]:
        """The runs with a fault."""
        return tuple(each for each in self.verdicts if each.kind not in ("clean", KNOWN))

    @property
    def pairs(self) -> tuple[Verdict, ...]:
        """The pairs with a known operation."""
        return tuple(each for each in self.verdicts if each.kind == KNOWN)

    @property
    def clean(self) -> tuple[Verdict, ...]:
        """The runs without."""
        return tuple(each for each in self.verdicts if each.kind == "clean")

    @property
    def detection(self) -> dict[str, Ratio]:
        """Of the runs that were said to differ those with a fault, and of those with a fault those said to differ."""
        hits = sum(each.detected for each in self.faulty)
        return {
            "precision": Ratio(right=hits, all=sum(each.detected for each in (*self.faulty, *self.clean))),
            "recall": Ratio(right=hits, all=len(self.faulty)),
        }

    @property
    def attribution(self) -> dict[str, Ratio]:
        """Of the causes that were named those that are right, and of those that are due those named; whole runs."""
        runs = (*self.faulty, *self.clean)
        hits = sum(len(each.due & each.told) for each in runs)
        return {
            "precision": Ratio(right=hits, all=sum(len(each.told) for each in runs)),
            "recall": Ratio(right=hits, all=sum(len(each.due) for each in runs)),
            "runs": Ratio(right=sum(each.right for each in self.faulty), all=len(self.faulty)),
        }

    @property
    def false_causes(self) -> Ratio:
        """Of all runs and pairs, those in which something is called a cause that is none."""
        return Ratio(right=sum(each.false_cause for each in self.verdicts), all=len(self.verdicts))

    @property
    def failures(self) -> tuple[Verdict, ...]:
        """The runs that are not right, by framework and seed."""
        return tuple(sorted((e for e in self.verdicts if not e.right), key=lambda e: (e.framework, e.kind, e.seed)))

    def passes(self, least: float) -> bool:
        """Whether precision and recall of detection and of attribution reach the least share, and few causes are false.

        Of pairs with a known operation as many are right.
        """
        shares = [of[name].share for of in (self.detection, self.attribution) for name in ("precision", "recall")]
        known = Ratio(right=sum(each.right for each in self.pairs), all=len(self.pairs))
        false = self.false_causes
        return all(share >= least for share in (*shares, known.share)) and false.right <= (1 - least) * false.all


def judge(framework: str, truth: Mapping[str, Any], found: Mapping[str, Any]) -> Verdict:
    """Hold a run's truth against what was found (`repromatrix.explain.judge.sites.TraceExplanation` as JSON data)."""
    return Verdict(
        framework=framework,
        seed=truth["seed"],
        kind="clean" if truth["clean"] else " + ".join(each["kind"] for each in truth["faults"]),
        detected=found["detected"],
        due=_due(truth["causes"]),
        told=_told(found),
        idle=truth["idle"],
        losses=truth["losses"],
    )


def judge_pair(place: str, truth: Mapping[str, Any], found: Mapping[str, Any]) -> Verdict:
    """Hold a pair's truth against what was found in it (`known.Found` as JSON data).

    The two sides are said to be two versions, of which the operation is all that differs: to name the version, too, is
    right.
    """
    factors = frozenset(("factor", name, "") for name in found["factors"] if name != "version")
    return Verdict(
        framework=place,
        seed=truth["seed"],
        kind=KNOWN,
        detected=found["named"]["detected"],
        due=_due(truth["causes"]),
        told=_told(found["named"]) | factors,
        idle=truth["idle"],
        landed=truth["lands"],
        condition=found["condition"],
    )


def _due(causes: Iterable[Mapping[str, Any]]) -> frozenset[Name]:
    names: set[Name] = set()
    steps: dict[str, set[int]] = {}
    for cause in causes:
        if "factor" in cause:
            names.add(("factor", cause["factor"], cause["value"]))
        for tensor, step in cause.get("places", ()):
            if tensor.startswith("start_"):
                names.add(("start", tensor.removeprefix("start_")))
            else:
                steps.setdefault(tensor, set()).add(step)
    return frozenset(names | {("operation", tensor, tuple(sorted(each))) for tensor, each in steps.items()})


def _told(found: Mapping[str, Any]) -> frozenset[Name]:
    names: set[Name] = {("factor", name, value) for name, value in found["factors"]}
    names |= {("start", weights) for weights in found["starts"]}
    return frozenset(names | {("operation", each["tensor"], tuple(each["steps"])) for each in found["operations"]})
