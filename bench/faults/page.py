"""The measured part of docs/evaluation.md: the same text for the same verdicts."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from bench import measured as measured_page
from bench.faults.score import CAUSES, KNOWN, Name, Ratio, Score, Verdict

COMMAND = "make evaluate"


def write(path: Path, text: str) -> None:
    """Put the text between the marks of a page.

    Raises:
        ValueError: the page has no such marks.
    """
    measured_page.write(path, text, COMMAND)


def measured(scores: Mapping[str, Score], seeds: str) -> str:
    """Return tables and failures; `scores` by the environment's name, `seeds` the word in their names."""
    every = together(scores)
    heads = "workload, environment", "faults", "drawn again", "clean pairs"
    shares = "detection: precision", "recall", "attribution: precision", "recall", "whole runs", "losses alone"
    rows = [_row(title, score) for title, score in scores.items() if score.faulty or score.clean]
    text = [f"Seeds: `{seeds}`. {_counts(every)}", ""]
    text += [*_table((*heads, *shares), [*rows, _row("all", every)]), ""]
    kinds = sorted({_kind(each) for each in every.faulty})
    by_kind = [_kind_row(kind, [each for each in every.faulty if _kind(each) == kind]) for kind in kinds]
    text += [*_table(("fault", "runs", "detected", "whole runs", "losses alone"), by_kind), ""]
    if every.pairs:
        text += [*_pairs(every.pairs), ""]
    text += [f"False causes, of all runs and pairs: {_share(every.false_causes)}.", ""]
    failures = every.failures
    text.append(f"Failures: {len(failures)}." if failures else "Failures: none.")
    if failures:
        lines = [(f"`{name_of(e)}`", e.kind, _names(e.due - e.told), _extra(e)) for e in failures]
        text += ["", *_table(("run", "fault", "due, but not told", "told, but not due"), lines)]
    return "\n".join(text) + "\n"


def _counts(score: Score) -> str:
    """Say how much has run; a whole campaign is what `make evaluate` runs by itself."""
    ran = f"{len(score.faulty):,} faults, {len(score.clean):,} clean pairs, {len(score.pairs):,} known operations"
    return f"Ran: {ran}. A whole campaign, `make evaluate`, has 5,000, as many, and 1,000."


def _pairs(pairs: Sequence[Verdict]) -> list[str]:
    """Return what is said of conditions in pairs that differ for a known operation."""
    found = sorted({each.condition for each in pairs})
    rows = []
    for words, some in (
        ("makes the two sides equal, by chance", [each for each in pairs if each.landed]),
        ("does not", [each for each in pairs if not each.landed]),
        ("all", list(pairs)),
    ):
        counts = [f"{sum(each.condition == finding for each in some):,}" for finding in found]
        named = Ratio(right=sum(each.due == each.told for each in some), all=len(some))
        false = Ratio(right=sum(each.false_cause for each in some), all=len(some))
        rows.append([words, f"{len(some):,}", _share(named), _share(false), *counts])
    heads = [
        "the condition",
        "pairs",
        "operation and steps named",
        "false causes",
        *(f"found: {each}" for each in found),
    ]
    return _table(heads, rows)


def _extra(verdict: Verdict) -> str:
    told = _names(verdict.told - verdict.due)
    return f"{told}; the condition: {verdict.condition}" if verdict.condition in CAUSES else told


def together(scores: Mapping[str, Score]) -> Score:
    """Return the score of all runs."""
    return Score(verdicts=tuple(each for score in scores.values() for each in score.verdicts))


def name_of(verdict: Verdict) -> str:
    """Return how a run is asked for again."""
    kind = {"clean": "clean", KNOWN: "pairs"}.get(verdict.kind, "faults")
    return f"{verdict.framework}/{kind}/{verdict.seed}"


def names(found: Iterable[Name]) -> str:
    """Return names of causes as text."""
    return _names(frozenset(found))


def _row(title: str, score: Score) -> Sequence[str]:
    detection, attribution = score.detection, score.attribution
    ratios = [detection["precision"], detection["recall"]]
    ratios += [attribution["precision"], attribution["recall"], attribution["runs"]]
    shown = Ratio(right=sum(each.losses for each in score.faulty), all=len(score.faulty))
    counts = len(score.faulty), sum(each.idle for each in score.faulty), len(score.clean)
    return [title, *(f"{count:,}" for count in counts), *map(_share, ratios), _share(shown)]


def _kind(verdict: Verdict) -> str:
    return "two faults" if " + " in verdict.kind else verdict.kind


def _kind_row(kind: str, verdicts: Sequence[Verdict]) -> Sequence[str]:
    hits = [sum(e.detected for e in verdicts), sum(e.right for e in verdicts), sum(e.losses for e in verdicts)]
    return [kind, f"{len(verdicts):,}", *(_share(Ratio(right=each, all=len(verdicts))) for each in hits)]


def _share(ratio: Ratio) -> str:
    """Return a percentage that is 100 only if it is all."""
    if not ratio.all:
        return "-"
    exact = f"{100 * ratio.share:.2f}"
    shown = "99.99" if exact == "100.00" and ratio.right < ratio.all else exact
    return f"{shown} % ({ratio.right:,} of {ratio.all:,})"


def _names(found: frozenset[Name]) -> str:
    told = []
    for name in sorted(found):
        match name[0]:
            case "factor":
                told.append(f"{name[1]}={name[2]}" if name[2] else str(name[1]))
            case "start":
                told.append(f"{name[1]} begin otherwise")
            case _:
                told.append(f"{name[1]} at {', '.join(map(str, name[2]))}")
    return "; ".join(told) or "-"


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    lines = [heads, ["---"] * len(heads), *rows]
    return [f"| {' | '.join(each)} |" for each in lines]
