"""What a report says of each statement of a published document: the verdict, on what condition, by what evidence."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from repromatrix.published.verdicts import Condition, Evidence, Kind, Left, Measured, Tried, Word, plain
from repromatrix.report import wording
from repromatrix.report.claims.base import Claim

_FEW = 3
_PLACES = {"a": "at A's end", "b": "at B's end", "both": "at both ends"}


@dataclass(frozen=True, slots=True, kw_only=True)
class VerdictTotals(Claim):
    """How many of a document's statements hold."""

    kind: ClassVar[str] = "published_verdict_totals"

    workload: str
    source: str
    statements: int
    confirmed: int
    with_condition: int
    refuted: int
    not_tested: int

    def _id(self) -> str:
        return f"verdicts/{self.workload}"

    def _text(self) -> str:
        counts = (
            (self.confirmed, Word.CONFIRMED),
            (self.with_condition, Word.CONDITION),
            (self.refuted, Word.REFUTED),
            (self.not_tested, Word.NOT_TESTED),
        )
        said = ", ".join(f"{count} {word.value}" for count, word in counts if count)
        return f"Of {self.statements} statements of {self.source}: {said or 'none'}"


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedVerdict(Claim):
    """A statement with its verdict.

    Attributes:
        says: the statement, in the document's words.
        reason: why it was not tested, else None.
        condition: on what it holds; None unless the verdict has one.
    """

    kind: ClassVar[str] = "published_verdict"

    workload: str
    name: str
    says: str
    verdict: str
    reason: str | None
    condition: Condition | None
    evidence: Evidence

    @property
    def on(self) -> str:
        """The condition in words, or why there is no verdict; empty without either."""
        return _condition(self.condition) if self.condition else self.reason or ""

    @property
    def shown(self) -> str:
        """The evidence in words."""
        return _evidence(self.evidence) if self.verdict != Word.NOT_TESTED or self.evidence.tried else ""

    def _id(self) -> str:
        return f"verdict/{self.workload}/{self.name}"

    def _text(self) -> str:
        on = f" ({self.on})" if self.on else ""
        shown = f": {self.shown}" if self.shown else ""
        return f"{self.name}, “{self.says}”: {self.verdict}{on}{shown}"

    def _values(self) -> dict[str, Any]:
        return {
            "workload": self.workload,
            "name": self.name,
            "says": self.says,
            "verdict": self.verdict,
            "reason": self.reason,
            "condition": plain(self.condition),
            "evidence": plain(self.evidence),
        }


def totals(workload: str, source: str, verdicts: Sequence[PublishedVerdict]) -> VerdictTotals:
    """Count the verdicts on a document."""
    words = [each.verdict for each in verdicts]
    return VerdictTotals(
        cells=tuple(dict.fromkeys(cell for each in verdicts for cell in each.cells)),
        workload=workload,
        source=source,
        statements=len(verdicts),
        confirmed=words.count(Word.CONFIRMED),
        with_condition=words.count(Word.CONDITION),
        refuted=words.count(Word.REFUTED),
        not_tested=words.count(Word.NOT_TESTED),
    )


def _condition(found: Condition) -> str:
    between = _several(f"{a} and {b}" for a, b in found.cells)
    names = ", ".join(found.names)
    said = {
        Kind.PRINTED: "only of the printed figures",
        Kind.STEPS: f"only at {_steps(found.steps)}",
        Kind.EXCEPT: f"not between {between}",
        Kind.ONLY: f"only between {between}",
        Kind.EXPERIMENT: f"not with {' or '.join(found.names)} changed: the same bits in {between}",
        Kind.CAUSES: f"of what is blamed, {names}",
        Kind.ALSO: f"as well as {names}",
    }
    return said[found.kind]


def _evidence(found: Evidence) -> str:
    own = found.own
    match found.test:
        case "difference":
            said = f"{found.computed or 'no finite number'} computed, {found.printed} between the printed figures"
        case "equal" | "ordering":
            word = "the same bits" if found.test == "equal" else "lower"
            said = _several(_pair(each, word) for each in own)
        case "never_equal":
            said = _never(found)
        case "range":
            said = _range(own, found.limits)
        case "only_equal":
            longest = sorted(own, key=lambda each: -len(each.holds))
            said = f"{_pairs(own)} the same bits at some step{': ' if own else ''}{_several(map(_where, longest))}"
        case "cause":
            said = _cause(found.tried)
        case _:
            return ""
    others = _others(found)
    return f"{said}{'; ' if said and others else ''}{others}"


def _others(found: Evidence) -> str:
    """Return what other versions and settings say, if there are any."""
    if not found.others:
        return ""
    unlike = sum(not each.own for each in found.measured)
    pairs = "1 other pair of cells" if found.others == 1 else f"{found.others} other pairs of cells"
    return f"{'another answer' if unlike else 'the same answer'} in {f'{unlike} of ' if unlike else ''}{pairs}"


def _pair(found: Measured, word: str) -> str:
    most = None if found.most is None else float.fromhex(found.most)
    far = f", at most {wording.distance(most)} apart" if most else ""
    where = f"at {_steps(found.holds)} of {found.steps}" if found.holds else f"at none of {found.steps} steps"
    return f"{found.a} and {found.b}: {word} {where}{far}"


def _where(found: Measured) -> str:
    return f"{found.a} and {found.b} ({_steps(found.holds)})"


def _pairs(found: Sequence[Measured]) -> str:
    return "1 pair of columns has" if len(found) == 1 else f"{len(found)} pairs of columns have"


def _never(found: Evidence) -> str:
    same = [each for each in found.own if not each.holds]
    if same:
        said = f"{_pairs(same)} the same bits: {_several(f'{e.a} and {e.b}' for e in same)}"
    else:
        said = f"none of {len(found.own)} pairs of columns has the same bits at every step"
    looked = f"; {len(found.explained)} of them were experimented on" if found.explained else "; no experiment was made"
    tried = sorted(found.tried, key=lambda each: len(each.names))
    left = [f"{each.said} of {' and '.join(each.between)}" for each in tried]
    return f"{said}{looked}{f', the same bits after flipping {_several(left)}' if left else ''}"


def _range(own: Sequence[Measured], limits: Sequence[str]) -> str:
    low, high = limits
    least = [float.fromhex(each.least) for each in own if each.least is not None]
    most = [float.fromhex(each.most) for each in own if each.most is not None]
    ends = f", {wording.distance(min(least))} to {wording.distance(max(most))} apart" if least else ""
    below, above = sum(each < float(low) for each in least), sum(each > float(high) for each in most)
    return (
        f"{len(own)} pairs of columns{ends}: {sum(each.whole for each in own)} of them in the range at every step, "
        f"{below} closer than {low} at some step, {above} further apart than {high} at some step"
    )


def _cause(tried: Sequence[Tried]) -> str:
    blamed = [each for each in tried if each.blamed]
    others = [f"{each.said}{_ends(each.ends)}" for each in tried if not each.blamed]
    said = [f"experiments attribute the difference to {', or to '.join(others)}"] if others else []
    if len(blamed) < _FEW:
        said += [f"{each.said}: {each.finding}{_ends(each.ends)}" for each in blamed]
    else:
        findings = dict.fromkeys(each.finding for each in blamed)
        said += [f"{word}: {', '.join(e.said for e in blamed if e.finding == word)}" for word in findings]
    return "; ".join(said)


def _ends(ends: Sequence[Left]) -> str:
    """Return what was left at each end, equal ends together."""
    said: dict[str, list[str]] = {}
    for each in ends:
        unchanged = "no bit changes, " if each.changed is False else ""
        text = f"{unchanged}{each.verdict}" if each.verdict else f"not tested ({each.reason})"
        said.setdefault(text, []).append(_PLACES[each.where])
    parts = "; ".join(f"{text} {', '.join(places)}" for text, places in said.items())
    return f" ({parts})" if parts else ""


def _steps(steps: Sequence[int]) -> str:
    """Return steps with their runs joined: `steps 1, 3 to 10`."""
    runs: list[list[int]] = []
    for step in steps:
        if runs and runs[-1][1] == step - 1:
            runs[-1][1] = step
        else:
            runs.append([step, step])
    said = ", ".join(str(first) if first == last else f"{first} to {last}" for first, last in runs)
    return f"step{'' if len(steps) == 1 else 's'} {said}"


def _several(texts: Iterable[str]) -> str:
    """Return the first few texts, and how many more there are."""
    found = list(texts)
    more = len(found) - _FEW
    return "; ".join([*found[:_FEW], *([f"and {more} more"] if more > 0 else [])])
