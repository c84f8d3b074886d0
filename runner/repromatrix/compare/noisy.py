"""Scores that are noisy by nature: repeats of a golden and of a run, and whether the run's are shifted.

The test is that of Wilcoxon, Mann and Whitney, exact: where the repeats of both come from one distribution, whichever
it is, each choice of ranks for the run's is as likely as any other (H. B. Mann, D. R. Whitney, Ann. Math. Statist. 18,
1947; with ties by midranks, E. L. Lehmann, Nonparametrics, 1975). So no more than the stated share of such comparisons
fails, whatever the noise looks like. It needs repeats that do not depend on each other, and it looks for a shift: a run
that is only noisier need not be seen. With several metrics each has its part of the rate (Bonferroni).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import comb

import numpy as np

from repromatrix.compare.arrays import Values

RATE = 0.001  # of false alarms, over all metrics
MOST = 200  # repeats of both sides together
_POWER = 0.9
_DRAWS = 4000


@dataclass(frozen=True, slots=True, kw_only=True)
class Shift:
    """A metric of a golden and of a run.

    Attributes:
        golden: the score of each repeat.
        run: likewise.
        rate: of false alarms, at most, for this metric.
        chance: how often repeats of one distribution are as far apart as these, or further.
        shift: the median of the differences of all pairs, run minus golden (Hodges and Lehmann).
        noise: the standard deviation within the two sides.
        seen: the smallest shift that would be seen 9 times in 10, if the noise were normal; 0 where there is none.
        absent: why there is nothing to compare, else None.
    """

    metric: str
    golden: tuple[float, ...]
    run: tuple[float, ...]
    rate: float
    chance: float
    shift: float
    noise: float
    seen: float
    absent: str | None = None

    @property
    def passes(self) -> bool:
        """Whether the run is not seen to be shifted."""
        return self.absent is None and self.chance > self.rate


def judged(
    golden: Mapping[str, Sequence[float]], run: Mapping[str, Sequence[float]], rate: float = RATE
) -> list[Shift]:
    """Judge each metric of a golden.

    Args:
        golden: metric -> the score of each repeat.
        run: likewise; a metric that it lacks has nothing to compare.
        rate: of false alarms, at most, over all metrics.
    """
    return [_judged(name, scores, run.get(name, ()), rate / len(golden)) for name, scores in golden.items()]


def _judged(metric: str, golden: Sequence[float], run: Sequence[float], rate: float) -> Shift:
    both = tuple(golden), tuple(run)
    wrong = next((each for side in both for each in side if not np.isfinite(each)), None)
    if not run or wrong is not None:
        absent = "a repeat of the run lacks it" if not run else f"a repeat is {wrong}"
        return Shift(
            metric=metric, golden=both[0], run=both[1], rate=rate, chance=0.0, shift=0.0, noise=0.0, seen=0.0,
            absent=absent,
        )  # fmt: skip
    a, b = np.asarray(golden, dtype=np.float64), np.asarray(run, dtype=np.float64)
    noise = _spread(a, b)
    return Shift(
        metric=metric,
        golden=both[0],
        run=both[1],
        rate=rate,
        chance=chance(a, b),
        shift=float(np.median(b[None, :] - a[:, None])),
        noise=noise,
        seen=noise * smallest(len(a), len(b), rate),
    )


def _spread(a: Values, b: Values) -> float:
    free = len(a) + len(b) - 2
    return float(np.sqrt((((a - a.mean()) ** 2).sum() + ((b - b.mean()) ** 2).sum()) / free)) if free else 0.0


def chance(golden: Values, run: Values) -> float:
    """Return how often repeats of one distribution have ranks as far apart as these or further, on either side."""
    ranks = _midranks(np.concatenate((golden, run)))
    least, total = _sums(tuple(sorted(ranks.tolist())), len(run))
    at = int(ranks[len(golden) :].sum()) - least
    below, above = total[: at + 1].sum(), total[at:].sum()
    return float(min(1.0, 2 * min(below, above)))


def _midranks(values: Values) -> Values:
    """Return twice the rank of each value, from 2 on; equal ones share theirs, so twice a rank is whole."""
    ordered = np.sort(values)
    places = np.searchsorted(ordered, values, "left") + np.searchsorted(ordered, values, "right") + 1
    return places.astype(np.float64)


@lru_cache(maxsize=256)
def _sums(ranks: tuple[float, ...], count: int) -> tuple[int, Values]:
    """Return the least sum of `count` of the ranks, and how likely each sum from it on is, where each choice is."""
    whole = [int(each) for each in ranks]
    most = sum(whole[-count:])
    ways = np.zeros((count + 1, most + 1))
    ways[0, 0] = 1.0
    for rank in whole:
        ways[1:, rank:] += ways[:-1, : most + 1 - rank].copy()
    found = ways[count] / comb(len(whole), count)
    least = sum(whole[:count])
    return least, found[least:]


def least_chance(golden: int, run: int) -> float:
    """Return what `chance` gives for so many repeats that do not overlap at all: no difference can give less."""
    return min(1.0, 2 / comb(golden + run, run))


def needed(rate: float, golden: int | None = None) -> int | None:
    """Return how many repeats of each side are needed to see any shift at a rate; `golden`: of the run, beside so many.

    None: so few of the golden need more than are taken.
    """
    for count in range(1, MOST):
        if least_chance(count if golden is None else golden, count) <= rate:
            return count if count + (golden or count) <= MOST else None
    return None


@lru_cache(maxsize=64)
def smallest(golden: int, run: int, rate: float) -> float:
    """Return the smallest shift, in standard deviations of normal noise, that is seen 9 times in 10.

    Of a sample, the shift from which on it fails is the u-th smallest difference of its pairs, where u is the number of
    pairs, run above golden, that are just too many; its distribution is drawn, with a fixed seed.
    """
    least, likely = _sums(tuple(range(2, 2 * (golden + run) + 1, 2)), run)
    above = np.cumsum(likely[::-1])[::-1]
    failing = np.flatnonzero(2 * above <= rate)
    if not len(failing):
        return float("inf")
    pairs = (least + int(failing[0]) + 1) // 2 - run * (run + 1) // 2
    chance_ = np.random.default_rng(1945)
    a, b = chance_.standard_normal((_DRAWS, golden)), chance_.standard_normal((_DRAWS, run))
    differences = (a[:, :, None] - b[:, None, :]).reshape(_DRAWS, -1)
    differences.partition(pairs - 1, axis=1)
    return float(np.quantile(differences[:, pairs - 1], _POWER))
