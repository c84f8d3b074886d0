"""Experiments -> the pairs of this run with what the experiments show."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from repromatrix.compare.allowance import Allowances
from repromatrix.compare.difference import Verdict
from repromatrix.explain.judge.explanation import Explanation, explanations
from repromatrix.explain.judge.named import named
from repromatrix.report.evidence import Evidence
from repromatrix.report.replayed import Replayed
from repromatrix.results.experiments import Experiments, Pair


@dataclass(frozen=True, slots=True, kw_only=True)
class ExplainedPair:
    """A pair of this run with its explanation."""

    pair: Pair
    explanation: Explanation

    @property
    def differs(self) -> bool:
        """Whether there is anything to explain."""
        return self.explanation.before.verdict is not Verdict.IDENTICAL


@dataclass(frozen=True, slots=True, kw_only=True)
class ExplainedPairs:
    """The pairs of this run; `outdated`: how many there are of an earlier one, of which nothing is said."""

    pairs: tuple[ExplainedPair, ...] = ()
    outdated: int = 0

    @property
    def differing(self) -> tuple[ExplainedPair, ...]:
        """The pairs with anything to explain."""
        return tuple(pair for pair in self.pairs if pair.differs)


def explained_pairs(evidence: Evidence, allowed: Allowances) -> ExplainedPairs:
    """Judge the pairs whose cells are those of this run, or that somebody asked for."""
    keys = {entry.id: entry.key for entry in evidence.manifest.entries}
    operations = _operations(evidence.replayed, keys)
    pairs: list[ExplainedPair] = []
    outdated = 0
    for pair in evidence.experiments.pairs:
        alone = Experiments(pairs=(pair,))
        found = explanations(alone, evidence.tried, allowed) if _is_of(pair, keys) else ()
        own = operations.get(pair.cells, ())
        pairs += [ExplainedPair(pair=pair, explanation=replace(each, operations=own)) for each in found]
        outdated += not found
    return ExplainedPairs(pairs=tuple(pairs), outdated=outdated)


def _operations(replayed: Replayed, keys: Mapping[str, str | None]) -> dict[frozenset[str], tuple[str, ...]]:
    """Return, by the two cells of a pair, the operations of it that differ on the same inputs."""
    found: dict[frozenset[str], tuple[str, ...]] = {}
    for study in replayed.studies.pairs:
        ends = [replayed.ends.get(end) for end in (study.left, study.right) if end is not None]
        if study.is_of(keys) and len(ends) == len("ab") and ends[0] and ends[1]:
            found[frozenset((study.a, study.b))] = named(ends[0], ends[1])
    return found


def _is_of(pair: Pair, keys: Mapping[str, str | None]) -> bool:
    """Whether this run has the pair's records; a cell that it was not asked for may be of a pair that was asked for."""
    absent = [run for run in (pair.a, pair.b) if keys.get(run.id) is None]
    return all(keys[run.id] == run.key for run in (pair.a, pair.b) if run not in absent) and (
        not absent or "asked" in pair.of
    )
