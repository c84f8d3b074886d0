"""Experiments -> how many pairs are explained, by what, and what each change showed over all pairs."""

from collections import Counter

from repromatrix.report.verify.explanations import judged_pairs
from repromatrix.results.experiments import Condition
from tests.report.oracles.kinds import CauseTotals, ExplanationTotals, FactorTotals

_FINDINGS = ("cause", "not confirmed", "coincidence", "contributes", "inconclusive", "refuted", "not testable")


def totals(evidence, judges, classes):
    """Return the counts over all pairs; nothing where there were no experiments."""
    experiments = evidence.experiments
    if not experiments.pairs:
        return
    pairs = judged_pairs(experiments, evidence.manifest, evidence.tried, judges)
    apart = [pair for pair in pairs if pair.before.verdict != "identical"]
    yield _total(experiments, pairs, apart, classes)
    yield from _causes(apart)
    yield from _factors(apart)


def _total(experiments, pairs, apart, classes):
    lost = [pair for pair in apart if not pair.explained]
    kinds = [one for one in classes if one.kind == "class_of"]
    return ExplanationTotals(
        cells=_ends(pairs),
        pairs=len(apart),
        explained=len(apart) - len(lost),
        unexplained=len(lost),
        exhausted=sum(pair.pair.exhausted for pair in lost),
        same=len(pairs) - len(apart),
        outdated=len(experiments.pairs) - len(pairs),
        classes=len(kinds) if any("classes" in pair.pair.of for pair in pairs) else 0,
    )


def _causes(apart):
    def why(pair):
        causes = tuple(names for names, _ in pair.causes)
        return causes, () if causes else tuple(_name(line) for line in pair.dissolving)

    for causes, conditions in dict.fromkeys(why(pair) for pair in apart if pair.explained):
        members = [pair for pair in apart if why(pair) == (causes, conditions)]
        yield CauseTotals(
            cells=_ends(members), causes=causes, conditions=conditions, pairs=len(members), among=len(apart)
        )


def _factors(apart):
    for kind in (False, True):
        members = [(pair, line) for pair in apart for line in (pair.conditions if kind else pair.singles)]
        for name in dict.fromkeys(_name(line) for _, line in members):
            own = [(pair, line.finding) for pair, line in members if _name(line) == name]
            counts = Counter(finding for _, finding in own)
            sets = [pair for pair, _ in own if any(len(names) > 1 and name in names for names, _ in pair.causes)]
            yield FactorTotals(
                cells=_ends([pair for pair, _ in own]),
                name=name,
                condition=kind,
                pairs=len(own),
                findings=tuple((finding, counts[finding]) for finding in _FINDINGS if counts[finding]),
                together=0 if kind else len(sets),
            )


def _name(line):
    return line.change.name if isinstance(line.change, Condition) else " + ".join(line.change.factors)


def _ends(pairs):
    return tuple(dict.fromkeys(run.id for pair in pairs for run in (pair.pair.a, pair.pair.b)))
