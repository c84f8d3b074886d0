"""Experiments and records -> what a report must say of why cells differ, by another way."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from repromatrix.report.claims.base import Claim
from repromatrix.report.claims.classes import ClassOf
from repromatrix.report.claims.explanations import (
    CauseTotals,
    Explained,
    ExplanationTotals,
    FactorTotals,
    NotAttributed,
)
from repromatrix.report.claims.flips import ConditionVerdict, FactorVerdict, Seen
from repromatrix.report.verify.ledgers import Ledger, Line, ledger_of
from repromatrix.report.verify.measure import Judges
from repromatrix.results.experiments import Condition, Experiments, Flip, Pair
from repromatrix.results.manifest import Manifest
from repromatrix.results.record import Record

_VERDICTS = (
    "cause",
    "cause together",
    "not confirmed",
    "coincidence",
    "contributes",
    "inconclusive",
    "refuted",
    "not testable",
)


def explained(
    experiments: Experiments,
    manifest: Manifest,
    records: Mapping[str, Record],
    judges: Judges,
    plain: Sequence[Claim],
) -> Iterable[Claim]:
    """Return every claim about experiments.

    Args:
        experiments: what was tried.
        manifest: names the cells of the run.
        records: by key, what the experiments stand on.
        judges: who tells rounding from more.
        plain: claims about the classes, as recomputed.
    """
    classes = [each for each in plain if isinstance(each, ClassOf)]
    keys = {each.id: each.key for each in manifest.entries if each.key is not None}
    found = [
        (pair, ledger_of(pair, records, judges) if _of_this_run(pair, keys) else None) for pair in experiments.pairs
    ]
    ledgers = [each for _, each in found if each is not None]
    apart = [each for each in ledgers if each.before.verdict != "identical"]
    for origin in dict.fromkeys(each for pair, _ in found for each in pair.of):
        yield _totals(origin, [(pair, own) for pair, own in found if origin in pair.of], classes)
    yield from _causes(apart)
    yield from _factors(apart)
    for each in apart:
        yield _conclusion(each, classes)
        yield from _lines(each)


def _of_this_run(pair: Pair, keys: Mapping[str, str]) -> bool:
    known = [run for run in (pair.a, pair.b) if run.id in keys]
    return all(keys[run.id] == run.key for run in known) and (len(known) == len("ab") or "asked" in pair.of)


def _totals(
    origin: str,
    own: Sequence[tuple[Pair, Ledger | None]],
    classes: Sequence[ClassOf],
) -> Claim:
    there = [each for _, each in own if each is not None]
    apart = [each for each in there if each.before.verdict != "identical"]
    lost = [each for each in apart if not each.attributed]
    return ExplanationTotals(
        cells=_ends(there),
        of=origin,
        pairs=len(apart),
        attributed=len(apart) - len(lost),
        not_attributed=len(lost),
        same=len(there) - len(apart),
        exhausted=sum(each.pair.exhausted for each in lost),
        outdated=len(own) - len(there),
        classes=len(classes) if origin == "classes" else 0,
    )


def _causes(apart: Sequence[Ledger]) -> Iterable[Claim]:
    def why(each: Ledger) -> tuple[tuple[tuple[str, ...], ...], tuple[str, ...]]:
        causes = tuple(names for names, _ in each.causes)
        return causes, () if causes else tuple(_name(line) for line in each.dissolving)

    for causes, conditions in dict.fromkeys(why(each) for each in apart if each.attributed):
        members = [each for each in apart if why(each) == (causes, conditions)]
        yield CauseTotals(
            cells=_ends(members), causes=causes, conditions=conditions, pairs=len(members), among=len(apart)
        )


def _factors(apart: Sequence[Ledger]) -> Iterable[Claim]:
    for kind in (False, True):
        members = [(each, line) for each in apart for line in (each.conditions if kind else each.singles)]
        for name in dict.fromkeys(_name(line) for _, line in members):
            own = [(each, line.finding) for each, line in members if _name(line) == name]
            counts = Counter(finding for _, finding in own)
            sets = [each for each, _ in own if any(len(s) > 1 and name in s for s, _ in each.causes)]
            yield FactorTotals(
                cells=_ends([each for each, _ in own]),
                name=name,
                condition=kind,
                pairs=len(own),
                findings=tuple((each, counts[each]) for each in _VERDICTS if counts[each]),
                together=0 if kind else len(sets),
            )


def _conclusion(found: Ledger, classes: Sequence[ClassOf]) -> Claim:
    pair = found.pair
    names = [next((c.name for c in classes if run.id in c.cells), None) for run in (pair.a, pair.b)]
    by_finding = {
        word.replace(" ", "_"): tuple(_name(line) for line in (*found.singles, *found.sets) if line.finding == word)
        for word in _VERDICTS[2:]
    }
    cells, conditions = (pair.a.id, pair.b.id), tuple((_name(line), line.finding) for line in found.conditions)
    workload, verdict, size = pair.a.id.split("/")[0], found.before.verdict, found.before.hexadecimal
    if not found.attributed:
        return NotAttributed(
            cells=cells, workload=workload, classes=(names[0], names[1]), of=pair.of, verdict=verdict, max_abs=size,
            conditions=conditions, budget=pair.budget, exhausted=pair.exhausted, **by_finding,
        )  # fmt: skip
    return Explained(
        cells=cells, workload=workload, classes=(names[0], names[1]), of=pair.of, verdict=verdict, max_abs=size,
        conditions=conditions, **by_finding,
        causes=tuple((names, line.a.verdict, line.b.verdict) for names, line in found.causes),
        untested=tuple(dict.fromkeys(_smaller(found))),
        dissolved=tuple((_name(each), _left(each.a), _left(each.b), _left(each.both)) for each in found.dissolving),
        only=bool(found.causes) and len(pair.factors) == 1,
    )  # fmt: skip


def _smaller(found: Ledger) -> Iterable[tuple[str, ...]]:
    """Return the causes with one factor left out, of those that no experiment flipped without it."""
    seen = [
        set(line.trial.factors)
        for line in (*found.singles, *found.sets)
        if isinstance(line.trial, Flip) and line.tested
    ]
    for names, _ in found.causes:
        for dropped in reversed(names):
            rest = tuple(name for name in names if name != dropped)
            if rest and set(rest) not in seen:
                yield rest


def _left(seen: Seen | None) -> str | None:
    return seen.verdict if seen and seen.share and float.fromhex(seen.share) == 1 else None


def _lines(found: Ledger) -> Iterable[Claim]:
    values = {each.name: (each.name, each.a, each.b) for each in found.pair.factors}
    for line in (*found.singles, *found.sets, *found.conditions):
        hybrids = [each.cell for each in (line.a, line.b) if each.cell]
        cells = tuple(dict.fromkeys([found.pair.a.id, found.pair.b.id, *hybrids]))
        trial = line.trial
        if isinstance(trial, Flip):
            factors = tuple(values[name] for name in trial.factors)
            yield FactorVerdict(cells=cells, factors=factors, finding=line.finding, a=line.a, b=line.b)
        elif line.both is not None:
            yield ConditionVerdict(
                cells=cells, name=trial.name, changes=trial.changes, finding=line.finding,
                a=line.a, b=line.b, both=line.both,
            )  # fmt: skip


def _name(line: Line) -> str:
    return line.trial.name if isinstance(line.trial, Condition) else " + ".join(line.trial.factors)


def _ends(ledgers: Iterable[Ledger]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(run.id for each in ledgers for run in (each.pair.a, each.pair.b)))
