"""What a report says of a published table, as typed claims: printed text against exact values."""

from dataclasses import dataclass
from typing import Any, ClassVar

from repromatrix.report import wording
from repromatrix.report.claims.base import Claim, measured


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedTotals(Claim):
    """How much of a table is reproduced; `cells` are those that answer for it."""

    kind: ClassVar[str] = "published_totals"

    workload: str
    source: str
    losses: int
    reproduced: int
    differing: int
    not_computed: int
    not_pinned: int
    predictions: int
    predictions_reproduced: int
    predictions_differing: int
    predictions_not_computed: int

    def _id(self) -> str:
        return f"published/{self.workload}"

    def _text(self) -> str:
        rest = [
            (self.differing, "losses differ"),
            (self.not_computed, "losses were not computed"),
            (self.not_pinned, "of these losses by no pinned environment"),
            (self.predictions_differing, "predictions differ"),
            (self.predictions_not_computed, "predictions were not computed"),
        ]
        more = "".join(f"; {count} {what}" for count, what in rest if count)
        return (
            f"{self.reproduced} of {self.losses} published losses and {self.predictions_reproduced} of "
            f"{self.predictions} final predictions of {self.source} are reproduced to the last printed digit by the "
            f"newest version of each framework{more}"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a column was run."""

    environment: str
    device: str
    settings: str
    newest: bool

    @property
    def id(self) -> str:
        """The place as a part of an id."""
        return f"{self.environment}/{self.device}/{self.settings}"

    @property
    def text(self) -> str:
        """The place in words."""
        return wording.place(self.environment, self.device, self.settings)


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedLosses(Claim):
    """A printed column in one place.

    Attributes:
        place: environment, device, settings, and whether it answers for the table.
        losses: (printed text, the exact value rounded to the printed digits, the value, whether they agree), one an
            iteration; None where there is no value.
    """

    kind: ClassVar[str] = "published_losses"

    workload: str
    column: str
    place: Place
    reason: str | None
    losses: tuple[tuple[str, str | None, str | None, bool | None], ...]

    def _id(self) -> str:
        return f"losses/{self.workload}/{self.column}/{self.place.id}"

    def _text(self) -> str:
        good = sum(agrees is True for *_, agrees in self.losses)
        bad = [
            f"iteration {number}: {printed} printed, {computed} computed"
            for number, (printed, computed, _, agrees) in enumerate(self.losses, start=1)
            if agrees is False
        ]
        absent = sum(agrees is None for *_, agrees in self.losses)
        more = [*bad, *([f"{absent} not computed{': ' + self.reason if self.reason else ''}"] if absent else [])]
        said = f"{self.column} in {self.place.text}: {good} of {len(self.losses)} printed losses reproduced"
        return "; ".join([said, *more])

    def _values(self) -> dict[str, Any]:
        names = ("printed", "computed", "hex", "agrees")
        return {
            "workload": self.workload,
            "column": self.column,
            **_place(self.place),
            "reason": self.reason,
            "losses": [dict(zip(names, each, strict=True)) for each in self.losses],
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Pass:
    """One forward pass of a variant that a printed prediction can mean."""

    variant: str
    which: str
    texts: tuple[str, ...]
    hex: tuple[str, ...]
    agrees: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedPrediction(Claim):
    """A printed final prediction in one place; `by` names the variant that answers for it."""

    kind: ClassVar[str] = "published_prediction"

    workload: str
    column: str
    place: Place
    printed: tuple[str, ...]
    by: str
    passes: tuple[Pass, ...]
    reproduced: bool | None
    which: str | None

    def _id(self) -> str:
        return f"prediction/{self.workload}/{self.column}/{self.place.id}"

    def _text(self) -> str:
        answers = {True: f"reproduced {self.which}", False: "not reproduced", None: "not computed"}
        said = f"the printed prediction {', '.join(self.printed)} is {answers[self.reproduced]}"
        return f"{self.column} in {self.place.text}: {said}"

    def _values(self) -> dict[str, Any]:
        return {
            "workload": self.workload,
            "column": self.column,
            **_place(self.place),
            "printed": list(self.printed),
            "by": self.by,
            "reproduced": self.reproduced,
            "which": self.which,
            "passes": [
                {"variant": e.variant, "which": e.which, "texts": list(e.texts), "hex": list(e.hex), "agrees": e.agrees}
                for e in self.passes
            ],
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Contradiction(Claim):
    """A printed figure that the document's other figures rule out; no cell enters.

    Attributes:
        printed: (name, text).
        against: likewise, the figures that rule it out.
        sentence: all of it in words.
    """

    kind: ClassVar[str] = "contradiction"

    workload: str
    of: str
    columns: tuple[str, ...]
    printed: tuple[str, str]
    against: tuple[tuple[str, str], ...]
    implied: str
    sentence: str

    def _id(self) -> str:
        return f"contradiction/{self.workload}/{'+'.join(self.columns)}/{self.printed[0]}"

    def _text(self) -> str:
        return self.sentence


@dataclass(frozen=True, slots=True, kw_only=True)
class PairVerdict(Claim):
    """Two published columns over their common steps; `lists`: where the report shows the pair."""

    kind: ClassVar[str] = "pair_verdict"

    workload: str
    a: str
    b: str
    lists: tuple[str, ...]
    verdict: str
    judged_by: str | None
    ulp_dtype: str
    steps: int
    first_difference: int | None
    last_abs: str | None
    last_ulp: int | None
    max_abs: str | None
    max_ulp: int | None
    same_digits: bool
    factors: tuple[str, ...]

    def _id(self) -> str:
        return f"pair/{self.workload}/{self.a}/{self.b}"

    def _text(self) -> str:
        found = measured(self.first_difference, self.max_abs, self.max_ulp, dtype=self.ulp_dtype, judged=self.judged_by)
        look = "; the same printed digits" if self.same_digits and self.verdict != "identical" else ""
        return f"{self.a} and {self.b} over {self.steps} steps: {self.verdict}{found}{look}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Closest(Claim):
    """The published columns at one iteration.

    Attributes:
        same: groups with the same bits there.
        near: (a group, another, |a - b|, ULP, of which dtype), the nearest first.
    """

    kind: ClassVar[str] = "closest"

    workload: str
    iteration: int
    same: tuple[tuple[str, ...], ...]
    near: tuple[tuple[tuple[str, ...], tuple[str, ...], str, int, str], ...]

    def _id(self) -> str:
        return f"closest/{self.workload}/{self.iteration}"

    def _text(self) -> str:
        same = " | ".join(wording.listed(each) for each in self.same) or "no two columns"
        nearest = ""
        if self.near:
            a, b, distance, ulps, dtype = self.near[0]
            far = wording.distance(float.fromhex(distance))
            nearest = (
                f"; nearest of the others: {wording.listed(a)} and {wording.listed(b)}, {far}, {ulps} ULP of {dtype}"
            )
        return f"iteration {self.iteration}: the same bits in {same}{nearest}"


def _place(place: Place) -> dict[str, Any]:
    return {
        "environment": place.environment,
        "device": place.device,
        "settings": place.settings,
        "newest": place.newest,
    }
